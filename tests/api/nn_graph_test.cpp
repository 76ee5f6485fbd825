// Models on the host's own tensors, through the shared library and tenon.hpp.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <thread>

#include "tenon.hpp"

namespace {

using namespace tenon;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::string kDigits = TENON_SOURCE_DIR "/examples/digits/";

std::string file_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<float> floats(const std::string& path) {
  const std::string text = file_text(path);
  std::vector<float> values(text.size() / sizeof(float));
  std::memcpy(values.data(), text.data(), values.size() * sizeof(float));
  return values;
}

std::vector<float> image(int digit) {
  return floats(kDigits + "golden/case" + std::to_string(digit) + "_in_image.bin");
}

size_t best(std::span<const float> scores) {
  return static_cast<size_t>(std::ranges::max_element(scores) - scores.begin());
}

template <class T>
void expect_error(Result<T> result, tenon_error_kind_t kind, const char* text) {
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind(), kind) << result.error().message();
  EXPECT_THAT(result.error().message(), HasSubstr(text));
}

struct NnGraphTest : ::testing::Test {
  void SetUp() override {
    auto made = Nn::make(1);
    if (!made && made.error().kind() == TENON_ERROR_NOT_FOUND)
      GTEST_SKIP() << "built without wasi-nn: " << made.error().message();
    ASSERT_TRUE(made) << made.error().message();
    nn.emplace(std::move(*made));
  }
  NnGraph digits() { return std::move(NnGraph::from_file(*nn, kDigits + "digits.onnx").value()); }

  std::optional<Nn> nn;
};

TEST_F(NnGraphTest, GraphsDescribeTheirInputsAndOutputs) {
  const NnGraph graph = digits();
  const auto inputs = graph.inputs(), outputs = graph.outputs();
  ASSERT_EQ(inputs.size(), 1U);
  EXPECT_EQ(view(inputs[0].name), "image");
  EXPECT_EQ(inputs[0].type, TENON_NN_F32);
  ASSERT_EQ(inputs[0].rank, 4);
  EXPECT_THAT(std::span(inputs[0].dims, 4), ElementsAre(testing::AnyOf(1, -1), 1, 8, 8));
  ASSERT_EQ(outputs.size(), 1U);
  EXPECT_EQ(outputs[0].rank, 2);
  tenon_nn_edge_t none{};
  EXPECT_FALSE(tenon_nn_graph_input(graph.get(), 1, &none));
  EXPECT_FALSE(tenon_nn_graph_output(graph.get(), ~size_t{0}, &none));
}

TEST_F(NnGraphTest, SetComputeAndGetAnswerAsOneRunOnTheCallersBuffers) {
  NnContext context = std::move(digits().context().value());  // outlives its graph
  for (int digit = 0; digit < 10; ++digit) {
    const auto pixels = image(digit);
    ASSERT_TRUE(context.set_input<float>(0, pixels));
    ASSERT_TRUE(context.compute());
    const auto edge = context.output(0);
    EXPECT_EQ(const_cast<Result<tenon_nn_edge_t>&>(edge)->size, 10 * sizeof(float));
    const auto scores = context.get_output<float>(0).value();
    EXPECT_EQ(best(scores), static_cast<size_t>(digit));

    std::vector<float> room(11, -1);  // more than is needed
    const auto in = nn_input<float>(0, pixels);
    auto out = nn_output<float>(0, room);
    ASSERT_TRUE(context.run({&in, 1}, {&out, 1}));
    EXPECT_EQ(out.written, 10 * sizeof(float));
    EXPECT_TRUE(std::equal(scores.begin(), scores.end(), room.begin()));
    EXPECT_EQ(room[10], -1);
  }
  EXPECT_THAT(nn->statistics(), HasSubstr("digits.onnx"));
}

TEST_F(NnGraphTest, ModelsComeFromMemoryByNameAndFromAFolder) {
  static std::atomic<int> released;
  released = 0;
  const auto release = [](void* p) {
    ++released;
    delete static_cast<std::string*>(p);
  };
  auto* bytes = new std::string(file_text(kDigits + "digits.onnx"));
  {
    std::optional<NnGraph> graph = std::move(NnGraph::from_bytes(*nn, *bytes, release, bytes).value());
    NnContext context = std::move(graph->context().value());
    graph.reset();
    ASSERT_TRUE(context.set_input<float>(0, image(3)));
    ASSERT_TRUE(context.compute());
    EXPECT_EQ(best(context.get_output<float>(0).value()), 3U);
    EXPECT_EQ(released, 0);
  }
  EXPECT_EQ(released, 1) << "with the last that needs them";
  auto* damaged = new std::string(file_text(kDigits + "digits.onnx").substr(0, 200));
  EXPECT_FALSE(NnGraph::from_bytes(*nn, *damaged, release, damaged));
  EXPECT_EQ(released, 2) << "also when loading fails";

  ASSERT_TRUE(nn->add_graph("digits=" + kDigits + "digits.onnx"));
  EXPECT_TRUE(NnGraph::named(*nn, "digits"));
  expect_error(NnGraph::named(*nn, kDigits + "digits.onnx"), TENON_ERROR_NOT_FOUND, "no graph is registered");
  const std::string folder = ::testing::TempDir() + "/model-" + std::to_string(getpid());
  std::filesystem::create_directory(folder);
  std::filesystem::copy_file(kDigits + "digits.onnx", folder + "/model.onnx");
  EXPECT_TRUE(NnGraph::from_file(*nn, folder));
  std::filesystem::remove_all(folder);
  expect_error(NnGraph::from_file(*nn, folder), TENON_ERROR_NOT_FOUND, folder.c_str());
  expect_error(NnGraph::from_bytes(*nn, "no model"), TENON_ERROR_INVALID, "no known model format");
  expect_error(NnGraph::from_bytes(*nn, {}), TENON_ERROR_INVALID, "no known model format");
}

TEST_F(NnGraphTest, WrongTensorsAreErrorsThatNameTheInput) {
  NnContext context = std::move(digits().context().value());
  const std::vector<float> pixels = image(5);
  expect_error(context.compute(), TENON_ERROR_TRAP, "'image' is not set");
  expect_error(context.set_input<float>(1, pixels), TENON_ERROR_USAGE, "the graph has 1");
  expect_error(context.set_input<double>(0, std::vector<double>(64)), TENON_ERROR_USAGE, "image");
  expect_error(context.set_input<float>(0, std::span(pixels).first(63)), TENON_ERROR_USAGE, "image");
  const int64_t wrong_dims[] = {1, 8, 8};
  expect_error(context.set_input<float>(0, pixels, wrong_dims), TENON_ERROR_USAGE, "image");
  const int64_t negative[] = {1, 1, 8, -8};
  expect_error(context.set_input<float>(0, pixels, negative), TENON_ERROR_USAGE, "image");
  const int64_t huge[] = {INT64_MAX, INT64_MAX, 8, 8};
  EXPECT_FALSE(context.set_input<float>(0, pixels, huge));
  const std::vector<int64_t> many(100, 1);
  expect_error(context.set_input<float>(0, pixels, many), TENON_ERROR_USAGE, "image");
  auto no_type = nn_input<float>(0, pixels);
  const unsigned none = 77;
  std::memcpy(&no_type.type, &none, sizeof none);
  expect_error(context.set_input(no_type), TENON_ERROR_USAGE, "no tensor type");

  ASSERT_TRUE(context.set_input<float>(0, pixels));
  expect_error(context.set_input<float>(0, std::span(pixels).first(1)), TENON_ERROR_USAGE, "image");
  ASSERT_TRUE(context.compute()) << "a failing call keeps the old value";
  EXPECT_EQ(best(context.get_output<float>(0).value()), 5U);
  EXPECT_FALSE(context.get_output<int32_t>(0));
  expect_error(context.output(1), TENON_ERROR_USAGE, "the graph has 1");
  expect_error(context.output(size_t{1} << 32), TENON_ERROR_USAGE, "the graph has 1");
}

TEST_F(NnGraphTest, RoomThatIsTooSmallStaysAsItIs) {
  NnContext context = std::move(digits().context().value());
  const auto pixels = image(1);
  ASSERT_TRUE(context.set_input<float>(0, pixels));
  ASSERT_TRUE(context.compute());
  std::vector<float> room(9, -1);
  size_t size = 0;
  tenon_error_t* e = tenon_nn_context_get_output(context.get(), 0, room.data(), 36, &size);
  ASSERT_NE(e, nullptr);
  EXPECT_EQ(tenon_error_kind(e), TENON_ERROR_LIMIT);
  tenon_error_delete(e);
  EXPECT_EQ(size, 10 * sizeof(float)) << "what suffices";
  EXPECT_THAT(room, testing::Each(-1));
  const auto in = nn_input<float>(0, pixels);
  auto out = nn_output<float>(0, room);
  expect_error(context.run({&in, 1}, {&out, 1}), TENON_ERROR_LIMIT, "");
  EXPECT_THAT(room, testing::Each(-1));
}

TEST_F(NnGraphTest, InterruptsAndTimeLimitsEndInferences) {
  const NnGraph graph = digits();
  NnContext context = std::move(graph.context().value());
  context.interrupt();
  expect_error(context.set_input<float>(0, image(2)), TENON_ERROR_TRAP, "stopped");
  context.interrupt(false);
  ASSERT_TRUE(context.set_input<float>(0, image(2)));
  EXPECT_TRUE(context.compute());
  nn->set(TENON_NN_MAX_COMPUTE_MICROS, 1);
  NnContext limited = std::move(graph.context().value());
  bool ended = false;  // it may be faster than that, once
  for (int i = 0; i < 1000 && !ended; ++i) {
    auto set = limited.set_input<float>(0, image(2));
    auto computed = set ? limited.compute() : std::move(set);
    ended = !computed;
    if (ended) EXPECT_THAT(computed.error().message(), HasSubstr("time limit"));
  }
  EXPECT_TRUE(ended);
}

TEST_F(NnGraphTest, ContextsOfOneGraphRunOnManyThreads) {
  const NnGraph graph = digits();
  std::atomic<int> right = 0;
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      NnContext context = std::move(graph.context().value());
      for (int i = 0; i < 20; ++i) {
        const int digit = (t + i) % 10;
        if (!context.set_input<float>(0, image(digit)) || !context.compute()) return;
        right += best(context.get_output<float>(0).value()) == static_cast<size_t>(digit);
      }
    });
  }
  threads.clear();
  EXPECT_EQ(right, 80);
}

}  // namespace
