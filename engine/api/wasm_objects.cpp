// Engines, stores, modules, and the objects of a store in the standard C API.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "engine/aot/artefact.h"
#include "values.h"
#include "wasm_handles.h"

using namespace tenon;
using api::RefKind;

// ---- Configuration, engine, store

wasm_config_t* wasm_config_new(void) { return new wasm_config_t; }
void wasm_config_delete(wasm_config_t* config) { delete config; }
tenon_config_t* tenon_wasm_config(wasm_config_t* config) { return &config->config; }

namespace {

// The standard knows no limit to the number of objects.
tenon_config without_counts(tenon_config config) {
  const StoreLimits defaults;
  constexpr u32 kMany = 10'000'000;
  for (u32 StoreLimits::* count : {&StoreLimits::instances, &StoreLimits::memories, &StoreLimits::tables})
    if (config.limits.*count == defaults.*count) config.limits.*count = kMany;
  return config;
}

wasm_engine_t* new_engine(const tenon_config& config) {
  return api::guarded([&] { return new wasm_engine_t{{std::make_shared<Engine>(config.options), config}}; },
                      []() -> wasm_engine_t* { return nullptr; });
}

}  // namespace

wasm_engine_t* wasm_engine_new(void) { return new_engine(without_counts({})); }
wasm_engine_t* wasm_engine_new_with_config(wasm_config_t* config) {
  const std::unique_ptr<wasm_config_t> owned(config);
  return new_engine(without_counts(config->config));
}
void wasm_engine_delete(wasm_engine_t* engine) { delete engine; }

wasm_store_t* wasm_store_new(wasm_engine_t* engine) {
  return api::guarded(
      [&]() -> wasm_store_t* {
        auto state = std::make_shared<api::StoreState>();
        state->engine = engine->engine.engine;
        state->config = engine->engine.config;
        state->store = std::make_unique<Store>(state->engine, engine->engine.config.limits);
        state->store->set_embedder(state.get());
        if (!api::prepare_store(engine->engine, *state->store)) return nullptr;
        return new wasm_store_t{std::move(state)};
      },
      [] { return nullptr; });
}
void wasm_store_delete(wasm_store_t* store) { delete store; }

// ---- Modules

namespace {

const Module& module_of(const wasm_module_t* module) {
  return *static_cast<const api::ModuleBody*>(module->body.get())->module;
}
const std::shared_ptr<const Module>& shared_module_of(const wasm_module_t* module) {
  return static_cast<const api::ModuleBody*>(module->body.get())->module;
}

wasm_module_t* new_module(const api::State& state, std::shared_ptr<const Module> module) {
  auto body = std::make_shared<api::ModuleBody>();
  body->module = std::move(module);
  return api::new_ref_as<wasm_module_t>(state, RefKind::module, nullptr, std::move(body));
}

wasm_module_t* compile(const api::State& state, std::string_view binary) {
  return api::guarded(
      [&]() -> wasm_module_t* {
        auto module = state->engine->compile({reinterpret_cast<const u8*>(binary.data()), binary.size()});
        return module ? new_module(state, std::move(*module)) : nullptr;
      },
      [] { return nullptr; });
}

void new_name(wasm_name_t* out, std::string_view name) { wasm_byte_vec_new(out, name.size(), name.data()); }

}  // namespace

wasm_module_t* wasm_module_new(wasm_store_t* store, const wasm_byte_vec_t* binary) {
  return compile(store->state, {binary->data, binary->size});
}

bool wasm_module_validate(wasm_store_t* store, const wasm_byte_vec_t* binary) {
  return api::guarded(
      [&] {
        return store->state->engine->compile({reinterpret_cast<const u8*>(binary->data), binary->size})
            .has_value();
      },
      [] { return false; });
}

void wasm_module_imports(const wasm_module_t* module, wasm_importtype_vec_t* out) {
  const Module& m = module_of(module);
  wasm_importtype_vec_new_uninitialized(out, m.imports.size());
  for (size_t i = 0; i < out->size; ++i) {
    wasm_name_t from, name;
    new_name(&from, m.imports[i].module);
    new_name(&name, m.imports[i].name);
    out->data[i] =
        wasm_importtype_new(&from, &name, api::new_externtype(m.type_registry(), m.imports[i].type));
  }
}

void wasm_module_exports(const wasm_module_t* module, wasm_exporttype_vec_t* out) {
  const Module& m = module_of(module);
  wasm_exporttype_vec_new_uninitialized(out, m.exports.size());
  for (size_t i = 0; i < out->size; ++i) {
    wasm_name_t name;
    new_name(&name, m.exports[i].name);
    out->data[i] =
        wasm_exporttype_new(&name, api::new_externtype(m.type_registry(), api::export_type(m, m.exports[i])));
  }
}

void wasm_module_serialize(const wasm_module_t* module, wasm_byte_vec_t* out) {
  wasm_byte_vec_new_empty(out);
  api::guarded(
      [&] {
        if (auto bytes = api::artefact_of(module->state->config, module_of(module)))
          wasm_byte_vec_new(out, bytes->size(), reinterpret_cast<const char*>(bytes->data()));
        return true;
      },
      [] { return false; });
}

wasm_module_t* wasm_module_deserialize(wasm_store_t* store, const wasm_byte_vec_t* bytes) {
  return api::guarded(
      [&]() -> wasm_module_t* {
        auto module = api::module_of_artefact(
            *store->state->engine, store->state->config,
            Artefact::from_bytes({reinterpret_cast<const u8*>(bytes->data), bytes->size}));
        return module ? new_module(store->state, std::move(*module)) : nullptr;
      },
      []() -> wasm_module_t* { return nullptr; });
}

wasm_shared_module_t* wasm_module_share(const wasm_module_t* module) {
  return new wasm_shared_module_t{shared_module_of(module)};
}
void wasm_shared_module_delete(wasm_shared_module_t* module) { delete module; }
wasm_module_t* wasm_module_obtain(wasm_store_t* store, const wasm_shared_module_t* shared) {
  if (&shared->module->type_registry() != &store->state->store->types()) return nullptr;
  return new_module(store->state, shared->module);
}

// ---- Functions

namespace {

FuncRef* func_of(const wasm_func_t* func) { return static_cast<FuncRef*>(func->object); }
const FuncType& type_of(const wasm_func_t* func) {
  return *func->state->store->types().get(func_of(func)->type).func();
}

// Values of a call, deleted at its end; in place as long as they are few.
class Values {
 public:
  explicit Values(size_t n) : size_(n) {
    if (n > few_.size()) many_.resize(n);
    std::fill_n(data(), n, wasm_val_t{});
  }
  Values(const Values&) = delete;
  Values& operator=(const Values&) = delete;
  ~Values() {
    for (size_t i = 0; i < size_; ++i) wasm_val_delete(data() + i);
  }
  wasm_val_t* data() { return many_.empty() ? few_.data() : many_.data(); }
  wasm_val_vec_t part(size_t from, size_t n) { return {n, data() + from}; }

 private:
  size_t size_;
  std::array<wasm_val_t, 8> few_;
  std::vector<wasm_val_t> many_;
};

Status fail(api::StoreState& state, std::string message) {
  return state.store->raise(TrapCode::host_error, std::move(message));
}

// A guest's call of a callback.
Status call_back(FuncRef* self, Slot* slots) {
  const auto& host = *static_cast<HostFunc*>(self->code);
  const api::State state = static_cast<api::StoreState*>(host.store->store->embedder())->shared_from_this();
  const auto& callback = *static_cast<const api::StandardCallback*>(host.data);
  const size_t params = callback.params.size(), results = callback.results.size();
  Values values(params + results);
  for (size_t i = 0; i < params; ++i)
    api::val_from_slot(state, callback.params[i], slots[i], values.data()[i]);
  for (size_t i = 0; i < results; ++i)
    values.data()[params + i].kind = api::kind_in_standard(state->store->types(), callback.results[i]);
  const wasm_val_vec_t args = values.part(0, params);
  wasm_val_vec_t out = values.part(params, results);
  const std::unique_ptr<wasm_trap_t> trap(callback.plain ? callback.plain(&args, &out)
                                                         : callback.with_env(callback.env, &args, &out));
  if (trap) {
    state->thrown = std::static_pointer_cast<api::TrapBody>(trap->body);
    return fail(*state, state->thrown->message);
  }
  for (size_t i = 0; i < results; ++i)
    if (const char* wrong =
            api::slot_from_val(*state, callback.results[i], values.data()[params + i], slots[i]))
      return fail(*state, fmt::format("a callback gave {} as result {}", wrong, i));
  return Status::ok;
}

bool read_types(const wasm_valtype_vec_t* from, std::vector<ValType>& out) {
  for (size_t i = 0; i < from->size; ++i) {
    const auto type = api::type_in_engine(wasm_valtype_kind(from->data[i]));
    if (!type) return false;
    out.push_back(*type);
  }
  return true;
}

wasm_func_t* new_func(wasm_store_t* store, const wasm_functype_t* type, api::StandardCallback& c) {
  if (!read_types(wasm_functype_params(type), c.params) ||
      !read_types(wasm_functype_results(type), c.results))
    return nullptr;
  c.desc = {"host", "function", c.params, c.results, &call_back, nullptr};
  FuncRef* func = store->state->store->new_host_func(c.desc, &c, nullptr, nullptr);
  return api::new_ref_as<wasm_func_t>(store->state, RefKind::func, func);
}

// What is wrong with a call's arguments, or nothing.
std::string arguments_to_slots(const wasm_func_t* func, const FuncType& type, const wasm_val_vec_t* args,
                               Slot* slots) {
  const size_t given = args ? args->size : 0;
  if (given != type.params.size())
    return fmt::format("the function takes {} arguments, {} given", type.params.size(), given);
  for (size_t i = 0; i < given; ++i)
    if (const char* wrong = api::slot_from_val(*func->state, type.params[i], args->data[i], slots[i]))
      return fmt::format("argument {} is {}", i, wrong);
  for (const ValType t : type.results)
    if (t.is_vec()) return "a result is a vector, which this interface has no value for (tenon.h has)";
  return {};
}

}  // namespace

// A callback of a type with vectors, for which there are no values, gives NULL; its finalizer runs with the store's.
wasm_func_t* wasm_func_new(wasm_store_t* store, const wasm_functype_t* type, wasm_func_callback_t callback) {
  return api::guarded(
      [&] {
        api::StandardCallback& c = store->state->callbacks.emplace_back();
        c.plain = callback;
        return new_func(store, type, c);
      },
      []() -> wasm_func_t* { return nullptr; });
}

wasm_func_t* wasm_func_new_with_env(wasm_store_t* store, const wasm_functype_t* type,
                                    wasm_func_callback_with_env_t callback, void* env,
                                    void (*finalizer)(void*)) {
  return api::guarded(
      [&] {
        api::StandardCallback& c = store->state->callbacks.emplace_back();
        c.with_env = callback;
        c.env = env;
        c.finalizer = finalizer;
        return new_func(store, type, c);
      },
      []() -> wasm_func_t* { return nullptr; });
}

wasm_functype_t* wasm_func_type(const wasm_func_t* func) {
  return api::new_functype(func->state->store->types(), type_of(func));
}
size_t wasm_func_param_arity(const wasm_func_t* func) { return type_of(func).params.size(); }
size_t wasm_func_result_arity(const wasm_func_t* func) { return type_of(func).results.size(); }

wasm_trap_t* wasm_func_call(const wasm_func_t* func, const wasm_val_vec_t* args, wasm_val_vec_t* results) {
  const api::State state = func->state;  // the guest may delete the handle
  return api::guarded(
      [&]() -> wasm_trap_t* {
        const FuncType& type = type_of(func);
        api::SlotBuffer slots(std::max(type.param_slots, type.result_slots));
        if (std::string wrong = arguments_to_slots(func, type, args, slots.data()); !wrong.empty())
          return api::new_trap(state, std::move(wrong));
        if (const Status status = state->store->call(func_of(func), slots.data()); status != Status::ok)
          return api::take_trap(state, status);
        // Callers that expect a trap bring no room, so this is looked at last.
        if (const size_t room = results ? results->size : 0; room < type.results.size())
          return api::new_trap(state, fmt::format("the function gives {} results, there is room for {}",
                                                  type.results.size(), room));
        for (size_t i = 0; i < type.results.size(); ++i)
          api::val_from_slot(state, type.results[i], slots.data()[i], results->data[i]);
        return nullptr;
      },
      [&] { return api::new_trap(state, "out of memory"); });
}

// ---- Globals

namespace {

Global* global_of(const wasm_global_t* global) { return static_cast<Global*>(global->object); }

}  // namespace

wasm_global_t* wasm_global_new(wasm_store_t* store, const wasm_globaltype_t* type, const wasm_val_t* init) {
  const auto content = api::type_in_engine(wasm_valtype_kind(wasm_globaltype_content(type)));
  GlobalCell cell{};
  if (!content || api::slot_from_val(*store->state, *content, *init, cell.lo)) return nullptr;
  const GlobalType engine_type{*content, wasm_globaltype_mutability(type) == WASM_VAR};
  auto global = store->state->store->new_global(engine_type, cell);
  return global ? api::new_ref_as<wasm_global_t>(store->state, RefKind::global, *global) : nullptr;
}

wasm_globaltype_t* wasm_global_type(const wasm_global_t* global) {
  return wasm_externtype_as_globaltype(
      api::new_externtype(global->state->store->types(), global_of(global)->type));
}

void wasm_global_get(const wasm_global_t* global, wasm_val_t* out) {
  const Global& g = *global_of(global);
  if (g.type.type.is_vec())
    *out = {WASM_I64, {.i64 = 0}};  // there is no value for it here
  else
    api::val_from_slot(global->state, g.type.type, g.cell->lo, *out);
}

void wasm_global_set(wasm_global_t* global, const wasm_val_t* value) {
  const Global& g = *global_of(global);
  Slot slot;
  if (g.type.mutable_ && !api::slot_from_val(*global->state, g.type.type, *value, slot)) g.cell->lo = slot;
}

// ---- Tables

namespace {

Table* table_of(const wasm_table_t* table) { return static_cast<Table*>(table->object); }

std::optional<u64> max_of(const wasm_limits_t& limits) {
  return limits.max == wasm_limits_max_default ? std::nullopt : std::optional<u64>(limits.max);
}

}  // namespace

wasm_table_t* wasm_table_new(wasm_store_t* store, const wasm_tabletype_t* type, wasm_ref_t* init) {
  const auto element = api::type_in_engine(wasm_valtype_kind(wasm_tabletype_element(type)));
  const wasm_limits_t limits = *wasm_tabletype_limits(type);
  u64 bits = 0;
  if (!element || !element->is_ref() || limits.min > limits.max ||
      api::bits_from_ref(*store->state, *element, init, bits))
    return nullptr;
  auto table = store->state->store->new_table({*element, {limits.min, max_of(limits)}, false}, bits);
  return table ? api::new_ref_as<wasm_table_t>(store->state, RefKind::table, *table) : nullptr;
}

wasm_tabletype_t* wasm_table_type(const wasm_table_t* table) {
  return wasm_externtype_as_tabletype(
      api::new_externtype(table->state->store->types(), table_of(table)->type()));
}

wasm_ref_t* wasm_table_get(const wasm_table_t* table, wasm_table_size_t index) {
  Table& t = *table_of(table);
  if (index >= t.size()) return nullptr;
  return api::ref_from_bits(table->state, t.type().element, t.desc().elements[index]);
}

bool wasm_table_set(wasm_table_t* table, wasm_table_size_t index, wasm_ref_t* ref) {
  Table& t = *table_of(table);
  u64 bits = 0;
  if (index >= t.size() || api::bits_from_ref(*table->state, t.type().element, ref, bits)) return false;
  t.desc().elements[index] = bits;
  return true;
}

wasm_table_size_t wasm_table_size(const wasm_table_t* table) {
  return static_cast<u32>(std::min<u64>(table_of(table)->size(), UINT32_MAX));
}

bool wasm_table_grow(wasm_table_t* table, wasm_table_size_t delta, wasm_ref_t* init) {
  u64 bits = 0;
  return !api::bits_from_ref(*table->state, table_of(table)->type().element, init, bits) &&
         table_of(table)->grow(delta, bits).has_value();
}

// ---- Memories

namespace {

constexpr u32 kPageShift = 16;
Memory* memory_of(const wasm_memory_t* memory) { return static_cast<Memory*>(memory->object); }

}  // namespace

wasm_memory_t* wasm_memory_new(wasm_store_t* store, const wasm_memorytype_t* type) {
  constexpr u32 kMostPages = 65536;
  const wasm_limits_t limits = *wasm_memorytype_limits(type);
  const auto max = max_of(limits);
  if (limits.min > kMostPages || (max && (*max > kMostPages || *max < limits.min))) return nullptr;
  MemoryType engine_type;
  engine_type.limits = {limits.min, max};
  auto memory = store->state->store->new_memory(engine_type);
  return memory ? api::new_ref_as<wasm_memory_t>(store->state, RefKind::memory, *memory) : nullptr;
}

wasm_memorytype_t* wasm_memory_type(const wasm_memory_t* memory) {
  return wasm_externtype_as_memorytype(
      api::new_externtype(memory->state->store->types(), memory_of(memory)->type()));
}

byte_t* wasm_memory_data(wasm_memory_t* memory) {
  return reinterpret_cast<byte_t*>(memory_of(memory)->desc().base);
}
size_t wasm_memory_data_size(const wasm_memory_t* memory) { return memory_of(memory)->length(); }

wasm_memory_pages_t wasm_memory_size(const wasm_memory_t* memory) {
  return static_cast<u32>(std::min<u64>(memory_of(memory)->length() >> kPageShift, UINT32_MAX));
}

bool wasm_memory_grow(wasm_memory_t* memory, wasm_memory_pages_t delta) {
  Memory& m = *memory_of(memory);
  return m.grow(u64{delta} << (kPageShift - m.type().page_shift)).has_value();
}

// ---- Externals and instances

namespace {

constexpr RefKind kKinds[] = {RefKind::func, RefKind::table, RefKind::memory, RefKind::global, RefKind::tag};

Extern extern_of(const wasm_extern_t* e) {
  switch (e->kind) {
    case RefKind::func: return static_cast<FuncRef*>(e->object);
    case RefKind::table: return static_cast<Table*>(e->object);
    case RefKind::memory: return static_cast<Memory*>(e->object);
    case RefKind::global: return static_cast<Global*>(e->object);
    default: return static_cast<Tag*>(e->object);
  }
}

wasm_extern_t* new_extern(const api::State& state, const Extern& e) {
  void* const object = std::visit([](auto* p) -> void* { return p; }, e);
  return api::new_ref_as<wasm_extern_t>(state, kKinds[e.index()], object);
}

// The instance, or why there is none.
wasm_trap_t* instantiate(const api::State& state, const wasm_module_t* module,
                         const wasm_extern_vec_t* imports, wasm_instance_t** out) {
  const std::shared_ptr<const Module>& m = shared_module_of(module);
  const size_t given = imports ? imports->size : 0;
  if (given < m->imports.size())
    return api::new_trap(state,
                         fmt::format("the module has {} imports, {} were given", m->imports.size(), given));
  std::vector<Extern> externs;
  for (size_t i = 0; i < m->imports.size(); ++i) {
    const wasm_extern_t* e = imports->data[i];
    if (!e || e->state != state)
      return api::new_trap(state, fmt::format("import {} is {}", i, e ? "from another store" : "NULL"));
    externs.push_back(extern_of(e));
  }
  auto instance = state->store->instantiate(m, externs);
  if (!instance) return api::take_trap(state, instance.error());
  state->newest[m.get()] = *instance;
  *out = api::new_ref_as<wasm_instance_t>(state, RefKind::instance, *instance);
  return nullptr;
}

}  // namespace

wasm_externkind_t wasm_extern_kind(const wasm_extern_t* e) {
  static_assert(static_cast<int>(RefKind::func) == WASM_EXTERN_FUNC &&
                static_cast<int>(RefKind::global) == WASM_EXTERN_GLOBAL &&
                static_cast<int>(RefKind::table) == WASM_EXTERN_TABLE &&
                static_cast<int>(RefKind::memory) == WASM_EXTERN_MEMORY);
  return static_cast<wasm_externkind_t>(e->kind);
}

wasm_externtype_t* wasm_extern_type(const wasm_extern_t* e) {
  return api::new_externtype(e->state->store->types(), tenon::type_of(extern_of(e)));
}

wasm_instance_t* wasm_instance_new(wasm_store_t* store, const wasm_module_t* module,
                                   const wasm_extern_vec_t* imports, wasm_trap_t** trap) {
  const api::State state = store->state;
  wasm_instance_t* instance = nullptr;
  std::unique_ptr<wasm_trap_t> failed(
      api::guarded([&] { return instantiate(state, module, imports, &instance); },
                   [&] { return api::new_trap(state, "out of memory"); }));
  if (failed && trap) *trap = failed.release();
  return instance;
}

void wasm_instance_exports(const wasm_instance_t* handle, wasm_extern_vec_t* out) {
  auto& instance = *static_cast<Instance*>(handle->object);
  const auto& exports = instance.module().exports;
  wasm_extern_vec_new_uninitialized(out, exports.size());
  for (size_t i = 0; i < out->size; ++i)
    out->data[i] = new_extern(handle->state, instance.export_at(exports[i].kind, exports[i].index));
}
