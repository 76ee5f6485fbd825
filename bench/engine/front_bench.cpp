// Speed of decoding and of validation on real modules: front_bench [--json] FILE.wasm… For each file the best
// of many runs, on one core, in megabytes of function bodies a second: sections without code cost next to
// nothing.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iterator>
#include <memory>
#include <string_view>
#include <vector>

#include "engine/module.h"

namespace {

using namespace tenon;
using Clock = std::chrono::steady_clock;

struct Times {
  double decode = 1e9, both = 1e9;  // seconds
};

// The best of at least 20 runs and half a second.
Times measure(std::span<const u8> bytes, std::shared_ptr<TypeRegistry> registry) {
  Times best;
  const auto run = [&](bool validate) {
    DecodeOptions options;
    options.validate = validate;
    const auto start = Clock::now();
    const auto module = decode_module(registry, bytes, nullptr, options);
    return std::chrono::duration<double>(Clock::now() - start).count() + (module ? 0 : 1e9);
  };
  const auto start = Clock::now();
  for (int i = 0; i < 20 || Clock::now() - start < std::chrono::milliseconds(500); ++i) {
    best.decode = std::min(best.decode, run(false));
    best.both = std::min(best.both, run(true));
  }
  return best;
}

}  // namespace

int main(int argc, char** argv) {
  bool json = false;
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) == "--json") {
      json = true;
      continue;
    }
    std::ifstream in(argv[i], std::ios::binary);
    const std::vector<char> file(std::istreambuf_iterator<char>(in), {});
    const std::span<const u8> bytes(reinterpret_cast<const u8*>(file.data()), file.size());
    auto registry = std::make_shared<TypeRegistry>();
    const auto module = decode_module(registry, bytes, nullptr);
    if (!module) {
      fmt::print(stderr, "{}: {}\n", argv[i], module.error().message);
      return 1;
    }
    double code = 0;
    for (const Function& f : (*module)->functions) code += static_cast<double>(f.body.size());
    const Times t = measure(bytes, registry);
    const double validate = code / 1e6 / (t.both - t.decode);
    if (json) {
      fmt::print(
          "{{\"file\": \"{}\", \"bytes\": {}, \"code_bytes\": {}, \"decode_s\": {:.6f}, "
          "\"decode_validate_s\": {:.6f}, "
          "\"validate_mb_s\": {:.1f}}}\n",
          argv[i], bytes.size(), code, t.decode, t.both, validate);
    } else {
      fmt::print(
          "{}: {:.2f} MB, {:.2f} MB of code; decode {:.2f} ms, with validation {:.2f} ms ({:.0f} MB of code "
          "a second)\n",
          argv[i], static_cast<double>(bytes.size()) / 1e6, code / 1e6, t.decode * 1e3, t.both * 1e3,
          validate);
    }
  }
}
