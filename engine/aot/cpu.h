// Processor features as a set: what compiled code was made for, and what this machine has. Uses nothing of
// LLVM.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "engine/base.h"

namespace tenon {

enum class CpuFeature : u8 {
#define CPU_FEATURE(id, llvm, builtin, level) id,
#include "engine/aot/cpu_features.def"
  count,
};

// Bits are numbered by CpuFeature.
struct CpuFeatures {
  u64 bits = 0;
  bool has(CpuFeature f) const { return (bits >> static_cast<u32>(f) & 1) != 0; }
  bool operator==(const CpuFeatures&) const = default;
};

CpuFeatures host_cpu_features();
// "native", or an x86-64 level: "x86-64-v2", "x86-64-v3", "x86-64-v4". Nothing: no such target.
std::optional<CpuFeatures> cpu_features_of_target(std::string_view name);
// As LLVM wants it: "+sse3,+avx,-avx2,…", every feature of the table.
std::string llvm_features(CpuFeatures features);
// The names of those in `wanted` that `have` lacks, by commas; empty: none.
std::string missing_features(CpuFeatures wanted, CpuFeatures have);

}  // namespace tenon
