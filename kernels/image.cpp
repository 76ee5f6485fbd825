// The one file that holds stb_image's implementation; see image.h.
#include "kernels/image.h"

#include <climits>

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_ONLY_BMP
#define STBI_NO_STDIO
#define STBI_MAX_DIMENSIONS (1 << 16)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Weverything"
#include <stb/stb_image.h>
#pragma clang diagnostic pop

namespace tenon::kernels {
namespace {

struct Format {
  std::string_view name, magic;
  std::size_t at = 0;
};
// First bytes of formats that are not decoded, so that they are refused by name.
constexpr Format kUnsupported[] = {{"WebP", "WEBP", 8},
                                   {"JPEG 2000", std::string_view("\0\0\0\x0cjP  ", 8)},
                                   {"JPEG 2000", "\xff\x4f\xff\x51"},
                                   {"TIFF", std::string_view("II*\0", 4)},
                                   {"TIFF", std::string_view("MM\0*", 4)},
                                   {"GIF", "GIF8"},
                                   {"PBM", "P1"},
                                   {"text PGM", "P2"},
                                   {"text PPM", "P3"},
                                   {"PBM", "P4"}};

std::string_view unsupported_format(std::span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  for (const auto& format : kUnsupported) {
    if (text.size() > format.at && text.substr(format.at).starts_with(format.magic)) return format.name;
  }
  return {};
}

constexpr std::int64_t kMaxPixels = std::int64_t{1} << 26;

Result<void> check_size(std::int64_t width, std::int64_t height) {
  if (width > 0 && height > 0 && width <= kMaxPixels / height) return {};
  return fail(ErrorCode::invalid_encoding, "picture of {} × {} pixels: empty or too large", width, height);
}

// PGM (P5) and PPM (P6) with 8-bit samples. stb_image hands out memory as it finds it where such a file ends early.
class Portable {
 public:
  explicit Portable(std::string_view text) : text_(text) {}

  static bool knows(std::string_view text) { return text.starts_with("P5") || text.starts_with("P6"); }

  Result<Image> decode(int channels) {
    const bool colour = text_[1] == '6';
    at_ = 2;
    const auto width = TENON_TRY(number()), height = TENON_TRY(number()), most = TENON_TRY(number());
    TENON_TRY(check_size(width, height));
    if (most < 1 || most > 255)
      return fail(ErrorCode::unsupported_operation, "pictures with samples up to {} are not decoded", most);
    ++at_;  // one blank before the samples
    Image image;
    image.width = static_cast<int>(width);
    image.height = static_cast<int>(height);
    image.channels = channels != 0 ? channels : colour ? 3 : 1;
    const auto pixels = static_cast<std::size_t>(width * height);
    const std::size_t each = colour ? 3 : 1;
    if (at_ > text_.size() || text_.size() - at_ < pixels * each)
      return fail(ErrorCode::invalid_encoding, "damaged picture: {} bytes for {} × {} pixels", text_.size(),
                  width, height);
    const auto sample = [&](std::size_t i) {
      const auto value =
          std::min<unsigned>(static_cast<unsigned char>(text_[at_ + i]), static_cast<unsigned>(most));
      return static_cast<std::uint8_t>(value * 255 / static_cast<unsigned>(most));
    };
    for (std::size_t i = 0; i < pixels; ++i) {
      const auto r = sample(i * each), g = sample(i * each + each / 3), b = sample(i * each + each - 1);
      if (image.channels == 1) {
        // As stb_image does for other formats.
        image.pixels.push_back(static_cast<std::uint8_t>((r * 77 + g * 150 + b * 29) >> 8));
      } else {
        image.pixels.insert(image.pixels.end(), {r, g, b});
      }
    }
    return image;
  }

 private:
  // The next number, after blanks and comments.
  Result<std::int64_t> number() {
    constexpr std::int64_t kMost = 1 << 27;
    for (;; ++at_) {
      if (at_ < text_.size() && text_[at_] == '#') at_ = std::min(text_.find('\n', at_), text_.size());
      if (at_ >= text_.size() || std::string_view(" \t\n\v\f\r").find(text_[at_]) == std::string_view::npos)
        break;
    }
    std::int64_t value = 0;
    const auto first = at_;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_)
      value = std::min(value * 10 + (text_[at_] - '0'), kMost);
    if (at_ == first)
      return fail(ErrorCode::invalid_encoding, "damaged picture: a number is missing in its head");
    return value;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

// The frame header of a JPEG says so: SOF0 and SOF1 are sequential.
bool is_progressive(std::span<const std::byte> bytes) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned>(bytes[i]); };
  if (bytes.size() < 4 || at(0) != 0xff || at(1) != 0xd8) return false;
  for (std::size_t i = 2; i + 3 < bytes.size();) {
    if (at(i) != 0xff) return true;  // not one segment after the other: nothing for stb_image either
    const auto marker = at(i + 1);
    if (marker == 0xff) {
      ++i;
      continue;
    }
    if (marker == 0xc0 || marker == 0xc1) return false;
    if (marker == 0xc2 || marker == 0xda) return true;
    i += 2 + (at(i + 2) << 8 | at(i + 3));
  }
  return true;
}

}  // namespace

Result<Image> decode_image(std::span<const std::byte> bytes, int channels, bool progressive) {
  if (const auto format = unsupported_format(bytes); !format.empty())
    return fail(ErrorCode::unsupported_operation, "{} pictures are not decoded", format);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (Portable::knows(text)) return Portable(text).decode(channels);
  if (bytes.size() > INT_MAX)
    return fail(ErrorCode::invalid_encoding, "picture file of {} bytes is too large", bytes.size());
  const auto* data = reinterpret_cast<const stbi_uc*>(bytes.data());
  const int size = static_cast<int>(bytes.size());
  Image image;
  int in_file = 0;
  if (!stbi_info_from_memory(data, size, &image.width, &image.height, &in_file)) {
    return fail(ErrorCode::invalid_encoding, "not a JPEG, PNG, BMP, PGM or PPM picture: {}",
                stbi_failure_reason());
  }
  TENON_TRY(check_size(image.width, image.height));
  if (!progressive && is_progressive(bytes))
    return fail(ErrorCode::unsupported_operation, "progressive JPEG pictures are not decoded");
  image.channels = channels != 0 ? channels : (in_file <= 2 ? 1 : 3);
  std::unique_ptr<stbi_uc, decltype(&stbi_image_free)> pixels(
      stbi_load_from_memory(data, size, &image.width, &image.height, &in_file, image.channels),
      &stbi_image_free);
  if (!pixels) return fail(ErrorCode::invalid_encoding, "damaged picture: {}", stbi_failure_reason());
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

}  // namespace tenon::kernels
