// Threads of one guest program: starting, ending together.
#include "wasi/threads.h"

#include <fmt/format.h>

#include "engine/binary/byte_reader.h"

namespace tenon::wasi {
namespace {

constexpr i32 kMaxId = 0x1fff'ffff;  // wasi-threads: ids have their upper three bits clear

struct SpawnTraits {
  template <class Ctx>
  static Ctx& context(HostFunc& host) {
    return *static_cast<Ctx*>(host.data);
  }
  template <class R>
  using WasmResult = u32;
  template <class R>
  static constexpr bool kAlwaysReturns = true;
  template <class R, class Call>
  static Status finish(HostFunc&, Slot* result, ArgError, Call call, const std::tuple<>&) {
    *result = {.u64_ = static_cast<u32>(call())};
    return Status::ok;
  }
};

i32 thread_spawn(ThreadGroup& group, u32 argument) { return group.spawn(argument); }

const HostFuncDesc& spawn_desc() {
  static const HostFuncDesc desc = host_func<SpawnTraits, &thread_spawn>("wasi", "thread-spawn");
  return desc;
}

}  // namespace

bool wants_threads(const Module& module) {
  return std::ranges::any_of(module.imports, [](const Import& i) {
    const auto* memory = std::get_if<MemoryType>(&i.type);
    return (memory && memory->shared) || (i.module == spawn_desc().module && i.name == spawn_desc().name);
  });
}

struct ThreadGroup::Thread {
  std::unique_ptr<Store> store;
  Instance* instance = nullptr;
  std::thread host;
};

ThreadGroup::ThreadGroup(std::shared_ptr<Engine> engine, std::shared_ptr<const Module> module,
                         WasiContext& context, ThreadOptions options)
    : engine_(std::move(engine)),
      module_(std::move(module)),
      context_(context),
      options_(std::move(options)) {}

ThreadGroup::~ThreadGroup() = default;

// Each shared memory that the module imports is made once and handed to every thread.
Result<void> ThreadGroup::share_memories(Thread& thread, Linker& linker) {
  for (const Import& import : module_->imports) {
    const auto* type = std::get_if<MemoryType>(&import.type);
    if (!type || !type->shared) continue;
    auto& memory = memories_[{std::string(import.module), std::string(import.name)}];
    Memory* own = nullptr;
    if (memory) {
      own = thread.store->share_memory(memory);
    } else {
      TRY_ASSIGN(own, thread.store->new_memory(*type));
      memory = thread.store->shared_memory(own);
    }
    linker.define(std::string(import.module), std::string(import.name), own);
  }
  return {};
}

Result<void> ThreadGroup::instantiate(Thread& thread) {
  if (options_.prepare) TRY(options_.prepare(*thread.store));
  Linker linker;
  for (const HostFuncDesc& desc : wasi_functions()) linker.define(desc, &context_);
  linker.define(spawn_desc(), this);
  if (options_.define) options_.define(linker);
  TRY(share_memories(thread, linker));
  TRY_ASSIGN(thread.instance, linker.instantiate(*thread.store, module_));
  return {};
}

// With no result yet and room for one more; nothing otherwise.
std::optional<ThreadGroup::Place> ThreadGroup::add_thread() {
  const std::lock_guard lock(mutex_);
  for (std::thread& t : finished_) t.join();
  finished_.clear();
  if (result_ || interrupted_ || threads_.size() >= options_.max_threads) return std::nullopt;
  const Place at = threads_.insert(threads_.end(), std::make_unique<Thread>());
  (*at)->store = std::make_unique<Store>(engine_, options_.limits);
  return at;
}

void ThreadGroup::remove_thread(Place at) {
  const std::lock_guard lock(mutex_);
  if ((*at)->host.joinable()) finished_.push_back(std::move((*at)->host));
  threads_.erase(at);
  changed_.notify_all();
}

// Under the mutex. The first result counts; the threads that still run are told to end.
void ThreadGroup::end(Result<i32> result, const TrapRecord& trap) {
  if (result_) return;
  result_ = std::move(result);
  trap_ = trap;
  cancel_wasi(context_);
  for (const auto& thread : threads_) thread->store->interrupt();
  changed_.notify_all();
}

namespace {

// Whether the trap came while the thread slept: in memory.atomic.wait, or in a host's function.
bool was_waiting(const TrapRecord& trap) {
  constexpr u8 kCall = 0x10, kAtomicPrefix = 0xfe, kWait32 = 0x01, kWait64 = 0x02;
  if (trap.frames.empty()) return true;
  const TraceFrame& frame = trap.frames.front();
  ByteReader code(frame.module->bytes(), 0);
  code.bytes(frame.offset);
  const u8 opcode = code.byte();
  const u32 next = code.read_u32();
  return (opcode == kCall && frame.module->is_imported(FuncIdx{next})) ||
         (opcode == kAtomicPrefix && (next == kWait32 || next == kWait64));
}

}  // namespace

// Under the mutex: what a thread's call came to.
void ThreadGroup::end_by(Store& store, Status status) {
  const TrapRecord& trap = store.trap();
  if (status == Status::exit) return end(trap.exit_code);
  if (status == Status::ok) return;
  Error error = store.trap_error(status);
  if (!interrupted_ || trap.code != TrapCode::interrupted || !was_waiting(trap))
    return end(std::unexpected(std::move(error)), trap);
  if (!waited_) waited_.emplace(std::move(error), trap);
}

void ThreadGroup::call(Thread& thread, FuncRef* func, Slot* slots) {
  const Status status = thread.store->call(func, slots);
  const std::lock_guard lock(mutex_);
  end_by(*thread.store, status);
}

// What computes is asked first, so that its place is known; what WASI wakes may run on to somewhere else.
void ThreadGroup::interrupt() {
  constexpr auto kPatience = std::chrono::milliseconds(50);
  std::unique_lock lock(mutex_);
  interrupted_ = true;
  for (const auto& thread : threads_) thread->store->interrupt();
  changed_.wait_for(lock, kPatience, [&] { return result_.has_value(); });
  cancel_wasi(context_);
}

i32 ThreadGroup::spawn(u32 argument) {
  // A start function that spawns, whose thread's start function spawns, …: refused, since it would nest.
  static thread_local bool instantiating = false;
  if (instantiating) return -1;
  const auto at = add_thread();
  if (!at) return -1;
  Thread& thread = ***at;
  instantiating = true;
  const bool ready = instantiate(thread).has_value();
  instantiating = false;
  const auto start = ready ? thread.instance->find_export("wasi_thread_start") : std::nullopt;
  FuncRef* const* func = start ? std::get_if<FuncRef*>(&*start) : nullptr;
  if (!func || thread.store->types().get((*func)->type).func()->params != std::vector{kI32, kI32}) {
    remove_thread(*at);
    return -1;
  }
  return start_thread(*at, *func, argument);
}

i32 ThreadGroup::start_thread(Place at, FuncRef* func, u32 argument) {
  std::unique_lock lock(mutex_);  // the thread can't end before its handle is in place
  const i32 id = last_id_ == kMaxId ? -1 : ++last_id_;
  try {
    if (id > 0)
      (*at)->host = std::thread([this, at, func, id, argument] {
        Slot slots[2] = {{.u64_ = static_cast<u32>(id)}, {.u64_ = argument}};
        call(**at, func, slots);
        remove_thread(at);
      });
  } catch (const std::system_error&) {
  }
  const bool started = (*at)->host.joinable();
  lock.unlock();
  if (started) return id;
  remove_thread(at);
  return -1;
}

Result<void> ThreadGroup::run_main(Thread& main, std::string_view entry) {
  TRY(instantiate(main));
  const auto start = main.instance->find_export(entry);
  FuncRef* const* func = start ? std::get_if<FuncRef*>(&*start) : nullptr;
  const FuncType* type = func ? main.store->types().get((*func)->type).func() : nullptr;
  if (!type || !type->params.empty())
    return std::unexpected(
        Error{ErrorCategory::not_found,
              fmt::format("the module exports no function \"{}\" without parameters", entry),
              {}});
  std::vector<Slot> slots(type->result_slots);
  call(main, *func, slots.data());
  return {};
}

Result<i32> ThreadGroup::run(std::string_view entry) {
  const auto main = add_thread();
  if (!main && interrupted_) {
    trap_.code = TrapCode::interrupted;
    return std::unexpected(Error{ErrorCategory::trap, std::string(trap_text(trap_.code)), {}});
  }
  if (!main) return std::unexpected(Error{ErrorCategory::usage, "a thread group runs once", {}});
  auto done = run_main(***main, entry);
  std::unique_lock lock(mutex_);
  // The main thread returned, or never started (but its start function may have spawned): so ends the
  // program. (Unless it was interrupted while it waited: then the others end too, and one of them may know better.)
  if (!done)
    end(std::unexpected(std::move(done.error())));
  else if (!waited_)
    end(0);
  changed_.wait(lock, [&] { return threads_.size() == 1; });
  if (waited_) end(std::unexpected(std::move(waited_->first)), waited_->second);
  for (std::thread& t : finished_) t.join();
  finished_.clear();
  return *result_;
}

}  // namespace tenon::wasi
