// What is refused before any function of a plugin runs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "engine/runtime/plugin.h"

namespace tenon {
namespace {

using ::testing::HasSubstr;

std::string built(const char* file) { return std::string(TENON_BINARY_DIR) + "/tests/" + file; }

TEST(RuntimePlugin, AnotherBuildIsRefusedByItsId) {
  auto plugin = load_plugin(built("plugin-wrong-build.so"), "jit");
  ASSERT_FALSE(plugin);
  EXPECT_EQ(plugin.error().category, ErrorCategory::unsupported);
  EXPECT_THAT(plugin.error().message, HasSubstr("0.0.1-somewhere-else"));
  EXPECT_THAT(plugin.error().message, HasSubstr(build_id()));
}

TEST(RuntimePlugin, OtherSharedObjectsAndOtherFilesAreRefused) {
  auto other = load_plugin(built("plugin-none.so"), "jit");
  ASSERT_FALSE(other);
  EXPECT_THAT(other.error().message, HasSubstr("not a Tenon plugin"));
  auto missing = load_plugin(built("nothing.so"), "nn");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().category, ErrorCategory::not_found);
  const std::string text = ::testing::TempDir() + "/no-elf.so";
  std::ofstream(text) << "this is no shared object";
  auto garbage = load_plugin(text, "nn");
  ASSERT_FALSE(garbage);
  EXPECT_EQ(garbage.error().category, ErrorCategory::io);
}

}  // namespace
}  // namespace tenon
