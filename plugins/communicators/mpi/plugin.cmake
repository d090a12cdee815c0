# Only the C interface of MPI is used.
find_package(MPI REQUIRED COMPONENTS C)
target_link_libraries(${plugin} PRIVATE MPI::MPI_C)
target_compile_definitions(${plugin} PRIVATE OMPI_SKIP_MPICXX MPICH_SKIP_MPICXX)
