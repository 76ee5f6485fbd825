// Splits WebAssembly text into tokens (spec: text/lexical). Knows nothing of modules or scripts. Annotations
// that Tenon understands (@name, @custom, @metadata.code.branch_hint) become tokens, all others are dropped
// here.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "engine/base.h"
#include "engine/error.h"

namespace tenon::text {

enum class TokenKind : u8 { lparen, rparen, annotation, keyword, number, id, string, reserved, end };

struct Token {
  TokenKind kind;
  u32 begin, end;  // byte range in the source; an annotation's is "(@name", up to where its content begins
};

// The source with its tokens. Sources are limited to 2 GiB.
class TokenStream {
 public:
  // Fails on characters that belong to no token, unclosed strings, comments or annotations.
  static Result<TokenStream> lex(std::string_view source);

  const std::vector<Token>& tokens() const { return tokens_; }
  std::string_view text(const Token& t) const { return source_.substr(t.begin, t.end - t.begin); }
  // "(@custom" → "custom"; quoted names are decoded.
  std::string annotation_name(const Token& t) const;
  std::string_view source() const { return source_; }

 private:
  friend class Lexer;
  std::string_view source_;
  std::vector<Token> tokens_;
};

// `message`, then ` at line:column` and the offending line with a caret below.
Error text_error(std::string_view source, u32 at, std::string message);

// Decodes a string token with its quotes (spec: text/values, strings) into bytes.
std::string decode_string(std::string_view quoted);
bool is_valid_utf8(std::string_view bytes);
// The name an identifier token stands for: "$x" → "x", `$"a b"` → "a b".
std::string decode_id(std::string_view id);

}  // namespace tenon::text
