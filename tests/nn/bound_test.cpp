// Module tenon_nn: bound tensors, names, descriptions, messages.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/nn/guest.h"

namespace tenon::nn {
namespace {

using test::Bytes;
using test::Guest;
using test::value;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr uint32_t kInput = 0, kOutput = 1;
constexpr uint8_t kF32 = 1;

// y = Relu(x + [1, -1]) for x f32 [N, 2]
Bytes relu_model() {
  return test::model({.inputs = {value("x", 1, {"N", "2"})},
                      .outputs = {value("y", 1, {"N", "2"})},
                      .nodes = {{"Add", {"x", "w"}, {"t"}}, {"Relu", {"t"}, {"y"}}},
                      .initializers = {test::floats("w", {2}, {1, -1})}});
}

Bytes identity_model(const std::string& count) {
  return test::model({.inputs = {value("x", 1, {count})},
                      .outputs = {value("y", 1, {count})},
                      .nodes = {{"Identity", {"x"}, {"y"}}}});
}

class Bound : public ::testing::Test {
 protected:
  void open(const Bytes& model) {
    ASSERT_EQ(guest.load(model, graph), NnErrno::success) << guest.context.last_error();
    ASSERT_EQ(guest.open(graph, ctx), NnErrno::success) << guest.context.last_error();
  }
  void SetUp() override { open(relu_model()); }
  std::vector<float> floats_at(uint32_t at, size_t count) {
    std::vector<float> out(count);
    std::memcpy(out.data(), guest.memory.data() + at, count * sizeof(float));
    return out;
  }
  void poke(uint32_t at, const std::vector<float>& values) {
    std::memcpy(guest.memory.data() + at, values.data(), values.size() * sizeof(float));
  }
  NnErrno ext(std::string_view name, std::vector<uint32_t> args) { return guest.extension(name, args); }

  Guest guest;
  uint32_t graph = 0, ctx = 0;
};

TEST_F(Bound, ComputeAloneRunsTheInference) {
  const uint32_t in = guest.put_all<float>({1, 3}), out = guest.reserve(8);
  ASSERT_EQ(ext("bind_input", {ctx, 0, in, 8}), NnErrno::success) << guest.context.last_error();
  ASSERT_EQ(ext("bind_output", {ctx, 0, out, 8}), NnErrno::success) << guest.context.last_error();
  ASSERT_EQ(guest.call("compute", {ctx}), NnErrno::success) << guest.context.last_error();
  EXPECT_THAT(floats_at(out, 2), ElementsAre(2, 2));
  poke(in, {10, 20});
  ASSERT_EQ(guest.call("compute", {ctx}), NnErrno::success);
  EXPECT_THAT(floats_at(out, 2), ElementsAre(11, 19));
  const auto statistics = guest.environment.statistics();
  EXPECT_EQ(statistics[0].compute.calls, 2u);
  EXPECT_EQ(statistics[0].compute.bytes_copied, 0u);
  EXPECT_EQ(statistics[0].compute.bytes_viewed, 32u);
}

TEST_F(Bound, InPlaceOverTheSameRange) {
  for (const uint32_t shift : {0u, 4u}) {
    const uint32_t at = guest.put_all<float>({1, 3, 7});
    ASSERT_EQ(ext("bind_input", {ctx, 0, at, 8}), NnErrno::success);
    ASSERT_EQ(ext("bind_output", {ctx, 0, at + shift, 8}), NnErrno::success);
    ASSERT_EQ(guest.call("compute", {ctx}), NnErrno::success);
    EXPECT_THAT(floats_at(at + shift, 2), ElementsAre(2, 2));
  }
}

TEST_F(Bound, IdentityMovesItsBytesOnce) {
  open(identity_model("4"));
  const uint32_t in = guest.put_all<float>({1, 2, 3, 4}, 1), out = guest.reserve(16, 3);
  ASSERT_EQ(ext("bind_input", {ctx, 0, in, 16}), NnErrno::success);
  ASSERT_EQ(ext("bind_output", {ctx, 0, out, 16}), NnErrno::success);
  ASSERT_EQ(guest.call("compute", {ctx}), NnErrno::success) << guest.context.last_error();
  EXPECT_THAT(floats_at(out, 4), ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(guest.environment.statistics()[1].compute.bytes_copied, 16u);
}

TEST_F(Bound, OneOperatorRunsFromGuestToGuest) {
  open(test::model({.inputs = {value("x", 1, {"4"})},
                    .outputs = {value("y", 1, {"4"})},
                    .nodes = {{"Neg", {"x"}, {"y"}}}}));
  const uint32_t in = guest.put_all<float>({1, 2, 3, 4}), out = guest.reserve(16);
  ASSERT_EQ(ext("bind_input", {ctx, 0, in, 16}), NnErrno::success);
  ASSERT_EQ(ext("bind_output", {ctx, 0, out, 16}), NnErrno::success);
  ASSERT_EQ(guest.call("compute", {ctx}), NnErrno::success) << guest.context.last_error();
  EXPECT_THAT(floats_at(out, 4), ElementsAre(-1, -2, -3, -4));
  EXPECT_EQ(guest.environment.statistics()[1].compute.bytes_copied, 0u);
}

TEST_F(Bound, SharedMemoryIsNotReadLate) {
  open(identity_model("4"));
  guest.binding.shared_memory = true;
  const uint32_t in = guest.put_all<float>({1, 2, 3, 4}), out = guest.reserve(16);
  ASSERT_EQ(ext("bind_input", {ctx, 0, in, 16}), NnErrno::success);
  ASSERT_EQ(ext("bind_output", {ctx, 0, out, 16}), NnErrno::success);
  ASSERT_EQ(guest.call("compute", {ctx}), NnErrno::success);
  EXPECT_THAT(floats_at(out, 4), ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(guest.environment.statistics()[1].compute.bytes_copied, 32u) << "a snapshot, and the result";
}

TEST_F(Bound, BoundOutputIsNotKept) {
  open(identity_model("4"));
  const uint32_t in = guest.put_all<float>({1, 2, 3, 4}), out = guest.reserve(16), written = guest.reserve(4);
  ASSERT_EQ(ext("bind_input", {ctx, 0, in, 16}), NnErrno::success);
  ASSERT_EQ(guest.call("compute", {ctx}), NnErrno::success);
  EXPECT_EQ(guest.call("get_output", {ctx, 0, out, 16, written}), NnErrno::runtime_error);
  EXPECT_THAT(guest.context.last_error(), HasSubstr("read in place"));
}

TEST_F(Bound, MemoryMayMoveBetweenComputes) {
  const uint32_t in = guest.put_all<float>({1, 3}), out = guest.reserve(8);
  ASSERT_EQ(ext("bind_input", {ctx, 0, in, 8}), NnErrno::success);
  ASSERT_EQ(ext("bind_output", {ctx, 0, out, 8}), NnErrno::success);
  guest.grow(65536);
  ASSERT_EQ(guest.call("compute", {ctx}), NnErrno::success);
  EXPECT_THAT(floats_at(out, 2), ElementsAre(2, 2));
}

TEST_F(Bound, DynamicDimensionFollowsTheSize) {
  const uint32_t in = guest.put_all<float>({1, 1, 2, 2, 3, 3}), out = guest.reserve(24);
  ASSERT_EQ(ext("bind_input", {ctx, 0, in, 24}), NnErrno::success) << guest.context.last_error();
  ASSERT_EQ(ext("bind_output", {ctx, 0, out, 24}), NnErrno::success);
  ASSERT_EQ(guest.call("compute", {ctx}), NnErrno::success);
  EXPECT_THAT(floats_at(out, 6), ElementsAre(2, 0, 3, 1, 4, 2));
  EXPECT_EQ(ext("bind_input", {ctx, 0, in, 12}), NnErrno::invalid_argument) << "no multiple of a row";
  const uint32_t dims = guest.put_all<uint32_t>({2, 2});
  ASSERT_EQ(ext("bind_input_with_dims", {ctx, 0, dims, 2, in, 16}), NnErrno::success);
  EXPECT_EQ(ext("bind_input_with_dims", {ctx, 0, dims, 2, in, 24}), NnErrno::invalid_argument);
  ASSERT_EQ(guest.call("compute", {ctx}), NnErrno::success);
}

TEST_F(Bound, SetInputEndsABinding) {
  const uint32_t in = guest.put_all<float>({1, 3});
  ASSERT_EQ(ext("bind_input", {ctx, 0, in, 8}), NnErrno::success);
  ASSERT_EQ(guest.set_input<float>(ctx, 0, kF32, {1, 2}, {5, 6}), NnErrno::success);
  ASSERT_EQ(guest.call("compute", {ctx}), NnErrno::success);
  EXPECT_THAT(guest.get_output<float>(ctx, 0, 2), ElementsAre(6, 5));
  ASSERT_EQ(ext("bind_input", {ctx, 0, in, 8}), NnErrno::success);
  ASSERT_EQ(ext("unbind", {ctx, kInput, 0}), NnErrno::success);
  ASSERT_EQ(ext("unbind", {ctx, kOutput, 0}), NnErrno::success) << "was not bound";
}

TEST_F(Bound, TooSmallOutputIsAnErrorOfCompute) {
  const uint32_t in = guest.put_all<float>({1, 3}), out = guest.put(std::string(8, 'x'));
  ASSERT_EQ(ext("bind_input", {ctx, 0, in, 8}), NnErrno::success);
  ASSERT_EQ(ext("bind_output", {ctx, 0, out, 7}), NnErrno::success);
  EXPECT_EQ(guest.call("compute", {ctx}), NnErrno::too_large);
  for (uint32_t i = 0; i < 8; ++i) EXPECT_EQ(guest.memory[out + i], 'x');
}

TEST_F(Bound, BadBindings) {
  const uint32_t end = Guest::kMemory, in = guest.put_all<float>({1, 3});
  const std::vector<std::pair<const char*, std::vector<uint32_t>>> calls = {
      {"bind_input", {ctx, 1, in, 8}},
      {"bind_input", {graph, 0, in, 8}},
      {"bind_input", {ctx, 0, end - 4, 8}},
      {"bind_input", {ctx, 0, 0xfffffff8, 8}},
      {"bind_input", {ctx, 0, in, 7}},
      {"bind_output", {ctx, 1, in, 8}},
      {"bind_output", {ctx, 0, end - 4, 8}},
      {"bind_output", {77, 0, in, 8}},
      {"bind_input_by_name", {ctx, end - 1, 2, in, 8}},
      {"bind_input_by_name", {ctx, in, 1, in, 8}},
      {"bind_input_with_dims", {ctx, 0, in, 0x40000001, in, 8}},
      {"bind_input_with_dims", {ctx, 0, in, 100, in, 8}},
      {"unbind", {ctx, 2, 0}},
      {"unbind", {ctx, kInput, 1}},
      {"describe", {ctx, 2, 0, in}},
      {"describe", {ctx, 0, 1, in}},
      {"describe", {12345, 0, 0, in}},
      {"describe", {ctx, 0, 0, end - 63}},
      {"name", {ctx, 0, 7, in, 8, in}},
      {"input_count", {0, in}},
      {"compute", {ctx, end - 8, 1, in, 0}},
      {"compute", {ctx, in, 0x10000000, in, 0}},
  };
  for (const auto& [name, args] : calls)
    EXPECT_EQ(ext(name, args), NnErrno::invalid_argument) << name << ' ' << guest.context.last_error();
}

TEST_F(Bound, NamesReachInputsAndOutputs) {
  const uint32_t x = guest.put("x"), y = guest.put("y"), in = guest.put_all<float>({1, 3}),
                 out = guest.reserve(8);
  ASSERT_EQ(ext("bind_input_by_name", {ctx, x, 1, in, 8}), NnErrno::success) << guest.context.last_error();
  ASSERT_EQ(ext("bind_output_by_name", {ctx, y, 1, out, 8}), NnErrno::success);
  ASSERT_EQ(guest.call("compute", {ctx}), NnErrno::success);
  EXPECT_THAT(floats_at(out, 2), ElementsAre(2, 2));
  const uint32_t dims = guest.put_all<uint32_t>({1, 2}), written = guest.reserve(4);
  poke(in, {4, 5});
  ASSERT_EQ(ext("set_input_by_name", {ctx, x, 1, guest.record(dims, 2, kF32, in, 8)}), NnErrno::success);
  ASSERT_EQ(ext("unbind", {ctx, kOutput, 0}), NnErrno::success);
  ASSERT_EQ(guest.call("compute", {ctx}), NnErrno::success);
  ASSERT_EQ(ext("get_output_by_name", {ctx, y, 1, out, 8, written}), NnErrno::success);
  EXPECT_THAT(floats_at(out, 2), ElementsAre(5, 4));
}

TEST_F(Bound, ComputeWithNames) {
  const uint32_t x = guest.put("x"), y = guest.put("y"), in = guest.put_all<float>({1, 3}),
                 out = guest.reserve(8);
  const uint32_t dims = guest.put_all<uint32_t>({1, 2});
  const uint32_t inputs = guest.put_all<uint32_t>({x, 1, dims, 2, kF32, in, 8});
  const uint32_t outputs = guest.put_all<uint32_t>({y, 1, out, 8, 0});
  ASSERT_EQ(ext("compute", {ctx, inputs, 1, outputs, 1}), NnErrno::success) << guest.context.last_error();
  EXPECT_THAT(floats_at(out, 2), ElementsAre(2, 2));
  EXPECT_EQ(guest.get<uint32_t>(outputs + 16), 8u);
  const uint32_t wrong = guest.put_all<uint32_t>({y, 1, dims, 2, kF32, in, 8});
  EXPECT_EQ(ext("compute", {ctx, wrong, 1, outputs, 1}), NnErrno::invalid_argument) << "no input 'y'";
}

TEST_F(Bound, DescribesInputsAndOutputs) {
  const uint32_t out = guest.reserve(64), length = guest.reserve(4), text = guest.put("????");
  ASSERT_EQ(ext("input_count", {graph, out}), NnErrno::success);
  EXPECT_EQ(guest.get<uint32_t>(out), 1u);
  ASSERT_EQ(ext("output_count", {ctx, out}), NnErrno::success);
  EXPECT_EQ(guest.get<uint32_t>(out), 1u);
  ASSERT_EQ(ext("describe", {graph, kInput, 0, out}), NnErrno::success);
  EXPECT_EQ(guest.get<uint32_t>(out), kF32);
  EXPECT_EQ(guest.get<uint32_t>(out + 4), 2u) << "rank";
  EXPECT_EQ(guest.get<uint64_t>(out + 8), 0u) << "the size is open";
  EXPECT_EQ(guest.get<uint32_t>(out + 16), kDynamicDim);
  EXPECT_EQ(guest.get<uint32_t>(out + 20), 2u);
  ASSERT_EQ(guest.set_input<float>(ctx, 0, kF32, {3, 2}, {0, 0, 0, 0, 0, 0}), NnErrno::success);
  ASSERT_EQ(ext("describe", {ctx, kOutput, 0, out}), NnErrno::success);
  EXPECT_EQ(guest.get<uint64_t>(out + 8), 24u);
  EXPECT_EQ(guest.get<uint32_t>(out + 16), 3u) << "known once the input is set";
  ASSERT_EQ(ext("name", {graph, kOutput, 0, text, 4, length}), NnErrno::success);
  EXPECT_EQ(guest.get<uint32_t>(length), 1u);
  EXPECT_EQ(guest.memory[text], 'y');
  EXPECT_EQ(guest.memory[text + 1], '?');
}

TEST_F(Bound, LastErrorIsRetrievable) {
  EXPECT_EQ(guest.call("compute", {ctx}), NnErrno::runtime_error);
  const uint32_t text = guest.reserve(256), length = guest.reserve(4);
  ASSERT_EQ(ext("last_error", {text, 256, length}), NnErrno::success);
  const std::string message(reinterpret_cast<char*>(guest.memory.data() + text), guest.get<uint32_t>(length));
  EXPECT_EQ(message, guest.context.last_error());
  EXPECT_THAT(message, HasSubstr("is not set"));
  ASSERT_EQ(ext("last_error", {text, 0, length}), NnErrno::success) << "asks for the length";
  EXPECT_EQ(guest.get<uint32_t>(length), message.size());
  EXPECT_THAT(guest.environment.statistics_text(), HasSubstr("last error: wasi_ephemeral_nn.compute"));
}

TEST_F(Bound, NewShapeBeforeTheOldOutputIsTaken) {
  ASSERT_EQ(guest.set_input<float>(ctx, 0, kF32, {1, 2}, {1, 3}), NnErrno::success);
  ASSERT_EQ(guest.call("compute", {ctx}), NnErrno::success);
  ASSERT_EQ(guest.set_input<float>(ctx, 0, kF32, {2, 2}, {4, 5, 6, 7}), NnErrno::success);
  EXPECT_THAT(guest.get_output<float>(ctx, 0, 4), ElementsAre(2, 2));
  ASSERT_EQ(guest.call("compute", {ctx}), NnErrno::success);
  EXPECT_THAT(guest.get_output<float>(ctx, 0, 4), ElementsAre(5, 4, 7, 6));
}

}  // namespace
}  // namespace tenon::nn
