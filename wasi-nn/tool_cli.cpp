// Parses the arguments of `tenon nn`; see tool_cli.h. What the tools do is in tools.h.
#include "wasi-nn/tool_cli.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>

#include "wasi-nn/formats/operators_page.h"
#include "wasi-nn/tools.h"

namespace tenon::nn {
namespace {

int print(const ToolResult& result, const NnToolOutput& output) {
  output.out(result.text);
  if (!result.ok) output.err(fmt::format("error: {}\n", result.error));
  return result.ok ? 0 : 1;
}

// NAME=FILE, or FILE for a model with one input.
NamedFile named_file(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == text.npos) return {"", text};
  return {text.substr(0, equals), text.substr(equals + 1)};
}

// The command's options, and in `action` what to do once they are parsed.
struct Command {
  std::string name, description;
  std::function<std::function<int()>(CLI::App&, const NnToolOutput&)> declare;
};

std::function<int()> declare_inspect(CLI::App& app, const NnToolOutput& output) {
  const auto path = std::make_shared<std::string>();
  const auto options = std::make_shared<InspectOptions>();
  app.add_option("MODEL", *path, "model file, or a folder that holds one")->required();
  app.add_flag("--steps", options->steps, "show the plan: each step and its implementation");
  return [=, &output] { return print(inspect_model(*path, *options), output); };
}

std::function<int()> declare_run(CLI::App& app, const NnToolOutput& output) {
  const auto path = std::make_shared<std::string>();
  const auto inputs = std::make_shared<std::vector<std::string>>();
  const auto options = std::make_shared<RunOptions>();
  app.add_option("MODEL", *path, "model file, or a folder that holds one")->required();
  app.add_option("--input,-i", *inputs,
                 "NAME=FILE (.npy .pb .png .jpg .bin); FILE alone for a model with one input");
  app.add_option("--threads", options->threads, "threads of the inference");
  app.add_option("--runs", options->runs, "how often to run it");
  app.add_option("--output-folder", options->output_folder, "write each output to FOLDER/INDEX.npy");
  app.add_flag("--nn-stats", options->statistics, "show calls, time, bytes viewed and copied");
  app.add_flag("--profile", options->profile, "show the time of each step");
  return [=, &output] {
    std::vector<NamedFile> files;
    for (const std::string& text : *inputs) files.push_back(named_file(text));
    return print(run_model(*path, files, *options), output);
  };
}

// NAME=1x3x224x224, or 1x3x224x224 for all inputs.
std::optional<std::pair<std::string, std::vector<int64_t>>> named_shape(const std::string& text) {
  const size_t equals = text.rfind('=');
  std::pair<std::string, std::vector<int64_t>> shape;
  if (equals != text.npos) shape.first = text.substr(0, equals);
  std::string_view rest = std::string_view(text).substr(equals == text.npos ? 0 : equals + 1);
  while (!rest.empty()) {
    int64_t dim = -1;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), dim);
    if (error != std::errc() || dim < 0) return std::nullopt;
    shape.second.push_back(dim);
    rest.remove_prefix(static_cast<size_t>(end - rest.data()));
    if (rest.empty()) break;
    if (rest[0] != 'x' || rest.size() == 1) return std::nullopt;
    rest.remove_prefix(1);
  }
  return shape;
}

std::function<int()> declare_bench(CLI::App& app, const NnToolOutput& output) {
  const auto path = std::make_shared<std::string>();
  const auto shapes = std::make_shared<std::vector<std::string>>();
  const auto options = std::make_shared<BenchOptions>();
  app.add_option("MODEL", *path, "model file, or a folder that holds one")->required();
  app.add_option("--threads", options->threads, "threads of the inference");
  app.add_option("--batch", options->batch, "first dimension of inputs where it is dynamic");
  app.add_option("--runs", options->runs, "how often to run it after the warm-up");
  app.add_option("--warm-up", options->warmup_ms, "milliseconds before the first run that counts");
  app.add_option("--shape", *shapes, "NAME=1x3x224x224: dims of an input; without NAME, of all inputs");
  app.add_flag("--json", options->as_json, "the result as JSON");
  app.add_option("--trace", options->trace_file, "write the time of each step to FILE, for Perfetto");
  app.add_option("--dump-graph", options->dump_folder,
                 "write the graph before and after planning to FOLDER, as text and for Graphviz");
  return [=, &output] {
    for (const std::string& text : *shapes) {
      auto shape = named_shape(text);
      if (!shape) {
        output.err(fmt::format("error: --shape {}: expected NAME=1x3x224x224\n", text));
        return 2;
      }
      options->shapes.push_back(*std::move(shape));
    }
    const auto progress = [&](std::string_view line) { output.err(fmt::format("{}\n", line)); };
    return print(bench_model(*path, *options, progress), output);
  };
}

std::function<int()> declare_test(CLI::App& app, const NnToolOutput& output) {
  const auto paths = std::make_shared<std::vector<std::string>>();
  const auto options = std::make_shared<TestOptions>();
  app.add_option("DIR", *paths, "folders of models with expected results, or folders of such folders")
      ->required();
  app.add_option("--rtol", options->rtol, "tolerance relative to each element, instead of the suite's");
  app.add_option("--atol", options->atol, "absolute tolerance, instead of the suite's");
  app.add_option("--threads", options->threads, "threads of the inference");
  app.add_option("--filter", options->filter, "only models whose path contains this");
  app.add_flag("--reference", options->reference, "plain-loop kernels only");
  app.add_flag("--verbose,-v", options->verbose, "a line for each passing case too");
  return [=, &output] {
    const auto line = [&](std::string_view text) { output.out(fmt::format("{}\n", text)); };
    return test_models(*paths, *options, line).failed == 0 ? 0 : 1;
  };
}

std::function<int()> declare_operators(CLI::App&, const NnToolOutput& output) {
  return [&output] {
    output.out(operators_page());
    return 0;
  };
}

const Command kCommands[] = {
    {"inspect", "show a model's inputs, outputs, operators and size", declare_inspect},
    {"run", "run a model once and show its outputs", declare_run},
    {"bench", "time a model and each of its operators", declare_bench},
    {"operators", "print the page docs/operators.md", declare_operators},
    {"test", "run models on stored inputs and compare with stored outputs", declare_test},
};

}  // namespace

int run_tool(std::string_view command, std::span<const std::string_view> args, const NnToolOutput& output) {
  const auto found = std::ranges::find(kCommands, command, &Command::name);
  if (found == std::end(kCommands)) {
    output.err(fmt::format(
        "error: tenon nn has no command '{}'; there are inspect, run, bench, operators and test\n", command));
    return 2;
  }
  CLI::App app(found->description, "tenon nn " + found->name);
  const auto action = found->declare(app, output);
  try {
    app.parse(std::vector<std::string>(args.rbegin(), args.rend()));
  } catch (const CLI::CallForHelp&) {
    output.out(app.help());
    return 0;
  } catch (const CLI::ParseError& e) {
    output.err(fmt::format("error: {}\n{}", e.what(), app.help()));
    return 2;
  }
  try {
    return action();
  } catch (const std::exception& e) {  // out of memory, or a library's
    output.err(fmt::format("error: {}\n", e.what()));
    return 1;
  }
}

}  // namespace tenon::nn
