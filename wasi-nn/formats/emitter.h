// Emission of kernels' nodes and constants, for importers of all formats: one foreign node becomes one or several nodes
// with the same source. Knows no file format; checks of operands are GraphBuilder's.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "kernels/graph.h"

namespace tenon::nn {

using kernels::Result;
using kernels::ValueId;

class Emitter {
 public:
  // `source` is the foreign node that messages name. The builder outlives the emitter.
  Emitter(kernels::GraphBuilder& builder, kernels::Source source)
      : builder_(builder), source_(std::move(source)) {}

  // Declared element type, rank and constant contents of a value, where the file tells.
  kernels::DataType element_type(ValueId id) const;
  std::optional<size_t> rank(ValueId id) const;
  // Declared dimensions; nothing unless all are known.
  std::optional<std::vector<int64_t>> known_dims(ValueId id) const;
  const kernels::Tensor* constant(ValueId id) const;

  // New constants.
  Result<ValueId> constant(kernels::Tensor tensor);
  Result<ValueId> int_vector(const std::vector<int64_t>& values);
  Result<ValueId> int_scalar(int64_t value);
  // A scalar with the element type of `like`, rounded to it.
  Result<ValueId> scalar_like(ValueId like, double value);

  // A node with one new output; `op` is a name of ops.def. unsupported_operation if the table has no such row.
  Result<ValueId> emit(std::string_view op, std::vector<ValueId> inputs, kernels::Attributes attributes = {});
  // The operand with its mirror image at both ends of each axis: `pairs` has how many rows in front and behind, for the
  // first axes. The image begins with the edge itself, or with what is next to it. invalid_encoding: negative numbers, and
  // more rows than there are, where that is known.
  Result<ValueId> mirrored(ValueId id, const std::vector<int64_t>& pairs, bool repeats_edge);
  // As `emit`, defining `outputs`.
  Result<void> emit_to(std::vector<ValueId> outputs, std::string_view op, std::vector<ValueId> inputs,
                       kernels::Attributes attributes = {});

  // An error of this node's own; the importer adds its place.
  template <typename... Args>
  static std::unexpected<kernels::Error> invalid(fmt::format_string<Args...> format, Args&&... args) {
    return kernels::fail(kernels::ErrorCode::invalid_encoding, format, std::forward<Args>(args)...);
  }
  template <typename... Args>
  static std::unexpected<kernels::Error> unsupported(fmt::format_string<Args...> format, Args&&... args) {
    return kernels::fail(kernels::ErrorCode::unsupported_operation, format, std::forward<Args>(args)...);
  }

 protected:
  kernels::GraphBuilder& builder() const { return builder_; }
  const kernels::Source& source() const { return source_; }

 private:
  void infer_element_type(ValueId output, ValueId like);

  kernels::GraphBuilder& builder_;
  kernels::Source source_;
};

}  // namespace tenon::nn
