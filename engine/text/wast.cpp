// Test scripts; see wast.h.
#include "engine/text/wast.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "engine/text/cursor.h"
#include "engine/text/literals.h"
#include "engine/text/wat.h"

namespace tenon::text {
namespace {

struct RefRow {
  std::string_view word;
  WastType type;
};
constexpr std::array kRefs = std::to_array<RefRow>({{"ref.null", WastType::ref_null},
                                                    {"ref.extern", WastType::ref_extern},
                                                    {"ref.host", WastType::ref_host},
                                                    {"ref.func", WastType::ref_func},
                                                    {"ref.any", WastType::ref_any},
                                                    {"ref.eq", WastType::ref_eq},
                                                    {"ref.i31", WastType::ref_i31},
                                                    {"ref.struct", WastType::ref_struct},
                                                    {"ref.array", WastType::ref_array},
                                                    {"ref.exn", WastType::ref_exn}});
struct NumRow {
  std::string_view word;
  WastType type;
  u32 bits;
  bool is_float;
};
constexpr std::array kNums = std::to_array<NumRow>({{"i32.const", WastType::i32, 32, false},
                                                    {"i64.const", WastType::i64, 64, false},
                                                    {"f32.const", WastType::f32, 32, true},
                                                    {"f64.const", WastType::f64, 64, true}});
struct ShapeRow {
  std::string_view word;
  u32 bits;
  bool is_float;
};
constexpr std::array kShapes = std::to_array<ShapeRow>({{"i8x16", 8, false},
                                                        {"i16x8", 16, false},
                                                        {"i32x4", 32, false},
                                                        {"i64x2", 64, false},
                                                        {"f32x4", 32, true},
                                                        {"f64x2", 64, true}});
struct RejectionRow {
  std::string_view word;
  wast::Rejection why;
};
constexpr std::array kRejections =
    std::to_array<RejectionRow>({{"assert_malformed", wast::Rejection::malformed},
                                 {"assert_invalid", wast::Rejection::invalid},
                                 {"assert_unlinkable", wast::Rejection::unlinkable},
                                 {"assert_malformed_custom", wast::Rejection::malformed_custom},
                                 {"assert_invalid_custom", wast::Rejection::invalid_custom}});

class ScriptParser : public Cursor {
 public:
  ScriptParser(const TokenStream& stream, FeatureSet features) : Cursor(stream, 0), features_(features) {}

  std::vector<WastCommand> commands() {
    std::vector<WastCommand> out;
    while (ok() && is(TokenKind::lparen)) out.push_back(command());
    return out;
  }

 private:
  u32 line() {
    const u32 at = peek().begin;
    const std::string_view s = stream().source();
    line_ += static_cast<u32>(std::count(s.begin() + line_at_, s.begin() + std::max(at, line_at_), '\n'));
    line_at_ = std::max(at, line_at_);
    return line_;
  }

  WastCommand command() {
    WastCommand out{line(), wast::Unknown{}};
    advance();
    const std::string word(text());
    if (word == "module") {
      out.what = module_command();
    } else if (word == "register") {
      advance();
      std::string name = expect_bytes();
      out.what = wast::Register{std::move(name), take_id()};
      close();
    } else if (word == "invoke" || word == "get") {
      out.what = action();
    } else if (word == "assert_return") {
      advance();
      wast::AssertReturn a{opened_action(), {}};
      while (ok() && !is(TokenKind::rparen)) a.results.push_back(result());
      out.what = std::move(a);
      close();
    } else if (word == "assert_trap" || word == "assert_exhaustion") {
      out.what = assert_trap(word == "assert_trap" ? wast::Failure::trap : wast::Failure::exhaustion);
    } else if (word == "assert_exception") {
      advance();
      out.what = wast::AssertException{opened_action()};
      close();
    } else if (word == "thread") {
      out.what = thread();
    } else if (word == "wait") {
      advance();
      out.what = wast::Wait{take_id().value_or("")};
      close();
    } else {
      rejection_or_unknown(out, word);
    }
    return out;
  }

  void rejection_or_unknown(WastCommand& out, const std::string& word) {
    auto it = std::ranges::find(kRejections, word, &RejectionRow::word);
    advance();
    if (it == kRejections.end()) {
      out.what = wast::Unknown{word};
      return skip_form();
    }
    WastModule m = opened_module();
    out.what = wast::AssertRejected{std::move(m), it->why, expect_bytes()};
    close();
  }

  WastModule opened_module() {
    expect(TokenKind::lparen);
    advance();  // module
    WastModule m = module_body();
    close();
    return m;
  }

  // At "module".
  decltype(WastCommand::what) module_command() {
    advance();
    if (take_keyword("instance")) {
      auto id = take_id();
      wast::Instance i{std::move(id), take_id()};
      close();
      return i;
    }
    const bool definition = take_keyword("definition");
    wast::Module m{module_body(), definition};
    close();
    return m;
  }

  std::string strings() {
    std::string out;
    while (is(TokenKind::string)) out += expect_bytes();
    return out;
  }

  // Behind "(module"; up to its closing parenthesis.
  WastModule module_body() {
    const u32 start = position();
    WastModule m{take_id(), false, {}};
    if (take_keyword("binary")) {
      const std::string bytes = strings();
      m.bytes = std::vector<u8>(bytes.begin(), bytes.end());
    } else if (take_keyword("quote")) {
      m.is_quoted_text = true;
      m.bytes = wat_to_wasm(strings(), features_);
    } else {
      u32 at = start;
      auto parsed = parse_module_fields(stream(), at, features_);
      if (parsed) {
        m.bytes = std::move(parsed->bytes);
        seek(at);
      } else {
        m.bytes = std::unexpected(parsed.error());
        seek(start);
        skip_form();
        seek(position() - 1);
      }
    }
    return m;
  }

  WastAction opened_action() {
    expect(TokenKind::lparen);
    return action();
  }

  // At "invoke" or "get", up to and with the closing parenthesis.
  WastAction action() {
    WastAction a;
    a.is_get = is_keyword("get");
    if (!a.is_get && !is_keyword("invoke")) unexpected();
    advance();
    a.module = take_id();
    a.field = expect_bytes();
    while (ok() && !is(TokenKind::rparen)) a.args.push_back(value());
    close();
    return a;
  }

  wast::AssertTrap assert_trap(wast::Failure failure) {
    advance();
    wast::AssertTrap a{WastAction{}, failure, {}};
    if (is_form("module")) {
      a.what = opened_module();
    } else {
      a.what = opened_action();
    }
    a.text = expect_bytes();
    close();
    return a;
  }

  wast::Thread thread() {
    advance();
    wast::Thread t{take_id().value_or(""), {}, {}};
    while (take_form("shared")) {
      while (take_form("module")) {
        t.shared.push_back(take_id().value_or(""));
        close();
      }
      close();
    }
    t.commands = commands();
    close();
    return t;
  }

  WastResult result() {
    if (!take_form("either")) return {value()};
    WastResult out;
    while (ok() && !is(TokenKind::rparen)) out.push_back(value());
    close();
    return out;
  }

  WastValue value() {
    WastValue v{};
    expect(TokenKind::lparen);
    const std::string_view word = text();
    if (auto num = std::ranges::find(kNums, word, &NumRow::word); num != kNums.end()) {
      advance();
      v.type = num->type;
      v.bits = lane(num->bits, num->is_float, v.nan[0]);
    } else if (word == "v128.const") {
      advance();
      vector(v);
    } else if (auto ref = std::ranges::find(kRefs, word, &RefRow::word); ref != kRefs.end()) {
      advance();
      v.type = ref->type;
      v.any_value = is(TokenKind::rparen);
      if (is(TokenKind::number))
        v.bits = expect_nat(64);
      else if (!v.any_value)
        advance();  // a heap type or function: the value's own type says it already
    } else {
      unexpected();
    }
    close();
    return v;
  }

  void vector(WastValue& v) {
    v.type = WastType::v128;
    auto shape = std::ranges::find(kShapes, text(), &ShapeRow::word);
    if (shape == kShapes.end()) return unexpected();
    advance();
    v.lane_bytes = static_cast<u8>(shape->bits / 8);
    v.float_lanes = shape->is_float;
    for (u32 i = 0; ok() && i < 128 / shape->bits; ++i) {
      NanPattern nan = NanPattern::exact;
      const u64 bits = lane(shape->bits, shape->is_float, nan);
      std::memcpy(v.v128.data() + i * v.lane_bytes, &bits, v.lane_bytes);
      if (shape->is_float) v.nan[i] = nan;
    }
  }

  u64 lane(u32 bits, bool is_float, NanPattern& nan) {
    const std::string_view s = text();
    std::expected<u64, LiteralError> v = 0;
    if (is_float && (s == "nan:canonical" || s == "nan:arithmetic")) {
      nan = s == "nan:canonical" ? NanPattern::canonical : NanPattern::arithmetic;
    } else if (!is_float) {
      v = parse_int(s, bits);
    } else if (bits == 32) {
      v = parse_f32(s);
    } else {
      v = parse_f64(s);
    }
    if (!v) {
      unexpected();
      return 0;
    }
    advance();
    return *v;
  }

  FeatureSet features_;
  u32 line_ = 1, line_at_ = 0;
};

bool begins_with_command(const Cursor& c) {
  if (!c.is(TokenKind::lparen) || !c.is(TokenKind::keyword, 1)) return true;
  const std::string_view word = c.text(1);
  return word == "module" || word == "register" || word == "invoke" || word == "get" || word == "thread" ||
         word == "wait" || word.starts_with("assert_");
}

}  // namespace

Result<std::vector<WastCommand>> parse_wast(std::string_view source, FeatureSet features) {
  auto stream = TokenStream::lex(source);
  if (!stream) return std::unexpected(stream.error());
  ScriptParser parser(*stream, features);
  std::vector<WastCommand> out;
  if (!begins_with_command(parser)) {
    out.push_back({1, wast::Module{WastModule{{}, false, wat_to_wasm(source, features)}, false}});
    return out;
  }
  out = parser.commands();
  parser.expect(TokenKind::end);
  if (parser.error()) return std::unexpected(*parser.error());
  return out;
}

}  // namespace tenon::text
