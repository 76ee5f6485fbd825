// Control and variable instructions, constants, and operators on operands of any type.
#include "jit/lower/func_lowering.h"
#include "jit/lower/numeric.h"

namespace tenon::jit {
namespace {

using L = FuncLowering;
using V = llvm::Value*;

void lower_if(L& l, const Instr& i) {
  V condition = l.ir().CreateICmpNE(l.pop(), l.i32(0));
  llvm::BasicBlock* then = l.new_block("then");
  llvm::BasicBlock* otherwise = l.new_block("else");
  l.save_operands_below(i.block);
  l.ir().CreateCondBr(condition, then, otherwise, l.branch_weights());
  l.switch_to(then);
  l.open(Op::if_, i.block, otherwise);
}

void lower_br_if(L& l, const Instr& i) { l.branch_if(l.ir().CreateICmpNE(l.pop(), l.i32(0)), i.index); }

void lower_br_table(L& l, const Instr& i) {
  V index = l.pop();
  const size_t cases = i.targets.size() - 1;
  if (cases == 0) {
    l.branch_to(i.targets[0]);
    return;
  }
  // A phi wants one operand for each edge, equal ones included.
  auto* jump = l.ir().CreateSwitch(index, l.edge_to(i.targets[cases]), static_cast<unsigned>(cases));
  for (size_t c = 0; c < cases; ++c)
    jump->addCase(l.ir().getInt32(static_cast<u32>(c)), l.edge_to(i.targets[c]));
  l.unreachable();
}

void lower_select(L& l, const Instr&) {
  V condition = l.ir().CreateICmpNE(l.pop(), l.i32(0));
  V otherwise = l.pop();
  V then = l.pop();
  l.push(l.ir().CreateSelect(condition, then, otherwise));
}

void lower_global_get(L& l, const Instr& i) {
  const GlobalType& type = l.wasm().globals[i.index].type;
  l.push(l.unit().load(l.ir(), l.type(type.type), l.global_cell(GlobalIdx{i.index}), 0, AliasClass::global,
                       !type.mutable_));
}

void lower_global_set(L& l, const Instr& i) {
  V value = l.pop();
  V cell = l.global_cell(GlobalIdx{i.index});
  l.barrier();
  l.unit().store(l.ir(), value, cell, 0, AliasClass::global);
  l.barrier();
}

void lower_br_on_null(L& l, const Instr& i) {
  V ref = l.pop();
  l.branch_if(l.ir().CreateICmpEQ(ref, l.i64(0)), i.index);
  l.push(ref);
}

void lower_br_on_non_null(L& l, const Instr& i) {
  l.branch_if(l.ir().CreateICmpNE(l.top(), l.i64(0)), i.index);
  l.pop();
}

// LLVM folds x * 1 and x - 0 to x, which would let signalling NaNs through; Wasm's arithmetic quiets them. So
// the constants that are neutral somewhere are hidden from it. (No side effect: unused ones go, loops hoist
// them.)
V float_const(L& l, V constant, bool neutral) { return neutral ? opaque_float(l.ir(), constant) : constant; }

void lower_f32_const(L& l, const Instr& i) {
  const u32 bits = static_cast<u32>(i.bits);
  const u32 magnitude = bits & 0x7fff'ffff;
  V c = llvm::ConstantFP::get(l.unit().context(),
                              llvm::APFloat(llvm::APFloat::IEEEsingle(), llvm::APInt(32, bits)));
  l.push(float_const(l, c, magnitude == 0 || magnitude == 0x3f80'0000));
}

void lower_f64_const(L& l, const Instr& i) {
  const u64 magnitude = i.bits & ~(u64{1} << 63);
  V c = llvm::ConstantFP::get(l.unit().context(),
                              llvm::APFloat(llvm::APFloat::IEEEdouble(), llvm::APInt(64, i.bits)));
  l.push(float_const(l, c, magnitude == 0 || magnitude == 0x3ff0'0000'0000'0000));
}

constexpr Row kRows[] = {
    {Op::unreachable,
     [](L& l, const Instr&) {
       l.trap(TrapCode::unreachable);
       l.unreachable();
     }},
    {Op::nop, [](L&, const Instr&) {}},
    {Op::block, [](L& l, const Instr& i) { l.open(Op::block, i.block, nullptr); }},
    {Op::loop, [](L& l, const Instr& i) { l.open(Op::loop, i.block, nullptr); }},
    {Op::if_, lower_if},
    {Op::else_, [](L& l, const Instr&) { l.else_branch(); }},
    {Op::end, [](L& l, const Instr&) { l.close(); }},
    {Op::br, [](L& l, const Instr& i) { l.branch_to(i.index); }},
    {Op::br_if, lower_br_if},
    {Op::br_table, lower_br_table},
    {Op::return_, [](L& l, const Instr&) { l.branch_to(l.outermost_label()); }},
    {Op::br_on_null, lower_br_on_null},
    {Op::br_on_non_null, lower_br_on_non_null},
    {Op::drop, [](L& l, const Instr&) { l.pop(); }},
    {Op::select, lower_select},
    {Op::select_t, lower_select},
    {Op::local_get, [](L& l, const Instr& i) { l.push(l.local(i.index)); }},
    {Op::local_set, [](L& l, const Instr& i) { l.set_local(i.index, l.pop()); }},
    {Op::local_tee, [](L& l, const Instr& i) { l.set_local(i.index, l.top()); }},
    {Op::global_get, lower_global_get},
    {Op::global_set, lower_global_set},
    {Op::i32_const, [](L& l, const Instr& i) { l.push(l.i32(static_cast<u32>(i.bits))); }},
    {Op::i64_const, [](L& l, const Instr& i) { l.push(l.i64(i.bits)); }},
    {Op::f32_const, lower_f32_const},
    {Op::f64_const, lower_f64_const},
    {Op::ref_null, [](L& l, const Instr&) { l.push(l.i64(kNullRef)); }},
    {Op::ref_is_null,
     [](L& l, const Instr&) {
       l.push(l.ir().CreateZExt(l.ir().CreateICmpEQ(l.pop(), l.i64(0)), l.unit().i32()));
     }},
    {Op::ref_func,
     [](L& l, const Instr& i) {
       l.push(l.ir().CreatePtrToInt(l.func_ref(FuncIdx{i.index}), l.unit().i64()));
     }},
    {Op::ref_eq,
     [](L& l, const Instr&) {
       V b = l.pop(), a = l.pop();
       l.push(l.ir().CreateZExt(l.ir().CreateICmpEQ(a, b), l.unit().i32()));
     }},
    {Op::ref_as_non_null,
     [](L& l, const Instr&) { l.trap_if(l.ir().CreateICmpEQ(l.top(), l.i64(0)), TrapCode::null_reference); }},
};

}  // namespace

std::span<const Row> control_rows() { return kRows; }

}  // namespace tenon::jit
