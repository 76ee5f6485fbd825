// The table of processor features.
#include "engine/aot/cpu.h"

namespace tenon {
namespace {

struct Row {
  std::string_view llvm;
  u32 level;
};
constexpr Row kRows[] = {
#define CPU_FEATURE(id, llvm, builtin, level) {llvm, level},
#include "engine/aot/cpu_features.def"
};

CpuFeatures level(u32 wanted) {
  CpuFeatures out;
  for (size_t i = 0; i < std::size(kRows); ++i)
    if (kRows[i].level <= wanted) out.bits |= u64{1} << i;
  return out;
}

CpuFeatures detect() {
  CpuFeatures out;
#ifdef __x86_64__
  __builtin_cpu_init();
  u32 bit = 0;
#define CPU_FEATURE(id, llvm, builtin, level)                     \
  if (__builtin_cpu_supports(builtin)) out.bits |= u64{1} << bit; \
  ++bit;
#include "engine/aot/cpu_features.def"
#endif
  return out;
}

}  // namespace

CpuFeatures host_cpu_features() {
  static const CpuFeatures kHost = detect();
  return kHost;
}

std::optional<CpuFeatures> cpu_features_of_target(std::string_view name) {
  if (name == "native") return host_cpu_features();
  if (name == "x86-64-v2") return level(2);
  if (name == "x86-64-v3") return level(3);
  if (name == "x86-64-v4") return level(4);
  return std::nullopt;
}

std::string llvm_features(CpuFeatures features) {
  std::string out;
  for (size_t i = 0; i < std::size(kRows); ++i) {
    if (!out.empty()) out += ',';
    out += features.has(static_cast<CpuFeature>(i)) ? '+' : '-';
    out += kRows[i].llvm;
  }
  return out;
}

std::string missing_features(CpuFeatures wanted, CpuFeatures have) {
  std::string out;
  for (size_t i = 0; i < std::size(kRows); ++i) {
    const auto f = static_cast<CpuFeature>(i);
    if (!wanted.has(f) || have.has(f)) continue;
    if (!out.empty()) out += ", ";
    out += kRows[i].llvm;
  }
  if (wanted.bits >> std::size(kRows) != 0) out += out.empty() ? "unknown features" : ", unknown features";
  return out;
}

}  // namespace tenon
