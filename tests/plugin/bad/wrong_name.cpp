// Calls itself otherwise than its file.
#include "plugin/abi.h"
#include "plugin/abi_id.h"

extern "C" __attribute__((visibility("default"))) const lockstep_plugin*
lockstep_plugin_wrong_name() {
  static const lockstep_plugin plugin{sizeof(lockstep_plugin), LOCKSTEP_ABI_ID, "other",
                                      [](void*, char*, size_t) -> int { return 0; }};
  return &plugin;
}
