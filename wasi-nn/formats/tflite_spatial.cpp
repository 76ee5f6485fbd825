// Rules for operators on images and volumes: their nodes work with channels first, between two transposes that the
// kernels take away again.
#include "wasi-nn/formats/tflite_hybrid.h"
#include "wasi-nn/formats/tflite_rules.h"

namespace tenon::nn::tflite::rules {

using kernels::Attributes;
using kernels::kAbsent;

using Integers = std::vector<int64_t>;

enum class Padding : int8_t { same, valid };

static Result<std::string> auto_pad(const Node& n) {
  const auto padding = static_cast<Padding>(n.small(option::padding));
  if (padding == Padding::same) return std::string("SAME_UPPER");
  if (padding == Padding::valid) return std::string("VALID");
  return Node::invalid("padding {}", n.small(option::padding));
}

static Result<int64_t> extent(int64_t value, std::string_view what) {
  if (value < 1) return Node::invalid("{} of {}", what, value);
  return value;
}

static Result<Integers> extents(const Node& n, std::initializer_list<unsigned> fields, std::string_view what,
                                int fallback = 0) {
  Integers values;
  for (const unsigned field : fields) values.push_back(TENON_TRY(extent(n.integer(field, fallback), what)));
  return values;
}

// The convolution of operands 0 and 1, the weights' axes in the order of `perm`, and what comes after it.
static Result<void> convolve(Node& n, const Integers& perm, int64_t rank, int64_t group,
                             const Integers& strides, const Integers& dilations, Activation activation) {
  Attributes attributes{
      {"auto_pad", TENON_TRY(auto_pad(n))}, {"group", group}, {"strides", strides}, {"dilations", dilations}};
  const bool depthwise = n.row().name == "DEPTHWISE_CONV_2D";
  if (rank == 4 && is_hybrid(n)) {
    // TensorFlow Lite quantises around 0 where all weights have one scale, except for depthwise convolutions.
    const auto& scales = n.in(1).quantization.scale;
    const bool one = !depthwise && std::ranges::adjacent_find(scales, std::not_equal_to()) == scales.end();
    return n.finish(TENON_TRY(hybrid_convolution(n, perm, std::move(attributes), one)), activation);
  }
  const ValueId x = TENON_TRY(n.channels_first(TENON_TRY(n.real(0)), rank));
  const ValueId w = TENON_TRY(n.weights(1, perm));
  n.round(depthwise ? "twice" : "twice_up");
  const ValueId y = TENON_TRY(n.emit("Conv", {x, w, TENON_TRY(n.bias(2, 0, 1))}, std::move(attributes)));
  return n.finish(TENON_TRY(n.channels_last(y, rank)), activation);
}

Result<void> conv_2d(Node& n) {
  TENON_TRY(n.needs(2));
  const auto& x = n.in(0).shape;
  const auto& w = n.in(1).shape;
  if (x.size() != 4 || w.size() != 4)
    return Node::invalid("operands of {} and {} dimensions", x.size(), w.size());
  if (w[3] < 1 || x[3] < 1 || x[3] % w[3] != 0)
    return Node::invalid("{} channels for weights of {}", x[3], w[3]);
  return convolve(n, {0, 3, 1, 2}, 4, x[3] / w[3],
                  TENON_TRY(extents(n, {option::stride_h, option::stride_w}, "a stride")),
                  TENON_TRY(extents(n, {option::dilation_h, option::dilation_w}, "a dilation", 1)),
                  n.activation(option::conv_activation));
}

Result<void> depthwise_conv_2d(Node& n) {
  TENON_TRY(n.needs(2));
  const auto& x = n.in(0).shape;
  const auto& w = n.in(1).shape;
  if (x.size() != 4 || w.size() != 4)
    return Node::invalid("operands of {} and {} dimensions", x.size(), w.size());
  if (w[0] != 1 || x[3] < 1 || w[3] % x[3] != 0)
    return Node::invalid("{} channels for weights of {} and {}", x[3], w[0], w[3]);
  return convolve(
      n, {3, 0, 1, 2}, 4, x[3], TENON_TRY(extents(n, {option::stride_h, option::stride_w}, "a stride")),
      TENON_TRY(extents(n, {option::depthwise_dilation_h, option::depthwise_dilation_w}, "a dilation", 1)),
      n.activation(option::depthwise_activation));
}

Result<void> conv_3d(Node& n) {
  TENON_TRY(n.needs(2));
  const auto& x = n.in(0).shape;
  const auto& w = n.in(1).shape;
  if (x.size() != 5 || w.size() != 5)
    return Node::invalid("operands of {} and {} dimensions", x.size(), w.size());
  if (w[3] < 1 || x[4] < 1 || x[4] % w[3] != 0)
    return Node::invalid("{} channels for weights of {}", x[4], w[3]);
  return convolve(
      n, {4, 3, 0, 1, 2}, 5, x[4] / w[3],
      TENON_TRY(extents(n, {option::stride3_d, option::stride3_h, option::stride3_w}, "a stride")),
      TENON_TRY(extents(n, {option::dilation3_d, option::dilation3_h, option::dilation3_w}, "a dilation", 1)),
      n.activation(option::activation3));
}

// Operands: the result's shape, weights [out, h, w, in], x, and perhaps a bias.
Result<void> transpose_conv(Node& n) {
  TENON_TRY(n.needs(3));
  const auto shape = TENON_TRY(n.integers(0));
  const auto& w = n.in(1).shape;
  const auto& x = n.in(2).shape;
  if (shape.size() != 4 || w.size() != 4 || x.size() != 4)
    return Node::invalid("operands are not of four dimensions");
  const auto strides = TENON_TRY(extents(n, {option::stride_h, option::stride_w}, "a stride"));
  Integers pads(4), more(2);
  for (size_t i = 0; i < 2; ++i) {
    if (x[i + 1] < 1 || w[i + 1] < 1) return Node::unsupported("dimensions that are not known");
    const int64_t full = (int64_t{x[i + 1]} - 1) * strides[i] + w[i + 1] - shape[i + 1];
    const bool same = static_cast<Padding>(n.small(option::padding)) == Padding::same;
    pads[i] = same ? std::max<int64_t>(full, 0) / 2 : 0;
    pads[i + 2] = std::max<int64_t>(full - pads[i], 0);
    more[i] = std::max<int64_t>(pads[i] - full, 0);
  }
  const ValueId image = TENON_TRY(n.channels_first(TENON_TRY(n.real(2)), 4));
  const ValueId y = TENON_TRY(
      n.emit("ConvTranspose", {image, TENON_TRY(n.weights(1, {3, 0, 1, 2})), TENON_TRY(n.bias(3, 2, 1))},
             {{"strides", strides}, {"pads", pads}, {"output_padding", more}}));
  return n.finish(TENON_TRY(n.channels_last(y, 4)), n.activation(option::transposed_activation));
}

static Result<Attributes> pool_attributes(const Node& n) {
  return Attributes{{"auto_pad", TENON_TRY(auto_pad(n))},
                    {"kernel_shape", TENON_TRY(extents(n, {option::filter_h, option::filter_w}, "a window"))},
                    {"strides", TENON_TRY(extents(n, {option::stride_h, option::stride_w}, "a stride"))}};
}

// Real numbers as codes of the result's type; halves fall away from zero.
static Result<ValueId> rounded_codes(Node& n, ValueId y) {
  const auto type = to_data_type(n.out(0).type);
  ValueId half = TENON_TRY(n.number(0.5));
  if (type != kernels::DataType::u8) half = TENON_TRY(n.emit("Mul", {TENON_TRY(n.emit("Sign", {y})), half}));
  return n.emit("Cast", {TENON_TRY(n.emit("Add", {y, half}))}, {{"to", kernels::onnx_number(type)}});
}

// The mean of codes is a code.
static Result<void> average_codes(Node& n) {
  const ValueId x = TENON_TRY(
      n.emit("Cast", {TENON_TRY(n.raw(0))}, {{"to", kernels::onnx_number(kernels::DataType::f32)}}));
  const ValueId y =
      TENON_TRY(n.emit("AveragePool", {TENON_TRY(n.channels_first(x, 4))}, TENON_TRY(pool_attributes(n))));
  return n.define(0, TENON_TRY(rounded_codes(n, TENON_TRY(n.channels_last(y, 4)))));
}

Result<void> pool(Node& n) {
  TENON_TRY(n.needs(1));
  const bool plain = n.activation(option::pool_activation) == Activation::none;
  if (n.row().op == "AveragePool" && plain && is_quantised(n.in(0)) && same_quantisation(n.in(0), n.out(0)))
    return average_codes(n);
  if (n.row().op == "MaxPool" && plain) n.move_codes();
  const ValueId x = TENON_TRY(n.channels_first(TENON_TRY(n.operand(0)), 4));
  const ValueId y = TENON_TRY(n.emit(n.row().op, {x}, TENON_TRY(pool_attributes(n))));
  return n.finish(TENON_TRY(n.channels_last(y, 4)), n.activation(option::pool_activation));
}

Result<void> l2_pool(Node& n) {
  TENON_TRY(n.needs(1));
  const ValueId x = TENON_TRY(n.channels_first(TENON_TRY(n.real(0)), 4));
  const ValueId squares = TENON_TRY(n.emit("Mul", {x, x}));
  const ValueId mean = TENON_TRY(n.emit("AveragePool", {squares}, TENON_TRY(pool_attributes(n))));
  const ValueId y = TENON_TRY(n.emit("Sqrt", {mean}));
  return n.finish(TENON_TRY(n.channels_last(y, 4)), n.activation(option::pool_activation));
}

Result<void> local_response(Node& n) {
  TENON_TRY(n.needs(1));
  const int64_t size = 2 * n.integer(0) + 1;
  if (size < 1 || size > (1 << 20)) return Node::invalid("a radius of {}", n.integer(0));
  const ValueId x = TENON_TRY(n.channels_first(TENON_TRY(n.real(0)), 4));
  const ValueId y = TENON_TRY(n.emit("LRN", {x},
                                     {{"size", size},
                                      {"bias", n.real_option(1)},
                                      {"alpha", n.real_option(2) * static_cast<float>(size)},
                                      {"beta", n.real_option(3)}}));
  return n.finish(TENON_TRY(n.channels_last(y, 4)));
}

// Height and width are given; the other axes stay.
static Result<ValueId> resized(Node& n, ValueId x, std::string_view mode, std::string_view coordinates,
                               std::string_view nearest) {
  return n.emit("Resize", {x, kAbsent, kAbsent, TENON_TRY(n.raw(1))},
                {{"axes", Integers{1, 2}},
                 {"mode", std::string(mode)},
                 {"coordinate_transformation_mode", std::string(coordinates)},
                 {"nearest_mode", std::string(nearest)}});
}

// Codes are interpolated as they are.
static Result<ValueId> resized_codes(Node& n, std::string_view coordinates) {
  const ValueId x = TENON_TRY(
      n.emit("Cast", {TENON_TRY(n.raw(0))}, {{"to", kernels::onnx_number(kernels::DataType::f32)}}));
  return rounded_codes(n, TENON_TRY(resized(n, x, "linear", coordinates, "floor")));
}

Result<void> resize_bilinear(Node& n) {
  TENON_TRY(n.needs(2));
  const std::string_view coordinates = n.flag(option::bilinear_corners)      ? "align_corners"
                                       : n.flag(option::bilinear_half_pixel) ? "half_pixel"
                                                                             : "asymmetric";
  if (is_quantised(n.in(0)) && same_quantisation(n.in(0), n.out(0)))
    return n.define(0, TENON_TRY(resized_codes(n, coordinates)));
  return n.finish(TENON_TRY(resized(n, TENON_TRY(n.real(0)), "linear", coordinates, "floor")));
}

Result<void> resize_nearest(Node& n) {
  TENON_TRY(n.needs(2));
  n.move_codes();
  const bool corners = n.flag(option::first), half_pixel = n.flag(option::second);
  return n.finish(TENON_TRY(resized(n, TENON_TRY(n.operand(0)), "nearest",
                                    corners      ? "align_corners"
                                    : half_pixel ? "tf_half_pixel_for_nn"
                                                 : "asymmetric",
                                    corners ? "round_prefer_ceil" : "floor")));
}

static Result<void> move_blocks(Node& n) {
  TENON_TRY(n.needs(1));
  n.move_codes();
  const ValueId x = TENON_TRY(n.channels_first(TENON_TRY(n.operand(0)), 4));
  const int64_t size = TENON_TRY(extent(n.integer(option::first), "a block"));
  const ValueId y = TENON_TRY(n.emit(n.row().op, {x}, {{"blocksize", size}}));
  return n.finish(TENON_TRY(n.channels_last(y, 4)));
}
Result<void> depth_to_space(Node& n) { return move_blocks(n); }
Result<void> space_to_depth(Node& n) { return move_blocks(n); }

// Block sizes and the pairs of paddings or crops of their axes.
struct Blocks {
  Integers sizes, pairs;
};
static Result<Blocks> blocks_of(Node& n) {
  Blocks blocks{TENON_TRY(n.integers(1)), TENON_TRY(n.integers(2))};
  if (blocks.pairs.size() != 2 * blocks.sizes.size() || blocks.sizes.size() + 1 > n.in(0).shape.size())
    return Node::invalid("{} block sizes and {} paddings", blocks.sizes.size(), blocks.pairs.size());
  for (const int64_t size : blocks.sizes) TENON_TRY(extent(size, "a block"));
  for (const int64_t amount : blocks.pairs) {
    if (amount < 0 || amount > std::numeric_limits<int32_t>::max())
      return Node::invalid("a padding of {}", amount);
  }
  for (size_t i = 1; i < n.in(0).shape.size(); ++i) {
    if (n.in(0).shape[i] < 0) return Node::unsupported("dimensions that are not known");
  }
  return blocks;
}

// [N, H·b, W·c, …] → [b·c·N, H, W, …]
Result<void> space_to_batch(Node& n) {
  TENON_TRY(n.needs(3));
  n.move_codes();
  const auto blocks = TENON_TRY(blocks_of(n));
  const auto& shape = n.in(0).shape;
  const size_t count = blocks.sizes.size();
  Integers begin(shape.size()), end(shape.size()), split{-1}, perm, merged{-1};
  for (size_t i = 1; i < shape.size(); ++i) {
    if (i > count) {
      split.push_back(shape[i]);
      merged.push_back(shape[i]);
      continue;
    }
    begin[i] = blocks.pairs[2 * i - 2];
    end[i] = blocks.pairs[2 * i - 1];
    const int64_t padded = shape[i] + begin[i] + end[i], size = blocks.sizes[i - 1];
    if (padded % size != 0) return Node::invalid("a dimension of {} in blocks of {}", padded, size);
    split.insert(split.end(), {padded / size, size});
    merged.push_back(padded / size);
    perm.push_back(static_cast<int64_t>(2 * i));
  }
  perm.push_back(0);
  for (size_t i = 1; i <= count; ++i) perm.push_back(static_cast<int64_t>(2 * i - 1));
  for (size_t i = 2 * count + 1; i < split.size(); ++i) perm.push_back(static_cast<int64_t>(i));
  begin.insert(begin.end(), end.begin(), end.end());
  ValueId x = TENON_TRY(n.operand(0)), value = kAbsent;
  const auto& zero = n.in(0).quantization.zero_point;
  if (n.element_type(x) != kernels::DataType::f32 && !zero.empty())
    value = TENON_TRY(n.scalar_like(x, static_cast<double>(zero[0])));
  x = TENON_TRY(n.emit("Pad", {x, TENON_TRY(n.int_vector(begin)), value}));
  x = TENON_TRY(n.transposed(TENON_TRY(n.reshaped(x, split)), perm));
  return n.finish(TENON_TRY(n.reshaped(x, merged)));
}

// The way back, and a crop.
Result<void> batch_to_space(Node& n) {
  TENON_TRY(n.needs(3));
  n.move_codes();
  const auto blocks = TENON_TRY(blocks_of(n));
  const auto& shape = n.in(0).shape;
  const auto count = static_cast<int64_t>(blocks.sizes.size());
  Integers split = blocks.sizes, perm{count}, merged{-1}, begin, end, axes;
  split.push_back(-1);
  for (size_t i = 1; i < shape.size(); ++i) split.push_back(shape[i]);
  for (int64_t i = 0; i < count; ++i) {
    const auto at = static_cast<size_t>(i);
    perm.insert(perm.end(), {count + 1 + i, i});
    const int64_t full = shape[at + 1] * blocks.sizes[at];
    merged.push_back(full);
    if (blocks.pairs[2 * at] + blocks.pairs[2 * at + 1] > full)
      return Node::invalid("a crop of more than there is");
    begin.push_back(blocks.pairs[2 * at]);
    end.push_back(full - blocks.pairs[2 * at + 1]);
    axes.push_back(i + 1);
  }
  for (size_t i = static_cast<size_t>(count) + 1; i < shape.size(); ++i) {
    perm.push_back(count + static_cast<int64_t>(i));
    merged.push_back(shape[i]);
  }
  ValueId x = TENON_TRY(n.reshaped(TENON_TRY(n.operand(0)), split));
  x = TENON_TRY(n.reshaped(TENON_TRY(n.transposed(x, perm)), merged));
  return n.finish(TENON_TRY(n.emit("Slice", {x, TENON_TRY(n.int_vector(begin)), TENON_TRY(n.int_vector(end)),
                                             TENON_TRY(n.int_vector(axes))})));
}

}  // namespace tenon::nn::tflite::rules
