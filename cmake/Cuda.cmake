# LOCKSTEP_CUDA decides about all that needs NVIDIA's toolkit, which is nvcc (12.8 or newer: it knows sm_100), cuDNN (9.11 or
# newer: it plans for described GPUs) and NCCL:
#
#   AUTO  it is built where all three are found; where not, the configuration says what is missing
#   ON    it is built; what is missing is an error
#   OFF   it is not built
#
# Sets LOCKSTEP_HAS_CUDA. Where it is true, there are CUDA::cudart, Cudnn::cudnn and Nccl::nccl. The
# driver (libcuda) is never linked: what is built runs, or says why it cannot, on any machine.
set(LOCKSTEP_CUDA AUTO CACHE STRING "Build what needs the CUDA toolkit: AUTO, ON or OFF")
set_property(CACHE LOCKSTEP_CUDA PROPERTY STRINGS AUTO ON OFF)
set(LOCKSTEP_HAS_CUDA FALSE)

# Sets `result` to what the toolkit lacks; empty: nothing.
function(lockstep_find_cuda result)
  set(missing "")
  include(CheckLanguage)
  check_language(CUDA)
  set(root "")
  if(CMAKE_CUDA_COMPILER)
    get_filename_component(compiler "${CMAKE_CUDA_COMPILER}" REALPATH)
    get_filename_component(root "${compiler}" DIRECTORY)
    get_filename_component(root "${root}" DIRECTORY)
    execute_process(COMMAND "${compiler}" --version OUTPUT_VARIABLE text ERROR_QUIET)
    if(NOT text MATCHES "release ([0-9.]+)" OR CMAKE_MATCH_1 VERSION_LESS 12.8)
      list(APPEND missing "nvcc 12.8 or newer")
    endif()
  else()
    list(APPEND missing nvcc)
  endif()
  foreach(library cudnn nccl)
    string(TOUPPER "${library}" upper)
    set(header "${library}.h")
    if(library STREQUAL cudnn)
      set(header cudnn_backend.h)
    endif()
    find_path(${upper}_INCLUDE_DIR "${header}" HINTS "${root}" "$ENV{CUDA_HOME}" PATH_SUFFIXES include)
    find_library(${upper}_LIBRARY "${library}" HINTS "${root}" "$ENV{CUDA_HOME}"
                 PATH_SUFFIXES lib lib64)
    mark_as_advanced(${upper}_INCLUDE_DIR ${upper}_LIBRARY)
    if(NOT ${upper}_INCLUDE_DIR OR NOT ${upper}_LIBRARY)
      list(APPEND missing "${library}")
    endif()
  endforeach()
  if(CUDNN_INCLUDE_DIR AND EXISTS "${CUDNN_INCLUDE_DIR}/cudnn_version.h")
    file(STRINGS "${CUDNN_INCLUDE_DIR}/cudnn_version.h" lines
         REGEX "^#define CUDNN_(MAJOR|MINOR) +[0-9]+")
    string(REGEX REPLACE "[^0-9;]" "" version "${lines}")
    string(REPLACE ";" "." version "${version}")
    if(version VERSION_LESS 9.11)
      list(APPEND missing "cudnn 9.11 or newer")
    endif()
  endif()
  list(JOIN missing ", " missing)
  set(${result} "${missing}" PARENT_SCOPE)
endfunction()

if(LOCKSTEP_CUDA STREQUAL "AUTO" AND LOCKSTEP_SANITIZE)
  message(STATUS "CUDA: not built, for nvcc knows no sanitizers")
elseif(LOCKSTEP_CUDA)
  lockstep_find_cuda(LOCKSTEP_CUDA_MISSING)
  if(NOT LOCKSTEP_CUDA_MISSING)
    set(LOCKSTEP_HAS_CUDA TRUE)
  elseif(LOCKSTEP_CUDA STREQUAL "AUTO")
    message(STATUS "CUDA: not built, for these were not found: ${LOCKSTEP_CUDA_MISSING}")
  else()
    message(FATAL_ERROR "LOCKSTEP_CUDA=${LOCKSTEP_CUDA}: not found: ${LOCKSTEP_CUDA_MISSING}; put nvcc "
                        "on PATH with cuDNN and NCCL in its toolkit, or configure with "
                        "-DLOCKSTEP_CUDA=OFF")
  endif()
endif()

if(LOCKSTEP_HAS_CUDA)
  # The last one also as PTX, for what comes after it.
  set(CMAKE_CUDA_ARCHITECTURES "80-real;90-real;100" CACHE STRING
      "What nvcc compiles for: sm_80 is A100, sm_90 H100, sm_100 B200")
  # One runtime for all plugins of a process.
  set(CMAKE_CUDA_RUNTIME_LIBRARY Shared)
  if(NOT CMAKE_CUDA_COMPILER_LAUNCHER AND CCACHE_PROGRAM)
    set(CMAKE_CUDA_COMPILER_LAUNCHER "${CCACHE_PROGRAM}")
  endif()
  enable_language(CUDA)
  set(CMAKE_CUDA_STANDARD 20)
  set(CMAKE_CUDA_STANDARD_REQUIRED ON)
  set(CMAKE_CUDA_EXTENSIONS OFF)
  set(CMAKE_CUDA_VISIBILITY_PRESET hidden)
  find_package(CUDAToolkit REQUIRED)
  add_library(Cudnn::cudnn UNKNOWN IMPORTED)
  set_target_properties(Cudnn::cudnn PROPERTIES
    IMPORTED_LOCATION "${CUDNN_LIBRARY}" INTERFACE_INCLUDE_DIRECTORIES "${CUDNN_INCLUDE_DIR}")
  add_library(Nccl::nccl UNKNOWN IMPORTED)
  set_target_properties(Nccl::nccl PROPERTIES
    IMPORTED_LOCATION "${NCCL_LIBRARY}" INTERFACE_INCLUDE_DIRECTORIES "${NCCL_INCLUDE_DIR}")
  message(STATUS "CUDA: ${CUDAToolkit_VERSION}, for ${CMAKE_CUDA_ARCHITECTURES}")
endif()

# Sets `result` to what a plugin's settings or a test say they need and this build lacks: a line
# "NEEDS: cuda" among the file's first five.
function(lockstep_missing_needs result file)
  set(${result} "" PARENT_SCOPE)
  if(NOT EXISTS "${file}")
    return()
  endif()
  file(STRINGS "${file}" head LIMIT_COUNT 5)
  if("${head}" MATCHES "NEEDS: *cuda" AND NOT LOCKSTEP_HAS_CUDA)
    set(${result} "CUDA" PARENT_SCOPE)
  endif()
endfunction()
