// `tenon wat2wasm` and `tenon wasm2wat`: between text and binary format, without validating. Developers'
// commands: they use the engine's internals.
#include <fmt/format.h>

#include <optional>

#include "engine/text/printer.h"
#include "engine/text/wat.h"
#include "files.h"
#include "options.h"

namespace tenon::cli {
namespace {

struct Files {
  std::string in, out;
};

std::optional<int> read_options(const Args& args, const char* name, const char* what, Files& files) {
  CLI::App app(what, name);
  app.add_option("IN", files.in, "the module to translate")->required();
  app.add_option("-o,--output", files.out, "where the result goes");
  return parse(app, args);
}

// IN with .wasm for its ending.
std::string binary_name(const std::string& in) {
  const size_t dot = in.rfind('.');
  return (dot == std::string::npos || in.find('/', dot) != std::string::npos ? in : in.substr(0, dot)) +
         ".wasm";
}

}  // namespace

int wat2wasm(const Args& args) {
  Files files;
  if (const auto status =
          read_options(args, "tenon wat2wasm", "Text to binary; without -o, IN.wat gives IN.wasm.", files))
    return *status;
  const auto source = read_file(files.in);
  if (!source) return kFailed;
  const auto binary = text::wat_to_wasm(*source);
  if (!binary) {
    complain(fmt::format("{}: {}", files.in, binary.error().message));
    return kFailed;
  }
  return write_file(files.out.empty() ? binary_name(files.in) : files.out,
                    {reinterpret_cast<const char*>(binary->data()), binary->size()});
}

int wasm2wat(const Args& args) {
  Files files;
  if (const auto status =
          read_options(args, "tenon wasm2wat", "Binary to text; without -o, to standard output.", files))
    return *status;
  const auto bytes = read_file(files.in);
  if (!bytes) return kFailed;
  const auto text = text::wasm_to_wat({reinterpret_cast<const u8*>(bytes->data()), bytes->size()});
  if (!text) {
    complain(fmt::format("{}: {} (at byte {:#x})", files.in, text.error().message,
                         text.error().offset.value_or(0)));
    return kFailed;
  }
  if (!files.out.empty()) return write_file(files.out, *text);
  return std::fwrite(text->data(), 1, text->size(), stdout) == text->size() ? 0 : kFailed;
}

}  // namespace tenon::cli
