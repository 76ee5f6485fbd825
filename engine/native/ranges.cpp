// RangeSet: a list that only grows; removed nodes are empty ranges that wait for reuse.
#include "engine/native/ranges.h"

#include <type_traits>

#include "engine/brief_lock.h"

namespace tenon {

RangeSet::Node* RangeSet::add(const void* begin, u64 size, const void* payload) {
  const BriefLock lock(mutex_);
  Node* node = free_;
  const bool reused = node != nullptr;
  if (reused) {
    free_ = static_cast<Node*>(const_cast<void*>(node->payload.load()));
  } else {
    node = new Node;
  }
  const u64 first = reinterpret_cast<u64>(begin);
  node->payload.store(payload);
  node->begin.store(first);
  node->end.store(first + size);  // last: until now the range was empty
  if (!reused) {
    node->next = head_.load();
    head_.store(node);
  }
  return node;
}

void RangeSet::remove(Node* node) {
  const BriefLock lock(mutex_);
  node->end.store(0);
  node->begin.store(0);
  node->payload.store(free_);
  free_ = node;
}

const RangeSet::Node* RangeSet::find(u64 address) const {
  for (const Node* n = head_.load(); n; n = n->next)
    if (address < n->end.load() && address >= n->begin.load()) return n;
  return nullptr;
}

namespace {

// There from the program's start to its very end: a signal may come at any time.
constinit RangeSet code, memories;
static_assert(std::is_trivially_destructible_v<RangeSet>);

}  // namespace

RangeSet& code_ranges() { return code; }
RangeSet& guarded_memories() { return memories; }

}  // namespace tenon
