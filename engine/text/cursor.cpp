// See cursor.h.
#include "engine/text/cursor.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "engine/opcodes.h"
#include "engine/text/literals.h"

namespace tenon::text {
namespace {

// Keywords that are not instructions.
constexpr std::array kKeywords = std::to_array<std::string_view>({"any",
                                                                  "anyref",
                                                                  "array",
                                                                  "arrayref",
                                                                  "before",
                                                                  "after",
                                                                  "binary",
                                                                  "catch",
                                                                  "catch_all",
                                                                  "catch_all_ref",
                                                                  "catch_ref",
                                                                  "data",
                                                                  "declare",
                                                                  "definition",
                                                                  "delegate",
                                                                  "do",
                                                                  "elem",
                                                                  "else",
                                                                  "end",
                                                                  "eq",
                                                                  "eqref",
                                                                  "exn",
                                                                  "exnref",
                                                                  "export",
                                                                  "extern",
                                                                  "externref",
                                                                  "f32",
                                                                  "f32x4",
                                                                  "f64",
                                                                  "f64x2",
                                                                  "field",
                                                                  "final",
                                                                  "first",
                                                                  "func",
                                                                  "funcref",
                                                                  "global",
                                                                  "i16",
                                                                  "i16x8",
                                                                  "i31",
                                                                  "i31ref",
                                                                  "i32",
                                                                  "i32x4",
                                                                  "i64",
                                                                  "i64x2",
                                                                  "i8",
                                                                  "i8x16",
                                                                  "if",
                                                                  "import",
                                                                  "instance",
                                                                  "item",
                                                                  "last",
                                                                  "local",
                                                                  "memory",
                                                                  "module",
                                                                  "mut",
                                                                  "noexn",
                                                                  "noextern",
                                                                  "nofunc",
                                                                  "none",
                                                                  "nullexnref",
                                                                  "nullexternref",
                                                                  "nullfuncref",
                                                                  "nullref",
                                                                  "offset",
                                                                  "pagesize",
                                                                  "param",
                                                                  "quote",
                                                                  "rec",
                                                                  "ref",
                                                                  "result",
                                                                  "shared",
                                                                  "start",
                                                                  "struct",
                                                                  "structref",
                                                                  "sub",
                                                                  "table",
                                                                  "tag",
                                                                  "then",
                                                                  "type",
                                                                  "v128"});

bool is_known_keyword(std::string_view s) {
  return std::ranges::find(kKeywords, s) != kKeywords.end() || op_from_name(s).has_value() ||
         s.starts_with("offset=") || s.starts_with("align=") || s.starts_with("nan:0x") ||
         s == "nan:canonical" || s == "nan:arithmetic";
}

}  // namespace

const Token& Cursor::peek(u32 ahead) const {
  const auto& tokens = stream_.tokens();
  return tokens[std::min<size_t>(size_t{pos_} + ahead, tokens.size() - 1)];
}

void Cursor::advance(u32 n) {
  pos_ = static_cast<u32>(std::min<size_t>(size_t{pos_} + n, stream_.tokens().size() - 1));
}

bool Cursor::take_keyword(std::string_view word) {
  if (!is_keyword(word)) return false;
  advance();
  return true;
}

bool Cursor::take_form(std::string_view word) {
  if (!is_form(word)) return false;
  advance(2);
  return true;
}

void Cursor::expect(TokenKind kind) {
  if (!is(kind)) return unexpected();
  advance();
}

void Cursor::expect_keyword(std::string_view word) {
  if (!take_keyword(word)) unexpected();
}

std::string Cursor::expect_bytes() {
  if (!is(TokenKind::string)) {
    unexpected();
    return {};
  }
  std::string out = decode_string(text());
  advance();
  return out;
}

std::string Cursor::expect_name() {
  const Token t = peek();
  std::string out = expect_bytes();
  if (ok() && !is_valid_utf8(out)) fail_at(t, "malformed UTF-8 encoding");
  return out;
}

std::optional<std::string> Cursor::take_id() {
  if (!is(TokenKind::id)) return std::nullopt;
  std::string id = decode_id(text());
  advance();
  return id;
}

u64 Cursor::expect_nat(u32 bits) {
  if (!is(TokenKind::number)) {
    unexpected();
    return 0;
  }
  const auto value = parse_nat(text(), bits);
  if (!value) {
    fail(value.error() == LiteralError::range ? fmt::format("i{} constant out of range", bits)
                                              : "unexpected token");
    return 0;
  }
  advance();
  return *value;
}

void Cursor::skip_form() {
  for (u32 depth = 1; depth > 0 && !is(TokenKind::end); advance()) {
    if (is(TokenKind::lparen) || is(TokenKind::annotation)) ++depth;
    if (is(TokenKind::rparen)) --depth;
  }
}

void Cursor::fail(std::string_view message) {
  // Before an unknown word in parentheses it is the word that is unexpected.
  const bool word = is(TokenKind::lparen) && (is(TokenKind::reserved, 1) || is(TokenKind::keyword, 1));
  fail_at(word && message == "unexpected token" && is_unknown_word(peek(1)) ? peek(1) : peek(), message);
}

// A token that stands for nothing in this grammar, wherever it is.
bool Cursor::is_unknown_word(const Token& t) const {
  return t.kind == TokenKind::reserved ||
         (t.kind == TokenKind::keyword && !is_known_keyword(stream_.text(t)));
}

void Cursor::fail_at(const Token& t, std::string_view message) {
  if (error_) return;
  std::string m(message);
  if (message == "unexpected token") {
    if (is_unknown_word(t)) {
      m = fmt::format("unknown operator {}", stream_.text(t));
    } else if (t.kind == TokenKind::annotation) {
      const std::string name = stream_.annotation_name(t);
      m = name.starts_with("metadata") ? fmt::format("@{} annotation: not in a function", name)
                                       : fmt::format("misplaced @{} annotation", name);
    }
  }
  error_ = text_error(stream_.source(), t.begin, std::move(m));
  pos_ = static_cast<u32>(stream_.tokens().size() - 1);
}

}  // namespace tenon::text
