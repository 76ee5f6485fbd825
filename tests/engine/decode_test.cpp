// The binary decoder: every section, good and bad; truncated and lying modules; limits; features.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "engine/reader.h"
#include "module_bytes.h"

namespace tenon::test {
namespace {

Bytes import(std::string_view module, std::string_view field, const Bytes& desc) {
  return name(module) + name(field) + desc;
}

TEST(Decode, HeaderAlone) {
  EXPECT_OK(kHeader);
  EXPECT_ERROR("unexpected end", Bytes{0, 'a', 's'});
  EXPECT_ERROR("magic header not detected", Bytes{0, 'a', 's', 'x', 1, 0, 0, 0});
  EXPECT_ERROR("unknown binary version", Bytes{0, 'a', 's', 'm', 2, 0, 0, 0});
}

TEST(Decode, SectionsOutOfOrderTwiceOrUnknown) {
  const Bytes types = section(kType, {0}), functions = section(kFunction, {0});
  EXPECT_OK(kHeader + types + functions);
  EXPECT_ERROR("unexpected content after last section", kHeader + functions + types);
  EXPECT_ERROR("unexpected content after last section", kHeader + types + types);
  EXPECT_ERROR("malformed section id", kHeader + section(14, {0}));
  EXPECT_ERROR("length out of bounds", kHeader + Bytes{kType, 40, 0});
  EXPECT_ERROR("section size mismatch", kHeader + section(kType, {0, 0}));
}

TEST(Decode, AVectorOfFourBillionEntriesNeedsNoMemory) {
  for (u8 id : {kType, kImport, kFunction, kTable, kMemory, kGlobal, kExport, kElement, kCode, kData, kTag}) {
    SCOPED_TRACE(int{id});
    EXPECT_ERROR("length out of bounds", kHeader + section(id, {0xff, 0xff, 0xff, 0xff, 0x0f}));
  }
  // A count that the file's size allows still gets no further than the bytes that are there.
  EXPECT_ERROR("unexpected end", kHeader + section(kImport, Bytes{4, 0, 0, 0}));
}

TEST(Decode, CustomSectionsAreViewsAndKeepTheirPlace) {
  OneFunction f{.params = {I32}, .results = {I32}, .code = {0x20, 0}};
  f.after = section(kCustom, name("after") + Bytes{1, 2});
  f.middle = section(kCustom, name("middle"));
  auto m = decode(f.bytes());
  ASSERT_TRUE(m) << m.error().message;
  ASSERT_EQ((*m)->customs.size(), 2u);
  EXPECT_EQ((*m)->customs[0].name, "middle");
  EXPECT_EQ((*m)->customs[0].after, 3) << "after the function section";
  EXPECT_EQ((*m)->customs[1].name, "after");
  EXPECT_EQ((*m)->customs[1].bytes.size(), 2u);
  EXPECT_GE((*m)->customs[1].bytes.data(), (*m)->bytes().data());
  EXPECT_ERROR("unexpected end", kHeader + Bytes{0, 0});
  EXPECT_ERROR("malformed UTF-8 encoding", kHeader + section(kCustom, {2, 0xc0, 0x80}));
}

TEST(Decode, FunctionsHaveTheirTypeAndBody) {
  OneFunction f{.params = {I32}, .results = {I32}, .code = {0x20, 0}};
  auto m = decode(f.bytes());
  ASSERT_TRUE(m) << m.error().message;
  ASSERT_EQ((*m)->functions.size(), 1u);
  EXPECT_EQ(to_string((*m)->func_type(FuncIdx{0})), "[i32] -> [i32]");
  EXPECT_EQ((*m)->functions[0].body.size(), 4u);
  EXPECT_EQ((*m)->bytes()[(*m)->functions[0].offset], 0) << "no locals";
  EXPECT_EQ((*m)->function_name(FuncIdx{0}), "func[0]");
}

TEST(Decode, FunctionAndCodeSectionsMustAgree) {
  const Bytes types = section(kType, vec({func_type({}, {})})), two = section(kFunction, vec({{0}, {0}}));
  const std::string_view text = "function and code section have inconsistent lengths";
  EXPECT_ERROR(text, kHeader + types + two);
  EXPECT_ERROR(text, kHeader + types + two + section(kCode, vec({body({})})));
  EXPECT_ERROR(text, kHeader + section(kCode, vec({body({})})));
  EXPECT_OK(kHeader + types + two + section(kCode, vec({body({}), body({})})));
  EXPECT_OK(kHeader + section(kCode, {0}));
}

TEST(Decode, ImportsFillTheIndexSpaces) {
  const Bytes types = section(kType, vec({func_type({I32}, {})}));
  auto m = decode(kHeader + types +
                  section(kImport, vec({import("m", "f", {0, 0}), import("m", "t", {1, FUNCREF, 1, 2, 3}),
                                        import("m", "e", {2, 0, 1}), import("m", "g", {3, I64, 1}),
                                        import("m", "x", {4, 0, 0})})));
  ASSERT_TRUE(m) << m.error().message;
  EXPECT_EQ((*m)->imported_functions, 1u);
  EXPECT_EQ((*m)->imported_tables, 1u);
  EXPECT_EQ((*m)->imported_memories, 1u);
  EXPECT_EQ((*m)->imported_globals, 1u);
  EXPECT_EQ((*m)->imported_tags, 1u);
  EXPECT_EQ((*m)->tables[0].type.limits.min, 2u);
  EXPECT_EQ((*m)->tables[0].type.limits.max, 3u);
  EXPECT_TRUE((*m)->globals[0].type.mutable_);
  EXPECT_EQ((*m)->imports[3].kind(), ExternKind::global);
  EXPECT_ERROR("malformed import kind", kHeader + types + section(kImport, vec({import("m", "x", {5, 0})})));
  EXPECT_ERROR("malformed UTF-8 encoding",
               kHeader + types + section(kImport, vec({import("\xff", "x", {0, 0})})));
  EXPECT_ERROR("unknown type 1", kHeader + types + section(kImport, vec({import("m", "x", {0, 1})})));
}

TEST(Decode, LimitsOfTablesAndMemories) {
  const auto memory = [](const Bytes& type) { return kHeader + section(kMemory, vec({type})); };
  EXPECT_OK(memory({0, 1}));
  EXPECT_OK(memory({1, 1, 2}));
  EXPECT_OK(memory({3, 1, 2}));                             // shared
  EXPECT_OK(memory({4, 0x80, 0x80, 0x80, 0x80, 0x10}));     // 64-bit, 2^32 pages
  EXPECT_OK(memory({8, 0xff, 0xff, 0xff, 0xff, 0x0f, 0}));  // pages of one byte
  EXPECT_ERROR("size minimum must not be greater than maximum", memory({1, 2, 1}));
  EXPECT_ERROR("memory size must be at most 65536 pages (4GiB)", memory({0, 0x81, 0x80, 0x04}));
  EXPECT_ERROR("shared memory must have maximum", memory({2, 1}));
  EXPECT_ERROR("malformed limits flags", memory({0x10, 1}));
  EXPECT_ERROR("malformed limits flags", memory({0x81, 0, 0, 0}));
  EXPECT_ERROR("invalid custom page size", memory({8, 0, 1}));
  EXPECT_ERROR("invalid custom page size", memory({8, 0, 0x41}));
  const auto table = [](const Bytes& type) { return kHeader + section(kTable, vec({type})); };
  EXPECT_OK(table({FUNCREF, 5, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}));
  EXPECT_ERROR("malformed limits flags", table({FUNCREF, 2, 0}));
  EXPECT_ERROR("malformed reference type", table({I32, 0, 0}));
  EXPECT_ERROR("table size", table({FUNCREF, 0, 0x80, 0x80, 0x80, 0x80, 0x10}));
  EXPECT_ERROR("type mismatch: type is not defaultable", table({0x64, FUNCREF, 0, 1}));
}

TEST(Decode, GlobalsAndTheirInitialisers) {
  const auto global = [](const Bytes& g) { return kHeader + section(kGlobal, vec({g})); };
  EXPECT_OK(global({I32, 0, 0x41, 0, 0x0b}));
  EXPECT_ERROR("malformed mutability", global({I32, 2, 0x41, 0, 0x0b}));
  EXPECT_ERROR("unexpected end", global({I32, 0, 0x41, 0}));
  EXPECT_ERROR("type mismatch", global({I32, 0, 0x42, 0, 0x0b}));
  EXPECT_ERROR("type mismatch", global({I32, 0, 0x0b}));
  EXPECT_ERROR("constant expression required", global({I32, 0, 0x41, 0, 0x45, 0x0b}));
  EXPECT_ERROR("unknown global 0", global({I32, 0, 0x23, 0, 0x0b}));
  EXPECT_ERROR("illegal opcode ff", global({I32, 0, 0xff, 0x0b}));
  EXPECT_ERROR("constant expression required", global({I32, 0, 0x02, I32, 0x41, 0, 0x0b, 0x0b}));
  EXPECT_ERROR("malformed value type", global({0x7a, 0, 0x41, 0, 0x0b}));
}

TEST(Decode, ExportsAndStart) {
  const Bytes base = kHeader + section(kType, vec({func_type({}, {}), func_type({I32}, {})})) +
                     section(kFunction, vec({{0}, {1}}));
  const Bytes code = section(kCode, vec({body({}), body({})}));
  const auto exports = [&](const std::vector<Bytes>& e) { return base + section(kExport, vec(e)) + code; };
  EXPECT_OK(exports({name("a") + Bytes{0, 0}, name("b") + Bytes{0, 0}}));
  EXPECT_ERROR("duplicate export name", exports({name("a") + Bytes{0, 0}, name("a") + Bytes{0, 1}}));
  EXPECT_ERROR("unknown function 2", exports({name("a") + Bytes{0, 2}}));
  EXPECT_ERROR("unknown memory 0", exports({name("a") + Bytes{2, 0}}));
  EXPECT_ERROR("malformed export kind", exports({name("a") + Bytes{5, 0}}));
  EXPECT_OK(base + section(kStart, {0}) + code);
  EXPECT_ERROR("start function", base + section(kStart, {1}) + code);
  EXPECT_ERROR("unknown function 7", base + section(kStart, {7}) + code);
  auto m = decode(exports({name("run") + Bytes{0, 1}}));
  ASSERT_TRUE(m);
  ASSERT_NE((*m)->find_export("run"), nullptr);
  EXPECT_EQ((*m)->find_export("ru"), nullptr);
  EXPECT_EQ((*m)->function_name(FuncIdx{1}), "run");
}

TEST(Decode, EveryKindOfElementSegment) {
  const Bytes base = kHeader + section(kType, vec({func_type({}, {})})) + section(kFunction, vec({{0}})) +
                     section(kTable, vec({{FUNCREF, 0, 4}}));
  const Bytes code = section(kCode, vec({body({})}));
  const auto elem = [&](const Bytes& e) { return base + section(kElement, vec({e})) + code; };
  const Bytes at0 = {0x41, 0, 0x0b}, funcs = {1, 0}, expr = {1, 0xd2, 0, 0x0b};
  EXPECT_OK(elem(Bytes{0} + at0 + funcs));
  EXPECT_OK(elem(Bytes{1, 0} + funcs));
  EXPECT_OK(elem(Bytes{2, 0} + at0 + Bytes{0} + funcs));
  EXPECT_OK(elem(Bytes{3, 0} + funcs));
  EXPECT_OK(elem(Bytes{4} + at0 + expr));
  EXPECT_OK(elem(Bytes{5, FUNCREF} + expr));
  EXPECT_OK(elem(Bytes{6, 0} + at0 + Bytes{FUNCREF} + expr));
  EXPECT_OK(elem(Bytes{7, FUNCREF} + expr));
  EXPECT_ERROR("malformed elements segment kind", elem(Bytes{8} + at0 + funcs));
  EXPECT_ERROR("malformed element kind", elem(Bytes{1, 1} + funcs));
  EXPECT_ERROR("malformed reference type", elem(Bytes{5, I32} + expr));
  EXPECT_ERROR("unknown table 3", elem(Bytes{2, 3} + at0 + Bytes{0} + funcs));
  EXPECT_ERROR("unknown function 9", elem(Bytes{1, 0, 1, 9}));
  EXPECT_ERROR("type mismatch", elem(Bytes{0, 0x42, 0, 0x0b} + funcs));
  EXPECT_ERROR("type mismatch", elem(Bytes{6, 0} + at0 + Bytes{EXTERNREF, 0}));
  auto m = decode(elem(Bytes{7, FUNCREF} + expr));
  ASSERT_TRUE(m);
  EXPECT_EQ((*m)->elements[0].mode, SegmentMode::declarative);
  EXPECT_EQ((*m)->elements[0].size(), 1u);
  EXPECT_TRUE((*m)->declared_func_refs[0]);
}

TEST(Decode, DataSegmentsAndTheirCount) {
  const Bytes memory = section(kMemory, vec({{0, 1}}));
  const Bytes one = section(kData, vec({Bytes{0, 0x41, 0, 0x0b} + name("abc")}));
  EXPECT_OK(kHeader + memory + one);
  EXPECT_OK(kHeader + memory + section(kDataCount, {1}) + one);
  EXPECT_OK(kHeader + section(kData, vec({Bytes{1} + name("abc")})));
  EXPECT_ERROR("data count and data section", kHeader + memory + section(kDataCount, {2}) + one);
  EXPECT_ERROR("data count and data section", kHeader + memory + section(kDataCount, {1}));
  EXPECT_ERROR("unknown memory 0", kHeader + one);
  EXPECT_ERROR("malformed data segment kind", kHeader + section(kData, vec({Bytes{3} + name("abc")})));
  EXPECT_ERROR("unexpected end", kHeader + memory + section(kData, {1, 0, 0x41, 0, 0x0b, 4, 'a', 'b', 'c'}));
  const OneFunction drop{.code = {0xfc, 9, 0}, .after = section(kData, vec({Bytes{1} + name("x")}))};
  EXPECT_ERROR("data count section required", drop.bytes());
}

TEST(Decode, IntegersMustFitTheirWidthAndLength) {
  const auto memory_min = [](const Bytes& leb) { return kHeader + section(kMemory, Bytes{1, 0} + leb); };
  EXPECT_OK(memory_min({0x82, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00}));
  EXPECT_ERROR("integer representation too long",
               memory_min({0x82, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00}));
  EXPECT_ERROR("integer too large", memory_min({0x82, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02}));
  const auto i32_const = [](const Bytes& leb) {
    return kHeader + section(kGlobal, Bytes{1, I32, 0, 0x41} + leb + Bytes{0x0b});
  };
  EXPECT_OK(i32_const({0xff, 0xff, 0xff, 0xff, 0x7f}));
  EXPECT_OK(i32_const({0x80, 0x80, 0x80, 0x80, 0x78}));
  EXPECT_ERROR("integer too large", i32_const({0xff, 0xff, 0xff, 0xff, 0x0f}));
  EXPECT_ERROR("integer too large", i32_const({0x80, 0x80, 0x80, 0x80, 0x70}));
  EXPECT_ERROR("integer representation too long", i32_const({0x80, 0x80, 0x80, 0x80, 0x80, 0x00}));
}

TEST(Decode, ConstantsKeepTheirBits) {
  OneFunction f{.code = {0x41, 0x7f, 0x1a, 0x42, 0x80, 0x80, 0x80, 0x80,
                         0x80, 0x80, 0x80, 0x80, 0x80, 0x7f, 0x1a,  //
                         0x43, 1,    0,    0xa0, 0x7f, 0x1a}};
  auto m = decode(f.bytes());
  ASSERT_TRUE(m) << m.error().message;
  CodeReader reader(**m, (*m)->functions[0].body, (*m)->functions[0].offset);
  std::vector<LocalRun> locals;
  ASSERT_TRUE(reader.read_locals(locals));
  Instr i;
  std::vector<u64> bits;
  while (reader.next(i))
    if (i.op != Op::drop && i.op != Op::end) bits.push_back(i.bits);
  EXPECT_EQ(bits, (std::vector<u64>{~u64{0}, u64{1} << 63, 0x7fa00001}));
}

TEST(Decode, NamesOfModuleAndFunctions) {
  OneFunction f;
  f.after = section(kCustom, name("name") + Bytes{0} + sized(name("mod")) + Bytes{1} +
                                 sized(Bytes{2, 0} + name("main") + Bytes{9} + name("beyond")));
  auto m = decode(f.bytes());
  ASSERT_TRUE(m);
  EXPECT_EQ((*m)->names.module, "mod");
  EXPECT_EQ((*m)->function_name(FuncIdx{0}), "main");
  f.after = section(kCustom, name("name") + Bytes{1, 99, 1});
  m = decode(f.bytes());
  ASSERT_TRUE(m) << "a broken name section is no error";
  EXPECT_EQ((*m)->function_name(FuncIdx{0}), "func[0]");
}

TEST(Decode, BranchHintsAreFoundByFunction) {
  OneFunction f{.code = {0x41, 0, 0x04, 0x40, 0x0b}};
  f.middle = section(kCustom, name("metadata.code.branch_hint") + Bytes{1, 0, 1, 3, 1, 1});
  auto m = decode(f.bytes());
  ASSERT_TRUE(m) << m.error().message;
  ASSERT_EQ((*m)->branch_hints.size(), 1u);
  EXPECT_EQ((*m)->branch_hints[0].second[0].offset, 3u);
  EXPECT_TRUE((*m)->branch_hints[0].second[0].likely);
}

// ---- Types

TEST(DecodeTypes, EqualRecursiveGroupsAreOneTypeAcrossModules) {
  // (rec (type (struct (field (ref null 1)))) (type (func (param (ref 0)))))
  const Bytes group = Bytes{0x4e, 2, 0x5f, 1, 0x63, 1, 0, 0x60, 1, 0x64, 0, 0};
  // The same behind another type: indices differ, the group does not.
  const Bytes shifted = Bytes{0x4e, 2, 0x5f, 1, 0x63, 2, 0, 0x60, 1, 0x64, 1, 0};
  auto registry = std::make_shared<TypeRegistry>();
  const Bytes a = kHeader + section(kType, vec({group}));
  const Bytes b = kHeader + section(kType, vec({func_type({I64}, {}), shifted}));
  auto m = decode_module(registry, a, nullptr), n = decode_module(registry, b, nullptr);
  ASSERT_TRUE(m && n);
  EXPECT_EQ((*m)->types[0], (*n)->types[1]);
  EXPECT_EQ((*m)->types[1], (*n)->types[2]);
  EXPECT_NE((*m)->types[0], (*n)->types[0]);
}

TEST(DecodeTypes, GroupsThatDifferInShapeAreDifferentTypes) {
  // Two groups of one against one group of two: iso-recursive types tell them apart.
  const Bytes one = {0x5f, 0};
  auto registry = std::make_shared<TypeRegistry>();
  const Bytes a = kHeader + section(kType, vec({one, one})),
              b = kHeader + section(kType, vec({Bytes{0x4e, 2} + one + one}));
  auto m = decode_module(registry, a, nullptr), n = decode_module(registry, b, nullptr);
  ASSERT_TRUE(m && n);
  EXPECT_EQ((*m)->types[0], (*m)->types[1]);
  EXPECT_NE((*n)->types[0], (*n)->types[1]);
  EXPECT_NE((*m)->types[0], (*n)->types[0]);
}

TEST(DecodeTypes, SupertypesMustBeOpenEarlierAndMatched) {
  const auto types = [](const std::vector<Bytes>& t) { return kHeader + section(kType, vec(t)); };
  const Bytes open = {0x50, 0, 0x5f, 1, I32, 0};  // (sub (struct (field i32)))
  EXPECT_OK(types({open, {0x50, 1, 0, 0x5f, 2, I32, 0, I64, 1}}));
  EXPECT_ERROR("sub type", types({open, {0x50, 1, 0, 0x5f, 0}}));
  EXPECT_ERROR("sub type", types({open, {0x50, 1, 0, 0x5f, 1, I64, 0}}));
  EXPECT_ERROR("sub type", types({open, {0x50, 1, 0, 0x5f, 1, I32, 1}}));
  EXPECT_ERROR("sub type", types({open, {0x50, 1, 0, 0x60, 0, 0}}));
  EXPECT_ERROR("sub type", types({{0x5f, 0}, {0x50, 1, 0, 0x5f, 0}}));
  EXPECT_ERROR("unknown type 0", types({{0x50, 1, 0, 0x5f, 0}}));
  EXPECT_ERROR("unknown type 1", types({{0x4e, 2, 0x50, 1, 1, 0x5f, 0, 0x50, 0, 0x5f, 0}}));
  EXPECT_ERROR("unknown type 5", types({{0x5f, 1, 0x64, 5, 0}}));
  EXPECT_ERROR("malformed definition type", types({{0x5d}}));
  EXPECT_ERROR("malformed mutability", types({{0x5e, 0x78, 2}}));
}

TEST(DecodeTypes, SubtypingIsByDisplay) {
  // $0 open, $1 <: $0 open, $2 <: $1; $3 another <: $0
  auto m = decode(kHeader + section(kType, vec({{0x50, 0, 0x5f, 0},
                                                {0x50, 1, 0, 0x5f, 1, I32, 0},
                                                {0x4f, 1, 1, 0x5f, 2, I32, 0, I32, 0},
                                                {0x4f, 1, 0, 0x5f, 1, I64, 0}})));
  ASSERT_TRUE(m) << m.error().message;
  const TypeRegistry& r = (*m)->type_registry();
  const auto& t = (*m)->types;
  EXPECT_TRUE(r.is_subtype(t[2], t[0]));
  EXPECT_TRUE(r.is_subtype(t[1], t[1]));
  EXPECT_FALSE(r.is_subtype(t[0], t[1]));
  EXPECT_FALSE(r.is_subtype(t[3], t[1]));
  const HeapType h(t[3]);
  EXPECT_TRUE(r.is_subtype(h, HeapType(AbstractHeap::struct_)));
  EXPECT_TRUE(r.is_subtype(h, HeapType(AbstractHeap::any)));
  EXPECT_FALSE(r.is_subtype(h, HeapType(AbstractHeap::func)));
  EXPECT_FALSE(r.is_subtype(h, HeapType(AbstractHeap::i31)));
  EXPECT_TRUE(r.is_subtype(HeapType(AbstractHeap::none), h));
  EXPECT_FALSE(r.is_subtype(HeapType(AbstractHeap::nofunc), h));
  EXPECT_TRUE(r.is_subtype(ValType::ref(h, false), ValType::ref(h, true)));
  EXPECT_FALSE(r.is_subtype(ValType::ref(h, true), ValType::ref(h, false)));
  EXPECT_EQ(r.top_of(h), HeapType(AbstractHeap::any));
  EXPECT_EQ(r.bottom_of(h), HeapType(AbstractHeap::none));
}

TEST(DecodeTypes, AbstractHeapTypesFormFourHierarchies) {
  const TypeRegistry r;
  using enum AbstractHeap;
  const auto below = [&](AbstractHeap a, AbstractHeap b) { return r.is_subtype(HeapType(a), HeapType(b)); };
  for (AbstractHeap h : {eq, i31, struct_, array, none}) EXPECT_TRUE(below(h, any));
  for (AbstractHeap h : {i31, struct_, array, none}) EXPECT_TRUE(below(h, eq));
  EXPECT_TRUE(below(nofunc, func) && below(noextern, extern_) && below(noexn, exn));
  EXPECT_FALSE(below(any, eq) || below(i31, struct_) || below(none, func) || below(func, any) ||
               below(extern_, any));
  for (AbstractHeap h : {func, nofunc, extern_, noextern, any, none, exn, noexn})
    EXPECT_TRUE(below(bottom, h));
}

TEST(DecodeTypes, StructuresAreLaidOutInOrderSoThatSubtypesBeginAlike) {
  // i8, i64, i16, v128
  auto m = decode(kHeader + section(kType, vec({{0x5f, 4, 0x78, 1, I64, 1, 0x77, 1, V128, 1}})));
  ASSERT_TRUE(m) << m.error().message;
  const StructType& s = *(*m)->type_registry().get((*m)->types[0]).struct_();
  EXPECT_EQ(s.offsets, (std::vector<u32>{0, 8, 16, 24}));
  EXPECT_EQ(s.size, 40u);
  EXPECT_TRUE(s.defaultable);
}

// ---- Limits and features

TEST(DecodeLimits, EachIsNamedInItsError) {
  const auto limited = [](const Bytes& bytes, auto set) {
    DecodeOptions options;
    set(options.limits);
    auto m = decode(bytes, options);
    if (m) return std::string("ok");
    EXPECT_EQ(m.error().category, ErrorCategory::limit);
    return m.error().message;
  };
  const Bytes types =
      kHeader + section(kType, vec({func_type({I32, I32}, {I32, I32}), {0x5f, 2, I32, 0, I32, 0}}));
  const auto text = [](std::string_view what) {
    return "implementation limit exceeded: " + std::string(what);
  };
  EXPECT_EQ(limited(types, [](ModuleLimits& l) { l.types = 1; }), text("2 types, at most 1"));
  EXPECT_EQ(limited(types, [](ModuleLimits& l) { l.params = 1; }),
            text("2 parameters of a function type, at most 1"));
  EXPECT_EQ(limited(types, [](ModuleLimits& l) { l.results = 1; }),
            text("2 results of a function type, at most 1"));
  EXPECT_EQ(limited(types, [](ModuleLimits& l) { l.struct_fields = 1; }),
            text("2 fields of a structure type, at most 1"));
  const OneFunction f{.code = {0x02, 0x40, 0x02, 0x40, 0x0b, 0x0b}, .locals = {1, 3, I32}};
  EXPECT_TRUE(
      limited(f.bytes(), [](ModuleLimits& l) { l.locals = 2; }).starts_with(text("3 locals, at most 2")));
  EXPECT_TRUE(limited(f.bytes(), [](ModuleLimits& l) {
                l.nesting = 1;
              }).starts_with(text("2 nested blocks, at most 1")));
  EXPECT_EQ(limited(f.bytes(), [](ModuleLimits& l) { l.function_bytes = 5; }),
            text("10 bytes in a function, at most 5"));
  EXPECT_EQ(limited(f.bytes(), [](ModuleLimits& l) { l.functions = 0; }), text("1 functions, at most 0"));
  const Bytes all = kHeader + section(kType, vec({func_type({}, {})})) +
                    section(kImport, vec({name("m") + name("f") + Bytes{0, 0}})) +
                    section(kTable, {1, FUNCREF, 0, 0}) + section(kMemory, {1, 0, 0}) +
                    section(kTag, {1, 0, 0}) + section(kGlobal, {1, I32, 0, 0x41, 0, 0x0b}) +
                    section(kExport, vec({name("e") + Bytes{0, 0}})) + section(kElement, {1, 1, 0, 0}) +
                    section(kData, {1, 1, 0});
  EXPECT_OK(all);
  EXPECT_EQ(limited(all, [](ModuleLimits& l) { l.imports = 0; }), text("1 imports, at most 0"));
  EXPECT_EQ(limited(all, [](ModuleLimits& l) { l.tables = 0; }), text("1 tables, at most 0"));
  EXPECT_EQ(limited(all, [](ModuleLimits& l) { l.memories = 0; }), text("1 memories, at most 0"));
  EXPECT_EQ(limited(all, [](ModuleLimits& l) { l.tags = 0; }), text("1 tags, at most 0"));
  EXPECT_EQ(limited(all, [](ModuleLimits& l) { l.globals = 0; }), text("1 globals, at most 0"));
  EXPECT_EQ(limited(all, [](ModuleLimits& l) { l.exports = 0; }), text("1 exports, at most 0"));
  EXPECT_EQ(limited(all, [](ModuleLimits& l) { l.element_segments = 0; }),
            text("1 element segments, at most 0"));
  EXPECT_EQ(limited(all, [](ModuleLimits& l) { l.data_segments = 0; }), text("1 data segments, at most 0"));
}

// Of what is wrong with the module as a whole too.
TEST(Decode, ErrorsHaveTheirOffset) {
  const auto offset = [](const Bytes& bytes) {
    const auto m = decode(bytes);
    EXPECT_FALSE(m);
    return m ? 0 : m.error().offset.value_or(0);
  };
  EXPECT_EQ(offset(kHeader + section(kTable, {1, FUNCREF, 1, 2, 1})), 11u);            // minimum over maximum
  EXPECT_EQ(offset(kHeader + section(kMemory, {2, 0, 1, 1, 2, 1})), 13u);              // the second one's
  EXPECT_EQ(offset(kHeader + section(kExport, vec({name("e") + Bytes{2, 0}}))), 11u);  // no such memory
  EXPECT_EQ(offset(kHeader + section(kStart, {5})), 10u);
  EXPECT_EQ(offset(kHeader + section(kElement, {1, 1, 0, 1, 9})), 11u);
  EXPECT_EQ(offset(kHeader + section(kData, {1, 0, 0x41, 0, 0x0b, 0})), 11u);
  EXPECT_EQ(offset(kHeader + section(kType, vec({func_type({}, {I32})})) + section(kTag, {1, 0, 0})), 18u);
}

TEST(DecodeLimits, FiftyThousandAndOneLocals) {
  EXPECT_OK(OneFunction{.locals = Bytes{1} + leb(50'000) + Bytes{I32}}.bytes());
  EXPECT_ERROR("implementation limit exceeded: 50001 locals",
               OneFunction{.locals = Bytes{1} + leb(50'001) + Bytes{I32}}.bytes());
  EXPECT_ERROR("too many locals",
               OneFunction{.locals = Bytes{2} + leb(0xffffffff) + Bytes{I32, 1, I32}}.bytes());
}

TEST(DecodeLimits, NestingBombsEndWithAnError) {
  Bytes deep;
  for (int i = 0; i < 100'001; ++i) deep.insert(deep.end(), {0x02, 0x40});
  EXPECT_ERROR("implementation limit exceeded: 100001 nested blocks", OneFunction{.code = deep}.bytes());
}

TEST(DecodeLimits, AChainOfSupertypesIsBounded) {
  std::vector<Bytes> chain = {{0x50, 0, 0x5f, 0}};
  for (u32 i = 0; i < 63; ++i) chain.push_back(Bytes{0x50, 1} + leb(i) + Bytes{0x5f, 0});
  EXPECT_OK(kHeader + section(kType, vec(chain)));
  chain.push_back(Bytes{0x50, 1, 63, 0x5f, 0});
  EXPECT_ERROR("implementation limit exceeded: 64 supertypes", kHeader + section(kType, vec(chain)));
}

TEST(DecodeLimits, OperandsPushedByCallsAreBounded) {
  const Bytes thousand(1000, I32);
  Bytes calls;
  for (int i = 0; i < 1100; ++i) calls.insert(calls.end(), {0x10, 0});
  EXPECT_ERROR("implementation limit exceeded: 1001000 operands on the stack",
               OneFunction{.results = thousand, .code = calls}.bytes());
}

TEST(DecodeFeatures, AnInstructionOfAFeatureThatIsOffNamesIt) {
  const auto without = [](Feature f, const Bytes& bytes) {
    DecodeOptions options;
    options.features.set(f, false);
    auto m = decode(bytes, options);
    if (m) return std::string("ok");
    EXPECT_EQ(m.error().category, ErrorCategory::unsupported);
    return m.error().message;
  };
  const OneFunction extend{.params = {I32}, .results = {I32}, .code = {0x20, 0, 0xc0}};
  EXPECT_EQ(without(Feature::sign_ext, extend.bytes()).substr(0, 57),
            "feature is not enabled: sign-ext (i32.extend8_s) (in func");
  const OneFunction vector{.code = Bytes{0xfd, 12} + Bytes(16) + Bytes{0x1a}};
  EXPECT_EQ(without(Feature::simd, vector.bytes()).substr(0, 42),
            "feature is not enabled: simd (v128.const) ");
  EXPECT_EQ(without(Feature::gc, kHeader + section(kType, vec({{0x5f, 0}}))), "feature is not enabled: gc");
  EXPECT_EQ(without(Feature::memory64, kHeader + section(kMemory, vec({{4, 1}}))),
            "feature is not enabled: memory64");
  EXPECT_EQ(without(Feature::exceptions, kHeader + section(kTag, {0})), "feature is not enabled: exceptions");
  EXPECT_EQ(without(Feature::multi_value, kHeader + section(kType, vec({func_type({}, {I32, I32})}))),
            "feature is not enabled: multi-value");
}

TEST(DecodeFeatures, BeforeMultiMemoryThereIsOneMemoryAndAZeroByte) {
  DecodeOptions options;
  options.features.set(Feature::multi_memory, false);
  EXPECT_EQ(outcome(kHeader + section(kMemory, vec({{0, 1}, {0, 1}})), options), "multiple memories");
  OneFunction size{.results = {I32}, .code = {0x3f, 0}, .middle = section(kMemory, vec({{0, 1}}))};
  EXPECT_EQ(outcome(size.bytes(), options), "ok");
  size.code = {0x3f, 1};
  EXPECT_TRUE(outcome(size.bytes(), options).starts_with("zero byte expected"));
}

// ---- Real modules

std::filesystem::path test_data() {
  if (const char* env = std::getenv("TENON_TEST_DATA")) return env;
  return std::filesystem::path(TENON_SOURCE_DIR) / "../shared/data";
}

Bytes file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(in), {});
}

TEST(DecodeReal, GuestsFromRustAndCAreValid) {
  const auto folder = test_data() / "guests";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no test data at " << folder;
  int modules = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".wasm") continue;
    EXPECT_OK(file(entry.path())) << entry.path();
    ++modules;
  }
  EXPECT_GT(modules, 5);
}

TEST(DecodeReal, AModuleCutAtAnyByteIsAnErrorOrEndsBetweenSections) {
  const auto path = test_data() / "wasi-testsuite/c/clock_getres-monotonic.wasm";
  Bytes module;
  for (const auto& candidate : {path, test_data() / "guests/sightglass-image-classification.wasm"})
    if (module.empty()) module = file(candidate);
  if (module.empty()) GTEST_SKIP() << "no test data at " << test_data();
  DecodeOptions lazy;
  lazy.lazy_bodies = true;
  auto registry = std::make_shared<TypeRegistry>();
  size_t accepted = 0;
  for (size_t n = 0; n < module.size(); n += n < 4096 ? 1 : 97) {
    auto m = decode_module(registry, std::span(module).first(n), nullptr, lazy);
    if (m)
      ++accepted;
    else
      EXPECT_LE(m.error().offset.value_or(0), n);
  }
  EXPECT_LT(accepted, 10u) << "only where nothing after the cut is needed";
}

TEST(DecodeReal, AModuleWithAnyByteChangedDoesNoHarm) {
  Bytes module =
      OneFunction{.params = {I32, I64},
                  .results = {I32},
                  .code = {0x20, 0, 0x04, I32, 0x41, 1, 0x05, 0x20, 1, 0xa7, 0x0b, 0x28, 2, 0},
                  .middle = section(kTable, vec({{FUNCREF, 0, 1}})) + section(kMemory, vec({{0, 1}})) +
                            section(kExport, vec({name("f") + Bytes{0, 0}})) +
                            section(kElement, vec({{0, 0x41, 0, 0x0b, 1, 0}}))}
          .bytes();
  EXPECT_OK(module);
  for (size_t i = 0; i < module.size(); ++i) {
    const u8 was = module[i];
    for (int v = 0; v < 256; ++v) {
      module[i] = static_cast<u8>(v);
      outcome(module);
    }
    module[i] = was;
  }
}

}  // namespace
}  // namespace tenon::test
