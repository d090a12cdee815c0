// Its entry point is shorter than this version's.
#include "plugin/abi.h"

extern "C" __attribute__((visibility("default"))) const lockstep_plugin*
lockstep_plugin_old_struct() {
  static const lockstep_plugin plugin{8, nullptr, nullptr, nullptr};
  return &plugin;
}
