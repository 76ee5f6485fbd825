// Small programs that measure engines: the same C as Wasm and native. Each run(n) returns a checksum; as Wasm
// there is also all(), for engines that pass no arguments.
#pragma once
typedef unsigned int u32;
typedef unsigned long long u64;
typedef unsigned char u8;
#if defined(__wasm__)
#define KERNEL(name)                                                          \
  __attribute__((export_name("run"))) u32 run(u32 n);                         \
  __attribute__((export_name("all"))) u32 all(void) { return run(KERNEL_N); } \
  u32 run(u32 n)
#else
#define KERNEL(name) u32 native_##name(u32 n)
#endif
