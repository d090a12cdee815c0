find_package(OneDNN REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS CXX)
target_link_libraries(${plugin} PRIVATE OneDNN::dnnl OpenMP::OpenMP_CXX)
