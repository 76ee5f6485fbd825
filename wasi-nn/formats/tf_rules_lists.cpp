// Rules of TensorArrays (version 1) and TensorLists (version 2): sequences. An array's handle means nothing, the flow
// value that its operators hand on is the sequence.
#include "wasi-nn/formats/tf_rules.h"

namespace tenon::nn::tf::rules {

using kernels::DataType;
using kernels::kAbsent;

namespace {

// The type of the elements: the sequence's own, or what the node says.
Result<DataType> element_of(const NodeImport& node, std::string_view attribute) {
  return node.type_attr(attribute, TfType::kFloat);
}

Result<ValueId> empty(NodeImport& node, DataType element) {
  return node.emit_sequence("SequenceEmpty", {}, element, {{"dtype", kernels::onnx_number(element)}});
}

// All elements as one tensor with a new first dimension.
Result<ValueId> stacked(NodeImport& node, ValueId sequence) {
  return node.emit("ConcatFromSequence", {sequence}, {{"axis", int64_t{0}}, {"new_axis", int64_t{1}}});
}

Result<ValueId> rows(NodeImport& node, ValueId tensor) {
  return node.emit_sequence("SplitToSequence", {tensor}, node.element_type(tensor),
                            {{"axis", int64_t{0}}, {"keepdims", int64_t{0}}});
}

Result<void> typed(NodeImport& node, Result<ValueId> id, DataType element) {
  const ValueId value = TENON_TRY(std::move(id));
  node.declare(value, kernels::ValueType::unranked(element));
  return node.result(value);
}

}  // namespace

Result<void> array_new(NodeImport& node) {
  TENON_TRY(node.result(kAbsent));
  return node.result(empty(node, TENON_TRY(element_of(node, "dtype"))));
}

// Operands: handle, index, value, flow.
Result<void> array_write(NodeImport& node) {
  return node.result(node.emit_sequence("SequenceSet", {node.input(3), node.input(1), node.input(2)},
                                        TENON_TRY(element_of(node, "T"))));
}

Result<void> array_read(NodeImport& node) {
  return typed(node, node.emit("SequenceAt", {node.input(2), node.input(1)}),
               TENON_TRY(element_of(node, "dtype")));
}

Result<void> array_size(NodeImport& node) {
  return node.result(node.cast(TENON_TRY(node.emit("SequenceLength", {node.input(1)})), DataType::i32));
}

// Operands: handle, indices, flow.
Result<void> array_gather(NodeImport& node) {
  const ValueId all = TENON_TRY(stacked(node, node.input(2)));
  return typed(node, node.emit("Gather", {all, node.input(1)}), TENON_TRY(element_of(node, "dtype")));
}

// Operands: handle, indices, value, flow. Row i of the value becomes element indices[i]: the rows are brought in order.
Result<void> array_scatter(NodeImport& node) {
  const ValueId indices = TENON_TRY(node.to_i64(node.input(1)));
  const ValueId numbers =
      TENON_TRY(node.emit("Range", {TENON_TRY(node.int_scalar(0)), TENON_TRY(node.emit("Size", {indices})),
                                    TENON_TRY(node.int_scalar(1))}));
  const ValueId order = TENON_TRY(node.emit("ScatterElements", {indices, indices, numbers}));
  return node.result(rows(node, TENON_TRY(node.emit("Gather", {node.input(2), order}))));
}

// All elements, one after the other along their first dimension.
Result<void> array_concat(NodeImport& node) {
  return typed(node, node.emit("ConcatFromSequence", {node.input(1)}, {{"axis", int64_t{0}}}),
               TENON_TRY(element_of(node, "dtype")));
}

Result<void> list_reserve(NodeImport& node) {
  return node.result(empty(node, TENON_TRY(element_of(node, "element_dtype"))));
}

Result<void> list_from_tensor(NodeImport& node) { return node.result(rows(node, node.input(0))); }

Result<void> list_get(NodeImport& node) {
  return typed(node, node.emit("SequenceAt", {node.input(0), node.input(1)}),
               TENON_TRY(element_of(node, "element_dtype")));
}

Result<void> list_set(NodeImport& node) {
  return node.result(node.emit_sequence("SequenceSet", {node.input(0), node.input(1), node.input(2)},
                                        TENON_TRY(element_of(node, "element_dtype"))));
}

Result<void> list_push(NodeImport& node) {
  return node.result(node.emit_sequence("SequenceInsert", {node.input(0), node.input(1)},
                                        TENON_TRY(element_of(node, "element_dtype"))));
}

Result<void> list_length(NodeImport& node) {
  return node.result(node.cast(TENON_TRY(node.emit("SequenceLength", {node.input(0)})), DataType::i32));
}

Result<void> list_stack(NodeImport& node) {
  return typed(node, stacked(node, node.input(0)), TENON_TRY(element_of(node, "element_dtype")));
}

}  // namespace tenon::nn::tf::rules
