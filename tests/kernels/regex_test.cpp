// Regular expressions of RegexFullMatch: what matches, what is refused, and that time and memory stay bounded.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/ops/regex.h"

namespace tenon::kernels {
namespace {

using ::testing::HasSubstr;

bool matches(std::string_view pattern, std::string_view text) {
  const auto regex = Regex::compile(pattern);
  EXPECT_TRUE(regex) << regex.error().message;
  return regex && regex->full_match(text);
}

TEST(Regex, MatchesAllOfTheText) {
  EXPECT_TRUE(matches("", ""));
  EXPECT_FALSE(matches("", "a"));
  EXPECT_TRUE(matches("a|bc", "bc"));
  EXPECT_FALSE(matches("a|bc", "abc"));
  EXPECT_TRUE(matches("(ab)*c+d?", "ababcc"));
  EXPECT_FALSE(matches("(ab)*c+d?", "aba"));
  EXPECT_TRUE(matches("x{2,3}?y{2}", "xxxyy"));
  EXPECT_FALSE(matches("x{2,3}y{2}", "xyy"));
  EXPECT_TRUE(matches("x{2,}", "xxxxx"));
  EXPECT_TRUE(matches("x{,2}", "x{,2}")) << "no repetition in RE2";
  EXPECT_TRUE(matches("(a*)*", "aaa"));
  EXPECT_TRUE(matches("(?:a|)+b", "b"));
}

TEST(Regex, ClassesEscapesAndPlaces) {
  EXPECT_TRUE(matches("[a-c_-]+", "a-b_c"));
  EXPECT_TRUE(matches("[^0-9]+", "äö x"));
  EXPECT_TRUE(matches("[]a]+", "]a"));
  EXPECT_TRUE(matches(R"(\w+\s\d\D\S)", "ab_9 1x."));
  EXPECT_TRUE(matches(R"([[:upper:]\d]+[[:^upper:]])", "A1Bb"));
  EXPECT_TRUE(matches(R"(\x41\x{e4}\.\n)", "A\xc3\xa4.\n"));
  EXPECT_FALSE(matches(".", "\n"));
  EXPECT_TRUE(matches(".", "\xe2\x82\xac")) << "one code point";
  EXPECT_TRUE(matches(R"(^a\b.\bb$)", "a b"));
  EXPECT_FALSE(matches(R"(a\bb)", "ab"));
  EXPECT_TRUE(matches(R"(a\Bb\z)", "ab"));
  EXPECT_FALSE(matches("a^b", "ab"));
  EXPECT_TRUE(matches("[^x]", "\xff")) << "a byte that is no UTF-8";
}

TEST(Regex, WhatIsWrongIsSaidWithItsPlace) {
  for (const auto* pattern : {"(a", "a)", "[a", "*a", "a**", "a{2,1}", "a{1001}", "\\", "[b-a]", "\\x4",
                              "[[:no:]]", "\\x{110000}"}) {
    const auto regex = Regex::compile(pattern);
    ASSERT_FALSE(regex) << pattern;
    EXPECT_EQ(regex.error().code, ErrorCode::invalid_encoding) << pattern;
    EXPECT_THAT(regex.error().message, HasSubstr("offset")) << pattern;
  }
  for (const auto* pattern : {"(?i)a", "(?P<n>a)", R"(\pL)", R"(\Qa\E)", R"(\1)"}) {
    const auto regex = Regex::compile(pattern);
    ASSERT_FALSE(regex) << pattern;
    EXPECT_EQ(regex.error().code, ErrorCode::unsupported_operation) << pattern;
  }
}

TEST(Regex, BombsAreBounded) {
  EXPECT_EQ(Regex::compile("((a{1000}){1000}){1000}").error().code, ErrorCode::too_large);
  EXPECT_EQ(Regex::compile(std::string(5000, '(')).error().code, ErrorCode::too_large);
  EXPECT_EQ(Regex::compile(std::string(50000, 'a')).error().code, ErrorCode::too_large);
  // Backtracking would take 2^60 steps.
  EXPECT_FALSE(matches("(a*)*(a|aa)*b", std::string(60, 'a')));
  std::string every_byte;
  for (int i = 0; i < 256; ++i) every_byte += static_cast<char>(i);
  for (int i = 0; i < 256; ++i) {
    const auto regex = Regex::compile(every_byte.substr(static_cast<std::size_t>(i)));
    if (regex) (void)regex->full_match(every_byte);
  }
}

}  // namespace
}  // namespace tenon::kernels
