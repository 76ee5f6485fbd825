// Tokens of the text format; see lexer.h. Runs of "reserved" characters are read as one and then classified,
// as the longest-match rule of the spec asks.
#include "engine/text/lexer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace tenon::text {
namespace {

constexpr bool is_idchar(char c) {
  if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return true;
  return std::string_view("!#$%&'*+-./:<=>?@\\^_`|~").contains(c);
}
constexpr bool is_reserved_punctuation(char c) { return std::string_view(",;[]{}").contains(c); }
constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// The length of the UTF-8 sequence at the front, 0 if there is none (spec: binary/values, names).
u32 utf8_length(std::string_view s) {
  auto byte = [&](size_t i) { return i < s.size() ? static_cast<u8>(s[i]) : 0u; };
  auto continues = [&](size_t i) { return (byte(i) & 0xc0) == 0x80; };
  const u32 b = byte(0);
  if (b < 0x80) return 1;
  if (b >= 0xc2 && b < 0xe0) return continues(1) ? 2 : 0;
  if (b >= 0xe0 && b < 0xf0) {
    if (!continues(1) || !continues(2)) return 0;
    const u32 point = (b & 15) << 12 | (byte(1) & 63) << 6 | (byte(2) & 63);
    return point >= 0x800 && (point < 0xd800 || point >= 0xe000) ? 3 : 0;
  }
  if (b >= 0xf0 && b < 0xf5) {
    if (!continues(1) || !continues(2) || !continues(3)) return 0;
    const u32 point = (b & 7) << 18 | (byte(1) & 63) << 12;
    return point >= 0x10000 && point < 0x110000 ? 4 : 0;
  }
  return 0;
}

void append_utf8(std::string& out, u32 c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += {static_cast<char>(0xc0 | c >> 6), static_cast<char>(0x80 | (c & 63))};
  } else if (c < 0x10000) {
    out += {static_cast<char>(0xe0 | c >> 12), static_cast<char>(0x80 | (c >> 6 & 63)),
            static_cast<char>(0x80 | (c & 63))};
  } else {
    out += {static_cast<char>(0xf0 | c >> 18), static_cast<char>(0x80 | (c >> 12 & 63)),
            static_cast<char>(0x80 | (c >> 6 & 63)), static_cast<char>(0x80 | (c & 63))};
  }
}

// digit ('_'? digit)*, from `i`; returns the end or npos when there is no digit or a stray underscore.
size_t skip_digits(std::string_view s, size_t i, bool hex) {
  auto digit = [&](size_t at) { return at < s.size() && (hex ? hex_value(s[at]) >= 0 : is_digit(s[at])); };
  if (!digit(i)) return std::string_view::npos;
  for (++i; i < s.size(); ++i) {
    if (digit(i)) continue;
    if (s[i] == '_' && digit(i + 1)) continue;
    break;
  }
  return i;
}

// sign? (num | hexnum | float | hexfloat | inf | nan | nan:0x… ) (spec: text/values)
bool is_number(std::string_view s) {
  if (!s.empty() && (s[0] == '+' || s[0] == '-')) s.remove_prefix(1);
  if (s == "inf" || s == "nan") return true;
  if (s.starts_with("nan:0x")) return skip_digits(s, 6, true) == s.size();
  const bool hex = s.starts_with("0x");
  size_t i = skip_digits(s, hex ? 2 : 0, hex);
  if (i == std::string_view::npos) return false;
  if (i < s.size() && s[i] == '.') {
    ++i;
    if (size_t j = skip_digits(s, i, hex); j != std::string_view::npos) i = j;
  }
  if (i < s.size() && (hex ? s[i] == 'p' || s[i] == 'P' : s[i] == 'e' || s[i] == 'E')) {
    ++i;
    if (i < s.size() && (s[i] == '+' || s[i] == '-')) ++i;
    i = skip_digits(s, i, false);
  }
  return i == s.size();
}

constexpr std::array<std::string_view, 3> kKnownAnnotations = {"name", "custom", "metadata.code.branch_hint"};

}  // namespace

bool is_valid_utf8(std::string_view bytes) {
  while (!bytes.empty()) {
    const u32 n = utf8_length(bytes);
    if (n == 0) return false;
    bytes.remove_prefix(n);
  }
  return true;
}

std::string decode_string(std::string_view quoted) {
  std::string out;
  std::string_view s = quoted.substr(1, quoted.size() - 2);
  for (size_t i = 0; i < s.size(); ++i) {
    if (s[i] != '\\') {
      out += s[i];
      continue;
    }
    switch (const char c = s[++i]) {
      case 't': out += '\t'; break;
      case 'n': out += '\n'; break;
      case 'r': out += '\r'; break;
      case 'u': {
        u32 point = 0;
        for (i += 2; s[i] != '}'; ++i)
          if (s[i] != '_') point = point * 16 + static_cast<u32>(hex_value(s[i]));
        append_utf8(out, point);
        break;
      }
      default:
        if (hex_value(c) >= 0) {
          out += static_cast<char>(hex_value(c) * 16 + hex_value(s[++i]));
        } else {
          out += c;
        }
    }
  }
  return out;
}

std::string decode_id(std::string_view id) {
  return id.starts_with("$\"") ? decode_string(id.substr(1)) : std::string(id.substr(1));
}

Error text_error(std::string_view source, u32 at, std::string message) {
  at = std::min<u32>(at, static_cast<u32>(source.size()));
  const std::string_view before = source.substr(0, at);
  const size_t line = static_cast<size_t>(std::ranges::count(before, '\n')) + 1;
  const size_t newline = before.rfind('\n');
  const size_t start = newline == std::string_view::npos ? 0 : newline + 1;
  std::string_view text = source.substr(start, source.find('\n', start) - start);
  const size_t column = at - start;
  const size_t left = column > 60 ? column - 60 : 0;  // a window into long lines
  text = text.substr(left, 100);
  return {ErrorCategory::malformed,
          fmt::format("{} at {}:{}\n  {}\n  {:>{}}", message, line, column + 1, text, "^", column - left + 1),
          at};
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : s_(source) { stream_.source_ = source; }

  Result<TokenStream> run() {
    while (skip_space() && pos_ < s_.size()) {
      if (!token()) break;
    }
    if (!error_ && !open_annotations_.empty()) fail(open_annotations_.back().begin, "unclosed annotation");
    if (error_) return std::unexpected(std::move(*error_));
    add(TokenKind::end, size());
    return std::move(stream_);
  }

 private:
  struct OpenAnnotation {
    u32 begin;
    u32 depth;  // open parentheses inside it
    bool dropped;
  };

  u32 size() const { return static_cast<u32>(s_.size()); }
  char at(u32 i) const { return i < s_.size() ? s_[i] : '\0'; }
  bool fail(u32 where, std::string_view message) {
    if (!error_) error_ = text_error(s_, where, std::string(message));
    return false;
  }
  // A string that is broken where a name must be: the suite speaks of the name.
  bool renamed(u32 where, std::string_view message) {
    error_.reset();
    return fail(where, message);
  }
  bool dropping() const { return !open_annotations_.empty() && open_annotations_.back().dropped; }
  void add(TokenKind kind, u32 begin) {
    if (!dropping()) stream_.tokens_.push_back({kind, begin, pos_});
  }

  bool skip_space() {
    while (pos_ < s_.size()) {
      const char c = s_[pos_];
      if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
        ++pos_;
      } else if (c == ';' && at(pos_ + 1) == ';') {
        if (!skip_line_comment()) return false;
      } else if (c == '(' && at(pos_ + 1) == ';') {
        if (!skip_block_comment()) return false;
      } else {
        break;
      }
    }
    return true;
  }
  bool check_utf8() {
    const u32 n = utf8_length(s_.substr(pos_));
    if (n == 0) return fail(pos_, "malformed UTF-8 encoding");
    pos_ += n;
    return true;
  }
  bool skip_line_comment() {
    while (pos_ < s_.size() && s_[pos_] != '\n' && s_[pos_] != '\r')
      if (!check_utf8()) return false;
    return true;
  }
  bool skip_block_comment() {
    const u32 begin = pos_;
    u32 depth = 0;
    while (pos_ < s_.size()) {
      if (s_[pos_] == '(' && at(pos_ + 1) == ';') {
        ++depth;
        pos_ += 2;
      } else if (s_[pos_] == ';' && at(pos_ + 1) == ')') {
        pos_ += 2;
        if (--depth == 0) return true;
      } else if (!check_utf8()) {
        return false;
      }
    }
    return fail(begin, "unclosed comment");
  }

  bool token() {
    const u32 begin = pos_;
    const char c = s_[pos_];
    if (c == '(') {
      if (at(pos_ + 1) == '@') return annotation();
      ++pos_;
      if (!open_annotations_.empty()) ++open_annotations_.back().depth;
      add(TokenKind::lparen, begin);
      return true;
    }
    if (c == ')') {
      ++pos_;
      close_paren(begin);
      return true;
    }
    return run_of_reserved();
  }

  void close_paren(u32 begin) {
    if (open_annotations_.empty()) return add(TokenKind::rparen, begin);
    if (open_annotations_.back().depth > 0) {
      --open_annotations_.back().depth;
      return add(TokenKind::rparen, begin);
    }
    const bool dropped = open_annotations_.back().dropped;
    open_annotations_.pop_back();
    if (!dropped) add(TokenKind::rparen, begin);
  }

  bool annotation() {
    const u32 begin = pos_;
    pos_ += 2;
    if (at(pos_) == '"') {
      const u32 quote = pos_;
      if (!string()) return renamed(begin, "empty annotation id");
      const std::string name = decode_string(s_.substr(quote, pos_ - quote));
      if (name.empty()) return fail(begin, "empty annotation id");
      if (!is_valid_utf8(name)) return fail(begin, "malformed UTF-8 encoding");
      return open_annotation(begin, name);
    }
    const u32 name = pos_;
    while (pos_ < s_.size() && is_idchar(s_[pos_])) ++pos_;
    if (pos_ == name && !dropping()) return fail(begin, "empty annotation id");
    return open_annotation(begin, s_.substr(name, pos_ - name));
  }
  bool open_annotation(u32 begin, std::string_view name) {
    const bool drop = dropping() || std::ranges::find(kKnownAnnotations, name) == kKnownAnnotations.end();
    if (!drop) add(TokenKind::annotation, begin);
    open_annotations_.push_back({begin, 0, drop});
    return true;
  }

  // A whole string literal from the quote on.
  bool string() {
    const u32 begin = pos_++;
    while (true) {
      if (pos_ >= s_.size()) return fail(begin, "unclosed string");
      const char c = s_[pos_];
      if (c == '"') {
        ++pos_;
        return true;
      }
      if (c == '\n') return fail(begin, "unclosed string");
      if (static_cast<u8>(c) < 0x20 || c == 0x7f) return fail(pos_, "illegal character");
      if (c == '\\') {
        if (!escape()) return false;
      } else if (!check_utf8()) {
        return false;
      }
    }
  }
  bool escape() {
    const u32 begin = pos_++;
    const char c = at(pos_);
    if (c != '\0' && std::string_view("tnr\"'\\").contains(c)) {
      ++pos_;
      return true;
    }
    if (c == 'u') {
      u32 point = 0;
      if (at(++pos_) != '{') return fail(begin, "illegal escape");
      const size_t end = skip_digits(s_, pos_ + 1, true);
      if (end == std::string_view::npos || at(static_cast<u32>(end)) != '}')
        return fail(begin, "illegal escape");
      for (++pos_; pos_ < end; ++pos_)
        if (s_[pos_] != '_' && point < 0x110000) point = point * 16 + static_cast<u32>(hex_value(s_[pos_]));
      if (point >= 0x110000 || (point >= 0xd800 && point < 0xe000)) return fail(begin, "illegal escape");
      ++pos_;
      return true;
    }
    if (hex_value(c) < 0 || hex_value(at(pos_ + 1)) < 0) return fail(begin, "illegal escape");
    pos_ += 2;
    return true;
  }

  bool run_of_reserved() {
    const u32 begin = pos_;
    u32 strings = 0;
    while (pos_ < s_.size()) {
      const char c = s_[pos_];
      if (c == '"') {
        ++strings;
        if (!string()) return pos_ > begin && s_[begin] == '$' ? renamed(begin, "empty identifier") : false;
      } else if (is_idchar(c) || (is_reserved_punctuation(c) &&
                                  !(c == ';' && (at(pos_ + 1) == ';' || at(pos_ + 1) == ')')))) {
        ++pos_;
      } else {
        break;
      }
    }
    if (pos_ == begin) {
      if (at(pos_) == ';') {  // ";)" outside a comment
        ++pos_;
        add(TokenKind::reserved, begin);
        return true;
      }
      return fail(pos_, utf8_length(s_.substr(pos_)) == 0 ? "malformed UTF-8 encoding" : "illegal character");
    }
    return classify(begin, strings);
  }

  bool classify(u32 begin, u32 strings) {
    const std::string_view run = s_.substr(begin, pos_ - begin);
    const bool idchars = std::ranges::all_of(run, is_idchar);
    TokenKind kind = TokenKind::reserved;
    if (run[0] == '"' && strings == 1 && run.back() == '"') {
      kind = TokenKind::string;
    } else if (run[0] == '$' && strings == 1 && run.size() > 2 && run[1] == '"' && run.back() == '"') {
      const std::string name = decode_id(run);
      if (name.empty() && !dropping()) return fail(begin, "empty identifier");
      if (!is_valid_utf8(name)) return fail(begin, "malformed UTF-8 encoding");
      kind = TokenKind::id;
    } else if (run == "$") {
      if (!dropping()) return fail(begin, "empty identifier");
    } else if (strings == 0 && idchars) {
      if (run[0] == '$') {
        kind = TokenKind::id;
      } else if (is_number(run)) {
        kind = TokenKind::number;
      } else if (run[0] >= 'a' && run[0] <= 'z') {
        kind = TokenKind::keyword;
      }
    }
    add(kind, begin);
    return true;
  }

  std::string_view s_;
  u32 pos_ = 0;
  TokenStream stream_;
  std::vector<OpenAnnotation> open_annotations_;
  std::optional<Error> error_;
};

Result<TokenStream> TokenStream::lex(std::string_view source) {
  if (source.size() > std::size_t{1} << 31)
    return std::unexpected(Error{ErrorCategory::limit, "text larger than 2 GiB", std::nullopt});
  return Lexer(source).run();
}

std::string TokenStream::annotation_name(const Token& t) const {
  const std::string_view s = text(t).substr(2);
  return s.starts_with('"') ? decode_string(s) : std::string(s);
}

}  // namespace tenon::text
