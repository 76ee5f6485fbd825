// The official WASI tests (wasi-testsuite/ in the test data): each module runs as its JSON file says, on a
// fresh copy of its directory, with each engine and each way of resolving paths.
#include <fcntl.h>

#include <nlohmann/json.hpp>

#include "engine/native/native_tier.h"
#include "engine/runtime/jit_plugin.h"
#include "engine/runtime/linker.h"
#include "engine/runtime/plugin.h"
#include "wasi/threads.h"
#include "wasi/unique_fd.h"
#include "wasi_fixture.h"

namespace tenon::wasi {
namespace {

namespace fs = std::filesystem;

fs::path suite_folder() {
  const char* env = std::getenv("TENON_TEST_DATA");
  return (env ? fs::path(env) : fs::path(TENON_SOURCE_DIR) / "../shared/data") / "wasi-testsuite";
}

std::vector<fs::path> suite_modules(std::initializer_list<const char*> folders) {
  std::vector<fs::path> out;
  for (const char* folder : folders) {
    std::error_code missing;
    for (const auto& e : fs::directory_iterator(suite_folder() / folder, missing))
      if (e.path().extension() == ".wasm") out.push_back(e.path());
  }
  std::ranges::sort(out);
  return out;
}

std::vector<fs::path> preview1_modules() { return suite_modules({"assemblyscript", "c", "rust"}); }
std::vector<fs::path> threads_modules() { return suite_modules({"threads"}); }

std::string read_all(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

// What a test's JSON file asks for and expects; see ORIGIN.md beside the tests.
struct SuiteCase {
  std::vector<std::string> args, dirs;
  std::vector<std::pair<std::string, std::string>> env;
  i32 exit_code = 0;
  std::optional<std::string> out, err;

  static SuiteCase load(fs::path wasm) {
    SuiteCase c;
    c.args.push_back(wasm.filename());
    const fs::path json_file = wasm.replace_extension(".json");
    if (!fs::exists(json_file)) return c;
    const auto json = nlohmann::json::parse(read_all(json_file));
    for (const auto& arg : json.value("args", nlohmann::json::array())) c.args.push_back(arg);
    for (const auto& dir : json.value("dirs", nlohmann::json::array())) c.dirs.push_back(dir);
    const auto env = json.value("env", nlohmann::json::object());
    for (const auto& [key, value] : env.items()) c.env.emplace_back(key, value);
    c.exit_code = json.value("exit_code", 0);
    if (json.contains("stdout")) c.out = json["stdout"];
    if (json.contains("stderr")) c.err = json["stderr"];
    return c;
  }
};

void remove_cleanup(const fs::path& dir) {
  std::vector<fs::path> doomed;
  for (const auto& e : fs::recursive_directory_iterator(dir))
    if (e.path().extension() == ".cleanup") doomed.push_back(e.path());
  for (const fs::path& path : doomed) fs::remove_all(path);
}

struct SuiteParam {
  fs::path wasm;
  std::string engine;
  PathResolution resolution;
};
void PrintTo(const SuiteParam& p, std::ostream* out) { *out << p.wasm.filename().string(); }

// The plugin lies in the build folder, not beside the tests.
Result<const JitPlugin*> jit() {
  auto functions = load_plugin(TENON_BINARY_DIR "/tenon-jit.so", "jit");
  if (!functions) return std::unexpected(functions.error());
  return static_cast<const JitPlugin*>(*functions);
}

class OfficialSuite : public ::testing::TestWithParam<SuiteParam> {
 protected:
  // Exit code, or 134 with the error's text in error_.
  i32 run(WasiConfig config) {
    const std::string bytes = read_all(GetParam().wasm);
    EngineOptions options;
    options.tier = EngineOptions::Tier::interp;
    const auto engine = std::make_shared<Engine>(options);
    auto module = engine->compile({reinterpret_cast<const u8*>(bytes.data()), bytes.size()});
    if (!module) return fail(module.error());
    config.cancellable = wants_threads(**module);
    auto context = make_wasi_context(std::move(config));
    if (!context) return fail(context.error());
    const auto prepare = [&](Store& store) { return set_compiler(store); };
    if (wants_threads(**module)) {
      auto code = ThreadGroup(engine, *module, **context, {.prepare = prepare}).run();
      return code ? *code : fail(code.error());
    }
    return run_single(engine, *module, **context);
  }
  i32 run_single(const std::shared_ptr<Engine>& engine, const std::shared_ptr<const Module>& module,
                 WasiContext& context) {
    Store store(engine);
    if (auto ready = set_compiler(store); !ready) return fail(ready.error());
    Linker linker;
    for (const HostFuncDesc& desc : wasi_functions()) linker.define(desc, &context);
    auto instance = linker.instantiate(store, module);
    if (!instance) return fail(instance.error());
    const auto start = (*instance)->find_export("_start");
    if (!start) return fail({ErrorCategory::not_found, "no _start", {}});
    Slot slots[4]{};
    const Status status = store.call(std::get<FuncRef*>(*start), slots);
    if (status == Status::ok) return 0;
    if (status == Status::exit) return store.trap().exit_code;
    return fail(store.trap_error(status));
  }
  static Result<void> set_compiler(Store& store) {
    if (GetParam().engine != "jit") return {};
    NativeOptions options;
    options.interrupts = true;
    options.compile = (*jit())->compile;
    store.set_compiler(std::make_unique<NativeTier>(store, options));
    return {};
  }
  i32 fail(const Error& error) {
    error_ = error.message;
    return 134;
  }
  std::string error_;
};

TEST_P(OfficialSuite, Passes) {
  if (GetParam().engine == "jit" && !jit()) GTEST_SKIP() << "no JIT: " << jit().error().message;
  const SuiteCase test = SuiteCase::load(GetParam().wasm);
  const TempDir temp;
  std::string out, err;
  int silence[2];  // a standard input on which reading blocks
  ASSERT_EQ(::pipe2(silence, O_CLOEXEC), 0);
  const UniqueFd ends[] = {UniqueFd(silence[0]), UniqueFd(silence[1])};
  WasiConfig config;
  config.args = test.args;
  config.env = test.env;
  config.path_resolution = GetParam().resolution;
  config.stdin_ = StdioFd{silence[0]};
  config.stdout_ = &out;
  config.stderr_ = &err;
  for (const std::string& dir : test.dirs) {
    fs::copy(GetParam().wasm.parent_path() / dir, temp.path() / dir, fs::copy_options::recursive);
    fs::permissions(temp.path() / dir, fs::perms::owner_all, fs::perm_options::add);
    remove_cleanup(temp.path() / dir);
    config.preopens.push_back({(temp.path() / dir).string(), dir});
  }
  const i32 exit_code = run(std::move(config));
  EXPECT_EQ(exit_code, test.exit_code) << error_ << "\n" << out << err;
  if (test.out) EXPECT_EQ(out, *test.out);
  if (test.err) EXPECT_EQ(err, *test.err);
}

std::vector<SuiteParam> suite_params() {
  std::vector<SuiteParam> out;
  for (const fs::path& wasm : preview1_modules()) {
    out.push_back({wasm, "interp", PathResolution::automatic});
    out.push_back({wasm, "interp", PathResolution::walk});
    out.push_back({wasm, "jit", PathResolution::automatic});
  }
  return out;
}
std::string suite_name(const ::testing::TestParamInfo<SuiteParam>& info) {
  std::string name = info.param.wasm.parent_path().filename().string() + "_" +
                     info.param.wasm.stem().string() + "_" + info.param.engine +
                     (info.param.resolution == PathResolution::walk ? "_walk" : "");
  std::ranges::replace_if(name, [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); }, '_');
  return name;
}
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(OfficialSuite);
INSTANTIATE_TEST_SUITE_P(, OfficialSuite, ::testing::ValuesIn(suite_params()), suite_name);

std::vector<SuiteParam> threads_params() {
  std::vector<SuiteParam> out;
  for (const fs::path& wasm : threads_modules())
    for (const char* engine : {"interp", "jit"}) out.push_back({wasm, engine, PathResolution::automatic});
  return out;
}
INSTANTIATE_TEST_SUITE_P(Threads, OfficialSuite, ::testing::ValuesIn(threads_params()), suite_name);

TEST(OfficialSuiteData, IsThere) {
  if (preview1_modules().empty()) GTEST_SKIP() << "no test data (TENON_TEST_DATA): " << suite_folder();
  EXPECT_EQ(preview1_modules().size(), 72u);
  EXPECT_EQ(threads_modules().size(), 15u);
}

}  // namespace
}  // namespace tenon::wasi
