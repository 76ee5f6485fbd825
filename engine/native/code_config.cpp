// CodeConfig of instances and of modules.
#include "engine/native/code_config.h"

#include <fmt/format.h>

#include "engine/runtime/store.h"

namespace tenon {
namespace {

bool can_be_guarded(const MemoryType& type) { return !type.is64 && type.page_shift == 16; }

}  // namespace

std::string difference(const CodeChecks& code, const CodeChecks& wanted) {
  static constexpr struct {
    bool CodeChecks::* option;
    std::string_view name;
  } kOptions[] = {{&CodeChecks::fuel, "fuel"},
                  {&CodeChecks::epochs, "epochs"},
                  {&CodeChecks::interrupts, "checks for interruption"},
                  {&CodeChecks::deterministic_nans, "deterministic NaNs"},
                  {&CodeChecks::deterministic_simd, "deterministic relaxed SIMD"}};
  std::string out;
  for (const auto& [option, name] : kOptions)
    if (code.*option != wanted.*option)
      out += fmt::format("{}{} {}", out.empty() ? "" : ", ", code.*option ? "with" : "without", name);
  return out;
}

std::string CodeConfig::conflict(const CodeConfig& actual) const {
  if (checks != actual.checks) return "compiled " + difference(checks, actual.checks);
  if (memories.size() != actual.memories.size() || native_import.size() != actual.native_import.size())
    return "compiled for other memories or imports";
  for (size_t m = 0; m < memories.size(); ++m) {
    const MemoryPlan &assumed = memories[m], &found = actual.memories[m];
    if (assumed.is64 != found.is64) return fmt::format("compiled for another address type of memory {}", m);
    if (assumed.guarded && !found.guarded)
      return fmt::format("compiled for guard pages behind memory {}, which has none", m);
    if (assumed.fixed_base && !found.fixed_base)
      return fmt::format("compiled for a memory {} that stays in its place, which this one does not", m);
  }
  for (size_t f = 0; f < native_import.size(); ++f)
    if (native_import[f] && !actual.native_import[f])
      return fmt::format("compiled for another host function as import {}", f);
  return {};
}

CodeConfig config_of(Instance& instance, const CodeChecks& checks) {
  const Module& module = instance.module();
  CodeConfig config{checks, {}, std::vector<bool>(module.imported_functions)};
  for (u32 m = 0; m < module.memories.size(); ++m) {
    Memory& memory = *instance.memory(MemoryIdx{m});
    const MemoryType& type = memory.type();
    config.memories.push_back({type.is64,
                               can_be_guarded(type) && memory.desc().reserved >= kGuardedReservation,
                               memory.never_moves()});
  }
  for (u32 f = 0; f < module.imported_functions; ++f) {
    const FuncRef* ref = instance.func(FuncIdx{f});
    if (!ref->vmctx)
      config.native_import[f] = static_cast<const HostFunc*>(ref->code)->desc->native != nullptr;
  }
  return config;
}

CodeConfig expected_config(const Module& module, const CodeChecks& checks) {
  CodeConfig config{checks, {}, std::vector<bool>(module.imported_functions)};
  for (const MemoryType& type : module.memories)
    config.memories.push_back({type.is64, can_be_guarded(type), can_be_guarded(type)});
  return config;
}

}  // namespace tenon
