// Engines, stores, instances and what lives in them (spec: exec/runtime). Linking is in runtime/linker.h, the
// interpreter in interp/, compiled code in jit/.
#pragma once
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/base.h"
#include "engine/error.h"
#include "engine/module.h"
#include "engine/runtime/gc.h"
#include "engine/runtime/host_func.h"
#include "engine/runtime/kick.h"
#include "engine/runtime/limits.h"
#include "engine/runtime/memory.h"
#include "engine/runtime/table.h"
#include "engine/runtime/trap.h"
#include "engine/runtime/vm.h"

namespace tenon {

struct Global {
  GlobalType type;
  GlobalCell* cell;
};
struct Tag {
  TypeId type;
};  // identity is the address

using Extern = std::variant<FuncRef*, Table*, Memory*, Global*, Tag*>;  // in ExternKind's order

// Shared by any number of stores and threads: the type registry and the options.
struct EngineOptions {
  enum class Tier : u8 { interp, jit, aot, automatic } tier = Tier::automatic;
  DecodeOptions decode;
  bool fuel = false, epochs = false;
  // Results that are NaN get the canonical bits, whatever the operands were.
  bool deterministic_nans = false;
  // Relaxed SIMD instructions make the choices of the specification's deterministic profile, not the host's.
  bool deterministic_simd = false;
  u32 pooled_memories = MappingPool::kDefault;  // of ended instances, kept for new ones
};
class Engine {
 public:
  explicit Engine(EngineOptions options = {});
  const EngineOptions& options() const { return options_; }
  const std::shared_ptr<TypeRegistry>& types() const { return types_; }
  // Decodes and validates. The bytes are copied unless `owner` keeps them alive. Thread-safe.
  Result<std::shared_ptr<const Module>> compile(std::span<const u8> bytes,
                                                std::shared_ptr<const void> owner = {});
  // The clock that StoreContext::epoch_deadline is compared with. Any thread, signal handlers too.
  void increment_epoch() { __atomic_fetch_add(&epoch_, 1, __ATOMIC_RELAXED); }
  u64* epoch() { return &epoch_; }
  const std::shared_ptr<MappingPool>& pool() const { return pool_; }

 private:
  EngineOptions options_;
  std::shared_ptr<TypeRegistry> types_;
  std::shared_ptr<MappingPool> pool_;
  u64 epoch_ = 0;
};

// A module instance (spec: exec/runtime). Its cells lie behind vm() at the offsets of layout().
class Instance {
 public:
  ~Instance();
  const Module& module() const { return *module_; }
  const std::shared_ptr<const Module>& shared_module() const { return module_; }
  VMContext* vm() { return vm_; }
  Store& store() { return *store_; }
  const VMLayout& layout() const { return layout_; }
  std::optional<Extern> find_export(std::string_view name);
  // Item `index` of the index space, imports first.
  Extern export_at(ExternKind kind, u32 index);
  FuncRef* func(FuncIdx f);
  Memory* memory(MemoryIdx m) { return memories_[m.value]; }
  Table* table(TableIdx t) { return tables_[t.value]; }
  Global* global(GlobalIdx g) { return globals_[g.value]; }
  Tag* tag(TagIdx t) { return tags_[t.value]; }
  // What is left of a segment: empty once dropped (spec: elem.drop, data.drop; active segments drop
  // themselves).
  std::span<const u8> data(DataIdx d) const { return data_[d.value]; }
  std::span<const u64> elements(ElemIdx e) const { return elements_[e.value]; }
  void drop_data(DataIdx d) { data_[d.value] = {}; }
  void drop_elements(ElemIdx e) { elements_[e.value] = {}; }

 private:
  friend class Store;
  friend class Instantiation;
  friend struct StoreRoots;
  Instance(std::shared_ptr<const Module> module, Store& store);

  std::shared_ptr<const Module> module_;
  Store* store_ = nullptr;
  VMLayout layout_;
  VMContext* vm_ = nullptr;
  std::vector<Memory*> memories_;
  std::vector<Table*> tables_;
  std::vector<Global*> globals_;
  std::vector<Tag*> tags_;
  std::vector<std::span<const u8>> data_;
  std::vector<std::vector<u64>> elements_;
};

// A compiler that a store uses (jit/); the interpreter needs none.
class Compiler {
 public:
  virtual ~Compiler() = default;
  // Called by the interpreter from time to time, so about as often for a function as it spends time there: at
  // its entry (`loop` 0), or where it is about to go on at the head of a loop, given by its offset in the
  // module. May change entries of the store's functions. The result, when not null, is called in place of
  // going on at the loop, with the interpreter's frame as slots.
  virtual ArrayEntry sample(FuncRef&, u64 /*loop*/) { return nullptr; }
  // Compiles what the tier asks for and sets entries of the instance's functions. Called once per instance,
  // before its start function.
  virtual Result<void> adopt(Instance& instance) = 0;
  // Sets native_entry and native_context of a function that compiled code may meet but that is not compiled.
  virtual void make_callable(FuncRef& func) = 0;
};

// All runtime objects of one guest program. One thread at a time; everything in it dies with it. Shared
// memories alone can be in several stores.
class Store {
 public:
  explicit Store(std::shared_ptr<Engine> engine, StoreLimits limits = {});
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;
  Engine& engine() { return *engine_; }
  const StoreLimits& limits() const { return limits_; }
  TypeRegistry& types() { return *engine_->types(); }
  StoreContext& context() { return context_; }
  TrapRecord& trap() { return trap_; }
  Heap& heap();
  void set_compiler(std::unique_ptr<Compiler> compiler);
  Compiler* compiler();

  // Instantiates (spec: exec/modules) with imports in the module's order. Host functions in `own_hosts` are
  // told their importing instance before any of its code runs. Errors: unlinkable, limit, trap, exception,
  // exit; the effects of segments already written stay, as the specification says.
  Result<Instance*> instantiate(std::shared_ptr<const Module> module, std::span<const Extern> imports,
                                std::span<HostFunc* const> own_hosts = {});

  Result<Memory*> new_memory(const MemoryType& type);
  Memory* share_memory(std::shared_ptr<Memory> memory);         // a shared memory that other stores hold too
  std::shared_ptr<Memory> shared_memory(const Memory* memory);  // null when it isn't this store's
  Result<Table*> new_table(const TableType& type, u64 init);
  Result<Global*> new_global(const GlobalType& type, GlobalCell value);
  Tag* new_tag(TypeId type);
  // `desc` and `data` outlive the store. `importer` and `memory` may be null. The result's `code` is its
  // HostFunc.
  FuncRef* new_host_func(const HostFuncDesc& desc, void* data, VMContext* importer, MemoryDesc* memory);
  using DynamicHostFunc = std::function<Status(Store&, std::span<Slot>)>;
  FuncRef* new_host_func(TypeId type, DynamicHostFunc fn);

  // Calls from the host, nested ones too. `slots` holds arguments and receives results: at least
  // max(param_slots, result_slots). Resolves pending tail calls. On anything but ok, trap() or
  // context().exception says more.
  Status call(FuncRef* func, Slot* slots);
  // Calls the callee that Status::tail_call left in the context until there is a result, which goes to
  // `results`. For boundaries that called an array entry themselves.
  Status finish_tail_calls(Slot* results);
  // The last trap, exception or exit as an Error with a backtrace of function names.
  Error trap_error(Status status);
  // Sets the trap record; tiers append frames.
  Status raise(TrapCode code, std::string message = {});
  // Ends the guest as proc_exit does.
  Status raise_exit(i32 code);
  // From any thread or a signal handler: running code traps with `interrupted`, at its next check or, without
  // checks in compiled code, by signal; the store is poisoned then. What does not run yet traps when called.
  void interrupt() {
    __atomic_store_n(&context_.interrupt, 1, __ATOMIC_SEQ_CST);
    kick_.request();
  }
  void clear_interrupt() { context_.interrupt = 0; }
  // True when the store cannot run again.
  bool poisoned() const { return (context_.flags & kPoisoned) != 0; }
  // What the interpreter keeps for this store (engine/interp/state.h); it makes it when first needed.
  std::shared_ptr<void>& interpreter_state() { return interpreter_state_; }
  // The embedder's own object for this store (engine/api).
  void set_embedder(void* embedder) { embedder_ = embedder; }
  void* embedder() const { return embedder_; }
  // The transfer buffer with room for n slots; what was in it stays.
  Slot* transfer(u64 n);

 private:
  friend class Instantiation;
  friend struct StoreRoots;
  struct Impl;
  std::shared_ptr<Engine> engine_;
  StoreLimits limits_;
  StoreContext context_{};
  TrapRecord trap_;
  std::shared_ptr<void> interpreter_state_;
  void* embedder_ = nullptr;
  Kick kick_;
  std::unique_ptr<Impl> impl_;
};

// Spec: valid/matching, of import `wanted` against what the linker found. Memories and tables match by their
// current size.
bool extern_matches(const TypeRegistry& types, const Extern& found, const ExternType& wanted);
ExternType type_of(const Extern& value);
std::string to_string(const ExternType& type, const TypeRegistry& types);

// The interpreter's array entry: translates self on first call (engine/interp).
Status interpret(FuncRef* self, Slot* slots);

}  // namespace tenon
