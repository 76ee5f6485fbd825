// Engines and stores: ownership, calls from the host, traps as errors, roots of the collector.
#include "engine/runtime/store.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "engine/runtime/helpers.h"
#include "engine/runtime/store_impl.h"
#include "engine/runtime/this_thread.h"

namespace tenon {

Engine::Engine(EngineOptions options)
    : options_(options),
      types_(std::make_shared<TypeRegistry>()),
      pool_(std::make_shared<MappingPool>(options.pooled_memories)) {}

Result<std::shared_ptr<const Module>> Engine::compile(std::span<const u8> bytes,
                                                      std::shared_ptr<const void> owner) {
  if (!owner) {
    auto copy = std::make_shared<std::vector<u8>>(bytes.begin(), bytes.end());
    bytes = *copy;
    owner = std::move(copy);
  }
  TRY_ASSIGN(auto module, decode_module(types_, bytes, std::move(owner), options_.decode));
  return std::shared_ptr<const Module>(std::move(module));
}

namespace {

constexpr i32 kTickPeriod = 1'000;  // some 10 µs of interpretation

// A stack for handlers of faults and interrupts, so that they also run where compiled code has used up the
// thread's own. One that the thread has already stays.
class AlternateStack {
 public:
  [[gnu::noinline]] AlternateStack() {
    stack_t old{};
    if (sigaltstack(nullptr, &old) != 0 || !(old.ss_flags & SS_DISABLE)) return;
    const u64 size = kBytes + static_cast<u64>(std::max<long>(sysconf(_SC_MINSIGSTKSZ), 0));
    void* p = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) return;
    stack_ = {p, 0, size};
    sigaltstack(&stack_, nullptr);
  }
  ~AlternateStack() {
    if (!stack_.ss_sp) return;
    stack_t none{};
    none.ss_flags = SS_DISABLE;
    sigaltstack(&none, nullptr);
    munmap(stack_.ss_sp, stack_.ss_size);
  }

 private:
  static constexpr u64 kBytes = 64 << 10;
  stack_t stack_{};
};

}  // namespace

void Store::Impl::make_alternate_stack() {
  static thread_local const AlternateStack stack;
  ThisThread::has_alternate_stack();
}

Store::Store(std::shared_ptr<Engine> engine, StoreLimits limits)
    : engine_(std::move(engine)), limits_(limits), impl_(std::make_unique<Impl>()) {
  context_.store = this;
  context_.epoch = engine_->epoch();
  context_.epoch_deadline = ~u64{0};
  context_.fuel = std::numeric_limits<i64>::max();
  context_.helpers = helper_table();
  context_.displays = types().displays();
  context_.ticks = context_.tick_period = kTickPeriod;
  const u64 slots = std::max<u64>(limits_.value_stack_bytes, 64 << 10) / sizeof(Slot),
            bytes = slots * sizeof(Slot);
  limits_.value_stack_bytes = bytes;
  void* p = nullptr;
  if (const auto pooled = engine_->pool()->take(bytes, bytes, MappingPool::Contents::left))
    p = pooled->base;
  else
    p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) p = nullptr;  // every call then traps: call stack exhausted
  context_.value_base = context_.value_top = static_cast<Slot*>(p);
  context_.value_limit = p ? context_.value_base + slots : nullptr;
}

Store::~Store() {
  impl_->compiler.reset();   // before others can get the memories that it watches
  impl_->instances.clear();  // before what they point to
  impl_->heap.reset();       // finalizers of host values
  if (!context_.value_base) return;
  const u64 bytes = limits_.value_stack_bytes;
  engine_->pool()->give({reinterpret_cast<u8*>(context_.value_base), bytes, bytes},
                        MappingPool::Contents::left);
}

Heap& Store::heap() {
  if (!impl_->heap) impl_->heap = std::make_unique<Heap>(types(), limits_.gc_heap_bytes, StoreRoots{*this});
  return *impl_->heap;
}

void Store::set_compiler(std::unique_ptr<Compiler> compiler) { impl_->compiler = std::move(compiler); }
Compiler* Store::compiler() { return impl_->compiler.get(); }

Result<Memory*> Store::new_memory(const MemoryType& type) {
  if (impl_->memories.size() >= limits_.memories)
    return std::unexpected(
        Error{ErrorCategory::limit, fmt::format("more than {} memories", limits_.memories), {}});
  TRY_ASSIGN(auto memory, Memory::create(type, limits_, engine_->pool()));
  return impl_->memories.emplace_back(std::move(memory)).get();
}

Memory* Store::share_memory(std::shared_ptr<Memory> memory) {
  return impl_->memories.emplace_back(std::move(memory)).get();
}

std::shared_ptr<Memory> Store::shared_memory(const Memory* memory) {
  for (const auto& m : impl_->memories)
    if (m.get() == memory) return m;
  return nullptr;
}

Result<Table*> Store::new_table(const TableType& type, u64 init) {
  if (impl_->tables.size() >= limits_.tables)
    return std::unexpected(
        Error{ErrorCategory::limit, fmt::format("more than {} tables", limits_.tables), {}});
  TRY_ASSIGN(auto table, Table::create(type, init, limits_));
  return impl_->tables.emplace_back(std::move(table)).get();
}

Result<Global*> Store::new_global(const GlobalType& type, GlobalCell value) {
  HostGlobal& g = impl_->globals.emplace_back();
  g.cell = value;
  g.global = {type, &g.cell};
  return &g.global;
}

Tag* Store::new_tag(TypeId type) { return &impl_->tags.emplace_back(Tag{type}); }

FuncRef* Store::new_host_func(const HostFuncDesc& desc, void* data, VMContext* importer, MemoryDesc* memory) {
  const TypeId type = types().add_func_type({desc.params.begin(), desc.params.end()},
                                            {desc.results.begin(), desc.results.end()});
  HostFunc& host = impl_->hosts.emplace_back(HostFunc{&context_, importer, memory, data, &desc, {}});
  host.ref = {nullptr, nullptr, desc.array_entry, nullptr, type, 0, &host};
  if (impl_->compiler) impl_->compiler->make_callable(host.ref);
  return &host.ref;
}

namespace {

Status call_dynamic(FuncRef* self, Slot* slots) {
  auto* dynamic = reinterpret_cast<DynamicHost*>(static_cast<HostFunc*>(self->code));
  Store& store = *dynamic->host.store->store;
  const FuncType& type = *store.types().get(self->type).func();
  return dynamic->fn(store, {slots, std::max(type.param_slots, type.result_slots)});
}
constexpr HostFuncDesc kDynamicDesc{"host", "function", {}, {}, &call_dynamic, nullptr};

}  // namespace

FuncRef* Store::new_host_func(TypeId type, DynamicHostFunc fn) {
  DynamicHost& d = impl_->dynamic_hosts.emplace_back(
      DynamicHost{{&context_, nullptr, nullptr, nullptr, &kDynamicDesc, {}}, std::move(fn)});
  d.host.ref = {nullptr, nullptr, &call_dynamic, nullptr, type, 0, &d.host};
  if (impl_->compiler) impl_->compiler->make_callable(d.host.ref);
  return &d.host.ref;
}

Status Store::Impl::refuse_call(Store& store) {
  if (store.poisoned())
    return store.raise(TrapCode::interrupted, "the store was stopped and cannot run again");
  return store.raise(__atomic_load_n(&store.context_.interrupt, __ATOMIC_RELAXED)
                         ? TrapCode::interrupted
                         : TrapCode::stack_exhausted);
}

Status Store::call(FuncRef* func, Slot* slots) {
  const Impl::Activation activation(*this);
  Status status;
  if (poisoned() || __atomic_load_n(&context_.interrupt, __ATOMIC_RELAXED) ||
      static_cast<u8*>(__builtin_frame_address(0)) < context_.stack_limit) [[unlikely]]
    status = Impl::refuse_call(*this);
  else
    status = func->array_entry(func, slots);
  if (status == Status::tail_call) [[unlikely]]
    return finish_tail_calls(slots);
  return status;
}

Status Store::finish_tail_calls(Slot* results) {
  Status status = Status::tail_call;
  Slot* const frame = context_.value_top;  // arguments lie on the value stack, where the collector sees them
  while (status == Status::tail_call) {
    FuncRef* callee = context_.pending_callee;
    const FuncType& type = *types().get(callee->type).func();
    const u32 slots = std::max(type.param_slots, type.result_slots);
    if (static_cast<u64>(context_.value_limit - frame) < slots) {
      status = raise(TrapCode::stack_exhausted);
      break;
    }
    std::memcpy(frame, context_.transfer, type.param_slots * sizeof(Slot));
    context_.value_top = frame + slots;
    status = callee->array_entry(callee, frame);
    if (status == Status::ok) std::memcpy(results, frame, type.result_slots * sizeof(Slot));
  }
  context_.value_top = frame;
  return status;
}

Status Store::raise(TrapCode code, std::string message) {
  trap_.clear();
  trap_.code = code;
  trap_.message = std::move(message);
  return Status::trap;
}

Status Store::raise_exit(i32 code) {
  trap_.clear();
  trap_.exit_code = code;
  return Status::exit;
}

Slot* Store::transfer(u64 n) {
  if (impl_->transfer.size() < n) {
    impl_->transfer.resize(std::max<u64>(n, 64));
    context_.transfer = impl_->transfer.data();
    context_.transfer_slots = impl_->transfer.size();
  }
  return context_.transfer;
}

Error Store::trap_error(Status status) {
  if (status == Status::exit) return {ErrorCategory::exit, fmt::format("exit {}", trap_.exit_code), {}};
  std::string text;
  if (status == Status::exception)
    text = "uncaught exception";
  else if (trap_.message.empty())
    text = trap_text(trap_.code);
  else if (trap_.code == TrapCode::uninitialized_element)
    text = fmt::format("{} {}", trap_text(trap_.code), trap_.message);  // its index, as the suite words it
  else
    text = fmt::format("{}: {}", trap_text(trap_.code), trap_.message);
  constexpr size_t kShown = 64;
  for (size_t i = 0; i < trap_.frames.size() && i < kShown; ++i) {
    const TraceFrame& f = trap_.frames[i];
    text += fmt::format("\n  {:>3}: {:#08x} {}", i, f.offset, f.module->function_name(f.function));
  }
  if (trap_.frames.size() > kShown)
    text += fmt::format("\n  ... {} more frames", trap_.frames.size() - kShown);
  return {status == Status::exception ? ErrorCategory::exception : ErrorCategory::trap, std::move(text),
          trap_.frames.empty() ? std::nullopt : std::optional<u64>(trap_.frames.front().offset)};
}

namespace {

bool holds_object(ValType t, const TypeRegistry& types) {
  return t.is_ref() && types.top_of(t.heap()) != HeapType(AbstractHeap::func);
}

// Registers that survive calls may hold references of compiled frames: put them on the stack, then scan from
// there up.
__attribute__((noinline, no_sanitize("address", "thread"))) void mark_native_stack(Marker& marker,
                                                                                   const u8* base) {
#if defined(__x86_64__)
  u64 registers[6];
  asm volatile(
      "movq %%rbx, (%0)\n\tmovq %%rbp, 8(%0)\n\tmovq %%r12, 16(%0)\n\tmovq %%r13, 24(%0)\n\t"
      "movq %%r14, 32(%0)\n\tmovq %%r15, 40(%0)"
      :
      : "a"(registers)
      : "memory");
  marker.mark_range(registers, registers + std::size(registers));
#else
  __builtin_unwind_init();
#endif
  marker.mark_range(__builtin_frame_address(0), base);
}

}  // namespace

void StoreRoots::operator()(Marker& marker) const {
  Store::Impl& impl = *store.impl_;
  StoreContext& context = store.context_;
  const TypeRegistry& types = store.types();
  auto mark_global = [&](const Global& g) {
    if (holds_object(g.type.type, types)) marker.mark(g.cell->lo.ref);
  };
  for (const HostGlobal& g : impl.globals) mark_global(g.global);
  for (const Global& g : impl.own_globals) mark_global(g);
  for (const auto& table : impl.tables)
    if (holds_object(table->type().element, types))
      for (u64 i = 0; i < table->size(); ++i) marker.mark(table->desc().elements[i]);
  for (const auto& instance : impl.instances)
    for (size_t i = 0; i < instance->elements_.size(); ++i)
      if (holds_object(instance->module().elements[i].type, types))
        for (const u64 ref : instance->elements_[i]) marker.mark(ref);
  marker.mark(context.exception);
  marker.mark_range(context.transfer, context.transfer + context.transfer_slots);
  marker.mark_range(impl.const_stack.data(), impl.const_stack.data() + impl.const_stack.size());
  marker.mark_range(context.value_base, context.value_top);
  if (context.native_base) mark_native_stack(marker, context.native_base);
}

}  // namespace tenon
