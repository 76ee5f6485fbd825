// Regular expressions for RegexFullMatch, in RE2's syntax: literals, classes, groups, alternatives, repetition, ^ $ \A \z \b \B.
// No flags, Unicode classes or \Q…\E: those are refused by name. Matching takes time in proportion to text times pattern.
#pragma once
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "kernels/error.h"

namespace tenon::kernels {

class Regex {
 public:
  /// invalid_encoding: the pattern is wrong; unsupported_operation: more of RE2 than is here; too_large. Each says where.
  static Result<Regex> compile(std::string_view pattern);
  /// Does the pattern match all of `text`? UTF-8; bytes that are not count as U+FFFD.
  bool full_match(std::string_view text) const;

  struct Set {  // of code points
    std::vector<std::pair<char32_t, char32_t>> ranges;
    bool negated = false;
    bool holds(char32_t c) const;
  };
  struct Instruction {
    enum class Kind : std::uint8_t { set, split, jump, begin, end, word, not_word, match };
    Kind kind;
    std::int32_t first = 0, second = 0;  // set: its index; split, jump: relative targets
  };

 private:
  std::vector<Instruction> program_;
  std::vector<Set> sets_;
};

}  // namespace tenon::kernels
