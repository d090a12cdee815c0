# NEEDS: cuda
target_link_libraries(${plugin} PRIVATE Cudnn::cudnn CUDA::cudart nlohmann_json::nlohmann_json
                      xxHash::xxHash)
target_include_directories(${plugin} PRIVATE
  "${CMAKE_CURRENT_SOURCE_DIR}/${kind}/${name}" "${NCCL_INCLUDE_DIR}")
list(JOIN CMAKE_CUDA_ARCHITECTURES "," architectures)
target_compile_definitions(${plugin} PRIVATE LOCKSTEP_CUDA_ARCHITECTURES="${architectures}")
# A kernel that spills registers to memory is an error: give it fewer values, or fewer threads.
target_compile_options(${plugin} PRIVATE
  "$<$<COMPILE_LANGUAGE:CUDA>:${LOCKSTEP_CUDA_OPTIONS};-Xptxas=-Werror>")
