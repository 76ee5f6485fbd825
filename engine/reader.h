// Reads instructions one by one from a code entry: opcode and immediates, no typing (engine/validate) and no
// meaning (engine/sem). The validator, the interpreter's translator and the JIT all read code through it.
#pragma once
#include <array>
#include <span>
#include <string_view>
#include <vector>

#include "engine/base.h"
#include "engine/binary/byte_reader.h"
#include "engine/module.h"
#include "engine/opcodes.h"
#include "engine/types.h"

namespace tenon {

// A block type (spec: binary/instructions): empty, one result, or a function type's index.
struct BlockType {
  enum class Kind : u8 { empty, value, type } kind = Kind::empty;
  ValType value;
  TypeIdx type;
};
struct MemArg {
  u64 offset = 0;
  u32 align = 0;  // log2
  MemoryIdx memory;
};
enum class CatchKind : u8 { catch_, catch_ref, catch_all, catch_all_ref };
struct CatchClause {
  CatchKind kind;
  TagIdx tag;
  u32 label;
};

// One decoded instruction. Which fields mean something follows from op_info(op).imm.
struct Instr {
  Op op;
  u64 offset;     // of the opcode's first byte in the module
  u32 index = 0;  // label, func, type, table, local, global, elem, data, tag, field owner: the first index
  u32 index2 =
      0;  // the second: table of call_indirect, source table/memory of copies, field, array length, ...
  u8 lane = 0;
  u8 cast_flags = 0;  // br_on_cast: bit 0 source nullable, bit 1 target nullable
  MemArg mem;
  BlockType block;
  HeapType heap, heap2;       // ref.null, ref.test, ref.cast, br_on_cast (source, target)
  u64 bits = 0;               // i32.const (sign-extended), i64.const, f32.const, f64.const: the value's bits
  std::array<u8, 16> v128{};  // v128.const, shuffle lanes
  std::span<const u32> targets;          // br_table: all labels, the default last; valid until the next read
  std::span<const CatchClause> catches;  // try_table; likewise
  std::span<const ValType> types;        // select t; likewise
};

enum class CodeKind : u8 { function, constant_expression };

class CodeReader {
 public:
  // `code` begins at `offset` of the module. Types in immediates are resolved through module.types, so the
  // type section must have been decoded; nothing else of the module need be there but what the caller then
  // looks up.
  CodeReader(const Module& module, std::span<const u8> code, u64 offset, CodeKind kind = CodeKind::function)
      : module_(module),
        features_(module.features()),
        kind_(kind),
        code_(code),
        module_offset_(offset),
        in_(code, offset) {}

  // Local declarations at the start of a code entry; runs are not expanded. False on error().
  bool read_locals(std::vector<LocalRun>& out);
  // The next instruction. False at the end of the code or on error(). Fields of `out` that the instruction
  // does not have keep what they held.
  bool next(Instr& out) {
    if (!next_op(out)) return false;
    const Imm imm = op_info(out.op).imm;
    if (imm != Imm::none) read_immediates(imm, out);
    return in_.ok();
  }
  // The same in two steps, for readers that choose by opcode how to go on: the opcode alone, then, always,
  // its immediates, whose kind is the opcode's.
  bool next_op(Instr& out) {
    if (in_.at_end()) return false;
    out.offset = in_.offset();
    const u16 row = detail::kCodeTable[0][in_.peek()];
    if (row == detail::kNoOp || !features_.has(detail::kOpInfos[row].feature)) [[unlikely]]
      return next_op_slow(out);
    in_.skip(1);
    out.op = static_cast<Op>(row);
    return true;
  }
  template <Imm imm>
  void read(Instr& out) {
    if constexpr (imm == Imm::none) return;
    if constexpr (imm >= Imm::br_label && imm <= Imm::tag) {
      out.index = in_.read_u32();
    } else if constexpr (imm == Imm::i32) {
      out.bits = static_cast<u64>(static_cast<i64>(in_.read_s32()));
    } else if constexpr (imm == Imm::i64) {
      out.bits = static_cast<u64>(in_.read_s64());
    } else if constexpr (imm == Imm::memarg) {
      out.mem = read_memarg();
    } else {
      read_immediates(imm, out);
    }
  }
  bool at_end() const { return in_.at_end(); }
  u64 offset() const { return in_.offset(); }
  const u8* position() const { return in_.position(); }
  const std::optional<Error>& error() const { return in_.error(); }

 private:
  bool next_op_slow(Instr& out);  // prefixed, unknown, or of a feature that is off
  void read_immediates(Imm imm, Instr& out);
  Op read_prefixed_op(u8 prefix);
  bool illegal_opcode(u64 offset);
  BlockType read_block_type();
  // Nearly all have one byte for the alignment and no memory index.
  MemArg read_memarg() {
    constexpr u8 kAlignMask = 0x3f;
    if (in_.at_end() || in_.peek() > kAlignMask || !features_.has(Feature::memory64))
      return read_memarg_slow();
    MemArg arg;
    arg.align = in_.byte();
    arg.offset = in_.read_u64();
    return arg;
  }
  MemArg read_memarg_slow();
  u32 read_memory_index();
  u32 read_table_index();
  void read_br_table(Instr& out);
  void read_try_table(Instr& out);
  void read_ref_cast(Instr& out);
  void read_val_types(Instr& out);
  u32 read_data_index();

  const Module& module_;
  FeatureSet features_;
  CodeKind kind_;
  std::span<const u8> code_;
  u64 module_offset_;
  ByteReader in_;
  std::vector<u32> targets_;
  std::vector<CatchClause> catches_;
  std::vector<ValType> types_;
};

}  // namespace tenon
