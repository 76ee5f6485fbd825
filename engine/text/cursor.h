// Walks over tokens for the parsers of modules and scripts. The first error sticks: afterwards the cursor
// stands at the end, so parsers can go on without looking at each step and report once.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "engine/text/lexer.h"

namespace tenon::text {

class Cursor {
 public:
  Cursor(const TokenStream& stream, u32 position) : stream_(stream), pos_(position) {}

  const TokenStream& stream() const { return stream_; }
  u32 position() const { return pos_; }
  void seek(u32 position) { pos_ = position; }
  bool ok() const { return !error_; }
  const std::optional<Error>& error() const { return error_; }

  const Token& peek(u32 ahead = 0) const;
  std::string_view text(u32 ahead = 0) const { return stream_.text(peek(ahead)); }
  bool is(TokenKind kind, u32 ahead = 0) const { return peek(ahead).kind == kind; }
  bool is_keyword(std::string_view word, u32 ahead = 0) const {
    return is(TokenKind::keyword, ahead) && text(ahead) == word;
  }
  // "(" word
  bool is_form(std::string_view word) const { return is(TokenKind::lparen) && is_keyword(word, 1); }
  bool is_annotation(std::string_view name) const {
    return is(TokenKind::annotation) && stream_.annotation_name(peek()) == name;
  }

  void advance(u32 n = 1);
  bool take_keyword(std::string_view word);  // consumes it if it is there
  bool take_form(std::string_view word);     // likewise "(" word
  void expect(TokenKind kind);               // fails with "unexpected token"
  void expect_keyword(std::string_view word);
  void close() { expect(TokenKind::rparen); }
  std::string expect_bytes();  // a string's bytes
  std::string expect_name();   // likewise, valid UTF-8
  std::optional<std::string> take_id();
  u64 expect_nat(u32 bits);
  // After "(": to just behind the matching ")". Iterative, so depth does not matter.
  void skip_form();

  // Reports at the current token, or at another. Says "unknown operator" or "misplaced @… annotation" instead
  // of "unexpected token" where the token itself is what is wrong.
  void fail(std::string_view message);
  void fail_at(const Token& t, std::string_view message);
  void unexpected() { fail("unexpected token"); }

 private:
  bool is_unknown_word(const Token& t) const;

  const TokenStream& stream_;
  u32 pos_;
  std::optional<Error> error_;
};

}  // namespace tenon::text
