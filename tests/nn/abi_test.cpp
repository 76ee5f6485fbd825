// The other ABIs: memory64, WAMR's legacy module, dialects of numbers; and limits of time and memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/nn/guest.h"

namespace tenon::nn {
namespace {

using test::Bytes;
using test::Guest;
using test::value;
using ::testing::HasSubstr;

Bytes relu_model(int type = 1) {
  return test::model({.inputs = {value("x", type, {"2"})},
                      .outputs = {value("y", type, {"2"})},
                      .nodes = {{"Relu", {"x"}, {"t"}}, {"Neg", {"t"}, {"y"}}}});
}

TEST(Memory64, SignaturesHave64BitPointersAndLengths) {
  const std::map<std::string_view, std::string> shapes = {
      {"load", "lliil"},    {"load_by_name", "lll"}, {"init_execution_context", "il"},
      {"set_input", "iil"}, {"compute", "i"},        {"get_output", "iilll"}};
  size_t found = 0;
  for (const HostFuncDesc& desc : nn_functions(true)) {
    EXPECT_NE(desc.module, kLegacyModule);
    const auto it = shapes.find(desc.name);
    if (it == shapes.end() || desc.module != kEphemeralModule) continue;
    std::string shape;
    for (const ValType type : desc.params) shape += type == tenon::kI64 ? 'l' : 'i';
    EXPECT_EQ(shape, it->second) << desc.name;
    ++found;
  }
  EXPECT_EQ(found, shapes.size());
}

class Guest64 : public ::testing::Test {
 protected:
  NnErrno call(std::string_view name, std::vector<uint64_t> args) {
    return guest.call_in(kEphemeralModule, name, std::move(args), true);
  }
  Guest guest;
};

TEST_F(Guest64, RunsAnInferenceWith40ByteRecords) {
  const Bytes model = relu_model();
  const uint64_t bytes = guest.put(model);
  const uint64_t builders = guest.put_all<uint64_t>({bytes, model.size()});
  const uint32_t out = guest.reserve(8);
  ASSERT_EQ(call("load", {builders, 1, 1, 0, out}), NnErrno::success) << guest.context.last_error();
  const uint64_t graph = guest.get<uint32_t>(out);
  ASSERT_EQ(call("init_execution_context", {graph, out}), NnErrno::success);
  const uint64_t ctx = guest.get<uint32_t>(out);
  const uint64_t data = guest.put_all<float>({-1, 3});
  const uint64_t dims = guest.put_all<uint32_t>({2});
  const uint64_t record = guest.put_all<uint64_t>({dims, 1, 1, data, 8});
  ASSERT_EQ(call("set_input", {ctx, 0, record}), NnErrno::success) << guest.context.last_error();
  ASSERT_EQ(call("compute", {ctx}), NnErrno::success);
  const uint64_t result = guest.reserve(8);
  ASSERT_EQ(call("get_output", {ctx, 0, result, 8, out}), NnErrno::success);
  EXPECT_EQ(guest.get<uint64_t>(out), 8u);
  EXPECT_EQ(guest.get<float>(static_cast<uint32_t>(result) + 4), -3);

  const uint64_t far = uint64_t{1} << 40;
  EXPECT_EQ(call("set_input", {ctx, 0, far}), NnErrno::invalid_argument);
  EXPECT_EQ(call("set_input", {ctx, 0, ~uint64_t{0}}), NnErrno::invalid_argument);
  for (const auto& bad : std::vector<std::vector<uint64_t>>{{dims, 1, 1, far, 8},
                                                            {dims, 1, 1, data, ~uint64_t{0}},
                                                            {dims, uint64_t{1} << 62, 1, data, 8},
                                                            {far, 1, 1, data, 8}}) {
    EXPECT_EQ(call("set_input", {ctx, 0, guest.put_all<uint64_t>(bad)}), NnErrno::invalid_argument);
    EXPECT_THAT(guest.context.last_error(), HasSubstr("outside"));
  }
  EXPECT_EQ(call("load", {builders, uint64_t{1} << 61, 1, 0, out}), NnErrno::invalid_argument);
  EXPECT_EQ(call("get_output", {ctx, 0, result, ~uint64_t{0}, out}), NnErrno::invalid_argument);
}

// WAMR's module wasi_nn.
class Legacy : public ::testing::Test {
 protected:
  void open(const Bytes& model) {
    const uint32_t bytes = guest.put(model);
    const uint32_t builders = guest.put_all<uint32_t>({bytes, static_cast<uint32_t>(model.size())});
    const uint32_t array = guest.put_all<uint32_t>({builders, 1});
    const uint32_t out = guest.reserve(4);
    ASSERT_EQ(guest.legacy("load", {array, 1, 0, out}), NnErrno::success) << guest.context.last_error();
    ASSERT_EQ(guest.legacy("init_execution_context", {guest.get<uint32_t>(out), out}), NnErrno::success);
    ctx = guest.get<uint32_t>(out);
  }
  template <class T>
  NnErrno set(uint32_t type, const std::vector<uint32_t>& dims, const std::vector<T>& values) {
    const uint32_t list = guest.put_all(dims);
    const uint32_t shape = guest.put_all<uint32_t>({list, static_cast<uint32_t>(dims.size())});
    return guest.legacy("set_input", {ctx, 0, guest.put_all<uint32_t>({shape, type, guest.put_all(values)})});
  }

  Guest guest;
  uint32_t ctx = 0;
};

TEST_F(Legacy, CountsElements) {
  open(relu_model());
  ASSERT_EQ(set<float>(1, {2}, {-1, 3}), NnErrno::success) << guest.context.last_error();
  ASSERT_EQ(guest.legacy("compute", {ctx}), NnErrno::success);
  const uint32_t out = guest.reserve(16), size = guest.put_all<uint32_t>({1});
  EXPECT_EQ(guest.legacy("get_output", {ctx, 0, out, size}), NnErrno::too_large);
  EXPECT_EQ(guest.get<uint32_t>(size), 2u) << "elements that are needed";
  ASSERT_EQ(guest.legacy("get_output", {ctx, 0, out, size}), NnErrno::success) << guest.context.last_error();
  EXPECT_EQ(guest.get<uint32_t>(size), 2u);
  EXPECT_EQ(guest.get<float>(out + 4), -3);
}

TEST_F(Legacy, TypesAreInTheOlderNumbering) {
  open(relu_model(6));  // i32
  ASSERT_EQ(set<int32_t>(3, {2}, {-1, 3}), NnErrno::success) << guest.context.last_error();
  EXPECT_EQ(set<int32_t>(4, {2}, {-1, 3}), NnErrno::invalid_argument) << "today's number";
}

TEST_F(Legacy, DataThatEndsOutsideMemory) {
  open(relu_model());
  const uint32_t end = Guest::kMemory;
  const uint32_t dims = guest.put_all<uint32_t>({2});
  const uint32_t shape = guest.put_all<uint32_t>({dims, 1});
  for (const uint32_t data : {end - 7, end, 0xffffffffu})
    EXPECT_EQ(guest.legacy("set_input", {ctx, 0, guest.put_all<uint32_t>({shape, 1, data})}),
              NnErrno::invalid_argument);
  const uint32_t wild = guest.put_all<uint32_t>({dims, 0x40000001});
  EXPECT_EQ(guest.legacy("set_input", {ctx, 0, guest.put_all<uint32_t>({wild, 1, dims})}),
            NnErrno::invalid_argument);
  EXPECT_EQ(guest.legacy("set_input", {ctx, 0, guest.put_all<uint32_t>({end - 4, 1, dims})}),
            NnErrno::invalid_argument);
  const uint32_t huge = guest.put_all<uint32_t>({0xffffffff});
  EXPECT_EQ(guest.legacy("get_output", {ctx, 0, dims, huge}), NnErrno::invalid_argument);
}

TEST(Dialects, NumbersOfEncodingsTypesAndErrors) {
  Guest guest;
  const uint32_t name = guest.put("nobody"), out = guest.reserve(4);
  const auto not_found = [&](DialectId id) {
    guest.binding.dialect = id;
    return static_cast<uint32_t>(guest.call("load_by_name", {name, 6, out}));
  };
  EXPECT_EQ(not_found(DialectId::automatic), 8u);
  EXPECT_EQ(not_found(DialectId::wasmedge), 103u);

  uint32_t graph = 0;
  const auto load = [&](DialectId id, uint32_t encoding) {
    guest.binding.dialect = id;
    return guest.load(relu_model(2), graph, encoding);
  };
  EXPECT_EQ(load(DialectId::witx, 5), NnErrno::success);
  EXPECT_EQ(load(DialectId::witx, 6), NnErrno::invalid_encoding);
  EXPECT_EQ(load(DialectId::wit, 5), NnErrno::unsupported_operation) << "ggml";
  EXPECT_EQ(load(DialectId::wit, 6), NnErrno::success);
  EXPECT_EQ(load(DialectId::wasmedge, 5), NnErrno::success);
  EXPECT_EQ(load(DialectId::wasmedge, 6), NnErrno::unsupported_operation);
  EXPECT_EQ(load(DialectId::automatic, 5), NnErrno::success);
  EXPECT_EQ(load(DialectId::automatic, 6), NnErrno::success);
  EXPECT_EQ(parse_dialect("wit"), DialectId::wit);
  EXPECT_FALSE(parse_dialect("klingon"));
}

TEST(Dialects, OlderTypeNumbersWhereSizesCannotTell) {
  using enum TypeNumbers;
  using kernels::DataType;
  EXPECT_TRUE(check_element_type(2, DataType::u8, 4, 4, either));
  EXPECT_FALSE(check_element_type(2, DataType::u8, 4, 4, current));
  EXPECT_TRUE(check_element_type(2, DataType::u8, 4, 4, older));
  EXPECT_FALSE(check_element_type(3, DataType::u8, 4, 4, older));
  EXPECT_TRUE(check_element_type(3, DataType::u8, 4, 4, either));
}

TEST(NnLimits, LoadsInALoopEndAtTheBytesOfAll) {
  NnOptions options;
  options.max_loaded_bytes = 2000;
  Guest guest(options);
  uint32_t graph = 0, ctx = 0, loads = 0;
  while (loads < 100 && guest.load(relu_model(), graph) == NnErrno::success) ++loads;
  EXPECT_GT(loads, 2u);
  EXPECT_LT(loads, 100u);
  EXPECT_THAT(guest.context.last_error(), HasSubstr("bytes of models are loaded"));
  EXPECT_EQ(guest.open(loads, ctx), NnErrno::success);
  ASSERT_TRUE(guest.context.unload(GraphHandle{loads}));
  EXPECT_EQ(guest.load(relu_model(), graph), NnErrno::too_large) << "its context still holds it";
  ASSERT_TRUE(guest.context.unload(GraphHandle{1}));
  EXPECT_EQ(guest.load(relu_model(), graph), NnErrno::success);
}

// The end of 2^32 loads in a loop, which gives each back before the next: the last handles, then errors for ever, at once.
TEST(NnLimits, HandlesRunOutAndNeverComeBack) {
  constexpr uint32_t kLeft = 5;
  Guest guest({}, Guest::kMemory, UINT32_MAX - kLeft);
  uint32_t graph = 0, ctx = 0, last = UINT32_MAX - kLeft;
  for (uint32_t i = 0; i + 2 < kLeft; ++i) {
    ASSERT_EQ(guest.load(relu_model(), graph), NnErrno::success);
    EXPECT_EQ(graph, ++last);
    ASSERT_TRUE(guest.context.unload(GraphHandle{graph}));
  }
  ASSERT_EQ(guest.load(relu_model(), graph), NnErrno::success);
  ASSERT_EQ(guest.open(graph, ctx), NnErrno::success);
  EXPECT_EQ(ctx, UINT32_MAX);
  for (int i = 0; i < 100; ++i) {
    uint32_t none = 0;
    EXPECT_EQ(guest.load("no model, and nobody looks", none), NnErrno::too_large);
    EXPECT_EQ(guest.open(graph, none), NnErrno::too_large);
  }
  EXPECT_THAT(guest.context.last_error(), HasSubstr("all handles have been used"));
  ASSERT_TRUE(guest.context.unload(GraphHandle{graph}));
  EXPECT_EQ(guest.load(relu_model(), graph), NnErrno::too_large);
  EXPECT_EQ(guest.set_input<float>(ctx, 0, 1, {2}, {1, 3}), NnErrno::success) << "what is open still works";
  EXPECT_EQ(guest.call("compute", {ctx}), NnErrno::success);
}

TEST(NnLimits, Operators) {
  NnOptions options;
  options.max_operators = 1;
  Guest guest(options);
  uint32_t graph = 0;
  EXPECT_EQ(guest.load(relu_model(), graph), NnErrno::too_large);
}

TEST(NnLimits, TimeAndInterruption) {
  NnOptions options;
  options.max_compute_time = std::chrono::nanoseconds(1);
  Guest guest(options);
  uint32_t graph = 0, ctx = 0;
  ASSERT_EQ(guest.load(relu_model(), graph), NnErrno::success);
  ASSERT_EQ(guest.open(graph, ctx), NnErrno::success);
  EXPECT_EQ(guest.set_input<float>(ctx, 0, 1, {2}, {1, 3}), NnErrno::runtime_error);
  EXPECT_THAT(guest.context.last_error(), HasSubstr("time limit"));

  Guest stopped;
  ASSERT_EQ(stopped.load(relu_model(), graph), NnErrno::success);
  ASSERT_EQ(stopped.open(graph, ctx), NnErrno::success);
  ASSERT_EQ(stopped.set_input<float>(ctx, 0, 1, {2}, {1, 3}), NnErrno::success);
  volatile uint32_t interrupt = 1;
  const auto result = stopped.context.compute(ContextHandle{ctx}, {.interrupt = &interrupt});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, kernels::ErrorCode::interrupted);
  interrupt = 0;
  EXPECT_TRUE(stopped.context.compute(ContextHandle{ctx}, {.interrupt = &interrupt}));
}

TEST(Registry, EmbeddersFindModelsByName) {
  Guest guest;
  const auto model = std::make_shared<const Bytes>(relu_model());
  int asked = 0;
  guest.environment.set_finder([&](std::string_view name) -> std::optional<FoundModel> {
    ++asked;
    if (name != "relu") return std::nullopt;
    return FoundModel{{}, test::as_bytes(*model), model};
  });
  const uint32_t name = guest.put("relu"), other = guest.put("other"), out = guest.reserve(4);
  ASSERT_EQ(guest.call("load_by_name", {name, 4, out}), NnErrno::success) << guest.context.last_error();
  ASSERT_EQ(guest.call("load_by_name", {name, 4, out}), NnErrno::success);
  EXPECT_EQ(asked, 1) << "registered by then";
  EXPECT_EQ(guest.call("load_by_name", {other, 5, out}), NnErrno::not_found);
  ASSERT_TRUE(guest.environment.add_graph_bytes("bytes", test::as_bytes(*model), model));
  EXPECT_FALSE(guest.environment.add_graph_bytes("bytes", test::as_bytes(*model), model));
}

TEST(Targets, FallbackMustBeAskedFor) {
  NnOptions options;
  options.target_fallback = true;
  Guest guest(options);
  uint32_t graph = 0;
  EXPECT_EQ(guest.load(relu_model(), graph, 1, 1), NnErrno::success);
  EXPECT_EQ(guest.load(relu_model(), graph, 1, 2), NnErrno::success);
  EXPECT_EQ(guest.load(relu_model(), graph, 1, 3), NnErrno::invalid_argument);
}

}  // namespace
}  // namespace tenon::nn
