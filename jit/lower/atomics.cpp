// Atomic memory accesses (threads): sequentially consistent, with a check of natural alignment. Waiting and
// waking are helpers.
#include <llvm/IR/Intrinsics.h>

#include "jit/lower/func_lowering.h"

namespace tenon::jit {
namespace {

using L = FuncLowering;
using V = llvm::Value*;
using A = llvm::AtomicRMWInst;
constexpr auto kOrder = llvm::AtomicOrdering::SequentiallyConsistent;

// Spec (threads): the effective address must be a multiple of the access width.
V aligned_address(L& l, const Instr& i, V index) {
  const u32 width = op_info(i.op).width;
  V p = l.address(i.mem, index, width);
  if (width > 1) {
    V low = l.ir().CreateAnd(index, llvm::ConstantInt::get(index->getType(), width - 1));
    V offset = llvm::ConstantInt::get(index->getType(), i.mem.offset & (width - 1));
    V sum =
        l.ir().CreateAnd(l.ir().CreateAdd(low, offset), llvm::ConstantInt::get(index->getType(), width - 1));
    l.trap_if(l.ir().CreateIsNotNull(sum), TrapCode::unaligned_atomic);
  }
  return p;
}
llvm::Align alignment(const Instr& i) { return llvm::Align(op_info(i.op).width); }
llvm::Type* cell(L& l, const Instr& i) { return l.ir().getIntNTy(8u * op_info(i.op).width); }

template <u32 kResult>
void atomic_load(L& l, const Instr& i) {
  V p = aligned_address(l, i, l.pop());
  auto* v = l.ir().CreateAlignedLoad(cell(l, i), p, alignment(i));
  v->setAtomic(kOrder);
  V wide = l.ir().CreateZExt(v, l.ir().getIntNTy(kResult));
  l.barrier(wide);
  l.push(wide);
}

void atomic_store(L& l, const Instr& i) {
  V value = l.ir().CreateTrunc(l.pop(), cell(l, i));
  V p = aligned_address(l, i, l.pop());
  l.barrier();
  l.ir().CreateAlignedStore(value, p, alignment(i))->setAtomic(kOrder);
  l.barrier();
}

template <A::BinOp kOp>
void read_modify_write(L& l, const Instr& i) {
  V operand = l.pop();
  V p = aligned_address(l, i, l.pop());
  l.barrier();
  V old = l.ir().CreateAtomicRMW(kOp, p, l.ir().CreateTrunc(operand, cell(l, i)), alignment(i), kOrder);
  old = l.ir().CreateZExt(old, operand->getType());
  l.barrier(old);
  l.push(old);
}

// Spec (threads): the expected value is wrapped to the width of the access before it is compared.
void compare_exchange(L& l, const Instr& i) {
  V replacement = l.pop();
  V expected = l.pop();
  V p = aligned_address(l, i, l.pop());
  l.barrier();
  V result =
      l.ir().CreateAtomicCmpXchg(p, l.ir().CreateTrunc(expected, cell(l, i)),
                                 l.ir().CreateTrunc(replacement, cell(l, i)), alignment(i), kOrder, kOrder);
  V old = l.ir().CreateZExt(l.ir().CreateExtractValue(result, 0), expected->getType());
  l.barrier(old);
  l.push(old);
}

// wait32, wait64 and notify: helper(vm, memory, address, operands…, &result) gives a TrapCode.
template <Helper kHelper>
void wait_or_notify(L& l, const Instr& i) {
  auto operands = l.pop_n(kHelper == Helper::atomic_notify ? 2 : 3);
  V index = operands[0];
  if (index->getType() != l.unit().i64()) index = l.ir().CreateZExt(index, l.unit().i64());
  V address = l.ir().CreateBinaryIntrinsic(llvm::Intrinsic::uadd_sat, index, l.i64(i.mem.offset));
  V result = l.scratch_slot();
  std::vector<V> args{l.vm(), l.i32(i.mem.memory.value), address};
  args.insert(args.end(), operands.begin() + 1, operands.end());
  args.push_back(result);
  l.trap_unless_none(l.call_helper(kHelper, args));
  l.push(l.ir().CreateLoad(l.unit().i32(), result));
}

#define RMW_ROWS(name, op)                                                                                \
  {Op::i32_atomic_rmw_##name, read_modify_write<op>}, {Op::i64_atomic_rmw_##name, read_modify_write<op>}, \
      {Op::i32_atomic_rmw8_##name##_u, read_modify_write<op>},                                            \
      {Op::i32_atomic_rmw16_##name##_u, read_modify_write<op>},                                           \
      {Op::i64_atomic_rmw8_##name##_u, read_modify_write<op>},                                            \
      {Op::i64_atomic_rmw16_##name##_u, read_modify_write<op>}, {                                         \
    Op::i64_atomic_rmw32_##name##_u, read_modify_write<op>                                                \
  }

constexpr Row kRows[] = {
    {Op::atomic_fence, [](L& l, const Instr&) { l.ir().CreateFence(kOrder); }},
    {Op::memory_atomic_wait32, wait_or_notify<Helper::atomic_wait32>},
    {Op::memory_atomic_wait64, wait_or_notify<Helper::atomic_wait64>},
    {Op::memory_atomic_notify, wait_or_notify<Helper::atomic_notify>},
    {Op::i32_atomic_load, atomic_load<32>},
    {Op::i64_atomic_load, atomic_load<64>},
    {Op::i32_atomic_load8_u, atomic_load<32>},
    {Op::i32_atomic_load16_u, atomic_load<32>},
    {Op::i64_atomic_load8_u, atomic_load<64>},
    {Op::i64_atomic_load16_u, atomic_load<64>},
    {Op::i64_atomic_load32_u, atomic_load<64>},
    {Op::i32_atomic_store, atomic_store},
    {Op::i64_atomic_store, atomic_store},
    {Op::i32_atomic_store8, atomic_store},
    {Op::i32_atomic_store16, atomic_store},
    {Op::i64_atomic_store8, atomic_store},
    {Op::i64_atomic_store16, atomic_store},
    {Op::i64_atomic_store32, atomic_store},
    RMW_ROWS(add, A::Add),
    RMW_ROWS(sub, A::Sub),
    RMW_ROWS(and, A::And),
    RMW_ROWS(or, A::Or),
    RMW_ROWS(xor, A::Xor),
    RMW_ROWS(xchg, A::Xchg),
    {Op::i32_atomic_rmw_cmpxchg, compare_exchange},
    {Op::i64_atomic_rmw_cmpxchg, compare_exchange},
    {Op::i32_atomic_rmw8_cmpxchg_u, compare_exchange},
    {Op::i32_atomic_rmw16_cmpxchg_u, compare_exchange},
    {Op::i64_atomic_rmw8_cmpxchg_u, compare_exchange},
    {Op::i64_atomic_rmw16_cmpxchg_u, compare_exchange},
    {Op::i64_atomic_rmw32_cmpxchg_u, compare_exchange},
};

}  // namespace

std::span<const Row> atomic_rows() { return kRows; }

}  // namespace tenon::jit
