// RegexFullMatch: what matches, what is refused, and that hostile patterns take little time and memory.
#include "tests/kernels/helpers.h"

namespace tenon::kernels {
namespace {

using ::testing::HasSubstr;

Result<bool> matches(const std::string& pattern, const std::string& text) {
  GraphBuilder builder("m.onnx");
  const auto x = TENON_TRY(builder.input("x", ValueType::tensor(DataType::string, Dims{1})));
  const auto y =
      TENON_TRY(builder.node(Op::RegexFullMatch, {x}, {{"pattern", pattern}}, {"n", "RegexFullMatch", 20}));
  TENON_TRY(builder.add_output(y));
  const auto graph = TENON_TRY(std::move(builder).finish());
  const auto outputs = TENON_TRY(testing_support::run(graph, {TENON_TRY(Tensor::strings(Dims{1}, {text}))}));
  return outputs[0].tensor.data()[0] != std::byte{0};
}

TEST(Regex, MatchesAllOfTheText) {
  EXPECT_EQ(matches("a|bc", "bc"), true);
  EXPECT_EQ(matches("a|bc", "abc"), false);
  EXPECT_EQ(matches("(ab)*c+d?", "ababcc"), true);
  EXPECT_EQ(matches("", ""), true);
  EXPECT_EQ(matches(".", "\xe2\x82\xac"), true) << "one code point";
  EXPECT_EQ(matches(R"((?i)\pL+)", "\xc3\xa4Q"), true);
}

TEST(Regex, AWrongPatternIsRefusedWithItsNode) {
  for (const auto* pattern : {"(a", "a)", "[a", "*a", "a{2,1}", "\\", R"(\1)"}) {
    const auto result = matches(pattern, "a");
    ASSERT_FALSE(result) << pattern;
    EXPECT_EQ(result.error().code, ErrorCode::invalid_encoding) << pattern;
    EXPECT_THAT(result.error().message, HasSubstr("m.onnx: node 'n' (RegexFullMatch")) << pattern;
    EXPECT_THAT(result.error().message, HasSubstr(pattern));
  }
}

TEST(Regex, BombsAreBounded) {
  EXPECT_FALSE(matches("((a{1000}){1000}){1000}", "a"));
  EXPECT_EQ(matches(R"(\pL{1000})", "a").error().code, ErrorCode::too_large);
  EXPECT_FALSE(matches(std::string(5000, '('), "a"));
  // Backtracking would take 2^60 steps.
  EXPECT_EQ(matches("(a*)*(a|aa)*b", std::string(60, 'a')), false);
}

}  // namespace
}  // namespace tenon::kernels
