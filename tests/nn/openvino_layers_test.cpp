// OpenVINO layers that make no sense: each is refused at load with its name. What they compute when they do is compared with
// OpenVINO's own results (tests/nn/cases, models_test.cpp).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/plan.h"
#include "tests/nn/ir_writer.h"
#include "wasi-nn/formats/openvino_importer.h"

namespace tenon::nn {
namespace {

using kernels::ErrorCode;
using test::Ir;
using ::testing::HasSubstr;

// One layer: what precedes it are an f32 Parameter for each of `floats` and an i64 constant for each of `numbers`.
struct Senseless {
  std::string type, version, data;
  std::vector<Ir::Dims> floats;
  std::vector<std::vector<int64_t>> numbers;
  ErrorCode code;
  std::string message;
};

kernels::Error error_of(const Senseless& one) {
  Ir ir;
  std::vector<Ir::From> inputs;
  for (const Ir::Dims& dims : one.floats) inputs.push_back({ir.parameter("f32", dims)});
  for (const auto& values : one.numbers) inputs.push_back({ir.ints(values)});
  ir.result({ir.layer(one.type, one.version, one.data, inputs, {{"FP32", {}}})});
  const std::string xml = ir.xml();
  ModelSource source;
  source.file = "t.xml";
  source.bytes = std::as_bytes(std::span(xml));
  source.parts.push_back({"t.bin", std::as_bytes(std::span(*ir.weights)), ir.weights});
  auto imported = import_openvino(source);
  if (!imported) return imported.error();
  auto model = kernels::compile(std::move(imported->graph), {});
  return model ? kernels::Error{} : model.error();
}

TEST(OpenVinoLayers, WithoutSenseAreRefusedByName) {
  constexpr auto kInvalid = ErrorCode::invalid_encoding, kUnsupported = ErrorCode::unsupported_operation,
                 kShape = ErrorCode::invalid_argument;
  const std::string huge = "9223372036854775807";
  const Senseless cases[] = {
      {"ROIAlign",
       "opset9",
       "pooled_h=\"2\" pooled_w=\"2\" sampling_ratio=\"2\" spatial_scale=\"1\" mode=\"sum\"",
       {{1, 1, 4, 4}, {1, 4}},
       {{0}},
       kUnsupported,
       "'sum'"},
      {"ROIAlign",
       "opset9",
       "pooled_h=\"2\" pooled_w=\"2\" spatial_scale=\"1\" aligned_mode=\"up\"",
       {{1, 1, 4, 4}, {1, 4}},
       {{0}},
       kUnsupported,
       "'up'"},
      {"ROIPooling",
       "opset2",
       "pooled_h=\"2\" pooled_w=\"2\" spatial_scale=\"1\" method=\"mean\"",
       {{1, 1, 4, 4}, {1, 5}},
       {},
       kUnsupported,
       "'mean'"},
      {"ReorgYolo", "opset2", "stride=\"3\"", {{1, 4, 6, 6}}, {}, kInvalid, "at a stride of 3"},
      {"ReorgYolo", "opset2", "stride=\"" + huge + "\"", {{1, 4, 6, 6}}, {}, kInvalid, "at a stride"},
      {"ExtractImagePatches",
       "opset3",
       "sizes=\"9,9\" strides=\"1,1\" rates=\"1,1\" auto_pad=\"valid\"",
       {{1, 1, 4, 4}},
       {},
       kInvalid,
       "larger than the image"},
      {"ExtractImagePatches",
       "opset3",
       "sizes=\"" + huge + ",1\" strides=\"1,1\" rates=\"1,1\" auto_pad=\"valid\"",
       {{1, 1, 4, 4}},
       {},
       kInvalid,
       "a window of"},
      {"ExtractImagePatches",
       "opset3",
       "sizes=\"2,2\" strides=\"0,1\" rates=\"1,1\" auto_pad=\"valid\"",
       {{1, 1, 4, 4}},
       {},
       kInvalid,
       "a stride of 0"},
      {"ExtractImagePatches",
       "opset3",
       "sizes=\"4000,4000\" strides=\"1,1\" rates=\"1,1\" auto_pad=\"same_upper\"",
       {{1, 1, 4, 4}},
       {},
       ErrorCode::too_large,
       "4000 x 4000"},
      {"DeformableConvolution",
       "opset8",
       "strides=\"1,1\" dilations=\"1,1\" pads_begin=\"0\" pads_end=\"0,0\"",
       {{1, 1, 4, 4}, {1, 18, 2, 2}, {1, 1, 3, 3}},
       {},
       kInvalid,
       "'pads_begin' has 1 numbers"},
      {"Col2Im", "opset15", "", {{1, 12, 12}}, {{4, 5}, {-2, 2}}, kShape, "negative dimension -2"},
      {"ScatterUpdate", "opset3", "", {{3, 4}, {1, 4}}, {{0}, {0}, {7}}, kShape, "updates must be"},
      {"Eye", "opset9", "output_type=\"f32\"", {}, {{1 << 30}, {1 << 30}, {0}}, ErrorCode::too_large, "Eye"},
      {"Eye", "opset9", "output_type=\"f32\"", {}, {{-1}, {2}, {0}}, kShape, "negative dimension -1"},
      {"Unique", "opset10", "", {{3, 4}}, {{0, 1}}, kInvalid, "no axis"},
      {"DFT", "opset7", "", {{2, 4, 2}}, {{5}}, kInvalid, "axis 5"},
      {"DFT", "opset7", "", {{2, 4, 2}}, {{0, 1}, {4}}, kInvalid, "1 sizes for 2 axes"},
      {"RDFT", "opset9", "", {{2, 4}}, {{1}, {-7}}, kInvalid, "a signal of -7 values"},
      {"IRDFT", "opset9", "", {{2, 4, 2}}, {{1}, {100}}, kUnsupported, "100 values from a spectrum of 4"},
      {"STFT", "opset15", "", {{1, 32}, {8}}, {{4}, {4}}, kInvalid, "frames of 4"},
      {"STFT", "opset15", "", {{1, 32}, {8}}, {{8, 8}, {4}}, kInvalid, "no number"},
      {"AdaptiveAvgPool", "opset8", "", {{1, 2, 5, 5}}, {{0, 2}}, kInvalid, "0 of 5 positions"},
      {"AdaptiveAvgPool", "opset8", "", {{1, 2, 5, 5}}, {{1 << 20, 2}}, kUnsupported, "of 5 positions"},
      {"Proposal",
       "opset4",
       "framework=\"tensorflow\"",
       {{1, 2, 2, 2}, {1, 4, 2, 2}, {3}},
       {},
       kUnsupported,
       "'tensorflow'"},
      {"Proposal",
       "opset4",
       "base_size=\"16\" pre_nms_topn=\"6\" post_nms_topn=\"3\" nms_thresh=\"0.7\" feat_stride=\"16\" "
       "min_size=\"1\" "
       "ratio=\"1\" scale=\"1,2\"",
       {{1, 2, 2, 2}, {1, 4, 2, 2}, {3}},
       {},
       kInvalid,
       "for 2 anchors"},
      {"Pad", "opset12", "pad_mode=\"symmetric\"", {{2, 3}}, {{3, 0}, {0, 0}}, kInvalid, "mirrored rows 3"},
      {"Gather", "opset8", "batch_dims=\"3\"", {{2, 3}}, {{0, 1}, {1}}, kInvalid, "batch_dims"},
      {"EmbeddingBagPacked", "opset15", "reduction=\"mean\"", {{4, 2}}, {{0}}, kUnsupported, "'mean'"},
      {"ROIAlign",
       "opset9",
       "pooled_h=\"2\" pooled_w=\"2\" sampling_ratio=\"0\" spatial_scale=\"1\" mode=\"max\"",
       {{1, 1, 4, 4}, {1, 4}},
       {{0}},
       kUnsupported,
       "as the boxes' sizes say"},
      {"ROIAlign",
       "opset9",
       "pooled_h=\"2\" pooled_w=\"2\" sampling_ratio=\"" + huge + "\" spatial_scale=\"1\" mode=\"max\"",
       {{1, 1, 4, 4}, {1, 4}},
       {{0}},
       kInvalid,
       "2 x 2 results"},
      {"GridSample",
       "opset9",
       "mode=\"bicubic\" padding_mode=\"border\"",
       {{1, 1, 4, 4}, {1, 2, 2, 2}},
       {},
       kUnsupported,
       "beyond the border"},
      {"DeformableConvolution",
       "opset1",
       "",
       {{1, 1, 4, 4}, {1, 18, 2, 2}, {1, 1, 3, 3}},
       {},
       kUnsupported,
       "not supported in this opset"},
      {"ConvolutionBackpropData",
       "opset1",
       "strides=\"1,1\" pads_begin=\"0,0\" pads_end=\"0,0\"",
       {{1, 1, 4, 4}, {1, 1, 3, 3}},
       {{0, 5}},
       kInvalid,
       "an extent or step of 0"},
      {"ConvolutionBackpropData",
       "opset1",
       "strides=\"" + huge +
           ",1\" dilations=\"1,1\" pads_begin=\"0,0\" pads_end=\"0,0\" auto_pad=\"same_upper\"",
       {{1, 1, 4, 4}, {1, 1, 3, 3}},
       {{5, 5}},
       kInvalid,
       "an extent or step of"},
      {"Interpolate",
       "opset11",
       "mode=\"nearest\" shape_calculation_mode=\"sizes\" nearest_mode=\"simple\" pads_begin=\"0\" "
       "pads_end=\"0\"",
       {{1, 1, 4, 4}},
       {{8, 2}, {2, 3}},
       kUnsupported,
       "one axis grows and another shrinks"},
      {"Interpolate",
       "opset11",
       "mode=\"nearest\" shape_calculation_mode=\"sizes\" nearest_mode=\"simple\" pads_begin=\"0\" "
       "pads_end=\"0\"",
       {{1, 1, 4, 4}},
       {{8, 2}, {9}},
       kInvalid,
       "2 targets for 1 axes"},
      // Layers that no operator of ours is.
      {"NMSRotated",
       "opset13",
       "",
       {{1, 2, 5}},
       {},
       kUnsupported,
       "layers of type NMSRotated are not supported"},
      {"PSROIPooling",
       "opset1",
       "",
       {{1, 2, 4, 4}},
       {},
       kUnsupported,
       "layers of type PSROIPooling are not supported"},
  };
  for (const Senseless& one : cases) {
    const kernels::Error error = error_of(one);
    EXPECT_EQ(error.code, one.code) << one.type << " " << one.data << ": " << error.message;
    EXPECT_THAT(error.message, HasSubstr(one.message)) << one.type;
    EXPECT_THAT(error.message, HasSubstr("(" + one.type + ", opset")) << one.type;
  }
}

}  // namespace
}  // namespace tenon::nn
