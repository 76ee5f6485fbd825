// Instantiation in the specification's order (spec: exec/modules): match imports; allocate functions and
// tags; memories; globals, tables and element segments with their initial values; active element segments;
// active data segments; start.
#include <fmt/format.h>

#include <cstdlib>
#include <cstring>

#include "engine/runtime/bulk.h"
#include "engine/runtime/const_eval.h"
#include "engine/runtime/memory_image.h"
#include "engine/runtime/store_impl.h"

namespace tenon {

class Instantiation {
 public:
  Instantiation(Store& store, Instance& instance)
      : store_(store), instance_(instance), module_(instance.module()) {}

  Result<void> allocate(std::span<const Extern> imports);
  void bind_hosts(std::span<HostFunc* const> hosts);
  Result<void> run_segments();
  Result<void> run_start();

 private:
  void import(const Extern& value);
  Result<void> allocate_vm();
  void allocate_functions();
  Result<void> allocate_memories();
  Result<void> allocate_globals();
  Result<void> allocate_tables();
  Result<void> evaluate_elements();
  Result<u32> map_images();
  Result<u64> evaluate_offset(const ConstExpr& expr, bool is64);
  Result<void> trap_if(TrapCode code);
  Result<GlobalCell> eval(const ConstExpr& expr) {
    return eval_const(instance_, expr, store_.impl_->const_stack);
  }

  Store& store_;
  Instance& instance_;
  const Module& module_;
  u32 imported_[5] = {};  // by ExternKind, while importing
};

// The fixed part and the cells, zeroed.
Result<void> Instantiation::allocate_vm() {
  const VMLayout& layout = instance_.layout_;
  auto* vm = static_cast<VMContext*>(std::aligned_alloc(16, layout.size));
  if (!vm) return std::unexpected(Error{ErrorCategory::limit, "no memory for an instance", {}});
  std::memset(static_cast<void*>(vm), 0, layout.size);
  vm->store = &store_.context_;
  vm->instance = &instance_;
  vm->module = &module_;
  instance_.vm_ = vm;
  u32* types = vm_at<u32>(vm, layout.types);
  for (const TypeId t : module_.types) *types++ = t.value;
  return {};
}

void Instantiation::import(const Extern& value) {
  const VMLayout& layout = instance_.layout_;
  VMContext* vm = instance_.vm_;
  const u32 n = imported_[value.index()]++;
  struct Visitor {
    Instance& instance;
    const VMLayout& layout;
    VMContext* vm;
    u32 n;
    void operator()(FuncRef* f) const { vm_at<FuncRef*>(vm, layout.imported_functions)[n] = f; }
    void operator()(Table* t) const { instance.tables_.push_back(t); }
    void operator()(Memory* m) const { instance.memories_.push_back(m); }
    void operator()(Global* g) const {
      instance.globals_.push_back(g);
      vm_at<GlobalCell*>(vm, layout.imported_globals)[n] = g->cell;
    }
    void operator()(Tag* t) const { instance.tags_.push_back(t); }
  };
  std::visit(Visitor{instance_, layout, vm, n}, value);
}

void Instantiation::allocate_functions() {
  VMContext* vm = instance_.vm_;
  auto* refs = vm_at<FuncRef>(vm, instance_.layout_.functions);
  for (u32 i = module_.imported_functions; i < module_.functions.size(); ++i)
    *refs++ = {nullptr, nullptr, &interpret, vm, module_.functions[i].type, i, nullptr};
  for (u32 i = module_.imported_tags; i < module_.tags.size(); ++i)
    instance_.tags_.push_back(store_.new_tag(module_.tags[i].type));
  Tag** tags = vm_at<Tag*>(vm, instance_.layout_.tags);
  for (Tag* t : instance_.tags_) *tags++ = t;
}

Result<void> Instantiation::allocate_memories() {
  for (u32 i = module_.imported_memories; i < module_.memories.size(); ++i) {
    TRY_ASSIGN(Memory * memory, store_.new_memory(module_.memories[i]));
    instance_.memories_.push_back(memory);
  }
  auto** descs = vm_at<MemoryDesc*>(instance_.vm_, instance_.layout_.memories);
  for (Memory* m : instance_.memories_) *descs++ = &m->desc();
  if (!instance_.memories_.empty() && instance_.memories_[0]->never_moves())
    instance_.vm_->memory0_base = instance_.memories_[0]->desc().base;
  return {};
}

Result<void> Instantiation::allocate_globals() {
  auto* cells = vm_at<GlobalCell>(instance_.vm_, instance_.layout_.globals);
  for (u32 i = module_.imported_globals; i < module_.globals.size(); ++i, ++cells) {
    TRY_ASSIGN(*cells, eval(module_.globals[i].init));
    instance_.globals_.push_back(
        &store_.impl_->own_globals.emplace_back(Global{module_.globals[i].type, cells}));
  }
  return {};
}

Result<void> Instantiation::allocate_tables() {
  for (u32 i = module_.imported_tables; i < module_.tables.size(); ++i) {
    const TableDef& def = module_.tables[i];
    GlobalCell init{};
    if (!def.init.code.empty()) {
      TRY_ASSIGN(init, eval(def.init));
    }
    TRY_ASSIGN(Table * table, store_.new_table(def.type, init.lo.ref));
    instance_.tables_.push_back(table);
  }
  auto** descs = vm_at<TableDesc*>(instance_.vm_, instance_.layout_.tables);
  for (Table* t : instance_.tables_) *descs++ = &t->desc();
  return {};
}

Result<void> Instantiation::evaluate_elements() {
  instance_.elements_.resize(module_.elements.size());
  for (size_t i = 0; i < module_.elements.size(); ++i) {
    const ElementSegment& segment = module_.elements[i];
    std::vector<u64>& out = instance_.elements_[i];  // rooted: the instance is in the store
    out.reserve(segment.size());
    for (const FuncIdx f : segment.funcs) out.push_back(reinterpret_cast<u64>(instance_.func(f)));
    for (const ConstExpr& e : segment.exprs) {
      TRY_ASSIGN(const GlobalCell cell, eval(e));
      out.push_back(cell.lo.ref);
    }
  }
  instance_.data_.reserve(module_.data.size());
  for (const DataSegment& d : module_.data) instance_.data_.push_back(d.bytes);
  return {};
}

Result<void> Instantiation::allocate(std::span<const Extern> imports) {
  TRY(allocate_vm());
  for (const Extern& value : imports) import(value);
  allocate_functions();
  TRY(allocate_memories());
  TRY(allocate_globals());
  TRY(allocate_tables());
  return evaluate_elements();
}

// The memory that guest pointers mean: the exported one named "memory", else memory 0.
void Instantiation::bind_hosts(std::span<HostFunc* const> hosts) {
  if (hosts.empty()) return;
  const Export* e = module_.find_export("memory");
  Memory* memory = e && e->kind == ExternKind::memory ? instance_.memories_[e->index]
                   : instance_.memories_.empty()      ? nullptr
                                                      : instance_.memories_[0];
  for (HostFunc* h : hosts) {
    h->importer = instance_.vm_;
    h->memory = memory ? &memory->desc() : nullptr;
  }
}

Result<u64> Instantiation::evaluate_offset(const ConstExpr& expr, bool is64) {
  TRY_ASSIGN(const GlobalCell cell, eval(expr));
  return is64 ? cell.lo.u64_ : cell.lo.u32_;
}

Result<void> Instantiation::trap_if(TrapCode code) {
  if (code == TrapCode::none) return {};
  return std::unexpected(store_.trap_error(store_.raise(code)));
}

// How many data segments the module's images wrote.
Result<u32> Instantiation::map_images() {
  const MemoryImages& images = MemoryImages::of(module_);
  const auto memory = [&](const MemoryImages::Image& i) { return instance_.memory(i.memory); };
  for (const auto& image : images.images())
    if (!memory(image)->never_moves()) return 0;
  for (const auto& image : images.images()) {
    TRY_ASSIGN(const bool mapped, memory(image)->map_image(image.fd, image.bytes));
    if (!mapped) return 0;  // copying writes the same bytes
  }
  for (u32 i = 0; i < images.segments(); ++i)
    if (module_.data[i].mode == SegmentMode::active) data_drop(instance_.vm_, i);
  return images.segments();
}

Result<void> Instantiation::run_segments() {
  VMContext* vm = instance_.vm_;
  for (u32 i = 0; i < module_.elements.size(); ++i) {
    const ElementSegment& s = module_.elements[i];
    if (s.mode == SegmentMode::active) {
      TRY_ASSIGN(const u64 offset, evaluate_offset(s.table_offset, module_.tables[s.table.value].type.is64));
      TRY(trap_if(table_init(vm, s.table.value, i, offset, 0, s.size())));
    }
    if (s.mode != SegmentMode::passive) elem_drop(vm, i);
  }
  TRY_ASSIGN(const u32 written, map_images());
  for (u32 i = written; i < module_.data.size(); ++i) {
    const DataSegment& s = module_.data[i];
    if (s.mode != SegmentMode::active) continue;
    TRY_ASSIGN(const u64 offset, evaluate_offset(s.memory_offset, module_.memories[s.memory.value].is64));
    TRY(trap_if(memory_init(vm, s.memory.value, i, offset, 0, static_cast<u32>(s.bytes.size()))));
    data_drop(vm, i);
  }
  return {};
}

Result<void> Instantiation::run_start() {
  if (!module_.start) return {};
  Slot none[1] = {};
  const Status status = store_.call(instance_.func(*module_.start), none);
  if (status != Status::ok) return std::unexpected(store_.trap_error(status));
  return {};
}

namespace {

Result<void> check_imports(const Module& module, std::span<const Extern> imports) {
  if (imports.size() != module.imports.size())
    return std::unexpected(
        Error{ErrorCategory::usage,
              fmt::format("{} imports given, the module has {}", imports.size(), module.imports.size()),
              {}});
  const TypeRegistry& types = module.type_registry();
  for (size_t i = 0; i < imports.size(); ++i) {
    const Import& want = module.imports[i];
    if (extern_matches(types, imports[i], want.type)) continue;
    return std::unexpected(Error{
        ErrorCategory::unlinkable,
        fmt::format("incompatible import type for \"{}\" \"{}\": the module wants {}, found {}", want.module,
                    want.name, to_string(want.type, types), to_string(type_of(imports[i]), types)),
        {}});
  }
  return {};
}

}  // namespace

Result<Instance*> Store::instantiate(std::shared_ptr<const Module> module, std::span<const Extern> imports,
                                     std::span<HostFunc* const> own_hosts) {
  if (&module->type_registry() != &types())
    return std::unexpected(Error{ErrorCategory::usage, "the module was compiled by another engine", {}});
  if (impl_->instances.size() >= limits_.instances)
    return std::unexpected(
        Error{ErrorCategory::limit, fmt::format("more than {} instances", limits_.instances), {}});
  TRY(check_imports(*module, imports));
  const Impl::Activation activation(*this);
  // Kept even when instantiation fails later: tables of others may already refer to its functions.
  Instance& instance = *impl_->instances.emplace_back(new Instance(std::move(module), *this));
  Instantiation steps(*this, instance);
  TRY(steps.allocate(imports));
  steps.bind_hosts(own_hosts);
  if (impl_->compiler) {
    // Compiled callers pass parameters that exceed the registers there.
    for (TypeId type : instance.module().types)
      if (const FuncType* func = types().get(type).func()) transfer(func->param_slots);
    TRY(impl_->compiler->adopt(instance));
  }
  TRY(steps.run_segments());
  TRY(steps.run_start());
  return &instance;
}

}  // namespace tenon
