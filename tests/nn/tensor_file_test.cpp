// Tensors from .npy, .pb, .bin and pictures, good and damaged; comparing with expected values.
#include "wasi-nn/formats/tensor_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "tests/nn/onnx_writer.h"
#include "tests/nn/test_data.h"
#include "wasi-nn/golden.h"
#include "wasi-nn/mapped_file.h"

namespace tenon::nn {
namespace {

using kernels::DataType;
using kernels::Dim;
using kernels::Dims;
using kernels::ErrorCode;
using kernels::Tensor;
using kernels::Value;
using kernels::ValueType;
using ::testing::HasSubstr;

Tensor floats(const Dims& dims, const std::vector<float>& values) {
  return *Tensor::of<float>(DataType::f32, dims, std::span(values));
}

ValueType f32(std::vector<Dim> dims) { return ValueType::tensor(DataType::f32, std::move(dims)); }

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

TEST(Npy, RoundTripKeepsTypeShapeAndBytes) {
  for (const Dims& dims : {Dims{}, Dims{3}, Dims{2, 3}, Dims{0, 4}}) {
    const auto count = static_cast<size_t>(*kernels::element_count(dims));
    const Tensor tensor = floats(dims, std::vector<float>(count, 1.5f));
    const auto text = format_npy(tensor);
    ASSERT_TRUE(text);
    EXPECT_EQ((text->size() - tensor.bytes().size()) % 64, 0u);
    const auto back = parse_npy(bytes_of(*text), nullptr);
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(back->type(), DataType::f32);
    EXPECT_EQ(back->dims(), dims);
  }
}

TEST(Npy, EveryTruncationIsRefused) {
  const std::string whole = *format_npy(floats({2, 2}, {1, 2, 3, 4}));
  for (size_t length = 0; length < whole.size(); ++length) {
    EXPECT_FALSE(parse_npy(bytes_of(std::string(whole.data(), length)), nullptr)) << length;
  }
}

TEST(Npy, FortranOrderAndBigEndianAreRefusedByName) {
  const auto with = [](const std::string& dict) {
    std::string file("\x93NUMPY\x01\x00", 8);
    file += static_cast<char>(dict.size());
    file += '\0';
    return file + dict + std::string(8, '\0');
  };
  const auto fortran = with("{'descr': '<f4', 'fortran_order': True, 'shape': (2,), }");
  EXPECT_THAT(parse_npy(bytes_of(fortran), nullptr).error().message, HasSubstr("Fortran"));
  const auto big = with("{'descr': '>f4', 'fortran_order': False, 'shape': (2,), }");
  EXPECT_EQ(parse_npy(bytes_of(big), nullptr).error().code, ErrorCode::unsupported_operation);
  const auto huge = with("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 16), }");
  EXPECT_FALSE(parse_npy(bytes_of(huge), nullptr));
  const auto negative = with("{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }");
  EXPECT_FALSE(parse_npy(bytes_of(negative), nullptr));
}

TEST(Raw, OneDynamicDimensionFollowsFromTheLength) {
  const std::string data(24, '\0');
  const auto tensor = parse_raw(bytes_of(data), nullptr, f32({Dim::named("N"), Dim::constant(2)}));
  ASSERT_TRUE(tensor) << tensor.error().message;
  EXPECT_EQ(tensor->dims(), (Dims{3, 2}));
  EXPECT_FALSE(parse_raw(bytes_of(data), nullptr, f32({Dim::named("N"), Dim::named("M")})));
  EXPECT_FALSE(parse_raw(bytes_of(data), nullptr, f32({Dim::constant(5)})));
  EXPECT_FALSE(parse_raw(bytes_of(data), nullptr, f32({Dim::named("N"), Dim::constant(4)})));
}

TEST(Pb, TensorsSequencesAndDamage) {
  const auto bytes = test::floats("t", {2}, {1, 2});
  const auto value = parse_pb(bytes_of(bytes), nullptr, f32({Dim::unknown()}));
  ASSERT_TRUE(value);
  EXPECT_EQ(value->tensor.dims(), Dims{2});
  test::Bytes sequence;
  protozero::pbf_writer w(sequence);
  w.add_int32(2, 1);
  w.add_message(3, bytes);
  w.add_message(3, bytes);
  const auto list = parse_pb(bytes_of(sequence), nullptr, ValueType::sequence(f32({})));
  ASSERT_TRUE(list);
  EXPECT_EQ(list->elements.size(), 2u);
  EXPECT_FALSE(parse_pb(bytes_of("\xff\xff"), nullptr, f32({})));
}

class Pictures : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = test::test_data() + "/guests/inputs/banana.jpg";
    SKIP_WITHOUT(path_);
    file_ = *MappedFile::open(path_);
  }
  std::string path_;
  std::shared_ptr<const MappedFile> file_;
};

TEST_F(Pictures, FitTheInputInBothLayouts) {
  const auto first = picture_tensor(
      file_->bytes(), f32({Dim::named("N"), Dim::constant(3), Dim::constant(8), Dim::constant(6)}));
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(first->dims(), (Dims{1, 3, 8, 6}));
  const auto last = picture_tensor(
      file_->bytes(), f32({Dim::constant(1), Dim::constant(8), Dim::constant(6), Dim::constant(3)}));
  ASSERT_TRUE(last);
  const auto a = to_doubles(*first);
  const auto b = to_doubles(*last);
  for (size_t p = 0; p < 48; ++p) {
    for (size_t c = 0; c < 3; ++c) EXPECT_EQ(a[c * 48 + p], b[p * 3 + c]);
  }
  EXPECT_GT(*std::ranges::max_element(a), 0.2);
  EXPECT_LE(*std::ranges::max_element(a), 1.0);
}

TEST_F(Pictures, DamageAndUnfitInputsAreErrors) {
  EXPECT_FALSE(picture_tensor(file_->bytes().first(100),
                              f32({Dim::constant(1), Dim::constant(3), Dim::constant(8), Dim::constant(6)})));
  EXPECT_FALSE(picture_tensor(file_->bytes(), f32({Dim::constant(10)})));
  EXPECT_FALSE(picture_tensor(file_->bytes(),
                              f32({Dim::constant(1), Dim::constant(7), Dim::constant(8), Dim::constant(6)})));
  EXPECT_FALSE(
      picture_tensor(file_->bytes(), ValueType::tensor(DataType::i64, {Dim::constant(8), Dim::constant(6)})));
}

TEST(Compare, ToleranceIsRelativeToElementAndToTheLargest) {
  const Value expected = Value::of(floats({2}, {100, 1}));
  const Value near = Value::of(floats({2}, {100, 1.0005f}));
  EXPECT_FALSE(difference(near, expected, {.rtol = 1e-3, .atol = 0}));
  EXPECT_TRUE(difference(near, expected, {.rtol = 1e-4, .atol = 0}));
  EXPECT_FALSE(difference(near, expected, {.rtol = 0, .atol = 0, .of_largest = 1e-5}));
  EXPECT_TRUE(difference(near, expected, {.rtol = 0, .atol = 0, .of_largest = 1e-6}));
}

TEST(Compare, NaNShapesAndTypesAreToldApart) {
  const Value nan = Value::of(floats({1}, {NAN}));
  const Value one = Value::of(floats({1}, {1}));
  EXPECT_FALSE(difference(nan, nan, {}));
  EXPECT_THAT(difference(nan, one, {.rtol = 1e9, .atol = 1e9}).value(), HasSubstr("element 0"));
  EXPECT_THAT(difference(one, Value::of(floats({1, 1}, {1})), {}).value(), HasSubstr("shape"));
  const std::vector<double> d{1};
  EXPECT_THAT(difference(one, Value::of(*Tensor::of<double>(DataType::f64, {1}, std::span(d))), {}).value(),
              HasSubstr("type"));
  EXPECT_TRUE(difference(one, Value::sequence({}), {}));
}

TEST(Golden, DamagedJsonIsAnErrorWithItsPath) {
  const auto folder = std::filesystem::temp_directory_path() / fmt::format("tenon-golden-{}", getpid());
  std::filesystem::create_directories(folder / "golden");
  for (
      const char* text :
      {"{", "{}", R"({"model": "m.onnx", "cases": [{"inputs": [{"file": "x"}], "outputs": []}]})",
       R"({"model": "m.onnx", "cases": [{"inputs": [{"file": "x", "dtype": "f99", "shape": [1]}], "outputs": []}]})",
       R"({"model": "m.onnx", "cases": 3})"}) {
    std::ofstream(folder / "golden/golden.json") << text;
    const auto cases = find_cases(folder.string());
    ASSERT_FALSE(cases) << text;
    EXPECT_EQ(cases.error().code, ErrorCode::invalid_encoding);
    EXPECT_THAT(cases.error().message, HasSubstr("golden.json"));
  }
  std::filesystem::remove_all(folder);
}

TEST(Golden, ToleranceFollowsTheRuleOfTheData) {
  const std::string folder = test::test_data() + "/models/onnx-mnist-8";
  SKIP_WITHOUT(folder);
  const auto cases = find_cases(folder);
  ASSERT_TRUE(cases) << cases.error().message;
  ASSERT_EQ(cases->size(), 1u);
  EXPECT_EQ((*cases)[0].cases.size(), 3u);
  EXPECT_DOUBLE_EQ((*cases)[0].tolerance.atol, 0.029296875);
  EXPECT_DOUBLE_EQ((*cases)[0].tolerance.of_largest, 1e-5);
}

}  // namespace
}  // namespace tenon::nn
