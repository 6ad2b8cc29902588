/* A libcuda.so.1 without devices: answers cuInit with $FAKE_CUINIT, so that every way in which a node may have no
   usable GPU can be seen on a machine that has no driver. It runs nothing.
   100 no device, 3 not initialised, 34 stub library, 803 driver mismatch, 999 unknown; FAKE_VERSION: the driver's. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static int from_environment(const char* name, int otherwise) {
  const char* text = getenv(name);
  return text ? atoi(text) : otherwise;
}

int cuInit(unsigned flags) { (void)flags; return from_environment("FAKE_CUINIT", 100); }
int cuDriverGetVersion(int* version) { *version = from_environment("FAKE_VERSION", 13020); return 0; }
int cuDeviceGetCount(int* count) { *count = 0; return 0; }
int cuGetExportTable(const void** table, const void* id) { (void)table; (void)id; return 500; }
static int no_device(void) { return 100; }

int cuGetProcAddress_v2(const char* symbol, void** found, int version, uint64_t flags, int* status) {
  (void)version;
  (void)flags;
  *found = !strcmp(symbol, "cuInit") ? (void*)cuInit
         : !strcmp(symbol, "cuDriverGetVersion") ? (void*)cuDriverGetVersion
         : !strcmp(symbol, "cuDeviceGetCount") ? (void*)cuDeviceGetCount
         : !strcmp(symbol, "cuGetExportTable") ? (void*)cuGetExportTable
         : !strcmp(symbol, "cuGetProcAddress") ? (void*)cuGetProcAddress_v2
                                               : (void*)no_device;
  if (status) *status = 0;
  return 0;
}

int cuGetProcAddress(const char* symbol, void** found, int version, uint64_t flags) {
  return cuGetProcAddress_v2(symbol, found, version, flags, 0);
}
