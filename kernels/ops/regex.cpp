// Pattern → program of relative jumps → all states at once over the text; see regex.h.
#include "kernels/ops/regex.h"

#include <algorithm>
#include <cctype>

namespace tenon::kernels {
namespace {

using Instruction = Regex::Instruction;
using Set = Regex::Set;
using Kind = Instruction::Kind;
using Code = std::vector<Instruction>;

constexpr std::size_t kMaxProgram = 20'000;
constexpr int kMaxDepth = 200, kMaxRepeat = 1000;  // RE2 allows 1000 too
constexpr char32_t kLast = 0x10ffff;

// The code point at `at`, which moves behind it.
char32_t next_code_point(std::string_view text, std::size_t& at) {
  const auto lead = static_cast<unsigned char>(text[at++]);
  const int more = lead < 0x80 ? 0 : lead >= 0xc2 && lead < 0xe0 ? 1 : lead >= 0xe0 && lead < 0xf0 ? 2 : 3;
  if (more == 0) return lead;
  constexpr char32_t kReplacement = 0xfffd;
  if (lead < 0xc2 || lead > 0xf4 || text.size() - at < static_cast<std::size_t>(more)) return kReplacement;
  char32_t c = lead & (0x3fu >> more);
  for (int i = 0; i < more; ++i) {
    const auto byte = static_cast<unsigned char>(text[at + static_cast<std::size_t>(i)]);
    if ((byte & 0xc0) != 0x80) return kReplacement;
    c = c << 6 | (byte & 0x3f);
  }
  at += static_cast<std::size_t>(more);
  return c;
}

std::int32_t length(const Code& code) { return static_cast<std::int32_t>(code.size()); }
void append(Code& to, const Code& code) { to.insert(to.end(), code.begin(), code.end()); }

// Named parts of classes: Perl's and POSIX's, ASCII only as in RE2.
struct Named {
  std::string_view name;
  std::vector<std::pair<char32_t, char32_t>> ranges;
};
const Named* find_named(std::string_view name) {
  static const Named kNamed[] = {
      {"d", {{'0', '9'}}},
      {"w", {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}},
      {"s", {{'\t', '\n'}, {'\f', '\r'}, {' ', ' '}}},
      {"alnum", {{'0', '9'}, {'A', 'Z'}, {'a', 'z'}}},
      {"alpha", {{'A', 'Z'}, {'a', 'z'}}},
      {"ascii", {{0, 0x7f}}},
      {"blank", {{'\t', '\t'}, {' ', ' '}}},
      {"cntrl", {{0, 0x1f}, {0x7f, 0x7f}}},
      {"digit", {{'0', '9'}}},
      {"graph", {{'!', '~'}}},
      {"lower", {{'a', 'z'}}},
      {"print", {{' ', '~'}}},
      {"punct", {{'!', '/'}, {':', '@'}, {'[', '`'}, {'{', '~'}}},
      {"space", {{'\t', '\r'}, {' ', ' '}}},
      {"upper", {{'A', 'Z'}}},
      {"word", {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}},
      {"xdigit", {{'0', '9'}, {'A', 'F'}, {'a', 'f'}}},
  };
  const auto* it = std::ranges::find(kNamed, name, &Named::name);
  return it == std::end(kNamed) ? nullptr : it;
}

// Adds what is not in the sorted ranges of `named`.
void add_complement(Set& set, const Named& named) {
  char32_t from = 0;
  for (const auto& [low, high] : named.ranges) {
    if (low > from) set.ranges.emplace_back(from, low - 1);
    from = high + 1;
  }
  set.ranges.emplace_back(from, kLast);
}

bool is_word(char32_t c) { return c < 0x80 && (std::isalnum(static_cast<int>(c)) != 0 || c == '_'); }

class Parser {
 public:
  Parser(std::string_view pattern, std::vector<Set>& sets) : text_(pattern), sets_(sets) {}

  Result<Code> parse() {
    auto code = TENON_TRY(alternatives(0));
    if (at_ < text_.size()) return wrong("unexpected )");
    code.push_back({Kind::match});
    return code;
  }

 private:
  std::unexpected<Error> wrong(std::string_view what) const {
    return fail(ErrorCode::invalid_encoding, "pattern '{}', offset {}: {}", text_, at_, what);
  }
  std::unexpected<Error> unsupported(std::string_view what) const {
    return fail(ErrorCode::unsupported_operation, "pattern '{}', offset {}: {} not supported", text_, at_,
                what);
  }
  bool more() const { return at_ < text_.size(); }
  bool accept(std::string_view token) {
    if (!text_.substr(at_).starts_with(token)) return false;
    at_ += token.size();
    return true;
  }

  Result<Code> alternatives(int depth) {
    if (depth > kMaxDepth) return fail(ErrorCode::too_large, "pattern nests deeper than {}", kMaxDepth);
    Code left = TENON_TRY(sequence(depth));
    while (accept("|")) {
      const Code right = TENON_TRY(sequence(depth));
      Code both{{Kind::split, 1, length(left) + 2}};
      append(both, left);
      both.push_back({Kind::jump, length(right) + 1});
      append(both, right);
      left = std::move(both);
    }
    return left;
  }

  Result<Code> sequence(int depth) {
    Code code;
    while (more() && text_[at_] != '|' && text_[at_] != ')') {
      append(code, TENON_TRY(repeated(TENON_TRY(atom(depth)))));
      if (code.size() > kMaxProgram) return fail(ErrorCode::too_large, "a pattern of {} states", code.size());
    }
    return code;
  }

  Result<Code> repeated(Code body) {
    int least = 1, most = 1;  // most -1: no bound
    if (accept("*")) {
      least = 0, most = -1;
    } else if (accept("+")) {
      most = -1;
    } else if (accept("?")) {
      least = 0;
    } else if (!TENON_TRY(braces(least, most))) {
      return body;
    }
    accept("?");  // which of several matches does not matter
    if (more() && (text_[at_] == '*' || text_[at_] == '+' || text_[at_] == '?'))
      return wrong("a repetition of a repetition");
    const auto copies = static_cast<std::size_t>(std::max({least, most, 1}));
    if ((body.size() + 2) * copies > kMaxProgram)
      return fail(ErrorCode::too_large, "a pattern of more than {} states", kMaxProgram);
    Code rest;
    if (most < 0) {
      rest.push_back({Kind::split, 1, length(body) + 2});
      append(rest, body);
      rest.push_back({Kind::jump, -length(body) - 1});
    }
    for (int i = least; i < most; ++i) {
      Code longer{{Kind::split, 1, length(body) + length(rest) + 1}};
      append(longer, body);
      append(longer, rest);
      rest = std::move(longer);
    }
    Code code;
    for (int i = 0; i < least; ++i) append(code, body);
    append(code, rest);
    return code;
  }

  // {n}, {n,} or {n,m}; anything else in braces is literal, as in RE2.
  Result<bool> braces(int& least, int& most) {
    const std::size_t before = at_;
    const auto number = [&]() -> int {
      if (!more() || text_[at_] < '0' || text_[at_] > '9') return -1;
      int n = 0;
      for (; more() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_)
        n = std::min(n * 10 + (text_[at_] - '0'), kMaxRepeat + 1);
      return n;
    };
    if (!accept("{")) return false;
    const int low = number();
    int high = low;
    if (low >= 0 && accept(",")) high = number();
    if (low < 0 || !accept("}")) {
      at_ = before;
      return false;
    }
    if (low > kMaxRepeat || high > kMaxRepeat || (high >= 0 && high < low)) return wrong("a bad repetition");
    least = low;
    most = high;
    return true;
  }

  Code set_code(Set set) {
    sets_.push_back(std::move(set));
    return {{Kind::set, static_cast<std::int32_t>(sets_.size() - 1)}};
  }

  Result<Code> atom(int depth) {
    if (accept("(")) {
      if (accept("?") && !accept(":")) return unsupported("flags and names of groups are");
      auto code = TENON_TRY(alternatives(depth + 1));
      if (!accept(")")) return wrong("a group without end");
      return code;
    }
    if (accept("[")) return bracket();
    if (accept(".")) return set_code({{{'\n', '\n'}}, true});
    if (accept("^")) return Code{{Kind::begin}};
    if (accept("$")) return Code{{Kind::end}};
    if (text_[at_] == '*' || text_[at_] == '+' || text_[at_] == '?') return wrong("nothing to repeat");
    if (!accept("\\")) {
      const char32_t c = next_code_point(text_, at_);
      return set_code({{{c, c}}, false});
    }
    if (accept("A")) return Code{{Kind::begin}};
    if (accept("z")) return Code{{Kind::end}};
    if (accept("b")) return Code{{Kind::word}};
    if (accept("B")) return Code{{Kind::not_word}};
    Set set;
    TENON_TRY(escape(set));
    return set_code(std::move(set));
  }

  // Behind a backslash: one code point, or a class of Perl's.
  Result<void> escape(Set& set) {
    if (!more()) return wrong("a backslash at the end");
    const char c = text_[at_];
    if (const auto* named = find_named(std::string_view(&text_[at_], 1))) {
      ++at_;
      set.ranges.insert(set.ranges.end(), named->ranges.begin(), named->ranges.end());
      return {};
    }
    if (c == 'D' || c == 'W' || c == 'S') {
      ++at_;
      const char lower = static_cast<char>(c - 'A' + 'a');
      add_complement(set, *find_named({&lower, 1}));
      return {};
    }
    const char32_t point = TENON_TRY(escaped_code_point());
    set.ranges.emplace_back(point, point);
    return {};
  }

  Result<char32_t> escaped_code_point() {
    if (!more()) return wrong("a backslash at the end");
    constexpr std::string_view kNames = "aftnrv", kValues = "\a\f\t\n\r\v";
    const char c = text_[at_];
    if (const auto i = kNames.find(c); i != kNames.npos) {
      ++at_;
      return static_cast<char32_t>(kValues[i]);
    }
    if (c == 'x') return hexadecimal();
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
      return unsupported(fmt::format("\\{} is", c));
    return next_code_point(text_, at_);
  }

  Result<char32_t> hexadecimal() {
    accept("x");
    const bool braced = accept("{");
    char32_t value = 0;
    int digits = 0;
    for (; more() && std::isxdigit(static_cast<unsigned char>(text_[at_])) != 0 && (braced || digits < 2);
         ++digits, ++at_) {
      const char c = text_[at_];
      value = value * 16 + static_cast<char32_t>(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
      if (value > kLast) return wrong("no such code point");
    }
    if (digits == 0 || (braced ? !accept("}") : digits != 2)) return wrong("a bad \\x");
    return value;
  }

  Result<Code> bracket() {
    Set set;
    set.negated = accept("^");
    for (bool first = true; first || !accept("]"); first = false) {
      if (!more()) return wrong("a class without end");
      if (accept("[:")) {
        const bool negated = accept("^");
        const auto end = text_.find(":]", at_);
        const auto* named = end == text_.npos ? nullptr : find_named(text_.substr(at_, end - at_));
        if (!named) return wrong("no such class");
        at_ = end + 2;
        if (negated)
          add_complement(set, *named);
        else
          set.ranges.insert(set.ranges.end(), named->ranges.begin(), named->ranges.end());
        continue;
      }
      TENON_TRY(range(set));
    }
    return set_code(std::move(set));
  }

  // One code point, a range of them, or an escaped class.
  Result<void> range(Set& set) {
    const auto before = set.ranges.size();
    if (accept("\\")) {
      TENON_TRY(escape(set));
    } else {
      const char32_t c = next_code_point(text_, at_);
      set.ranges.emplace_back(c, c);
    }
    const bool single =
        set.ranges.size() == before + 1 && set.ranges.back().first == set.ranges.back().second;
    if (!single || !text_.substr(at_).starts_with("-") || text_.substr(at_).starts_with("-]") ||
        at_ + 1 == text_.size())
      return {};
    accept("-");
    auto& high = set.ranges.back().second;
    high = accept("\\") ? TENON_TRY(escaped_code_point()) : next_code_point(text_, at_);
    if (high < set.ranges.back().first) return wrong("a range that goes down");
    return {};
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::vector<Set>& sets_;
};

}  // namespace

bool Regex::Set::holds(char32_t c) const {
  return std::ranges::any_of(ranges, [c](const auto& r) { return r.first <= c && c <= r.second; }) != negated;
}

Result<Regex> Regex::compile(std::string_view pattern) {
  Regex regex;
  regex.program_ = TENON_TRY(Parser(pattern, regex.sets_).parse());
  return regex;
}

bool Regex::full_match(std::string_view text) const {
  constexpr char32_t kNone = 0xffffffff;
  std::vector<std::uint32_t> now, next, pending;
  std::vector<std::size_t> reached(program_.size(), 0);  // at which step, counted from 1
  // Adds all states that `from` leads to without reading.
  const auto follow = [&](std::vector<std::uint32_t>& to, std::uint32_t from, std::size_t step,
                          char32_t before, char32_t after) {
    pending.assign(1, from);
    while (!pending.empty()) {
      const auto pc = pending.back();
      pending.pop_back();
      if (reached[pc] == step) continue;
      reached[pc] = step;
      const auto& i = program_[pc];
      const auto go = [&](std::int32_t by) {
        pending.push_back(static_cast<std::uint32_t>(static_cast<std::int32_t>(pc) + by));
      };
      const bool boundary = (before != kNone && is_word(before)) != (after != kNone && is_word(after));
      switch (i.kind) {
        case Kind::set:
        case Kind::match: to.push_back(pc); break;
        case Kind::split: go(i.second), go(i.first); break;
        case Kind::jump: go(i.first); break;
        case Kind::begin:
          if (before == kNone) go(1);
          break;
        case Kind::end:
          if (after == kNone) go(1);
          break;
        case Kind::word:
          if (boundary) go(1);
          break;
        case Kind::not_word:
          if (!boundary) go(1);
          break;
      }
    }
  };
  std::size_t at = 0, step = 1;
  const auto peek = [&](std::size_t from) {
    return from < text.size() ? next_code_point(text, from) : kNone;
  };
  follow(now, 0, step, kNone, peek(0));
  while (at < text.size() && !now.empty()) {
    const char32_t c = next_code_point(text, at);
    const char32_t after = peek(at);
    ++step;
    next.clear();
    for (const auto pc : now) {
      const auto& i = program_[pc];
      if (i.kind == Kind::set && sets_[static_cast<std::size_t>(i.first)].holds(c))
        follow(next, pc + 1, step, c, after);
    }
    std::swap(now, next);
  }
  return at == text.size() &&
         std::ranges::any_of(now, [&](auto pc) { return program_[pc].kind == Kind::match; });
}

}  // namespace tenon::kernels
