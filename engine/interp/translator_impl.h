// The translator's class. translator.cpp has the numeric and memory instructions, translator_control.cpp
// blocks, branches, calls and exceptions, translator_gc.cpp references and objects.
#pragma once
#include <deque>
#include <unordered_map>

#include "engine/interp/code_builder.h"
#include "engine/interp/translator.h"
#include "engine/reader.h"
#include "engine/validate/func_validator.h"

namespace tenon::interp {

// The comparison with the opposite result. Floating point has one for eq and ne only.
std::optional<Op> inverse_comparison(Op op);

class Translator {
 public:
  Translator(State& state, Function& f);
  Result<void> run();

 private:
  // A branch or a catch clause that waits for its label's position.
  struct Fixup {
    u32 field;  // position of the 32-bit distance
    u32 from;   // position that it counts from
  };
  struct CatchFixup {
    u32 region, clause;
  };
  struct Label {
    Op op;
    u32 height;     // operands below, parameters not counted
    u32 base_slot;  // own slot of the first operand above
    std::vector<ValKind> params, results;
    u32 loop_start = 0;
    std::vector<Fixup> fixups;
    std::optional<Fixup> to_else;
    std::vector<CatchFixup> catch_fixups;
    std::optional<u32> region;  // of try_table and legacy try
    bool region_open = false;   // its body goes on
    const std::vector<ValKind>& branch_types() const { return op == Op::loop ? params : results; }
  };
  // What a conditional branch asks; made by take_condition() and the reference branches.
  struct Condition {
    enum class Kind : u8 { compare, cast } kind = Kind::compare;
    Op op = Op::i32_eqz;
    Src lhs = Src::slot, rhs = Src::slot;
    u32 a = 0, d = 0;
    u64 bits = 0;       // immediate operand; cast: heap type
    bool sense = true;  // branch if the result is non-zero
  };
  // The last numeric instruction written, so that a branch can take it in.
  struct Numeric {
    u32 at = ~0u, size = 0;
    Op op = Op::nop;
    Source lhs{}, rhs{};
  };

  Result<void> setup();
  void visit(const Instr& i);
  void visit_dead(const Instr& i);
  void finish();

  // translator.cpp
  void numeric(const Instr& i);
  void ternary(const Instr& i);
  void canonical_nan(NanResult shape);
  void wide_arithmetic(const Instr& i);
  void shuffle(const Instr& i);
  bool fold_not(const Instr& i);
  void memory_access(const Instr& i);
  bool fast_load(const Instr& i, ValKind kind);
  bool fast_store(const Instr& i);
  void slow_access(const Instr& i);
  void atomic_wait(const Instr& i);
  void bulk(const Instr& i);
  void local_or_global(const Instr& i);
  void select();

  // translator_control.cpp
  void control(const Instr& i);
  void open_block(const Instr& i);
  void open_if(const Instr& i);
  void else_();
  void end();
  void close_label(Label& label);
  void bind(Label& label);
  void push_params(const Label& label);
  void go_dead();
  Condition take_condition();
  Condition on(Op op, Operand& o, bool sense);
  u32 emit_branch(const Condition& c, bool invert, bool back);
  void branch(u32 depth);
  void branch_if(const Condition& c, u32 depth);
  void jump_to(Label& label);
  void aim(u32 at, Label& label);
  void br_table(const Instr& i);
  void return_();
  void call(const Instr& i);
  void tail_call(const Instr& i);
  void call_fields(const Instr& i, u32 at);
  void check_interruption();
  void try_table(const Instr& i);
  void throw_(const Instr& i);
  void legacy_catch(const Instr& i);
  void end_try_body(Label& label);
  void delegate(const Instr& i);
  void rethrow(const Instr& i);
  Label& label_at(u32 depth) { return labels_[labels_.size() - 1 - depth]; }

  // translator_gc.cpp
  void reference(const Instr& i);
  void branch_on_null(const Instr& i);
  void branch_on_cast(const Instr& i);
  void check_null(Operand& o, TrapCode code);
  void gc_struct(const Instr& i);
  void gc_array(const Instr& i);
  void gc_array_new(const Instr& i);
  void gc_array_bulk(const Instr& i);
  void cast(const Instr& i);

  void mark();
  // Pops an operand that an instruction reads from a slot.
  u32 pop_slot() {
    Operand o = code_.pop();
    return code_.in_slot(o);
  }
  void push_kinds(std::span<const ValType> types) {
    for (ValType t : types) code_.push_own(t.kind());
  }
  MemoryDesc* memory_desc(u32 index) const;
  TableDesc* table_desc(u32 index) const;
  GlobalCell* global_cell(u32 index) const;
  u32 canonical_type(u32 index) const { return module_.types[index].value; }
  const DefType& def_type(u32 index) const { return module_.type_registry().get(module_.types[index]); }
  ValKind address_kind(bool is64) const { return is64 ? ValKind::i64 : ValKind::i32; }

  State& state_;
  Function& f_;
  VMContext* vm_;
  Instance& instance_;
  const Module& module_;
  const tenon::Function& body_;
  FuncValidator validator_;
  CodeBuilder code_;
  std::vector<u32> local_slots_;
  std::vector<Label> labels_;
  std::deque<TryRegion> regions_;
  std::vector<u32> closed_regions_;  // innermost first
  std::vector<u32> loop_starts_;     // nothing is joined across them
  bool dead_ = false;                // nothing is written until the block ends
  u32 dead_depth_ = 0;               // blocks opened meanwhile
  bool counts_ = false;              // fuel or epochs are on
  bool deterministic_nans_ = false, deterministic_simd_ = false;
  u64 instr_offset_ = 0;
  Numeric last_numeric_, before_that_;
};

}  // namespace tenon::interp
