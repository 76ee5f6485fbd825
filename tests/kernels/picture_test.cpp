// ImageDecoder: formats that are read, formats that are refused by name, damaged files.
#include "kernels/image.h"
#include "tests/kernels/helpers.h"

namespace tenon::kernels {
namespace {

using namespace testing_support;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Bytes = std::vector<std::uint8_t>;

Bytes bytes_of(std::string_view text) { return {text.begin(), text.end()}; }
constexpr std::string_view kTwoPixels("P6\n2 1\n255\n\x0a\x14\x1e\xff\x00\x80", 17);

Result<Tensor> decode(const Bytes& file, const std::string& format) {
  GraphBuilder b("picture");
  const auto x = *b.input("x", ValueType::tensor(DataType::u8, {Dim::unknown()}));
  TENON_TRY(b.add_output(TENON_TRY(b.node(Op::ImageDecoder, {x}, {{"pixel_format", format}})), "y"));
  const auto graph = TENON_TRY(std::move(b).finish());
  const auto in = tensor<std::uint8_t>({static_cast<std::int64_t>(file.size())}, file);
  return TENON_TRY(run(graph, {in}))[0].tensor;
}

TEST(ImageDecoder, OrderOfChannelsAndGrey) {
  const auto rgb = decode(bytes_of(kTwoPixels), "RGB");
  ASSERT_TRUE(rgb) << rgb.error().message;
  EXPECT_EQ(rgb->dims(), (Dims{1, 2, 3}));
  EXPECT_THAT(values_of<std::uint8_t>(*rgb), ElementsAre(10, 20, 30, 255, 0, 128));
  const auto bgr = decode(bytes_of(kTwoPixels), "BGR");
  ASSERT_TRUE(bgr) << bgr.error().message;
  EXPECT_THAT(values_of<std::uint8_t>(*bgr), ElementsAre(30, 20, 10, 128, 0, 255));
  const auto grey = decode(bytes_of(kTwoPixels), "Grayscale");
  ASSERT_TRUE(grey) << grey.error().message;
  EXPECT_EQ(grey->dims(), (Dims{1, 2, 1}));
  EXPECT_THAT(values_of<std::uint8_t>(*grey), ElementsAre(18, 91));
}

TEST(ImageDecoder, OtherFormatsAreRefusedByName) {
  const std::pair<std::string_view, std::string> cases[] = {{{"RIFF\0\0\0\0WEBPVP8 ", 16}, "WebP"},
                                                            {{"\0\0\0\x0cjP  \r\n\x87\n", 12}, "JPEG 2000"},
                                                            {{"\xff\x4f\xff\x51\0", 5}, "JPEG 2000"},
                                                            {{"II*\0\x08\0\0\0", 8}, "TIFF"},
                                                            {{"MM\0*\0\0\0\x08", 8}, "TIFF"},
                                                            {"GIF89a..", "GIF"},
                                                            {"P4\n8 1\nx", "PBM"},
                                                            {"P3\n1 1\n255\n1 2 3\n", "text PPM"}};
  for (const auto& [file, name] : cases) {
    const auto result = decode(bytes_of(file), "RGB");
    ASSERT_FALSE(result) << name;
    EXPECT_EQ(result.error().code, ErrorCode::unsupported_operation) << name;
    EXPECT_THAT(result.error().message, HasSubstr(name + " pictures are not decoded"));
  }
}

TEST(ImageDecoder, DamagedFilesAreErrors) {
  for (const std::string_view file :
       {std::string_view(), std::string_view("P6"), std::string_view("P6\n65535 65535\n255\n"),
        std::string_view("P6\n-1 4\n255\nxxxx"), std::string_view("P6\n99999999999999 1\n255\nx"),
        std::string_view("\x89PNG\r\n\x1a\n"), std::string_view("\xff\xd8\xff\xe0", 4),
        std::string_view("BM......"), std::string_view("no picture at all")}) {
    const auto result = decode(bytes_of(file), "RGB");
    ASSERT_FALSE(result) << file;
    EXPECT_EQ(result.error().code, ErrorCode::invalid_encoding) << result.error().message;
  }
  EXPECT_FALSE(decode(bytes_of(kTwoPixels), "CMYK"));
  for (std::size_t n = 0; n < kTwoPixels.size(); ++n)
    EXPECT_FALSE(decode(bytes_of(kTwoPixels.substr(0, n)), "RGB")) << n << " bytes";
}

}  // namespace
}  // namespace tenon::kernels
