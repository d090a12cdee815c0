/* The only binary contract between a plugin and the framework, in plain C. Fields are only ever
 * appended.
 *
 * A plugin NAME.so exports `const lockstep_plugin* lockstep_plugin_NAME(void)`. The framework
 * compares struct_size and abi_id before it calls anything that involves C++ types. */
#ifndef LOCKSTEP_PLUGIN_ABI_H
#define LOCKSTEP_PLUGIN_ABI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lockstep_plugin {
  uint32_t struct_size; /* sizeof(lockstep_plugin) where the plugin was built */
  const char* abi_id;   /* LOCKSTEP_ABI_ID where the plugin was built: see cmake/AbiId.cmake */
  const char* name;     /* equals the file's name without .so */
  /* Registers everything the plugin has; 0 on success. Never throws: the message goes to error
   * (NUL-terminated). */
  int (*register_into)(void* registry, char* error, size_t error_size);
} lockstep_plugin;

#ifdef __cplusplus
}
#endif
#endif
