# NEEDS: cuda
# Of the CUDA runtime only types are used; the driver is NCCL's affair.
target_link_libraries(${plugin} PRIVATE Nccl::nccl)
target_include_directories(${plugin} PRIVATE ${CUDAToolkit_INCLUDE_DIRS})
