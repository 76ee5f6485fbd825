// wasi_ephemeral_nn through its ABI: good runs, snapshot semantics, and everything a guest can get wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/nn/guest.h"
#include "tests/nn/test_data.h"

namespace tenon::nn {
namespace {

using test::Bytes;
using test::Guest;
using test::value;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr uint8_t kF32 = 1, kF64 = 2, kU8 = 3, kI64 = 5, kOldU8 = 2;

// y = Relu(x + [1, -1]) for x f32 [N, 2]
Bytes relu_model() {
  return test::model({.inputs = {value("x", 1, {"N", "2"})},
                      .outputs = {value("y", 1, {"N", "2"})},
                      .nodes = {{"Add", {"x", "w"}, {"t"}}, {"Relu", {"t"}, {"y"}}},
                      .initializers = {test::floats("w", {2}, {1, -1})}});
}

// A guest with the model above loaded and one context.
class Ephemeral : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(guest.load(relu_model(), graph), NnErrno::success) << guest.context.last_error();
    ASSERT_EQ(guest.open(graph, ctx), NnErrno::success) << guest.context.last_error();
  }
  void expect_message(const std::string& text) { EXPECT_THAT(guest.context.last_error(), HasSubstr(text)); }

  Guest guest;
  uint32_t graph = 0, ctx = 0;
};

TEST_F(Ephemeral, SignaturesAreThoseOfTheWitxFile) {
  const std::map<std::string_view, size_t> params = {
      {"load", 5},
      {"load_by_name", 3},
      {"init_execution_context", 2},
      {"set_input", 3},
      {"compute", 1},
      {"get_output", 5},
      {"load_by_name_with_config", 5},  // WasmEdge's from here on
      {"compute_single", 1},
      {"get_output_single", 5},
      {"fini_single", 1},
      {"unload", 1},
      {"finalize_execution_context", 1}};
  EXPECT_EQ(ephemeral_functions(false).size(), params.size());
  for (const HostFuncDesc& desc : ephemeral_functions(false)) {
    EXPECT_EQ(desc.module, "wasi_ephemeral_nn");
    EXPECT_EQ(desc.params.size(), params.at(desc.name)) << desc.name;
    for (const ValType type : desc.params) EXPECT_EQ(type, tenon::kI32);
    EXPECT_EQ(desc.results.size(), 1u);
    EXPECT_NE(desc.native, nullptr) << "compiled code calls it directly";
  }
}

TEST_F(Ephemeral, RunsAnInference) {
  ASSERT_EQ(guest.set_input<float>(ctx, 0, kF32, {1, 2}, {1, 3}), NnErrno::success)
      << guest.context.last_error();
  ASSERT_EQ(guest.call("compute", {ctx}), NnErrno::success) << guest.context.last_error();
  EXPECT_THAT(guest.get_output<float>(ctx, 0, 2), ElementsAre(2, 2));
}

TEST_F(Ephemeral, DynamicShapesFollowTheInput) {
  ASSERT_EQ(guest.set_input<float>(ctx, 0, kF32, {3, 2}, {0, 1, 2, 3, 4, 5}), NnErrno::success);
  ASSERT_EQ(guest.call("compute", {ctx}), NnErrno::success);
  EXPECT_THAT(guest.get_output<float>(ctx, 0, 6), ElementsAre(1, 0, 3, 2, 5, 4));
  ASSERT_EQ(guest.set_input<float>(ctx, 0, kF32, {1, 2}, {7, 7}), NnErrno::success);
  ASSERT_EQ(guest.call("compute", {ctx}), NnErrno::success);
  EXPECT_THAT(guest.get_output<float>(ctx, 0, 6), ElementsAre(8, 6));
}

TEST_F(Ephemeral, BuffersMayBeReusedAtEveryPoint) {
  ASSERT_EQ(guest.set_input<float>(ctx, 0, kF32, {1, 2}, {1, 3}), NnErrno::success);
  guest.scribble();  // the model, the record, the dims and the data
  ASSERT_EQ(guest.call("compute", {ctx}), NnErrno::success);
  guest.scribble();
  EXPECT_THAT(guest.get_output<float>(ctx, 0, 2), ElementsAre(2, 2));
  guest.scribble();
  EXPECT_THAT(guest.get_output<float>(ctx, 0, 2), ElementsAre(2, 2)) << "get_output twice gives the same";
  ASSERT_EQ(guest.call("compute", {ctx}), NnErrno::success);
  EXPECT_THAT(guest.get_output<float>(ctx, 0, 2), ElementsAre(2, 2)) << "compute twice gives the same";
}

TEST_F(Ephemeral, NextInputMayBeSetBeforeTheOutputIsTaken) {
  ASSERT_EQ(guest.set_input<float>(ctx, 0, kF32, {1, 2}, {1, 3}), NnErrno::success);
  ASSERT_EQ(guest.call("compute", {ctx}), NnErrno::success);
  ASSERT_EQ(guest.set_input<float>(ctx, 0, kF32, {1, 2}, {10, 20}), NnErrno::success);
  EXPECT_THAT(guest.get_output<float>(ctx, 0, 2), ElementsAre(2, 2));
  ASSERT_EQ(guest.call("compute", {ctx}), NnErrno::success);
  EXPECT_THAT(guest.get_output<float>(ctx, 0, 2), ElementsAre(11, 19));
}

TEST_F(Ephemeral, UnalignedPointersWork) {
  for (const uint32_t skew : {1u, 2u, 3u}) {
    ASSERT_EQ(guest.set_input<float>(ctx, 0, kF32, {1, 2}, {1, 3}, skew), NnErrno::success);
    ASSERT_EQ(guest.call("compute", {ctx}), NnErrno::success);
    EXPECT_THAT(guest.get_output<float>(ctx, 0, 2, skew), ElementsAre(2, 2));
  }
}

TEST_F(Ephemeral, FailingSetInputKeepsTheOldValue) {
  ASSERT_EQ(guest.set_input<float>(ctx, 0, kF32, {1, 2}, {1, 3}), NnErrno::success);
  EXPECT_EQ(guest.set_input<float>(ctx, 0, kF32, {1, 3}, {9, 9, 9}), NnErrno::invalid_argument);
  ASSERT_EQ(guest.call("compute", {ctx}), NnErrno::success);
  EXPECT_THAT(guest.get_output<float>(ctx, 0, 2), ElementsAre(2, 2));
}

TEST_F(Ephemeral, ContiguousFloatsAreNeverCopied) {
  ASSERT_EQ(guest.set_input<float>(ctx, 0, kF32, {1, 2}, {1, 3}), NnErrno::success);
  ASSERT_EQ(guest.call("compute", {ctx}), NnErrno::success);
  guest.get_output<float>(ctx, 0, 2);
  const auto statistics = guest.environment.statistics();
  ASSERT_EQ(statistics.size(), 1u);
  EXPECT_EQ(statistics[0].loads, 1u);
  EXPECT_EQ(statistics[0].contexts, 1u);
  EXPECT_EQ(statistics[0].set_input.calls, 1u);
  EXPECT_EQ(statistics[0].compute.calls, 1u);
  EXPECT_EQ(statistics[0].set_input.bytes_viewed + statistics[0].set_input.bytes_copied, 8u);
  EXPECT_EQ(statistics[0].set_input.bytes_copied + statistics[0].get_output.bytes_copied, 0u);
  EXPECT_THAT(guest.environment.statistics_text(), HasSubstr("0 bytes copied"));
}

TEST_F(Ephemeral, WrongHandlesAreErrors) {
  const uint32_t out = guest.reserve(4);
  for (const uint32_t bad : {0u, ctx, 12345u, 0xffffffffu}) {
    EXPECT_EQ(guest.call("init_execution_context", {bad, out}), NnErrno::invalid_argument) << bad;
  }
  expect_message("graph handle 4294967295 is not open");
  for (const uint32_t bad : {0u, graph, 12345u, 0xffffffffu}) {
    EXPECT_EQ(guest.set_input<float>(bad, 0, kF32, {1, 2}, {1, 3}), NnErrno::invalid_argument);
    EXPECT_EQ(guest.call("compute", {bad}), NnErrno::invalid_argument);
    EXPECT_EQ(guest.call("get_output", {bad, 0, 16, 8, out}), NnErrno::invalid_argument);
  }
}

TEST_F(Ephemeral, HandlesAreNeverReused) {
  EXPECT_EQ(guest.call("unload", {graph}), NnErrno::success);
  EXPECT_EQ(guest.call("finalize_execution_context", {ctx}), NnErrno::success);
  EXPECT_EQ(guest.call("unload", {graph}), NnErrno::invalid_argument);
  EXPECT_EQ(guest.call("finalize_execution_context", {ctx}), NnErrno::invalid_argument);
  EXPECT_EQ(guest.call("compute", {ctx}), NnErrno::invalid_argument);
  uint32_t again = 0;
  ASSERT_EQ(guest.load(relu_model(), again), NnErrno::success);
  EXPECT_GT(again, ctx);
}

TEST_F(Ephemeral, ContextOutlivesItsGraphHandle) {
  ASSERT_TRUE(guest.context.unload(GraphHandle{graph}));
  ASSERT_EQ(guest.set_input<float>(ctx, 0, kF32, {1, 2}, {1, 3}), NnErrno::success);
  ASSERT_EQ(guest.call("compute", {ctx}), NnErrno::success);
  EXPECT_THAT(guest.get_output<float>(ctx, 0, 2), ElementsAre(2, 2));
}

TEST_F(Ephemeral, WrongIndexTypeRankAndLength) {
  EXPECT_EQ(guest.set_input<float>(ctx, 1, kF32, {1, 2}, {1, 3}), NnErrno::invalid_argument);
  expect_message("input index 1; the graph has 1 inputs");
  for (const uint8_t type : {uint8_t{0}, kF64, kU8, kI64, uint8_t{6}, uint8_t{255}}) {
    EXPECT_EQ(guest.set_input<float>(ctx, 0, type, {1, 2}, {1, 3}), NnErrno::invalid_argument) << int{type};
  }
  EXPECT_EQ(guest.set_input<float>(ctx, 0, kF32, {2}, {1, 3}), NnErrno::invalid_argument);
  EXPECT_EQ(guest.set_input<float>(ctx, 0, kF32, {1, 1, 2}, {1, 3}), NnErrno::invalid_argument);
  EXPECT_EQ(guest.set_input<float>(ctx, 0, kF32, {1, 2}, {1}), NnErrno::invalid_argument);
  EXPECT_EQ(guest.set_input<float>(ctx, 0, kF32, {1, 2}, {1, 2, 3}), NnErrno::invalid_argument);
  expect_message("x");
}

TEST_F(Ephemeral, DimensionsThatOverflow) {
  const std::vector<uint32_t> huge(8, 0xffffffff);
  EXPECT_EQ(guest.set_input<float>(ctx, 0, kF32, huge, {1, 3}), NnErrno::invalid_argument);
  const std::vector<uint32_t> many(1000, 1);
  EXPECT_EQ(guest.set_input<float>(ctx, 0, kF32, many, {1, 3}), NnErrno::invalid_argument);
  expect_message("rank 1000");
  EXPECT_EQ(guest.set_input<float>(ctx, 0, kF32, {0x40000000, 2}, {1, 3}), NnErrno::invalid_argument);
}

TEST_F(Ephemeral, PointersPastTheEndOfMemory) {
  const uint32_t end = Guest::kMemory;
  const uint32_t dims = guest.put_all<uint32_t>({1, 2});
  const uint32_t data = guest.put_all<float>({1, 3});
  const uint32_t out = guest.reserve(64);
  const std::vector<std::pair<const char*, std::vector<uint32_t>>> calls = {
      {"set_input", {ctx, 0, end - 19}},
      {"set_input", {ctx, 0, guest.record(end - 4, 2, kF32, data, 8)}},
      {"set_input", {ctx, 0, guest.record(dims, 0x40000001, kF32, data, 8)}},
      {"set_input", {ctx, 0, guest.record(dims, 2, kF32, end - 7, 8)}},
      {"set_input", {ctx, 0, guest.record(dims, 2, kF32, 0xfffffffc, 8)}},
      {"get_output", {ctx, 0, end - 4, 8, out}},
      {"get_output", {ctx, 0, out, 8, end - 3}},
      {"init_execution_context", {graph, end - 3}},
      {"load_by_name", {end - 2, 3, out}},
      {"load", {end - 4, 1, 1, 0, out}},
      {"load", {guest.put_all<uint32_t>({end - 4, 8}), 1, 1, 0, out}},
      {"load", {out, 0x20000001, 1, 0, out}},
  };
  for (const auto& [name, args] : calls) {
    EXPECT_EQ(guest.call(name, args), NnErrno::invalid_argument) << name;
    expect_message("outside the guest's memory");
  }
}

TEST_F(Ephemeral, TooSmallOutputTellsTheSizeAndWritesNothing) {
  ASSERT_EQ(guest.set_input<float>(ctx, 0, kF32, {2, 2}, {1, 3, 5, 7}), NnErrno::success);
  ASSERT_EQ(guest.call("compute", {ctx}), NnErrno::success);
  const uint32_t out = guest.put(std::string(16, 'x'));
  const uint32_t written = guest.reserve(4);
  EXPECT_EQ(guest.call("get_output", {ctx, 0, out, 15, written}), NnErrno::too_large);
  EXPECT_EQ(guest.get<uint32_t>(written), 16u);
  for (uint32_t i = 0; i < 16; ++i) EXPECT_EQ(guest.memory[out + i], 'x');
  EXPECT_EQ(guest.call("get_output", {ctx, 0, out, 16, written}), NnErrno::success);
}

TEST_F(Ephemeral, CallsInTheWrongOrder) {
  const uint32_t out = guest.reserve(16);
  EXPECT_NE(guest.call("get_output", {ctx, 0, out, 16, out}), NnErrno::success) << "before compute";
  EXPECT_NE(guest.call("compute", {ctx}), NnErrno::success) << "without inputs";
  expect_message("x");
  ASSERT_EQ(guest.set_input<float>(ctx, 0, kF32, {1, 2}, {1, 3}), NnErrno::success);
  ASSERT_EQ(guest.call("compute", {ctx}), NnErrno::success);
  EXPECT_EQ(guest.call("get_output", {ctx, 7, out, 16, out}), NnErrno::invalid_argument);
}

TEST_F(Ephemeral, RecordThatOverlapsItsOwnData) {
  // dims, record and data share bytes; whatever they mean, it is an answer or an error.
  const uint32_t at = guest.put_all<uint32_t>({0, 2, kF32, 0, 8});
  std::memcpy(guest.memory.data() + at, &at, 4);
  std::memcpy(guest.memory.data() + at + 12, &at, 4);
  EXPECT_EQ(guest.call("set_input", {ctx, 0, at}), NnErrno::invalid_argument);
}

TEST_F(Ephemeral, EncodingsAndTargets) {
  uint32_t handle = 0;
  const std::vector<std::pair<uint32_t, NnErrno>> encodings = {{0, NnErrno::invalid_encoding},
                                                               {2, NnErrno::invalid_encoding},
                                                               {3, NnErrno::unsupported_operation},
                                                               {4, NnErrno::invalid_encoding},
                                                               {5, NnErrno::success},
                                                               {6, NnErrno::success},
                                                               {7, NnErrno::invalid_encoding},
                                                               {0xffffffff, NnErrno::invalid_encoding}};
  for (const auto& [encoding, expected] : encodings)
    EXPECT_EQ(guest.load(relu_model(), handle, encoding), expected) << encoding;
  EXPECT_EQ(guest.load(relu_model(), handle, 1, 1), NnErrno::unsupported_operation);
  expect_message("gpu");
  EXPECT_EQ(guest.load(relu_model(), handle, 1, 2), NnErrno::unsupported_operation);
  EXPECT_EQ(guest.load(relu_model(), handle, 1, 3), NnErrno::invalid_argument);
}

TEST_F(Ephemeral, PytorchAndGgufAreRecognisedAndRefused) {
  using namespace std::string_literals;
  uint32_t handle = 0;
  for (const auto& [bytes, name] :
       {std::pair{"PK\x03\x04 a zip"s, "pytorch"}, {"GGUF\x03\0\0\0 llama"s, "ggml"}}) {
    for (const uint32_t autodetect : {5u, 6u}) {
      EXPECT_EQ(guest.load(bytes, handle, autodetect), NnErrno::unsupported_operation);
      expect_message(name);
      expect_message("is not supported yet");
    }
  }
}

TEST_F(Ephemeral, BadModelsAreErrorsOfLoad) {
  uint32_t handle = 0;
  EXPECT_EQ(guest.load("\x3a\xff\xff\xff\xff\x07", handle), NnErrno::invalid_encoding);
  EXPECT_EQ(guest.load("", handle), NnErrno::invalid_encoding);
  EXPECT_EQ(guest.load("GGUFxxxx", handle, 5), NnErrno::unsupported_operation);
  EXPECT_EQ(guest.load("what is this?", handle, 5), NnErrno::invalid_encoding);
  EXPECT_EQ(guest.load(test::model({.inputs = {value("x", 1, {"2"})},
                                    .outputs = {value("y", 1, {"2"})},
                                    .nodes = {{"Frobnicate", {"x"}, {"y"}, {}, "frob"}}}),
                       handle),
            NnErrno::unsupported_operation);
  expect_message("node 'frob' (Frobnicate, opset 17)");
  const uint32_t out = guest.reserve(4);
  EXPECT_EQ(guest.call("load", {out, 0, 1, 0, out}), NnErrno::invalid_argument) << "no builders";
}

TEST_F(Ephemeral, StringsAtTheEdgeAreRefusedAtLoad) {
  uint32_t handle = 0;
  EXPECT_EQ(guest.load(test::model({.inputs = {value("s", 8, {"2"})},
                                    .outputs = {value("t", 8, {"2"})},
                                    .nodes = {{"Identity", {"s"}, {"t"}}}}),
                       handle),
            NnErrno::unsupported_operation);
  expect_message("'s'");
}

TEST_F(Ephemeral, OlderTensorTypeNumbersAreUnderstood) {
  uint32_t g = 0, c = 0;
  ASSERT_EQ(guest.load(test::model({.inputs = {value("x", 2, {"4"})},
                                    .outputs = {value("y", 2, {"4"})},
                                    .nodes = {{"Identity", {"x"}, {"y"}}}}),
                       g),
            NnErrno::success)
      << guest.context.last_error();
  ASSERT_EQ(guest.open(g, c), NnErrno::success);
  for (const uint8_t type : {kU8, kOldU8}) {
    ASSERT_EQ(guest.set_input<uint8_t>(c, 0, type, {4}, {1, 2, 3, 4}), NnErrno::success)
        << guest.context.last_error();
    ASSERT_EQ(guest.call("compute", {c}), NnErrno::success);
    EXPECT_THAT(guest.get_output<uint8_t>(c, 0, 4), ElementsAre(1, 2, 3, 4));
  }
  EXPECT_EQ(guest.set_input<double>(c, 0, kF64, {4}, {1, 2, 3, 4}), NnErrno::invalid_argument)
      << "f64 is meant";
}

TEST_F(Ephemeral, StreamingIsRefused) {
  const uint32_t out = guest.reserve(16);
  EXPECT_EQ(guest.call("compute_single", {ctx}), NnErrno::unsupported_operation);
  EXPECT_EQ(guest.call("get_output_single", {ctx, 0, out, 8, out}), NnErrno::unsupported_operation);
  EXPECT_EQ(guest.call("fini_single", {ctx}), NnErrno::unsupported_operation);
}

TEST_F(Ephemeral, GuestWithoutMemory) {
  guest.has_memory = false;
  EXPECT_EQ(guest.call("compute", {ctx}), NnErrno::missing_memory);
}

TEST(EphemeralLimits, GraphsContextsAndModelBytes) {
  NnOptions options;
  options.max_graphs = 2;
  options.max_contexts = 1;
  options.max_model_bytes = 4096;
  Guest guest(options);
  uint32_t graph = 0, ctx = 0;
  ASSERT_EQ(guest.load(relu_model(), graph), NnErrno::success);
  ASSERT_EQ(guest.load(relu_model(), graph), NnErrno::success);
  EXPECT_EQ(guest.load(relu_model(), graph), NnErrno::too_large);
  ASSERT_EQ(guest.open(1, ctx), NnErrno::success);
  EXPECT_EQ(guest.open(1, ctx), NnErrno::too_large);
  ASSERT_TRUE(guest.context.unload(GraphHandle{1}));
  EXPECT_EQ(guest.load(std::string(5000, 'x'), graph), NnErrno::too_large);
}

// Named models in a folder of their own.
class Named : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / fmt::format("tenon-named-{}", getpid());
    std::filesystem::create_directories(folder_ / "relu");
    std::ofstream(folder_ / "relu/model.onnx", std::ios::binary) << relu_model();
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  NnErrno load(const std::string& name, uint32_t& handle) {
    const uint32_t at = guest_.put(name);
    const uint32_t out = guest_.reserve(4);
    const NnErrno code = guest_.call("load_by_name", {at, static_cast<uint32_t>(name.size()), out});
    handle = guest_.get<uint32_t>(out);
    return code;
  }

  std::filesystem::path folder_;
  Guest guest_;
  uint32_t handle_ = 0;
};

TEST_F(Named, BothFormsOfRegistration) {
  ASSERT_TRUE(guest_.environment.add_graph("mine=" + (folder_ / "relu/model.onnx").string()));
  ASSERT_TRUE(guest_.environment.add_graph("onnx::" + (folder_ / "relu").string()));
  EXPECT_EQ(load("mine", handle_), NnErrno::success) << guest_.context.last_error();
  EXPECT_EQ(load("relu", handle_), NnErrno::success) << guest_.context.last_error();
  EXPECT_EQ(load("other", handle_), NnErrno::not_found);
}

TEST_F(Named, NamesAreNeverPaths) {
  ASSERT_TRUE(guest_.environment.add_graph("mine=" + (folder_ / "relu").string()));
  for (const std::string& name : {std::string("../../etc/passwd"), (folder_ / "relu/model.onnx").string(),
                                  std::string("mine/"), std::string("mine\0", 5), std::string()}) {
    EXPECT_EQ(load(name, handle_), NnErrno::not_found) << name;
  }
}

TEST_F(Named, BadRegistrationsAreErrors) {
  auto& environment = guest_.environment;
  EXPECT_FALSE(environment.add_graph("nothing"));
  EXPECT_FALSE(environment.add_graph("x=/does/not/exist"));
  EXPECT_FALSE(environment.add_graph("x=" + folder_.string())) << "a folder without a model";
  EXPECT_FALSE(environment.add_graph("=" + (folder_ / "relu").string()));
  EXPECT_FALSE(environment.add_graph("klingon::" + (folder_ / "relu").string()));
  ASSERT_TRUE(environment.add_graph("x=" + (folder_ / "relu").string()));
  EXPECT_FALSE(environment.add_graph("x=" + (folder_ / "relu").string())) << "the name is taken";
}

TEST_F(Named, ModelThatAGuestCanTruncateIsNotMapped) {
  guest_.environment.add_writable_folder(folder_.string());
  ASSERT_TRUE(guest_.environment.add_graph("mine=" + (folder_ / "relu").string()));
  ASSERT_EQ(load("mine", handle_), NnErrno::success);
  std::filesystem::resize_file(folder_ / "relu/model.onnx", 0);
  uint32_t ctx = 0;
  ASSERT_EQ(guest_.open(handle_, ctx), NnErrno::success);
  ASSERT_EQ(guest_.set_input<float>(ctx, 0, kF32, {1, 2}, {1, 3}), NnErrno::success);
  ASSERT_EQ(guest_.call("compute", {ctx}), NnErrno::success);
  EXPECT_THAT(guest_.get_output<float>(ctx, 0, 2), ElementsAre(2, 2));
}

TEST_F(Named, LoadedOnceForAllGuests) {
  ASSERT_TRUE(guest_.environment.add_graph("mine=" + (folder_ / "relu").string()));
  NnContext second(guest_.environment);
  ASSERT_EQ(load("mine", handle_), NnErrno::success);
  ASSERT_TRUE(second.load_by_name("mine"));
  EXPECT_EQ(guest_.environment.statistics()[0].loads, 1u);
}

}  // namespace
}  // namespace tenon::nn
