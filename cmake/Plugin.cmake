# lockstep_add_plugin(NAME SOURCES file.cpp … [LIBRARIES library …] [KIND folder] [TARGET target])
#
# Builds NAME.so, a plugin whose source has LS_PLUGIN(NAME, registry). The same function serves this tree and, through
# find_package(Lockstep), plugins outside of it. KIND is the folder of its kind ("models"): the file then lies in
# KIND/NAME.so. To be found, its folder (or the one above KIND) stands in LOCKSTEP_PLUGIN_PATH. Where CUDA is, optimizers
# and pointwise functions get a twin NAME.cuda.so; see Twin.cmake.
include("${CMAKE_CURRENT_LIST_DIR}/Twin.cmake")

function(lockstep_add_plugin name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "KIND;TARGET" "SOURCES;LIBRARIES")
  if(NOT arg_SOURCES)
    message(FATAL_ERROR "lockstep_add_plugin(${name}): no SOURCES given")
  endif()
  if(NOT name MATCHES "^[A-Za-z_][A-Za-z0-9_]*$")
    message(FATAL_ERROR "lockstep_add_plugin(${name}): a plugin's name is a C identifier")
  endif()
  set(target "${name}")
  if(arg_TARGET)
    set(target "${arg_TARGET}")
  endif()
  add_library(${target} MODULE ${arg_SOURCES})
  target_link_libraries(${target} PRIVATE Lockstep::lockstep ${arg_LIBRARIES})
  target_compile_features(${target} PRIVATE cxx_std_20)
  set_target_properties(${target} PROPERTIES
    OUTPUT_NAME "${name}"
    PREFIX ""
    SUFFIX ".so"
    CXX_EXTENSIONS OFF
    CXX_VISIBILITY_PRESET hidden
    VISIBILITY_INLINES_HIDDEN ON)
  if(arg_KIND)
    set_target_properties(${target} PROPERTIES
      LIBRARY_OUTPUT_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/${arg_KIND}")
  endif()
  # What is missing shows when the plugin is linked, not when it is opened; sanitizers resolve their own part later.
  if(NOT LOCKSTEP_SANITIZE)
    target_link_options(${target} PRIVATE -Wl,--no-undefined)
  endif()
  lockstep_add_twin(${target} ${name} ${arg_SOURCES})
endfunction()
