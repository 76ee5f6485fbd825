// A module in text form, instantiated in a store of its own under the JIT or the interpreter.
#pragma once
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "engine/runtime/linker.h"
#include "engine/runtime/store.h"
#include "engine/text/wat.h"
#include "jit/compiler.h"

namespace tenon::jit {

// What a call gave: results of a call that returned, else the trap.
struct Outcome {
  Status status = Status::ok;
  std::vector<Slot> slots;
  TrapCode trap = TrapCode::none;
  std::vector<std::string> trace;  // function names, innermost first
  std::vector<u64> offsets;        // of their instructions in the module

  u32 as_u32() const { return slots.at(0).u32_; }
  u64 as_u64() const { return slots.at(0).u64_; }
};

class Guest {
 public:
  struct Options {
    bool interpret = false;
    JitOptions jit;
    StoreLimits limits;
    EngineOptions engine;
  };
  static Options at_level(u32 level) {
    Options o;
    o.jit.opt_level = static_cast<u8>(level);
    o.jit.verify_ir = true;
    return o;
  }
  static Options interpreter() {
    Options o;
    o.interpret = true;
    return o;
  }

  explicit Guest(std::string_view wat, Options options = at_level(2), const Linker* imports = nullptr)
      : Guest(assemble(wat), std::move(options), imports) {}
  explicit Guest(std::vector<u8> bytes, Options options = at_level(2), const Linker* imports = nullptr)
      : engine_(std::make_shared<Engine>(options.engine)), store_(engine_, options.limits) {
    if (!options.interpret) {
      auto compiler = create_compiler(store_, options.jit);
      EXPECT_TRUE(compiler) << compiler.error().message;
      store_.set_compiler(std::move(*compiler));
    }
    auto module = engine_->compile(bytes);
    EXPECT_TRUE(module) << module.error().message;
    if (!module) return;
    auto instance = imports ? imports->instantiate(store_, *module) : store_.instantiate(*module, {});
    if (instance)
      instance_ = *instance;
    else
      error_ = instance.error();
  }

  static std::vector<u8> assemble(std::string_view wat) {
    auto bytes = text::wat_to_wasm(wat);
    EXPECT_TRUE(bytes) << bytes.error().message;
    return bytes ? *bytes : std::vector<u8>{};
  }

  bool ok() const { return instance_ != nullptr; }
  const std::optional<Error>& error() const { return error_; }
  Store& store() { return store_; }
  Instance& instance() { return *instance_; }

  Outcome call(std::string_view name, std::vector<u64> args = {}) {
    Outcome out;
    auto found = instance_->find_export(name);
    EXPECT_TRUE(found) << name;
    FuncRef* func = std::get<FuncRef*>(*found);
    const FuncType& type = *store_.types().get(func->type).func();
    EXPECT_LE(args.size(), type.param_slots) << name;
    args.resize(type.param_slots);
    out.slots.resize(std::max<size_t>({type.param_slots, type.result_slots, 1}));
    for (size_t i = 0; i < args.size(); ++i) out.slots[i].u64_ = args[i];
    out.status = store_.call(func, out.slots.data());
    out.slots.resize(std::max<size_t>(type.result_slots, 1));
    if (out.status == Status::trap) {
      out.trap = store_.trap().code;
      for (const TraceFrame& f : store_.trap().frames) {
        out.trace.push_back(f.module->function_name(f.function));
        out.offsets.push_back(f.offset);
      }
    }
    return out;
  }

 private:
  std::shared_ptr<Engine> engine_;
  Store store_;
  Instance* instance_ = nullptr;
  std::optional<Error> error_;
};

}  // namespace tenon::jit
