// The translator's picture of a running frame: where each operand is (its own slot, a local's, an
// accumulator, nowhere because it is a constant), and the code written so far. Knows no Wasm instruction.
#pragma once
#include <array>
#include <optional>
#include <span>
#include <vector>

#include "engine/interp/code.h"
#include "engine/interp/control.h"
#include "engine/interp/tables.h"
#include "engine/types.h"

namespace tenon::interp {

// An operand of the Wasm stack. Each has a slot of its own (the canonical one), where it lies only when
// `where` says so.
struct Operand {
  enum class Where : u8 { own_slot, other_slot, constant, accumulator } where;
  ValKind kind;
  u32 slot;   // canonical
  u32 other;  // other_slot: a local's
  u64 bits;   // constant
  bool wide() const { return kind == ValKind::v128; }
  u32 slots() const { return wide() ? 2 : 1; }
};

struct Fields {
  u32 a = 0, d = 0, b = 0, c = 0;
};

// An operand as an instruction names it.
struct Source {
  Src src;
  u32 slot;
  u64 bits;
};

class CodeBuilder {
 public:
  // Code.
  u32 position() const { return static_cast<u32>(code_.size() * sizeof(u64)); }
  u32 emit(Handler handler, u32 size, Fields fields = {});
  template <class T>
  void put(u32 at, T value) {
    std::memcpy(reinterpret_cast<u8*>(code_.data()) + at, &value, sizeof(T));
  }
  template <class T>
  T get(u32 at) const {
    T v;
    std::memcpy(&v, reinterpret_cast<const u8*>(code_.data()) + at, sizeof(T));
    return v;
  }
  // Takes back the last instruction.
  void erase_from(u32 position) {
    code_.resize(position / sizeof(u64));
    while (!starts_.empty() && starts_.back() >= position) starts_.pop_back();
    last_ = last_move_ = kNone;
  }
  // Joins instructions that follow each other (tables.h, super_handler), except across `barriers`, positions
  // in ascending order. When everything else is written.
  void join_instructions(std::span<const u32> barriers);
  // Code can be reached from elsewhere from here on: nothing is known of the accumulators.
  void label();
  u32 last() const { return last_; }
  // What follows must not be joined to what was written last.
  void forget_last() { last_ = last_move_ = kNone; }
  std::vector<u64> take_code() { return std::move(code_); }

  // Operands.
  void set_operand_base(u32 slot) { next_slot_ = max_slot_ = slot; }
  u32 height() const { return static_cast<u32>(operands_.size()); }
  Operand& operand(u32 depth) { return operands_[operands_.size() - 1 - depth]; }
  u32 next_slot() const { return next_slot_; }
  u32 max_slot() const { return max_slot_; }
  void reserve_slots(u32 up_to) { max_slot_ = std::max(max_slot_, up_to); }
  Operand pop();
  void push(Operand::Where where, ValKind kind, u32 other = 0, u64 bits = 0);
  void push_own(ValKind kind) { push(Operand::Where::own_slot, kind); }
  void push_constant(ValKind kind, u64 bits) { push(Operand::Where::constant, kind, 0, bits); }
  void push_local(ValKind kind, u32 slot);
  void truncate(u32 height);

  // Where to read an operand, popped or not.
  Source source(const Operand& o) const;
  // Makes sure that it lies in some slot, its own if it was a constant or in an accumulator, and gives that.
  u32 in_slot(Operand& o);
  // Into its own slot.
  void flush(Operand& o);
  void flush_top(u32 count);
  void flush_all() { flush_top(height()); }
  // Out of the accumulators, where operands lie in them.
  void spill_accumulators();
  // The top operands into slots from `to` on, in order. `to` is at or below their own slots. More than
  // kMovedOneByOne are flushed first and moved together, so that code stays in proportion to the body.
  static constexpr u32 kMovedOneByOne = 16;
  void move_top(u32 count, u32 to);
  void move_to(Operand& o, u32 to);

  // Writes an instruction whose result goes to the accumulator, and pushes it. `stored` is the handler that
  // writes slot D too; it takes over when the value needs a slot.
  void emit_result(Handler plain, Handler stored, u32 size, Fields fields, ValKind kind);
  // Pushes what the instruction just written left in its own slot and, if `mirrored`, in the accumulator.
  void push_result_slot(ValKind kind, bool mirrored = false);
  // The top operand into a local. It stays on the stack for tee.
  void set_local(u32 slot, ValKind kind, bool tee);
  // Says that an instruction wrote these slots.
  void wrote(u32 slot, u32 slots);
  void forget_accumulators();
  // A vector constant on the stack.
  void push_v128(const std::array<u8, 16>& bytes);

  // True if the operand is the value that the last instruction left in its accumulator.
  bool is_last_result(const Operand& o) const {
    return o.where == Operand::Where::accumulator && accumulator(o.kind).producer == last_;
  }
  std::vector<CodeMark>& marks() { return marks_; }

 private:
  struct Accumulator {
    i32 owner = -1;       // index of the operand that lies in it
    u32 producer = 0;     // the instruction that made it
    Handler stored = {};  // its storing form
    i32 mirror = -1;      // a slot that holds the same value
    bool mirror_wide = false;
  };
  static bool in_x(ValKind k) { return k == ValKind::f32 || k == ValKind::f64 || k == ValKind::v128; }
  Accumulator& accumulator(ValKind k) { return accumulators_[in_x(k)]; }
  const Accumulator& accumulator(ValKind k) const { return accumulators_[in_x(k)]; }
  void store_producer(Accumulator& acc, u32 slot, bool wide);
  void spill(Accumulator& acc);
  void emit_move(u32 from, u32 to, bool wide);
  void emit_constant(ValKind kind, u64 bits, u32 to);
  void emit_accumulator_store(ValKind kind, u32 to);
  void save_aliases(u32 local);

  static constexpr u32 kNone = ~0u;
  std::vector<u64> code_;
  std::vector<u32> starts_;  // of each instruction
  std::vector<CodeMark> marks_;
  u32 last_ = kNone;       // position of the last instruction, if no label followed
  u32 last_move_ = kNone;  // it is a single move that another one can join
  std::vector<Operand> operands_;
  u32 flushed_ = 0;  // operands below this index are in their own slots
  u32 next_slot_ = 0, max_slot_ = 0;
  std::array<Accumulator, 2> accumulators_;
  std::vector<u32> aliases_;  // by local slot: operands that stand for it
};

}  // namespace tenon::interp
