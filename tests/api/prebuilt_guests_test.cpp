// wasi-nn guests that other projects compiled: all link; those whose format has an importer print what their origin says;
// the others' loads fail by name. The guests are test data (TENON_TEST_DATA), not part of the repository.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "tenon.hpp"

namespace {

using namespace tenon;
using ::testing::HasSubstr;

struct Case {
  const char* guest;
  std::vector<std::string> args;
  std::vector<std::pair<const char*, const char*>>
      files;                             // name in the guest's folder, place in the test data
  const char* graph = nullptr;           // NAME=place in the test data
  std::vector<const char*> prints = {};  // lines, when the model loads
  const char* refused = nullptr;         // encoding that is not supported and that the error names
  int exit = 0;                          // exit status; -1: traps
  tenon_tier_t tier = TENON_TIER_AUTOMATIC;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.guest; }

const std::vector<Case>& cases() {
  static const std::vector<Case> kCases = {
      {"openvino-mobilenet-raw",
       {"model.xml", "model.bin", "input.bin"},
       {{"model.xml", "models/openvino-mobilenet-v1-0.25-224-bgr255-fp32/model.xml"},
        {"model.bin", "models/openvino-mobilenet-v1-0.25-224-bgr255-fp32/model.bin"},
        {"input.bin", "models/openvino-mobilenet-v1-0.25-224-bgr255-fp32/golden/case0_in0.bin"}},
       nullptr,
       {"1.) [954](0.50", "banana", "2.) [951](0.24", "lemon", "3.) [940](0.03", "spaghetti squash",
        "4.) [470](0.02", "5.) [945](0.02", "bell pepper"},
       nullptr,
       -1},
      {"sightglass-image-classification",
       {},
       {{"mobilenet.xml", "models/openvino-mobilenet-v1-0.25-224-bgr255-fp32/model.xml"},
        {"mobilenet.bin", "models/openvino-mobilenet-v1-0.25-224-bgr255-fp32/model.bin"},
        {"test.jpg", "guests/inputs/banana.jpg"}},
       nullptr,
       {"Benchmark failed, confidence is under 90%. Result = 0.75"}},
      {"tflite-birds",
       {"model.tflite", "input.jpg"},
       {{"model.tflite", "models/tflite-birds-v1/model.tflite"},
        {"input.jpg", "models/tflite-birds-v1/input.jpg"}},
       nullptr,
       {"1.) [166](198)Aix galericulata", "2.) [158](2)", "3.) [34](1)", "4.) [778](1)", "5.) [819](1)"}},
      {"pytorch-mobilenet-named",
       {"mobilenet", "input.jpg"},
       {{"input.jpg", "guests/inputs/banana.jpg"}},
       "mobilenet=models/torchscript-mobilenet-v1-0.25-224-imagenet1000",
       {},
       "pytorch"},
      {"ggml-model-not-found", {"nobody"}, {}, nullptr, {"Model not found"}},
      {"ggml-llama", {"llama", "hello"}, {}, "llama=models/gguf-aidreams260k/model-f16.gguf", {}, "ggml"},
      {"ggml-basic", {"llama", "hello"}, {}, "llama=models/gguf-aidreams260k/model-f16.gguf", {}, "ggml"},
      {"ggml-embedding", {"llama", "hello"}, {}, "llama=models/gguf-aidreams260k/model-f16.gguf", {}, "ggml"},
      {"ggml-llama-stream",
       {"llama", "hello"},
       {},
       "llama=models/gguf-aidreams260k/model-f16.gguf",
       {},
       "ggml"},
      {"ggml-unload", {"llama", "hello"}, {}, "llama=models/gguf-aidreams260k/model-f16.gguf", {}, "ggml"},
  };
  return kCases;
}

#ifdef TENON_TEST_JIT
constexpr tenon_tier_t kTiers[] = {TENON_TIER_INTERP, TENON_TIER_JIT, TENON_TIER_AOT};
#else
constexpr tenon_tier_t kTiers[] = {TENON_TIER_INTERP};
#endif

// Guests that compute with a model, in each tier by itself.
std::vector<Case> cases_by_tier() {
  std::vector<Case> all;
  for (const Case& c : cases()) {
    if (c.refused || c.files.empty()) continue;
#ifdef TENON_SANITIZED
    if (std::string_view(c.guest) == "tflite-birds") continue;  // a minute of compiling in each tier
#endif
    for (const tenon_tier_t tier : kTiers) {
      all.push_back(c);
      all.back().tier = tier;
    }
  }
  return all;
}

class PrebuiltGuests : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    const char* set = std::getenv("TENON_TEST_DATA");
    data_ = set ? set : TENON_SOURCE_DIR "/../shared/data";
    if (!std::filesystem::exists(data_ / "guests"))
      GTEST_SKIP() << data_ << " is not there (set TENON_TEST_DATA)";
    folder_ = std::filesystem::temp_directory_path() / ("tenon-prebuilt-" + std::to_string(getpid()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path data_, folder_;
  std::string text_;  // what it writes to both streams
};

TEST_P(PrebuiltGuests, LinkAndRunOrFailByName) {
  const Case& c = GetParam();
  for (const auto& [name, place] : c.files) std::filesystem::copy_file(data_ / place, folder_ / name);
  const Engine engine(Config().tier(c.tier));
  Wasi wasi;
  wasi.arg(c.guest);
  for (const std::string& arg : c.args) wasi.arg(arg);
  wasi.dir(folder_.string(), ".").env("n_predict", "16");
  wasi.output(
      [](void* env, int, const void* bytes, size_t size) {
        static_cast<std::string*>(env)->append(static_cast<const char*>(bytes), size);
      },
      &text_);
  Linker linker(engine);
  ASSERT_TRUE(linker.wasi(wasi));
  auto nn = Nn::make(1);
  ASSERT_TRUE(nn) << nn.error().message();
  std::string refused;  // a named model of a format without importer fails here or when it is loaded
  if (c.graph) {
    const std::string graph = c.graph;
    const size_t equals = graph.find('=');
    if (auto added = nn->add_graph(graph.substr(0, equals + 1) + (data_ / graph.substr(equals + 1)).string());
        !added)
      refused = added.error().message();
  }
  ASSERT_TRUE(linker.nn(*nn));
  const auto nothing = [] {};
  ASSERT_TRUE(linker.func("bench", "start", nothing));
  ASSERT_TRUE(linker.func("bench", "end", nothing));
  auto module = Module::from_file(engine, (data_ / "guests" / (std::string(c.guest) + ".wasm")).string());
  ASSERT_TRUE(module) << module.error().message();
  auto store = std::move(Store::make(engine).value());
  auto instance = linker.instantiate(store, *module);
  ASSERT_TRUE(instance) << instance.error().message();
  auto start = instance->get<void()>("_start");
  ASSERT_TRUE(start);
  auto ended = (*start)();
  const std::string statistics = nn->statistics() + refused;
  if (c.refused) {
    EXPECT_THAT(statistics, HasSubstr(c.refused));
    EXPECT_THAT(statistics, HasSubstr("is not supported"));
    EXPECT_FALSE(ended && text_.empty()) << "the guest must notice";
    return;
  }
  for (const char* line : c.prints) EXPECT_THAT(text_, HasSubstr(line)) << statistics;
  if (c.exit == 0) {
    EXPECT_TRUE(ended || ended.error().kind() == TENON_ERROR_EXIT) << ended.error().message() << text_;
  } else {
    ASSERT_FALSE(ended);
    EXPECT_EQ(ended.error().kind(), TENON_ERROR_TRAP);
  }
}

std::string name_of(const ::testing::TestParamInfo<Case>& info) {
  static constexpr const char* kNames[] = {"", "_interp", "_jit", "_aot"};
  std::string name = info.param.guest;
  std::ranges::replace(name, '-', '_');
  return name + kNames[info.param.tier];
}

INSTANTIATE_TEST_SUITE_P(All, PrebuiltGuests, ::testing::ValuesIn(cases()), name_of);
INSTANTIATE_TEST_SUITE_P(Tiers, PrebuiltGuests, ::testing::ValuesIn(cases_by_tier()), name_of);

}  // namespace
