// Types of the text format; see wat_types.h.
#include "engine/text/wat_types.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "engine/text/literals.h"

namespace tenon::text {
namespace {

// Abstract heap types and their shorthands (spec: text/types).
struct HeapRow {
  std::string_view heap, shorthand;
  HeapCode code;
};
constexpr std::array kHeaps = std::to_array<HeapRow>({
    {"func", "funcref", -0x10},
    {"extern", "externref", -0x11},
    {"any", "anyref", -0x12},
    {"eq", "eqref", -0x13},
    {"i31", "i31ref", -0x14},
    {"struct", "structref", -0x15},
    {"array", "arrayref", -0x16},
    {"exn", "exnref", -0x17},
    {"nofunc", "nullfuncref", -0x0d},
    {"noextern", "nullexternref", -0x0e},
    {"none", "nullref", -0x0f},
    {"noexn", "nullexnref", -0x0c},
});

struct NumRow {
  std::string_view name;
  u8 code;
};
constexpr std::array kNums = std::to_array<NumRow>({{"i32", 0x7f},
                                                    {"i64", 0x7e},
                                                    {"f32", 0x7d},
                                                    {"f64", 0x7c},
                                                    {"v128", 0x7b},
                                                    {"i8", 0x78},
                                                    {"i16", 0x77}});
constexpr u8 kFirstPacked = 0x78;

const HeapRow* find_heap(std::string_view HeapRow::* column, std::string_view word) {
  auto it = std::ranges::find(kHeaps, word, column);
  return it == kHeaps.end() ? nullptr : &*it;
}

}  // namespace

void TextValType::encode(ByteWriter& out) const {
  if (code == 0x63 && heap < 0) {
    out.byte(static_cast<u8>(heap & 0x7f));
    return;
  }
  out.byte(code);
  if (is_ref()) out.signed_leb(heap);
}

u32 TypeParser::declare(IndexSpace& space, const std::optional<std::string>& id) {
  if (id && !space.ids.emplace(*id, space.count).second)
    fail(fmt::format("duplicate {} ${}", space.what, *id));
  if (id) space.names[space.count] = *id;
  return space.count++;
}

u32 TypeParser::index(const IndexSpace& space) {
  if (!is(TokenKind::id)) return static_cast<u32>(expect_nat(32));
  const std::string id = decode_id(text());
  auto it = space.ids.find(id);
  if (it == space.ids.end()) {
    fail(fmt::format("unknown {} ${}", space.what, id));
    return 0;
  }
  advance();
  return it->second;
}

u32 TypeParser::field_index(u32 type) {
  if (!is(TokenKind::id)) return static_cast<u32>(expect_nat(32));
  const std::string id = decode_id(text());
  if (type >= field_ids_.size() || !field_ids_[type].contains(id)) {
    fail(fmt::format("unknown field ${}", id));
    return 0;
  }
  advance();
  return field_ids_[type].find(id)->second;
}

bool TypeParser::at_ref_type() const {
  return is_form("ref") || (is(TokenKind::keyword) && find_heap(&HeapRow::shorthand, text()));
}

HeapCode TypeParser::heap_type() {
  if (at_index()) return index(types);
  if (const HeapRow* row = is(TokenKind::keyword) ? find_heap(&HeapRow::heap, text()) : nullptr) {
    advance();
    return row->code;
  }
  unexpected();
  return 0;
}

TextValType TypeParser::ref_type() {
  if (const HeapRow* row = is(TokenKind::keyword) ? find_heap(&HeapRow::shorthand, text()) : nullptr) {
    advance();
    return {0x63, row->code};
  }
  if (!take_form("ref")) {
    unexpected();
    return {};
  }
  const u8 code = take_keyword("null") ? 0x63 : 0x64;
  const HeapCode heap = heap_type();
  close();
  return {code, heap};
}

TextValType TypeParser::val_type() {
  if (is(TokenKind::keyword)) {
    auto it = std::ranges::find(kNums, text(), &NumRow::name);
    if (it != kNums.end() && it->code > kFirstPacked) {
      advance();
      return {it->code, 0};
    }
  }
  return ref_type();
}

void TypeParser::params(TextFuncType& type, std::vector<std::pair<u32, std::string>>* ids, bool& any) {
  while (take_form("param")) {
    any = true;
    if (is(TokenKind::id)) {
      if (!ids) return unexpected();
      ids->emplace_back(static_cast<u32>(type.params.size()), *take_id());
      type.params.push_back(val_type());
    } else {
      while (ok() && !is(TokenKind::rparen)) type.params.push_back(val_type());
    }
    close();
  }
}

void TypeParser::results(TextFuncType& type, bool& any) {
  while (take_form("result")) {
    any = true;
    while (ok() && !is(TokenKind::rparen)) type.results.push_back(val_type());
    close();
  }
}

TypeUse TypeParser::type_use(bool allow_ids) {
  TypeUse use;
  const Token start = peek();
  if (take_form("type")) {
    use.index = index(types);
    close();
  }
  params(use.inline_type, allow_ids ? &use.param_ids : nullptr, use.has_inline);
  results(use.inline_type, use.has_inline);
  if (is_form("param") || is_form("type")) {  // out of order
    advance();
    unexpected();
  }
  if (ok() && use.index && use.has_inline) {
    if (*use.index >= func_types_.size()) {
      fail_at(start, fmt::format("unknown type {}", *use.index));
    } else if (func_types_[*use.index] != use.inline_type) {
      fail_at(start, "inline function type");
    }
  }
  return use;
}

u32 TypeParser::resolve(const TypeUse& use) {
  if (use.index) return *use.index;
  if (auto it = plain_.find(use.inline_type); it != plain_.end()) return it->second;
  ByteWriter out;
  out.byte(0x60);
  for (const auto* list : {&use.inline_type.params, &use.inline_type.results}) {
    out.unsigned_leb(list->size());
    for (const TextValType& t : *list) t.encode(out);
  }
  groups_.push_back(std::move(out));
  field_ids_.emplace_back();
  add_entry(use.inline_type, true);
  return types.count++;
}

TextFuncType TypeParser::signature(const TypeUse& use) {
  if (!use.index) return use.inline_type;
  if (*use.index >= func_types_.size()) return {};  // the decoder reports the unknown type
  return func_types_[*use.index].value_or(TextFuncType{});
}

void TypeParser::field_type(ByteWriter& out) {
  const bool mutable_ = take_form("mut");
  auto it = is(TokenKind::keyword) ? std::ranges::find(kNums, text(), &NumRow::name) : kNums.end();
  if (it != kNums.end() && it->code <= kFirstPacked) {
    out.byte(it->code);
    advance();
  } else {
    val_type().encode(out);
  }
  out.byte(mutable_ ? 1 : 0);
  if (mutable_) close();
}

void TypeParser::struct_fields(ByteWriter& out) {
  ByteWriter fields;
  u32 count = 0;
  auto& ids = field_ids_.back();
  while (take_form("field")) {
    if (auto id = take_id()) {
      if (!ids.emplace(*id, count).second) return fail("duplicate field $" + *id);
      field_type(fields);
      ++count;
    } else {
      for (; ok() && !is(TokenKind::rparen); ++count) field_type(fields);
    }
    close();
  }
  out.unsigned_leb(count);
  out.append(fields);
}

void TypeParser::add_entry(std::optional<TextFuncType> func, bool plain) {
  if (func && plain) plain_.emplace(*func, static_cast<u32>(func_types_.size()));
  func_types_.push_back(std::move(func));
}

std::optional<TextFuncType> TypeParser::composite_type(ByteWriter& out) {
  std::optional<TextFuncType> func;
  if (take_form("func")) {
    TypeUse use;
    params(use.inline_type, &use.param_ids, use.has_inline);
    results(use.inline_type, use.has_inline);
    out.byte(0x60);
    for (const auto* list : {&use.inline_type.params, &use.inline_type.results}) {
      out.unsigned_leb(list->size());
      for (const TextValType& t : *list) t.encode(out);
    }
    func = std::move(use.inline_type);
  } else if (take_form("struct")) {
    out.byte(0x5f);
    struct_fields(out);
  } else if (take_form("array")) {
    out.byte(0x5e);
    field_type(out);
  } else {
    unexpected();
  }
  close();
  return func;
}

void TypeParser::definition_body(ByteWriter& out, bool alone) {
  take_id();
  field_ids_.emplace_back();
  std::optional<TextFuncType> func;
  bool plain = alone;
  if (take_form("sub")) {
    const bool final_ = take_keyword("final");
    std::vector<u32> supers;
    while (at_index() && ok()) supers.push_back(index(types));
    if (!final_ || !supers.empty()) {
      out.byte(final_ ? 0x4f : 0x50);
      out.unsigned_leb(supers.size());
      for (u32 s : supers) out.unsigned_leb(s);
    }
    func = composite_type(out);
    plain = alone && final_ && supers.empty();
    close();
  } else {
    func = composite_type(out);
  }
  add_entry(std::move(func), plain);
  close();
}

void TypeParser::type_definition() {
  ByteWriter out;
  definition_body(out, true);
  groups_.push_back(std::move(out));
}

void TypeParser::rec_group() {
  const u32 first = position();
  u32 size = 0;
  for (; is_form("type"); ++size) {
    advance(2);
    skip_form();
  }
  seek(first);
  ByteWriter members;
  while (take_form("type")) definition_body(members, size == 1);
  close();
  ByteWriter out;
  out.byte(0x4e);
  out.unsigned_leb(size);
  out.append(members);
  groups_.push_back(std::move(out));
}

ByteWriter TypeParser::encode_types() const {
  ByteWriter out;
  if (groups_.empty()) return out;
  out.unsigned_leb(groups_.size());
  for (const ByteWriter& g : groups_) out.append(g);
  return out;
}

}  // namespace tenon::text
