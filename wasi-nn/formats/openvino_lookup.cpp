// Rules of layers that look things up: embeddings, sorted lists, updates by index, decoders of sequences.
#include "wasi-nn/formats/openvino_rules.h"

namespace tenon::nn::openvino::rules {

using kernels::Attributes;
using kernels::DataType;
using kernels::kAbsent;

namespace {

Result<ValueId> unsqueezed(LayerImport& layer, ValueId id, int64_t axis) {
  return layer.emit("Unsqueeze", {id, TENON_TRY(layer.int_vector({axis}))});
}

// 0, 1, 2, … as many as the scalar `count` says.
Result<ValueId> counting(LayerImport& layer, ValueId count) {
  return layer.emit("Range", {TENON_TRY(layer.int_scalar(0)), count, TENON_TRY(layer.int_scalar(1))});
}

Result<ValueId> summed(LayerImport& layer, ValueId id, int64_t axis) {
  return layer.emit("ReduceSum", {id, TENON_TRY(layer.int_vector({axis}))}, {{"keepdims", int64_t{0}}});
}

// How many of the numbers along the last axis of `sorted` come before each of `wanted`.
Result<void> count_before(LayerImport& layer, ValueId sorted, ValueId wanted, bool or_equal,
                          const char* fallback) {
  const ValueId before =
      TENON_TRY(layer.emit(or_equal ? "LessOrEqual" : "Less", {TENON_TRY(unsqueezed(layer, sorted, -2)),
                                                               TENON_TRY(unsqueezed(layer, wanted, -1))}));
  const DataType type = TENON_TRY(layer.type("output_type", fallback));
  return layer.alias(0, TENON_TRY(summed(layer, TENON_TRY(layer.cast(before, type)), -1)));
}

}  // namespace

// data, boundaries: the index of the interval; the right boundary belongs to it, or the left one.
Result<void> bucketize(LayerImport& layer) {
  const int64_t rank = TENON_TRY(layer.need_rank(0));
  const ValueId boundaries = TENON_TRY(layer.need(1));
  const bool right = TENON_TRY(layer.flag("with_right_bound", true));
  const ValueId data = TENON_TRY(layer.emit("CastLike", {TENON_TRY(layer.need(0)), boundaries}));
  if (rank > 0) return count_before(layer, boundaries, data, !right, "i64");
  return LayerImport::unsupported("a scalar");
}

Result<void> search_sorted(LayerImport& layer) {
  const bool right = TENON_TRY(layer.flag("right_mode", false));
  return count_before(layer, TENON_TRY(layer.need(0)), TENON_TRY(layer.need(1)), right, "i64");
}

// data, indices, updates, axis: whole rows along the axis. It is brought to the front for ScatterND.
Result<void> scatter_update(LayerImport& layer) {
  const int64_t rank = TENON_TRY(layer.need_rank(0)), of_indices = TENON_TRY(layer.need_rank(1));
  const auto axes = TENON_TRY(layer.constant_ints(3));
  if (axes.size() != 1) return LayerImport::invalid("input 3 is no axis");
  const int64_t axis = TENON_TRY(LayerImport::positive_axis(axes[0], rank));
  const ValueId indices =
      TENON_TRY(unsqueezed(layer, TENON_TRY(layer.as_i64(TENON_TRY(layer.need(1)))), of_indices));
  const ValueId updates = TENON_TRY(layer.need(2));
  if (axis == 0) return layer.finish("ScatterND", {layer.input(0), indices, updates});
  // [before, axis, behind] → [axis, before, behind]; of the updates `of_indices` axes stand for the one.
  std::vector<int64_t> there{axis}, back, of_updates;
  for (int64_t i = 0; i < rank; ++i) {
    if (i != axis) there.push_back(i);
    back.push_back(i < axis ? i + 1 : i == axis ? 0 : i);
  }
  for (int64_t i = 0; i < of_indices; ++i) of_updates.push_back(axis + i);
  for (int64_t i = 0; i < rank + of_indices - 1; ++i) {
    if (i < axis || i >= axis + of_indices) of_updates.push_back(i);
  }
  const ValueId data = TENON_TRY(layer.emit("Transpose", {layer.input(0)}, {{"perm", there}}));
  const ValueId rows = TENON_TRY(layer.emit("Transpose", {updates}, {{"perm", of_updates}}));
  const ValueId done = TENON_TRY(layer.emit("ScatterND", {data, indices, rows}));
  return layer.finish("Transpose", {done}, {{"perm", back}});
}

// data, updates, start, stop, step, axes: the places that a Slice would read are written.
Result<void> slice_scatter(LayerImport& layer) {
  const ValueId data = TENON_TRY(layer.need(0)), updates = TENON_TRY(layer.need(1));
  const ValueId shape = TENON_TRY(layer.shape(data)), flat = TENON_TRY(layer.reshape(data, {-1}));
  const ValueId numbers = TENON_TRY(counting(layer, TENON_TRY(layer.emit("Size", {data}))));
  std::vector<ValueId> operands{TENON_TRY(layer.emit("Reshape", {numbers, shape})), kAbsent, kAbsent, kAbsent,
                                kAbsent};
  for (const auto& [from, to] :
       {std::pair{2u, 1u}, std::pair{3u, 2u}, std::pair{4u, 4u}, std::pair{5u, 3u}}) {
    if (layer.has_input(from)) operands[to] = TENON_TRY(layer.as_i64(layer.input(from)));
  }
  const ValueId places = TENON_TRY(layer.emit("Slice", std::move(operands)));
  const ValueId list = TENON_TRY(layer.reshape(places, {-1, 1}));
  const ValueId written =
      TENON_TRY(layer.emit("ScatterND", {flat, list, TENON_TRY(layer.reshape(updates, {-1}))}));
  return layer.finish("Reshape", {written, shape});
}

Result<void> eye(LayerImport& layer) {
  const auto number = [&](size_t i) -> Result<int64_t> {
    const auto values = TENON_TRY(layer.constant_ints(i));
    if (values.size() != 1) return LayerImport::invalid("input {} is no number", i);
    return values[0];
  };
  if (layer.has_input(3)) return LayerImport::unsupported("a batch of matrices");
  const int64_t rows = TENON_TRY(number(0)), columns = TENON_TRY(number(1)), diagonal = TENON_TRY(number(2));
  const ValueId like =
      TENON_TRY(layer.emit("ConstantOfShape", {TENON_TRY(layer.int_vector({rows, columns}))}));
  return layer.finish(
      "EyeLike", {like},
      {{"dtype", kernels::onnx_number(TENON_TRY(layer.type("output_type")))}, {"k", diagonal}});
}

// Values, places of their first occurrence, which of the values each element is, how often each occurs.
Result<void> unique(LayerImport& layer) {
  Attributes attributes{{"sorted", int64_t{TENON_TRY(layer.flag("sorted", true))}}};
  if (layer.has_input(1)) {
    const auto axis = TENON_TRY(layer.constant_ints(1));
    if (axis.size() != 1) return LayerImport::invalid("input 1 is no axis");
    attributes.push_back({"axis", axis[0]});
  }
  std::vector<ValueId> found;
  for (int i = 0; i < 4; ++i) found.push_back(layer.new_value());
  TENON_TRY(layer.emit_to(found, "Unique", {TENON_TRY(layer.need(0))}, std::move(attributes)));
  TENON_TRY(layer.alias(0, found[0]));
  for (size_t i = 1; i < 4; ++i) {
    const DataType type = TENON_TRY(layer.type(i == 3 ? "count_element_type" : "index_element_type", "i64"));
    if (layer.output(i) == kAbsent) continue;
    TENON_TRY(layer.emit_to({layer.output(i)}, "Cast", {found[i]}, {{"to", kernels::onnx_number(type)}}));
  }
  return {};
}

namespace {

// Rows of the table by index, each times its weight, if there are weights.
Result<ValueId> weighted_rows(LayerImport& layer, size_t weights) {
  ValueId rows = TENON_TRY(
      layer.emit("Gather", {TENON_TRY(layer.need(0)), TENON_TRY(layer.as_i64(TENON_TRY(layer.need(1))))}));
  if (!layer.has_input(weights)) return rows;
  ValueId factors = layer.input(weights);
  const int64_t rank = TENON_TRY(layer.need_rank(0));
  for (int64_t i = 1; i < rank; ++i) factors = TENON_TRY(unsqueezed(layer, factors, -1));
  return layer.emit("Mul", {rows, factors});
}

// Sums of the rows by segment; `count` is a vector of one number. Segments without rows are zero.
Result<void> sum_by_segment(LayerImport& layer, ValueId rows, ValueId segments, ValueId count,
                            size_t fallback) {
  if (layer.has_input(fallback)) {
    const auto index = TENON_TRY(layer.constant_ints(fallback));
    if (index.size() != 1 || index[0] != -1)
      return LayerImport::unsupported("a row of the table for empty bags (default_index)");
  }
  const ValueId shape = TENON_TRY(layer.shape(TENON_TRY(layer.need(0))));
  const ValueId row =
      TENON_TRY(layer.emit("Slice", {shape, TENON_TRY(layer.int_vector({1})),
                                     TENON_TRY(layer.int_vector({std::numeric_limits<int64_t>::max()}))}));
  const ValueId all = TENON_TRY(layer.emit("Concat", {count, row}, {{"axis", int64_t{0}}}));
  const ValueId zeros =
      TENON_TRY(layer.emit("Expand", {TENON_TRY(layer.scalar_like(layer.input(0), 0)), all}));
  return layer.finish("ScatterND", {zeros, TENON_TRY(unsqueezed(layer, segments, -1)), rows},
                      {{"reduction", std::string("add")}});
}

Result<void> only_sums(LayerImport& layer) {
  const std::string_view reduction = layer.text("reduction", "sum");
  if (reduction == "sum" || reduction == "SUM") return {};
  return LayerImport::unsupported("attribute 'reduction': '{}' is not supported", reduction);
}

}  // namespace

// table, indices [bags, n], weights
Result<void> embedding_packed(LayerImport& layer) {
  TENON_TRY(only_sums(layer));
  return layer.alias(0, TENON_TRY(summed(layer, TENON_TRY(weighted_rows(layer, 2)), 1)));
}

// table, indices [n], where each bag begins, default row, weights
Result<void> embedding_offsets(LayerImport& layer) {
  TENON_TRY(only_sums(layer));
  const ValueId indices = TENON_TRY(layer.need(1));
  const ValueId offsets = TENON_TRY(layer.as_i64(TENON_TRY(layer.need(2))));
  const ValueId places = TENON_TRY(counting(layer, TENON_TRY(layer.emit("Size", {indices}))));
  // The bag of an index: how many bags begin at or before it, less one.
  const ValueId begun = TENON_TRY(layer.emit(
      "LessOrEqual", {TENON_TRY(unsqueezed(layer, offsets, 0)), TENON_TRY(unsqueezed(layer, places, 1))}));
  const ValueId bags = TENON_TRY(summed(layer, TENON_TRY(layer.cast(begun, DataType::i64)), 1));
  const ValueId segments = TENON_TRY(layer.emit("Sub", {bags, TENON_TRY(layer.int_scalar(1))}));
  return sum_by_segment(layer, TENON_TRY(weighted_rows(layer, 4)), segments, TENON_TRY(layer.shape(offsets)),
                        3);
}

// table, indices [n], the segment of each, number of segments, default row, weights
Result<void> embedding_segments(LayerImport& layer) {
  const ValueId segments = TENON_TRY(layer.as_i64(TENON_TRY(layer.need(2))));
  const ValueId count = TENON_TRY(layer.reshape(TENON_TRY(layer.as_i64(TENON_TRY(layer.need(3)))), {1}));
  return sum_by_segment(layer, TENON_TRY(weighted_rows(layer, 5)), segments, count, 4);
}

namespace {

struct Decoded {
  ValueId classes, lengths;  // [batch, steps] filled up with -1, [batch]; i64
};

// The best class of each step, without blanks and, if so asked, without repetitions. `scores` are [batch, steps, classes],
// `inside` [batch, steps] says which steps count, `blank` is a scalar.
Result<Decoded> decode_greedily(LayerImport& layer, ValueId scores, ValueId inside, ValueId blank,
                                bool merges) {
  const ValueId one = TENON_TRY(layer.int_scalar(1)), last = TENON_TRY(layer.int_vector({-1}));
  const ValueId best =
      TENON_TRY(layer.emit("ArgMax", {scores}, {{"axis", int64_t{2}}, {"keepdims", int64_t{0}}}));
  const ValueId empty = TENON_TRY(layer.emit("Equal", {best, blank}));
  ValueId keeps = TENON_TRY(layer.emit("And", {inside, TENON_TRY(layer.emit("Not", {empty}))}));
  const auto along = [&](ValueId id, int64_t from, int64_t to) -> Result<ValueId> {
    return layer.emit("Slice", {id, TENON_TRY(layer.int_vector({from})), TENON_TRY(layer.int_vector({to})),
                                TENON_TRY(layer.int_vector({1}))});
  };
  if (merges) {
    // The class of the step before; -1 before the first.
    const ValueId first = TENON_TRY(along(best, 0, 1));
    const ValueId none = TENON_TRY(layer.emit("Sub", {TENON_TRY(layer.emit("Sub", {first, first})), one}));
    const ValueId before =
        TENON_TRY(layer.emit("Concat", {none, TENON_TRY(along(best, 0, -1))}, {{"axis", int64_t{1}}}));
    const ValueId repeats = TENON_TRY(layer.emit("Equal", {best, before}));
    keeps = TENON_TRY(layer.emit("And", {keeps, TENON_TRY(layer.emit("Not", {repeats}))}));
  }
  // Each kept class goes to the place after those kept before it, the others behind the end, which is cut off.
  const ValueId counts = TENON_TRY(layer.cast(keeps, DataType::i64));
  const ValueId upto = TENON_TRY(layer.emit("CumSum", {counts, one}));
  const ValueId shape = TENON_TRY(layer.shape(best));
  const ValueId steps = TENON_TRY(layer.emit("Gather", {shape, one}));
  const ValueId places =
      TENON_TRY(layer.emit("Where", {keeps, TENON_TRY(layer.emit("Sub", {upto, one})), steps}));
  const ValueId room = TENON_TRY(layer.emit("Add", {shape, TENON_TRY(layer.int_vector({0, 1}))}));
  const ValueId blanks = TENON_TRY(layer.emit("Expand", {TENON_TRY(layer.int_scalar(-1)), room}));
  const ValueId all =
      TENON_TRY(layer.emit("ScatterElements", {blanks, places, best}, {{"axis", int64_t{1}}}));
  return Decoded{TENON_TRY(along(all, 0, -1)),
                 TENON_TRY(layer.emit("ReduceSum", {counts, last}, {{"keepdims", int64_t{0}}}))};
}

}  // namespace

// scores [steps, batch, classes], mask [steps, batch] → [batch, steps, 1, 1]; the last class is the blank.
Result<void> ctc_greedy(LayerImport& layer) {
  const ValueId scores = TENON_TRY(
      layer.emit("Transpose", {TENON_TRY(layer.need(0))}, {{"perm", std::vector<int64_t>{1, 0, 2}}}));
  const ValueId mask =
      TENON_TRY(layer.emit("Transpose", {TENON_TRY(layer.need(1))}, {{"perm", std::vector<int64_t>{1, 0}}}));
  const ValueId shape = TENON_TRY(layer.shape(scores)), one = TENON_TRY(layer.int_scalar(1));
  const ValueId classes = TENON_TRY(layer.emit("Gather", {shape, TENON_TRY(layer.int_scalar(2))}));
  const ValueId blank = TENON_TRY(layer.emit("Sub", {classes, one}));
  const Decoded decoded =
      TENON_TRY(decode_greedily(layer, scores, TENON_TRY(layer.cast(mask, DataType::boolean)), blank,
                                TENON_TRY(layer.flag("ctc_merge_repeated", true))));
  const ValueId numbers = TENON_TRY(layer.cast(decoded.classes, DataType::f32));
  return layer.finish("Unsqueeze", {numbers, TENON_TRY(layer.int_vector({2, 3}))});
}

// scores [batch, steps, classes], lengths [batch], blank → classes [batch, steps], how many each.
Result<void> ctc_greedy_lengths(LayerImport& layer) {
  const ValueId scores = TENON_TRY(layer.need(0));
  const ValueId lengths = TENON_TRY(layer.as_i64(TENON_TRY(layer.need(1))));
  const ValueId shape = TENON_TRY(layer.shape(scores)), one = TENON_TRY(layer.int_scalar(1));
  const ValueId steps = TENON_TRY(layer.emit("Gather", {shape, one}));
  const ValueId inside = TENON_TRY(
      layer.emit("Less", {TENON_TRY(counting(layer, steps)), TENON_TRY(unsqueezed(layer, lengths, 1))}));
  ValueId blank = kAbsent;
  if (layer.has_input(2)) {
    blank = TENON_TRY(layer.reshape(TENON_TRY(layer.as_i64(layer.input(2))), {}));
  } else {
    blank = TENON_TRY(
        layer.emit("Sub", {TENON_TRY(layer.emit("Gather", {shape, TENON_TRY(layer.int_scalar(2))})), one}));
  }
  const Decoded decoded =
      TENON_TRY(decode_greedily(layer, scores, inside, blank, TENON_TRY(layer.flag("merge_repeated", true))));
  const auto type = [&](const char* key) -> Result<Attributes> {
    return Attributes{{"to", kernels::onnx_number(TENON_TRY(layer.type(key, "i32")))}};
  };
  TENON_TRY(layer.finish("Cast", {decoded.classes}, TENON_TRY(type("classes_index_type"))));
  if (layer.output(1) == kAbsent) return {};
  return layer.emit_to({layer.output(1)}, "Cast", {decoded.lengths}, TENON_TRY(type("sequence_length_type")));
}

}  // namespace tenon::nn::openvino::rules
