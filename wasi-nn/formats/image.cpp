// The one file that holds stb_image's implementation; see image.h.
#include "wasi-nn/formats/image.h"

#include <climits>

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_NO_STDIO
#define STBI_MAX_DIMENSIONS (1 << 16)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Weverything"
#include <stb/stb_image.h>
#pragma clang diagnostic pop

namespace tenon::nn {

kernels::Result<Image> decode_image(std::span<const std::byte> bytes, int channels) {
  constexpr int64_t kMaxPixels = int64_t{1} << 26;
  if (bytes.size() > INT_MAX)
    return kernels::fail(kernels::ErrorCode::invalid_encoding, "picture file of {} bytes is too large",
                         bytes.size());
  const auto* data = reinterpret_cast<const stbi_uc*>(bytes.data());
  const int size = static_cast<int>(bytes.size());
  Image image;
  int in_file = 0;
  if (!stbi_info_from_memory(data, size, &image.width, &image.height, &in_file)) {
    return kernels::fail(kernels::ErrorCode::invalid_encoding, "not a PNG or JPEG picture: {}",
                         stbi_failure_reason());
  }
  if (int64_t{image.width} * image.height > kMaxPixels) {
    return kernels::fail(kernels::ErrorCode::invalid_encoding, "picture of {} × {} pixels is too large",
                         image.width, image.height);
  }
  image.channels = channels != 0 ? channels : (in_file <= 2 ? 1 : 3);
  std::unique_ptr<stbi_uc, decltype(&stbi_image_free)> pixels(
      stbi_load_from_memory(data, size, &image.width, &image.height, &in_file, image.channels),
      &stbi_image_free);
  if (!pixels)
    return kernels::fail(kernels::ErrorCode::invalid_encoding, "damaged picture: {}", stbi_failure_reason());
  const size_t count = size_t(image.width) * size_t(image.height) * size_t(image.channels);
  image.pixels.assign(pixels.get(), pixels.get() + count);
  return image;
}

}  // namespace tenon::nn
