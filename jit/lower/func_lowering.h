// Translates one validated function body to LLVM IR: an SSA value for each operand, an alloca for each local,
// a phi for each operand that crosses a label. Instructions are rows (Row) in control.cpp, calls.cpp,
// memory.cpp, tables.cpp, gc.cpp, numeric.cpp, simd.cpp and atomics.cpp; this class is what they share. Does not
// optimise and does not emit code.
#pragma once
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "engine/reader.h"
#include "jit/lower/osr.h"
#include "jit/lower/plan.h"
#include "jit/lower/unit.h"

namespace tenon::jit {

class FuncLowering;
using LowerFn = void (*)(FuncLowering&, const Instr&);
struct Row {
  Op op;
  LowerFn lower;
};
std::span<const Row> control_rows();
std::span<const Row> call_rows();
std::span<const Row> memory_rows();
std::span<const Row> table_rows();
std::span<const Row> numeric_rows();
std::span<const Row> simd_rows();
std::span<const Row> atomic_rows();
std::span<const Row> reference_rows();
std::span<const Row> exception_rows();
// Every instruction has one (tests/jit/control_test.cpp).
LowerFn lowering_of(Op op);

// A function of the module that is compiled, declared with its prototype.
llvm::Function* declare_function(Unit& unit, const ModulePlan& plan, FuncIdx f);

class FuncLowering {
 public:
  using Value = llvm::Value*;

  FuncLowering(Unit& unit, const ModulePlan& plan, FuncIdx func);
  // A copy of the function, for inlining.
  FuncLowering(Unit& unit, const ModulePlan& plan, FuncIdx func, llvm::Function& copy);
  // The variant that begins at a loop's head with the interpreter's frame, and its entry.
  FuncLowering(Unit& unit, const ModulePlan& plan, const OsrLoop& loop);
  // Defines the function in the unit. Errors only when the code does not decode (callers pass validated
  // modules).
  Result<void> run();

  // Operands.
  void push(Value v) { stack_.push_back(v); }
  Value pop() {
    Value v = stack_.back();
    stack_.pop_back();
    return v;
  }
  Value& top() { return stack_.back(); }
  // The topmost n, removed, in the order they were pushed.
  std::vector<Value> pop_n(size_t n);

  // Control. A Control is open for each enclosing block, the function's own first.
  struct Control {
    Op op;
    BlockType type;
    llvm::BasicBlock* label;           // where a branch to it goes: the loop's head, else the code after end
    llvm::BasicBlock* otherwise;       // of an if whose else has not come yet
    std::vector<llvm::PHINode*> phis;  // operands that arrive at the label
    std::vector<Value> params;         // of an if: what else begins with
    size_t height;                     // operands below its parameters
    // Of try and try_table (exceptions.cpp).
    bool guards = false;                    // exceptions of what is lowered now come here
    llvm::BasicBlock* landing = nullptr;    // where unwinding enters
    llvm::BasicBlock* dispatch = nullptr;   // looks for a clause that fits; null: nothing can come
    llvm::BasicBlock* unmatched = nullptr;  // legacy: where exceptions are that no clause so far has taken
    std::vector<CatchClause> catches;       // of try_table
    Value caught = nullptr;                 // legacy: the exception of the clause being lowered
  };
  void open(Op op, const BlockType& type, llvm::BasicBlock* otherwise);
  // Operands below a block's go to their cells, where variants for on-stack replacement find them again.
  void save_operands_below(const BlockType& block);
  void else_branch();
  void close();
  // Branches, with the label's operands on top of the stack (which stay there).
  void branch_to(u32 label);
  // For conditional branches: records the operands and gives the target for an edge from the current block.
  llvm::BasicBlock* edge_to(u32 label);
  // Branches when `condition` holds, else goes on with the same operands.
  void branch_if(Value condition, u32 label);
  u32 outermost_label() const { return static_cast<u32>(controls_.size() - 1); }  // the function's own
  void unreachable() { reachable_ = false; }  // after the current block has been ended
  void return_results();
  llvm::BasicBlock* new_block(const char* name = "") {
    return llvm::BasicBlock::Create(unit_.context(), name, fn_);
  }
  void switch_to(llvm::BasicBlock* block) {
    b_.SetInsertPoint(block);
    known_locals_.assign(locals_.size(), nullptr);
    checked_.clear();
    first_combinable_ = 0;
  }
  // The same for a block that is entered from the current one only: what is known here is known there.
  void continue_in(llvm::BasicBlock* block) { b_.SetInsertPoint(block); }
  // What the branch hint of the current instruction says about its condition; null: nothing.
  llvm::MDNode* branch_weights();

  // Traps.
  llvm::CallInst* trap_if(Value condition, TrapCode code,
                          Value index = nullptr);  // with an i64 that the message names
  Value trap_site(TrapCode code) { return i64(static_cast<u64>(code) << 32 | (offset_ & 0xffff'ffff)); }
  llvm::CallInst* trap(TrapCode code, Value index = nullptr);  // ends the block
  void trap_unless_none(Value trap_code);                      // of a helper that gives a TrapCode
  void trap_if_raised(Value condition);                        // a helper has told the store of a trap
  // Keeps loads and stores in the guest's order around it; with a value: that value is computed before.
  void barrier(Value keep_alive = nullptr);
  void check_interrupt();

  // Locals and globals.
  Value local(u32 index);
  void set_local(u32 index, Value v);
  Value global_cell(GlobalIdx g);

  // Memory access: a pointer to `width` bytes at the operand `index` plus the immediate's offset, checked or
  // guarded.
  Value address(const MemArg& mem, Value index, u32 width);
  Value memory_desc(MemoryIdx m);
  Value memory_base(MemoryIdx m);
  // The same for bytes that are accessed only if all of them can be: never by fault.
  Value checked_address(MemoryIdx memory, Value index, u32 width);
  const MemoryPlan& memory_plan(MemoryIdx m) const { return plan_.memories[m.value]; }
  Value load(const Instr& i, llvm::Type* type);
  void store(const Instr& i, Value value, Value index);
  Value table_desc(u32 table);

  // Exceptions.
  void open_try(const Instr& i);
  void legacy_catch(const Instr& i);
  void delegate(u32 label);
  void throw_exception(Value exception);  // ends the block
  Value tag(TagIdx t);                    // its identity, a pointer
  const FuncType& tag_type(TagIdx t) const;
  Value caught(u32 label) { return control(label).caught; }

  // Calls.
  Value func_ref(FuncIdx f);
  // Calls code in the native convention with the arguments on the stack, and pushes the results.
  void call_native(const FuncType& type, Value entry, Value native_context);
  void tail_call_native(const FuncType& type, Value entry, Value native_context);
  // Sixteen bytes of the frame, for a helper's result or operand; its content does not outlive the
  // instruction.
  Value scratch_slot();
  // As many slots, for arguments or results; the same rule.
  Value slot_buffer(u32 slots);
  llvm::CallInst* call_helper(Helper helper, llvm::ArrayRef<Value> args);
  void call_host(FuncIdx f);

  llvm::IRBuilder<>& ir() { return b_; }
  Unit& unit() { return unit_; }
  const ModulePlan& plan() const { return plan_; }
  const Module& wasm() const { return *plan_.module; }
  FuncIdx func() const { return func_; }
  llvm::Function* fn() { return fn_; }
  Value vm() { return vm_; }
  Value store_context() { return store_context_; }
  Value i32(u32 v) { return b_.getInt32(v); }
  Value i64(u64 v) { return b_.getInt64(v); }
  Value load_vm(llvm::Type* type, u64 offset, bool constant) {
    return unit_.load(b_, type, vm_, offset, AliasClass::runtime, constant);
  }
  // The canonical id of a type of the module, which differs between processes.
  Value canonical_type(u32 type_index) {
    return load_vm(unit_.i32(), plan_.layout.types + u64{type_index} * sizeof(u32), true);
  }
  llvm::Type* type(ValType t) { return lower_type(unit_.context(), t); }
  std::vector<ValType> block_params(const BlockType& t) const;
  std::vector<ValType> block_results(const BlockType& t) const;

 private:
  Result<void> prologue(CodeReader& reader);
  void declare_locals(const std::vector<LocalRun>& runs);
  void find_hints();
  void declare_local(ValType type, Value initial);
  void locate(bool in_backtraces);
  void step(const Instr& instr);
  void skip(const Instr& instr);
  void check_stack();
  Value check_bounds(const MemArg& mem, Value index, u64 width);
  struct Checked;
  void widen(Checked& check, u64 extent);
  Control& control(u32 label) { return controls_[controls_.size() - 1 - label]; }
  void add_phis(Control& c, const std::vector<ValType>& types);
  // A call, or an invoke when a try around it could catch what it throws.
  llvm::CallBase* call_or_invoke(llvm::FunctionType* type, Value target, llvm::ArrayRef<Value> args);
  Control* guard(size_t controls);  // the innermost that guards, of the outermost `controls`
  llvm::BasicBlock* dispatch_of(Control* guard);
  llvm::BasicBlock* landing_of(Control& guard);
  Value exception_in_flight();
  Value has_tag(Value exception, TagIdx tag);
  void push_arguments(Value exception, TagIdx tag);
  void take_exception();
  void lower_catches(const Control& c);

  Unit& unit_;
  const ModulePlan& plan_;
  FuncIdx func_;
  const FuncType& type_;
  NativeSignature signature_;
  llvm::Function* fn_;
  llvm::IRBuilder<> b_;
  llvm::DISubprogram* subprogram_ = nullptr;
  llvm::BasicBlock* entry_ = nullptr;
  Value vm_ = nullptr, store_context_ = nullptr;
  std::vector<Value> stack_, locals_;
  std::vector<Value> known_locals_;  // values that locals have now; null: load it
  // Bytes from `index` on that have been found to lie in a memory. Memories never shrink.
  struct Checked {
    Value index;
    u32 memory;
    u64 extent;
    llvm::Instruction* limit =
        nullptr;  // length - extent, which `index` is compared with; null: checked otherwise
    llvm::CallInst* raise = nullptr;
  };
  std::vector<Checked> checked_;
  // Since the check of this index in `checked_` nothing has happened that a guest could tell from a trap in its place.
  size_t first_combinable_ = 0;
  std::span<const BranchHint> hints_;  // of this function
  std::vector<llvm::Type*> local_types_;
  std::vector<Control> controls_;
  Value memory0_base_ = nullptr;
  llvm::AllocaInst* scratch_ = nullptr;
  llvm::AllocaInst* slot_buffer_ = nullptr;
  u32 slot_buffer_slots_ = 0;
  llvm::BasicBlock* leave_frame_ = nullptr;  // goes on unwinding in the caller
  u64 offset_ = 0;                           // of the instruction being lowered
  bool reachable_ = true;
  bool will_be_inlined_ = false;  // then every instruction says where it comes from

  // On-stack replacement (osr_lowering.cpp): the function is lowered as always, but control comes in at the
  // loop's head. Values made before it do not dominate what follows, so operands below each label go through
  // cells.
  void declare_frame_locals(const std::vector<LocalRun>& runs);
  void leave_osr_entry();
  void enter_loop(Control& loop);
  void reload_operands(size_t count);
  Value load_frame_slot(u32 slot, llvm::Type* type);
  Value operand_cell(size_t index, llvm::Type* type);
  std::optional<OsrLoop> osr_;
  Value osr_frame_ = nullptr;
  llvm::BasicBlock* osr_entry_ = nullptr;  // ends with the jump to the loop
  u32 osr_operands_ = 0;                   // the frame's first operand slot
  std::map<std::pair<size_t, llvm::Type*>, Value> operand_cells_;
  u32 skipped_blocks_ = 0;  // open inside unreachable code
};

}  // namespace tenon::jit
