// Packed weights on disk: found again by the next environment, never trusted when they should not be.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "tests/nn/guest.h"
#include "wasi-nn/weight_cache.h"

namespace tenon::nn {
namespace {

namespace fs = std::filesystem;
using test::Bytes;
using test::value;

// A convolution whose weights are worth packing: 64 → 256 channels, 3 × 3, then normalised.
Bytes convolution_model() {
  std::vector<float> weights(std::size_t{256} * 64 * 9);
  for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = static_cast<float>(i % 7) / 100;
  const std::vector<float> ones(256, 1), zeros(256, 0);
  return test::model(
      {.inputs = {value("x", 1, {"1", "64", "8", "8"})},
       .outputs = {value("y", 1, {"1", "256", "6", "6"})},
       .nodes = {{"Conv", {"x", "w"}, {"c"}},
                 {"BatchNormalization", {"c", "one", "zero", "zero", "one"}, {"n"}},
                 {"Relu", {"n"}, {"y"}}},
       .initializers = {test::tensor("w", 1, {256, 64, 3, 3}, weights), test::floats("one", {256}, ones),
                        test::floats("zero", {256}, zeros)}});
}

class WeightCaches : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::temp_directory_path() / fmt::format("tenon-weights-{}", getpid());
    fs::create_directories(root_);
    options_.cache_folder = (root_ / "cache" / "nn").string();
    std::ofstream(root_ / "model.onnx", std::ios::binary) << convolution_model();
  }
  void TearDown() override { fs::remove_all(root_); }

  // One inference in an environment of its own, as another process would make it.
  std::vector<float> infer() {
    Environment environment(options_);
    EXPECT_TRUE(environment.add_graph("m=" + (root_ / "model.onnx").string()));
    NnContext nn(environment);
    const auto graph = nn.load_by_name("m");
    EXPECT_TRUE(graph) << graph.error().message;
    const auto ctx = nn.init_execution_context(*graph);
    EXPECT_TRUE(ctx);
    std::vector<float> x(64 * 64), y(256 * 36);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 5);
    const uint32_t dims[] = {1, 64, 8, 8};
    EXPECT_TRUE(nn.set_input(*ctx, {}, {std::as_bytes(std::span(dims)), 1, std::as_bytes(std::span(x))}));
    EXPECT_TRUE(nn.compute(*ctx));
    EXPECT_TRUE(nn.get_output(*ctx, {}, std::as_writable_bytes(std::span(y))));
    return y;
  }
  std::vector<fs::path> files() const {
    std::vector<fs::path> list;
    if (fs::exists(options_.cache_folder))
      for (const auto& entry : fs::directory_iterator(options_.cache_folder)) list.push_back(entry.path());
    return list;
  }
  // Keys that the cache of the model answers.
  std::shared_ptr<WeightCache> cache() const {
    return WeightCache::open(options_.cache_folder, {(root_ / "model.onnx").string()}, "format 1");
  }

  fs::path root_;
  NnOptions options_;
};

TEST_F(WeightCaches, SecondLoadFindsWhatTheFirstPacked) {
  const auto first = infer();
  ASSERT_EQ(files().size(), 1u);
  struct stat before = {}, after = {};
  ASSERT_EQ(stat(files()[0].c_str(), &before), 0);
  EXPECT_EQ(before.st_mode & 0777, 0600u);
  struct stat folder = {};
  ASSERT_EQ(stat(options_.cache_folder.c_str(), &folder), 0);
  EXPECT_EQ(folder.st_mode & 0777, 0700u);
  EXPECT_EQ(infer(), first);
  ASSERT_EQ(stat(files()[0].c_str(), &after), 0);
  EXPECT_EQ(after.st_ino, before.st_ino) << "everything was found, so nothing was written";
}

TEST_F(WeightCaches, ChangedModelIsPackedAgain) {
  const auto first = infer();
  Bytes changed = convolution_model();
  const size_t weight = changed.find(std::string("\x0a\xd7\x23\x3c", 4));  // 0.01f
  ASSERT_NE(weight, changed.npos);
  changed[weight + 3] = '\x3d';
  std::ofstream(root_ / "model.onnx", std::ios::binary) << changed;
  EXPECT_NE(infer(), first);
}

TEST_F(WeightCaches, DamagedFileIsReplaced) {
  const auto first = infer();
  for (const std::streamoff at : {0, 9, 60, 200}) {
    std::fstream file(files()[0], std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(at);
    file.put('\x55');
    file.close();
    EXPECT_EQ(infer(), first) << at;
    ASSERT_EQ(files().size(), 1u);
  }
  fs::resize_file(files()[0], 100);
  EXPECT_EQ(infer(), first);
  fs::resize_file(files()[0], 0);
  EXPECT_EQ(infer(), first);
}

TEST_F(WeightCaches, FilesAndFoldersOfOthersAreNotUsed) {
  const auto first = infer();
  ASSERT_EQ(chmod(files()[0].c_str(), 0666), 0);
  EXPECT_EQ(infer(), first);
  struct stat replaced = {};
  ASSERT_EQ(stat(files()[0].c_str(), &replaced), 0);
  EXPECT_EQ(replaced.st_mode & 0777, 0600u) << "replaced, not trusted";
  ASSERT_EQ(chmod(options_.cache_folder.c_str(), 0755), 0);
  EXPECT_EQ(cache(), nullptr);
  EXPECT_EQ(infer(), first) << "goes on without";
}

TEST_F(WeightCaches, ModelsThatGuestsCanWriteAreNotKept) {
  options_.writable_folders = {root_.string()};
  infer();
  EXPECT_TRUE(files().empty());
}

}  // namespace
}  // namespace tenon::nn
