// The entry of inference: element types and the row's rules, and helpers that rules share.
#include "kernels/infer.h"

#include "kernels/element.h"

namespace tenon::kernels {
namespace {

using TypeMask = std::uint32_t;
constexpr TypeMask bit(DataType type) { return TypeMask{1} << static_cast<unsigned>(type); }
template <class... Ts>
constexpr TypeMask mask_of(TypeList<Ts...>) {
  return (bit(kDataTypeOf<Ts>) | ...);
}

namespace types {
constexpr TypeMask floats = mask_of(FloatTypes{});
constexpr TypeMask integers = mask_of(IntegerTypes{});
constexpr TypeMask numeric = floats | integers;
constexpr TypeMask booleans = bit(DataType::boolean);
constexpr TypeMask all = numeric | booleans | bit(DataType::string);
constexpr TypeMask small = mask_of(SmallTypes{});
constexpr TypeMask stored = all | small;
constexpr TypeMask codes = integers | small;  // what quantised numbers are stored as
constexpr TypeMask u8 = bit(DataType::u8);
constexpr TypeMask strings [[maybe_unused]] = bit(DataType::string);
constexpr TypeMask bytes [[maybe_unused]] = bit(DataType::i8) | bit(DataType::u8);
constexpr TypeMask any [[maybe_unused]] = ~TypeMask{0};  // sequences and optionals too
}  // namespace types

// Result rules: the element type of all outputs; shape rules may set others after.
namespace results {
using Rule = Result<DataType> (*)(InferContext&);
[[maybe_unused]] Result<DataType> third(InferContext& c) { return c.inputs[2].type; }  // OneHot: [off, on]
[[maybe_unused]] Result<DataType> eighth(InferContext& c) {
  return c.inputs[7].type;
}  // QLinear…: y_zero_point
[[maybe_unused]] Result<DataType> unknown(InferContext&) { return DataType::undefined; }
[[maybe_unused]] Result<DataType> same(InferContext& c) { return c.inputs[0].type; }
[[maybe_unused]] Result<DataType> second(InferContext& c) { return c.inputs[1].type; }
[[maybe_unused]] Result<DataType> boolean(InferContext&) { return DataType::boolean; }
[[maybe_unused]] Result<DataType> i64(InferContext&) { return DataType::i64; }
[[maybe_unused]] Result<DataType> i32(InferContext&) { return DataType::i32; }
[[maybe_unused]] Result<DataType> f32(InferContext&) { return DataType::f32; }
[[maybe_unused]] Result<DataType> pooled(InferContext& c) {  // values, then indices and counts
  for (std::size_t i = 1; i < c.outputs.size(); ++i) c.outputs[i].type = DataType::i64;
  return c.inputs[0].type;
}
[[maybe_unused]] Result<DataType> selected(InferContext& c) {  // indices, then scores
  if (c.outputs.size() > 1) c.outputs[1].type = c.inputs[0].type;
  return DataType::i64;
}
[[maybe_unused]] Result<DataType> value(InferContext& c) {  // ConstantOfShape
  const auto* value = c.node.tensor("value");
  return value == nullptr ? DataType::f32 : value->type();
}
// Of attribute `to` or `dtype`.
Result<DataType> numbered(std::int64_t number) {
  const DataType type = data_type_of(number);
  if (type != DataType::undefined) return type;
  return fail(ErrorCode::unsupported_operation, "element type number {} is not supported", number);
}
[[maybe_unused]] Result<DataType> to(InferContext& c) { return numbered(c.node.integer("to")); }
[[maybe_unused]] Result<DataType> dtype(InferContext& c) {
  const auto number = c.node.integer("dtype");
  if (number != 0) return numbered(number);
  if (c.has(0)) return c.inputs[0].type;
  return DataType::f32;
}
// QuantizeLinear: the zero point's type, else attribute output_dtype, else u8.
[[maybe_unused]] Result<DataType> quantized(InferContext& c) {
  if (c.has(2)) return c.inputs[2].type;
  const auto number = c.node.integer("output_dtype");
  return number == 0 ? DataType::u8 : TENON_TRY(numbered(number));
}
// DynamicQuantizeLinear: codes, scale, zero point.
[[maybe_unused]] Result<DataType> dynamic_quantized(InferContext& c) {
  if (c.outputs.size() > 1) c.outputs[1].type = DataType::f32;
  return DataType::u8;
}
[[maybe_unused]] Result<DataType> output_datatype(InferContext& c) {
  return numbered(c.node.integer("output_datatype"));
}
}  // namespace results

struct InferRow {
  TypeMask types;
  results::Rule result;
  shape::Rule rule;
};
constexpr InferRow kRows[] = {
#define NN_OP(name, min_in, max_in, min_out, max_out, attributes, mask, result, rule, ...) \
  {types::mask, results::result, shape::rule},
#include "kernels/ops.def"
#undef NN_OP
};

}  // namespace

Result<void> infer_types(InferContext& c) {
  const auto& row = kRows[static_cast<std::size_t>(c.node.op)];
  if (c.has(0) && !(row.types & bit(c.inputs[0].type))) {
    return fail(ErrorCode::unsupported_operation, "element type {} is not supported for operand 0",
                to_string(c.inputs[0].type));
  }
  c.outputs.resize(std::max<std::size_t>(c.node.outputs.size(), 1));
  const auto type = TENON_TRY(row.result(c));
  for (auto& output : c.outputs) {
    if (output.type == DataType::undefined) output.type = type;
  }
  return {};
}

Result<void> infer(InferContext& c) {
  TENON_TRY(infer_types(c));
  return kRows[static_cast<std::size_t>(c.node.op)].rule(c);
}

bool accepts(Op op, DataType type) { return kRows[static_cast<std::size_t>(op)].types & bit(type); }

Result<Tensor> InferContext::contents(std::size_t i) {
  if (!has(i)) return invalid(fmt::format("operand {} is missing", i));
  if (!inputs[i].constant.defined()) {
    needs_value = true;
    wanted = static_cast<std::int32_t>(i);
    return fail(ErrorCode::unsupported_operation, "operand {} must be constant here", i);
  }
  return inputs[i].constant;
}

Result<std::vector<std::int64_t>> InferContext::integers(std::size_t i) {
  return to_integers(TENON_TRY(contents(i)));
}

Result<std::vector<std::int64_t>> to_integers(const Tensor& tensor) {
  std::vector<std::int64_t> out(static_cast<std::size_t>(tensor.count()));
  const bool known = dispatch(IntegerTypes{}, tensor.type(), [&]<class T>() {
    const In<T> in{tensor.data()};
    for (std::size_t i = 0; i < out.size(); ++i)
      out[i] = static_cast<std::int64_t>(in[static_cast<std::int64_t>(i)]);
  });
  if (!known) {
    return fail(ErrorCode::invalid_argument, "expected integers, found {}", to_string(tensor.type()));
  }
  return out;
}

Result<std::size_t> normalize_axis(std::int64_t axis, std::size_t rank) {
  const auto r = static_cast<std::int64_t>(rank);
  if (axis < -r || axis >= r)
    return fail(ErrorCode::invalid_argument, "axis {} is outside rank {}", axis, rank);
  return static_cast<std::size_t>(axis < 0 ? axis + r : axis);
}

Dims strides_of(const Dims& dims) {
  Dims strides(dims.size(), 1);
  for (std::size_t i = dims.size(); i-- > 1;)
    strides[i - 1] = strides[i] * std::max<std::int64_t>(dims[i], 1);
  return strides;
}

std::int64_t product(const Dims& dims, std::size_t begin, std::size_t end) {
  std::int64_t count = 1;
  for (std::size_t i = begin; i < end; ++i) count *= dims[i];
  return count;
}

Result<Dims> broadcast_dims(const Dims& a, const Dims& b) {
  const auto rank = std::max(a.size(), b.size());
  Dims out(rank, 1);
  for (std::size_t i = 0; i < rank; ++i) {
    const auto at = [&](const Dims& d) { return i + d.size() < rank ? 1 : d[i + d.size() - rank]; };
    const auto x = at(a), y = at(b);
    if (x != y && x != 1 && y != 1) {
      return fail(ErrorCode::invalid_argument, "shapes {} and {} do not broadcast", to_string(a),
                  to_string(b));
    }
    out[i] = x == 1 ? y : x;
  }
  return out;
}

}  // namespace tenon::kernels
