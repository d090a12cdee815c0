find_package(dnnl CONFIG REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS CXX)
target_link_libraries(${plugin} PRIVATE DNNL::dnnl OpenMP::OpenMP_CXX)
