// Shared by the runtime's tests: modules from text, and a store to put them in.
#pragma once
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "engine/runtime/linker.h"
#include "engine/runtime/store.h"
#include "engine/text/wat.h"

namespace tenon::testing {

inline std::shared_ptr<const Module> compile(Engine& engine, std::string_view wat) {
  auto binary = text::wat_to_wasm(wat);
  if (!binary) {
    ADD_FAILURE() << binary.error().message;
    return nullptr;
  }
  auto module = engine.compile(*binary);
  if (!module) {
    ADD_FAILURE() << module.error().message;
    return nullptr;
  }
  return *module;
}

// An engine and a store with a linker; `load` instantiates text.
struct World {
  explicit World(StoreLimits limits = {}) : engine(std::make_shared<Engine>()), store(engine, limits) {}

  Result<Instance*> try_load(std::string_view wat) {
    return linker.instantiate(store, compile(*engine, wat));
  }
  Instance& load(std::string_view wat) {
    auto instance = try_load(wat);
    if (!instance) throw std::runtime_error(instance.error().message);
    return **instance;
  }
  template <class T>
  T get(Instance& instance, std::string_view name) {
    return std::get<T>(instance.find_export(name).value());
  }
  TypeId func_type(std::vector<ValType> params, std::vector<ValType> results) {
    return store.types().add_func_type(std::move(params), std::move(results));
  }

  std::shared_ptr<Engine> engine;
  Store store;
  Linker linker;
};

}  // namespace tenon::testing
