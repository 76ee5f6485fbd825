// Propagates element types through a graph and its subgraphs.
#include "kernels/typecheck.h"

#include "kernels/ops.h"

namespace tenon::kernels {
namespace {

using Types = std::vector<DataType>;

Result<Types> check(const Graph& graph, std::span<const DataType> input_types,
                    std::span<const DataType> captures) {
  Types types(graph.values().size(), DataType::undefined);
  for (std::size_t i = 0; i < types.size(); ++i) {
    const auto& value = graph.values()[i];
    if (value.type.kind == ValueType::Kind::tensor && value.origin != GraphValue::Origin::node)
      types[i] = value.type.element;
  }
  for (std::size_t i = 0; i < graph.inputs().size() && i < input_types.size(); ++i) {
    auto& type = types[index(graph.inputs()[i])];
    if (type == DataType::undefined) type = input_types[i];
  }
  for (std::size_t i = 0; i < captures.size(); ++i) types[index(graph.captures()[i].inner)] = captures[i];
  for (const auto& node : graph.nodes()) {
    std::vector<Operand> operands;
    bool known = true;
    for (const auto id : node.inputs) {
      operands.emplace_back();
      operands.back().present = id != kAbsent;
      if (id == kAbsent) continue;
      operands.back().type = types[index(id)];
      known = known && operands.back().type != DataType::undefined;
    }
    // Bodies: types of their inputs are declared, or those of the node's operands where they line up (Scan).
    std::vector<Types> results;
    for (const auto& attribute : node.attributes) {
      const auto* body = std::get_if<std::shared_ptr<const Graph>>(&attribute.value);
      if (body == nullptr) continue;
      Types captured, given;
      for (const auto& capture : (*body)->captures()) captured.push_back(types[index(capture.outer)]);
      const auto inner = TENON_TRY(check(**body, given, captured));
      Types outputs;
      for (const auto id : (*body)->outputs()) outputs.push_back(inner[index(id)]);
      results.push_back(std::move(outputs));
    }
    if (!results.empty()) {
      const std::size_t skip =
          results[0].size() > node.outputs.size() ? results[0].size() - node.outputs.size() : 0;
      for (std::size_t i = 0; i < node.outputs.size() && i + skip < results[0].size(); ++i) {
        if (node.has_output(i)) types[index(node.outputs[i])] = results[0][i + skip];
      }
      continue;
    }
    if (!known) continue;
    InferContext context(node, operands);
    if (auto ok = infer_types(context); !ok)
      return std::unexpected(with_place(ok.error(), graph.place(node)));
    for (std::size_t i = 0; i < node.outputs.size(); ++i) {
      if (node.has_output(i)) types[index(node.outputs[i])] = context.outputs[i].type;
    }
  }
  return types;
}

}  // namespace

Result<std::vector<DataType>> check_types(const Graph& graph) { return check(graph, {}, {}); }

}  // namespace tenon::kernels
