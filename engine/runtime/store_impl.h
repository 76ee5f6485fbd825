// What a Store owns, and what surrounds each run of a guest. Included by store.cpp and instantiate.cpp only.
#pragma once
#include <algorithm>
#include <deque>
#include <memory>
#include <vector>

#include "engine/runtime/kick_entry.h"
#include "engine/runtime/store.h"

namespace tenon {

// A global that no instance holds in its cells.
struct HostGlobal {
  Global global;
  GlobalCell cell;
};

struct DynamicHost {
  HostFunc host;
  Store::DynamicHostFunc fn;
};

// Finds every reference outside the heap.
struct StoreRoots {
  Store& store;
  void operator()(Marker& marker) const;
};

struct Store::Impl {
  std::unique_ptr<Heap> heap;
  std::unique_ptr<Compiler> compiler;
  std::vector<std::unique_ptr<Instance>> instances;
  std::vector<std::shared_ptr<Memory>> memories;
  std::vector<std::unique_ptr<Table>> tables;
  std::deque<HostGlobal> globals;
  std::deque<Global> own_globals;  // of instances; the cells are theirs
  std::deque<Tag> tags;
  std::deque<HostFunc> hosts;
  std::deque<DynamicHost> dynamic_hosts;
  std::vector<Slot> transfer;
  std::vector<Slot> const_stack;  // of the constant expressions being evaluated

  // Of a store that was stopped, or without room on the stack. Out of line, since calls are short.
  [[gnu::noinline]] static Status refuse_call(Store& store);

  // A stack for handlers of signals, if the thread has none. Out of line: once for each thread.
  [[gnu::noinline]] static void make_alternate_stack();

  // A call, or what else runs a guest, in the scope of this. The outermost one tells the collector where native frames that
  // may hold references begin, compiled code where the stack ends, and interrupts which thread runs; native_base is null
  // outside of it. Inlined: they count from the frame it is in, and hosts count the nanoseconds.
  class Activation {
   public:
    [[gnu::always_inline]] explicit Activation(Store& store)
        : store_(store), is_outermost_(store.context_.native_base == nullptr) {
      if (is_outermost_) enter(store, static_cast<u8*>(__builtin_frame_address(0)));
    }
    [[gnu::always_inline]] ~Activation() {
      if (!is_outermost_) return;
      store_.context_.native_base = nullptr;
      store_.kick_.leave();
    }
    Activation(const Activation&) = delete;
    Activation& operator=(const Activation&) = delete;

   private:
    [[gnu::always_inline]] static void enter(Store& store, u8* here) {
      const ThisThread& thread = ThisThread::get();
      store.kick_.enter();
      if (!thread.alternate_stack && store.impl_->compiler) [[unlikely]]
        make_alternate_stack();
      constexpr u64 kOwnFrames = 1024;  // of the callers that hold references in arguments and locals
      store.context_.native_base = here + kOwnFrames;
      const u64 at = reinterpret_cast<u64>(here);
      store.context_.stack_limit =
          std::max(here - std::min(at, store.limits_.native_stack_bytes), thread.stack_end);
      // Of the last call; most have left nothing there.
      TrapRecord& record = store.trap_;
      if (record.code != TrapCode::none || !record.frames.empty() || record.exit_code != 0) [[unlikely]]
        record.clear();
      store.context_.exception = kNullRef;
    }
    Store& store_;
    const bool is_outermost_;
  };
};

}  // namespace tenon
