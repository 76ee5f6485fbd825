// FakeQuantize: integers between QuantizeLinear and DequantizeLinear, where its steps are such, so that what lies between
// two of them can be computed in integers; otherwise its own arithmetic.
#include <cmath>

#include "wasi-nn/formats/openvino_rules.h"
#include "wasi-nn/golden.h"

namespace tenon::nn::openvino::rules {
namespace {

using kernels::DataType;
using kernels::Dims;
using kernels::Tensor;

constexpr int64_t kMostLevels = 256;
// Ranges are rounded to the file's precision: a zero that is this near to a step is one.
constexpr double kNearStep = 0.05;
constexpr double kSameStep = 1e-4;

// The four ranges, each with one element or one for each index along `axis`.
struct Ranges {
  std::vector<float> in_low, in_high, out_low, out_high;
  size_t axis = 0;
  size_t count = 1;  // of the longest
  int64_t levels = 0;

  static double at(const std::vector<float>& values, size_t i) { return values[values.size() == 1 ? 0 : i]; }
  double steps() const { return static_cast<double>(levels - 1); }
  double in_scale(size_t i) const { return (at(in_high, i) - at(in_low, i)) / steps(); }
  double out_scale(size_t i) const { return (at(out_high, i) - at(out_low, i)) / steps(); }
  double in_zero(size_t i) const { return -at(in_low, i) / in_scale(i); }
  double out_zero(size_t i) const { return -at(out_low, i) / out_scale(i); }
};

// Nothing when a range is computed or has a shape of its own.
Result<std::optional<Ranges>> constant_ranges(LayerImport& layer) {
  Ranges ranges;
  ranges.levels = TENON_TRY(layer.integer("levels"));
  if (ranges.levels < 2) return LayerImport::invalid("{} levels", ranges.levels);
  std::vector<float>* const lists[] = {&ranges.in_low, &ranges.in_high, &ranges.out_low, &ranges.out_high};
  const auto rank = layer.rank(TENON_TRY(layer.need(0)));
  std::optional<size_t> axis;
  for (size_t k = 0; k < 4; ++k) {
    const Tensor* tensor = layer.constant(TENON_TRY(layer.need(k + 1)));
    if (!tensor || tensor->count() < 1) return std::nullopt;
    *lists[k] = TENON_TRY(layer.constant_reals(k + 1));
    if (tensor->count() == 1) continue;
    const Dims& dims = tensor->dims();
    if (!rank || dims.size() > *rank) return std::nullopt;
    const auto longest = std::ranges::max_element(dims);
    if (*longest != tensor->count()) return std::nullopt;
    const auto own = static_cast<size_t>(longest - dims.begin()) + *rank - dims.size();
    if (axis && (*axis != own || ranges.count != lists[k]->size())) return std::nullopt;
    axis = own;
    ranges.count = lists[k]->size();
  }
  ranges.axis = axis.value_or(0);
  return ranges;
}

std::optional<int32_t> step_of(double zero, double near = kNearStep) {
  const double nearest = std::nearbyint(zero);
  if (!(std::abs(zero - nearest) <= near) || nearest < 0 || nearest > 255) return std::nullopt;
  return static_cast<int32_t>(nearest);
}

// The constant operand, also behind a conversion to floats.
const Tensor* constant_operand(LayerImport& layer) {
  if (const Tensor* tensor = layer.constant(layer.input(0))) return tensor;
  const Layer* from = layer.host().producer(layer.layer(), 0);
  if (!from || from->type != "Convert") return nullptr;
  const ValueId id = layer.host().operand(*from, 0);
  return id == kernels::kAbsent ? nullptr : layer.constant(id);
}

// Step of an element, 0 … levels - 1, as the operator defines it.
double step(double x, const Ranges& r, size_t i) {
  const double low = Ranges::at(r.in_low, i), high = Ranges::at(r.in_high, i);
  if (!(x > std::min(low, high))) return 0;  // what is no number, too
  if (x > std::max(low, high)) return r.steps();
  return std::nearbyint((x - low) / (high - low) * r.steps());
}

// Weights become integers at load. False when their zeros are no steps.
Result<bool> quantize_constant(LayerImport& layer, const Tensor& tensor, const Ranges& r) {
  const Dims& dims = tensor.dims();
  const bool by_rows =
      r.count == 1 || (r.axis == 0 && !dims.empty() && dims[0] == static_cast<int64_t>(r.count));
  if (!by_rows || tensor.count() == 0) return false;
  QuantizedConstant out;
  std::optional<int32_t> zero;
  for (size_t i = 0; i < r.count; ++i) {
    if (!std::isfinite(r.in_scale(i)) || !std::isfinite(r.out_scale(i)) || r.out_scale(i) == 0) return false;
    const auto own = step_of(r.out_zero(i));
    if (!own || (zero && *zero != *own)) return false;
    zero = own;
    out.scales.push_back(static_cast<float>(r.out_scale(i)));
  }
  // Signed around zero where that fits.
  const int32_t shift = *zero <= 128 && r.levels - 1 - *zero <= 127 ? *zero : 0;
  out.zero = *zero - shift;
  out.codes = TENON_TRY(Tensor::allocate(shift != 0 ? DataType::i8 : DataType::u8, dims));
  const auto values = to_doubles(tensor);
  const size_t row = values.size() / r.count;
  for (size_t k = 0; k < values.size(); ++k)
    out.codes.mutable_data()[k] =
        static_cast<std::byte>(static_cast<int32_t>(step(values[k], r, k / row)) - shift);
  TENON_TRY(layer.define_quantized(layer.output(0), std::move(out)));
  return true;
}

// One side of the pair as operands: scale and zero point for all elements, or along the axis.
struct Parameters {
  std::vector<float> scales;
  std::vector<int32_t> zeros;
};

Result<std::vector<ValueId>> parameter_operands(LayerImport& layer, const Parameters& p, DataType type) {
  const Dims dims = p.scales.size() == 1 ? Dims{} : Dims{static_cast<int64_t>(p.scales.size())};
  Tensor zeros = TENON_TRY(Tensor::allocate(type, dims));
  for (size_t i = 0; i < p.zeros.size(); ++i) zeros.mutable_data()[i] = static_cast<std::byte>(p.zeros[i]);
  return std::vector{
      TENON_TRY(layer.constant(TENON_TRY(Tensor::of<float>(DataType::f32, dims, std::span(p.scales))))),
      TENON_TRY(layer.constant(std::move(zeros)))};
}

// Computed values: QuantizeLinear and DequantizeLinear. False when a zero is no step.
Result<bool> quantize_computed(LayerImport& layer, const Ranges& r) {
  Parameters in, out;
  for (size_t i = 0; i < r.count; ++i) {
    if (!(r.in_scale(i) > 0) || !(r.out_scale(i) > 0)) return false;
    if (!std::isfinite(r.in_scale(i)) || !std::isfinite(r.out_scale(i))) return false;
    const double near = r.count == 1 ? 0.5 : kNearStep;  // a single zero may lie anywhere, see below
    const auto in_zero = step_of(r.in_zero(i), near), out_zero = step_of(r.out_zero(i), near);
    if (!in_zero || !out_zero) return false;
    in.scales.push_back(static_cast<float>(r.in_scale(i)));
    in.zeros.push_back(*in_zero);
    out.scales.push_back(static_cast<float>(r.out_scale(i)));
    out.zeros.push_back(*out_zero);
  }
  const auto middle = [](int32_t zero) { return zero == 128; };
  const bool is_signed = std::ranges::all_of(in.zeros, middle) && std::ranges::all_of(out.zeros, middle);
  if (is_signed) {
    std::ranges::fill(in.zeros, 0);
    std::ranges::fill(out.zeros, 0);
  }
  const DataType type = is_signed ? DataType::i8 : DataType::u8;
  ValueId x = layer.input(0);
  if (r.levels < kMostLevels) {  // the type has more steps than the range
    if (r.count != 1) return false;
    x = TENON_TRY(layer.emit(
        "Clip", {x, TENON_TRY(layer.real_scalar(r.in_low[0])), TENON_TRY(layer.real_scalar(r.in_high[0]))}));
  }
  // Zeros between steps: values are moved by that part of a step before, and back afterwards.
  const auto part_of_step = [&](double zero, double scale) {
    const double part = zero - std::nearbyint(zero);
    return r.count == 1 && std::abs(part) > kSameStep ? part * scale : 0.0;
  };
  const double before = part_of_step(r.in_zero(0), r.in_scale(0));
  const double after = part_of_step(r.out_zero(0), r.out_scale(0));
  if (before != 0) x = TENON_TRY(layer.emit("Add", {x, TENON_TRY(layer.real_scalar(before))}));
  const kernels::Attributes axis{{"axis", static_cast<int64_t>(r.axis)}};
  auto operands = TENON_TRY(parameter_operands(layer, in, type));
  operands.insert(operands.begin(), x);
  const ValueId codes = TENON_TRY(layer.emit("QuantizeLinear", operands, axis));
  operands = TENON_TRY(parameter_operands(layer, out, type));
  operands.insert(operands.begin(), codes);
  if (after == 0) {
    TENON_TRY(layer.finish("DequantizeLinear", operands, axis));
  } else {
    const ValueId values = TENON_TRY(layer.emit("DequantizeLinear", operands, axis));
    TENON_TRY(layer.finish("Sub", {values, TENON_TRY(layer.real_scalar(after))}));
  }
  return true;
}

// round((clip(x) - in_low) / (in_high - in_low) * steps) / steps * (out_high - out_low) + out_low, for any ranges.
Result<void> compute(LayerImport& layer, int64_t levels) {
  const ValueId in_low = TENON_TRY(layer.need(1)), in_high = TENON_TRY(layer.need(2));
  const ValueId out_low = TENON_TRY(layer.need(3)), out_high = TENON_TRY(layer.need(4));
  const ValueId steps = TENON_TRY(layer.real_scalar(static_cast<double>(levels - 1)));
  const auto scale = [&](ValueId high, ValueId low) -> Result<ValueId> {
    return layer.emit("Div", {TENON_TRY(layer.emit("Sub", {high, low})), steps});
  };
  const ValueId raised = TENON_TRY(layer.emit("Max", {TENON_TRY(layer.need(0)), in_low}));
  const ValueId clipped = TENON_TRY(layer.emit("Min", {raised, in_high}));
  const ValueId distance = TENON_TRY(layer.emit("Sub", {clipped, in_low}));
  const ValueId taken = TENON_TRY(layer.emit("Div", {distance, TENON_TRY(scale(in_high, in_low))}));
  const ValueId rounded = TENON_TRY(layer.emit("Round", {taken}));
  const ValueId widened = TENON_TRY(layer.emit("Mul", {rounded, TENON_TRY(scale(out_high, out_low))}));
  return layer.finish("Add", {widened, out_low});
}

}  // namespace

Result<void> fake_quantize(LayerImport& layer) {
  const auto ranges = TENON_TRY(constant_ranges(layer));
  const int64_t levels = TENON_TRY(layer.integer("levels"));
  if (!ranges || levels > kMostLevels) return compute(layer, levels);
  if (const Tensor* tensor = constant_operand(layer)) {
    if (TENON_TRY(quantize_constant(layer, *tensor, *ranges))) return {};
  } else if (TENON_TRY(quantize_computed(layer, *ranges))) {
    return {};
  }
  return compute(layer, levels);
}

}  // namespace tenon::nn::openvino::rules
