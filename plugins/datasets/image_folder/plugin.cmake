find_package(JPEG REQUIRED)
find_package(PNG REQUIRED)
target_link_libraries(${plugin} PRIVATE JPEG::JPEG PNG::PNG)
