// Real models: every ONNX file of the test data imports or is refused by name, and results match the stored
// ones.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "tests/nn/guest.h"
#include "tests/nn/test_data.h"
#include "wasi-nn/environment.h"
#include "wasi-nn/formats/operators_page.h"
#include "wasi-nn/formats/tensor_file.h"
#include "wasi-nn/golden.h"
#include "wasi-nn/tools.h"

namespace tenon::nn {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

struct Report {
  TestTotals totals;
  std::string lines;
};

Report run_tests(std::vector<std::string> paths, TestOptions options = {}) {
  Report report;
  report.totals =
      test_models(paths, options, [&](std::string_view line) { report.lines += std::string(line) + "\n"; });
  return report;
}

std::string model_folder(const std::string& name) { return test::test_data() + "/models/" + name; }

TEST(Models, EveryFileImportsOrIsRefusedByName) {
  SKIP_WITHOUT(test::onnx_suite());
  size_t imported = 0, refused = 0;
  for (const std::string& root : {test::onnx_suite(), test::test_data() + "/models"}) {
    if (!test::exists(root)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(root)) {
      if (entry.path().extension() != ".onnx") continue;
      const std::string path = entry.path().string();
      const auto file = *MappedFile::open(path);
      const auto result = import_onnx({.file = path,
                                       .bytes = file->bytes(),
                                       .owner = file,
                                       .folder = folder_of(path),
                                       .access = FileAccess::kMap,
                                       .limits = {}});
      if (result) {
        ++imported;
        continue;
      }
      ++refused;
      EXPECT_EQ(result.error().code, kernels::ErrorCode::unsupported_operation) << result.error().message;
      EXPECT_THAT(result.error().message, HasSubstr(path + ": node '"));
    }
  }
  RecordProperty("imported", static_cast<int>(imported));
  RecordProperty("refused", static_cast<int>(refused));
  EXPECT_GT(imported, 700u);
}

// Models that must run: nothing fails and nothing is skipped.
class GoldenModel : public ::testing::TestWithParam<const char*> {};

TEST_P(GoldenModel, MatchesItsGoldenValues) {
  const std::string folder = model_folder(GetParam());
  SKIP_WITHOUT(folder);
  for (const int threads : {1, 2}) {
    TestOptions options;
    options.threads = threads;
    const Report report = run_tests({folder}, options);
    EXPECT_GT(report.totals.passed, 0u) << report.lines;
    EXPECT_EQ(report.totals.failed + report.totals.skipped, 0u) << report.lines;
  }
}

INSTANTIATE_TEST_SUITE_P(Onnx, GoldenModel,
                         ::testing::Values("onnx-mnist-8", "onnx-mobilenet-v1-0.25-224",
                                           "onnx-ultraface-rfb-320", "onnx-super-resolution"));
INSTANTIATE_TEST_SUITE_P(OpenVino, GoldenModel,
                         ::testing::Values("openvino-mobilenet-v1-0.25-224-fp32",
                                           "openvino-mobilenet-v1-0.25-224-bgr255-fp32",
                                           "openvino-mobilenet-v1-0.25-224-fp16"));

INSTANTIATE_TEST_SUITE_P(TensorFlow, GoldenModel, ::testing::Values("tf-mobilenet-v1-0.25-224"));

// All other ONNX models of the test data, and the one of examples/digits.
TEST(Models, OnnxModelsMatchTheirGoldenValues) {
  std::vector<std::string> folders{std::string(TENON_SOURCE_DIR) + "/examples/digits"};
  const std::string root = test::test_data() + "/models";
  SKIP_WITHOUT(root);
  for (const auto& entry : fs::directory_iterator(root)) {
    if (entry.path().filename().string().starts_with("onnx-")) folders.push_back(entry.path().string());
  }
  const Report report = run_tests(folders);
  EXPECT_EQ(report.totals.failed + report.totals.skipped, 0u) << report.lines;
  EXPECT_GE(report.totals.passed, 40u);
}

TEST(Models, OpenVinoModelsMatchTheirGoldenValues) {
  const std::string root = test::test_data() + "/models";
  SKIP_WITHOUT(root);
  std::vector<std::string> folders;
  for (const auto& entry : fs::directory_iterator(root)) {
    if (entry.path().filename().string().starts_with("openvino-")) folders.push_back(entry.path().string());
  }
  const Report report = run_tests(folders);
  EXPECT_EQ(report.totals.failed + report.totals.skipped, 0u) << report.lines;
  EXPECT_GE(report.totals.passed, 17u);
}

// Small files that OpenVINO and TensorFlow wrote, with the results of their own (make_*_cases.py).
TEST(Models, FilesOfOtherToolsMatchTheirResults) {
  std::vector<std::string> folders;
  for (const auto& entry : fs::directory_iterator(std::string(TENON_SOURCE_DIR) + "/tests/nn/cases"))
    if (entry.is_directory()) folders.push_back(entry.path().string());
  const Report report = run_tests(folders);
  EXPECT_EQ(report.totals.failed + report.totals.skipped, 0u) << report.lines;
  EXPECT_GE(report.totals.passed, folders.size());
}

// One network from the same weights, each file with the same picture in its own layout.
TEST(Models, TheSameMobileNetAgreesInEveryEncoding) {
  std::vector<double> first;
  for (const char* name : {"onnx-mobilenet-v1-0.25-224", "openvino-mobilenet-v1-0.25-224-fp32",
                           "tflite-mobilenet-v1-0.25-224-float", "tf-mobilenet-v1-0.25-224"}) {
    const std::string folder = model_folder(name);
    SKIP_WITHOUT(folder);
    const auto cases = find_cases(folder);
    ASSERT_TRUE(cases) << cases.error().message;
    const auto model = load_model_file((*cases)[0].model, {});
    ASSERT_TRUE(model) << model.error().message;
    const auto context = (*model)->create_context();
    ASSERT_TRUE(context) << context.error().message;
    const CaseTensor& picture = (*cases)[0].cases[0].inputs[0];
    const auto input = read_value(picture.file, *picture.type);
    ASSERT_TRUE(input) << input.error().message;
    ASSERT_TRUE((*context)->set_input(0, input->tensor.view()));
    ASSERT_TRUE((*context)->compute());
    const auto output = (*context)->get_output_value(0);
    ASSERT_TRUE(output) << output.error().message;
    const auto probabilities = to_doubles(output->tensor);
    if (first.empty()) first = probabilities;
    ASSERT_EQ(probabilities.size(), first.size());
    for (size_t i = 0; i < first.size(); ++i)
      EXPECT_NEAR(probabilities[i], first[i], 2e-6) << name << " " << i;
  }
}

// The same through the host functions: bytes in, bytes out.
TEST_P(GoldenModel, MatchesThroughTheAbiWithoutCopies) {
  const std::string folder = model_folder(GetParam());
  SKIP_WITHOUT(folder);
  const auto cases = find_cases(folder);
  ASSERT_TRUE(cases) << cases.error().message;
  test::Guest guest({}, 32u << 20);
  ASSERT_TRUE(guest.environment.add_graph(std::string("model=") + folder));
  const auto graph = guest.context.load_by_name("model");
  ASSERT_TRUE(graph) << graph.error().message;
  uint32_t ctx = 0;
  ASSERT_EQ(guest.open(static_cast<uint32_t>(*graph), ctx), NnErrno::success) << guest.context.last_error();
  for (const ModelCase& one : (*cases)[0].cases) {
    for (uint32_t i = 0; i < one.inputs.size(); ++i) {
      const auto input = read_value(one.inputs[i].file, *one.inputs[i].type);
      ASSERT_TRUE(input);
      const auto& tensor = input->tensor;
      const std::vector<uint32_t> dims(tensor.dims().begin(), tensor.dims().end());
      const std::vector<std::byte> bytes(tensor.bytes().begin(), tensor.bytes().end());
      ASSERT_EQ(guest.set_input(ctx, i, 1, dims, bytes), NnErrno::success) << guest.context.last_error();
    }
    guest.scribble();
    ASSERT_EQ(guest.call("compute", {ctx}), NnErrno::success) << guest.context.last_error();
    for (uint32_t i = 0; i < one.outputs.size(); ++i) {
      const auto expected = read_value(one.outputs[i].file, *one.outputs[i].type);
      ASSERT_TRUE(expected);
      const auto bytes = guest.get_output<std::byte>(ctx, i, expected->tensor.bytes().size());
      const auto actual = kernels::Tensor::copy(expected->tensor.type(), expected->tensor.dims(), bytes);
      ASSERT_TRUE(actual) << actual.error().message;
      const auto off = difference(kernels::Value::of(*actual), *expected, (*cases)[0].tolerance);
      EXPECT_FALSE(off) << *off;
    }
  }
  const auto statistics = guest.environment.statistics();
  ASSERT_EQ(statistics.size(), 1u);
  EXPECT_EQ(statistics[0].set_input.bytes_copied, 0u);
  EXPECT_EQ(statistics[0].get_output.bytes_copied, 0u);
  EXPECT_GT(statistics[0].set_input.bytes_viewed, 0u);
  EXPECT_GT(statistics[0].get_output.bytes_viewed, 0u);
}

// Cases of the official suite that do not pass, each with its reason. A case that starts to pass must leave
// the list.
struct Exception {
  std::string_view part;  // of the line that the runner prints
  std::string_view reason;
};
constexpr Exception kExceptions[] = {
    {"ai.onnx.preview.training", "training operators are out of scope"},
    {"/test_bernoulli", "random: the expected values are one run of numpy's generator"},
    {"/test_training_dropout/", "random"},
    {"/test_training_dropout_default/", "random"},
    {"/test_training_dropout_default_mask/", "random"},
    {"/test_training_dropout_mask/", "random"},
    {"/test_maxunpool_export_with_output_shape/", "doubtful; ONNX Runtime skips it too"},
    {"/test_resize_downsample_scales_cubic_align_corners/", "doubtful; ONNX Runtime skips it too"},
    {"/test_resize_downsample_scales_linear_align_corners/", "doubtful; ONNX Runtime skips it too"},
};

TEST(OnnxSuite, EveryCasePassesExceptTheListed) {
  SKIP_WITHOUT(test::onnx_suite());
  std::set<std::string_view> seen;
  const auto line = [&](std::string_view text) {
    if (text.starts_with("FAIL ") || text.starts_with("skip ")) {
      const auto* found = std::ranges::find_if(
          kExceptions, [&](const Exception& e) { return text.find(e.part) != text.npos; });
      if (found == std::end(kExceptions)) {
        ADD_FAILURE() << text;
      } else {
        seen.insert(found->part);
      }
    }
  };
  const TestTotals totals = test_models(std::vector{test::onnx_suite()}, {}, line);
  EXPECT_GE(totals.passed, 1050u);
  for (const Exception& e : kExceptions) EXPECT_TRUE(seen.contains(e.part)) << e.part << " passes now";
}

// Made by make_opset_cases.py for what the suite, which ends at opset 17, lacks.
TEST(OnnxOpsets, OursOfOpsets18To22Pass) {
  const Report report = run_tests({TENON_SOURCE_DIR "/tests/nn/opsets"});
  EXPECT_EQ(report.totals.failed + report.totals.skipped, 0u) << report.lines;
  EXPECT_GE(report.totals.passed, 49u);
}

TEST(Tools, InspectShowsEdgesOperatorsAndParameters) {
  const std::string folder = model_folder("onnx-mnist-8");
  SKIP_WITHOUT(folder);
  const ToolResult result = inspect_model(folder, {.steps = true});
  ASSERT_TRUE(result.ok) << result.error;
  for (const char* text : {"Input3", "Plus214_Output_0", "Conv", "MaxPool", "opset 8", "parameters",
                           "FLOP an inference", "steps"}) {
    EXPECT_THAT(result.text, HasSubstr(text));
  }
}

TEST(Tools, RunNamesInputsThatAreMissingOrUnknown) {
  const std::string folder = model_folder("onnx-mnist-8");
  SKIP_WITHOUT(folder);
  EXPECT_THAT(run_model(folder, {}, {}).error, HasSubstr("input 'Input3'"));
  const NamedFile wrong[] = {{"nope", folder + "/golden/case0_in_Input3.bin"}};
  EXPECT_THAT(run_model(folder, wrong, {}).error, HasSubstr("no input is named 'nope'"));
  RunOptions options;
  options.runs = 3;
  options.statistics = true;
  const NamedFile right[] = {{"", folder + "/golden/case0_in_Input3.bin"}};
  const ToolResult result = run_model(folder, right, options);
  ASSERT_TRUE(result.ok) << result.error;
  EXPECT_THAT(result.text, HasSubstr("best: [2] 6574.57"));
}

TEST(Tools, PageOfOperatorsIsCurrent) {
  const std::string path = std::string(TENON_SOURCE_DIR) + "/docs/operators.md";
  std::ifstream in(path);
  const std::string page{std::istreambuf_iterator<char>(in), {}};
  EXPECT_TRUE(page == operators_page()) << "run: tenon nn operators > docs/operators.md";
}

TEST(Tools, BenchMeasuresAndExplains) {
  const std::string model = std::string(TENON_SOURCE_DIR) + "/examples/digits/digits.onnx";
  const std::string folder = ::testing::TempDir() + "tenon-bench";
  std::string progress;
  BenchOptions options;
  options.runs = 3;
  options.warmup_ms = 0;
  options.as_json = true;
  options.trace_file = folder + "-trace.json";
  options.dump_folder = folder;
  const ToolResult result = bench_model(model, options, [&](std::string_view line) { progress += line; });
  ASSERT_TRUE(result.ok) << result.error;
  for (const char* key :
       {"median_ms", "p95_ms", "load_ms", "first_ms", "peak_rss_mb", "threads", "share_of_peak"})
    EXPECT_THAT(result.text, HasSubstr(fmt::format("\"{}\"", key)));
  EXPECT_THAT(progress, HasSubstr("loading"));
  const auto contents = [](const std::string& path) {
    std::ifstream in(path);
    return std::string{std::istreambuf_iterator<char>(in), {}};
  };
  EXPECT_THAT(contents(options.trace_file), HasSubstr("\"traceEvents\""));
  EXPECT_THAT(contents(folder + "/graph.txt"), HasSubstr("Conv("));
  EXPECT_THAT(contents(folder + "/graph.dot"), HasSubstr("digraph"));
  EXPECT_THAT(contents(folder + "/plan.txt"), HasSubstr("Conv"));
  EXPECT_THAT(contents(folder + "/plan.dot"), HasSubstr("->"));
  EXPECT_THAT(bench_model("/nowhere.onnx", {}, [](std::string_view) {}).error, HasSubstr("/nowhere.onnx"));
  options.shapes = {{"", {1, 2, 3}}};
  EXPECT_THAT(bench_model(model, options, [](std::string_view) {}).error, HasSubstr("input"));
}

TEST(Tools, RunnerEndsWithTotals) {
  const Report report = run_tests({"/nowhere"});
  EXPECT_THAT(report.lines, HasSubstr("FAIL /nowhere"));
  EXPECT_THAT(report.lines, HasSubstr("0 passed, 1 failed, 0 skipped\n"));
}

}  // namespace
}  // namespace tenon::nn
