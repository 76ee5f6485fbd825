// The meaning of wasi-nn's calls over ranges of guest memory: graphs, execution contexts, tensors, bindings. Knows
// no Wasm signature; abi/ binds it. Everything that comes from the guest is checked here.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

#include "engine/runtime/host_func.h"
#include "wasi-nn/environment.h"

namespace tenon::nn {

// Handles are numbers that are never given out twice, so that a stale or foreign one is always an error.
enum class GraphHandle : uint32_t {};
enum class ContextHandle : uint32_t {};

// Who calls: how it numbers things, its memory, and what stops it.
struct Caller {
  const Dialect* dialect = &nn::dialect(DialectId::automatic);
  const MemoryDesc* memory = nullptr;            // lives as long as the guest's store
  bool shared_memory = false;                    // other threads may write it during a call
  const volatile uint32_t* interrupt = nullptr;  // non-zero: the guest is to stop
};

// A tensor as a guest passes it. `dims` are the raw little-endian u32 of the record (any alignment); `type` is
// the number in the record, not yet known to be one of an element type. Records without a length of the data
// have `sized` false: `data` then reaches to the end of memory.
struct GuestTensor {
  std::span<const std::byte> dims;
  uint32_t type = 0;
  std::span<const std::byte> data;
  bool sized = true;
};

// An input or output by position or by name.
struct Edge {
  uint32_t index = 0;
  std::string_view name;  // given: counts
};

struct NamedInput {
  std::string_view name;
  GuestTensor tensor;
};
struct NamedOutput {
  std::string_view name;
  std::span<std::byte> data;
  size_t written = 0;
};

enum class EdgeKind : uint32_t { input, output };

// What is known of an input or output. Dimensions that only an inference decides are kDynamicDim.
struct EdgeInfo {
  std::string_view name;
  uint32_t type = 0;   // witx number
  uint64_t bytes = 0;  // 0 while a dimension is dynamic
  uint32_t rank = 0;   // kUnknownRank: anything
  uint32_t dims[kernels::Dims::kMaxRank] = {};
};
inline constexpr uint32_t kDynamicDim = 0xffffffff, kUnknownRank = 0xffffffff;

// Graphs and contexts of one guest. Any thread may call; two calls on one context at once give `busy`.
class NnContext {
 public:
  // `environment` outlives it. Handles count from `last_handle` up and are never given out twice; when there are no more, loads
  // fail.
  explicit NnContext(Environment& environment, uint32_t last_handle = 0)
      : environment_(environment), last_handle_(last_handle) {}
  ~NnContext();
  NnContext(const NnContext&) = delete;
  NnContext& operator=(const NnContext&) = delete;

  // `builders` are copied before they are looked at. Errors: invalid_argument (target, number of builders),
  // invalid_encoding, unsupported_operation (format, operator, target), too_large.
  Result<GraphHandle> load(std::span<const std::span<const std::byte>> builders, uint32_t encoding,
                           uint32_t target, const Caller& caller = {});
  // not_found when no graph is registered under exactly this name.
  Result<GraphHandle> load_by_name(std::string_view name);
  Result<ContextHandle> init_execution_context(GraphHandle graph);
  // Returns when the tensor's bytes have been read; the guest may reuse them. A failing call keeps the old
  // value. Ends a binding of that input.
  Result<void> set_input(ContextHandle context, Edge edge, const GuestTensor& tensor,
                         const Caller& caller = {});
  // Reads bound inputs, computes, writes bound outputs; too_large if one does not fit its range.
  Result<void> compute(ContextHandle context, const Caller& caller = {});
  // Sets all inputs, computes, and writes all outputs, as one call.
  Result<void> compute_named(ContextHandle context, std::span<const NamedInput> inputs,
                             std::span<NamedOutput> outputs, const Caller& caller);
  // Bytes written. too_large with needed_bytes when `out` is too small; nothing is written then.
  Result<size_t> get_output(ContextHandle context, Edge edge, std::span<std::byte> out,
                            const Caller& caller = {});

  // From now on compute reads the input from [address, address + size) of the caller's memory. Without `dims`
  // they follow from the size: all but one dimension of the input must then be constant.
  Result<void> bind_input(ContextHandle context, Edge edge, std::optional<std::span<const std::byte>> dims,
                          uint64_t address, uint64_t size, const Caller& caller);
  // From now on compute writes the output to [address, address + size).
  Result<void> bind_output(ContextHandle context, Edge edge, uint64_t address, uint64_t size,
                           const Caller& caller);
  // Nothing happens if it was not bound.
  Result<void> unbind(ContextHandle context, EdgeKind kind, Edge edge);

  // `handle` is a graph's or a context's; a context knows more dimensions once its inputs are set. Names view
  // the graph, which `keep` holds.
  Result<uint32_t> count(uint32_t handle, EdgeKind kind) const;
  Result<EdgeInfo> describe(uint32_t handle, EdgeKind kind, uint32_t index,
                            std::shared_ptr<const void>& keep) const;

  // Size of one element of an output, for interfaces that count elements.
  Result<uint64_t> output_element_bytes(ContextHandle context, uint32_t index) const;

  // Releases a handle; contexts keep their graph. invalid_argument for a handle that is not open.
  Result<void> unload(GraphHandle graph);
  Result<void> close(ContextHandle context);

  // The message of the last failed call (any thread's), empty if none.
  std::string last_error() const;
  void remember(std::string message);

 private:
  struct Execution;

  Result<std::shared_ptr<Execution>> find(ContextHandle handle) const;
  Result<std::shared_ptr<LoadedGraph>> graph_of(uint32_t handle) const;
  Result<GraphHandle> add_graph(std::shared_ptr<LoadedGraph> graph);
  // too_large when so many are open, or all handles have been used. The lock is held.
  Result<void> check_room_for_graph() const;
  Result<void> check_room_for_context() const;
  Result<void> check_handles() const;

  Environment& environment_;
  mutable std::mutex mutex_;  // of what follows; never held during a call into kernels/
  std::unordered_map<uint32_t, std::shared_ptr<LoadedGraph>> graphs_;
  std::unordered_map<uint32_t, std::shared_ptr<Execution>> contexts_;
  uint32_t last_handle_;
  std::string last_error_;
};

// The element type that a guest's type number means for a tensor of a graph's type `declared` and this many
// elements and bytes. bool and i8 travel as u8, u32 and u64 as i32 and i64. Numbers of the older enumeration
// (f16 0, f32 1, u8 2, i32 3) are understood where the byte length leaves no doubt, or where `numbers` says so.
Result<void> check_element_type(uint32_t number, kernels::DataType declared, int64_t elements, size_t bytes,
                                TypeNumbers numbers = TypeNumbers::either);

// The dimensions that `bytes` bytes fill, for a type of which at most one dimension is unknown. Error: invalid_argument.
Result<kernels::Dims> dims_from_size(const kernels::ValueType& declared, uint64_t bytes);

// The witx number of an element type, nothing for types that cannot pass.
std::optional<uint32_t> type_number(kernels::DataType type);

// unsupported_operation for graphs whose inputs or outputs no guest can pass: strings, sequences, 16-bit
// integers.
Result<void> check_edges(const kernels::Model& model);

}  // namespace tenon::nn
