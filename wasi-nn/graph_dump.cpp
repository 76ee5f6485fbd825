// Writes graphs and plans; see graph_dump.h.
#include "wasi-nn/graph_dump.h"

#include <filesystem>
#include <fstream>

#include "kernels/observe.h"

namespace tenon::nn {
namespace {

using kernels::Graph;
using kernels::Node;
using kernels::StepInfo;
using kernels::ValueId;

std::string value_name(const Graph& graph, ValueId id) {
  if (id == kernels::kAbsent) return "-";
  const auto& value = graph.value(id);
  const auto number = kernels::index(id);
  return value.name.empty() ? fmt::format("%{}", number) : fmt::format("%{}:{}", number, value.name);
}

std::string list_of(const Graph& graph, const std::vector<ValueId>& ids) {
  std::string text;
  for (const ValueId id : ids) text += (text.empty() ? "" : ", ") + value_name(graph, id);
  return text;
}

std::string attribute_text(const kernels::AttributeValue& value) {
  struct Printer {
    std::string operator()(int64_t x) const { return fmt::format("{}", x); }
    std::string operator()(float x) const { return fmt::format("{}", x); }
    std::string operator()(const std::string& x) const { return x; }
    std::string operator()(const kernels::Tensor& x) const {
      return fmt::format("{}{}", kernels::to_string(x.type()), kernels::to_string(x.dims()));
    }
    std::string operator()(const std::shared_ptr<const Graph>&) const { return "graph"; }
    std::string operator()(const std::vector<int64_t>& x) const {
      return fmt::format("[{}]", fmt::join(x, ","));
    }
    std::string operator()(const std::vector<float>& x) const {
      return fmt::format("[{}]", fmt::join(x, ","));
    }
    std::string operator()(const std::vector<std::string>& x) const {
      return fmt::format("[{}]", fmt::join(x, ","));
    }
  };
  return std::visit(Printer(), value);
}

void graph_text(const Graph& graph, const std::string& indent, std::string& out) {
  for (const ValueId id : graph.inputs())
    out += fmt::format("{}input {} {}\n", indent, value_name(graph, id), to_string(graph.value(id).type));
  for (const auto& capture : graph.captures())
    out += fmt::format("{}capture {} of %{}\n", indent, value_name(graph, capture.inner),
                       kernels::index(capture.outer));
  for (size_t i = 0; i < graph.values().size(); ++i) {
    const auto& value = graph.values()[i];
    if (!value.constant.defined()) continue;
    out += fmt::format("{}constant {} {}{}\n", indent, value_name(graph, static_cast<ValueId>(i)),
                       to_string(value.constant.type()), to_string(value.constant.dims()));
  }
  for (const Node& node : graph.nodes()) {
    out += fmt::format("{}{} = {}({})", indent, list_of(graph, node.outputs), to_string(node.op),
                       list_of(graph, node.inputs));
    for (const auto& attribute : node.attributes)
      out += fmt::format(" {}={}", attribute.name, attribute_text(attribute.value));
    out += node.source.node.empty() ? "\n" : fmt::format("  # {}\n", node.source.node);
    for (const auto& attribute : node.attributes) {
      const auto* body = std::get_if<std::shared_ptr<const Graph>>(&attribute.value);
      if (body == nullptr || !*body) continue;
      out += fmt::format("{}  {}:\n", indent, attribute.name);
      graph_text(**body, indent + "    ", out);
    }
  }
  for (size_t i = 0; i < graph.outputs().size(); ++i)
    out += fmt::format("{}output {} is {}\n", indent, graph.output_name(i),
                       value_name(graph, graph.outputs()[i]));
}

std::string dot_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) >= ' ') out += c;
  }
  return out + "\"";
}

// Constants are left out: most edges would be theirs.
std::string graph_dot(const Graph& graph) {
  std::string out = "digraph graph_before {\n  node [shape=box];\n";
  for (const ValueId id : graph.inputs())
    out += fmt::format("  v{} [shape=ellipse, label={}];\n", kernels::index(id),
                       dot_string(graph.value(id).name));
  for (size_t n = 0; n < graph.nodes().size(); ++n) {
    const Node& node = graph.nodes()[n];
    out += fmt::format("  n{} [label={}];\n", n, dot_string(to_string(node.op)));
    for (const ValueId id : node.inputs) {
      if (id == kernels::kAbsent) continue;
      const auto& value = graph.value(id);
      if (value.origin == kernels::GraphValue::Origin::node) {
        out += fmt::format("  n{} -> n{} [label={}];\n", value.producer, n, dot_string(value.name));
      } else if (value.origin == kernels::GraphValue::Origin::input) {
        out += fmt::format("  v{} -> n{};\n", kernels::index(id), n);
      }
    }
  }
  for (size_t i = 0; i < graph.outputs().size(); ++i) {
    const auto& value = graph.value(graph.outputs()[i]);
    if (value.origin != kernels::GraphValue::Origin::node) continue;
    out += fmt::format("  o{} [shape=ellipse, label={}];\n  n{} -> o{};\n", i,
                       dot_string(graph.output_name(i)), value.producer, i);
  }
  return out + "}\n";
}

std::string step_label(const StepInfo& step) {
  return fmt::format("{} {} [{}] {}{}", step.op, step.node, step.implementation, to_string(step.output.type),
                     to_string(step.output.dims));
}

using Reads = std::vector<std::vector<uint32_t>>;

std::string plan_text(const std::vector<StepInfo>& steps, const Reads& reads) {
  static constexpr std::string_view kPhases[] = {"early", "compute", "late"};
  std::string out;
  for (size_t i = 0; i < steps.size(); ++i) {
    out +=
        fmt::format("{:>4} {:<8} {}", i, kPhases[static_cast<size_t>(steps[i].phase)], step_label(steps[i]));
    if (i < reads.size()) out += fmt::format("  reads {}", fmt::join(reads[i], " "));
    out += '\n';
  }
  return out.empty() ? "no plan: shapes depend on data\n" : out;
}

std::string plan_dot(const std::vector<StepInfo>& steps, const Reads& reads) {
  std::string out = "digraph graph_after {\n  node [shape=box];\n";
  for (size_t i = 0; i < steps.size(); ++i) {
    out += fmt::format("  s{} [label={}];\n", i, dot_string(step_label(steps[i])));
    for (size_t k = 0; i < reads.size() && k < reads[i].size(); ++k)
      out += fmt::format("  s{} -> s{};\n", reads[i][k], i);
  }
  return out + "}\n";
}

kernels::Result<void> write(const std::string& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary);
  out << text;
  if (!out.flush()) return kernels::fail(kernels::ErrorCode::not_found, "{}: cannot be written", path);
  return {};
}

}  // namespace

kernels::Result<void> dump_graph(const kernels::Model& model, const kernels::Context& context,
                                 std::span<const kernels::Dims> input_dims,
                                 const kernels::CompileOptions& options, const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  std::string text;
  graph_text(model.graph(), "", text);
  TENON_TRY(write(folder + "/graph.txt", text));
  TENON_TRY(write(folder + "/graph.dot", graph_dot(model.graph())));
  const auto steps = context.steps();
  const Reads reads = TENON_TRY(kernels::plan_reads(model.graph(), input_dims, options));
  TENON_TRY(write(folder + "/plan.txt", plan_text(steps, reads)));
  return write(folder + "/plan.dot", plan_dot(steps, reads));
}

}  // namespace tenon::nn
