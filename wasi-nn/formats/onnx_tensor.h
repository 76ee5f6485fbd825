// ONNX TensorProto, SequenceProto, OptionalProto and TypeProto → the kernels' tensors, values and types.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "kernels/tensor.h"
#include "wasi-nn/formats/onnx_proto.h"
#include "wasi-nn/mapped_file.h"

namespace tenon::nn::onnx {

// What raw_data of a message may be viewed in, and where external data may lie.
class TensorSource {
 public:
  // `owner` keeps the decoded bytes alive. `folder` is the only folder whose files external data may name;
  // empty: none may be named (a model that a guest passed as bytes).
  TensorSource(std::shared_ptr<const void> owner, std::string folder, FileAccess access)
      : owner_(std::move(owner)), folder_(std::move(folder)), access_(access) {}

  const std::shared_ptr<const void>& owner() const { return owner_; }
  // The bytes that `entries` (keys location, offset, length) describe, and in `keeper` their owner. Files are
  // opened once. Errors: invalid_encoding for entries that contradict themselves or the file, and what
  // open_below returns.
  Result<std::span<const std::byte>> external(const TensorProto& proto, size_t expected_bytes,
                                              std::shared_ptr<const void>& keeper);

 private:
  std::shared_ptr<const void> owner_;
  std::string folder_;
  FileAccess access_;
  std::map<std::string, std::shared_ptr<const MappedFile>, std::less<>> files_;
};

// The kernels' type of an ONNX TensorProto.DataType; unsupported_operation for those without one (complex,
// float8, int4).
Result<kernels::DataType> to_data_type(int32_t onnx_number);

// Views raw_data and external data in place; other forms are converted into a tensor of their own. Errors
// name the tensor: invalid_encoding when data and dims disagree or dims overflow.
Result<kernels::Tensor> to_tensor(const TensorProto& proto, TensorSource& source);
// A sparse tensor made dense.
Result<kernels::Tensor> to_tensor(const SparseTensorProto& proto, TensorSource& source);
Result<kernels::Value> to_value(const SequenceProto& proto, TensorSource& source);
Result<kernels::Value> to_value(const OptionalProto& proto, TensorSource& source);

// A declared type. Dimensions of -1 are unknown, names become symbols; rank and size overflow are checked.
Result<kernels::ValueType> to_value_type(const TypeProto& proto);

}  // namespace tenon::nn::onnx
