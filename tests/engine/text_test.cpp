// The text format: tokens, literals, modules and scripts. What a module means is other suites' work; here its
// bytes and its errors count.
#include <gtest/gtest.h>

#include <bit>
#include <limits>
#include <string>

#include "engine/module.h"
#include "engine/text/lexer.h"
#include "engine/text/literals.h"
#include "engine/text/wast.h"
#include "engine/text/wat.h"

namespace tenon {
namespace {

using text::LiteralError;

std::unique_ptr<Module> decode(std::string_view wat) {
  auto bytes = text::wat_to_wasm(wat);
  if (!bytes) {
    ADD_FAILURE() << bytes.error().message;
    return nullptr;
  }
  auto owner = std::make_shared<std::vector<u8>>(std::move(*bytes));
  auto module = decode_module(std::make_shared<TypeRegistry>(), *owner, owner);
  if (!module) {
    ADD_FAILURE() << module.error().message;
    return nullptr;
  }
  return std::move(*module);
}

std::string error_of(std::string_view wat) {
  auto bytes = text::wat_to_wasm(wat);
  return bytes ? "accepted" : bytes.error().message;
}

TEST(TextLiterals, IntegersTakeBothSignConventionsUpToTheirRange) {
  EXPECT_EQ(text::parse_int("4294967295", 32), 0xffff'ffffu);
  EXPECT_EQ(text::parse_int("-2147483648", 32), 0x8000'0000u);
  EXPECT_EQ(text::parse_int("-1", 8), 0xffu);
  EXPECT_EQ(text::parse_int("0x7fff_ffff_ffff_ffff", 64), 0x7fff'ffff'ffff'ffffu);
  EXPECT_EQ(text::parse_int("4294967296", 32).error(), LiteralError::range);
  EXPECT_EQ(text::parse_int("-2147483649", 32).error(), LiteralError::range);
  EXPECT_EQ(text::parse_int("18446744073709551616", 64).error(), LiteralError::range);
}

TEST(TextLiterals, FloatsRoundExactlyInDecimalAndHexadecimal) {
  EXPECT_EQ(text::parse_f32("0x1.000001p0"), 0x3f80'0000u);          // a tie goes to even
  EXPECT_EQ(text::parse_f32("0x1.00000100000001p0"), 0x3f80'0001u);  // just above it
  EXPECT_EQ(text::parse_f64("0x0.0000000000001p-1022"), 1u);
  EXPECT_EQ(text::parse_f64("1e-400"), 0u);
  EXPECT_EQ(text::parse_f64("-0.0"), 0x8000'0000'0000'0000u);
  EXPECT_EQ(text::parse_f32("1e39").error(), LiteralError::range);
}

TEST(TextLiterals, NanPayloadsAreKept) {
  EXPECT_EQ(text::parse_f32("-nan:0x1"), 0xff80'0001u);
  EXPECT_EQ(text::parse_f32("nan"), 0x7fc0'0000u);
  EXPECT_EQ(text::parse_f64("nan:0x8_0000_0000_0000"), 0x7ff8'0000'0000'0000u);
  EXPECT_EQ(text::parse_f32("nan:0x0").error(), LiteralError::range);
  EXPECT_EQ(text::parse_f32("nan:0x800000").error(), LiteralError::range);
}

TEST(TextLexer, CommentsNestAndAnnotationsDisappear) {
  auto tokens = text::TokenStream::lex("(; a (; b ;) ;) (module (@unknown (x \"y\")) ;; rest\n)");
  ASSERT_TRUE(tokens);
  EXPECT_EQ(tokens->tokens().size(), 4u);  // ( module ) and the end
}

TEST(TextLexer, StringEscapesBecomeBytes) {
  EXPECT_EQ(text::decode_string(R"("a\t\41\u{20ac}\"")"), "a\tA\xe2\x82\xac\"");
}

TEST(TextLexer, RejectsWhatBelongsToNoToken) {
  EXPECT_TRUE(error_of("(module \x01)").starts_with("illegal character"));
  EXPECT_TRUE(error_of("(module \"abc").starts_with("unclosed string"));
  EXPECT_TRUE(error_of("(; (module)").starts_with("unclosed comment"));
  EXPECT_TRUE(error_of("(module) ;; \xff").starts_with("malformed UTF-8 encoding"));
}

TEST(TextModule, ErrorsShowLineColumnAndTheLine) {
  const std::string e = error_of("(module\n  (func i32.bogus))");
  EXPECT_TRUE(e.starts_with("unknown operator i32.bogus at 2:9")) << e;
  EXPECT_NE(e.find("  (func i32.bogus))\n"), std::string::npos) << e;
}

TEST(TextModule, IndicesMayBeUsedBeforeTheirDefinition) {
  auto m = decode("(module (export \"f\" (func $f)) (func $g call $f) (func $f (type $t)) (type $t (func)))");
  ASSERT_NE(m, nullptr);
  EXPECT_EQ(m->exports[0].index, 1u);
  EXPECT_EQ(m->function_name(FuncIdx{1}), "f");
}

TEST(TextModule, InlineTypesAreSharedAndAppended) {
  auto m = decode("(module (type (func (param i32))) (func (param i32)) (func (result i64) i64.const 1))");
  ASSERT_NE(m, nullptr);
  EXPECT_EQ(m->types.size(), 2u);
  EXPECT_EQ(m->functions[0].type_idx, TypeIdx{0});
  EXPECT_EQ(m->functions[1].type_idx, TypeIdx{1});
}

TEST(TextModule, FoldedAndFlatFormsGiveTheSameBytes) {
  const auto folded = text::wat_to_wasm(
      "(func (param i32) (result i32) (if (result i32) (local.get 0)"
      " (then (i32.const 1)) (else (i32.add (i32.const 2) (i32.const 3)))))");
  const auto flat = text::wat_to_wasm(
      "(func (param i32) (result i32) local.get 0 if (result i32) i32.const 1 else"
      " i32.const 2 i32.const 3 i32.add end)");
  ASSERT_TRUE(folded && flat);
  EXPECT_EQ(*folded, *flat);
}

TEST(TextModule, InlineDataMakesAMemoryOfItsSize) {
  auto m = decode("(module (memory (data \"abc\" \"\\00\")))");
  ASSERT_NE(m, nullptr);
  EXPECT_EQ(m->memories[0].limits.min, 1u);
  EXPECT_EQ(m->memories[0].limits.max, 1u);
  ASSERT_EQ(m->data.size(), 1u);
  EXPECT_EQ(m->data[0].bytes.size(), 4u);
}

TEST(TextModule, CustomAnnotationsBecomeSectionsInPlace) {
  auto m = decode("(module (@custom \"a\" (after last) \"x\") (@custom \"b\" (before first) \"y\") (func))");
  ASSERT_NE(m, nullptr);
  ASSERT_EQ(m->customs.size(), 2u);
  EXPECT_EQ(m->customs[0].name, "b");
  EXPECT_EQ(m->customs[1].name, "a");
}

TEST(TextModule, GarbageCollectedTypesAndCasts) {
  EXPECT_NE(decode(R"((module
    (rec (type $list (sub (struct (field $head i32) (field $tail (mut (ref null $list)))))))
    (func (export "head") (param (ref null $list)) (result i32) (struct.get $list $head (local.get 0)))
    (func (param anyref) (result i32) (ref.test (ref $list) (local.get 0)))
    (func (param anyref) (drop (block $l (result (ref $list)) (br_on_cast $l anyref (ref $list) (local.get 0)) drop
      unreachable)))))"),
            nullptr);
}

TEST(TextModule, NamesAreUniqueAndImportsComeFirst) {
  EXPECT_TRUE(error_of("(func $f) (func $f)").starts_with("duplicate func $f"));
  EXPECT_TRUE(error_of("(func) (import \"m\" \"n\" (func))").starts_with("import after function"));
  EXPECT_TRUE(error_of("(func (param $x i32) (local $x i32))").starts_with("duplicate local"));
}

TEST(TextModule, LabelsMustMatchAndExist) {
  EXPECT_TRUE(error_of("(func block $a end $b)").starts_with("mismatching label"));
  EXPECT_TRUE(error_of("(func br $nowhere)").starts_with("unknown label"));
}

TEST(TextModule, DeepNestingIsAnErrorNotACrash) {
  std::string wat = "(func ";
  for (int i = 0; i < 200'000; ++i) wat += "(drop ";
  EXPECT_NE(error_of(wat).find("nesting deeper than"), std::string::npos);
  std::string comments(400'000, '(');
  for (size_t i = 1; i < comments.size(); i += 2) comments[i] = ';';
  EXPECT_TRUE(error_of(comments).starts_with("unclosed comment"));
}

TEST(TextModule, EveryTruncationOfAModuleIsAnErrorOrAModule) {
  const std::string wat =
      "(module $m (type $t (func (param i32) (result f32))) (import \"a\" \"b\" (func $i (type $t)))"
      " (table 1 funcref) (elem (i32.const 0) func $i) (memory 1) (data (i32.const 0) \"\\u{41}\")"
      " (func $f (local i32) (v128.const i32x4 1 2 3 4) drop (i32.load offset=4 align=1 (i32.const 0)) "
      "drop))";
  for (size_t n = 0; n < wat.size(); ++n) {
    auto bytes = text::wat_to_wasm(std::string_view(wat).substr(0, n));
    if (!bytes) EXPECT_FALSE(bytes.error().message.empty());
  }
  EXPECT_TRUE(text::wat_to_wasm(wat));
}

TEST(TextScript, CommandsKeepTheirLinesAndPatterns) {
  auto script = text::parse_wast(
      "(module $m (func (export \"f\")))\n"
      "(assert_return (invoke $m \"f\" (i32.const -1)) (f32.const nan:canonical))\n"
      "(assert_malformed (module quote \"(func\") \"unexpected token\")");
  ASSERT_TRUE(script);
  ASSERT_EQ(script->size(), 3u);
  EXPECT_EQ((*script)[1].line, 2u);
  const auto& a = std::get<text::wast::AssertReturn>((*script)[1].what);
  EXPECT_EQ(a.action.args[0].bits, 0xffff'ffffu);
  EXPECT_EQ(a.results[0][0].nan[0], text::NanPattern::canonical);
  EXPECT_FALSE(std::get<text::wast::AssertRejected>((*script)[2].what).module.bytes);
}

TEST(TextScript, AMalformedModuleDoesNotEndTheScript) {
  auto script = text::parse_wast("(assert_invalid (module (func bogus)) \"x\") (module)");
  ASSERT_TRUE(script);
  EXPECT_EQ(script->size(), 2u);
}

}  // namespace
}  // namespace tenon
