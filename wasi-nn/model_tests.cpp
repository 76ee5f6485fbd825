// `tenon nn test`: runs the cases of model folders and compares; see tools.h.
#include <algorithm>
#include <filesystem>
#include <set>

#include "kernels/rewrite.h"
#include "wasi-nn/environment.h"
#include "wasi-nn/formats/tensor_file.h"
#include "wasi-nn/golden.h"
#include "wasi-nn/tools.h"

namespace tenon::nn {
namespace {

namespace fs = std::filesystem;
using kernels::ErrorCode;
using kernels::fail;
using kernels::Tensor;
using kernels::Value;
using kernels::ValueType;

// arange(n) / n in f32, as the ONNX runner feeds light models.
Result<Value> ramp(const ValueType& type) {
  const auto dims = type.concrete_dims();
  if (!dims || type.element != kernels::DataType::f32) {
    return fail(ErrorCode::unsupported_operation, "a ramp for {}", to_string(type));
  }
  Tensor tensor = TENON_TRY(Tensor::allocate(type.element, *dims));
  const auto count = static_cast<float>(tensor.count());
  for (int64_t i = 0; i < tensor.count(); ++i) {
    const float value = static_cast<float>(i) / count;
    std::memcpy(tensor.mutable_data() + i * 4, &value, sizeof value);
  }
  return Value::of(std::move(tensor));
}

// A tensor of the model by its name in the case; by position when names are not given, or the model has others (those
// of a signature, say).
Result<size_t> find_edge(const std::vector<kernels::TensorInfo>& edges, const CaseTensor& wanted,
                         size_t position) {
  if (!wanted.name.empty()) {
    const auto it = std::ranges::find(edges, wanted.name, &kernels::TensorInfo::name);
    if (it != edges.end()) return static_cast<size_t>(it - edges.begin());
  }
  if (position < edges.size()) return position;
  return fail(ErrorCode::invalid_argument, "the model has no '{}'",
              wanted.name.empty() ? wanted.file : wanted.name);
}

Result<void> set_inputs(kernels::Context& context, const ModelCase& one) {
  const auto& edges = context.model().inputs();
  if (one.ramp_input) {
    for (size_t i = 0; i < edges.size(); ++i) {
      TENON_TRY(context.set_input(i, TENON_TRY(ramp(edges[i].type)).tensor.view()));
    }
    return {};
  }
  for (size_t k = 0; k < one.inputs.size(); ++k) {
    const CaseTensor& input = one.inputs[k];
    const size_t index = TENON_TRY(find_edge(edges, input, k));
    const Value value = TENON_TRY(read_value(input.file, input.type.value_or(edges[index].type)));
    if (value.kind == ValueType::Kind::tensor && value.tensor.type() != kernels::DataType::string) {
      TENON_TRY(context.set_input(index, value.tensor.view()));
    } else {
      TENON_TRY(context.set_input_value(index, value));
    }
  }
  return {};
}

// What one step of a quantised result is worth when the model gives it as real numbers; 0 for others.
double step_of(const kernels::Graph& graph, size_t output) {
  const auto& value = graph.value(graph.outputs()[output]);
  if (value.origin != kernels::GraphValue::Origin::node) return 0;
  const auto& node = graph.nodes()[value.producer];
  if (node.op != kernels::Op::DequantizeLinear) return 0;
  const Tensor& scale = graph.value(node.inputs[1]).constant;
  if (scale.type() != kernels::DataType::f32 || scale.count() != 1) return 0;
  return to_doubles(scale)[0] * 1.001;
}

// The hybrid operators of TensorFlow Lite. On the model of the test data, two of its versions, and its optimised and its
// plain kernels, differ by 8e-4 of the largest result in the mean.
bool quantises_as_it_runs(const kernels::Graph& graph) {
  return std::ranges::any_of(graph.nodes(), [](const kernels::Node& node) {
    return node.op == kernels::Op::DynamicQuantizeLinear && node.text("form") != "onnx";
  });
}

// The classes that a quantised graph chooses. On the model of the test data, the optimised and the plain kernels of
// TensorFlow Lite choose another one for 0.85 % of the pixels, since a code one step off meets another as large.
bool chooses_by_codes(const kernels::Graph& graph, size_t output) {
  const auto& value = graph.value(graph.outputs()[output]);
  if (value.origin != kernels::GraphValue::Origin::node) return false;
  const auto& nodes = graph.nodes();
  return nodes[value.producer].op == kernels::Op::ArgMax &&
         std::ranges::find(nodes, kernels::Op::QLinearConv, &kernels::Node::op) != nodes.end();
}

// What differs, or nothing.
Result<std::optional<std::string>> run_case(kernels::Context& context, const ModelCase& one,
                                            const Tolerance& tolerance) {
  TENON_TRY(set_inputs(context, one));
  TENON_TRY(context.compute());
  const auto& edges = context.model().outputs();
  std::string lines;
  for (size_t k = 0; k < one.outputs.size(); ++k) {
    const CaseTensor& output = one.outputs[k];
    const size_t index = TENON_TRY(find_edge(edges, output, k));
    const Value expected = TENON_TRY(read_value(output.file, output.type.value_or(edges[index].type)));
    const Value actual = TENON_TRY(context.get_output_value(index));
    Tolerance own = tolerance;
    if (quantises_as_it_runs(context.model().graph())) own.mean_of_largest = 1e-3;
    if (chooses_by_codes(context.model().graph(), index)) own.others = 5e-3;
    own.atol = std::max({own.atol, output.step, step_of(context.model().graph(), index)});
    if (auto off = difference(actual, expected, own))
      lines += fmt::format("{}output '{}': {}", lines.empty() ? "" : "; ", edges[index].name, *off);
  }
  return lines.empty() ? std::nullopt : std::optional(std::move(lines));
}

// The case on the model without its declared input shapes.
Result<std::optional<std::string>> run_relaxed(const kernels::Model& model,
                                               const kernels::CompileOptions& options, const ModelCase& one,
                                               const Tolerance& tolerance) {
  auto graph = TENON_TRY(kernels::without_input_shapes(model.graph(), options.limits));
  const auto relaxed = TENON_TRY(kernels::compile(std::move(graph), options));
  return run_case(*TENON_TRY(relaxed->create_context()), one, tolerance);
}

class Runner {
 public:
  Runner(const TestOptions& options, const LineSink& line) : options_(options), line_(line) {}

  void folder(const std::string& path) {
    auto cases = find_cases(path);
    if (!cases) return failed(path, cases.error().message);
    if (cases->empty()) return folders_in(path);
    for (const ModelCases& model : *cases) {
      if (model.model.find(options_.filter) != std::string::npos) run(model);
    }
  }

  const TestTotals& totals() const { return totals_; }

 private:
  void folders_in(const std::string& path) {
    std::set<std::string> inner;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(path, error)) {
      if (entry.is_directory(error)) inner.insert(entry.path().string());
    }
    if (error) return failed(path, error.message());
    for (const std::string& folder_path : inner) folder(folder_path);
  }

  void run(const ModelCases& model) {
    kernels::CompileOptions compile;
    compile.threads = std::max(options_.threads, 1);
    compile.reference = options_.reference;
    auto loaded = load_model_file(model.model, compile);
    if (!loaded) {
      for (const ModelCase& one : model.cases) unable(one, loaded.error());
      return;
    }
    auto context = (*loaded)->create_context();
    for (const ModelCase& one : model.cases) {
      if (!one.continues && !(*loaded)->graph().states().empty()) context = (*loaded)->create_context();
      if (!context) {
        unable(one, context.error());
        continue;
      }
      auto off = run_case(**context, one, tolerance(model.tolerance));
      if (!off && off.error().code == ErrorCode::invalid_argument) {
        // Some cases of the official suite store inputs of other dims than their model declares.
        if (auto again = run_relaxed(**loaded, compile, one, tolerance(model.tolerance)))
          off = std::move(again);
      }
      if (!off) {
        unable(one, off.error());
      } else if (*off) {
        failed(one.name, **off);
      } else {
        ++totals_.passed;
        if (options_.verbose) line_(fmt::format("pass {}", one.name));
      }
    }
  }

  // What Tenon lacks is no failure, but never silent.
  void unable(const ModelCase& one, const kernels::Error& error) {
    if (error.code != ErrorCode::unsupported_operation) return failed(one.name, error.message);
    ++totals_.skipped;
    line_(fmt::format("skip {}: {}", one.name, error.message));
  }

  void failed(const std::string& name, const std::string& why) {
    ++totals_.failed;
    line_(fmt::format("FAIL {}: {}", name, why));
  }

  Tolerance tolerance(Tolerance rule) const {
    if (!options_.rtol && !options_.atol) return rule;
    return {.rtol = options_.rtol.value_or(rule.rtol),
            .atol = options_.atol.value_or(rule.atol),
            .of_largest = 0};
  }

  const TestOptions& options_;
  const LineSink& line_;
  TestTotals totals_;
};

}  // namespace

TestTotals test_models(std::span<const std::string> paths, const TestOptions& options, const LineSink& line) {
  Runner runner(options, line);
  for (const std::string& path : paths) runner.folder(path);
  const TestTotals& t = runner.totals();
  line(fmt::format("{} passed, {} failed, {} skipped", t.passed, t.failed, t.skipped));
  return t;
}

}  // namespace tenon::nn
