// What the types of the standard C API (wasm.h) hold. Internal to engine/api.
#pragma once
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/runtime/gc.h"
#include "engine/runtime/store.h"
#include "handles.h"
#include "wasm.h"

namespace tenon::api {

// An embedder's pointer with what ends it.
class HostInfo {
 public:
  HostInfo() = default;
  HostInfo(HostInfo&&) = delete;
  ~HostInfo() { set(nullptr, nullptr); }
  void* data() const { return data_; }
  void set(void* data, void (*finalizer)(void*)) {
    void* const old = std::exchange(data_, data);
    if (auto* const end = std::exchange(finalizer_, finalizer)) end(old);
  }

 private:
  void* data_ = nullptr;
  void (*finalizer_)(void*) = nullptr;
};

// What a handle refers to. The first ones are externals, in the order of wasm_externkind_enum, then tags.
enum class RefKind : u8 {
  func,
  global,
  table,
  memory,
  tag,
  instance,
  module,
  trap,
  foreign,
  value,  // any other reference of the guest's
};

struct ModuleBody {
  std::shared_ptr<const Module> module;
  HostInfo info;
};
struct TrapBody {
  std::string message;
  std::vector<TraceFrame> frames;  // of modules that the store keeps
  HostInfo info;
};

// A foreign object, or a host's object that a guest holds as an externref: the value of a host object in the heap.
struct Wrapped {
  RefKind kind;
  void* object;                // not of foreign ones
  std::shared_ptr<void> body;  // of modules and traps
  HostInfo info;               // of foreign ones
};

struct StandardCallback {
  std::vector<ValType> params, results;
  HostFuncDesc desc;
  wasm_func_callback_t plain = nullptr;
  wasm_func_callback_with_env_t with_env = nullptr;
  void* env = nullptr;
  void (*finalizer)(void*) = nullptr;
  ~StandardCallback() {
    if (finalizer) finalizer(env);
  }
};

// A store with what its handles share.
struct StoreState : std::enable_shared_from_this<StoreState> {
  std::shared_ptr<Engine> engine;
  tenon_config config;
  std::unordered_map<const void*, HostInfo> infos;    // of objects that die with the store
  std::unordered_map<const void*, Object*> wrappers;  // their externrefs, rooted
  std::deque<StandardCallback> callbacks;
  std::unordered_map<const Module*, Instance*> newest;  // instance of each module
  std::shared_ptr<TrapBody> thrown;                     // by a callback, on its way out
  std::unique_ptr<Store> store;                         // dies first
};
using State = std::shared_ptr<StoreState>;

constexpr u32 kNoRoot = ~u32{0};

}  // namespace tenon::api

struct wasm_config_t {
  tenon_config config;
};
struct wasm_engine_t {
  tenon_engine engine;
};
struct wasm_store_t {
  tenon::api::State state;
};

// A handle.
struct wasm_ref_t {
  tenon::api::RefKind kind;
  tenon::api::State state;
  void* object;  // FuncRef, Global, Table, Memory, Tag, Instance, Object; value: the reference's bits
  std::shared_ptr<void> body = nullptr;   // ModuleBody, TrapBody
  tenon::u32 root = tenon::api::kNoRoot;  // of foreign objects and values

  wasm_ref_t(tenon::api::RefKind k, tenon::api::State s, void* o, std::shared_ptr<void> b)
      : kind(k), state(std::move(s)), object(o), body(std::move(b)) {}
  wasm_ref_t(const wasm_ref_t&) = delete;
  wasm_ref_t& operator=(const wasm_ref_t&) = delete;
  virtual ~wasm_ref_t() {
    if (root != tenon::api::kNoRoot) state->store->heap().unroot(root);
  }
  const void* identity() const { return body ? body.get() : object; }
};
struct wasm_extern_t : wasm_ref_t {
  using wasm_ref_t::wasm_ref_t;
};
#define TENON_REF(name, base)     \
  struct wasm_##name##_t : base { \
    using base::base;             \
  };
TENON_REF(func, wasm_extern_t)
TENON_REF(global, wasm_extern_t)
TENON_REF(table, wasm_extern_t)
TENON_REF(memory, wasm_extern_t)
TENON_REF(instance, wasm_ref_t)
TENON_REF(module, wasm_ref_t)
TENON_REF(trap, wasm_ref_t)
TENON_REF(foreign, wasm_ref_t)
#undef TENON_REF

struct wasm_shared_module_t {
  std::shared_ptr<const tenon::Module> module;
};

struct wasm_frame_t {
  tenon::api::State state;
  tenon::TraceFrame frame;
  std::unique_ptr<wasm_instance_t> instance;  // null when it is not known
};

namespace tenon::api {

// A new handle. `body` is given for modules and traps.
wasm_ref_t* new_ref(const State& state, RefKind kind, void* object, std::shared_ptr<void> body = {});
wasm_ref_t* copy_ref(const wasm_ref_t* ref);
template <class T>
T* new_ref_as(const State& state, RefKind kind, void* object, std::shared_ptr<void> body = {}) {
  return static_cast<T*>(new_ref(state, kind, object, std::move(body)));
}

// A trap of our own, and that of a call or an instantiation that failed.
wasm_trap_t* new_trap(const State& state, std::string message);
wasm_trap_t* take_trap(const State& state, Status status);
wasm_trap_t* take_trap(const State& state, const Error& error);

// A guest's reference as a new handle, null as NULL; `type` is its static type.
wasm_ref_t* ref_from_bits(const State& state, ValType type, u64 bits);
// Handle or value for a place of this type; what is wrong with it, or null.
const char* bits_from_ref(StoreState& state, ValType type, const wasm_ref_t* ref, u64& bits);
const char* slot_from_val(StoreState& state, ValType type, const wasm_val_t& val, Slot& slot);
void val_from_slot(const State& state, ValType type, const Slot& slot, wasm_val_t& out);

bool is_func_ref(const TypeRegistry& types, ValType type);
wasm_valkind_t kind_in_standard(const TypeRegistry& types, ValType type);
// The nullable type of this kind; nothing for kinds that do not exist.
std::optional<ValType> type_in_engine(wasm_valkind_t kind);
wasm_externtype_t* new_externtype(const TypeRegistry& types, const ExternType& type);
wasm_functype_t* new_functype(const TypeRegistry& types, const FuncType& type);

// Runs `work`; on an exception of the library's own (no memory) gives `otherwise`.
template <class Work, class Otherwise>
auto guarded(Work work, Otherwise otherwise) noexcept -> decltype(work()) {
  try {
    return work();
  } catch (...) {
    return otherwise();
  }
}

}  // namespace tenon::api
