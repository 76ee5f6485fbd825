// Linkers and host functions of the C API.
#include <algorithm>

#include "handles.h"
#include "values.h"

using namespace tenon;

namespace {

// A callback as the engine sees it; HostFunc::data.
struct Callback {
  std::string module, name;
  std::vector<ValType> params, results;
  HostFuncDesc desc;
  tenon_callback_t function = nullptr;
  tenon_slots_callback_t slots_function = nullptr;  // in place of it
  void* env = nullptr;
  void (*finalizer)(void*) = nullptr;

  ~Callback() {
    if (finalizer) finalizer(env);
  }
};

Status finish(Store& store, tenon_error_t* error) {
  const std::unique_ptr<tenon_error_t> owned(error);
  if (error->error.category == ErrorCategory::exit) return store.raise_exit(error->exit_status);
  return store.raise(error->trap == TrapCode::none ? TrapCode::host_error : error->trap,
                     error->error.message);
}

Status call_back(FuncRef* self, Slot* slots) {
  auto* host = static_cast<HostFunc*>(self->code);
  auto* callback = static_cast<Callback*>(host->data);
  Store& store = *host->store->store;
  tenon_caller caller{host, static_cast<tenon_store_t*>(store.embedder())};
  const size_t params = callback->params.size(), results = callback->results.size();
  std::array<tenon_val_t, 16> few;
  std::vector<tenon_val_t> many;
  if (params + results > few.size()) many.resize(params + results);
  tenon_val_t* const args = many.empty() ? few.data() : many.data();
  tenon_val_t* const out = args + params;
  api::from_slots(callback->params, slots, args);
  for (size_t i = 0; i < results; ++i) {
    std::memset(&out[i], 0, sizeof out[i]);
    out[i].kind = api::kind_of(callback->results[i]);
  }
  if (tenon_error_t* e = callback->function(callback->env, &caller, args, params, out, results))
    return finish(store, e);
  for (size_t i = 0; i < results; ++i)
    if (out[i].kind != api::kind_of(callback->results[i]))
      return store.raise(TrapCode::host_error,
                         fmt::format("result {} of {}.{} must be {}", i, callback->module, callback->name,
                                     to_string(callback->results[i])));
  api::to_slots(callback->results, out, slots);
  return Status::ok;
}

Status call_back_slots(FuncRef* self, Slot* slots) {
  auto* host = static_cast<HostFunc*>(self->code);
  const auto* callback = static_cast<const Callback*>(host->data);
  Store& store = *host->store->store;
  tenon_caller caller{host, static_cast<tenon_store_t*>(store.embedder())};
  tenon_error_t* e = callback->slots_function(callback->env, &caller, reinterpret_cast<uint64_t*>(slots));
  if (e) [[unlikely]]
    return finish(store, e);
  return Status::ok;
}

bool read_types(std::span<const uint8_t> kinds, std::vector<ValType>& out) {
  constexpr ValType kTypes[] = {kI32, kI64, kF32, kF64, kV128};
  for (const uint8_t kind : kinds) {
    if (kind >= std::size(kTypes)) return false;
    out.push_back(kTypes[kind]);
  }
  return true;
}

// What wasi-nn has to know of a module. The memory is the one that host functions see: the exported "memory",
// else the first. Guests for WasmEdge import its functions, or are built with its crate, whose name is in the name
// section.
NnCaller nn_caller(const Module& module) {
  NnCaller caller;
  const Export* memory = module.find_export("memory");
  const u32 index = memory && memory->kind == ExternKind::memory ? memory->index : 0;
  if (index < module.memories.size()) {
    caller.memory64 = module.memories[index].is64;
    caller.shared_memory = module.memories[index].shared;
  }
  u32 function = 0;
  for (const Import& import : module.imports) {
    if (import.kind() != ExternKind::func) continue;
    const bool nn = import.module == "wasi_ephemeral_nn";
    static constexpr std::string_view kTheirs[] = {"load_by_name_with_config", "compute_single",
                                                   "get_output_single", "fini_single", "unload"};
    const bool theirs = std::ranges::find(kTheirs, import.name) != std::end(kTheirs);
    const bool crate = function < module.names.functions.size() &&
                       module.names.functions[function].find("wasmedge_wasi_nn") != std::string_view::npos;
    caller.wasmedge = caller.wasmedge || (nn && (theirs || crate));
    ++function;
  }
  return caller;
}

tenon_error_t* bind_store(tenon_linker_t* linker, const tenon_store_t* store) {
  if (linker->only_store && linker->only_store != store->id)
    return api::usage_error("this linker already holds definitions of another store");
  linker->only_store = store->id;
  return nullptr;
}

}  // namespace

void api::define_nn(Linker& linker, const NnEnvironment& environment, NnGuest& guest, const Module& module) {
  const NnCaller caller = nn_caller(module);
  for (const HostFuncDesc& desc : environment.functions(caller.memory64))
    linker.define(desc, guest.data(caller));
}

tenon_store_t* tenon_caller_store(tenon_caller_t* caller) { return caller->store; }

uint8_t* tenon_caller_memory(tenon_caller_t* caller, uint64_t address, uint64_t size) {
  return guest_memory(*caller->host).at(address, size);
}

tenon_linker_t* tenon_linker_new(tenon_engine_t* engine) try {
  auto* linker = new tenon_linker;
  linker->engine = engine->engine;
  linker->cancellable = engine->config.interruptible || engine->config.cancellable;
  return linker;
} catch (...) {
  return nullptr;
}

void tenon_linker_delete(tenon_linker_t* linker) { delete linker; }

namespace {

// Owns `env` only when it is defined.
tenon_error_t* define_callback(tenon_linker_t* linker, const char* module, const char* name,
                               std::span<const uint8_t> params, std::span<const uint8_t> results,
                               ArrayEntry entry, std::shared_ptr<Callback> def, void* env,
                               void (*finalizer)(void*)) {
  if (!read_types(params, def->params) || !read_types(results, def->results))
    return api::usage_error("host functions take and give numbers and vectors only");
  def->module = module;
  def->name = name;
  def->desc = {def->module, def->name, def->params, def->results, entry, nullptr};
  linker->keep.push_back(def);
  linker->linker.define(def->desc, def.get());
  def->env = env;
  def->finalizer = finalizer;
  return nullptr;
}

}  // namespace

tenon_error_t* tenon_linker_define_func(tenon_linker_t* linker, const char* module, const char* name,
                                        const uint8_t* params, size_t param_count, const uint8_t* results,
                                        size_t result_count, tenon_callback_t callback, void* env,
                                        void (*finalizer)(void*)) try {
  auto def = std::make_shared<Callback>();
  def->function = callback;
  return define_callback(linker, module, name, {params, param_count}, {results, result_count}, &call_back,
                         std::move(def), env, finalizer);
} catch (...) {
  return api::caught();
}

tenon_error_t* tenon_linker_define_func_slots(tenon_linker_t* linker, const char* module, const char* name,
                                              const uint8_t* params, size_t param_count,
                                              const uint8_t* results, size_t result_count,
                                              tenon_slots_callback_t callback, void* env,
                                              void (*finalizer)(void*)) try {
  auto def = std::make_shared<Callback>();
  def->slots_function = callback;
  return define_callback(linker, module, name, {params, param_count}, {results, result_count},
                         &call_back_slots, std::move(def), env, finalizer);
} catch (...) {
  return api::caught();
}

tenon_error_t* tenon_linker_define(tenon_linker_t* linker, const char* module, const char* name,
                                   const tenon_extern_t* value) try {
  if (tenon_error_t* e = bind_store(linker, value->store)) return e;
  linker->linker.define(module, name, api::to_extern(*value));
  return nullptr;
} catch (...) {
  return api::caught();
}

tenon_error_t* tenon_linker_alias(tenon_linker_t* linker, const char* from_module, const char* from_name,
                                  const char* module, const char* name) try {
  if (linker->linker.alias(from_module, from_name, module, name)) return nullptr;
  return api::make_error(Error{ErrorCategory::not_found,
                               fmt::format("nothing is defined as \"{}\" \"{}\"", from_module, from_name),
                               {}});
} catch (...) {
  return api::caught();
}

tenon_error_t* tenon_linker_define_instance(tenon_linker_t* linker, const char* module,
                                            tenon_instance_t* instance) try {
  if (tenon_error_t* e = bind_store(linker, instance->store)) return e;
  linker->linker.define_instance(module, *instance->instance);
  return nullptr;
} catch (...) {
  return api::caught();
}

tenon_error_t* tenon_linker_define_wasi(tenon_linker_t* linker, tenon_wasi_t* wasi) try {
  wasi->config.cancellable = linker->cancellable;
  auto context = wasi::make_wasi_context(std::move(wasi->config));
  wasi->config = {};
  if (!context) return api::make_error(context.error());
  for (const HostFuncDesc& desc : wasi::wasi_functions()) linker->linker.define(desc, context->get());
  linker->wasi = linker->cancellable ? context->get() : nullptr;
  linker->keep.push_back(std::move(*context));
  return nullptr;
} catch (...) {
  return api::caught();
}

tenon_error_t* tenon_linker_define_nn(tenon_linker_t* linker, tenon_nn_t* nn) try {
  linker->nn.push_back(nn->state);
  return nullptr;
} catch (...) {
  return api::caught();
}

tenon_error_t* tenon_linker_instantiate(tenon_linker_t* linker, tenon_store_t* store,
                                        const tenon_module_t* module, tenon_instance_t** out) try {
  if (linker->only_store && linker->only_store != store->id)
    return api::usage_error("the linker holds definitions of another store");
  for (const auto& needed : linker->keep)  // once, however many instances it makes
    if (std::find(store->keep.begin(), store->keep.end(), needed) == store->keep.end())
      store->keep.push_back(needed);
  if (linker->wasi) store->wasi.store(linker->wasi);
  const Linker* names = &linker->linker;
  Linker with_nn;  // wasi-nn's handles belong to a store, so its definitions are made for each
  if (!linker->nn.empty()) {
    with_nn = linker->linker;
    names = &with_nn;
    for (const auto& nn : linker->nn) {
      auto& guest = store->nn_guests[nn.get()];
      if (!guest) guest = nn->environment->new_guest();
      if (std::find(store->keep.begin(), store->keep.end(), nn) == store->keep.end())
        store->keep.push_back(nn);
      api::define_nn(with_nn, *nn->environment, *guest, *module->module);
    }
  }
  auto instance = names->instantiate(*store->store, module->module);
  if (!instance) return api::make_error(instance.error(), store->store->trap());
  *out = store->add(*instance);
  return nullptr;
} catch (...) {
  return api::caught();
}
