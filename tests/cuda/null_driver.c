// A libcuda.so.1 for tests: a driver without a device. With it on LD_LIBRARY_PATH, cuDNN compiles
// run-time kernels for a described GPU and stores them nowhere; nothing can be launched.
//
// cuInit says CUDA_ERROR_NO_DEVICE, as a driver on a machine without GPU does. Loading a module or
// library "succeeds", so that plans can be finished. Everything else is there by name alone.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

// By which tests know this library.
const int lockstep_null_driver = 1;

typedef int Result;
enum { kSuccess = 0, kNoDevice = 100, kNotFound = 500 };

Result cuInit(unsigned flags) { return (void)flags, kNoDevice; }
// LOCKSTEP_NULL_DRIVER_VERSION=12020 makes it one of CUDA 12.2.
Result cuDriverGetVersion(int* version) {
  const char* text = getenv("LOCKSTEP_NULL_DRIVER_VERSION");
  return *version = text ? atoi(text) : 13000, kSuccess;
}
Result cuDeviceGetCount(int* count) { return *count = 0, kNoDevice; }
Result cuGetErrorName(Result error, const char** name) {
  return *name = error == kNoDevice ? "CUDA_ERROR_NO_DEVICE" : "null driver", kSuccess;
}
Result cuGetErrorString(Result error, const char** text) {
  return *text = error == kNoDevice ? "no device" : "the null driver cannot", kSuccess;
}

// Anything that is no null pointer: a module, a library, a kernel.
static char thing;

Result cuModuleLoadData(void** module, const void* image) {
  return (void)image, *module = &thing, kSuccess;
}
Result cuModuleLoadDataEx(void** module, const void* image, unsigned count, void* options,
                          void** values) {
  return (void)image, (void)count, (void)options, (void)values, *module = &thing, kSuccess;
}
Result cuModuleGetFunction(void** function, void* module, const char* name) {
  return (void)module, (void)name, *function = &thing, kSuccess;
}
Result cuModuleUnload(void* module) { return (void)module, kSuccess; }
Result cuLibraryLoadData(void** library, const void* code, void* jit_options, void* jit_values,
                         unsigned jit_count, void* options, void* values, unsigned count) {
  (void)code, (void)jit_options, (void)jit_values, (void)jit_count;
  return (void)options, (void)values, (void)count, *library = &thing, kSuccess;
}
Result cuLibraryUnload(void* library) { return (void)library, kSuccess; }
Result cuLibraryGetKernel(void** kernel, void* library, const char* name) {
  return (void)library, (void)name, *kernel = &thing, kSuccess;
}
Result cuLibraryGetModule(void** module, void* library) {
  return (void)library, *module = &thing, kSuccess;
}
Result cuKernelGetFunction(void** function, void* kernel) {
  return (void)kernel, *function = &thing, kSuccess;
}
Result cuKernelGetAttribute(int* value, int attribute, void* kernel, int device) {
  return (void)attribute, (void)kernel, (void)device, *value = 0, kSuccess;
}
Result cuKernelSetAttribute(int attribute, int value, void* kernel, int device) {
  return (void)attribute, (void)value, (void)kernel, (void)device, kSuccess;
}
Result cuFuncGetAttribute(int* value, int attribute, void* function) {
  return (void)attribute, (void)function, *value = 0, kSuccess;
}
Result cuFuncSetAttribute(void* function, int attribute, int value) {
  return (void)function, (void)attribute, (void)value, kSuccess;
}

// cuDNN and the runtime look these up before they ask cuInit.
#define LS_ABSENT(name) \
  Result name(void) { return kNoDevice; }
LS_ABSENT(cuCtxGetCurrent)
LS_ABSENT(cuCtxGetLimit)
LS_ABSENT(cuCtxPopCurrent)
LS_ABSENT(cuCtxPushCurrent)
LS_ABSENT(cuDeviceGet)
LS_ABSENT(cuLaunchCooperativeKernel)
LS_ABSENT(cuLaunchKernel)
LS_ABSENT(cuLaunchKernelEx)
LS_ABSENT(cuLibraryLoadFromFile)
LS_ABSENT(cuLinkAddData)
LS_ABSENT(cuLinkComplete)
LS_ABSENT(cuLinkCreate)
LS_ABSENT(cuLinkDestroy)
LS_ABSENT(cuOccupancyMaxPotentialClusterSize)
LS_ABSENT(cuStreamGetCtx)

Result cuGetProcAddress_v2(const char* name, void** function, int version, unsigned long long flags,
                           int* found) {
  (void)version, (void)flags;
  void* self = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
  char later[128];
  snprintf(later, sizeof later, "%s_v2", name);
  *function = self ? dlsym(self, later) : NULL;
  if (!*function && self) *function = dlsym(self, name);
  if (self) dlclose(self);
  if (found) *found = *function ? 0 : 1;
  return *function ? kSuccess : kNotFound;
}
Result cuGetProcAddress(const char* name, void** function, int version, unsigned long long flags) {
  return cuGetProcAddress_v2(name, function, version, flags, NULL);
}
