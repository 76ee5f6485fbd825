// TensorFlow Lite: models against their golden values, and damaged files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "kernels/plan.h"
#include "tests/nn/test_data.h"
#include "wasi-nn/formats/detect.h"
#include "wasi-nn/tools.h"

namespace tenon::nn {
namespace {

using kernels::ErrorCode;
using ::testing::HasSubstr;

std::string folder_of_model(const std::string& name) { return test::test_data() + "/models/" + name; }

class TfliteModel : public ::testing::TestWithParam<const char*> {};

TEST_P(TfliteModel, MatchesItsGoldenValues) {
  const std::string folder = folder_of_model(GetParam());
  SKIP_WITHOUT(folder);
  std::string lines;
  const TestTotals totals =
      test_models(std::vector{folder}, {}, [&](std::string_view line) { lines += std::string(line) + "\n"; });
  EXPECT_GT(totals.passed, 0u) << lines;
  EXPECT_EQ(totals.failed + totals.skipped, 0u) << lines;
}

INSTANTIATE_TEST_SUITE_P(All, TfliteModel,
                         ::testing::Values("tflite-birds-v1", "tflite-deeplabv3-dm05-quant",
                                           "tflite-yolox-nano-dynamic-range",
                                           "tflite-face-detection-short-range", "tflite-hello-world-float",
                                           "tflite-hello-world-int8", "tflite-keras-lstm-mnist-ptq",
                                           "tflite-mnist-lstm-float", "tflite-mnist-lstm-int8",
                                           "tflite-yolox-nano-float16", "tflite-yolox-nano-int8",
                                           "tflite-micro-speech-int8", "tflite-mobilenet-v1-0.25-128-quant",
                                           "tflite-mobilenet-v1-0.25-224-float", "tflite-movie-review-text",
                                           "tflite-ultraface-rfb-320"));

std::vector<std::byte> bytes_of(const std::string& model) {
  const auto file = MappedFile::open(folder_of_model(model) + "/model.tflite");
  return {(*file)->bytes().begin(), (*file)->bytes().end()};
}

kernels::Result<ImportedModel> import(std::span<const std::byte> bytes) {
  ModelSource source;
  source.file = "m.tflite";
  source.bytes = bytes;
  return import_tflite(source);
}

// Imports and compiles what may be damaged; errors name the file.
void expect_survival(std::span<const std::byte> bytes) {
  auto imported = import(bytes);
  if (!imported) {
    EXPECT_THAT(imported.error().message, HasSubstr("m.tflite"));
    return;
  }
  kernels::CompileOptions options;
  options.limits.max_tensor_bytes = 1 << 24;
  options.limits.max_context_bytes = 1 << 26;
  const auto model = kernels::compile(std::move(imported->graph), options);
  EXPECT_TRUE(model || !model.error().message.empty());
}

// The seeds of the fuzzer: an 8-bit convolution with a scale for each channel, and an LSTM; no test data needed.
TEST(Tflite, SmallModelsLoadWholeAndNeverCutShort) {
  for (const char* name : {"convolution", "lstm"}) {
    const auto file = MappedFile::open(std::string(TENON_SOURCE_DIR) + "/tests/fuzz/seeds/tflite_import/" +
                                       name + ".tflite");
    ASSERT_TRUE(file) << file.error().message;
    auto imported = import((*file)->bytes());
    ASSERT_TRUE(imported) << imported.error().message;
    const auto model = kernels::compile(std::move(imported->graph));
    EXPECT_TRUE(model) << model.error().message;
    for (size_t size = 0; size + 1 < (*file)->bytes().size(); size += 3)
      expect_survival((*file)->bytes().first(size));
  }
}

TEST(Tflite, FilesCutShortAreRefused) {
  SKIP_WITHOUT(folder_of_model("tflite-hello-world-int8"));
  const auto whole = bytes_of("tflite-hello-world-int8");
  EXPECT_EQ(*detect_format(whole), Format::tensorflowlite);
  for (size_t size = 0; size < whole.size(); size += 7) expect_survival(std::span(whole).first(size));
}

TEST(Tflite, DamagedFilesAreSurvived) {
  for (const char* model :
       {"tflite-hello-world-int8", "tflite-hello-world-float", "tflite-micro-speech-int8"}) {
    SKIP_WITHOUT(folder_of_model(model));
    const auto whole = bytes_of(model);
    std::mt19937 random(7);
    for (int round = 0; round < 400; ++round) {
      auto damaged = whole;
      for (int i = 0; i < 1 + round % 4; ++i)
        damaged[random() % damaged.size()] = static_cast<std::byte>(random());
      expect_survival(damaged);
    }
  }
}

// The offset of the first table may be 8, which is how an ONNX file begins.
TEST(Tflite, IsToldByItsIdentifier) {
  for (const char first : {'\x04', '\x08', '\x0c', '\x1c'}) {
    const std::string text = std::string(1, first) + std::string("\0\0\0TFL3\0\0\0\0", 11);
    EXPECT_EQ(detect_format(std::as_bytes(std::span(text))), Format::tensorflowlite) << int{first};
  }
}

TEST(Tflite, WhatIsNoModelIsRefusedByName) {
  const auto as_bytes = [](std::string_view text) { return std::as_bytes(std::span(text)); };
  for (const std::string_view text :
       {"", "TFL3", "\x08\0\0\0TFL3", "\xff\xff\xff\xffTFL3", "\x04\0\0\0TFL3\0\0\0\0"}) {
    const auto result = import(as_bytes(text));
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::invalid_encoding) << result.error().message;
    EXPECT_THAT(result.error().message, HasSubstr("m.tflite"));
  }
}

}  // namespace
}  // namespace tenon::nn
