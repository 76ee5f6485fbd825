// inspect and run of `tenon nn`; see tools.h. Testing is in model_tests.cpp.
#include "wasi-nn/tools.h"

#include <chrono>
#include <cmath>
#include <fstream>

#include "wasi-nn/environment.h"
#include "wasi-nn/formats/tensor_file.h"
#include "wasi-nn/golden.h"

namespace tenon::nn {
namespace {

using kernels::ErrorCode;
using kernels::fail;
using kernels::Tensor;
using kernels::Value;
using kernels::ValueType;

using Clock = std::chrono::steady_clock;

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

ToolResult finished(Result<std::string> text) {
  if (text) return {true, *std::move(text), {}};
  return {false, {}, text.error().message};
}

// "12,345,678"
std::string grouped(uint64_t number) {
  std::string text = std::to_string(number);
  for (size_t at = text.size(); at > 3;) text.insert(at -= 3, ",");
  return text;
}

std::string edges(std::string_view title, const std::vector<kernels::TensorInfo>& infos) {
  std::string text = fmt::format("{}\n", title);
  for (const auto& info : infos) text += fmt::format("  {:<32} {}\n", info.name, to_string(info.type));
  return text;
}

struct Parameters {
  uint64_t count = 0;
  uint64_t bytes = 0;
};

// Constants of a graph and its subgraphs; those shared with a subgraph count once.
void add_parameters(const kernels::Graph& graph, std::set<const std::byte*>& seen, Parameters& sum) {
  for (const auto& value : graph.values()) {
    if (!value.constant.defined() || !seen.insert(value.constant.data()).second) continue;
    sum.count += static_cast<uint64_t>(value.constant.count());
    sum.bytes += value.constant.bytes().size();
  }
  for (const auto& node : graph.nodes()) {
    for (const auto& attribute : node.attributes) {
      const auto* sub = std::get_if<std::shared_ptr<const kernels::Graph>>(&attribute.value);
      if (sub && *sub) add_parameters(**sub, seen, sum);
    }
  }
}

std::string_view phase_name(kernels::StepInfo::Phase phase) {
  static constexpr std::string_view kNames[] = {"early", "compute", "late"};
  return kNames[static_cast<size_t>(phase)];
}

std::string step_lines(const kernels::Context& context, bool times) {
  std::string text = "steps\n";
  for (const auto& step : context.steps()) {
    text += fmt::format("  {:<8} {:<20} {:<36} {:<28} {}{}", phase_name(step.phase), step.op, step.node,
                        step.implementation, to_string(step.output.type), to_string(step.output.dims));
    if (times && step.runs > 0) {
      const double ns = static_cast<double>(step.nanoseconds) / static_cast<double>(step.runs);
      text += fmt::format("  {:.3f} ms", ns / 1e6);
      if (step.flops > 0 && ns > 0)
        text += fmt::format("  {:.1f} GFLOP/s", static_cast<double>(step.flops) / ns);
    }
    text += '\n';
  }
  return text;
}

// Operations of one inference, known where the shapes of all inputs are.
std::string cost_line(const kernels::Context& context) {
  uint64_t flops = 0;
  for (const auto& step : context.steps()) flops += step.flops;
  if (flops == 0) return "cost\n  depends on the shapes of the inputs\n";
  return fmt::format("cost\n  {} FLOP an inference ({:.3f} GFLOP)\n", grouped(flops),
                     static_cast<double>(flops) / 1e9);
}

Result<std::string> inspect(const std::string& path, const InspectOptions& options) {
  ModelSummary summary;
  const auto model = TENON_TRY(load_model_file(path, {}, &summary));
  std::string text = fmt::format("{}\n{}", model->name(), summary.format);
  for (const auto& [domain, version] : summary.opsets)
    text += fmt::format(", opset {} of {}", version, domain);
  if (!summary.producer.empty()) text += fmt::format(", made by {}", summary.producer);
  text += '\n' + edges("inputs", model->inputs()) + edges("outputs", model->outputs());
  uint64_t nodes = 0;
  for (const auto& [name, count] : summary.operators) nodes += count;
  text += fmt::format("operators ({} nodes)\n", nodes);
  for (const auto& [name, count] : summary.operators) text += fmt::format("  {:<32} {}\n", name, count);
  Parameters parameters;
  std::set<const std::byte*> seen;
  add_parameters(model->graph(), seen, parameters);
  text += fmt::format("parameters\n  {} in {} bytes\n", grouped(parameters.count), grouped(parameters.bytes));
  const auto context = TENON_TRY(model->create_context());
  text += cost_line(*context);
  if (options.steps) text += step_lines(*context, false);
  return text;
}

// Index of the input that a NAME=FILE means.
Result<size_t> input_index(const kernels::Model& model, const std::string& name) {
  const auto& inputs = model.inputs();
  if (name.empty() && inputs.size() == 1) return 0;
  const auto it = std::ranges::find(inputs, name, &kernels::TensorInfo::name);
  if (it != inputs.end()) return static_cast<size_t>(it - inputs.begin());
  std::string names;
  for (const auto& input : inputs) names += fmt::format(" '{}'", input.name);
  return fail(ErrorCode::invalid_argument, "no input is named '{}'; there are:{}", name, names);
}

Result<void> set_input(kernels::Context& context, size_t index, const Value& value) {
  if (value.kind == ValueType::Kind::tensor && value.tensor.type() != kernels::DataType::string) {
    return context.set_input(index, value.tensor.view());
  }
  return context.set_input_value(index, value);
}

// The first elements, and for what looks like scores of classes the best five.
std::string tensor_lines(const Tensor& tensor) {
  constexpr size_t kShown = 8;
  std::string text = "   ";
  if (tensor.type() == kernels::DataType::string) {
    for (const std::string& s : tensor.strings().first(std::min(kShown, tensor.strings().size()))) {
      text += fmt::format(" '{}'", s);
    }
    return text + '\n';
  }
  const auto values = to_doubles(tensor);
  for (size_t i = 0; i < std::min(kShown, values.size()); ++i) text += fmt::format(" {:.6g}", values[i]);
  text += values.size() > kShown ? " …\n" : "\n";
  const auto classes = tensor.dims().empty() ? 0 : tensor.dims().back();
  if (static_cast<size_t>(classes) != values.size() || classes < 5) return text;
  std::vector<size_t> order(values.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::ranges::partial_sort(order, order.begin() + 5, std::greater<>(), [&](size_t i) { return values[i]; });
  text += "    best:";
  for (size_t i = 0; i < 5; ++i) text += fmt::format(" [{}] {:.6g}", order[i], values[order[i]]);
  return text + '\n';
}

std::string value_lines(std::string_view name, const Value& value) {
  if (value.kind == ValueType::Kind::tensor) {
    return fmt::format("  {} {} {}\n", name, to_string(value.tensor.type()), to_string(value.tensor.dims())) +
           tensor_lines(value.tensor);
  }
  const bool is_sequence = value.kind == ValueType::Kind::sequence;
  std::string text =
      fmt::format("  {} {} of {}\n", name, is_sequence ? "sequence" : "optional", value.elements.size());
  for (size_t i = 0; i < value.elements.size(); ++i)
    text += value_lines(fmt::format("  [{}]", i), value.elements[i]);
  return text;
}

Result<void> write_npy(const std::string& folder, size_t index, const Value& value) {
  if (value.kind != ValueType::Kind::tensor) return {};
  const std::string path = fmt::format("{}/{}.npy", folder, index);
  const std::string bytes = TENON_TRY(format_npy(value.tensor));
  std::ofstream out(path, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!out.flush()) return fail(ErrorCode::not_found, "{}: cannot be written", path);
  return {};
}

std::string call_line(std::string_view kind, const kernels::CallStatistics& s) {
  return fmt::format("  {:<10} {} calls, {:.3f} ms, {} bytes viewed, {} bytes copied\n", kind, s.calls,
                     static_cast<double>(s.nanoseconds) / 1e6, s.bytes_viewed, s.bytes_copied);
}

Result<std::string> run(const std::string& path, std::span<const NamedFile> files,
                        const RunOptions& options) {
  const auto start = Clock::now();
  kernels::CompileOptions compile;
  compile.threads = std::max(options.threads, 1);
  const auto model = TENON_TRY(load_model_file(path, compile));
  const double load_ms = milliseconds_since(start);
  const auto context = TENON_TRY(model->create_context());
  context->set_profiling(options.profile);
  std::vector<std::optional<Value>> inputs(model->inputs().size());
  for (const NamedFile& file : files) {
    const size_t index = TENON_TRY(input_index(*model, file.name));
    inputs[index] = TENON_TRY(read_value(file.file, model->inputs()[index].type));
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i]) {
      return fail(ErrorCode::invalid_argument, "input '{}' ({}) is not given: --input {}=FILE",
                  model->inputs()[i].name, to_string(model->inputs()[i].type), model->inputs()[i].name);
    }
  }
  std::vector<double> times;
  std::vector<Value> outputs(model->outputs().size());
  for (int n = 0; n < std::max(options.runs, 1); ++n) {
    const auto begin = Clock::now();
    for (size_t i = 0; i < inputs.size(); ++i) TENON_TRY(set_input(*context, i, *inputs[i]));
    TENON_TRY(context->compute());
    for (size_t i = 0; i < outputs.size(); ++i) outputs[i] = TENON_TRY(context->get_output_value(i));
    times.push_back(milliseconds_since(begin));
  }
  std::string text = fmt::format("load {:.2f} ms, first inference {:.3f} ms", load_ms, times[0]);
  if (times.size() > 1) {
    std::ranges::sort(times);
    text += fmt::format(", median of {} {:.3f} ms", times.size(), times[times.size() / 2]);
  }
  text += "\noutputs\n";
  for (size_t i = 0; i < outputs.size(); ++i) {
    text += value_lines(model->outputs()[i].name, outputs[i]);
    if (!options.output_folder.empty()) TENON_TRY(write_npy(options.output_folder, i, outputs[i]));
  }
  const kernels::Statistics& s = context->statistics();
  if (options.statistics) {
    text += "statistics\n" + call_line("set_input", s.set_input) + call_line("compute", s.compute) +
            call_line("get_output", s.get_output);
  }
  if (options.profile) text += step_lines(*context, true);
  return text;
}

}  // namespace

ToolResult inspect_model(const std::string& path, const InspectOptions& options) {
  return finished(inspect(path, options));
}

ToolResult run_model(const std::string& path, std::span<const NamedFile> inputs, const RunOptions& options) {
  return finished(run(path, inputs, options));
}

}  // namespace tenon::nn
