// Variables of a SavedModel: a tensor bundle, which is an index (tf_table.h) and files of raw tensor data.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "kernels/tensor.h"
#include "wasi-nn/formats/tf_proto.h"

namespace tenon::nn::tf {

// Bytes of a file and who keeps them.
struct FileBytes {
  std::span<const std::byte> bytes;
  std::shared_ptr<const void> owner;
};

class TensorBundle {
 public:
  // Gives data file `shard` of `count`; asked once for each that is needed.
  using OpenShard = std::function<Result<FileBytes>(int32_t shard, int32_t count)>;

  // Reads the whole index; no data. invalid_encoding when it is damaged or of another byte order.
  static Result<TensorBundle> read(std::span<const std::byte> index, OpenShard open);

  bool contains(std::string_view key) const { return entries_.contains(key); }
  size_t size() const { return entries_.size(); }

  // The tensor, viewed in place, after its place, size and checksum were checked. not_found for an unknown key;
  // unsupported_operation for strings and for variables stored in slices.
  Result<kernels::Tensor> tensor(std::string_view key);

 private:
  struct Entry {
    int32_t dtype = 0;
    std::vector<int64_t> dims;
    int32_t shard = 0;
    int64_t offset = 0;
    int64_t size = 0;
    uint32_t crc = 0;
    bool sliced = false;
  };

  Result<void> add(std::string_view key, std::span<const std::byte> value);
  Result<FileBytes> shard(int32_t number);

  OpenShard open_;
  int32_t shards_ = 0;
  std::map<std::string, Entry, std::less<>> entries_;
  std::map<int32_t, FileBytes> files_;
};

}  // namespace tenon::nn::tf
