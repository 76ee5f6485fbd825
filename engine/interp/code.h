// The interpreter's code format: what the translator writes and the handlers read. An instruction is the
// address of its handler followed by operands; handlers tail-call the next one. docs/interpreter.md explains
// the design.
#pragma once
#include <memory>
#include <vector>

#include "engine/runtime/vm.h"
#include "engine/sem/v128.h"

namespace tenon::interp {

// Registers that pass from handler to handler: code position, frame, base and length of memory 0, the
// instance, and the two accumulators (integers and references; floating point and vectors).
#define TENON_INTERP_PARAMS const u8 *pc, Slot *fp, u8 *mem, VMContext *vm, u64 mem_len, u64 r0, V128 x0
#define TENON_INTERP_ARGS pc, fp, mem, vm, mem_len, r0, x0

using Handler = Status(__attribute__((preserve_none)) *)(TENON_INTERP_PARAMS);

// An instruction is 16, 24, 32 or 40 bytes: its handler, four 16-bit fields (usually slot numbers), and for
// some forms 64-bit extensions. A 32-bit immediate, an offset or a branch target takes the place of B and C;
// compare and branch has its second operand in D. Where an operand is immediate, the other one is in A.
inline constexpr u32 kFieldA = 8, kFieldD = 10, kFieldB = 12, kFieldC = 14, kFieldImm = 12, kFieldTarget = 12,
                     kFieldExt = 16;

// Where an operand comes from: its slot, the accumulator of its class, or the code.
enum class Src : u8 { slot, reg, imm };

// Where a frame goes back to; it lies in the frame after the locals. For a call within the instance only pc
// and fp are written. For others pc is a stub's, fp is the Link itself, and the stub restores the rest.
struct Link {
  const u8* pc;
  Slot* fp;
  const u8* far_pc;
  Slot* far_fp;
  VMContext* far_vm;
};
inline constexpr u32 kLinkSlots = sizeof(Link) / sizeof(Slot);

// Frames are addressed with 16 bits.
inline constexpr u32 kMaxFrameSlots = 0xffff;

// Offsets are 32 bits and signed; one instruction writes much less than what is left above this.
inline constexpr u32 kMaxCodeBytes = 1u << 30;

// Code offset → instruction in the module, for backtraces. One entry for each instruction that can trap or
// call.
struct CodeMark {
  u32 code;  // byte offset of the instruction
  u32 wasm;  // byte offset from the function body's start
};

// A loop's head, where every operand lies in its own slot: compiled code can take the frame over there.
struct LoopHead {
  u32 code;  // byte offset
  u32 wasm;  // of the loop instruction, from the function body's start
};

// A clause of try_table, or a catch of a legacy try: which exceptions it takes, and where they go.
struct CatchTarget {
  enum class Kind : u8 { tag, all, delegate } kind;
  bool with_ref;   // the exnref follows the arguments
  bool ref_first;  // legacy: it comes before them, for rethrow
  Tag* tag;
  u32 code;   // byte offset to go on at; delegate: depth that takes over
  u16 slot;   // the arguments go here
  u16 depth;  // of the try block
};
// Innermost regions first.
struct TryRegion {
  u32 begin, end;  // code covered
  u32 depth;       // nesting of the try block
  std::vector<CatchTarget> catches;
};

// A function of one instance as the interpreter runs it; FuncRef::code points here.
struct Function {
  const u8* entry;  // its first instruction, or the stub that translates it
  u32 link;         // slot of the Link = slots of parameters and locals
  u32 frame_slots;  // all that a call needs, operands and outgoing arguments included
  u32 param_slots, result_slots;
  FuncRef* ref;
  bool translated = false;
  std::vector<u64> code;  // 8-aligned bytes
  std::vector<CodeMark> marks;
  std::vector<LoopHead> loops;  // by code offset
  std::vector<TryRegion> tries;
};

}  // namespace tenon::interp
