// Decodes pictures (JPEG, PNG, BMP, binary PGM and PPM) and resizes them. No normalisation.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/error.h"

namespace tenon::kernels {

// Rows from the top, pixels from the left, channels interleaved (1 grey, 3 red green blue).
struct Image {
  int width = 0;
  int height = 0;
  int channels = 0;
  std::vector<uint8_t> pixels;
};

// `channels`: 1 or 3 converts, 0 keeps what the file has (alpha is dropped). Errors: unsupported_operation, by the format's
// name, for pictures in a format that is known but not decoded; invalid_encoding: not a picture, a damaged one, or more than
// 2^26 pixels. `progressive`: JPEGs of that kind too; with damaged ones stb_image has had crashes, so only for files of the host.
Result<Image> decode_image(std::span<const std::byte> bytes, int channels, bool progressive = true);

// The picture at another size, interpolated linearly between pixel centres (edges repeat), in 0…255.
std::vector<float> resize_bilinear(const Image& image, int width, int height);

}  // namespace tenon::kernels
