// What a Store owns. Included by store.cpp, instance.cpp and instantiate.cpp only.
#pragma once
#include <deque>
#include <memory>
#include <vector>

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
  u32 depth = 0;                  // of nested Store::call

  // Of a store that was stopped, or without room on the stack. Out of line, since calls are short.
  [[gnu::noinline]] static Status refuse_call(Store& store);

  // The outermost call of a host begins and ends: tells the collector where native frames that may hold references begin,
  // compiled code where the stack ends, and interrupts which thread runs. Inlined, so that they count from its frame.
  [[gnu::always_inline]] static inline void enter_outermost(Store& store, const Impl& impl);
  [[gnu::always_inline]] static inline void leave_outermost(Store& store);

  // The same for who makes no call but runs a guest, in the scope of this. The outermost one counts.
  class Activation {
   public:
    explicit Activation(Store& store);
    ~Activation();

   private:
    Store& store_;
  };
};

}  // namespace tenon
