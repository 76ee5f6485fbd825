// The sorted table that TensorFlow keeps the index of a checkpoint in (LevelDB's file format): blocks of key and value with
// shared prefixes, checksums, optionally compressed by Snappy. Knows nothing of what the values mean.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "kernels/error.h"

namespace tenon::nn::tf {

using kernels::Result;

// CRC-32C of bytes, as RFC 3720 defines it.
uint32_t crc32c(std::span<const std::byte> bytes);
// The form in which files store it, so that checksums of data with checksums stay strong.
uint32_t masked_crc32c(std::span<const std::byte> bytes);

// Calls `visit` for every entry in the file's order; key and value are valid during the call. Stops at its first error.
// invalid_encoding, with the offset, for anything that is not a whole and consistent table. Work and memory are at most a
// fixed multiple of the file's size.
using TableVisitor = std::function<Result<void>(std::string_view key, std::span<const std::byte> value)>;
Result<void> read_table(std::span<const std::byte> file, const TableVisitor& visit);

// One Snappy block (https://github.com/google/snappy/blob/main/format_description.txt).
Result<std::string> snappy_uncompress(std::string_view compressed);

}  // namespace tenon::nn::tf
