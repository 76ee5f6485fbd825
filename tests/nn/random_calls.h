// Calls of wasi-nn's functions that a string of bytes decides: which, with which arguments, on which memory. For fuzzing, and
// for tests with random bytes. Small models are loaded by the calls themselves, from a memory that holds them.
#pragma once

#include <cstdlib>

#include "tests/nn/guest.h"

namespace tenon::nn::test {

class CallDriver {
 public:
  // Limits are small, so that what a call may cost is small.
  static NnOptions options() {
    NnOptions o;
    o.max_model_bytes = 1 << 16;
    o.max_loaded_bytes = 1 << 18;
    o.max_tensor_bytes = 1 << 20;
    o.max_context_bytes = 1 << 22;
    o.max_operators = 64;
    o.max_graphs = 8;
    o.max_contexts = 8;
    return o;
  }

  explicit CallDriver(std::span<const uint8_t> bytes) : guest_(options(), 1 << 16), bytes_(bytes) {
    const Bytes product = model({.inputs = {value("x", 1, {"N", "2"})},
                                 .outputs = {value("y", 1, {"N", "2"})},
                                 .nodes = {{"Add", {"x", "w"}, {"t"}}, {"Relu", {"t"}, {"y"}}},
                                 .initializers = {floats("w", {2}, {1, -1})}});
    const Bytes identity = model({.inputs = {value("x", 2, {"4"})},
                                  .outputs = {value("y", 2, {"4"})},
                                  .nodes = {{"Identity", {"x"}, {"y"}}}});
    for (const Bytes& m : {product, identity}) {
      builders_.push_back(guest_.put_all<uint32_t>({guest_.put(m), static_cast<uint32_t>(m.size())}));
      uint32_t graph = 0, context = 0;
      if (guest_.load(m, graph) == NnErrno::success) (void)guest_.open(graph, context);
    }
    const uint32_t dims = guest_.put_all<uint32_t>({1, 2});
    records_.push_back(guest_.record(dims, 2, 1, guest_.put_all<float>({1, 2}), 8));
    records_.push_back(guest_.record(guest_.put_all<uint32_t>({4}), 1, 3, dims, 4));
    name_ = guest_.put("x");
    scratch_ = guest_.reserve(4096);
  }

  // Makes calls until the bytes are used up; ends the program when an answer is none that the interface has.
  void run() {
    const auto functions = nn_functions(false);
    while (at_ < bytes_.size()) {
      const HostFuncDesc& function = functions[next() % functions.size()];
      guest_.binding.dialect = static_cast<DialectId>(next() % 5);
      guest_.binding.shared_memory = next() % 2 != 0;
      std::vector<uint64_t> args;
      for (size_t i = 0; i < function.params.size(); ++i) args.push_back(argument());
      const auto answer = static_cast<uint32_t>(guest_.call_in(function.module, function.name, args));
      if (answer > 8 && answer != 103) std::abort();
      if (answer != 0 && guest_.context.last_error().empty()) std::abort();
    }
  }

 private:
  uint32_t next() { return at_ < bytes_.size() ? bytes_[at_++] : 0; }
  uint32_t word() {
    const uint32_t low = next() | next() << 8;
    return low | next() << 16 | next() << 24;
  }
  uint32_t argument() {
    switch (next() % 12) {
      case 0: return word();
      case 1: return (1 << 16) - next() % 64;  // near the end of memory
      case 2: return builders_[next() % builders_.size()];
      case 3: return records_[next() % records_.size()];
      case 4: return scratch_ + next() * 4;
      case 5: return name_;
      case 6: {  // something that was stored, changed
        const uint32_t to = scratch_ + next() * 4;
        const uint32_t value = word();
        std::memcpy(guest_.memory.data() + to, &value, sizeof value);
        return to;
      }
      case 7: return 8;
      default: return next() % 6;  // handles, indices, kinds, small sizes
    }
  }

  Guest guest_;
  std::span<const uint8_t> bytes_;
  size_t at_ = 0;
  std::vector<uint32_t> builders_, records_;
  uint32_t name_ = 0, scratch_ = 0;
};

}  // namespace tenon::nn::test
