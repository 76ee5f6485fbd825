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

  // For the time that native frames of this thread may hold references: tells the collector where they begin
  // and compiled code where the stack ends. The outermost one counts.
  class Activation {
   public:
    explicit Activation(Store& store);
    ~Activation();

   private:
    Store& store_;
  };
};

}  // namespace tenon
