// Decodes instructions and their immediates (spec: binary/instructions). Table-driven: the opcode gives a row
// of opcodes.def, the row's immediate kind says what to read.
#include <fmt/format.h>

#include <cstring>
#include <string>

#include "engine/binary/type_reader.h"
#include "engine/reader.h"

namespace tenon {

bool CodeReader::read_locals(std::vector<LocalRun>& out) {
  const u64 start = in_.offset();
  const u32 runs = in_.count();
  u64 total = 0;
  out.clear();
  for (u32 i = 0; i < runs && in_.ok(); ++i) {
    const u32 n = in_.read_u32();
    total += n;
    if (total > 0xffffffffu) in_.fail_at(Err::too_many_locals, start);
    out.push_back({n, read_val_type(in_, {module_})});
  }
  return in_.ok();
}

bool CodeReader::next_op_slow(Instr& out) {
  const u8 byte = in_.byte();
  const Op op = is_op_prefix(byte) ? read_prefixed_op(byte) : static_cast<Op>(detail::kCodeTable[0][byte]);
  if (static_cast<u16>(op) == detail::kNoOp) [[unlikely]]
    return illegal_opcode(out.offset);
  const OpInfo& info = op_info(op);
  if (!features_.has(info.feature)) [[unlikely]] {
    in_.fail(make_error(Err::feature_off, out.offset,
                        fmt::format("{} ({})", feature_name(info.feature), info.text)));
    return false;
  }
  out.op = op;
  return true;
}

Op CodeReader::read_prefixed_op(u8 prefix) {
  const u32 code = in_.read_u32();
  if (!in_.ok() || code >= detail::kMaxCode) return static_cast<Op>(detail::kNoOp);
  return static_cast<Op>(detail::kCodeTable[prefix - detail::kFirstPrefix + 1][code]);
}

// Names the bytes as the suite does: "illegal opcode ff", "illegal opcode fc 40".
bool CodeReader::illegal_opcode(u64 offset) {
  std::string text(err_text(Err::illegal_opcode));
  const u64 at = offset - module_offset_;
  for (u64 i = at; i < code_.size() && offset + i - at < in_.offset(); ++i)
    text += fmt::format(" {:02x}", code_[i]);
  in_.fail(Error{ErrorCategory::malformed, std::move(text), offset});
  return false;
}

void CodeReader::read_immediates(Imm imm, Instr& out) {
  switch (imm) {
    case Imm::none: break;
    case Imm::block: out.block = read_block_type(); break;
    case Imm::br_label:
    case Imm::func:
    case Imm::type:
    case Imm::local:
    case Imm::global:
    case Imm::elem:
    case Imm::tag: out.index = in_.read_u32(); break;
    case Imm::table: out.index = read_table_index(); break;
    case Imm::data: out.index = read_data_index(); break;
    case Imm::br_table: read_br_table(out); break;
    case Imm::type_table:
      out.index = in_.read_u32();
      out.index2 = read_table_index();
      break;
    case Imm::table_table:
      out.index = read_table_index();
      out.index2 = read_table_index();
      break;
    case Imm::elem_table:
      out.index = in_.read_u32();
      out.index2 = read_table_index();
      break;
    case Imm::mem: out.index = read_memory_index(); break;
    case Imm::mem_mem:
      out.index = read_memory_index();
      out.index2 = read_memory_index();
      break;
    case Imm::data_mem:
      out.index = read_data_index();
      out.index2 = read_memory_index();
      break;
    case Imm::memarg: out.mem = read_memarg(); break;
    case Imm::memarg_lane:
      out.mem = read_memarg();
      out.lane = in_.byte();
      break;
    case Imm::lane: out.lane = in_.byte(); break;
    case Imm::lanes16:
    case Imm::v128:
      if (std::span<const u8> b = in_.bytes(16); b.size() == 16) std::memcpy(out.v128.data(), b.data(), 16);
      break;
    case Imm::i32: out.bits = static_cast<u64>(static_cast<i64>(in_.read_s32())); break;
    case Imm::i64: out.bits = static_cast<u64>(in_.read_s64()); break;
    case Imm::f32: out.bits = in_.fixed(4); break;
    case Imm::f64: out.bits = in_.fixed(8); break;
    case Imm::heap_type: out.heap = read_heap_type(in_, {module_}); break;
    case Imm::ref_cast: read_ref_cast(out); break;
    case Imm::val_types: read_val_types(out); break;
    case Imm::type_field:
    case Imm::type_u32:
    case Imm::type_type:
    case Imm::type_elem:
      out.index = in_.read_u32();
      out.index2 = in_.read_u32();
      break;
    case Imm::type_data:
      out.index = in_.read_u32();
      out.index2 = read_data_index();
      break;
    case Imm::try_table: read_try_table(out); break;
    case Imm::fence:
      if (in_.byte() != 0) in_.fail(Err::zero_byte_expected);
      break;
  }
}

BlockType CodeReader::read_block_type() {
  constexpr u8 kEmpty = 0x40;
  const u64 offset = in_.offset();
  if (in_.at_end()) return in_.fail(Err::unexpected_end), BlockType();
  if (in_.peek() == kEmpty) return in_.skip(1), BlockType();
  if ((in_.peek() & 0xc0) == 0x40) return {BlockType::Kind::value, read_val_type(in_, {module_}), {}};
  const i64 index = in_.read_s33();
  if (index < 0) in_.fail_at(Err::bad_block_type, offset);
  require_feature(in_, features_, Feature::multi_value, offset);
  return {BlockType::Kind::type, {}, TypeIdx{static_cast<u32>(index)}};
}

// Without multi-memory the index was a reserved zero byte.
u32 CodeReader::read_memory_index() {
  if (features_.has(Feature::multi_memory)) return in_.read_u32();
  const u64 offset = in_.offset();
  if (in_.byte() != 0) in_.fail_at(Err::zero_byte_expected, offset);
  return 0;
}
u32 CodeReader::read_table_index() {
  if (features_.has(Feature::reference_types)) return in_.read_u32();
  const u64 offset = in_.offset();
  if (in_.byte() != 0) in_.fail_at(Err::zero_byte_expected, offset);
  return 0;
}

// Functions may name data segments only when the data count section announced them (spec: binary/modules).
u32 CodeReader::read_data_index() {
  if (kind_ == CodeKind::function && !module_.data_count) in_.fail(Err::data_count_required);
  return in_.read_u32();
}

MemArg CodeReader::read_memarg_slow() {
  constexpr u32 kHasMemory = 0x40;
  const u64 offset = in_.offset();
  MemArg arg;
  const u32 flags = in_.read_u32();
  if (flags >= 2 * kHasMemory || (flags >= kHasMemory && !features_.has(Feature::multi_memory))) [[unlikely]]
    in_.fail_at(Err::bad_memop_flags, offset);
  arg.align = flags & (kHasMemory - 1);
  if (flags & kHasMemory) arg.memory = MemoryIdx{in_.read_u32()};
  arg.offset = features_.has(Feature::memory64) ? in_.read_u64() : in_.read_u32();
  return arg;
}

void CodeReader::read_br_table(Instr& out) {
  const u32 count = in_.count();
  targets_.clear();
  for (u64 i = 0; i <= count && in_.ok(); ++i) targets_.push_back(in_.read_u32());
  out.targets = targets_;
}

void CodeReader::read_try_table(Instr& out) {
  out.block = read_block_type();
  const u32 count = in_.count();
  catches_.clear();
  for (u32 i = 0; i < count && in_.ok(); ++i) {
    const u64 offset = in_.offset();
    const u8 kind = in_.byte();
    if (kind > static_cast<u8>(CatchKind::catch_all_ref)) in_.fail_at(Err::bad_catch_kind, offset);
    CatchClause c{static_cast<CatchKind>(kind), {}, 0};
    if (c.kind == CatchKind::catch_ || c.kind == CatchKind::catch_ref) c.tag = TagIdx{in_.read_u32()};
    c.label = in_.read_u32();
    catches_.push_back(c);
  }
  out.catches = catches_;
}

void CodeReader::read_ref_cast(Instr& out) {
  const u64 offset = in_.offset();
  out.cast_flags = in_.byte();
  if (out.cast_flags > 3) in_.fail_at(Err::bad_cast_flags, offset);
  out.index = in_.read_u32();
  out.heap = read_heap_type(in_, {module_});
  out.heap2 = read_heap_type(in_, {module_});
}

void CodeReader::read_val_types(Instr& out) {
  const u32 count = in_.count();
  types_.clear();
  for (u32 i = 0; i < count && in_.ok(); ++i) types_.push_back(read_val_type(in_, {module_}));
  out.types = types_;
}

}  // namespace tenon
