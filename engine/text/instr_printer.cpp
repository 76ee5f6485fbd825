// See instr_printer.h.
#include "engine/text/instr_printer.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <cstring>

namespace tenon::text {
namespace {

// Shortest decimal that reads back as the same value; NaNs with their payload.
template <class Float, class Bits>
std::string float_literal(Bits bits) {
  constexpr int kMantissa = std::numeric_limits<Float>::digits - 1;
  const Float value = std::bit_cast<Float>(bits);
  const std::string_view sign = bits >> (sizeof(Bits) * 8 - 1) ? "-" : "";
  if (std::isnan(value)) {
    const Bits payload = bits & ((Bits{1} << kMantissa) - 1);
    return payload == Bits{1} << (kMantissa - 1) ? fmt::format("{}nan", sign)
                                                 : fmt::format("{}nan:0x{:x}", sign, payload);
  }
  if (std::isinf(value)) return fmt::format("{}inf", sign);
  return fmt::format("{}", value);
}

std::string v128_literal(const std::array<u8, 16>& bytes) {
  std::string out = " i32x4";
  for (size_t i = 0; i < 16; i += 4) {
    u32 lane = 0;
    std::memcpy(&lane, bytes.data() + i, sizeof lane);
    out += fmt::format(" 0x{:08x}", lane);
  }
  return out;
}

constexpr std::string_view kCatches[] = {"catch", "catch_ref", "catch_all", "catch_all_ref"};

// Abstract heap types and the shorthand of their nullable references, in AbstractHeap's order.
struct HeapRow {
  std::string_view heap, shorthand;
};
constexpr HeapRow kHeaps[] = {
    {"func", "funcref"},   {"nofunc", "nullfuncref"}, {"extern", "externref"}, {"noextern", "nullexternref"},
    {"any", "anyref"},     {"eq", "eqref"},           {"i31", "i31ref"},       {"struct", "structref"},
    {"array", "arrayref"}, {"none", "nullref"},       {"exn", "exnref"},       {"noexn", "nullexnref"}};

}  // namespace

std::string InstrPrinter::heap_type(HeapType t) const {
  if (t.is_abstract()) return std::string(kHeaps[static_cast<size_t>(t.abstract())].heap);
  return names_.ref(NameSpace::type, t.type_id().value);
}

std::string InstrPrinter::val_type(ValType t) const {
  if (!t.is_ref()) return to_string(t);
  if (t.nullable() && t.heap().is_abstract())
    return std::string(kHeaps[static_cast<size_t>(t.heap().abstract())].shorthand);
  return fmt::format("(ref {}{})", t.nullable() ? "null " : "", heap_type(t.heap()));
}

std::string InstrPrinter::field_type(const FieldType& f) const {
  const std::string type = f.packed == Packed::i8 ? "i8" : f.packed == Packed::i16 ? "i16" : val_type(f.type);
  return f.mutable_ ? fmt::format("(mut {})", type) : type;
}

std::string InstrPrinter::instruction(const Instr& instr, u32 func) const {
  return std::string(op_info(instr.op).text) + immediates(instr, func);
}

Result<std::string> InstrPrinter::constant(const ConstExpr& expr) const {
  CodeReader reader(module_, expr.code, expr.offset, CodeKind::constant_expression);
  std::string out;
  for (Instr instr; reader.next(instr) && !(instr.op == Op::end && reader.at_end());)
    out += (out.empty() ? "" : " ") + instruction(instr, 0);
  if (reader.error()) return std::unexpected(*reader.error());
  return out;
}

std::string InstrPrinter::pair(NameSpace space, u32 first, u32 second) const {
  return first == 0 && second == 0 ? "" : index(space, first) + index(space, second);
}

std::string InstrPrinter::block_type(const BlockType& t) const {
  switch (t.kind) {
    case BlockType::Kind::empty: return "";
    case BlockType::Kind::value: return fmt::format(" (result {})", val_type(t.value));
    case BlockType::Kind::type: return fmt::format(" (type {})", names_.ref(NameSpace::type, t.type.value));
  }
  return "";
}

std::string InstrPrinter::memarg(const MemArg& arg, u32 width) const {
  std::string out = optional(NameSpace::memory, arg.memory.value);
  if (arg.offset != 0) out += fmt::format(" offset={}", arg.offset);
  if (arg.align != static_cast<u32>(std::countr_zero(width)))
    out += fmt::format(" align={}", u64{1} << arg.align);
  return out;
}

std::string InstrPrinter::immediates(const Instr& i, u32 owner) const {
  using enum NameSpace;
  const OpInfo& info = op_info(i.op);
  const auto list = [](std::span<const u32> values) {
    std::string out;
    for (u32 v : values) out += fmt::format(" {}", v);
    return out;
  };
  switch (info.imm) {
    case Imm::none: return "";
    case Imm::block: return block_type(i.block);
    case Imm::br_label: return fmt::format(" {}", i.index);
    case Imm::br_table: return list(i.targets);
    case Imm::func: return index(NameSpace::func, i.index);
    case Imm::type: return index(type, i.index);
    case Imm::type_table:
      return optional(table, i.index2) + fmt::format(" (type {})", names_.ref(type, i.index));
    case Imm::local: return " " + names_.local_ref(owner, i.index);
    case Imm::global: return index(global, i.index);
    case Imm::table: return optional(table, i.index);
    case Imm::table_table: return pair(table, i.index, i.index2);
    case Imm::elem_table: return optional(table, i.index2) + index(elem, i.index);
    case Imm::elem: return index(elem, i.index);
    case Imm::mem: return optional(memory, i.index);
    case Imm::mem_mem: return pair(memory, i.index, i.index2);
    case Imm::data_mem: return optional(memory, i.index2) + index(data, i.index);
    case Imm::data: return index(data, i.index);
    case Imm::memarg: return memarg(i.mem, info.width);
    case Imm::memarg_lane: return memarg(i.mem, info.width) + fmt::format(" {}", i.lane);
    case Imm::lane: return fmt::format(" {}", i.lane);
    case Imm::lanes16: return fmt::format(" {}", fmt::join(i.v128, " "));
    case Imm::v128: return v128_literal(i.v128);
    case Imm::i32:
    case Imm::i64: return fmt::format(" {}", static_cast<i64>(i.bits));
    case Imm::f32: return " " + float_literal<f32>(static_cast<u32>(i.bits));
    case Imm::f64: return " " + float_literal<f64>(i.bits);
    case Imm::heap_type:
      if (i.op == Op::ref_null) return " " + heap_type(i.heap);
      return " " + val_type(ValType::ref(i.heap, i.op == Op::ref_test_null || i.op == Op::ref_cast_null));
    case Imm::ref_cast:
      return fmt::format(" {} {} {}", i.index, val_type(ValType::ref(i.heap, i.cast_flags & 1)),
                         val_type(ValType::ref(i.heap2, i.cast_flags & 2)));
    case Imm::val_types: {
      std::string out = " (result";
      for (ValType t : i.types) out += " " + val_type(t);
      return out + ")";
    }
    case Imm::type_field:
    case Imm::type_u32: return index(type, i.index) + fmt::format(" {}", i.index2);
    case Imm::type_type: return index(type, i.index) + index(type, i.index2);
    case Imm::type_data: return index(type, i.index) + index(data, i.index2);
    case Imm::type_elem: return index(type, i.index) + index(elem, i.index2);
    case Imm::tag: return index(tag, i.index);
    case Imm::try_table: {
      std::string out = block_type(i.block);
      for (const CatchClause& c : i.catches) {
        out += fmt::format(" ({}", kCatches[static_cast<size_t>(c.kind)]);
        if (c.kind == CatchKind::catch_ || c.kind == CatchKind::catch_ref) out += index(tag, c.tag.value);
        out += fmt::format(" {})", c.label);
      }
      return out;
    }
    case Imm::fence: return "";
  }
  return "";
}

}  // namespace tenon::text
