// Model formats: their names and numbers, and how a file's first bytes tell them apart.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "wasi-nn/abi/dialect.h"
#include "wasi-nn/formats/onnx_importer.h"
#include "wasi-nn/formats/tflite_importer.h"

namespace tenon::nn {

enum class Format : uint8_t {
#define NN_FORMAT(name, ...) name,
#include "wasi-nn/formats/formats.def"
#undef NN_FORMAT
};

std::string_view to_string(Format format);
std::optional<Format> parse_format(std::string_view name);

// What the bytes look like; nothing when no format knows them.
std::optional<Format> detect_format(std::span<const std::byte> bytes);

// The format that a guest's graph_encoding means for these bytes. 5 and 6 are autodetect in one numbering and
// ggml in another: unless the dialect says which, both detect. invalid_encoding for other numbers and for bytes
// that nothing recognises.
Result<Format> resolve_encoding(uint32_t encoding, std::span<const std::byte> bytes,
                                const Dialect& spoken = dialect(DialectId::automatic));

// Byte arrays that make a model of this format, at most.
size_t most_arrays(Format format);
// Where the further files of the model at `path` lie, if there are any.
std::vector<std::string> files_beside(Format format, const std::string& path);

// Imports by format; unsupported_operation, naming it, for formats without an importer.
Result<ImportedModel> import_model(Format format, const ModelSource& source);

}  // namespace tenon::nn
