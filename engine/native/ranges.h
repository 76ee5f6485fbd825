// A set of address ranges that signal handlers can search: no locks and no allocation in find(). Not for hot
// paths: the search is linear.
#pragma once
#include <atomic>
#include <mutex>

#include "engine/base.h"

namespace tenon {

class RangeSet {
 public:
  struct Node {
    std::atomic<u64> begin{0}, end{0};
    std::atomic<const void*> payload{nullptr};
    Node* next = nullptr;
  };

  // The node is given back by remove() and reused; nodes are never freed.
  Node* add(const void* begin, u64 size, const void* payload);
  void remove(Node* node);
  // The range that holds `address`, or null. Async-signal-safe. The caller knows that the range is not being
  // removed: it runs code from it, or a thread of its owner faulted in it.
  const Node* find(u64 address) const;

 private:
  std::atomic<Node*> head_{nullptr};
  std::mutex mutex_;
  Node* free_ = nullptr;  // by the `payload` of removed nodes
};

// Code of every Compiler of the process (payload: CodeObject), and the reservations of the linear memories
// that code accesses without a bounds check (payload: null).
RangeSet& code_ranges();
RangeSet& guarded_memories();

}  // namespace tenon
