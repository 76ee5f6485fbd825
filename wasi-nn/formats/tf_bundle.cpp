// Entries of the index → tensors; see tf_bundle.h.
#include "wasi-nn/formats/tf_bundle.h"

#include "wasi-nn/formats/tf_table.h"
#include "wasi-nn/formats/tf_tensor.h"

namespace tenon::nn::tf {

using kernels::ErrorCode;
using kernels::fail;

// TensorFlow itself writes a handful at most.
constexpr int32_t kMaxShards = 1 << 16;

Result<TensorBundle> TensorBundle::read(std::span<const std::byte> index, OpenShard open) {
  TensorBundle bundle;
  bundle.open_ = std::move(open);
  bool has_header = false;
  TENON_TRY(read_table(index, [&](std::string_view key, std::span<const std::byte> value) -> Result<void> {
    if (!key.empty()) return bundle.add(key, value);
    const auto header = TENON_TRY(decode_bundle_header(value));
    if (header.endianness != 0) return fail(ErrorCode::unsupported_operation, "big-endian tensor data");
    if (header.num_shards < 1 || header.num_shards > kMaxShards) {
      return fail(ErrorCode::invalid_encoding, "{} data files", header.num_shards);
    }
    bundle.shards_ = header.num_shards;
    has_header = true;
    return {};
  }));
  if (!has_header) return fail(ErrorCode::invalid_encoding, "the header is missing");
  return bundle;
}

Result<void> TensorBundle::add(std::string_view key, std::span<const std::byte> value) {
  const auto proto = TENON_TRY(decode_bundle_entry(value));
  Entry entry{.dtype = proto.dtype,
              .dims = {},
              .shard = proto.shard_id,
              .offset = proto.offset,
              .size = proto.size,
              .crc = proto.crc32c.value,
              .sliced = !proto.slices.empty()};
  for (const DimProto& dim : proto.shape.dim) entry.dims.push_back(dim.size);
  entries_.insert_or_assign(std::string(key), std::move(entry));
  return {};
}

Result<FileBytes> TensorBundle::shard(int32_t number) {
  if (number < 0 || number >= shards_) {
    return fail(ErrorCode::invalid_encoding, "data file {} of {}", number, shards_);
  }
  const auto it = files_.find(number);
  if (it != files_.end()) return it->second;
  return files_.emplace(number, TENON_TRY(open_(number, shards_))).first->second;
}

Result<kernels::Tensor> TensorBundle::tensor(std::string_view key) {
  const auto it = entries_.find(key);
  if (it == entries_.end()) return fail(ErrorCode::not_found, "no variable '{}' is stored", key);
  const Entry& entry = it->second;
  const auto at_variable = [&](kernels::Error error) {
    return std::unexpected(kernels::with_place(std::move(error), fmt::format("variable '{}'", key)));
  };
  const auto load = [&]() -> Result<kernels::Tensor> {
    if (entry.sliced) return fail(ErrorCode::unsupported_operation, "it is stored in slices");
    const auto type = TENON_TRY(to_data_type(entry.dtype));
    if (type == kernels::DataType::string) {
      return fail(ErrorCode::unsupported_operation, "variables of strings are not supported");
    }
    const auto dims = kernels::Dims::from(entry.dims);
    if (!dims) return fail(ErrorCode::invalid_encoding, "{}", dims.error().message);
    const size_t size = TENON_TRY(kernels::byte_size(type, *dims));
    const FileBytes file = TENON_TRY(shard(entry.shard));
    const auto offset = static_cast<uint64_t>(entry.offset);
    if (entry.size < 0 || static_cast<uint64_t>(entry.size) != size) {
      return fail(ErrorCode::invalid_encoding, "{} bytes are stored; {} {} takes {}", entry.size,
                  to_string(type), to_string(*dims), size);
    }
    if (entry.offset < 0 || offset > file.bytes.size() || size > file.bytes.size() - offset) {
      return fail(ErrorCode::invalid_encoding, "{} bytes at {} of a data file of {}", size, entry.offset,
                  file.bytes.size());
    }
    const auto bytes = file.bytes.subspan(offset, size);
    if (masked_crc32c(bytes) != entry.crc)
      return fail(ErrorCode::invalid_encoding, "its data have a wrong checksum");
    return kernels::Tensor::view(type, *dims, bytes, file.owner);
  };
  auto tensor = load();
  return tensor ? std::move(tensor) : at_variable(std::move(tensor).error());
}

}  // namespace tenon::nn::tf
