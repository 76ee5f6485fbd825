// What a graph from an untrusted source may cost. Exceeding one is ErrorCode::too_large with the place.
#pragma once
#include <cstdint>

namespace tenon::kernels {

struct Limits {
  std::uint64_t max_tensor_bytes = std::uint64_t{1} << 31;     // any single tensor
  std::uint64_t max_context_bytes = std::uint64_t{1} << 32;    // activations of one context
  std::uint64_t max_nodes = 1u << 20;                          // in a graph with all its subgraphs
  std::uint32_t max_graph_depth = 16;                          // nesting of If, Loop, Scan
  std::uint64_t max_node_operations = std::uint64_t{1} << 44;  // of one operator
  std::uint64_t max_loop_iterations = std::uint64_t{1} << 32;
};

}  // namespace tenon::kernels
