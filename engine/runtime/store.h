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
#include "engine/runtime/host_func.h"
#include "engine/runtime/trap.h"
#include "engine/runtime/vm.h"

namespace tenon {

struct StoreLimits {
  u64 memory_bytes = ~u64{0};  // of one memory
  u64 table_elements = 10'000'000;
  u32 memories = 10'000, tables = 10'000, instances = 10'000;
  u64 gc_heap_bytes = u64{4} << 30;
  u64 native_stack_bytes = 1 << 20;  // how deep compiled code and hosts may go below the entry
  u64 value_stack_bytes = 8 << 20;   // the interpreter's
};

// A linear memory (spec: exec/runtime, memory instances). Address space reserved, pages committed on growth.
class Memory {
 public:
  static Result<std::unique_ptr<Memory>> create(const MemoryType& type, const StoreLimits& limits);
  ~Memory();
  const MemoryType& type() const { return type_; }
  MemoryDesc& desc() { return desc_; }
  u64 pages() const { return desc_.length >> type_.page_shift; }
  // The old size in pages, or nothing when it can't grow (spec: memory.grow gives −1).
  std::optional<u64> grow(u64 delta_pages);

 private:
  Memory() = default;
  MemoryType type_;
  MemoryDesc desc_{};
  u64 max_bytes_ = 0;
};

class Table {
 public:
  static Result<std::unique_ptr<Table>> create(const TableType& type, u64 init, const StoreLimits& limits);
  const TableType& type() const { return type_; }
  TableDesc& desc() { return desc_; }
  std::optional<u64> grow(u64 delta, u64 init);

 private:
  Table() = default;
  TableType type_;
  TableDesc desc_{};
  std::vector<u64> elements_;
  u64 max_ = 0;
};

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
};
class Engine {
 public:
  explicit Engine(EngineOptions options = {});
  const EngineOptions& options() const { return options_; }
  const std::shared_ptr<TypeRegistry>& types() const { return types_; }
  // The bytes are copied unless `owner` keeps them alive.
  Result<std::shared_ptr<const Module>> compile(std::span<const u8> bytes,
                                                std::shared_ptr<const void> owner = {});

 private:
  EngineOptions options_;
  std::shared_ptr<TypeRegistry> types_;
};

class Instance {
 public:
  const Module& module() const { return *module_; }
  VMContext* vm() { return vm_; }
  Store& store() { return *store_; }
  std::optional<Extern> find_export(std::string_view name);
  Extern export_at(ExternKind kind, u32 index);

 private:
  friend class Store;
  std::shared_ptr<const Module> module_;
  Store* store_ = nullptr;
  VMContext* vm_ = nullptr;
};

// A compiler that a store uses (jit/); the interpreter needs none.
class Compiler {
 public:
  virtual ~Compiler() = default;
  // Compiles what the tier asks for and sets entries of the instance's functions. Called once per instance,
  // before its start function.
  virtual Result<void> adopt(Instance& instance) = 0;
  // Sets native_entry and native_context of a function that compiled code may meet but that is not compiled.
  virtual void make_callable(FuncRef& func) = 0;
};

// All runtime objects of one guest program. One thread at a time; everything in it dies with it.
class Store {
 public:
  explicit Store(std::shared_ptr<Engine> engine, StoreLimits limits = {});
  ~Store();
  Engine& engine() { return *engine_; }
  StoreContext& context() { return context_; }
  TrapRecord& trap() { return trap_; }
  void set_compiler(std::unique_ptr<Compiler> compiler);

  // Instantiates (spec: exec/modules) with imports in the module's order. Errors: unlinkable, trap,
  // exception, exit.
  Result<Instance*> instantiate(std::shared_ptr<const Module> module, std::span<const Extern> imports);

  Result<Memory*> new_memory(const MemoryType& type);
  Result<Table*> new_table(const TableType& type, u64 init);
  Result<Global*> new_global(const GlobalType& type, GlobalCell value);
  Tag* new_tag(TypeId type);
  FuncRef* new_host_func(const HostFuncDesc& desc, void* data, VMContext* importer, MemoryDesc* memory);
  using DynamicHostFunc = std::function<Status(Store&, std::span<Slot>)>;
  FuncRef* new_host_func(TypeId type, DynamicHostFunc fn);

  // Calls from the host. `slots` holds arguments and receives results: at least max(param_slots,
  // result_slots). Resolves pending tail calls. On anything but ok, trap() or context().exception says more.
  Status call(FuncRef* func, Slot* slots);
  // The last trap as an Error with a backtrace of function names.
  Error trap_error(Status status);
  // Sets the trap record; tiers append frames.
  Status raise(TrapCode code, std::string message = {});
  // The transfer buffer with room for n slots.
  Slot* transfer(u64 n);

 private:
  struct Impl;
  std::shared_ptr<Engine> engine_;
  StoreContext context_{};
  TrapRecord trap_;
  std::unique_ptr<Impl> impl_;
};

// The interpreter's array entry: translates self on first call (engine/interp).
Status interpret(FuncRef* self, Slot* slots);

}  // namespace tenon
