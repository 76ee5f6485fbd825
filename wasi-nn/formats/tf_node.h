// One TensorFlow node on its way into a kernels' Graph: operands, attributes, emission. The rules themselves are in
// tf_rules_*.cpp, the walk over graphs in tf_importer.cpp.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "wasi-nn/formats/constant_folding.h"
#include "wasi-nn/formats/emitter.h"
#include "wasi-nn/formats/tf_proto.h"

namespace tenon::nn::tf {

// The attributes of the call whose function is being written out.
using AttributeEnvironment = const std::vector<AttrEntry>*;

class NodeImport : public Emitter {
 public:
  // `folding` is the import's own and outlives the node.
  NodeImport(kernels::GraphBuilder& builder, ConstantFolding& folding, const NodeDef& def,
             AttributeEnvironment environment, std::string_view target, std::vector<ValueId> inputs,
             kernels::Source source)
      : Emitter(builder, std::move(source)),
        folding_(folding),
        def_(def),
        environment_(environment),
        target_(target),
        inputs_(std::move(inputs)) {}

  const NodeDef& def() const { return def_; }
  std::string_view target() const { return target_; }  // the row's operator of ops.def

  // Operands: at least as many as the row says. Handles of variables and the like are kAbsent.
  size_t input_count() const { return inputs_.size(); }
  ValueId input(size_t i) const { return i < inputs_.size() ? inputs_[i] : kernels::kAbsent; }
  const std::vector<ValueId>& inputs() const { return inputs_; }
  // Contents of a constant operand of any integer type; nothing when it is not constant.
  std::optional<std::vector<int64_t>> constant_ints(size_t i) const;
  std::optional<std::vector<float>> constant_floats(size_t i) const;
  // The same of one number; unsupported_operation, naming `what`, when it is not constant.
  Result<int64_t> constant_int(size_t i, std::string_view what) const;
  std::optional<double> constant_number(size_t i) const;

  // Attributes; the fallback stands for one that is not there. invalid_encoding for another kind.
  Result<int64_t> int_attr(std::string_view name, int64_t fallback) const;
  Result<bool> bool_attr(std::string_view name, bool fallback) const;
  Result<float> float_attr(std::string_view name, float fallback) const;
  Result<std::string_view> string_attr(std::string_view name, std::string_view fallback) const;
  Result<std::vector<int64_t>> ints_attr(std::string_view name) const;  // empty when it is not there
  Result<kernels::DataType> type_attr(std::string_view name, TfType fallback) const;
  const AttrValue* attr(std::string_view name) const;

  // The next output of the node.
  Result<void> result(Result<ValueId> id) {
    results_.push_back(TENON_TRY(std::move(id)));
    return {};
  }
  const std::vector<ValueId>& results() const { return results_; }

  // As the Emitter's, but what follows of the results' types from those of the operands is declared too, because rules of
  // later nodes ask for ranks; and results of small integer constants are constants, because they ask for axes.
  Result<ValueId> emit(std::string_view op, std::vector<ValueId> inputs, kernels::Attributes attributes = {});
  Result<std::vector<ValueId>> emit_many(std::string_view op, std::vector<ValueId> inputs, size_t outputs,
                                         kernels::Attributes attributes = {});
  void declare(ValueId id, kernels::ValueType type) { builder().set_type(id, std::move(type)); }

  // Short forms.
  // Operand i as i64: a vector where it lists axes, else in its own shape.
  Result<ValueId> axes(size_t i);
  Result<ValueId> integers(size_t i);
  Result<ValueId> cast(ValueId id, kernels::DataType type);
  Result<ValueId> to_i64(ValueId id) { return cast(id, kernels::DataType::i64); }
  Result<ValueId> transpose(ValueId id, const std::vector<int64_t>& perm);
  Result<ValueId> reshape(ValueId id, const std::vector<int64_t>& dims);
  Result<ValueId> squeeze(ValueId id, const std::vector<int64_t>& axes);
  Result<ValueId> unsqueeze(ValueId id, const std::vector<int64_t>& axes);
  Result<ValueId> concat(std::vector<ValueId> ids, int64_t axis);
  // Elements [begin, end) of a vector.
  Result<ValueId> part(ValueId vector, int64_t begin, int64_t end);
  // A sequence's type is not inferred: the result of a node that makes one.
  Result<ValueId> emit_sequence(std::string_view op, std::vector<ValueId> inputs, kernels::DataType element,
                                kernels::Attributes attributes = {});

 private:
  ConstantFolding& folding_;
  const NodeDef& def_;
  AttributeEnvironment environment_;
  std::string_view target_;
  std::vector<ValueId> inputs_;
  std::vector<ValueId> results_;
};

}  // namespace tenon::nn::tf
