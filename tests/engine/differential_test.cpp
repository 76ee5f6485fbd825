// Random valid modules from binaryen's `wasm-opt --translate-to-fuzz` run here and in node (V8): the same
// results, traps, logged values and memory. TENON_DIFFERENTIAL_SEEDS says how many (default 25).
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "engine/runtime/store.h"

namespace tenon {
namespace {

namespace fs = std::filesystem;

std::optional<std::string> output_of(const std::string& command) {
  FILE* pipe = popen(command.c_str(), "r");
  if (!pipe) return std::nullopt;
  std::string out;
  char buffer[4096];
  while (const size_t n = fread(buffer, 1, sizeof buffer, pipe)) out.append(buffer, n);
  return pclose(pipe) == 0 ? std::optional(out) : std::nullopt;
}

const char* type_name(ValType t) {
  switch (t.kind()) {
    case ValKind::i32: return "i32";
    case ValKind::i64: return "i64";
    case ValKind::f32: return "f32";
    case ValKind::f64: return "f64";
    default: return nullptr;
  }
}

std::string show(const Slot& s, ValType t) {
  if (t == kF32) return s.f32_ != s.f32_ ? "nan" : fmt::format("{}", s.u32_);
  if (t == kF64) return s.f64_ != s.f64_ ? "nan" : fmt::format("{}", s.u64_);
  return t == kI32 ? fmt::format("{}", s.u32_) : fmt::format("{}", s.u64_);
}

bool in_js(const FuncType& t) {
  for (const auto* list : {&t.params, &t.results})
    for (ValType v : *list)
      if (!type_name(v)) return false;
  return true;
}

// The exported functions that JavaScript can call, and their types as JSON.
struct Signatures {
  std::vector<std::pair<std::string, const FuncType*>> functions;
  std::string json = "[";
  explicit Signatures(const Module& module) {
    auto list = [](const std::vector<ValType>& types) {
      std::string s;
      for (ValType t : types) s += fmt::format("{}\"{}\"", s.empty() ? "" : ",", type_name(t));
      return "[" + s + "]";
    };
    for (const Export& e : module.exports) {
      if (e.kind != ExternKind::func || e.name == "hangLimitInitializer") continue;
      const FuncType& type = module.func_type(FuncIdx{e.index});
      if (!in_js(type)) continue;
      json += fmt::format("{}[\"{}\",{},{}]", functions.empty() ? "" : ",", e.name, list(type.params),
                          list(type.results));
      functions.emplace_back(e.name, &type);
    }
    json += "]";
  }
};

// The same text that differential.js prints.
std::string run_here(std::shared_ptr<Engine> engine, std::shared_ptr<const Module> module,
                     const Signatures& signatures) {
  std::string out;
  Store store(engine);
  std::vector<Extern> imports;
  for (const Import& import : module->imports) {
    const TypeId type = std::get<TypeId>(import.type);
    const ValType param = store.types().get(type).func()->params.at(0);
    imports.push_back(store.new_host_func(type, [&out, param](Store& s, std::span<Slot> slots) {
      if (param == kV128) return s.raise(TrapCode::host_error, "v128");
      out += "log " + show(slots[0], param) + "\n";
      return Status::ok;
    }));
  }
  auto instance = store.instantiate(module, imports);
  if (!instance) return "no instance \n";
  auto find = [&](const std::string& name) {
    const auto e = (*instance)->find_export(name);
    return e ? std::get<FuncRef*>(*e) : nullptr;
  };
  FuncRef* limit = find("hangLimitInitializer");
  for (const auto& [name, type] : signatures.functions) {
    std::vector<Slot> slots(std::max<u32>({type->param_slots, type->result_slots, 1}));
    if (limit) store.call(limit, slots.data());
    for (Slot& s : slots) s.u64_ = 0;
    if (store.call(find(name), slots.data()) != Status::ok) {
      out += name + " trap\n";
      continue;
    }
    std::string values;
    for (size_t i = 0; i < type->results.size(); ++i)
      values += (i ? " " : "") + show(slots[i], type->results[i]);
    out += name + " ok " + values + "\n";
  }
  return out;
}

TEST(Differential, RandomModulesBehaveAsInV8) {
  if (!output_of("wasm-opt --version && node --version"))
    GTEST_SKIP() << "wasm-opt (binaryen) or node is not there";
  const char* wanted = std::getenv("TENON_DIFFERENTIAL_SEEDS");
  const char* first = std::getenv("TENON_DIFFERENTIAL_FIRST");
  const u32 from = first ? static_cast<u32>(std::atoi(first)) : 1,
            seeds = wanted ? static_cast<u32>(std::atoi(wanted)) : 25;
  const fs::path dir = fs::temp_directory_path() / fmt::format("tenon-differential-{}", getpid());
  fs::create_directories(dir);
  u32 compared = 0;
  for (u32 seed = from; seed < from + seeds; ++seed) {
    std::mt19937 random(seed);
    std::ofstream bytes(dir / "seed", std::ios::binary);
    const u32 size = 500 + random() % 8000;
    for (u32 i = 0; i < size; ++i) bytes.put(static_cast<char>(random()));
    bytes.close();
    const std::string file = (dir / "m.wasm").string();
    if (!output_of(fmt::format("wasm-opt --translate-to-fuzz {} --enable-simd --enable-bulk-memory "
                               "--enable-sign-ext --enable-nontrapping-float-to-int --enable-multivalue "
                               "--denan -O{} -o {} 2>/dev/null",
                               (dir / "seed").string(), seed % 3, file)))
      continue;
    std::ifstream in(file, std::ios::binary);
    const std::vector<u8> wasm((std::istreambuf_iterator<char>(in)), {});
    auto engine = std::make_shared<Engine>();
    auto module = engine->compile(wasm);
    ASSERT_TRUE(module) << "seed " << seed << ": " << module.error().message;
    const Signatures signatures(**module);
    const auto js = output_of(
        fmt::format("node {}/tests/engine/differential.js {} '{}'", TENON_SOURCE_DIR, file, signatures.json));
    ASSERT_TRUE(js) << "seed " << seed;
    if (js->starts_with("no instance W")) continue;  // V8 refuses what binaryen made
    ASSERT_EQ(run_here(engine, *module, signatures), *js) << "seed " << seed << ", kept in " << dir;
    ++compared;
  }
  fs::remove_all(dir);
  EXPECT_GT(compared, seeds / 2);
}

}  // namespace
}  // namespace tenon
