// Speed of decoding and of validation on real modules, and of instantiation: front_bench [--json] FILE.wasm…
// For each file the best of many runs, on one core, in megabytes of function bodies a second: sections without
// code cost next to nothing. Then the time that an instance of a module with 1 MB of data takes.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iterator>
#include <memory>
#include <string_view>
#include <vector>

#include "engine/binary/byte_writer.h"
#include "engine/module.h"
#include "engine/runtime/store.h"

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

// A memory of 32 pages, data in 1 MB of it, a table of 100 functions.
std::vector<u8> module_with_data() {
  constexpr u32 kFunctions = 100, kData = 1 << 20;
  ByteWriter out;
  const auto section = [&](u8 id, const ByteWriter& content) {
    out.byte(id);
    out.sized(content);
  };
  const auto bytes = [](std::initializer_list<u8> list) {
    ByteWriter w;
    for (u8 b : list) w.byte(b);
    return w;
  };
  const auto count = [](u32 n) {
    ByteWriter w;
    w.unsigned_leb(n);
    return w;
  };
  out.append(std::to_array<u8>({0, 'a', 's', 'm', 1, 0, 0, 0}));
  section(1, bytes({1, 0x60, 0, 0}));
  ByteWriter functions = count(kFunctions), elements = bytes({1, 0, 0x41, 0, 0x0b}), code = count(kFunctions);
  elements.unsigned_leb(kFunctions);
  for (u32 i = 0; i < kFunctions; ++i) {
    functions.byte(0);
    elements.unsigned_leb(i);
    code.sized(bytes({0, 0x0b}));
  }
  section(3, functions);
  section(4, bytes({1, 0x70, 0, kFunctions}));
  section(5, bytes({1, 0, 32}));
  section(9, elements);
  section(10, code);
  ByteWriter data = bytes({1, 0, 0x41, 0x80, 0x08, 0x0b});  // at 1024, where linkers begin
  data.unsigned_leb(kData);
  for (u32 i = 0; i < kData; ++i) data.byte(static_cast<u8>(i * 7 + 1));
  section(11, data);
  return std::move(out.bytes);
}

struct InstanceTimes {
  double first, median, with_store;  // microseconds; the last with making and freeing its store
};

std::optional<InstanceTimes> measure_instances() {
  constexpr int kRuns = 1000;
  auto engine = std::make_shared<Engine>();
  const auto module = engine->compile(module_with_data());
  if (!module) return std::nullopt;
  const auto micros = [](auto run) {
    const auto start = Clock::now();
    run();
    return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
  };
  bool ok = true;
  const auto median = [&](auto run) {
    std::vector<double> times;
    for (int i = 0; i < kRuns; ++i) times.push_back(micros(run));
    std::ranges::nth_element(times, times.begin() + kRuns / 2);
    return times[kRuns / 2];
  };
  Store store(engine);
  const auto instantiate = [&](Store& in) { ok &= in.instantiate(*module, {}).has_value(); };
  const double first = micros([&] { instantiate(store); });
  const double each = median([&] { instantiate(store); });
  const double with_store = median([&] {
    Store own(engine);
    instantiate(own);
  });
  return ok ? std::optional(InstanceTimes{first, each, with_store}) : std::nullopt;
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
  const auto t = measure_instances();
  if (!t) return 1;
  fmt::print(
      fmt::runtime(
          json ? "{{\"instantiate_first_us\": {:.1f}, \"instantiate_us\": {:.1f}, "
                 "\"instantiate_and_free_store_us\": {:.1f}}}\n"
               : "an instance with 1 MB of data: the first {:.1f} us, then {:.1f} us; with a store of its "
                 "own and freeing both {:.1f} us\n"),
      t->first, t->median, t->with_store);
}
