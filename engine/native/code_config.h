// What compiled code takes for granted about the instances that run it. Code is position-independent and
// belongs to no store, but it is only right where these hold.
#pragma once
#include <string>
#include <vector>

#include "engine/base.h"

namespace tenon {

class Instance;
class Module;

struct MemoryPlan {
  bool is64 = false;
  bool guarded = false;     // accesses past the end fault: no checks in code
  bool fixed_base = false;  // the base never changes
  bool operator==(const MemoryPlan&) const = default;
};

// What embedders may ask for.
struct CodeChecks {
  bool fuel = false;                // count StoreContext::fuel down
  bool epochs = false;              // compare the engine's clock with StoreContext::epoch_deadline
  bool interrupts = false;          // look at StoreContext::interrupt
  bool deterministic_nans = false;  // EngineOptions say what these two mean
  bool deterministic_simd = false;
  bool operator==(const CodeChecks&) const = default;
};

// What of code with `code` is unlike what is `wanted`, in words; empty: nothing.
std::string difference(const CodeChecks& code, const CodeChecks& wanted);

struct CodeConfig {
  CodeChecks checks;
  std::vector<MemoryPlan> memories;  // by memory index
  std::vector<bool> native_import;   // by imported function: HostFuncDesc::native is called directly
  bool operator==(const CodeConfig&) const = default;

  // Whether code compiled under this configuration may run in an instance that `actual` describes.
  bool holds_in(const CodeConfig& actual) const { return conflict(actual).empty(); }
  // Why it must not, in words; empty: it may.
  std::string conflict(const CodeConfig& actual) const;
};

// What is true of this instance.
CodeConfig config_of(Instance& instance, const CodeChecks& checks);
// What an ordinary instance will be like: reservations are granted, and no import has a native entry.
CodeConfig expected_config(const Module& module, const CodeChecks& checks);

}  // namespace tenon
