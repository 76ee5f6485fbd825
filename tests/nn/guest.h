// A guest without Wasm: memory, and calls of wasi-nn's modules through the entries that interpreter and JIT use.
#pragma once

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "tests/nn/onnx_writer.h"
#include "wasi-nn/abi/errno.h"
#include "wasi-nn/abi/functions.h"

namespace tenon::nn::test {

class Guest {
 public:
  static constexpr uint32_t kMemory = 1 << 20;

  explicit Guest(NnOptions options = {}, uint32_t bytes = kMemory, uint32_t last_handle = 0)
      : environment(std::move(options)), context(environment, last_handle), memory(bytes) {
    desc_ = {memory.data(), memory.size(), 0};
  }

  // memory.grow of a memory that moves: what was there stays, elsewhere.
  void grow(uint32_t bytes) {
    std::vector<u8> larger(memory.size() + bytes);
    std::memcpy(larger.data(), memory.data(), memory.size());
    std::memset(memory.data(), 0xdd, memory.size());
    memory = std::move(larger);
    desc_ = {memory.data(), memory.size(), 0};
  }

  // The nn_errno of a call with i32 arguments.
  NnErrno call(std::string_view name, std::vector<uint32_t> args) {
    return call_in(kEphemeralModule, name, {args.begin(), args.end()});
  }
  NnErrno extension(std::string_view name, std::vector<uint32_t> args) {
    return call_in(kExtensionModule, name, {args.begin(), args.end()});
  }
  NnErrno legacy(std::string_view name, std::vector<uint32_t> args) {
    return call_in(kLegacyModule, name, {args.begin(), args.end()});
  }
  // Arguments of memory64's variant may be i64.
  NnErrno call_in(std::string_view module, std::string_view name, std::vector<uint64_t> args,
                  bool memory64 = false) {
    for (const HostFuncDesc& desc : nn_functions(memory64)) {
      if (desc.name != name || desc.module != module) continue;
      HostFunc host{nullptr, nullptr, has_memory ? &desc_ : nullptr, &binding, &desc, {}};
      FuncRef self{};
      self.code = &host;
      std::vector<Slot> slots(std::max<size_t>(args.size(), 1));
      for (size_t i = 0; i < args.size(); ++i) slots[i].u64_ = args[i];
      if (desc.params.size() != args.size()) return NnErrno{999};
      if (desc.array_entry(&self, slots.data()) != Status::ok) return NnErrno{998};
      return NnErrno{slots[0].u32_};
    }
    return NnErrno{997};
  }

  // Room in memory: `size` bytes at the next multiple of 16, plus `skew`.
  uint32_t reserve(size_t size, uint32_t skew = 0) {
    const uint32_t at = (next_ + 15) / 16 * 16 + skew;
    next_ = at + static_cast<uint32_t>(size);
    return at;
  }
  uint32_t put(std::string_view bytes, uint32_t skew = 0) {
    const uint32_t at = reserve(bytes.size(), skew);
    std::memcpy(memory.data() + at, bytes.data(), bytes.size());
    return at;
  }
  template <typename T>
  uint32_t put_all(const std::vector<T>& values, uint32_t skew = 0) {
    return put({reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)}, skew);
  }
  template <typename T>
  T get(uint32_t at) const {
    T value;
    std::memcpy(&value, memory.data() + at, sizeof value);
    return value;
  }
  // A 20-byte tensor record.
  uint32_t record(uint32_t dims, uint32_t rank, uint8_t type, uint32_t data, uint32_t length,
                  uint32_t skew = 0) {
    const uint32_t at = reserve(20, skew);
    for (const auto& [offset, value] :
         {std::pair{0u, dims}, {4u, rank}, {8u, uint32_t{type}}, {12u, data}, {16u, length}}) {
      std::memcpy(memory.data() + at + offset, &value, 4);
    }
    return at;
  }

  // load of one builder; the handle is in `handle`.
  NnErrno load(const Bytes& model, uint32_t& handle, uint32_t encoding = 1, uint32_t target = 0) {
    const uint32_t bytes = put(model);
    const uint32_t builders = put_all<uint32_t>({bytes, static_cast<uint32_t>(model.size())});
    const uint32_t out = reserve(4);
    const NnErrno code = call("load", {builders, 1, encoding, target, out});
    handle = get<uint32_t>(out);
    return code;
  }
  NnErrno open(uint32_t graph, uint32_t& handle) {
    const uint32_t out = reserve(4);
    const NnErrno code = call("init_execution_context", {graph, out});
    handle = get<uint32_t>(out);
    return code;
  }
  template <typename T>
  NnErrno set_input(uint32_t ctx, uint32_t index, uint8_t type, const std::vector<uint32_t>& dims,
                    const std::vector<T>& data, uint32_t skew = 0) {
    const uint32_t at = put_all(data, skew);
    const uint32_t shape = put_all(dims, skew);
    return call("set_input", {ctx, index,
                              record(shape, static_cast<uint32_t>(dims.size()), type, at,
                                     static_cast<uint32_t>(data.size() * sizeof(T)), skew)});
  }
  template <typename T>
  std::vector<T> get_output(uint32_t ctx, uint32_t index, size_t count, uint32_t skew = 0) {
    const uint32_t at = reserve(count * sizeof(T), skew);
    const uint32_t written = reserve(4);
    if (call("get_output", {ctx, index, at, static_cast<uint32_t>(count * sizeof(T)), written}) !=
        NnErrno::success)
      return {};
    std::vector<T> out(get<uint32_t>(written) / sizeof(T));
    std::memcpy(out.data(), memory.data() + at, out.size() * sizeof(T));
    return out;
  }
  // Overwrites all that has been put so far.
  void scribble() { std::memset(memory.data(), 0xee, next_); }

  Environment environment;
  NnContext context;
  Binding binding{&context};
  std::vector<u8> memory;
  bool has_memory = true;

 private:
  MemoryDesc desc_;
  uint32_t next_ = 16;
};

}  // namespace tenon::nn::test
