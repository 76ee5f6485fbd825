// Rules of TensorFlow's operators that move elements, and of those that compute shapes.
#include <limits>

#include "wasi-nn/formats/tf_rules.h"
#include "wasi-nn/formats/tf_tensor.h"

namespace tenon::nn::tf::rules {

using kernels::DataType;
using kernels::kAbsent;
using kernels::Tensor;

static constexpr int64_t kEnd = std::numeric_limits<int64_t>::max();

Result<void> reshape(NodeImport& node) {
  return node.result(
      node.emit("Reshape", {node.input(0), TENON_TRY(node.integers(1))}, {{"allowzero", int64_t{1}}}));
}

Result<void> squeeze(NodeImport& node) {
  auto axes = TENON_TRY(node.ints_attr("squeeze_dims"));
  if (axes.empty()) axes = TENON_TRY(node.ints_attr("axis"));
  if (axes.empty()) return node.result(node.emit("Squeeze", {node.input(0)}));
  return node.result(node.squeeze(node.input(0), axes));
}

Result<void> expand_dims(NodeImport& node) {
  return node.result(node.emit("Unsqueeze", {node.input(0), TENON_TRY(node.axes(1))}));
}

Result<void> transpose(NodeImport& node) {
  const auto perm = node.constant_ints(1);
  if (!perm) return NodeImport::unsupported("a permutation that depends on data");
  return node.result(node.transpose(node.input(0), *perm));
}

// The last operand is the axis; in the old form it is the first.
Result<void> concat(NodeImport& node) {
  const size_t last = node.input_count() - 1;
  const int64_t axis = TENON_TRY(node.constant_int(last, "the axis"));
  return node.result(node.concat({node.inputs().begin(), node.inputs().end() - 1}, axis));
}
Result<void> concat_old(NodeImport& node) {
  const int64_t axis = TENON_TRY(node.constant_int(0, "the axis"));
  return node.result(node.concat({node.inputs().begin() + 1, node.inputs().end()}, axis));
}
Result<void> parallel_concat(NodeImport& node) { return node.result(node.concat(node.inputs(), 0)); }

Result<void> pack(NodeImport& node) {
  const int64_t axis = TENON_TRY(node.int_attr("axis", 0));
  std::vector<ValueId> parts;
  for (const ValueId id : node.inputs()) parts.push_back(TENON_TRY(node.unsqueeze(id, {axis})));
  return node.result(node.concat(std::move(parts), axis));
}

// `count` equal parts along an axis, as separate outputs.
static Result<std::vector<ValueId>> equal_parts(NodeImport& node, ValueId id, int64_t axis, int64_t count) {
  constexpr int64_t kMost = 1 << 16;
  if (count < 1 || count > kMost) return NodeImport::invalid("{} parts", count);
  return node.emit_many("Split", {id}, static_cast<size_t>(count), {{"axis", axis}, {"num_outputs", count}});
}

Result<void> unpack(NodeImport& node) {
  const int64_t axis = TENON_TRY(node.int_attr("axis", 0));
  for (const ValueId id :
       TENON_TRY(equal_parts(node, node.input(0), axis, TENON_TRY(node.int_attr("num", 0))))) {
    TENON_TRY(node.result(node.squeeze(id, {axis})));
  }
  return {};
}

Result<void> split(NodeImport& node) {
  const int64_t axis = TENON_TRY(node.constant_int(0, "the axis"));
  for (const ValueId id :
       TENON_TRY(equal_parts(node, node.input(1), axis, TENON_TRY(node.int_attr("num_split", 1))))) {
    TENON_TRY(node.result(id));
  }
  return {};
}

// One of the sizes may be -1: what is left.
Result<void> split_v(NodeImport& node) {
  auto sizes = node.constant_ints(1);
  const int64_t axis = TENON_TRY(node.constant_int(2, "the axis"));
  if (!sizes || sizes->empty()) return NodeImport::unsupported("the sizes must be constant");
  if (std::ranges::count(*sizes, -1) == 0) {
    const ValueId parts = TENON_TRY(node.int_vector(*sizes));
    for (const ValueId id :
         TENON_TRY(node.emit_many("Split", {node.input(0), parts}, sizes->size(), {{"axis", axis}}))) {
      TENON_TRY(node.result(id));
    }
    return {};
  }
  constexpr int64_t kMostRows = int64_t{1} << 40;  // sums of sizes stay far from overflow
  if (sizes->size() > 1 << 16 ||
      std::ranges::any_of(*sizes, [](int64_t size) { return size < -1 || size > kMostRows; })) {
    return NodeImport::invalid("{} parts of impossible sizes", sizes->size());
  }
  // Slices from the front up to the open size, and from the end after it.
  const auto open = static_cast<size_t>(std::ranges::find(*sizes, -1) - sizes->begin());
  int64_t behind = 0;
  for (size_t i = open + 1; i < sizes->size(); ++i) behind += (*sizes)[i];
  int64_t at = 0;
  for (size_t i = 0; i < sizes->size(); ++i) {
    if (i == open + 1) at = -behind;
    const int64_t size = (*sizes)[i];
    if (size < 0 && i != open) return NodeImport::invalid("the sizes {}", fmt::join(*sizes, ", "));
    const int64_t last = i == open ? -behind : at + size;
    const bool to_end = last == 0 && i >= open;
    TENON_TRY(node.result(node.emit(
        "Slice", {node.input(0), TENON_TRY(node.int_vector({at})),
                  TENON_TRY(node.int_vector({to_end ? kEnd : last})), TENON_TRY(node.int_vector({axis}))})));
    at = last;
  }
  return {};
}

// A size of -1 reaches to the end.
Result<void> slice(NodeImport& node) {
  const ValueId starts = TENON_TRY(node.integers(1));
  const auto begins = node.constant_ints(1), sizes = node.constant_ints(2);
  if (begins && sizes && begins->size() == sizes->size()) {
    std::vector<int64_t> ends;
    for (size_t i = 0; i < sizes->size(); ++i) {
      int64_t end = kEnd;
      if ((*sizes)[i] >= 0 && __builtin_add_overflow((*begins)[i], (*sizes)[i], &end)) end = kEnd;
      ends.push_back(end);
    }
    return node.result(node.emit("Slice", {node.input(0), starts, TENON_TRY(node.int_vector(ends))}));
  }
  const ValueId lengths = TENON_TRY(node.integers(2));
  const ValueId open = TENON_TRY(node.emit("Less", {lengths, TENON_TRY(node.int_scalar(0))}));
  const ValueId sums = TENON_TRY(node.emit("Add", {starts, lengths}));
  const ValueId ends = TENON_TRY(node.emit("Where", {open, TENON_TRY(node.int_scalar(kEnd)), sums}));
  return node.result(node.emit("Slice", {node.input(0), starts, ends}));
}

namespace {

// Python's subscripts: one entry for each of begin, end, strides, with masks that say what the entry is.
struct Subscripts {
  int64_t begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_axis_mask;
};

// Numbers that may be known now or only when the graph runs, one for each sliced axis.
class Bounds {
 public:
  explicit Bounds(NodeImport& node) : node_(node) {}

  Result<void> add_constant(int64_t value) {
    values_.push_back(value);
    parts_.push_back(kAbsent);
    return {};
  }
  // Entry i of an operand, or the place after it: after -1 comes the end, not the beginning.
  Result<void> add(size_t operand, size_t i, bool next = false) {
    if (const auto known = node_.constant_ints(operand)) {
      if (i >= known->size())
        return NodeImport::invalid("{} subscripts, {} are needed", known->size(), i + 1);
      const int64_t value = (*known)[i];
      if (!next) return add_constant(value);
      return add_constant(value == -1 || value == kEnd ? kEnd : value + 1);
    }
    all_known_ = false;
    const auto at = static_cast<int64_t>(i);
    ValueId value = TENON_TRY(node_.part(TENON_TRY(node_.integers(operand)), at, at + 1));
    if (next) {
      const ValueId last = TENON_TRY(node_.emit("Equal", {value, TENON_TRY(node_.int_vector({-1}))}));
      const ValueId after = TENON_TRY(node_.emit("Add", {value, TENON_TRY(node_.int_vector({1}))}));
      value = TENON_TRY(node_.emit("Where", {last, TENON_TRY(node_.int_vector({kEnd})), after}));
    }
    values_.push_back(0);
    parts_.push_back(value);
    return {};
  }
  Result<ValueId> vector() {
    if (all_known_) return node_.int_vector(values_);
    for (size_t i = 0; i < parts_.size(); ++i) {
      if (parts_[i] == kAbsent) parts_[i] = TENON_TRY(node_.int_vector({values_[i]}));
    }
    return node_.concat(parts_, 0);
  }

 private:
  NodeImport& node_;
  std::vector<int64_t> values_;
  std::vector<ValueId> parts_;
  bool all_known_ = true;
};

}  // namespace

Result<void> strided_slice(NodeImport& node) {
  const Subscripts masks{TENON_TRY(node.int_attr("begin_mask", 0)), TENON_TRY(node.int_attr("end_mask", 0)),
                         TENON_TRY(node.int_attr("ellipsis_mask", 0)),
                         TENON_TRY(node.int_attr("new_axis_mask", 0)),
                         TENON_TRY(node.int_attr("shrink_axis_mask", 0))};
  const auto strides = node.constant_ints(3);
  if (!strides) return NodeImport::unsupported("strides must be constant");
  constexpr size_t kMostEntries = 32;  // bits of a mask
  if (strides->size() > kMostEntries) return NodeImport::invalid("{} subscripts", strides->size());
  const auto bit = [](int64_t mask, size_t i) { return ((mask >> i) & 1) != 0; };
  size_t new_axes = 0;
  bool ellipsis_seen = false;
  for (size_t i = 0; i < strides->size(); ++i) {
    if (bit(masks.ellipsis_mask, i)) {
      if (ellipsis_seen) return NodeImport::invalid("two ellipses");
      ellipsis_seen = true;
    } else if (bit(masks.new_axis_mask, i)) {
      ++new_axes;
    }
  }
  Bounds begins(node), ends(node);
  std::vector<int64_t> axes, steps, dropped, added;
  int64_t axis = 0, out_axis = 0;
  for (size_t i = 0; i < strides->size(); ++i) {
    if (bit(masks.ellipsis_mask, i)) {
      const bool last = i + 1 == strides->size();
      if (last) break;  // what follows is taken whole anyway
      const auto rank = node.rank(node.input(0));
      if (!rank) return NodeImport::unsupported("an ellipsis in a tensor of unknown rank");
      const size_t others = strides->size() - 1 - new_axes;
      if (others > *rank) return NodeImport::invalid("{} subscripts for rank {}", others, *rank);
      axis += static_cast<int64_t>(*rank - others);
      out_axis += static_cast<int64_t>(*rank - others);
      continue;
    }
    if (bit(masks.new_axis_mask, i)) {
      added.push_back(out_axis++);
      continue;
    }
    const bool shrink = bit(masks.shrink_axis_mask, i);
    const int64_t step = shrink ? 1 : (*strides)[i];
    if (step == 0) return NodeImport::invalid("a stride of 0");
    const bool whole = !shrink && bit(masks.begin_mask, i) && bit(masks.end_mask, i) && step == 1;
    if (!whole) {
      axes.push_back(axis);
      steps.push_back(step);
      TENON_TRY(!shrink && bit(masks.begin_mask, i) ? begins.add_constant(step > 0 ? 0 : kEnd)
                                                    : begins.add(1, i));
      if (shrink) {
        TENON_TRY(ends.add(1, i, true));
      } else {
        TENON_TRY(bit(masks.end_mask, i) ? ends.add_constant(step > 0 ? kEnd : -kEnd) : ends.add(2, i));
      }
    }
    if (shrink) {
      dropped.push_back(axis);
    } else {
      ++out_axis;
    }
    ++axis;
  }
  ValueId id = node.input(0);
  if (!axes.empty()) {
    id = TENON_TRY(node.emit("Slice", {id, TENON_TRY(begins.vector()), TENON_TRY(ends.vector()),
                                       TENON_TRY(node.int_vector(axes)), TENON_TRY(node.int_vector(steps))}));
  }
  id = TENON_TRY(node.squeeze(id, dropped));
  return node.result(node.unsqueeze(id, added));
}

Result<void> tile(NodeImport& node) {
  return node.result(node.emit("Tile", {node.input(0), TENON_TRY(node.integers(1))}));
}

Result<void> broadcast_to(NodeImport& node) {
  return node.result(node.emit("Expand", {node.input(0), TENON_TRY(node.integers(1))}));
}

Result<void> fill(NodeImport& node) {
  return node.result(node.emit("Expand", {node.input(1), TENON_TRY(node.integers(0))}));
}

// The shape that tensors of both shapes broadcast to.
Result<void> broadcast_args(NodeImport& node) {
  const ValueId a = TENON_TRY(node.emit("ConstantOfShape", {TENON_TRY(node.integers(0))}));
  const ValueId b = TENON_TRY(node.emit("ConstantOfShape", {TENON_TRY(node.integers(1))}));
  const ValueId shape = TENON_TRY(node.emit("Shape", {TENON_TRY(node.emit("Add", {a, b}))}));
  return node.result(node.cast(shape, node.element_type(node.input(0))));
}

static Result<void> filled_like(NodeImport& node, double value) {
  const ValueId shape = TENON_TRY(node.emit("Shape", {node.input(0)}));
  return node.result(node.emit("Expand", {TENON_TRY(node.scalar_like(node.input(0), value)), shape}));
}
Result<void> zeros_like(NodeImport& node) { return filled_like(node, 0); }
Result<void> ones_like(NodeImport& node) { return filled_like(node, 1); }

// Declared dimensions are known at load: axes and sizes are often computed from them.
static Result<ValueId> shape_vector(NodeImport& node, ValueId id) {
  const auto dims = node.known_dims(id);
  return dims ? node.int_vector(*dims) : node.emit("Shape", {id});
}

Result<void> shape_of(NodeImport& node) {
  const DataType type = TENON_TRY(node.type_attr("out_type", TfType::kInt32));
  for (const ValueId id : node.inputs()) {
    TENON_TRY(node.result(node.cast(TENON_TRY(shape_vector(node, id)), type)));
  }
  return {};
}

Result<void> size_of(NodeImport& node) {
  const DataType type = TENON_TRY(node.type_attr("out_type", TfType::kInt32));
  return node.result(node.cast(TENON_TRY(node.emit("Size", {node.input(0)})), type));
}

Result<void> rank_of(NodeImport& node) {
  if (const auto rank = node.rank(node.input(0)))
    return node.result(node.cast(TENON_TRY(node.int_scalar(static_cast<int64_t>(*rank))), DataType::i32));
  const ValueId shape = TENON_TRY(node.emit("Shape", {node.input(0)}));
  return node.result(node.cast(TENON_TRY(node.emit("Size", {shape})), DataType::i32));
}

// [n, 2] → all beginnings, then all ends.
static Result<ValueId> pads_of(NodeImport& node) {
  const Tensor* tensor = node.constant(node.input(1));
  if (const auto pairs = node.constant_ints(1)) {
    if (tensor->dims().size() != 2 || tensor->dims()[1] != 2)
      return NodeImport::invalid("paddings of shape {}", to_string(tensor->dims()));
    std::vector<int64_t> pads;
    for (size_t side = 0; side < 2; ++side) {
      for (size_t i = side; i < pairs->size(); i += 2) pads.push_back((*pairs)[i]);
    }
    return node.int_vector(pads);
  }
  return node.reshape(TENON_TRY(node.transpose(TENON_TRY(node.integers(1)), {1, 0})), {-1});
}

Result<void> pad(NodeImport& node) {
  std::vector<ValueId> operands{node.input(0), TENON_TRY(pads_of(node))};
  if (node.input_count() > 2) operands.push_back(node.input(2));
  return node.result(node.emit("Pad", std::move(operands)));
}

// SYMMETRIC repeats the edge itself, which the kernels' mirror does not.
Result<void> mirror_pad(NodeImport& node) {
  const std::string_view mode = TENON_TRY(node.string_attr("mode", "REFLECT"));
  const auto pairs = node.constant_ints(1);
  if (mode == "SYMMETRIC" && pairs) return node.result(node.mirrored(node.input(0), *pairs, true));
  if (mode == "SYMMETRIC") return NodeImport::unsupported("mode SYMMETRIC with paddings that are computed");
  return node.result(
      node.emit("Pad", {node.input(0), TENON_TRY(pads_of(node))}, {{"mode", std::string("reflect")}}));
}

Result<void> gather(NodeImport& node) {
  const int64_t batch = TENON_TRY(node.int_attr("batch_dims", 0));
  if (batch != 0) return NodeImport::unsupported("batch_dims = {}", batch);
  return node.result(node.emit("Gather", {node.input(0), node.input(1)}));
}

// With batch dimensions: indices along axis `batch` of rows that share the dimensions before it.
Result<void> gather_v2(NodeImport& node) {
  int64_t axis = TENON_TRY(node.constant_int(2, "the axis"));
  int64_t batch = TENON_TRY(node.int_attr("batch_dims", 0));
  if (batch == 0) return node.result(node.emit("Gather", {node.input(0), node.input(1)}, {{"axis", axis}}));
  const auto rank = node.rank(node.input(1));
  const auto of_data = node.rank(node.input(0));
  if (batch < 0 && rank) batch += static_cast<int64_t>(*rank);
  if (axis < 0 && of_data) axis += static_cast<int64_t>(*of_data);
  if (axis != batch || axis < 0) return NodeImport::unsupported("batch_dims = {} with axis {}", batch, axis);
  const ValueId indices = TENON_TRY(node.unsqueeze(TENON_TRY(node.to_i64(node.input(1))), {-1}));
  return node.result(node.emit("GatherND", {node.input(0), indices}, {{"batch_dims", batch}}));
}

Result<void> gather_nd(NodeImport& node) {
  return node.result(node.emit("GatherND", {node.input(0), TENON_TRY(node.to_i64(node.input(1)))}));
}

Result<void> scatter_nd(NodeImport& node) {
  const ValueId zeros = TENON_TRY(
      node.emit("Expand", {TENON_TRY(node.scalar_like(node.input(1), 0)), TENON_TRY(node.integers(2))}));
  return node.result(node.emit("ScatterND", {zeros, TENON_TRY(node.to_i64(node.input(0))), node.input(1)},
                               {{"reduction", std::string("add")}}));
}

// data, the segment of each row, how many segments there are. Rows of negative segments count nowhere: they go to a segment
// behind the last, which is cut off.
Result<void> segment_sum(NodeImport& node) {
  const auto rank = node.rank(node.input(1));
  if (rank != 1u) return NodeImport::unsupported("segments that are no vector");
  const ValueId segments = TENON_TRY(node.to_i64(node.input(1)));
  const ValueId count = TENON_TRY(node.reshape(TENON_TRY(node.integers(2)), {1}));
  const ValueId negative = TENON_TRY(node.emit("Less", {segments, TENON_TRY(node.int_scalar(0))}));
  const ValueId places = TENON_TRY(node.emit("Where", {negative, count, segments}));
  const ValueId row = TENON_TRY(node.part(TENON_TRY(node.emit("Shape", {node.input(0)})), 1, kEnd));
  const ValueId rows = TENON_TRY(node.emit("Add", {count, TENON_TRY(node.int_vector({1}))}));
  const ValueId zeros = TENON_TRY(node.emit(
      "Expand", {TENON_TRY(node.scalar_like(node.input(0), 0)), TENON_TRY(node.concat({rows, row}, 0))}));
  const ValueId sums =
      TENON_TRY(node.emit("ScatterND", {zeros, TENON_TRY(node.unsqueeze(places, {-1})), node.input(0)},
                          {{"reduction", std::string("add")}}));
  return node.result(
      node.emit("Slice", {sums, TENON_TRY(node.int_vector({0})), count, TENON_TRY(node.int_vector({0}))}));
}

// In the order of their first occurrence, and for each element which it is.
Result<void> unique(NodeImport& node) {
  const DataType type = TENON_TRY(node.type_attr("out_idx", TfType::kInt32));
  const auto found = TENON_TRY(node.emit_many("Unique", {node.input(0)}, 3, {{"sorted", int64_t{0}}}));
  TENON_TRY(node.result(found[0]));
  node.declare(found[2], kernels::ValueType::unranked(DataType::i64));
  return node.result(node.cast(found[2], type));
}

static Result<void> scatter_into(NodeImport& node, std::string reduction) {
  return node.result(node.emit("ScatterND",
                               {node.input(0), TENON_TRY(node.to_i64(node.input(1))), node.input(2)},
                               {{"reduction", std::move(reduction)}}));
}
Result<void> tensor_scatter_update(NodeImport& node) { return scatter_into(node, "none"); }
Result<void> tensor_scatter_add(NodeImport& node) { return scatter_into(node, "add"); }

Result<void> one_hot(NodeImport& node) {
  const int64_t axis = TENON_TRY(node.int_attr("axis", -1));
  const ValueId on = TENON_TRY(node.unsqueeze(node.input(2), {0}));
  const ValueId off = TENON_TRY(node.unsqueeze(node.input(3), {0}));
  const ValueId values = TENON_TRY(node.concat({off, on}, 0));
  // ONNX counts negative indices from the end; here they are nowhere.
  const ValueId depth = TENON_TRY(node.to_i64(node.input(1))), index = TENON_TRY(node.to_i64(node.input(0)));
  const ValueId negative = TENON_TRY(node.emit("Less", {index, TENON_TRY(node.int_scalar(0))}));
  const ValueId place = TENON_TRY(node.emit("Where", {negative, depth, index}));
  return node.result(node.emit("OneHot", {place, depth, values}, {{"axis", axis}}));
}

// k is an operand, or an attribute in the old form.
Result<void> top_k(NodeImport& node) {
  ValueId k = kAbsent;
  if (node.input_count() > 1) {
    k = TENON_TRY(node.reshape(TENON_TRY(node.integers(1)), {1}));
  } else {
    k = TENON_TRY(node.int_vector({TENON_TRY(node.int_attr("k", 1))}));
  }
  const auto both = TENON_TRY(node.emit_many("TopK", {node.input(0), k}, 2));
  TENON_TRY(node.result(both[0]));
  return node.result(node.cast(both[1], TENON_TRY(node.type_attr("index_type", TfType::kInt32))));
}

Result<void> reverse(NodeImport& node) {
  const auto axes = node.constant_ints(1);
  if (!axes) return NodeImport::unsupported("the axes must be constant");
  if (axes->empty()) return node.result(node.emit("Identity", {node.input(0)}));
  const std::vector<int64_t> starts(axes->size(), kEnd), ends(axes->size(), -kEnd), steps(axes->size(), -1);
  return node.result(
      node.emit("Slice", {node.input(0), TENON_TRY(node.int_vector(starts)), TENON_TRY(node.int_vector(ends)),
                          TENON_TRY(node.int_vector(*axes)), TENON_TRY(node.int_vector(steps))}));
}

Result<void> reverse_sequence(NodeImport& node) {
  const int64_t time = TENON_TRY(node.int_attr("seq_dim", 0)),
                batch = TENON_TRY(node.int_attr("batch_dim", 0));
  if (time < 0 || time > 1 || batch < 0 || batch > 1) {
    return NodeImport::unsupported("dimensions {} and {}", time, batch);
  }
  return node.result(node.emit("ReverseSequence", {node.input(0), TENON_TRY(node.to_i64(node.input(1)))},
                               {{"time_axis", time}, {"batch_axis", batch}}));
}

// Shifts by constants: the end of each axis comes to its beginning.
Result<void> roll(NodeImport& node) {
  const auto shifts = node.constant_ints(1), axes = node.constant_ints(2);
  if (!shifts || !axes) return NodeImport::unsupported("shifts and axes must be constant");
  if (shifts->size() != axes->size())
    return NodeImport::invalid("{} shifts of {} axes", shifts->size(), axes->size());
  ValueId id = node.input(0);
  for (size_t i = 0; i < shifts->size(); ++i) {
    const ValueId axis = TENON_TRY(node.int_vector({(*axes)[i]}));
    const ValueId extent = TENON_TRY(node.emit("Gather", {TENON_TRY(node.emit("Shape", {id})), axis}));
    const ValueId shift = TENON_TRY(node.emit("Mod", {TENON_TRY(node.int_vector({(*shifts)[i]})), extent}));
    const ValueId cut = TENON_TRY(node.emit("Sub", {extent, shift}));
    const ValueId tail = TENON_TRY(node.emit("Slice", {id, cut, extent, axis}));
    const ValueId head = TENON_TRY(node.emit("Slice", {id, TENON_TRY(node.int_vector({0})), cut, axis}));
    id = TENON_TRY(node.concat({tail, head}, (*axes)[i]));
  }
  return node.result(node.emit("Identity", {id}));
}

// y[x[i]] = i
Result<void> invert_permutation(NodeImport& node) {
  const ValueId x = TENON_TRY(node.to_i64(node.input(0)));
  const ValueId numbers =
      TENON_TRY(node.emit("Range", {TENON_TRY(node.int_scalar(0)), TENON_TRY(node.emit("Size", {x})),
                                    TENON_TRY(node.int_scalar(1))}));
  const ValueId result = TENON_TRY(node.emit("ScatterElements", {x, x, numbers}));
  return node.result(node.cast(result, node.element_type(node.input(0))));
}

// A negative number keeps all diagonals on its side.
Result<void> matrix_band_part(NodeImport& node) {
  const int64_t lower = TENON_TRY(node.constant_int(1, "the number of lower diagonals"));
  const int64_t upper = TENON_TRY(node.constant_int(2, "the number of upper diagonals"));
  ValueId id = node.input(0);
  if (lower >= 0)
    id = TENON_TRY(node.emit("Trilu", {id, TENON_TRY(node.int_scalar(-lower))}, {{"upper", int64_t{1}}}));
  if (upper >= 0)
    id = TENON_TRY(node.emit("Trilu", {id, TENON_TRY(node.int_scalar(upper))}, {{"upper", int64_t{0}}}));
  return node.result(lower < 0 && upper < 0 ? node.emit("Identity", {id}) : Result<ValueId>(id));
}

// Places of what is not zero, one row for each.
Result<void> where(NodeImport& node) {
  return node.result(node.transpose(TENON_TRY(node.emit("NonZero", {node.input(0)})), {1, 0}));
}

namespace {

// Block sizes and the pairs of the other operand, both constant, of the dimensions after the batch.
struct Blocks {
  std::vector<int64_t> sizes;
  std::vector<int64_t> pairs;
};
Result<Blocks> blocks_of(NodeImport& node, std::string_view pairs_name) {
  const auto sizes = node.constant_ints(1), pairs = node.constant_ints(2);
  if (!sizes || !pairs) return NodeImport::unsupported("block shape and {} must be constant", pairs_name);
  if (sizes->empty() || sizes->size() > 4 || pairs->size() != 2 * sizes->size()) {
    return NodeImport::invalid("{} block sizes with {} {}", sizes->size(), pairs->size(), pairs_name);
  }
  if (std::ranges::any_of(*sizes, [](int64_t size) { return size < 1; }))
    return NodeImport::invalid("a block size below 1");
  return Blocks{*sizes, *pairs};
}

// Elements of a shape vector.
Result<ValueId> extent(NodeImport& node, ValueId shape, int64_t i) { return node.part(shape, i, i + 1); }

}  // namespace

// [batch, dims…, rest] → [batch · blocks, dims / block…, rest]: each place in a block gets images of its own.
Result<void> space_to_batch(NodeImport& node) {
  const Blocks blocks = TENON_TRY(blocks_of(node, "paddings"));
  const auto n = static_cast<int64_t>(blocks.sizes.size());
  const auto rank = node.rank(node.input(0));
  if (!rank || static_cast<int64_t>(*rank) < n + 1)
    return NodeImport::unsupported("a tensor of unknown or small rank");
  const auto all = static_cast<int64_t>(*rank);
  std::vector<int64_t> pads(static_cast<size_t>(2 * all));
  for (size_t i = 0; i < blocks.sizes.size(); ++i) {
    pads[i + 1] = blocks.pairs[2 * i];
    pads[static_cast<size_t>(all) + i + 1] = blocks.pairs[2 * i + 1];
  }
  const ValueId padded = TENON_TRY(node.emit("Pad", {node.input(0), TENON_TRY(node.int_vector(pads))}));
  const ValueId shape = TENON_TRY(node.emit("Shape", {padded}));
  // [batch, d1 / b1, b1, …, rest] → [b1, …, batch, d1 / b1, …, rest]
  std::vector<ValueId> split{TENON_TRY(extent(node, shape, 0))}, joined;
  std::vector<int64_t> perm;
  int64_t count = 1;
  for (int64_t i = 0; i < n; ++i) {
    const int64_t block = blocks.sizes[static_cast<size_t>(i)];
    const ValueId size = TENON_TRY(node.int_vector({block}));
    const ValueId parts = TENON_TRY(node.emit("Div", {TENON_TRY(extent(node, shape, i + 1)), size}));
    split.insert(split.end(), {parts, size});
    joined.push_back(parts);
    perm.push_back(2 * i + 2);
    if (__builtin_mul_overflow(count, block, &count)) return NodeImport::invalid("the blocks are too large");
  }
  perm.push_back(0);
  for (int64_t i = 0; i < n; ++i) perm.push_back(2 * i + 1);
  for (int64_t i = 2 * n + 1; i < all + n; ++i) perm.push_back(i);
  const ValueId rest = TENON_TRY(node.part(shape, n + 1, kEnd));
  split.push_back(rest);
  joined.push_back(rest);
  const ValueId batch = TENON_TRY(node.emit("Mul", {split[0], TENON_TRY(node.int_vector({count}))}));
  joined.insert(joined.begin(), batch);
  const kernels::Attributes zeros{{"allowzero", int64_t{1}}};
  const ValueId spread = TENON_TRY(node.emit("Reshape", {padded, TENON_TRY(node.concat(split, 0))}, zeros));
  const ValueId moved = TENON_TRY(node.transpose(spread, perm));
  return node.result(node.emit("Reshape", {moved, TENON_TRY(node.concat(joined, 0))}, zeros));
}

// The way back; then the crops are cut off.
Result<void> batch_to_space(NodeImport& node) {
  const Blocks blocks = TENON_TRY(blocks_of(node, "crops"));
  const auto n = static_cast<int64_t>(blocks.sizes.size());
  const auto rank = node.rank(node.input(0));
  if (!rank || static_cast<int64_t>(*rank) < n + 1)
    return NodeImport::unsupported("a tensor of unknown or small rank");
  const auto all = static_cast<int64_t>(*rank);
  const ValueId shape = TENON_TRY(node.emit("Shape", {node.input(0)}));
  // [b1, …, batch, d1, …, rest] → [batch, d1, b1, …, rest]
  int64_t count = 1;
  for (const int64_t block : blocks.sizes) {
    if (__builtin_mul_overflow(count, block, &count)) return NodeImport::invalid("the blocks are too large");
  }
  const ValueId batch =
      TENON_TRY(node.emit("Div", {TENON_TRY(extent(node, shape, 0)), TENON_TRY(node.int_vector({count}))}));
  const ValueId rest = TENON_TRY(node.part(shape, n + 1, kEnd));
  std::vector<ValueId> spread{TENON_TRY(node.int_vector(blocks.sizes)), batch,
                              TENON_TRY(node.part(shape, 1, kEnd))};
  std::vector<ValueId> joined{batch};
  std::vector<int64_t> perm{n}, starts, ends, axes;
  for (int64_t i = 0; i < n; ++i) {
    const auto k = static_cast<size_t>(i);
    perm.insert(perm.end(), {n + 1 + i, i});
    joined.push_back(TENON_TRY(node.emit(
        "Mul", {TENON_TRY(extent(node, shape, i + 1)), TENON_TRY(node.int_vector({blocks.sizes[k]}))})));
    if (blocks.pairs[2 * k] < 0 || blocks.pairs[2 * k + 1] < 0) return NodeImport::invalid("a negative crop");
    axes.push_back(i + 1);
    starts.push_back(blocks.pairs[2 * k]);
    ends.push_back(blocks.pairs[2 * k + 1] == 0 ? kEnd : -blocks.pairs[2 * k + 1]);
  }
  for (int64_t i = 2 * n + 1; i < all + n; ++i) perm.push_back(i);
  joined.push_back(rest);
  const kernels::Attributes zeros{{"allowzero", int64_t{1}}};
  const ValueId opened =
      TENON_TRY(node.emit("Reshape", {node.input(0), TENON_TRY(node.concat(spread, 0))}, zeros));
  const ValueId moved = TENON_TRY(node.transpose(opened, perm));
  const ValueId whole = TENON_TRY(node.emit("Reshape", {moved, TENON_TRY(node.concat(joined, 0))}, zeros));
  return node.result(
      node.emit("Slice", {whole, TENON_TRY(node.int_vector(starts)), TENON_TRY(node.int_vector(ends)),
                          TENON_TRY(node.int_vector(axes))}));
}

}  // namespace tenon::nn::tf::rules
