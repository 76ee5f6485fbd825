// The table of formats; see detect.h.
#include "wasi-nn/formats/detect.h"

#include "wasi-nn/formats/openvino_importer.h"
#include "wasi-nn/formats/tf_importer.h"
#include "wasi-nn/formats/tf_proto.h"

namespace tenon::nn {
namespace {

using kernels::ErrorCode;
using kernels::fail;

bool starts(std::span<const std::byte> bytes, std::string_view magic, size_t at = 0) {
  return bytes.size() >= at + magic.size() && std::memcmp(bytes.data() + at, magic.data(), magic.size()) == 0;
}

bool is_xml(std::span<const std::byte> bytes) {
  size_t at = starts(bytes, "\xef\xbb\xbf") ? 3 : 0;  // a byte order mark
  while (at < bytes.size() && std::string_view(" \t\r\n").contains(static_cast<char>(bytes[at]))) ++at;
  return starts(bytes, "<?xml", at) || starts(bytes, "<net", at);
}
bool is_zip(std::span<const std::byte> bytes) { return starts(bytes, "PK\x03\x04"); }
bool is_flatbuffer(std::span<const std::byte> bytes) { return starts(bytes, "TFL3", 4); }
bool is_gguf(std::span<const std::byte> bytes) { return starts(bytes, "GGUF"); }
// ModelProto begins with ir_version (field 1, varint), a small number; so does SavedModel, with its schema's. GraphDef
// begins with a node (field 1, length-delimited). The next field's tag is never 0, as it is where a FlatBuffer begins with
// the offset 8.
bool is_onnx(std::span<const std::byte> bytes) {
  return bytes.size() > 2 && bytes[0] == std::byte{0x08} && bytes[1] < std::byte{0x40} &&
         bytes[2] != std::byte{0} && !tf::looks_like_saved_model(bytes);
}
bool is_tensorflow(std::span<const std::byte> bytes) {
  return starts(bytes, "\x0a") || tf::looks_like_saved_model(bytes);
}

std::vector<std::string> nothing(const std::string&) { return {}; }
// model.xml → model.bin
std::vector<std::string> weights_beside(const std::string& path) {
  const size_t dot = path.rfind('.');
  const size_t slash = path.rfind('/');
  const bool has_suffix = dot != path.npos && (slash == path.npos || dot > slash);
  return {path.substr(0, has_suffix ? dot : path.size()) + ".bin"};
}

using Importer = Result<ImportedModel> (*)(const ModelSource&);
constexpr Importer none = nullptr;

struct Row {
  Format format;
  std::string_view name;
  uint32_t number;
  Importer importer;
  bool (*tell)(std::span<const std::byte>);
  size_t arrays;
  std::vector<std::string> (*beside)(const std::string&);
};

constexpr Row kRows[] = {
#define NN_FORMAT(name, number, importer, tell, arrays, beside) \
  {Format::name, #name, number, importer, tell, arrays, beside},
#include "wasi-nn/formats/formats.def"
#undef NN_FORMAT
};

bool is_autodetect(uint32_t encoding, const Dialect& spoken) {
  return spoken.autodetect == kEitherNumber ? encoding == 5 || encoding == 6 : encoding == spoken.autodetect;
}

}  // namespace

std::string_view to_string(Format format) { return kRows[static_cast<size_t>(format)].name; }

std::optional<Format> parse_format(std::string_view name) {
  for (const Row& row : kRows) {
    if (row.name == name) return row.format;
  }
  return std::nullopt;
}

std::optional<Format> detect_format(std::span<const std::byte> bytes) {
  for (const Row& row : kRows) {
    if (row.tell(bytes)) return row.format;
  }
  return std::nullopt;
}

Result<Format> resolve_encoding(uint32_t encoding, std::span<const std::byte> bytes, const Dialect& spoken) {
  if (encoding == spoken.ggml) return Format::ggml;
  if (is_autodetect(encoding, spoken)) {
    if (const auto format = detect_format(bytes)) return *format;
    return fail(ErrorCode::invalid_encoding, "autodetect: the bytes are of no known model format");
  }
  for (const Row& row : kRows) {
    if (row.number == encoding) return row.format;
  }
  return fail(ErrorCode::invalid_encoding, "graph encoding {} is not defined", encoding);
}

size_t most_arrays(Format format) { return kRows[static_cast<size_t>(format)].arrays; }

std::vector<std::string> files_beside(Format format, const std::string& path) {
  return kRows[static_cast<size_t>(format)].beside(path);
}

Result<ImportedModel> import_model(Format format, const ModelSource& source) {
  const Row& row = kRows[static_cast<size_t>(format)];
  if (row.importer) return row.importer(source);
  return fail(ErrorCode::unsupported_operation, "{}: graph encoding '{}' is not supported yet", source.file,
              row.name);
}

}  // namespace tenon::nn
