// Types one function body or constant expression instruction by instruction (spec: appendix/algorithm).
// Translators drive it too: they look at the operand and control stacks before each step() instead of keeping
// types of their own.
#pragma once
#include <deque>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "engine/base.h"
#include "engine/errors.h"
#include "engine/module.h"
#include "engine/reader.h"
#include "engine/validate/operand_stack.h"

namespace tenon {

struct ControlFrame {
  Op op;  // block, loop, if_, else_, try_table, try_, catch_, catch_all; func: Op::block
  std::span<const ValType> start_types;  // parameters
  std::span<const ValType> end_types;    // results
  u32 height;                            // operands below this frame
  bool unreachable;                      // the rest of this block cannot be reached
  u32 inits;                             // locals initialised when it was entered (the validator's own)
  std::span<const ValType> label_types() const { return op == Op::loop ? start_types : end_types; }
};

class FuncValidator {
 public:
  FuncValidator(const Module& module, FuncIdx func, const ModuleLimits& limits = {});

  // For many functions or constant expressions in turn: each begin_ starts afresh and keeps allocations.
  FuncValidator(const Module& module, const ModuleLimits& limits);
  void begin_function(FuncIdx func);
  // Then step() to its end. Globals below `known_globals` may be read (spec: valid/instructions, Constant
  // Expressions).
  void begin_constant(ValType result, u32 known_globals);

  // Declares locals after the parameters. False on error().
  bool locals(std::span<const LocalRun> runs);
  // Checks and applies one instruction. False on error().
  bool step(const Instr& instr);
  // True once the function's own frame has been closed by its end.
  bool done() const { return controls_.empty(); }
  // All of a function's body, from its bytes: begin_function(), locals() and step() in one, faster.
  std::optional<Error> run(FuncIdx func);
  const std::optional<Error>& error() const { return error_; }

  // For translators.
  u32 local_count() const { return local_count_; }
  ValType local_type(u32 local) const {
    return local < near_locals_.size() ? near_locals_[local] : far_local(local);
  }
  u32 height() const { return operands_.size(); }
  // The type of an operand, 0 being the top; bottom where the stack is polymorphic.
  ValType operand(u32 depth) const {
    return depth < operands_.size() - floor_ ? operands_[operands_.size() - 1 - depth] : kBottom;
  }
  bool reachable() const { return !controls_.back().unreachable; }
  const ControlFrame& control(u32 label) const { return controls_[controls_.size() - 1 - label]; }
  u32 control_depth() const { return static_cast<u32>(controls_.size()); }
  // The parameters and results of a block type; valid as long as the validator.
  struct BlockSignature {
    std::span<const ValType> params, results;
  };
  // Empty spans and an error for an unknown type.
  BlockSignature block_signature(const BlockType& type);

 private:
  using Types = std::span<const ValType>;

  // Operands. pop(expected) gives what was there, bottom from a polymorphic stack.
  void push(ValType t) { operands_.push(t); }
  void push(Types types);
  ValType pop();
  ValType pop(ValType expected) {
    if (operands_.size() > floor_ && operands_.back() == expected) [[likely]] {
      operands_.pop();
      return expected;
    }
    return pop_slow(expected);
  }
  ValType pop_slow(ValType expected);
  // Pops the types, the last first. Error messages show the whole list against the stack.
  void pop(Types expected);
  void pop(std::initializer_list<ValType> expected) { pop(Types(expected.begin(), expected.size())); }
  // A reference of any type; from a polymorphic stack a non-null one of the bottom heap type.
  ValType pop_ref();
  void mismatch(Types expected, std::string_view who = "instruction");

  // Control.
  void push_control(Op op, Types start, Types end);
  // Checks that the results are there and nothing else, and leaves the operands as they were below the frame.
  ControlFrame pop_control();
  void set_unreachable();
  // True when whatever is popped next comes from a polymorphic stack.
  bool polymorphic() const { return controls_.back().unreachable && operands_.size() == floor_; }
  const ControlFrame* label(u32 index);  // null and an error when there is none
  bool matches(Types actual, Types expected) const;

  void fail(Err e);
  void fail(Err e, std::string_view detail);
  void fail_index(Err e, u64 index);
  void fail_limit(std::string_view what, u64 value, u64 limit);

  // From opcodes to rules (dispatch.cpp).
  struct Dispatch;
  bool check_constant(const Instr& instr);
  template <u8 width, bool atomic>
  bool check_memarg(const MemArg& arg, const MemoryType& memory);
  bool check_lane(u32 lane, u32 lanes);
  // Look-ups by index: null (or false) and an error when there is none.
  const MemoryType* memory(u32 index);
  const TableType* table(u32 index);
  const ElementSegment* element(u32 index);
  const GlobalType* global(u32 index);
  const FuncType* tag(u32 index);
  const FuncType* func_type(u32 type_index);
  const StructType* struct_type(u32 type_index);
  const ArrayType* array_type(u32 type_index);
  const ArrayType* mutable_array(u32 type_index);
  bool check_type(u32 type_index);
  bool check_data(u32 index);
  bool check_local(u32 index);

  // Rules. Control (control_rules.cpp).
  void unreachable_(const Instr&);
  void block(const Instr&);
  void else_(const Instr&);
  void end(const Instr&);
  void catch_(const Instr&);
  void delegate(const Instr&);
  void rethrow(const Instr&);
  void throw_(const Instr&);
  void throw_ref(const Instr&);
  void try_table(const Instr&);
  void br(const Instr&);
  void br_if(const Instr&);
  void br_table(const Instr&);
  void return_(const Instr&);
  void call(const Instr&);
  void return_call(const Instr&);
  void call_indirect(const Instr&);
  void return_call_indirect(const Instr&);
  void call_ref(const Instr&);
  void return_call_ref(const Instr&);
  void apply_call(const FuncType& type);
  void apply_tail_call(const FuncType& type);
  const FuncType* indirect_callee(const Instr&);

  // Variables, tables, memories, parametric (func_validator.cpp).
  void drop(const Instr&);
  void select(const Instr&);
  void select_t(const Instr&);
  void local_get(const Instr&);
  void local_set(const Instr&);
  void local_tee(const Instr&);
  void mark_initialised(u32 index);
  void global_get(const Instr&);
  void global_set(const Instr&);
  void table_get(const Instr&);
  void table_set(const Instr&);
  void table_grow(const Instr&);
  void table_fill(const Instr&);
  void table_init(const Instr&);
  void table_copy(const Instr&);
  void memory_copy(const Instr&);

  // References and aggregates (reference_rules.cpp).
  void ref_null(const Instr&);
  void ref_is_null(const Instr&);
  void ref_func(const Instr&);
  void ref_eq(const Instr&);
  void ref_as_non_null(const Instr&);
  void ref_test(const Instr&);
  void ref_cast(const Instr&);
  void br_on_null(const Instr&);
  void br_on_non_null(const Instr&);
  void br_on_cast(const Instr&);
  void any_convert_extern(const Instr&);
  void extern_convert_any(const Instr&);
  void convert(AbstractHeap from, AbstractHeap to);
  void ref_i31(const Instr&);
  void i31_get(const Instr&);
  void struct_new(const Instr&);
  void struct_get(const Instr&);
  void struct_set(const Instr&);
  const FieldType* field(const Instr&);
  void push_field(const FieldType& field, Op op);
  void array_new(const Instr&);
  void array_new_segment(const Instr&);
  void array_get(const Instr&);
  void array_set(const Instr&);
  void array_len(const Instr&);
  void array_fill(const Instr&);
  void array_copy(const Instr&);
  void array_init_segment(const Instr&);
  void check_segment(const Instr&, const ArrayType& type);

  // The reference to a defined type.
  ValType ref_to(u32 type_index, bool nullable) const {
    return ValType::ref(HeapType(module_.types[type_index]), nullable);
  }

  const Module& module_;
  const TypeRegistry& types_;
  const ModuleLimits limits_;
  FuncIdx func_;
  u64 offset_ = 0;  // of the current instruction
  // The types of the first kNearLocals one by one, the rest as runs: a function of ten bytes can have 50,000.
  static constexpr u32 kNearLocals = 1024;
  struct FarRun {
    u32 end;  // the first local behind it
    ValType type;
  };
  ValType far_local(u32 local) const;
  std::vector<ValType> near_locals_;
  std::vector<FarRun> far_locals_;
  u32 local_count_ = 0;
  OperandStack operands_;
  u32 floor_ = 0;  // operands below the innermost frame
  std::vector<ControlFrame> controls_;
  Types results_;
  // Locals without a default: whether each has been set here, and in which order (spec: valid/conventions,
  // C.locals).
  bool track_inits_ = false;
  std::vector<bool> initialised_;
  std::vector<u32> inits_;
  // Constant expressions.
  bool constant_ = false;
  u32 known_globals_ = 0;
  std::deque<ValType>
      block_results_;  // results of blocks with one result that is no number: spans into it stay valid
  std::optional<Error> error_;
};

// Validates one body from its bytes. The error names the function.
Result<void> validate_function(const Module& module, FuncIdx func, const ModuleLimits& limits);
// The same with a validator that is used for many functions of the module.
Result<void> validate_function(FuncValidator& validator, const Module& module, FuncIdx func);

}  // namespace tenon
