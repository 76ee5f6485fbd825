// Tensors from files and to files: .npy, .pb (ONNX test data), .png/.jpg, .bin (raw).
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "kernels/image.h"
#include "kernels/tensor.h"

namespace tenon::nn {

using kernels::Result;

// Reads a value for an input of type `wanted`. The file name's end tells the format:
//   .npy          type and shape from its header; C order, little-endian
//   .pb           ONNX TensorProto, or SequenceProto or OptionalProto if `wanted` is one
//   .png .jpg     fitted to [N,C,H,W] or [N,H,W,C] (C is 1 or 3): resized bilinearly, red green blue; u8 gets
//   0…255,
//                 floating point 0…1
//   .bin          raw elements in `wanted`'s type; one dynamic dimension follows from the length
// Errors name the file: not_found, invalid_encoding for damaged files, invalid_argument where it does not fit
// `wanted`.
Result<kernels::Value> read_value(const std::string& path, const kernels::ValueType& wanted);

// The .npy format (numpy.lib.format, versions 1 to 3).
Result<kernels::Tensor> parse_npy(std::span<const std::byte> bytes, std::shared_ptr<const void> owner);
Result<std::string> format_npy(const kernels::Tensor& tensor);

// Raw elements, row-major. Views `bytes`.
Result<kernels::Tensor> parse_raw(std::span<const std::byte> bytes, std::shared_ptr<const void> owner,
                                  const kernels::ValueType& wanted);

// The picture as a tensor for an input of type `wanted`.
Result<kernels::Tensor> picture_tensor(std::span<const std::byte> bytes, const kernels::ValueType& wanted);

// An ONNX test-data message for an input or output of type `wanted`.
Result<kernels::Value> parse_pb(std::span<const std::byte> bytes, std::shared_ptr<const void> owner,
                                const kernels::ValueType& wanted);

// The kernels' element type of a short name as golden.json and tools use it (f32, i64, u8, bool …); undefined
// if none.
kernels::DataType parse_data_type(std::string_view name);

}  // namespace tenon::nn
