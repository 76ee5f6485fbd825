// Graphs and contexts of the C API: models on the host's own tensors, without WebAssembly. All of it is in tenon-nn.so.
#include <algorithm>
#include <cstring>

#include "handles.h"

using namespace tenon;

static_assert(TENON_NN_BF16 == static_cast<int>(NnType::bf16) &&
              TENON_NN_BOOL == static_cast<int>(NnType::boolean));

namespace {

tenon_nn_edge_t to_edge(const NnEdge& edge) {
  tenon_nn_edge_t out = {
      api::name_of(edge.name), static_cast<tenon_nn_type_t>(edge.type), -1, {}, edge.bytes};
  if (!edge.dims) return out;
  out.rank = static_cast<int32_t>(edge.dims->size());
  std::copy_n(edge.dims->begin(), std::min<size_t>(edge.dims->size(), TENON_NN_MAX_RANK), out.dims);
  return out;
}

bool get_edge(std::span<const NnEdge> edges, size_t index, tenon_nn_edge_t* out) {
  if (index >= edges.size()) return false;
  *out = to_edge(edges[index]);
  return true;
}

u32 index_of(size_t index) { return static_cast<u32>(std::min<size_t>(index, ~u32{0})); }

// A type that is no number of ours becomes one that no input has.
NnTensor to_tensor(const tenon_nn_tensor_t& t) {
  constexpr u8 kNone = 0xff;
  unsigned type = 0;  // by its bytes: a C++ enum must not hold what it does not name
  static_assert(sizeof type == sizeof t.type);
  std::memcpy(&type, &t.type, sizeof type);
  NnTensor tensor{.index = t.index,
                  .type = static_cast<NnType>(type <= TENON_NN_BOOL ? static_cast<u8>(type) : kNone),
                  .dims = std::nullopt,
                  .bytes = api::byte_span(t.data, t.size)};
  if (t.rank >= 0) tensor.dims.emplace(t.dims, static_cast<size_t>(t.rank));
  return tensor;
}

tenon_error_t* give(Result<void> result) {
  return result ? nullptr : api::make_error(std::move(result.error()));
}

tenon_error_t* give(tenon_nn_t* nn, Result<std::unique_ptr<NnGraph>> graph, tenon_nn_graph_t** out) {
  if (!graph) return api::make_error(std::move(graph.error()));
  *out = new tenon_nn_graph{nn->state, std::move(*graph)};
  return nullptr;
}

}  // namespace

tenon_error_t* tenon_nn_graph_new_named(tenon_nn_t* nn, const char* name, tenon_nn_graph_t** out) try {
  return give(nn, nn->state->environment->load_named(name), out);
} catch (...) {
  return api::caught();
}

tenon_error_t* tenon_nn_graph_new_from_file(tenon_nn_t* nn, const char* path, tenon_nn_graph_t** out) try {
  return give(nn, nn->state->environment->load_file(path), out);
} catch (...) {
  return api::caught();
}

tenon_error_t* tenon_nn_graph_new(tenon_nn_t* nn, const void* bytes, size_t size, void (*release)(void*),
                                  void* release_env, tenon_nn_graph_t** out) try {
  return give(
      nn,
      nn->state->environment->load_bytes(api::byte_span(bytes, size), api::owner_of(release, release_env)),
      out);
} catch (...) {
  return api::caught();
}

void tenon_nn_graph_delete(tenon_nn_graph_t* graph) { delete graph; }

size_t tenon_nn_graph_input_count(const tenon_nn_graph_t* graph) { return graph->graph->inputs().size(); }
size_t tenon_nn_graph_output_count(const tenon_nn_graph_t* graph) { return graph->graph->outputs().size(); }
bool tenon_nn_graph_input(const tenon_nn_graph_t* graph, size_t index, tenon_nn_edge_t* out) {
  return get_edge(graph->graph->inputs(), index, out);
}
bool tenon_nn_graph_output(const tenon_nn_graph_t* graph, size_t index, tenon_nn_edge_t* out) {
  return get_edge(graph->graph->outputs(), index, out);
}

tenon_error_t* tenon_nn_context_new(const tenon_nn_graph_t* graph, tenon_nn_context_t** out) try {
  auto execution = graph->graph->new_execution();
  if (!execution) return api::make_error(std::move(execution.error()));
  *out = new tenon_nn_context{graph->graph, std::move(*execution)};
  return nullptr;
} catch (...) {
  return api::caught();
}

void tenon_nn_context_delete(tenon_nn_context_t* context) { delete context; }

tenon_error_t* tenon_nn_context_set_input(tenon_nn_context_t* context, const tenon_nn_tensor_t* input) try {
  return give(context->execution->set_input(to_tensor(*input)));
} catch (...) {
  return api::caught();
}

tenon_error_t* tenon_nn_context_compute(tenon_nn_context_t* context) try {
  return give(context->execution->compute());
} catch (...) {
  return api::caught();
}

tenon_error_t* tenon_nn_context_output(const tenon_nn_context_t* context, size_t index,
                                       tenon_nn_edge_t* out) try {
  const auto edge = context->execution->describe_output(index_of(index));
  if (!edge) return api::make_error(edge.error());
  *out = to_edge(*edge);
  return nullptr;
} catch (...) {
  return api::caught();
}

tenon_error_t* tenon_nn_context_get_output(tenon_nn_context_t* context, size_t index, void* data,
                                           size_t capacity, size_t* size) try {
  u64 bytes = 0;
  auto got =
      context->execution->get_output(index_of(index), {static_cast<std::byte*>(data), capacity}, bytes);
  if (size && (got || bytes > 0)) *size = bytes;
  return give(std::move(got));
} catch (...) {
  return api::caught();
}

tenon_error_t* tenon_nn_context_run(tenon_nn_context_t* context, const tenon_nn_tensor_t* inputs,
                                    size_t input_count, tenon_nn_output_t* outputs, size_t output_count) try {
  std::vector<NnTensor> in;
  std::vector<NnOutput> out;
  in.reserve(input_count);
  out.reserve(output_count);
  for (const auto& input : std::span(inputs, input_count)) in.push_back(to_tensor(input));
  for (const auto& output : std::span(outputs, output_count))
    out.push_back({output.index, {static_cast<std::byte*>(output.data), output.capacity}});
  if (auto ran = context->execution->run(in, out); !ran) return api::make_error(std::move(ran.error()));
  for (size_t i = 0; i < output_count; ++i) outputs[i].written = out[i].written;
  return nullptr;
} catch (...) {
  return api::caught();
}

void tenon_nn_context_interrupt(tenon_nn_context_t* context, bool on) { context->execution->interrupt(on); }
