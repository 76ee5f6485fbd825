// Instructions of the text format; see wat_instrs.h. What an instruction's immediates look like follows from
// the immediate kind in opcodes.def.
#include "engine/text/wat_instrs.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "engine/text/literals.h"

namespace tenon::text {
namespace {

// Nesting of folded instructions and blocks; each level costs native stack.
constexpr u32 kMaxDepth = 5'000;

struct Shape {
  std::string_view name;
  u32 lanes, bits;
  bool is_float;
};
constexpr std::array kShapes = std::to_array<Shape>({{"i8x16", 16, 8, false},
                                                     {"i16x8", 8, 16, false},
                                                     {"i32x4", 4, 32, false},
                                                     {"i64x2", 2, 64, false},
                                                     {"f32x4", 4, 32, true},
                                                     {"f64x2", 2, 64, true}});

struct CatchRow {
  std::string_view word;
  u8 code;
  bool tag;
};
constexpr std::array kCatches = std::to_array<CatchRow>(
    {{"catch", 0, true}, {"catch_ref", 1, true}, {"catch_all", 2, false}, {"catch_all_ref", 3, false}});

struct DepthGuard {
  u32& depth;
  explicit DepthGuard(u32& d) : depth(++d) {}
  ~DepthGuard() { --depth; }
};

}  // namespace

void InstrParser::function_body(ByteWriter& out) {
  labels_.assign(1, std::nullopt);
  instructions(out);
  write_op(out, Op::end);
}

void InstrParser::expression(ByteWriter& out) {
  instructions(out);
  write_op(out, Op::end);
}

void InstrParser::folded_expression(ByteWriter& out) {
  if (!is(TokenKind::lparen)) return unexpected();
  folded(out);
  write_op(out, Op::end);
}

bool InstrParser::at_block_end() const {
  if (is(TokenKind::rparen) || is(TokenKind::end)) return true;
  return is_keyword("end") || is_keyword("else") || is_keyword("catch") || is_keyword("catch_all") ||
         is_keyword("delegate");
}

void InstrParser::instructions(ByteWriter& out) {
  while (ok() && !at_block_end()) instruction(out);
}

void InstrParser::instruction(ByteWriter& out) {
  DepthGuard guard(depth_);
  if (depth_ > kMaxDepth) return fail(fmt::format("nesting deeper than {} (limit)", kMaxDepth));
  if (is_annotation("metadata.code.branch_hint")) branch_hint(out);
  if (is(TokenKind::lparen)) {
    folded(out);
  } else {
    plain(out);
  }
}

void InstrParser::branch_hint(ByteWriter& out) {
  constexpr std::string_view kPrefix = "@metadata.code.branch_hint annotation: ";
  advance();
  const Token t = peek();
  const std::string value = expect_bytes();
  close();
  if (ok() && (value.size() != 1 || static_cast<u8>(value[0]) > 1))
    return fail_at(t, fmt::format("{}invalid value", kPrefix));
  if (is_annotation("metadata.code.branch_hint")) return fail(fmt::format("{}duplicate annotation", kPrefix));
  const u32 word = is(TokenKind::lparen) ? 1 : 0;
  if (!is_keyword("if", word) && !is_keyword("br_if", word))
    return fail(fmt::format("{}invalid target", kPrefix));
  pending_hint_ = static_cast<u8>(value.empty() ? 0 : value[0]);
}

// Operands of a folded instruction come before its opcode, so a hint waits until that is written.
void InstrParser::note_hint(const ByteWriter& out, std::optional<u8> hint) {
  if (hint) hints.push_back({static_cast<u32>(out.size()), *hint});
}

std::optional<Op> InstrParser::opcode() {
  auto op = is(TokenKind::keyword) ? op_from_name(text()) : std::nullopt;
  if (!op) {
    unexpected();
    return std::nullopt;
  }
  advance();
  return op;
}

void InstrParser::write_op(ByteWriter& out, Op op) {
  const OpInfo& info = op_info(op);
  if (info.prefix == 0) {
    out.byte(static_cast<u8>(info.code));
  } else {
    out.byte(info.prefix);
    out.unsigned_leb(info.code);
  }
}

void InstrParser::plain(ByteWriter& out) {
  const auto op = opcode();
  if (!op) return;
  switch (*op) {
    case Op::block:
    case Op::loop:
    case Op::if_:
    case Op::try_table: return plain_block(out, *op);
    case Op::try_: return plain_try(out);
    case Op::else_:
    case Op::end:
    case Op::catch_:
    case Op::catch_all:
    case Op::delegate: return unexpected();
    default: note_hint(out, std::exchange(pending_hint_, std::nullopt)); return operation(out, *op);
  }
}

void InstrParser::folded(ByteWriter& out) {
  advance();
  const auto op = opcode();
  if (!op) return;
  switch (*op) {
    case Op::block:
    case Op::loop:
    case Op::try_table:
      open_block(out, *op);
      instructions(out);
      write_op(out, Op::end);
      labels_.pop_back();
      break;
    case Op::if_: folded_if(out); break;
    case Op::try_: folded_try(out); break;
    case Op::else_:
    case Op::end:
    case Op::catch_:
    case Op::catch_all:
    case Op::delegate: unexpected(); break;
    default: {
      const auto hint = std::exchange(pending_hint_, std::nullopt);
      ByteWriter own;
      operation(own, *op);
      while (ok() && !is(TokenKind::rparen)) {
        if (!is(TokenKind::lparen) && !is(TokenKind::annotation)) return unexpected();
        instruction(out);
      }
      note_hint(out, hint);
      out.append(own);
    }
  }
  close();
}

void InstrParser::block_type(ByteWriter& out, const TypeUse& use) {
  const TextFuncType& t = use.inline_type;
  if (use.index || !t.params.empty() || t.results.size() > 1) {
    out.signed_leb(resolve(use));
  } else if (t.results.empty()) {
    out.byte(0x40);
  } else {
    t.results[0].encode(out);
  }
}

void InstrParser::open_block(ByteWriter& out, Op op) {
  auto label = take_id();
  const TypeUse use = type_use(false);
  note_hint(out, std::exchange(pending_hint_, std::nullopt));
  write_op(out, op);
  block_type(out, use);
  if (op == Op::try_table) catch_list(out);  // its labels are relative to the enclosing block
  labels_.push_back(std::move(label));
}

void InstrParser::end_label(const std::optional<std::string>& label) {
  if (!is(TokenKind::id)) return;
  const Token t = peek();
  if (take_id() != label) fail_at(t, "mismatching label");
}

void InstrParser::plain_block(ByteWriter& out, Op op) {
  open_block(out, op);
  const auto label = labels_.back();
  instructions(out);
  if (op == Op::if_ && take_keyword("else")) {
    end_label(label);
    write_op(out, Op::else_);
    instructions(out);
  }
  expect_keyword("end");
  end_label(label);
  write_op(out, Op::end);
  if (ok()) labels_.pop_back();
}

void InstrParser::plain_try(ByteWriter& out) {
  open_block(out, Op::try_);
  const auto own = labels_.back();
  instructions(out);
  bool caught = false;
  while (take_keyword("catch")) {
    caught = true;
    // The block's label may be repeated before the tag.
    if (is(TokenKind::id) && (is(TokenKind::id, 1) || is(TokenKind::number, 1))) end_label(own);
    write_op(out, Op::catch_);
    out.unsigned_leb(index(tags));
    instructions(out);
  }
  if (take_keyword("catch_all")) {
    end_label(own);
    write_op(out, Op::catch_all);
    instructions(out);
  } else if (!caught && take_keyword("delegate")) {
    labels_.pop_back();
    write_op(out, Op::delegate);
    out.unsigned_leb(label());
    return;
  }
  expect_keyword("end");
  end_label(own);
  write_op(out, Op::end);
  if (ok()) labels_.pop_back();
}

void InstrParser::folded_if(ByteWriter& out) {
  const auto hint = std::exchange(pending_hint_, std::nullopt);
  auto label = take_id();
  const TypeUse use = type_use(false);
  while (ok() && !is_form("then")) {
    if (!is(TokenKind::lparen) && !is(TokenKind::annotation)) return unexpected();
    instruction(out);
  }
  note_hint(out, hint);
  write_op(out, Op::if_);
  block_type(out, use);
  labels_.push_back(std::move(label));
  advance(2);
  instructions(out);
  close();
  if (take_form("else")) {
    write_op(out, Op::else_);
    instructions(out);
    close();
  }
  write_op(out, Op::end);
  labels_.pop_back();
}

void InstrParser::folded_try(ByteWriter& out) {
  open_block(out, Op::try_);
  if (!take_form("do")) return unexpected();
  instructions(out);
  close();
  bool caught = false;
  while (take_form("catch")) {
    caught = true;
    write_op(out, Op::catch_);
    out.unsigned_leb(index(tags));
    instructions(out);
    close();
  }
  if (take_form("catch_all")) {
    write_op(out, Op::catch_all);
    instructions(out);
    close();
  } else if (!caught && take_form("delegate")) {
    labels_.pop_back();
    write_op(out, Op::delegate);
    out.unsigned_leb(label());
    return close();
  }
  write_op(out, Op::end);
  labels_.pop_back();
}

void InstrParser::catch_list(ByteWriter& out) {
  ByteWriter clauses;
  u32 count = 0;
  while (ok() && is(TokenKind::lparen)) {
    auto it = std::ranges::find(kCatches, text(1), &CatchRow::word);
    if (it == kCatches.end()) break;
    advance(2);
    clauses.byte(it->code);
    if (it->tag) clauses.unsigned_leb(index(tags));
    clauses.unsigned_leb(label());
    close();
    ++count;
  }
  out.unsigned_leb(count);
  out.append(clauses);
}

u32 InstrParser::label() {
  if (!is(TokenKind::id)) return static_cast<u32>(expect_nat(32));
  const std::string id = decode_id(text());
  for (size_t i = labels_.size(); i-- > 0;) {
    if (labels_[i] == id) {
      advance();
      return static_cast<u32>(labels_.size() - 1 - i);
    }
  }
  fail(fmt::format("unknown label ${}", id));
  return 0;
}

void InstrParser::operation(ByteWriter& out, Op op) {
  if (op == Op::select) return select_instr(out);
  if (op == Op::ref_test || op == Op::ref_cast) return ref_test_or_cast(out, op);
  write_op(out, op);
  immediates(out, op);
}

void InstrParser::immediates(ByteWriter& out, Op op) {
  const OpInfo& info = op_info(op);
  switch (info.imm) {
    case Imm::none: return;
    case Imm::br_label: return out.unsigned_leb(label());
    case Imm::br_table: return br_table(out);
    case Imm::func: return out.unsigned_leb(index(funcs));
    case Imm::type: return out.unsigned_leb(index(types));
    case Imm::type_table: {
      u32 table = 0;
      if (at_index()) table = index(tables);
      const TypeUse use = type_use(false);
      out.unsigned_leb(resolve(use));
      return out.unsigned_leb(table);
    }
    case Imm::local: return out.unsigned_leb(index(locals));
    case Imm::global: return out.unsigned_leb(index(globals));
    case Imm::table: return optional_index(out, tables);
    case Imm::table_table: return two_indices(out, tables);
    case Imm::elem_table: return segment_and_index(out, elems, tables);
    case Imm::elem: return out.unsigned_leb(index(elems));
    case Imm::mem: return optional_index(out, memories);
    case Imm::mem_mem: return two_indices(out, memories);
    case Imm::data_mem: uses_data_index = true; return segment_and_index(out, data, memories);
    case Imm::data: uses_data_index = true; return out.unsigned_leb(index(data));
    case Imm::memarg: return memarg(out, info.width, false);
    case Imm::memarg_lane: memarg(out, info.width, true); return lane(out);
    case Imm::lane: return lane(out);
    case Imm::lanes16: return shuffle_lanes(out);
    case Imm::v128: return v128_const(out);
    case Imm::i32: return int_const(out, 32);
    case Imm::i64: return int_const(out, 64);
    case Imm::f32: return float_const(out, 32);
    case Imm::f64: return float_const(out, 64);
    case Imm::heap_type: return out.signed_leb(heap_type());
    case Imm::ref_cast: return br_on_cast(out);
    case Imm::type_field: {
      const u32 type = index(types);
      out.unsigned_leb(type);
      return out.unsigned_leb(field_index(type));
    }
    case Imm::type_u32: out.unsigned_leb(index(types)); return out.unsigned_leb(expect_nat(32));
    case Imm::type_type: out.unsigned_leb(index(types)); return out.unsigned_leb(index(types));
    case Imm::type_data:
      uses_data_index = true;
      out.unsigned_leb(index(types));
      return out.unsigned_leb(index(data));
    case Imm::type_elem: out.unsigned_leb(index(types)); return out.unsigned_leb(index(elems));
    case Imm::tag: return out.unsigned_leb(index(tags));
    case Imm::fence: return out.byte(0);
    case Imm::block:
    case Imm::try_table:
    case Imm::val_types: return unexpected();  // handled before
  }
}

void InstrParser::select_instr(ByteWriter& out) {
  if (!is_form("result")) return write_op(out, Op::select);
  std::vector<TextValType> list;
  while (take_form("result")) {
    while (ok() && !is(TokenKind::rparen)) list.push_back(val_type());
    close();
  }
  write_op(out, Op::select_t);
  out.unsigned_leb(list.size());
  for (const TextValType& t : list) t.encode(out);
}

void InstrParser::ref_test_or_cast(ByteWriter& out, Op op) {
  const TextValType t = ref_type();
  const bool null = t.code == 0x63;
  if (op == Op::ref_test) {
    write_op(out, null ? Op::ref_test_null : Op::ref_test);
  } else {
    write_op(out, null ? Op::ref_cast_null : Op::ref_cast);
  }
  out.signed_leb(t.heap);
}

void InstrParser::br_on_cast(ByteWriter& out) {
  const u32 target = label();
  const TextValType from = ref_type(), to = ref_type();
  out.byte(static_cast<u8>((from.code == 0x63 ? 1 : 0) | (to.code == 0x63 ? 2 : 0)));
  out.unsigned_leb(target);
  out.signed_leb(from.heap);
  out.signed_leb(to.heap);
}

void InstrParser::br_table(ByteWriter& out) {
  std::vector<u32> targets;
  do {
    targets.push_back(label());
  } while (ok() && at_index());
  out.unsigned_leb(targets.size() - 1);
  for (u32 t : targets) out.unsigned_leb(t);
}

void InstrParser::optional_index(ByteWriter& out, const IndexSpace& space) {
  out.unsigned_leb(at_index() ? index(space) : 0);
}

void InstrParser::two_indices(ByteWriter& out, const IndexSpace& space) {
  u32 a = 0, b = 0;
  if (at_index()) {
    a = index(space);
    b = index(space);
  }
  out.unsigned_leb(a);
  out.unsigned_leb(b);
}

void InstrParser::segment_and_index(ByteWriter& out, const IndexSpace& segments, const IndexSpace& space) {
  const bool two = is(TokenKind::id, 1) || is(TokenKind::number, 1);
  const u32 target = two ? index(space) : 0;
  out.unsigned_leb(index(segments));
  out.unsigned_leb(target);
}

void InstrParser::mem_arg_numbers(u64& offset, u32& align, u32 width) {
  auto value = [&](std::string_view prefix, u32 bits) -> u64 {
    auto v = parse_nat(text().substr(prefix.size()), bits);
    if (!v) {
      v.error() == LiteralError::range ? fail("i" + std::to_string(bits) + " constant out of range")
                                       : fail("unknown operator");
      return 0;
    }
    advance();
    return *v;
  };
  align = static_cast<u32>(std::countr_zero(width));
  if (is(TokenKind::keyword) && text().starts_with("offset=")) offset = value("offset=", 64);
  if (is(TokenKind::keyword) && text().starts_with("align=")) {
    const Token t = peek();
    const u64 a = value("align=", 64);
    if (ok() && !std::has_single_bit(a)) return fail_at(t, "alignment must be a power of two");
    align = static_cast<u32>(std::countr_zero(a));
  }
}

void InstrParser::memarg(ByteWriter& out, u32 width, bool lane_follows) {
  u32 memory = 0;
  // With a lane to follow, a lone number is the lane.
  const bool has_memory =
      is(TokenKind::id) ||
      (is(TokenKind::number) && (!lane_follows || is(TokenKind::number, 1) ||
                                 text(1).starts_with("offset=") || text(1).starts_with("align=")));
  if (has_memory) memory = index(memories);
  u64 offset = 0;
  u32 align = 0;
  mem_arg_numbers(offset, align, width);
  out.unsigned_leb(align | (memory != 0 ? 0x40 : 0));
  if (memory != 0) out.unsigned_leb(memory);
  out.unsigned_leb(offset);
}

u64 InstrParser::number(u32 bits, bool is_float, std::string_view what) {
  if (!is(TokenKind::number)) {
    unexpected();
    return 0;
  }
  std::expected<u64, LiteralError> v;
  if (!is_float) {
    v = parse_int(text(), bits);
  } else if (bits == 32) {
    v = parse_f32(text());
  } else {
    v = parse_f64(text());
  }
  if (!v) {
    v.error() == LiteralError::range ? fail(fmt::format("{}constant out of range", what))
                                     : fail(fmt::format("unknown operator {}", text()));
    return 0;
  }
  advance();
  return *v;
}

void InstrParser::int_const(ByteWriter& out, u32 bits) {
  const u64 v = number(bits, false, "");
  out.signed_leb(bits == 32 ? static_cast<i32>(v) : static_cast<i64>(v));
}

void InstrParser::float_const(ByteWriter& out, u32 bits) {
  out.little_endian(number(bits, true, ""), bits / 8);
}

void InstrParser::lane(ByteWriter& out) {
  if (!is(TokenKind::number)) return unexpected();
  const auto v = parse_nat(text(), 8);
  if (!v) return v.error() == LiteralError::range ? fail("i8 constant out of range") : unexpected();
  out.byte(static_cast<u8>(*v));
  advance();
}

void InstrParser::shuffle_lanes(ByteWriter& out) {
  u32 count = 0;
  const Token t = peek();
  for (; ok() && is(TokenKind::number); ++count) {
    const auto v = parse_nat(text(), 8);
    if (!v) return fail("i8 constant out of range");
    out.byte(static_cast<u8>(*v));
    advance();
  }
  if (ok() && count != 16) fail_at(t, "invalid lane length");
}

void InstrParser::v128_const(ByteWriter& out) {
  auto it = is(TokenKind::keyword) ? std::ranges::find(kShapes, text(), &Shape::name) : kShapes.end();
  if (it == kShapes.end()) return unexpected();
  advance();
  u32 count = 0;
  while (count < it->lanes && is(TokenKind::number, count)) ++count;
  if (count < it->lanes && is(TokenKind::rparen, count)) return fail("wrong number of lane literals");
  for (u32 i = 0; ok() && i < it->lanes; ++i) {
    out.little_endian(number(it->bits, it->is_float, ""), it->bits / 8);
  }
  if (is(TokenKind::number)) fail("wrong number of lane literals");
}

}  // namespace tenon::text
