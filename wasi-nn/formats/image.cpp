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

std::vector<float> resize_bilinear(const Image& image, int width, int height) {
  // Position of an output pixel's centre between two input pixels.
  struct Tap {
    size_t low, high;
    float weight;  // of high
  };
  const auto taps = [](int in, int out) {
    std::vector<Tap> taps;
    for (int i = 0; i < out; ++i) {
      const float centre =
          (static_cast<float>(i) + 0.5f) * static_cast<float>(in) / static_cast<float>(out) - 0.5f;
      const float at = std::clamp(centre, 0.0f, static_cast<float>(in - 1));
      const auto low = static_cast<size_t>(at);
      taps.push_back({low, std::min(low + 1, static_cast<size_t>(in - 1)), at - static_cast<float>(low)});
    }
    return taps;
  };
  const auto columns = taps(image.width, width);
  const auto rows = taps(image.height, height);
  const auto channels = static_cast<size_t>(image.channels);
  const auto pixel = [&](size_t y, size_t x, size_t c) {
    return static_cast<float>(image.pixels[(y * static_cast<size_t>(image.width) + x) * channels + c]);
  };
  std::vector<float> out;
  out.reserve(rows.size() * columns.size() * channels);
  for (const Tap& y : rows) {
    for (const Tap& x : columns) {
      for (size_t c = 0; c < channels; ++c) {
        const float top = pixel(y.low, x.low, c) * (1 - x.weight) + pixel(y.low, x.high, c) * x.weight;
        const float bottom = pixel(y.high, x.low, c) * (1 - x.weight) + pixel(y.high, x.high, c) * x.weight;
        out.push_back(top * (1 - y.weight) + bottom * y.weight);
      }
    }
  }
  return out;
}

}  // namespace tenon::nn
