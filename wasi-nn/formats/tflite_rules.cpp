// Rules for element-wise operators, shapes, movement and reductions; spatial ones are in tflite_spatial.cpp. Values keep
// the order of axes that the file has.
#include <limits>

#include "wasi-nn/formats/tflite_hybrid.h"
#include "wasi-nn/formats/tflite_rules.h"

namespace tenon::nn::tflite::rules {

using kernels::Attributes;
using kernels::DataType;
using kernels::kAbsent;

using Integers = std::vector<int64_t>;

static constexpr int64_t kEnd = std::numeric_limits<int64_t>::max();
static constexpr int64_t kBeforeFirst = std::numeric_limits<int64_t>::min();

static Result<ValueId> cast_to(Node& n, ValueId id, DataType type) {
  if (n.element_type(id) == type) return id;
  return n.emit("Cast", {id}, {{"to", kernels::onnx_number(type)}});
}

// Result `i` of a type that operators give and files may declare otherwise (i64 as i32).
static Result<void> finish_integers(Node& n, ValueId id, size_t i = 0) {
  if (!n.has_output(i)) return {};
  const DataType type = to_data_type(n.out(i).type);
  if (type != DataType::i64) id = TENON_TRY(n.emit("Cast", {id}, {{"to", kernels::onnx_number(type)}}));
  return n.define(i, id);
}

// Operators whose newest ONNX form needs no more than their operands.

Result<void> unary(Node& n) {
  TENON_TRY(n.needs(1));
  return n.finish(TENON_TRY(n.emit(n.row().op, {TENON_TRY(n.real(0))})));
}

Result<void> binary(Node& n) {
  TENON_TRY(n.needs(2));
  return n.finish(TENON_TRY(n.emit(n.row().op, {TENON_TRY(n.real(0)), TENON_TRY(n.real(1))})));
}

Result<void> arithmetic(Node& n) {
  TENON_TRY(n.needs(2));
  return n.finish(TENON_TRY(n.emit(n.row().op, {TENON_TRY(n.real(0)), TENON_TRY(n.real(1))})),
                  n.activation(option::first));
}

Result<void> comparison(Node& n) {
  TENON_TRY(n.needs(2));
  return n.define(0, TENON_TRY(n.emit(n.row().op, {TENON_TRY(n.real(0)), TENON_TRY(n.real(1))})));
}

Result<void> not_equal(Node& n) {
  TENON_TRY(n.needs(2));
  const ValueId equal = TENON_TRY(n.emit("Equal", {TENON_TRY(n.real(0)), TENON_TRY(n.real(1))}));
  return n.define(0, TENON_TRY(n.emit("Not", {equal})));
}

Result<void> add_n(Node& n) {
  TENON_TRY(n.needs(1));
  ValueId sum = TENON_TRY(n.real(0));
  for (size_t i = 1; i < n.input_count(); ++i) sum = TENON_TRY(n.emit("Add", {sum, TENON_TRY(n.real(i))}));
  return n.finish(sum);
}

Result<void> square(Node& n) {
  TENON_TRY(n.needs(1));
  const ValueId x = TENON_TRY(n.real(0));
  return n.finish(TENON_TRY(n.emit("Mul", {x, x})));
}

Result<void> squared_difference(Node& n) {
  TENON_TRY(n.needs(2));
  const ValueId d = TENON_TRY(n.emit("Sub", {TENON_TRY(n.real(0)), TENON_TRY(n.real(1))}));
  return n.finish(TENON_TRY(n.emit("Mul", {d, d})));
}

Result<void> rsqrt(Node& n) {
  TENON_TRY(n.needs(1));
  return n.finish(TENON_TRY(n.emit("Reciprocal", {TENON_TRY(n.emit("Sqrt", {TENON_TRY(n.real(0))}))})));
}

static Result<ValueId> floored_quotient(Node& n, ValueId a, ValueId b) {
  if (!kernels::is_integer(n.element_type(a))) return n.emit("Floor", {TENON_TRY(n.emit("Div", {a, b}))});
  // The remainder has the divisor's sign, so what is left divides exactly.
  const ValueId rest = TENON_TRY(n.emit("Mod", {a, b}));
  return n.emit("Div", {TENON_TRY(n.emit("Sub", {a, rest})), b});
}

Result<void> floor_div(Node& n) {
  TENON_TRY(n.needs(2));
  return n.finish(TENON_TRY(floored_quotient(n, TENON_TRY(n.real(0)), TENON_TRY(n.real(1)))));
}

Result<void> floor_mod(Node& n) {
  TENON_TRY(n.needs(2));
  const ValueId a = TENON_TRY(n.real(0)), b = TENON_TRY(n.real(1));
  if (kernels::is_integer(n.element_type(a))) return n.finish(TENON_TRY(n.emit("Mod", {a, b})));
  const ValueId whole = TENON_TRY(n.emit("Mul", {TENON_TRY(floored_quotient(n, a, b)), b}));
  return n.finish(TENON_TRY(n.emit("Sub", {a, whole})));
}

static Result<void> clip(Node& n, double low, double high) {
  TENON_TRY(n.needs(1));
  return n.finish(TENON_TRY(n.clipped(TENON_TRY(n.real(0)), low, high)));
}
Result<void> relu6(Node& n) { return clip(n, 0, 6); }
Result<void> relu_n1_to_1(Node& n) { return clip(n, -1, 1); }
Result<void> relu_0_to_1(Node& n) { return clip(n, 0, 1); }

Result<void> leaky_relu(Node& n) {
  TENON_TRY(n.needs(1));
  const Attributes alpha{{"alpha", n.real_option(option::first)}};
  return n.finish(TENON_TRY(n.emit("LeakyRelu", {TENON_TRY(n.real(0))}, alpha)));
}

Result<void> gelu(Node& n) {
  TENON_TRY(n.needs(1));
  const Attributes how{{"approximate", std::string(n.flag(option::first) ? "tanh" : "none")}};
  return n.finish(TENON_TRY(n.emit("Gelu", {TENON_TRY(n.real(0))}, how)));
}

Result<void> softmax(Node& n) {
  TENON_TRY(n.needs(1));
  ValueId x = TENON_TRY(n.real(0));
  const float beta = n.row().op == "Softmax" ? n.real_option(option::first) : 1;
  if (beta != 1) x = TENON_TRY(n.emit("Mul", {x, TENON_TRY(n.number(static_cast<double>(beta)))}));
  return n.finish(TENON_TRY(n.emit(n.row().op, {x}, {{"axis", int64_t{-1}}})));
}

Result<void> l2_normalization(Node& n) {
  TENON_TRY(n.needs(1));
  const ValueId x = TENON_TRY(n.real(0));
  const ValueId squares = TENON_TRY(n.emit("ReduceSumSquare", {x, TENON_TRY(n.int_vector({-1}))}));
  const ValueId least = TENON_TRY(n.emit("Max", {squares, TENON_TRY(n.number(1e-6))}));
  return n.finish(TENON_TRY(n.emit("Div", {x, TENON_TRY(n.emit("Sqrt", {least}))})),
                  n.activation(option::first));
}

// Training's stand-in for a quantisation of num_bits between min and max, nudged so that 0 has a code.
Result<void> fake_quant(Node& n) {
  TENON_TRY(n.needs(1));
  const double low = static_cast<double>(n.real_option(0)), high = static_cast<double>(n.real_option(1));
  const int64_t bits = n.integer(2);
  if (!(low < high) || low > 0 || high < 0 || bits < 2 || bits > 16)
    return Node::invalid("a range of {} to {} in {} bits", low, high, bits);
  const double first = n.flag(3) ? 1 : 0, last = static_cast<double>((int64_t{1} << bits) - 1);
  const double scale = (high - low) / (last - first);
  const double zero = std::clamp(std::round(first - low / scale), first, last);
  const double from = (first - zero) * scale, to = (last - zero) * scale;
  const ValueId step = TENON_TRY(n.number(scale));
  const ValueId x = TENON_TRY(n.clipped(TENON_TRY(n.real(0)), from, to));
  const ValueId codes = TENON_TRY(n.emit("Round", {TENON_TRY(n.emit("Div", {x, step}))}));
  return n.finish(TENON_TRY(n.emit("Mul", {codes, step})));
}

// Types.

Result<void> dequantize(Node& n) {
  TENON_TRY(n.needs(1));
  return n.define(0, TENON_TRY(n.real(0)));
}

Result<void> quantize(Node& n) {
  TENON_TRY(n.needs(1));
  return n.finish(TENON_TRY(n.real(0)));
}

Result<void> cast(Node& n) {
  TENON_TRY(n.needs(1));
  const auto to = to_data_type(n.out(0).type);
  if (to == DataType::undefined || to == DataType::string)
    return Node::unsupported("a cast to type {}", n.out(0).type);
  return n.define(0, TENON_TRY(cast_to(n, TENON_TRY(n.raw(0)), to)));
}

// Shapes.

Result<void> shape(Node& n) {
  TENON_TRY(n.needs(1));
  return finish_integers(n, TENON_TRY(n.emit("Shape", {TENON_TRY(n.raw(0))})));
}

Result<void> rank(Node& n) {
  TENON_TRY(n.needs(1));
  return finish_integers(n, TENON_TRY(n.emit("Size", {TENON_TRY(n.emit("Shape", {TENON_TRY(n.raw(0))}))})));
}

Result<void> reshape(Node& n) {
  TENON_TRY(n.needs(1));
  n.move_codes();
  ValueId dims = kAbsent;
  if (n.has_input(1)) {
    dims = TENON_TRY(n.raw(1));
  } else {
    const auto given = n.info().options.numbers<int32_t>(option::first);
    dims = TENON_TRY(n.int_vector({given.begin(), given.end()}));
  }
  return n.finish(TENON_TRY(n.emit("Reshape", {TENON_TRY(n.operand(0)), dims}, {{"allowzero", int64_t{1}}})));
}

Result<void> squeeze(Node& n) {
  TENON_TRY(n.needs(1));
  n.move_codes();
  const auto given = n.info().options.numbers<int32_t>(option::first);
  std::vector<ValueId> inputs{TENON_TRY(n.operand(0))};
  if (!given.empty()) inputs.push_back(TENON_TRY(n.int_vector({given.begin(), given.end()})));
  return n.finish(TENON_TRY(n.emit("Squeeze", inputs)));
}

Result<void> expand_dims(Node& n) {
  TENON_TRY(n.needs(2));
  n.move_codes();
  const ValueId axes = TENON_TRY(n.int_vector(TENON_TRY(n.integers(1))));
  return n.finish(TENON_TRY(n.emit("Unsqueeze", {TENON_TRY(n.operand(0)), axes})));
}

Result<void> transpose(Node& n) {
  TENON_TRY(n.needs(2));
  n.move_codes();
  return n.finish(TENON_TRY(n.transposed(TENON_TRY(n.operand(0)), TENON_TRY(n.integers(1)))));
}

Result<void> broadcast_to(Node& n) {
  TENON_TRY(n.needs(2));
  n.move_codes();
  return n.finish(TENON_TRY(n.emit("Expand", {TENON_TRY(n.operand(0)), TENON_TRY(n.raw(1))})));
}

// Movement.

Result<void> concatenation(Node& n) {
  TENON_TRY(n.needs(1));
  n.move_codes();
  std::vector<ValueId> parts;
  for (size_t i = 0; i < n.input_count(); ++i) parts.push_back(TENON_TRY(n.operand(i)));
  return n.finish(TENON_TRY(n.emit("Concat", parts, {{"axis", n.integer(option::first)}})),
                  static_cast<Activation>(n.small(option::second)));
}

Result<void> pack(Node& n) {
  TENON_TRY(n.needs(1));
  n.move_codes();
  const int64_t axis = n.integer(option::second);
  std::vector<ValueId> parts;
  for (size_t i = 0; i < n.input_count(); ++i)
    parts.push_back(
        TENON_TRY(n.emit("Unsqueeze", {TENON_TRY(n.operand(i)), TENON_TRY(n.int_vector({axis}))})));
  return n.finish(TENON_TRY(n.emit("Concat", parts, {{"axis", axis}})));
}

static Result<std::vector<ValueId>> split_into(Node& n, ValueId x, ValueId sizes, int64_t axis) {
  // The results are defined by their node; rules give them to the tensors afterwards.
  std::vector<ValueId> parts = n.new_values(n.output_count());
  Attributes attributes{{"axis", axis}};
  if (sizes == kAbsent) attributes.push_back({"num_outputs", static_cast<int64_t>(n.output_count())});
  TENON_TRY(n.emit_to(parts, "Split", {x, sizes}, std::move(attributes)));
  return parts;
}

Result<void> unpack(Node& n) {
  TENON_TRY(n.needs(1));
  n.move_codes();
  const int64_t axis = n.integer(option::second);
  const auto parts = TENON_TRY(split_into(n, TENON_TRY(n.operand(0)), kAbsent, axis));
  for (size_t i = 0; i < parts.size(); ++i)
    TENON_TRY(n.finish(TENON_TRY(n.emit("Squeeze", {parts[i], TENON_TRY(n.int_vector({axis}))})),
                       Activation::none, i));
  return {};
}

static Result<void> split_along(Node& n, size_t x, size_t axis_at, ValueId sizes) {
  const auto axis = TENON_TRY(n.integers(axis_at));
  if (axis.size() != 1) return Node::invalid("{} axes", axis.size());
  n.move_codes();
  const auto parts = TENON_TRY(split_into(n, TENON_TRY(n.operand(x)), sizes, axis[0]));
  for (size_t i = 0; i < parts.size(); ++i) TENON_TRY(n.finish(parts[i], Activation::none, i));
  return {};
}

Result<void> split(Node& n) {
  TENON_TRY(n.needs(2));
  return split_along(n, 1, 0, kAbsent);
}

Result<void> split_v(Node& n) {
  TENON_TRY(n.needs(3));
  auto sizes = TENON_TRY(n.integers(1));
  // One size may be left to be what remains.
  const auto open = std::ranges::find(sizes, -1);
  const auto axis = TENON_TRY(n.integers(2));
  if (open != sizes.end() && axis.size() == 1) {
    const auto& dims = n.in(0).shape;
    const auto at = TENON_TRY(n.axis(axis[0], dims.size()));
    if (dims[at] < 0) return Node::unsupported("a size to infer in a dimension that is not known");
    *open = dims[at];
    for (auto it = sizes.begin(); it != sizes.end(); ++it)
      *open -= it == open ? 0 : std::clamp<int64_t>(*it, 0, dims[at]);
  }
  return split_along(n, 0, 2, TENON_TRY(n.int_vector(sizes)));
}

// Of as many first dimensions as both have, each index selects by itself: along the axis after them only, since that is
// what GatherND does with one more dimension of indices.
static Result<void> batched_gather(Node& n) {
  const int64_t rank = TENON_TRY(n.rank(0));
  const int64_t own = n.integer(option::second), batch = own < 0 ? own + TENON_TRY(n.rank(1)) : own;
  const int64_t axis =
      n.integer(option::first) < 0 ? n.integer(option::first) + rank : n.integer(option::first);
  if (batch < 0 || axis != batch) return Node::unsupported("batch_dims = {} with axis {}", batch, axis);
  const ValueId indices =
      TENON_TRY(n.emit("Unsqueeze", {TENON_TRY(cast_to(n, TENON_TRY(n.raw(1)), DataType::i64)),
                                     TENON_TRY(n.int_vector({-1}))}));
  return n.finish(TENON_TRY(n.emit("GatherND", {TENON_TRY(n.operand(0)), indices}, {{"batch_dims", batch}})));
}

Result<void> gather(Node& n) {
  TENON_TRY(n.needs(2));
  n.move_codes();
  if (n.integer(option::second) != 0) return batched_gather(n);
  const Attributes axis{{"axis", n.integer(option::first)}};
  return n.finish(TENON_TRY(n.emit("Gather", {TENON_TRY(n.operand(0)), TENON_TRY(n.raw(1))}, axis)));
}

Result<void> gather_nd(Node& n) {
  TENON_TRY(n.needs(2));
  n.move_codes();
  const ValueId indices = TENON_TRY(cast_to(n, TENON_TRY(n.raw(1)), DataType::i64));
  return n.finish(TENON_TRY(n.emit("GatherND", {TENON_TRY(n.operand(0)), indices})));
}

Result<void> embedding_lookup(Node& n) {
  TENON_TRY(n.needs(2));
  const ValueId rows =
      TENON_TRY(n.emit("Gather", {TENON_TRY(n.real(1)), TENON_TRY(n.raw(0))}, {{"axis", int64_t{0}}}));
  return n.finish(rows);
}

// Duplicate indices add up.
Result<void> scatter_nd(Node& n) {
  TENON_TRY(n.needs(3));
  const ValueId updates = TENON_TRY(n.real(1));
  const ValueId indices = TENON_TRY(cast_to(n, TENON_TRY(n.raw(0)), DataType::i64));
  const ValueId zeros =
      TENON_TRY(n.emit("Expand", {TENON_TRY(n.scalar_like(updates, 0)), TENON_TRY(n.raw(2))}));
  return n.finish(
      TENON_TRY(n.emit("ScatterND", {zeros, indices, updates}, {{"reduction", std::string("add")}})));
}

Result<void> tile(Node& n) {
  TENON_TRY(n.needs(2));
  n.move_codes();
  return n.finish(TENON_TRY(n.emit("Tile", {TENON_TRY(n.operand(0)), TENON_TRY(n.raw(1))})));
}

Result<void> fill(Node& n) {
  TENON_TRY(n.needs(2));
  n.move_codes();
  return n.finish(TENON_TRY(n.emit("Expand", {TENON_TRY(n.operand(1)), TENON_TRY(n.raw(0))})));
}

Result<void> zeros_like(Node& n) {
  TENON_TRY(n.needs(1));
  const ValueId x = TENON_TRY(n.raw(0));
  const ValueId dims = TENON_TRY(n.emit("Shape", {x}));
  return n.define(0, TENON_TRY(n.emit("Expand", {TENON_TRY(n.scalar_like(x, 0)), dims})));
}

Result<void> range(Node& n) {
  TENON_TRY(n.needs(3));
  return n.define(
      0, TENON_TRY(n.emit("Range", {TENON_TRY(n.raw(0)), TENON_TRY(n.raw(1)), TENON_TRY(n.raw(2))})));
}

// As a vector of one shape and another is broadcast: ones before the shorter, then the larger of each dimension.
Result<void> broadcast_args(Node& n) {
  TENON_TRY(n.needs(2));
  std::vector<ValueId> shapes;
  const auto &a = n.in(0).shape, &b = n.in(1).shape;
  if (a.size() != 1 || b.size() != 1 || a[0] < 0 || b[0] < 0)
    return Node::unsupported("shapes of unknown length");
  const int64_t rank = std::max(a[0], b[0]);
  for (const size_t i : {0, 1}) {
    ValueId shape = TENON_TRY(n.raw(i));
    const int64_t missing = rank - n.in(i).shape[0];
    if (missing > 0)
      shape = TENON_TRY(
          n.emit("Pad", {shape, TENON_TRY(n.int_vector({missing, 0})), TENON_TRY(n.scalar_like(shape, 1))}));
    shapes.push_back(shape);
  }
  return n.define(0, TENON_TRY(n.emit("Max", shapes)));
}

// y / x, then half a turn more or less where x is negative.
Result<void> atan2(Node& n) {
  TENON_TRY(n.needs(2));
  const ValueId y = TENON_TRY(n.real(0)), x = TENON_TRY(n.real(1)), zero = TENON_TRY(n.number(0));
  constexpr double kPi = 3.14159265358979323846;
  const auto quarter = TENON_TRY(n.number(kPi / 2)), half = TENON_TRY(n.number(kPi));
  const ValueId sign = TENON_TRY(n.emit(
      "Where", {TENON_TRY(n.emit("Less", {y, zero})), TENON_TRY(n.number(-1)), TENON_TRY(n.number(1))}));
  const ValueId plain = TENON_TRY(n.emit("Atan", {TENON_TRY(n.emit("Div", {y, x}))}));
  const ValueId turned = TENON_TRY(n.emit("Add", {plain, TENON_TRY(n.emit("Mul", {sign, half}))}));
  const ValueId upright = TENON_TRY(n.emit(
      "Where", {TENON_TRY(n.emit("Equal", {y, zero})), zero, TENON_TRY(n.emit("Mul", {sign, quarter}))}));
  const ValueId left = TENON_TRY(n.emit("Where", {TENON_TRY(n.emit("Less", {x, zero})), turned, plain}));
  return n.finish(TENON_TRY(n.emit("Where", {TENON_TRY(n.emit("Equal", {x, zero})), upright, left})));
}

// The part of operand 0 that begins at operand 2, moved so that it lies inside, becomes operand 1.
Result<void> dynamic_update_slice(Node& n) {
  TENON_TRY(n.needs(3));
  n.move_codes();
  const ValueId x = TENON_TRY(n.operand(0)), update = TENON_TRY(n.operand(1));
  const ValueId room =
      TENON_TRY(n.emit("Sub", {TENON_TRY(n.emit("Shape", {x})), TENON_TRY(n.emit("Shape", {update}))}));
  const ValueId start = TENON_TRY(cast_to(n, TENON_TRY(n.raw(2)), DataType::i64));
  const ValueId inside =
      TENON_TRY(n.emit("Max", {TENON_TRY(n.int_vector({0})), TENON_TRY(n.emit("Min", {start, room}))}));
  // Every position of the update: those of its elements that are not zero in a tensor of ones.
  const ValueId ones =
      TENON_TRY(n.emit("Expand", {TENON_TRY(n.int_scalar(1)), TENON_TRY(n.emit("Shape", {update}))}));
  const ValueId rows = TENON_TRY(n.transposed(TENON_TRY(n.emit("NonZero", {ones})), {1, 0}));
  const ValueId places = TENON_TRY(n.emit("Add", {rows, inside}));
  const ValueId flat = TENON_TRY(n.reshaped(update, {-1}));
  return n.finish(TENON_TRY(n.emit("ScatterND", {x, places, flat})));
}

// Operands: positions, the shape of the result, values, and what is elsewhere.
Result<void> sparse_to_dense(Node& n) {
  TENON_TRY(n.needs(4));
  n.move_codes();
  const auto& positions = n.in(0).shape;
  ValueId indices = TENON_TRY(cast_to(n, TENON_TRY(n.raw(0)), DataType::i64));
  if (positions.size() < 2) indices = TENON_TRY(n.reshaped(indices, {-1, 1}));
  const ValueId count = TENON_TRY(n.emit("Shape", {indices}, {{"end", int64_t{1}}}));
  const ValueId values = TENON_TRY(n.emit("Expand", {TENON_TRY(n.operand(2)), count}));
  const ValueId all = TENON_TRY(n.emit("Expand", {TENON_TRY(n.operand(3)), TENON_TRY(n.raw(1))}));
  return n.finish(TENON_TRY(n.emit("ScatterND", {all, indices, values})));
}

// Rows of operand 0 that operand 1 gives one number are combined; numbers of no row give what changes nothing.
Result<void> segment(Node& n) {
  TENON_TRY(n.needs(3));
  const ValueId x = TENON_TRY(n.real(0));
  const auto &shape = n.in(0).shape, &ids = n.in(1).shape;
  if (shape.empty() || ids.size() != 1) return Node::unsupported("segments of several dimensions");
  const std::string_view name = n.row().name;
  const bool sum = name.ends_with("SUM"), product = name.ends_with("PROD"), most = name.ends_with("MAX");
  const bool whole = kernels::is_integer(n.element_type(x));
  const double extreme = whole ? 2147483648.0 : static_cast<double>(std::numeric_limits<float>::max());
  const double neutral = sum ? 0 : product ? 1 : most ? -extreme : extreme;
  const ValueId rest = TENON_TRY(n.emit("Shape", {x}, {{"start", int64_t{1}}}));
  const ValueId count = TENON_TRY(n.reshaped(TENON_TRY(cast_to(n, TENON_TRY(n.raw(2)), DataType::i64)), {1}));
  const ValueId dims = TENON_TRY(n.emit("Concat", {count, rest}, {{"axis", int64_t{0}}}));
  const ValueId start = TENON_TRY(n.emit("Expand", {TENON_TRY(n.scalar_like(x, neutral)), dims}));
  const ValueId rows =
      TENON_TRY(n.emit("Unsqueeze", {TENON_TRY(cast_to(n, TENON_TRY(n.raw(1)), DataType::i64)),
                                     TENON_TRY(n.int_vector({1}))}));
  const std::string how = sum ? "add" : product ? "mul" : most ? "max" : "min";
  return n.finish(TENON_TRY(n.emit("ScatterND", {start, rows, x}, {{"reduction", how}})));
}

// In the order in which values appear, and where each element is among them.
Result<void> unique(Node& n) {
  TENON_TRY(n.needs(1, 2));
  const auto results = n.new_values(3);
  TENON_TRY(n.emit_to({results[0], kAbsent, results[2]}, "Unique", {TENON_TRY(n.raw(0))},
                      {{"sorted", int64_t{0}}}));
  TENON_TRY(n.define(0, results[0]));
  return finish_integers(n, results[2], 1);
}

// Rows of two paddings for each axis become all the first ones, then all the second ones.
Result<void> pad(Node& n) {
  TENON_TRY(n.needs(2));
  n.move_codes();
  const ValueId pairs = TENON_TRY(n.raw(1));
  const ValueId turned = TENON_TRY(n.transposed(pairs, {1, 0}));
  ValueId pads = TENON_TRY(n.reshaped(turned, {-1}));
  if (n.is_constant(1)) {
    const auto amounts = TENON_TRY(n.integers(1));
    Integers sorted;
    for (const size_t side : {0, 1}) {
      for (size_t i = side; i < amounts.size(); i += 2) sorted.push_back(amounts[i]);
    }
    pads = TENON_TRY(n.int_vector(sorted));
  }
  const ValueId x = TENON_TRY(n.operand(0));
  ValueId value = kAbsent;
  if (n.has_input(2)) {
    value = TENON_TRY(n.operand(2));
  } else if (const auto& q = n.in(0).quantization;
             is_quantised(n.in(0)) && n.element_type(x) == to_data_type(n.in(0).type)) {
    value = TENON_TRY(n.scalar_like(x, q.zero_point.empty() ? 0 : static_cast<double>(q.zero_point[0])));
  }
  return n.finish(TENON_TRY(n.emit("Pad", {x, pads, value})));
}

// A mirror that repeats the border is one that does not, of the border doubled: only the latter has an operator.
Result<void> mirror_pad(Node& n) {
  TENON_TRY(n.needs(2));
  n.move_codes();
  const auto pairs = TENON_TRY(n.integers(1));
  const bool symmetric = n.small(option::first) == 1;
  return n.finish(TENON_TRY(n.mirrored(TENON_TRY(n.operand(0)), pairs, symmetric)));
}

Result<void> slice(Node& n) {
  TENON_TRY(n.needs(3));
  n.move_codes();
  const ValueId x = TENON_TRY(n.operand(0)), begin = TENON_TRY(n.raw(1));
  ValueId end = kAbsent;
  if (n.is_constant(1) && n.is_constant(2)) {
    const auto first = TENON_TRY(n.integers(1));
    auto ends = TENON_TRY(n.integers(2));
    if (first.size() != ends.size())
      return Node::invalid("{} positions and {} sizes", first.size(), ends.size());
    for (size_t i = 0; i < ends.size(); ++i) ends[i] = ends[i] < 0 ? kEnd : first[i] + ends[i];
    end = TENON_TRY(n.int_vector(ends));
  } else {
    const ValueId size = TENON_TRY(n.raw(2));
    const ValueId open = TENON_TRY(n.emit("Less", {size, TENON_TRY(n.scalar_like(size, 0))}));
    const ValueId last =
        TENON_TRY(n.scalar_like(size, static_cast<double>(std::numeric_limits<int32_t>::max())));
    end = TENON_TRY(n.emit("Where", {open, last, TENON_TRY(n.emit("Add", {begin, size}))}));
  }
  return n.finish(TENON_TRY(n.emit("Slice", {x, begin, end})));
}

// What the masks of a strided slice say of one axis of the operand or of the result.
struct SliceAxis {
  int64_t begin, end, step;
  bool removed;
};

static Result<std::vector<SliceAxis>> slice_axes(Node& n, int64_t rank, Integers& new_axes) {
  const auto begin = TENON_TRY(n.integers(1)), end = TENON_TRY(n.integers(2)),
             step = TENON_TRY(n.integers(3));
  if (begin.size() != end.size() || begin.size() != step.size() || begin.size() > 31)
    return Node::invalid("{} begins, {} ends and {} strides", begin.size(), end.size(), step.size());
  const auto bit = [&](unsigned field, size_t i) { return (n.integer(field) >> i & 1) != 0; };
  int64_t given = 0;
  for (size_t i = 0; i < begin.size(); ++i)
    given += bit(option::ellipsis_mask, i) || bit(option::new_axis_mask, i) ? 0 : 1;
  std::vector<SliceAxis> axes;
  int64_t result = 0;
  for (size_t i = 0; i < begin.size(); ++i) {
    if (bit(option::ellipsis_mask, i)) {
      for (int64_t skip = rank - given; skip > 0; --skip, ++result) axes.push_back({0, kEnd, 1, false});
    } else if (bit(option::new_axis_mask, i)) {
      new_axes.push_back(result++);
    } else {
      if (step[i] == 0) return Node::invalid("a stride of 0");
      SliceAxis axis{begin[i], end[i], step[i], bit(option::shrink_mask, i)};
      if (n.flag(option::offset_ends)) axis.end += axis.begin;
      if (axis.removed) {
        axis = {axis.begin, axis.begin == -1 ? kEnd : axis.begin + 1, 1, true};
      } else {
        if (bit(option::begin_mask, i)) axis.begin = axis.step > 0 ? 0 : kEnd;
        if (bit(option::end_mask, i)) axis.end = axis.step > 0 ? kEnd : kBeforeFirst;
        ++result;
      }
      axes.push_back(axis);
    }
  }
  return axes;
}

Result<void> strided_slice(Node& n) {
  TENON_TRY(n.needs(4));
  n.move_codes();
  Integers new_axes, begin, end, axes, step, removed;
  const auto slices = TENON_TRY(slice_axes(n, TENON_TRY(n.rank(0)), new_axes));
  for (size_t i = 0; i < slices.size(); ++i) {
    const auto& s = slices[i];
    if (s.removed) removed.push_back(static_cast<int64_t>(i));
    if (s.begin == 0 && s.end == kEnd && s.step == 1) continue;
    begin.push_back(s.begin);
    end.push_back(s.end);
    step.push_back(s.step);
    axes.push_back(static_cast<int64_t>(i));
  }
  ValueId x = TENON_TRY(n.operand(0));
  if (!axes.empty()) {
    x = TENON_TRY(n.emit("Slice", {x, TENON_TRY(n.int_vector(begin)), TENON_TRY(n.int_vector(end)),
                                   TENON_TRY(n.int_vector(axes)), TENON_TRY(n.int_vector(step))}));
  }
  if (!removed.empty()) x = TENON_TRY(n.emit("Squeeze", {x, TENON_TRY(n.int_vector(removed))}));
  if (!new_axes.empty()) x = TENON_TRY(n.emit("Unsqueeze", {x, TENON_TRY(n.int_vector(new_axes))}));
  return n.finish(x);
}

Result<void> reverse(Node& n) {
  TENON_TRY(n.needs(2));
  n.move_codes();
  const auto axes = TENON_TRY(n.integers(1));
  const auto all = [&](int64_t value) { return n.int_vector(Integers(axes.size(), value)); };
  return n.finish(
      TENON_TRY(n.emit("Slice", {TENON_TRY(n.operand(0)), TENON_TRY(all(-1)), TENON_TRY(all(kBeforeFirst)),
                                 TENON_TRY(n.int_vector(axes)), TENON_TRY(all(-1))})));
}

Result<void> reverse_sequence(Node& n) {
  TENON_TRY(n.needs(2));
  n.move_codes();
  const ValueId lengths = TENON_TRY(cast_to(n, TENON_TRY(n.raw(1)), DataType::i64));
  return n.finish(TENON_TRY(
      n.emit("ReverseSequence", {TENON_TRY(n.operand(0)), lengths},
             {{"time_axis", n.integer(option::first)}, {"batch_axis", n.integer(option::second)}})));
}

Result<void> select(Node& n) {
  TENON_TRY(n.needs(3));
  ValueId condition = TENON_TRY(n.raw(0));
  const ValueId yes = TENON_TRY(n.real(1)), no = TENON_TRY(n.real(2));
  // SELECT takes one condition for each row; SELECT_V2 broadcasts.
  const auto own = n.Emitter::rank(condition), rank = n.Emitter::rank(yes);
  if (n.row().name == "SELECT" && own && rank && *own == 1 && *rank > 1) {
    Integers axes;
    for (size_t i = 1; i < *rank; ++i) axes.push_back(static_cast<int64_t>(i));
    condition = TENON_TRY(n.emit("Unsqueeze", {condition, TENON_TRY(n.int_vector(axes))}));
  }
  return n.finish(TENON_TRY(n.emit("Where", {condition, yes, no})));
}

// The positions of what is not zero, a row for each.
Result<void> where(Node& n) {
  TENON_TRY(n.needs(1));
  if (n.input_count() != 1) return Node::unsupported("a choice between operands");
  const ValueId columns = TENON_TRY(n.emit("NonZero", {TENON_TRY(n.raw(0))}));
  return finish_integers(n, TENON_TRY(n.transposed(columns, {1, 0})));
}

Result<void> one_hot(Node& n) {
  TENON_TRY(n.needs(4));
  const ValueId off_on = TENON_TRY(n.emit(
      "Concat",
      {TENON_TRY(n.reshaped(TENON_TRY(n.raw(3)), {1})), TENON_TRY(n.reshaped(TENON_TRY(n.raw(2)), {1}))},
      {{"axis", int64_t{0}}}));
  return n.define(0, TENON_TRY(n.emit("OneHot", {TENON_TRY(n.raw(0)), TENON_TRY(n.raw(1)), off_on},
                                      {{"axis", n.integer(option::first)}})));
}

Result<void> top_k(Node& n) {
  TENON_TRY(n.needs(2));
  n.move_codes();
  const ValueId k = TENON_TRY(n.reshaped(TENON_TRY(cast_to(n, TENON_TRY(n.raw(1)), DataType::i64)), {1}));
  const auto results = n.new_values(2);
  TENON_TRY(n.emit_to(results, "TopK", {TENON_TRY(n.operand(0)), k}));
  TENON_TRY(n.finish(results[0]));
  return finish_integers(n, results[1], 1);
}

// Reductions.

Result<void> reduce(Node& n) {
  TENON_TRY(n.needs(2));
  const ValueId axes = TENON_TRY(n.int_vector(TENON_TRY(n.integers(1))));
  const Attributes keep{{"keepdims", int64_t{n.flag(option::first)}}};
  return n.finish(TENON_TRY(n.emit(n.row().op, {TENON_TRY(n.real(0)), axes}, keep)));
}

Result<void> arg_reduce(Node& n) {
  TENON_TRY(n.needs(2));
  const auto axis = TENON_TRY(n.integers(1));
  if (axis.size() != 1) return Node::invalid("{} axes", axis.size());
  const Attributes along{{"axis", axis[0]}, {"keepdims", int64_t{0}}};
  return finish_integers(n, TENON_TRY(n.emit(n.row().op, {TENON_TRY(n.raw(0))}, along)));
}

Result<void> cumsum(Node& n) {
  TENON_TRY(n.needs(2));
  const Attributes how{{"exclusive", int64_t{n.flag(option::first)}},
                       {"reverse", int64_t{n.flag(option::second)}}};
  return n.finish(TENON_TRY(n.emit("CumSum", {TENON_TRY(n.real(0)), TENON_TRY(n.raw(1))}, how)));
}

// Products.

Result<void> fully_connected(Node& n) {
  TENON_TRY(n.needs(2));
  if (n.small(option::weights_format) != 0) return Node::unsupported("shuffled weights");
  const auto& weights = n.in(1).shape;
  if (weights.size() != 2 || weights[1] <= 0)
    return Node::invalid("weights of {} dimensions", weights.size());
  ValueId x = TENON_TRY(n.raw(0));
  if (n.Emitter::rank(x) != 2 || n.in(0).shape.back() != weights[1])
    x = TENON_TRY(n.reshaped(x, {-1, weights[1]}));
  if (is_quantised(n.in(0))) x = TENON_TRY(n.dequantised(x, n.in(0), 0));
  const Activation activation = n.activation(option::fc_activation);
  ValueId product = kAbsent;
  if (is_hybrid(n)) {
    product = TENON_TRY(hybrid_product(n, x, !n.flag(option::asymmetric)));
  } else {
    product = TENON_TRY(
        n.emit("Gemm", {x, TENON_TRY(n.real(1)), TENON_TRY(n.bias(2, 0, 1))}, {{"transB", int64_t{1}}}));
  }
  n.round("twice_up");
  const ValueId y = TENON_TRY(is_quantised(n.out(0)) ? n.stored(product, n.out(0), activation)
                                                     : n.activated(product, activation));
  return n.define(0, TENON_TRY(n.shaped_as_declared(y, 2)));
}

Result<void> batch_matmul(Node& n) {
  TENON_TRY(n.needs(2));
  const auto side = [&](size_t i) -> Result<ValueId> {
    const ValueId x = TENON_TRY(n.real(i));
    if (!n.flag(static_cast<unsigned>(i))) return x;
    const int64_t rank = TENON_TRY(n.rank(i));
    if (rank < 2) return Node::invalid("an operand of rank {}", rank);
    Integers perm;
    for (int64_t axis = 0; axis < rank; ++axis) perm.push_back(axis);
    std::swap(perm[perm.size() - 1], perm[perm.size() - 2]);
    return n.transposed(x, perm);
  };
  return n.finish(TENON_TRY(n.emit("MatMul", {TENON_TRY(side(0)), TENON_TRY(side(1))})));
}

}  // namespace tenon::nn::tflite::rules
