// ImageDecoder: a file of one picture becomes its pixels. The picture's size is known when it is decoded.
#include "kernels/image.h"
#include "kernels/interpreter.h"
#include "kernels/ops/families.h"

namespace tenon::kernels {
namespace {

// ITU-R 601 in 16 fractional bits, as Pillow has it, with which ONNX's expected values were made.
std::uint8_t grey(const std::uint8_t* rgb) {
  return static_cast<std::uint8_t>((rgb[0] * 19595u + rgb[1] * 38470u + rgb[2] * 7471u + 0x8000u) >> 16);
}

Result<void> decode(ValueCall& call) {
  const auto& file = call.in[0]->tensor;
  const auto& format = call.node.text("pixel_format");
  if (format != "RGB" && format != "BGR" && format != "Grayscale")
    return fail(ErrorCode::unsupported_operation, "pixel_format '{}'", format);
  if (file.dims().size() != 1)
    return fail(ErrorCode::invalid_argument, "a picture's file is a list of bytes, not {}",
                to_string(file.dims()));
  const auto image = TENON_TRY(decode_image(file.bytes(), 3, false));
  const std::int64_t channels = format == "Grayscale" ? 1 : 3;
  auto out = TENON_TRY(Tensor::allocate(DataType::u8, {image.height, image.width, channels},
                                        call.interpreter.options().limits.max_tensor_bytes));
  auto* to = reinterpret_cast<std::uint8_t*>(out.mutable_data());
  const auto pixels = static_cast<std::size_t>(image.height) * static_cast<std::size_t>(image.width);
  for (std::size_t i = 0; i < pixels; ++i) {
    const auto* rgb = image.pixels.data() + 3 * i;
    if (channels == 1) {
      to[i] = grey(rgb);
    } else {
      const bool reversed = format == "BGR";
      for (std::size_t c = 0; c < 3; ++c) to[3 * i + c] = rgb[reversed ? 2 - c : c];
    }
  }
  call.out[0] = Value::of(std::move(out));
  return {};
}

}  // namespace

KernelResult fast::picture(const LowerContext&) { return value_kernel_of("stb_image", decode); }

}  // namespace tenon::kernels
