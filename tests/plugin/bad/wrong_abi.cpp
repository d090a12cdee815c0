// Says that it was built by another compiler and against other headers; registering would crash.
#include "plugin/abi.h"

extern "C" __attribute__((visibility("default"))) const lockstep_plugin*
lockstep_plugin_wrong_abi() {
  static const lockstep_plugin plugin{
      sizeof(lockstep_plugin),
      "headers=0000000000000000 compiler=gcc-3 library=libstdc++ cxx11_abi=1 sanitizers=none",
      "wrong_abi", [](void*, char*, size_t) -> int { __builtin_trap(); }};
  return &plugin;
}
