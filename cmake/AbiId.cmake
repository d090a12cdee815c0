# The public headers and the ABI id made from them.
#
# Public is what a plugin may include: plugin/plugin.hpp, what the plugins of this tree include from the framework, and
# whatever these include in turn. Exactly these headers are installed and hashed. The id's other
# parts (compiler, standard library, sanitizers) are found out by the preprocessor where the plugin is compiled.

# Appends to `result` the framework headers that `files` include, and so on.
function(lockstep_public_headers result)
  set(root "${PROJECT_SOURCE_DIR}/framework")
  set(found plugin/plugin.hpp)
  file(GLOB_RECURSE plugin_sources CONFIGURE_DEPENDS
       "${PROJECT_SOURCE_DIR}/plugins/*.cpp" "${PROJECT_SOURCE_DIR}/plugins/*.hpp"
       "${PROJECT_SOURCE_DIR}/plugins/*.cu")
  set(pending "${root}/plugin/plugin.hpp" ${plugin_sources})
  while(pending)
    list(POP_FRONT pending file)
    file(STRINGS "${file}" lines REGEX "^#include \"[a-z0-9_]+/[a-z0-9_]+\\.(hpp|h)\"")
    foreach(line IN LISTS lines)
      string(REGEX REPLACE "^#include \"([^\"]+)\".*" "\\1" header "${line}")
      if(EXISTS "${root}/${header}" AND NOT header IN_LIST found)
        list(APPEND found "${header}")
        list(APPEND pending "${root}/${header}")
      endif()
    endforeach()
  endwhile()
  list(SORT found)
  set(${result} "${found}" PARENT_SCOPE)
endfunction()

# Writes build/include/plugin/abi_id.h, and lockstep/plugin.hpp beside it, where their text has changed.
function(lockstep_generate_abi_id)
  set(root "${PROJECT_SOURCE_DIR}/framework")
  set(text "")
  foreach(header IN LISTS ARGN)
    file(READ "${root}/${header}" content)
    string(APPEND text "${header}\n${content}\n")
    set_property(DIRECTORY "${PROJECT_SOURCE_DIR}" APPEND PROPERTY
                 CMAKE_CONFIGURE_DEPENDS "${root}/${header}")
  endforeach()
  string(SHA256 hash "${text}")
  string(SUBSTRING "${hash}" 0 16 LOCKSTEP_HEADERS_HASH)
  configure_file("${PROJECT_SOURCE_DIR}/cmake/abi_id.h.in"
                 "${PROJECT_BINARY_DIR}/include/plugin/abi_id.h" @ONLY)
  file(CONFIGURE OUTPUT "${PROJECT_BINARY_DIR}/include/lockstep/plugin.hpp" CONTENT
    "// The only include a plugin author needs.\n#pragma once\n#include \"plugin/plugin.hpp\"\n")
endfunction()
