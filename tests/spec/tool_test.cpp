// The runner of the official suite: what it counts, what it says, and that a skip which is no longer needed
// fails the run.
#include "spec-tests/tool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

namespace tenon::spec {
namespace {

namespace fs = std::filesystem;
using ::testing::EndsWith;
using ::testing::HasSubstr;

constexpr std::string_view kPassing = R"wast((module (func (export "f") (result i32) (i32.const 1)))
(assert_return (invoke "f") (i32.const 1))
)wast";
constexpr std::string_view kFailing = R"wast((module (func (export "f") (result i32) (i32.const 1)))
(assert_return (invoke "f") (i32.const 1))
(assert_return (invoke "f") (i32.const 2))
)wast";

class ToolTest : public ::testing::Test {
 protected:
  ToolTest() : dir_(fs::temp_directory_path() / ("tenon-spec-" + std::to_string(getpid()))) {
    fs::create_directories(dir_);
  }
  ~ToolTest() override { fs::remove_all(dir_); }

  void write(const fs::path& path, std::string_view source) {
    fs::create_directories((dir_ / path).parent_path());
    std::ofstream(dir_ / path) << source;
  }
  // Runs the tool on the folder; sets status_.
  std::string run(ToolOptions options = {}) {
    if (options.paths.empty()) options.paths = {dir_.string()};
    std::FILE* out = std::tmpfile();
    status_ = run_tool(options, out);
    std::string text(static_cast<size_t>(std::ftell(out)), '\0');
    std::rewind(out);
    text.resize(std::fread(text.data(), 1, text.size(), out));
    std::fclose(out);
    return text;
  }

  fs::path dir_;
  int status_ = -1;
};

TEST_F(ToolTest, CountsEveryAssertionAndNamesTheLineOfAFailure) {
  write("a.wast", kPassing);
  write("b/c.wast", kFailing);
  write("b/not-a-script.txt", "(");
  const std::string out = run();
  EXPECT_EQ(status_, 1);
  EXPECT_THAT(out, HasSubstr("b/c.wast:3: "));
  EXPECT_THAT(out, EndsWith("2 passed, 1 failed, 0 skipped\n"));
  ToolOptions one;
  one.paths = {(dir_ / "a.wast").string()};
  run(one);
  EXPECT_EQ(status_, 0);
  one.paths = {(dir_ / "none.wast").string()};
  EXPECT_THAT(run(one), HasSubstr("cannot read"));
  EXPECT_EQ(status_, 2);
}

TEST_F(ToolTest, SkippedScriptsThatFailAreSkippedAndThoseThatPassFailTheRun) {
  const fs::path skipped = "extra/stack-switching/cont.wast";  // in skips.def
  write(skipped, kFailing);
  std::string out = run();
  EXPECT_EQ(status_, 0);
  EXPECT_THAT(out, HasSubstr("1 skipped: stack switching is not implemented"));
  EXPECT_THAT(out, EndsWith("1 passed, 0 failed, 1 skipped\n"));
  write(skipped, kPassing);
  out = run();
  EXPECT_EQ(status_, 1);
  EXPECT_THAT(out, HasSubstr("passes although it is on the list of skips (stack switching"));
}

TEST_F(ToolTest, OlderSuitesRunWithoutTheFeaturesThatCameLater) {
  constexpr std::string_view kTwoMemories =
      R"wast((assert_invalid (module (memory 1) (memory 1)) "multiple memories"))wast";
  write("proposals/threads/memory.wast", kTwoMemories);
  run();
  EXPECT_EQ(status_, 0);
  write("memory.wast", kTwoMemories);
  run();
  EXPECT_EQ(status_, 1) << "valid in 3.0";
}

TEST_F(ToolTest, ComparesMessagesByPrefixAndPrintsTheirShare) {
  write("a.wast", R"wast((assert_invalid (module (func (result i32))) "type mismatch")
(assert_malformed (module quote "(func (local.get $x))") "unknown local")
(assert_invalid (module (func (result i64))) "something else"))wast");
  std::string out = run();
  EXPECT_EQ(status_, 0) << "messages do not decide";
  EXPECT_THAT(out, HasSubstr("error messages that begin with the suite's text: 2 of 3\n"));
  ToolOptions options;
  options.show_mismatches = true;
  EXPECT_THAT(run(options), HasSubstr("a.wast:3: "));
}

TEST_F(ToolTest, JsonHasARowForEachFile) {
  write("a.wast", kFailing);
  write("b \"quoted\".wast", kPassing);
  write("extra/stack-switching/cont.wast", kFailing);
  ToolOptions options;
  options.json = true;
  const auto rows = nlohmann::json::parse(run(options));
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0]["passed"], 1);
  EXPECT_EQ(rows[0]["failed"], 1);
  EXPECT_EQ(rows[0]["failures"][0]["line"], 3);
  EXPECT_THAT(rows[1]["file"].get<std::string>(), EndsWith("b \"quoted\".wast"));
  EXPECT_EQ(rows[2]["skipped"], 1);
}

TEST_F(ToolTest, AScriptThatCannotBeParsedIsAFailureWithItsPlace) {
  write("a.wast", "(module)\n(assert_return (invoke \"f\")");
  EXPECT_THAT(run(), HasSubstr("unexpected token at 2:28"));
  EXPECT_EQ(status_, 1);
}

}  // namespace
}  // namespace tenon::spec
