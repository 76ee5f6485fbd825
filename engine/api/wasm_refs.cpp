// References of the standard C API: handles, host information, values, traps and frames, foreign objects.
#include <algorithm>
#include <utility>

#include "wasm_handles.h"

using namespace tenon;
using api::RefKind;

namespace tenon::api {

namespace {

Wrapped* wrapped_of(u64 bits) {
  if (is_i31(bits) || as_object(bits)->type != kHostObject) return nullptr;
  return reinterpret_cast<Wrapped*>(host_value(as_object(bits)));
}

// An object of the heap that stands for a host's one; null when the heap is full.
Object* new_wrapper(StoreState& state, RefKind kind, void* object, std::shared_ptr<void> body) {
  auto* const wrapped =
      new Wrapped(kind, object, std::move(body));  // the finalizer's, once there is an object
  Object* made = state.store->heap().new_host(reinterpret_cast<u64>(wrapped),
                                              [](u64 value) { delete reinterpret_cast<Wrapped*>(value); });
  if (!made) delete wrapped;
  return made;
}

// What a guest sees of a host's object that is no reference of Wasm's: one externref, as long as the store lives.
Object* wrapper_of(StoreState& state, const wasm_ref_t* ref) {
  if (const auto found = state.wrappers.find(ref->identity()); found != state.wrappers.end())
    return found->second;
  Object* made = new_wrapper(state, ref->kind, ref->object, ref->body);
  if (!made) return nullptr;
  state.store->heap().root(made->ref());
  state.wrappers.emplace(ref->identity(), made);
  return made;
}

HostInfo* info_of(const wasm_ref_t* ref, bool make) {
  switch (ref->kind) {
    case RefKind::module: return &static_cast<ModuleBody*>(ref->body.get())->info;
    case RefKind::trap: return &static_cast<TrapBody*>(ref->body.get())->info;
    case RefKind::foreign: return &wrapped_of(reinterpret_cast<u64>(ref->object))->info;
    default: break;
  }
  auto& infos = ref->state->infos;
  if (const auto found = infos.find(ref->object); found != infos.end()) return &found->second;
  if (!make) return nullptr;
  // What carries host information is kept, or its address could come to mean something else.
  if (ref->kind == RefKind::value && !is_i31(reinterpret_cast<u64>(ref->object)))
    ref->state->store->heap().root(reinterpret_cast<u64>(ref->object));
  return &infos[ref->object];
}

bool is_top(HeapType heap) {
  return heap == HeapType(AbstractHeap::func) || heap == HeapType(AbstractHeap::extern_) ||
         heap == HeapType(AbstractHeap::any);
}

}  // namespace

wasm_ref_t* new_ref(const State& state, RefKind kind, void* object, std::shared_ptr<void> body) {
  switch (kind) {
    case RefKind::func: return new wasm_func_t(kind, state, object, nullptr);
    case RefKind::global: return new wasm_global_t(kind, state, object, nullptr);
    case RefKind::table: return new wasm_table_t(kind, state, object, nullptr);
    case RefKind::memory: return new wasm_memory_t(kind, state, object, nullptr);
    case RefKind::tag: return new wasm_extern_t(kind, state, object, nullptr);
    case RefKind::instance: return new wasm_instance_t(kind, state, object, nullptr);
    case RefKind::module: return new wasm_module_t(kind, state, object, std::move(body));
    case RefKind::trap: return new wasm_trap_t(kind, state, object, std::move(body));
    case RefKind::foreign:
    case RefKind::value: break;
  }
  wasm_ref_t* ref = kind == RefKind::foreign ? new wasm_foreign_t(kind, state, object, nullptr)
                                             : new wasm_ref_t(kind, state, object, nullptr);
  const u64 bits = reinterpret_cast<u64>(object);
  if (!is_i31(bits)) ref->root = state->store->heap().root(bits);
  return ref;
}

wasm_ref_t* copy_ref(const wasm_ref_t* ref) { return new_ref(ref->state, ref->kind, ref->object, ref->body); }

wasm_ref_t* ref_from_bits(const State& state, ValType type, u64 bits) {
  if (bits == kNullRef) return nullptr;
  if (is_func_ref(state->store->types(), type))
    return new_ref(state, RefKind::func, reinterpret_cast<void*>(bits));
  const Wrapped* wrapped = wrapped_of(bits);
  if (wrapped && wrapped->kind != RefKind::foreign)
    return new_ref(state, wrapped->kind, wrapped->object, wrapped->body);
  return new_ref(state, wrapped ? RefKind::foreign : RefKind::value, reinterpret_cast<void*>(bits));
}

const char* bits_from_ref(StoreState& state, ValType type, const wasm_ref_t* ref, u64& bits) {
  const TypeRegistry& types = state.store->types();
  bits = kNullRef;
  if (!ref) return type.nullable() ? nullptr : "null for a reference that is not nullable";
  if (ref->state.get() != &state) return "a reference from another store";
  if (is_func_ref(types, type)) {
    if (ref->kind != RefKind::func) return "a reference to something else than a function";
    bits = reinterpret_cast<u64>(ref->object);
  } else if (ref->kind == RefKind::value || ref->kind == RefKind::foreign) {
    bits = reinterpret_cast<u64>(ref->object);
  } else if (const Object* wrapper = wrapper_of(state, ref)) {
    bits = reinterpret_cast<u64>(wrapper);
  } else {
    return "no memory left for references";
  }
  if (is_top(type.heap()) || ref_test(types, bits, type.heap(), false)) return nullptr;
  return "a reference of the wrong type";
}

const char* slot_from_val(StoreState& state, ValType type, const wasm_val_t& val, Slot& slot) {
  slot.u64_ = 0;
  if (type.is_vec()) return "a vector, which this interface has no value for (tenon.h has)";
  if (type.is_ref()) {
    if (!wasm_valkind_is_ref(val.kind)) return "a number for a reference";
    return bits_from_ref(state, type, val.of.ref, slot.ref);
  }
  if (val.kind != static_cast<wasm_valkind_t>(type.kind())) return "a value of the wrong kind";
  static_assert(static_cast<int>(ValKind::i32) == WASM_I32 && static_cast<int>(ValKind::f64) == WASM_F64);
  if (type.kind() == ValKind::i32 || type.kind() == ValKind::f32)
    slot.i32_ = val.of.i32;  // either one's bits
  else
    slot.i64_ = val.of.i64;
  return nullptr;
}

void val_from_slot(const State& state, ValType type, const Slot& slot, wasm_val_t& out) {
  out.of.i64 = 0;
  if (type.is_ref()) {
    out.kind = is_func_ref(state->store->types(), type) ? WASM_FUNCREF : WASM_EXTERNREF;
    out.of.ref = ref_from_bits(state, type, slot.ref);
    return;
  }
  out.kind = static_cast<wasm_valkind_t>(type.kind());
  if (type.kind() == ValKind::i32 || type.kind() == ValKind::f32)
    out.of.i32 = slot.i32_;
  else
    out.of.i64 = slot.i64_;
}

wasm_trap_t* new_trap(const State& state, std::string message) {
  auto body = std::make_shared<TrapBody>();
  body->message = std::move(message);
  return new_ref_as<wasm_trap_t>(state, RefKind::trap, nullptr, std::move(body));
}

wasm_trap_t* take_trap(const State& state, const Error& error) {
  std::shared_ptr<TrapBody> body = std::exchange(state->thrown, nullptr);
  const bool ran = error.category == ErrorCategory::trap || error.category == ErrorCategory::exception ||
                   error.category == ErrorCategory::exit;
  const TrapRecord& record = state->store->trap();
  if (!ran || record.code != TrapCode::host_error || !body) {
    body = std::make_shared<TrapBody>();
    // A trace follows in further lines.
    body->message = error.message.substr(0, error.message.find('\n'));
  }
  if (ran) body->frames = record.frames;
  return new_ref_as<wasm_trap_t>(state, RefKind::trap, nullptr, std::move(body));
}

wasm_trap_t* take_trap(const State& state, Status status) {
  return take_trap(state, state->store->trap_error(status));
}

}  // namespace tenon::api

// ---- What all references have

void wasm_ref_delete(wasm_ref_t* ref) { delete ref; }
wasm_ref_t* wasm_ref_copy(const wasm_ref_t* ref) { return api::copy_ref(ref); }
bool wasm_ref_same(const wasm_ref_t* a, const wasm_ref_t* b) {
  return a == b || (a && b && a->kind == b->kind && a->identity() == b->identity());
}
void* wasm_ref_get_host_info(const wasm_ref_t* ref) {
  const api::HostInfo* info = api::info_of(ref, false);
  return info ? info->data() : nullptr;
}
void wasm_ref_set_host_info(wasm_ref_t* ref, void* data) { api::info_of(ref, true)->set(data, nullptr); }
void wasm_ref_set_host_info_with_finalizer(wasm_ref_t* ref, void* data, void (*finalizer)(void*)) {
  api::info_of(ref, true)->set(data, finalizer);
}

#define TENON_REF_BASE(name)                                                                                \
  void wasm_##name##_delete(wasm_##name##_t* ref) { delete ref; }                                           \
  wasm_##name##_t* wasm_##name##_copy(const wasm_##name##_t* ref) {                                         \
    return static_cast<wasm_##name##_t*>(api::copy_ref(ref));                                               \
  }                                                                                                         \
  bool wasm_##name##_same(const wasm_##name##_t* a, const wasm_##name##_t* b) {                             \
    return wasm_ref_same(a, b);                                                                             \
  }                                                                                                         \
  void* wasm_##name##_get_host_info(const wasm_##name##_t* ref) { return wasm_ref_get_host_info(ref); }     \
  void wasm_##name##_set_host_info(wasm_##name##_t* ref, void* data) { wasm_ref_set_host_info(ref, data); } \
  void wasm_##name##_set_host_info_with_finalizer(wasm_##name##_t* ref, void* data, void (*end)(void*)) {   \
    wasm_ref_set_host_info_with_finalizer(ref, data, end);                                                  \
  }                                                                                                         \
  wasm_ref_t* wasm_##name##_as_ref(wasm_##name##_t* ref) { return ref; }                                    \
  const wasm_ref_t* wasm_##name##_as_ref_const(const wasm_##name##_t* ref) { return ref; }

#define TENON_REF_IMPLEMENTATION(name, is_it)                                   \
  TENON_REF_BASE(name)                                                          \
  wasm_##name##_t* wasm_ref_as_##name(wasm_ref_t* ref) {                        \
    return ref && (is_it) ? static_cast<wasm_##name##_t*>(ref) : nullptr;       \
  }                                                                             \
  const wasm_##name##_t* wasm_ref_as_##name##_const(const wasm_ref_t* ref) {    \
    return ref && (is_it) ? static_cast<const wasm_##name##_t*>(ref) : nullptr; \
  }
TENON_REF_IMPLEMENTATION(func, ref->kind == RefKind::func)
TENON_REF_IMPLEMENTATION(global, ref->kind == RefKind::global)
TENON_REF_IMPLEMENTATION(table, ref->kind == RefKind::table)
TENON_REF_IMPLEMENTATION(memory, ref->kind == RefKind::memory)
TENON_REF_IMPLEMENTATION(extern, ref->kind <= RefKind::tag)
TENON_REF_IMPLEMENTATION(instance, ref->kind == RefKind::instance)
TENON_REF_IMPLEMENTATION(module, ref->kind == RefKind::module)
TENON_REF_IMPLEMENTATION(trap, ref->kind == RefKind::trap)
TENON_REF_IMPLEMENTATION(foreign, ref->kind == RefKind::foreign)

#define TENON_EXTERN_CASTS(name)                                                                 \
  wasm_extern_t* wasm_##name##_as_extern(wasm_##name##_t* ref) { return ref; }                   \
  const wasm_extern_t* wasm_##name##_as_extern_const(const wasm_##name##_t* ref) { return ref; } \
  wasm_##name##_t* wasm_extern_as_##name(wasm_extern_t* ref) { return wasm_ref_as_##name(ref); } \
  const wasm_##name##_t* wasm_extern_as_##name##_const(const wasm_extern_t* ref) {               \
    return wasm_ref_as_##name##_const(ref);                                                      \
  }
TENON_EXTERN_CASTS(func)
TENON_EXTERN_CASTS(global)
TENON_EXTERN_CASTS(table)
TENON_EXTERN_CASTS(memory)

// ---- Values

void wasm_val_delete(wasm_val_t* val) {
  if (val && wasm_valkind_is_ref(val->kind)) wasm_ref_delete(std::exchange(val->of.ref, nullptr));
}

void wasm_val_copy(wasm_val_t* out, const wasm_val_t* val) {
  *out = *val;
  if (wasm_valkind_is_ref(val->kind) && val->of.ref) out->of.ref = wasm_ref_copy(val->of.ref);
}

// ---- Foreign objects

wasm_foreign_t* wasm_foreign_new(wasm_store_t* store) {
  return api::guarded(
      [&]() -> wasm_foreign_t* {
        Object* object = api::new_wrapper(*store->state, RefKind::foreign, nullptr, nullptr);
        return object ? api::new_ref_as<wasm_foreign_t>(store->state, RefKind::foreign, object) : nullptr;
      },
      [] { return nullptr; });
}

// ---- Traps and frames

namespace {

const api::TrapBody& body_of(const wasm_trap_t* trap) {
  return *static_cast<const api::TrapBody*>(trap->body.get());
}

wasm_frame_t* new_frame(const api::State& state, const TraceFrame& frame) {
  const auto found = state->newest.find(frame.module);
  std::unique_ptr<wasm_instance_t> instance;
  if (found != state->newest.end())
    instance.reset(api::new_ref_as<wasm_instance_t>(state, RefKind::instance, found->second));
  return new wasm_frame_t{state, frame, std::move(instance)};
}

}  // namespace

wasm_trap_t* wasm_trap_new(wasm_store_t* store, const wasm_message_t* message) {
  std::string_view text(message->data, message->size);
  if (text.ends_with('\0')) text.remove_suffix(1);
  return api::new_trap(store->state, std::string(text));
}

void wasm_trap_message(const wasm_trap_t* trap, wasm_message_t* out) {
  const std::string& text = body_of(trap).message;
  wasm_byte_vec_new(out, text.size() + 1, text.c_str());
}

wasm_frame_t* wasm_trap_origin(const wasm_trap_t* trap) {
  const auto& frames = body_of(trap).frames;
  return frames.empty() ? nullptr : new_frame(trap->state, frames.front());
}

void wasm_trap_trace(const wasm_trap_t* trap, wasm_frame_vec_t* out) {
  const auto& frames = body_of(trap).frames;
  wasm_frame_vec_new_uninitialized(out, frames.size());
  for (size_t i = 0; i < out->size; ++i) out->data[i] = new_frame(trap->state, frames[i]);
}

void wasm_frame_delete(wasm_frame_t* frame) { delete frame; }
wasm_frame_t* wasm_frame_copy(const wasm_frame_t* frame) { return new_frame(frame->state, frame->frame); }
wasm_instance_t* wasm_frame_instance(const wasm_frame_t* frame) { return frame->instance.get(); }
uint32_t wasm_frame_func_index(const wasm_frame_t* frame) { return frame->frame.function.value; }
size_t wasm_frame_module_offset(const wasm_frame_t* frame) { return frame->frame.offset; }
size_t wasm_frame_func_offset(const wasm_frame_t* frame) {
  return frame->frame.offset - frame->frame.module->functions[frame->frame.function.value].offset;
}
