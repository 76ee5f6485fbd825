// Types one function body instruction by instruction (spec: appendix/algorithm). Translators drive it too:
// they look at the operand and control stacks before each step() instead of keeping types of their own.
#pragma once
#include <span>
#include <vector>

#include "engine/base.h"
#include "engine/module.h"
#include "engine/reader.h"

namespace tenon {

struct ControlFrame {
  Op op;  // block, loop, if_, else_, try_table, try_, catch_, catch_all; func: Op::block
  std::span<const ValType> start_types;  // parameters
  std::span<const ValType> end_types;    // results
  u32 height;                            // operands below this frame
  bool unreachable;                      // the rest of this block cannot be reached
  std::span<const ValType> label_types() const { return op == Op::loop ? start_types : end_types; }
};

class FuncValidator {
 public:
  FuncValidator(const Module& module, FuncIdx func);

  // Declares locals after the parameters. False on error().
  bool locals(std::span<const LocalRun> runs);
  // Checks and applies one instruction. False on error().
  bool step(const Instr& instr);
  // True once the function's own frame has been closed by its end.
  bool done() const { return controls_.empty(); }
  const std::optional<Error>& error() const { return error_; }

  // For translators.
  u32 local_count() const { return static_cast<u32>(local_types_.size()); }
  ValType local_type(u32 local) const { return local_types_[local]; }
  u32 height() const { return static_cast<u32>(operands_.size()); }
  // The type of an operand, 0 being the top; bottom where the stack is polymorphic.
  ValType operand(u32 depth) const;
  bool reachable() const { return !controls_.back().unreachable; }
  const ControlFrame& control(u32 label) const { return controls_[controls_.size() - 1 - label]; }
  u32 control_depth() const { return static_cast<u32>(controls_.size()); }

 private:
  const Module& module_;
  FuncIdx func_;
  std::vector<ValType> local_types_, operands_;
  std::vector<ControlFrame> controls_;
  std::optional<Error> error_;
};

// Validates one body from its bytes.
Result<void> validate_function(const Module& module, FuncIdx func, const ModuleLimits& limits);

}  // namespace tenon
