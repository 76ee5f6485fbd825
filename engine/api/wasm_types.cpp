// Vectors and types of the standard C API.
#include <algorithm>
#include <array>
#include <cstdlib>

#include "wasm_handles.h"

using namespace tenon;

// ---- What the types hold

struct wasm_valtype_t {
  wasm_valkind_t kind;
};

namespace {

constexpr wasm_valkind_t kVector = 4;
constexpr wasm_externkind_t kTag = 4;

// Value types have no state, so there is one object of each, which deletion leaves alone.
std::array<wasm_valtype_t, 7> value_types = {
    {{WASM_I32}, {WASM_I64}, {WASM_F32}, {WASM_F64}, {kVector}, {WASM_EXTERNREF}, {WASM_FUNCREF}}};

template <class Vec>
using Element = std::remove_pointer_t<decltype(Vec::data)>;

template <class Vec>
void make_uninitialized(Vec* out, size_t size) {
  out->data = size == 0 ? nullptr : static_cast<Element<Vec>*>(std::calloc(size, sizeof(Element<Vec>)));
  out->size = out->data ? size : 0;
}

template <class Vec>
void make_from(Vec* out, size_t size, Element<Vec> const* data) {
  make_uninitialized(out, size);
  std::copy_n(data, out->size, out->data);
}

template <class Vec>
void release(Vec* vec) {
  std::free(vec->data);
  *vec = {0, nullptr};
}

template <class Vec, class Copy>
Vec copy_of(const Vec& from, Copy copy) {
  Vec out;
  copy(&out, &from);
  return out;
}

}  // namespace

struct wasm_externtype_t {
  wasm_externkind_t kind;
  explicit wasm_externtype_t(wasm_externkind_t k) : kind(k) {}
  wasm_externtype_t(const wasm_externtype_t&) = default;
  wasm_externtype_t& operator=(const wasm_externtype_t&) = delete;
  virtual ~wasm_externtype_t() = default;
};
struct wasm_functype_t : wasm_externtype_t {
  wasm_valtype_vec_t params, results;
  wasm_functype_t(wasm_valtype_vec_t p, wasm_valtype_vec_t r)
      : wasm_externtype_t(WASM_EXTERN_FUNC), params(p), results(r) {}
  wasm_functype_t(const wasm_functype_t& other)
      : wasm_externtype_t(other),
        params(copy_of(other.params, &wasm_valtype_vec_copy)),
        results(copy_of(other.results, &wasm_valtype_vec_copy)) {}
  ~wasm_functype_t() override {
    wasm_valtype_vec_delete(&params);
    wasm_valtype_vec_delete(&results);
  }
};
struct wasm_globaltype_t : wasm_externtype_t {
  wasm_valtype_t* content;
  wasm_mutability_t mutability;
  wasm_globaltype_t(wasm_valtype_t* c, wasm_mutability_t m)
      : wasm_externtype_t(WASM_EXTERN_GLOBAL), content(c), mutability(m) {}
};
struct wasm_tabletype_t : wasm_externtype_t {
  wasm_valtype_t* element;
  wasm_limits_t limits;
  wasm_tabletype_t(wasm_valtype_t* e, wasm_limits_t l)
      : wasm_externtype_t(WASM_EXTERN_TABLE), element(e), limits(l) {}
};
struct wasm_memorytype_t : wasm_externtype_t {
  wasm_limits_t limits;
  explicit wasm_memorytype_t(wasm_limits_t l) : wasm_externtype_t(WASM_EXTERN_MEMORY), limits(l) {}
};

struct wasm_exporttype_t {
  wasm_name_t name;
  wasm_externtype_t* type;
  wasm_exporttype_t(wasm_name_t n, wasm_externtype_t* t) : name(n), type(t) {}
  wasm_exporttype_t(const wasm_exporttype_t&) = delete;
  wasm_exporttype_t& operator=(const wasm_exporttype_t&) = delete;
  ~wasm_exporttype_t() {
    wasm_name_delete(&name);
    wasm_externtype_delete(type);
  }
};
struct wasm_importtype_t : wasm_exporttype_t {
  wasm_name_t module;
  wasm_importtype_t(wasm_name_t m, wasm_name_t n, wasm_externtype_t* t)
      : wasm_exporttype_t(n, t), module(m) {}
  ~wasm_importtype_t() { wasm_name_delete(&module); }
};

// ---- Vectors

#define TENON_VEC_COMMON(name)                                                               \
  void wasm_##name##_vec_new_empty(wasm_##name##_vec_t* out) { make_uninitialized(out, 0); } \
  void wasm_##name##_vec_new_uninitialized(wasm_##name##_vec_t* out, size_t n) { make_uninitialized(out, n); }
#define TENON_VEC_OF_POINTERS(name)                                                               \
  TENON_VEC_COMMON(name)                                                                          \
  void wasm_##name##_vec_new(wasm_##name##_vec_t* out, size_t n, wasm_##name##_t* const data[]) { \
    make_from(out, n, data);                                                                      \
  }                                                                                               \
  void wasm_##name##_vec_copy(wasm_##name##_vec_t* out, const wasm_##name##_vec_t* from) {        \
    make_uninitialized(out, from->size);                                                          \
    for (size_t i = 0; i < out->size; ++i)                                                        \
      out->data[i] = from->data[i] ? wasm_##name##_copy(from->data[i]) : nullptr;                 \
  }                                                                                               \
  void wasm_##name##_vec_delete(wasm_##name##_vec_t* vec) {                                       \
    if (!vec) return;                                                                             \
    for (size_t i = 0; i < vec->size; ++i) wasm_##name##_delete(vec->data[i]);                    \
    release(vec);                                                                                 \
  }

TENON_VEC_COMMON(byte)
void wasm_byte_vec_new(wasm_byte_vec_t* out, size_t n, wasm_byte_t const data[]) { make_from(out, n, data); }
void wasm_byte_vec_copy(wasm_byte_vec_t* out, const wasm_byte_vec_t* from) {
  make_from(out, from->size, from->data);
}
void wasm_byte_vec_delete(wasm_byte_vec_t* vec) {
  if (vec) release(vec);
}

TENON_VEC_COMMON(val)
void wasm_val_vec_new(wasm_val_vec_t* out, size_t n, wasm_val_t const data[]) { make_from(out, n, data); }
void wasm_val_vec_copy(wasm_val_vec_t* out, const wasm_val_vec_t* from) {
  make_uninitialized(out, from->size);
  for (size_t i = 0; i < out->size; ++i) wasm_val_copy(&out->data[i], &from->data[i]);
}
void wasm_val_vec_delete(wasm_val_vec_t* vec) {
  if (!vec) return;
  for (size_t i = 0; i < vec->size; ++i) wasm_val_delete(&vec->data[i]);
  release(vec);
}

TENON_VEC_OF_POINTERS(valtype)
TENON_VEC_OF_POINTERS(functype)
TENON_VEC_OF_POINTERS(globaltype)
TENON_VEC_OF_POINTERS(tabletype)
TENON_VEC_OF_POINTERS(memorytype)
TENON_VEC_OF_POINTERS(externtype)
TENON_VEC_OF_POINTERS(importtype)
TENON_VEC_OF_POINTERS(exporttype)
TENON_VEC_OF_POINTERS(frame)
TENON_VEC_OF_POINTERS(extern)

// ---- Types

wasm_valtype_t* wasm_valtype_new(wasm_valkind_t kind) {
  const auto found =
      std::find_if(value_types.begin(), value_types.end(), [&](const auto& t) { return t.kind == kind; });
  return found == value_types.end() ? nullptr : &*found;
}
void wasm_valtype_delete(wasm_valtype_t*) {}
wasm_valtype_t* wasm_valtype_copy(const wasm_valtype_t* type) { return wasm_valtype_new(type->kind); }
wasm_valkind_t wasm_valtype_kind(const wasm_valtype_t* type) { return type->kind; }

wasm_functype_t* wasm_functype_new(wasm_valtype_vec_t* params, wasm_valtype_vec_t* results) {
  auto* type = new wasm_functype_t(*params, *results);
  *params = *results = {0, nullptr};
  return type;
}
const wasm_valtype_vec_t* wasm_functype_params(const wasm_functype_t* type) { return &type->params; }
const wasm_valtype_vec_t* wasm_functype_results(const wasm_functype_t* type) { return &type->results; }

wasm_globaltype_t* wasm_globaltype_new(wasm_valtype_t* content, wasm_mutability_t mutability) {
  return new wasm_globaltype_t(content, mutability);
}
const wasm_valtype_t* wasm_globaltype_content(const wasm_globaltype_t* type) { return type->content; }
wasm_mutability_t wasm_globaltype_mutability(const wasm_globaltype_t* type) { return type->mutability; }

wasm_tabletype_t* wasm_tabletype_new(wasm_valtype_t* element, const wasm_limits_t* limits) {
  return new wasm_tabletype_t(element, *limits);
}
const wasm_valtype_t* wasm_tabletype_element(const wasm_tabletype_t* type) { return type->element; }
const wasm_limits_t* wasm_tabletype_limits(const wasm_tabletype_t* type) { return &type->limits; }

wasm_memorytype_t* wasm_memorytype_new(const wasm_limits_t* limits) { return new wasm_memorytype_t(*limits); }
const wasm_limits_t* wasm_memorytype_limits(const wasm_memorytype_t* type) { return &type->limits; }

wasm_externkind_t wasm_externtype_kind(const wasm_externtype_t* type) { return type->kind; }
void wasm_externtype_delete(wasm_externtype_t* type) { delete type; }
wasm_externtype_t* wasm_externtype_copy(const wasm_externtype_t* type) {
  switch (type->kind) {
    case WASM_EXTERN_FUNC: return new wasm_functype_t(static_cast<const wasm_functype_t&>(*type));
    case WASM_EXTERN_GLOBAL: return new wasm_globaltype_t(static_cast<const wasm_globaltype_t&>(*type));
    case WASM_EXTERN_TABLE: return new wasm_tabletype_t(static_cast<const wasm_tabletype_t&>(*type));
    case WASM_EXTERN_MEMORY: return new wasm_memorytype_t(static_cast<const wasm_memorytype_t&>(*type));
    default: return new wasm_externtype_t(*type);
  }
}

#define TENON_EXTERN_TYPE(name, KIND)                                                                      \
  void wasm_##name##_delete(wasm_##name##_t* type) { delete type; }                                        \
  wasm_##name##_t* wasm_##name##_copy(const wasm_##name##_t* type) { return new wasm_##name##_t(*type); }  \
  wasm_externtype_t* wasm_##name##_as_externtype(wasm_##name##_t* type) { return type; }                   \
  const wasm_externtype_t* wasm_##name##_as_externtype_const(const wasm_##name##_t* type) { return type; } \
  wasm_##name##_t* wasm_externtype_as_##name(wasm_externtype_t* type) {                                    \
    return type && type->kind == (KIND) ? static_cast<wasm_##name##_t*>(type) : nullptr;                   \
  }                                                                                                        \
  const wasm_##name##_t* wasm_externtype_as_##name##_const(const wasm_externtype_t* type) {                \
    return type && type->kind == (KIND) ? static_cast<const wasm_##name##_t*>(type) : nullptr;             \
  }
TENON_EXTERN_TYPE(functype, WASM_EXTERN_FUNC)
TENON_EXTERN_TYPE(globaltype, WASM_EXTERN_GLOBAL)
TENON_EXTERN_TYPE(tabletype, WASM_EXTERN_TABLE)
TENON_EXTERN_TYPE(memorytype, WASM_EXTERN_MEMORY)

namespace {

wasm_name_t take(wasm_name_t* name) { return std::exchange(*name, {0, nullptr}); }

}  // namespace

wasm_importtype_t* wasm_importtype_new(wasm_name_t* module, wasm_name_t* name, wasm_externtype_t* type) {
  return new wasm_importtype_t(take(module), take(name), type);
}
void wasm_importtype_delete(wasm_importtype_t* type) { delete type; }
wasm_importtype_t* wasm_importtype_copy(const wasm_importtype_t* type) {
  return new wasm_importtype_t(copy_of(type->module, &wasm_byte_vec_copy),
                               copy_of(type->name, &wasm_byte_vec_copy), wasm_externtype_copy(type->type));
}
const wasm_name_t* wasm_importtype_module(const wasm_importtype_t* type) { return &type->module; }
const wasm_name_t* wasm_importtype_name(const wasm_importtype_t* type) { return &type->name; }
const wasm_externtype_t* wasm_importtype_type(const wasm_importtype_t* type) { return type->type; }

wasm_exporttype_t* wasm_exporttype_new(wasm_name_t* name, wasm_externtype_t* type) {
  return new wasm_exporttype_t(take(name), type);
}
void wasm_exporttype_delete(wasm_exporttype_t* type) { delete type; }
wasm_exporttype_t* wasm_exporttype_copy(const wasm_exporttype_t* type) {
  return new wasm_exporttype_t(copy_of(type->name, &wasm_byte_vec_copy), wasm_externtype_copy(type->type));
}
const wasm_name_t* wasm_exporttype_name(const wasm_exporttype_t* type) { return &type->name; }
const wasm_externtype_t* wasm_exporttype_type(const wasm_exporttype_t* type) { return type->type; }

// ---- From and to the engine's types

namespace tenon::api {

bool is_func_ref(const TypeRegistry& types, ValType type) {
  return types.top_of(type.heap()) == HeapType(AbstractHeap::func);
}

wasm_valkind_t kind_in_standard(const TypeRegistry& types, ValType type) {
  switch (type.kind()) {
    case ValKind::i32: return WASM_I32;
    case ValKind::i64: return WASM_I64;
    case ValKind::f32: return WASM_F32;
    case ValKind::f64: return WASM_F64;
    case ValKind::v128: return kVector;
    default: return is_func_ref(types, type) ? WASM_FUNCREF : WASM_EXTERNREF;
  }
}

std::optional<ValType> type_in_engine(wasm_valkind_t kind) {
  switch (kind) {
    case WASM_I32: return kI32;
    case WASM_I64: return kI64;
    case WASM_F32: return kF32;
    case WASM_F64: return kF64;
    case WASM_EXTERNREF: return kExternRef;
    case WASM_FUNCREF: return kFuncRef;
    default: return std::nullopt;
  }
}

namespace {

wasm_limits_t limits_in_standard(const Limits& limits, u32 shift) {
  const auto fit = [shift](u64 n) {
    return static_cast<u32>(std::min<u64>(n >> shift, wasm_limits_max_default));
  };
  return {fit(limits.min), limits.max ? fit(*limits.max) : wasm_limits_max_default};
}

wasm_valtype_vec_t value_list(const TypeRegistry& types, std::span<const ValType> from) {
  wasm_valtype_vec_t out;
  wasm_valtype_vec_new_uninitialized(&out, from.size());
  for (size_t i = 0; i < out.size; ++i) out.data[i] = wasm_valtype_new(kind_in_standard(types, from[i]));
  return out;
}

}  // namespace

wasm_functype_t* new_functype(const TypeRegistry& types, const FuncType& type) {
  return new wasm_functype_t(value_list(types, type.params), value_list(types, type.results));
}

wasm_externtype_t* new_externtype(const TypeRegistry& types, const ExternType& type) {
  constexpr u32 kPageShift = 16;
  if (const auto* f = std::get_if<TypeId>(&type)) return new_functype(types, *types.get(*f).func());
  if (const auto* g = std::get_if<GlobalType>(&type))
    return new wasm_globaltype_t(wasm_valtype_new(kind_in_standard(types, g->type)),
                                 g->mutable_ ? WASM_VAR : WASM_CONST);
  if (const auto* t = std::get_if<TableType>(&type))
    return new wasm_tabletype_t(wasm_valtype_new(kind_in_standard(types, t->element)),
                                limits_in_standard(t->limits, 0));
  if (const auto* m = std::get_if<MemoryType>(&type))
    return new wasm_memorytype_t(limits_in_standard(m->limits, kPageShift - m->page_shift));
  return new wasm_externtype_t(kTag);
}

}  // namespace tenon::api
