// The meaning of wasi-nn's calls over spans of guest memory: graphs, execution contexts, tensors. Knows no
// Wasm signature; abi/ binds it. Everything that comes from the guest is checked here.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

#include "wasi-nn/environment.h"

namespace tenon::nn {

// Handles are numbers that are never given out twice, so that a stale or foreign one is always an error.
enum class GraphHandle : uint32_t {};
enum class ContextHandle : uint32_t {};

// A tensor as a guest passes it. `dims` are the raw little-endian u32 of the record (any alignment); `type`
// is the number in the record, not yet known to be one of an element type.
struct GuestTensor {
  std::span<const std::byte> dims;
  uint32_t type = 0;
  std::span<const std::byte> data;
};

// Graphs and contexts of one guest. Any thread may call; two calls on one context at once give `busy`.
class NnContext {
 public:
  // `environment` outlives it.
  explicit NnContext(Environment& environment) : environment_(environment) {}
  ~NnContext();
  NnContext(const NnContext&) = delete;
  NnContext& operator=(const NnContext&) = delete;

  // `builders` are copied before they are looked at. Errors: invalid_argument (target, number of builders),
  // invalid_encoding, unsupported_operation (format, operator, target), too_large.
  Result<GraphHandle> load(std::span<const std::span<const std::byte>> builders, uint32_t encoding,
                           uint32_t target);
  // not_found when no graph is registered under exactly this name.
  Result<GraphHandle> load_by_name(std::string_view name);
  Result<ContextHandle> init_execution_context(GraphHandle graph);
  // Returns when the tensor's bytes have been read; the guest may reuse them. A failing call keeps the old
  // value.
  Result<void> set_input(ContextHandle context, uint32_t index, const GuestTensor& tensor);
  Result<void> compute(ContextHandle context);
  // Bytes written. too_large with needed_bytes when `out` is too small; nothing is written then.
  Result<size_t> get_output(ContextHandle context, uint32_t index, std::span<std::byte> out);

  // Releases a handle; contexts keep their graph. invalid_argument for a handle that is not open.
  Result<void> unload(GraphHandle graph);
  Result<void> close(ContextHandle context);

  // The message of the last failed call (any thread's), empty if none.
  std::string last_error() const;
  void remember(std::string message);

 private:
  struct Execution {
    std::shared_ptr<LoadedGraph> graph;
    std::unique_ptr<kernels::Context> context;
    ~Execution();
  };

  Result<std::shared_ptr<Execution>> find(ContextHandle handle) const;
  Result<GraphHandle> add_graph(std::shared_ptr<LoadedGraph> graph);
  Result<uint32_t> next_handle();

  Environment& environment_;
  mutable std::mutex mutex_;  // of what follows; never held during a call into kernels/
  std::unordered_map<uint32_t, std::shared_ptr<LoadedGraph>> graphs_;
  std::unordered_map<uint32_t, std::shared_ptr<Execution>> contexts_;
  uint32_t last_handle_ = 0;
  std::string last_error_;
};

// The element type that a guest's type number means for a tensor of a graph's type `declared` and this many
// elements and bytes. bool and i8 travel as u8, u32 and u64 as i32 and i64. Numbers of the older enumeration
// (f16 0, f32 1, u8 2, i32 3) are understood where the byte length leaves no doubt.
Result<void> check_element_type(uint32_t number, kernels::DataType declared, int64_t elements, size_t bytes);

// unsupported_operation for graphs whose inputs or outputs no guest can pass: strings, sequences, 16-bit
// integers.
Result<void> check_edges(const kernels::Model& model);

}  // namespace tenon::nn
