// Stores, and what lives in them, of the C API.
#include <algorithm>
#include <array>
#include <cstring>

#include "engine/native/announce.h"
#include "engine/native/native_tier.h"
#include "handles.h"
#include "values.h"

using namespace tenon;

Result<void> api::prepare_store(const tenon_engine& engine, Store& store) {
  using Tier = EngineOptions::Tier;
  const tenon_config& config = engine.config;
  const Tier tier = config.options.tier;
  if (config.options.fuel) store.context().fuel = 0;
  if (tier == Tier::interp) return {};
  NativeOptions options;
  options.opt_level = config.opt_level;
  options.cpu_features = config.cpu.bits;
  options.fuel = config.options.fuel;
  options.epochs = config.options.epochs;
  options.deterministic_nans = config.options.deterministic_nans;
  options.deterministic_simd = config.options.deterministic_simd;
  options.interrupts = config.interruptible;
  options.compile = &compile_by_plugin;
  options.eager = tier != Tier::automatic;
  options.tiering.automatic = tier == Tier::automatic;
  options.worker.emplace();
  options.all_lines = announces_code();
  options.as_artefact = tier == Tier::aot;
  if (engine.cache)
    options.compiled = [cache = engine.cache, key = engine.cache_key()](const Module& module) {
      cache->save(module, key);
    };
  store.set_compiler(std::make_unique<NativeTier>(store, std::move(options)));
  return {};
}

namespace {

Memory* memory_of(const tenon_extern_t* e) { return static_cast<Memory*>(e->object); }
FuncRef* func_of(const tenon_extern_t* e) { return static_cast<FuncRef*>(e->object); }
const FuncType& type_of_func(const tenon_extern_t* e) {
  return *e->store->store->types().get(func_of(e)->type).func();
}

tenon_error_t* check_call(const FuncType& type, const tenon_val_t* args, size_t arg_count,
                          size_t result_count) {
  if (arg_count != type.params.size())
    return api::usage_error(
        fmt::format("the function takes {} arguments, {} given", type.params.size(), arg_count));
  if (result_count < type.results.size())
    return api::usage_error(fmt::format("the function gives {} results, there is room for {}",
                                        type.results.size(), result_count));
  for (size_t i = 0; i < arg_count; ++i)
    if (args[i].kind != api::kind_of(type.params[i]))
      return api::usage_error(fmt::format("argument {} must be {}", i, to_string(type.params[i])));
  return nullptr;
}

// A host can pass null, or a reference that the guest gave, where the type is wide enough.
tenon_error_t* check_refs(const TypeRegistry& types, const FuncType& type, const tenon_val_t* args) {
  for (size_t i = 0; i < type.params.size(); ++i) {
    const ValType t = type.params[i];
    if (!t.is_ref()) continue;
    if (args[i].of.ref == kNullRef
            ? t.nullable()
            : !t.heap().is_abstract() || ref_test(types, args[i].of.ref, t.heap(), false))
      continue;
    return api::usage_error(fmt::format("argument {} is no {}", i, to_string(t)));
  }
  return nullptr;
}

[[gnu::noinline]] tenon_error_t* failure(Store& store, Status status) {
  return api::make_error(store.trap_error(status), store.trap());
}

tenon_error_t* run(tenon_store_t* store, FuncRef* func, Slot* slots) {
  const Status status = store->store->call(func, slots);
  if (status == Status::ok) [[likely]]
    return nullptr;
  return failure(*store->store, status);
}

}  // namespace

tenon_error_t* tenon_store_new(tenon_engine_t* engine, tenon_store_t** out) try {
  auto handle = std::make_unique<tenon_store>();
  handle->store = std::make_unique<Store>(engine->engine, engine->config.limits);
  handle->store->set_embedder(handle.get());
  if (auto ready = api::prepare_store(*engine, *handle->store); !ready) return api::make_error(ready.error());
  *out = handle.release();
  return nullptr;
} catch (...) {
  return api::caught();
}

void tenon_store_delete(tenon_store_t* store) { delete store; }

void tenon_store_set_fuel(tenon_store_t* store, uint64_t fuel) {
  store->store->context().fuel = static_cast<i64>(std::min<u64>(fuel, INT64_MAX));
}
uint64_t tenon_store_fuel(const tenon_store_t* store) {
  return static_cast<u64>(std::max<i64>(store->store->context().fuel, 0));
}
void tenon_store_interrupt(tenon_store_t* store) {
  store->store->interrupt();
  if (wasi::WasiContext* context = store->wasi.load()) wasi::cancel_wasi(*context);
}
void tenon_store_clear_interrupt(tenon_store_t* store) { store->store->clear_interrupt(); }
tenon_error_t* tenon_store_profile_start(tenon_store_t* store, uint32_t hz) try {
  auto profiler = Profiler::start(*store->store, hz);
  if (!profiler) return api::make_error(profiler.error());
  store->profiler = std::move(*profiler);
  return nullptr;
} catch (...) {
  return api::caught();
}
tenon_string_t tenon_store_profile_stop(tenon_store_t* store) {
  const std::unique_ptr<Profiler> profiler = std::move(store->profiler);
  return api::new_string(profiler ? to_string(profiler->stop()) : "");
}
void tenon_store_set_epoch_deadline(tenon_store_t* store, uint64_t ticks) {
  StoreContext& context = store->store->context();
  const u64 now = __atomic_load_n(context.epoch, __ATOMIC_RELAXED);
  context.epoch_deadline = ticks > ~u64{0} - now ? ~u64{0} : now + ticks;
}
void tenon_store_collect(tenon_store_t* store) { store->store->heap().collect(); }

bool tenon_func_type(const tenon_extern_t* func, tenon_functype_t* out) {
  if (func->kind != TENON_EXTERN_FUNC) return false;
  const FuncType& type = type_of_func(func);
  *out = {type.params.size(), type.results.size(), {}, {}};
  for (size_t i = 0; i < std::min<size_t>(type.params.size(), std::size(out->params)); ++i)
    out->params[i] = api::kind_of(type.params[i]);
  for (size_t i = 0; i < std::min<size_t>(type.results.size(), std::size(out->results)); ++i)
    out->results[i] = api::kind_of(type.results[i]);
  return true;
}

tenon_error_t* tenon_func_call(const tenon_extern_t* func, const tenon_val_t* args, size_t arg_count,
                               tenon_val_t* results, size_t result_count) try {
  if (func->kind != TENON_EXTERN_FUNC) return api::usage_error("not a function");
  const FuncType& type = type_of_func(func);
  if (tenon_error_t* e = check_call(type, args, arg_count, result_count)) return e;
  if (tenon_error_t* e = check_refs(func->store->store->types(), type, args)) return e;
  api::SlotBuffer slots(std::max(type.param_slots, type.result_slots));
  api::to_slots(type.params, args, slots.data());
  if (tenon_error_t* e = run(func->store, func_of(func), slots.data())) return e;
  api::from_slots(type.results, slots.data(), results);
  return nullptr;
} catch (...) {
  return api::caught();
}

tenon_error_t* tenon_func_call_slots(const tenon_extern_t* func, uint64_t* slots) try {
  return run(func->store, func_of(func), reinterpret_cast<Slot*>(slots));
} catch (...) {
  return api::caught();
}

uint8_t* tenon_memory_data(const tenon_extern_t* memory) { return memory_of(memory)->desc().base; }
uint64_t tenon_memory_size(const tenon_extern_t* memory) { return memory_of(memory)->length(); }
uint64_t tenon_memory_grow(const tenon_extern_t* memory, uint64_t pages) {
  return memory_of(memory)->grow(pages).value_or(UINT64_MAX);
}

namespace {

tenon_error_t* out_of_bounds(const Memory* m, uint64_t address, size_t size) {
  if (size <= m->length() && address <= m->length() - size) return nullptr;
  return api::usage_error(
      fmt::format("{} bytes at {} are not inside the memory of {} bytes", size, address, m->length()));
}

}  // namespace

tenon_error_t* tenon_memory_read(const tenon_extern_t* memory, uint64_t address, void* to, size_t size) try {
  if (tenon_error_t* e = out_of_bounds(memory_of(memory), address, size)) return e;
  if (size != 0) std::memcpy(to, memory_of(memory)->desc().base + address, size);
  return nullptr;
} catch (...) {
  return api::caught();
}

tenon_error_t* tenon_memory_write(const tenon_extern_t* memory, uint64_t address, const void* from,
                                  size_t size) try {
  if (tenon_error_t* e = out_of_bounds(memory_of(memory), address, size)) return e;
  if (size != 0) std::memcpy(memory_of(memory)->desc().base + address, from, size);
  return nullptr;
} catch (...) {
  return api::caught();
}

void tenon_global_get(const tenon_extern_t* global, tenon_val_t* out) {
  const Global& g = *static_cast<Global*>(global->object);
  const Slot slots[2] = {g.cell->lo, g.cell->hi};
  api::from_slots({&g.type.type, 1}, slots, out);
}

tenon_error_t* tenon_global_set(const tenon_extern_t* global, const tenon_val_t* value) try {
  const Global& g = *static_cast<Global*>(global->object);
  if (!g.type.mutable_) return api::usage_error("the global is immutable");
  if (g.type.type.is_ref() || value->kind != api::kind_of(g.type.type))
    return api::usage_error(
        fmt::format("the global holds {}, set with another kind or a reference", to_string(g.type.type)));
  Slot slots[2] = {};
  api::to_slots({&g.type.type, 1}, value, slots);
  *g.cell = {slots[0], slots[1]};
  return nullptr;
} catch (...) {
  return api::caught();
}

uint64_t tenon_table_size(const tenon_extern_t* table) { return static_cast<Table*>(table->object)->size(); }

bool tenon_instance_get(tenon_instance_t* instance, const char* name, size_t size, tenon_extern_t* out) {
  const auto found = instance->instance->find_export({name, size});
  if (!found) return false;
  *out = api::from_extern(*found, instance->store);
  return true;
}

size_t tenon_instance_export_count(const tenon_instance_t* instance) {
  return instance->instance->module().exports.size();
}

bool tenon_instance_export(tenon_instance_t* instance, size_t index, tenon_name_t* name,
                           tenon_extern_t* out) {
  const auto& exports = instance->instance->module().exports;
  if (index >= exports.size()) return false;
  if (name) *name = api::name_of(exports[index].name);
  *out = api::from_extern(instance->instance->export_at(exports[index].kind, exports[index].index),
                          instance->store);
  return true;
}
