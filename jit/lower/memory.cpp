// Loads, stores and bulk operations on linear memories. Guarded memories are accessed without a check: an
// access past the end faults and the fault handler raises the trap. The others compare with the memory's
// length.
#include <llvm/IR/Intrinsics.h>

#include "jit/lower/func_lowering.h"

namespace tenon::jit {

using Value = FuncLowering::Value;

Value FuncLowering::memory_desc(MemoryIdx m) {
  return load_vm(unit_.ptr(), plan_.layout.memories + u64{m.value} * sizeof(void*), true);
}

// Loaded once for each function where it never changes: passes see that all addresses have one base.
Value FuncLowering::memory_base(MemoryIdx m) {
  const MemoryPlan& plan = memory_plan(m);
  if (m.value != 0 || !plan.fixed_base)
    return unit_.load(b_, unit_.ptr(), memory_desc(m), offsetof(MemoryDesc, base), AliasClass::runtime,
                      plan.fixed_base);
  if (!memory0_base_) {
    llvm::IRBuilder<> at(entry_, entry_->begin());
    memory0_base_ =
        unit_.load(at, unit_.ptr(), vm_, offsetof(VMContext, memory0_base), AliasClass::runtime, true);
  }
  return memory0_base_;
}

Value FuncLowering::address(const MemArg& mem, Value index, u32 width) {
  const MemoryPlan& plan = memory_plan(mem.memory);
  if (!plan.is64) index = b_.CreateZExt(index, unit_.i64());
  if (!plan.guarded) {
    Value desc = memory_desc(mem.memory);
    Value length = unit_.load(b_, unit_.i64(), desc, offsetof(MemoryDesc, length), AliasClass::runtime);
    // index + offset + width > length, where the sum may need a 65th bit with 64-bit memories.
    const bool wraps = mem.offset > ~u64{0} - width;
    Value past = wraps ? b_.getTrue() : nullptr;
    if (!wraps && !plan.is64) past = b_.CreateICmpUGT(b_.CreateAdd(index, i64(mem.offset + width)), length);
    if (!wraps && plan.is64) {
      Value sum =
          b_.CreateBinaryIntrinsic(llvm::Intrinsic::uadd_with_overflow, index, i64(mem.offset + width));
      past =
          b_.CreateOr(b_.CreateExtractValue(sum, 1), b_.CreateICmpUGT(b_.CreateExtractValue(sum, 0), length));
    }
    trap_if(past, TrapCode::memory_out_of_bounds);
  }
  Value base = memory_base(mem.memory);
  Value p = b_.CreateGEP(b_.getInt8Ty(), base, index);
  return mem.offset == 0 ? p : b_.CreateGEP(b_.getInt8Ty(), p, i64(mem.offset));
}

Value FuncLowering::load(const Instr& i, llvm::Type* type) {
  Value p = address(i.mem, pop(), op_info(i.op).width);
  auto* value = b_.CreateAlignedLoad(type, p, llvm::Align(1));
  value->setMetadata(llvm::LLVMContext::MD_tbaa, unit_.alias_tag(AliasClass::memory));
  return value;
}

void FuncLowering::store(const Instr& i, Value value, Value index) {
  Value p = address(i.mem, index, op_info(i.op).width);
  barrier();
  auto* store = b_.CreateAlignedStore(value, p, llvm::Align(1));
  store->setMetadata(llvm::LLVMContext::MD_tbaa, unit_.alias_tag(AliasClass::memory));
  barrier();
}

namespace {

using L = FuncLowering;
using V = Value;

enum class Extend { none, sign, zero };

// kBits in memory, extended to kResult bits.
template <u32 kBits, u32 kResult, Extend kExtend>
void int_load(L& l, const Instr& i) {
  V v = l.load(i, l.ir().getIntNTy(kBits));
  if (kExtend == Extend::sign) v = l.ir().CreateSExt(v, l.ir().getIntNTy(kResult));
  if (kExtend == Extend::zero) v = l.ir().CreateZExt(v, l.ir().getIntNTy(kResult));
  l.barrier(v);
  l.push(v);
}

template <ValKind kKind>
void typed_load(L& l, const Instr& i) {
  V v = l.load(i, l.type(kKind));
  l.barrier(v);
  l.push(v);
}

template <u32 kBits>
void int_store(L& l, const Instr& i) {
  V value = l.pop();
  V index = l.pop();
  l.store(i, l.ir().CreateTrunc(value, l.ir().getIntNTy(kBits)), index);
}

void plain_store(L& l, const Instr& i) {
  V value = l.pop();
  V index = l.pop();
  l.store(i, value, index);
}

u32 page_shift(L& l, u32 memory) { return l.wasm().memories[memory].page_shift; }

// From an i64 to the address type of memory `m`.
V to_address_type(L& l, V v, u32 m) {
  return l.memory_plan(MemoryIdx{m}).is64 ? v : l.ir().CreateTrunc(v, l.unit().i32());
}
V from_address_type(L& l, V v) {
  return v->getType() == l.unit().i64() ? v : l.ir().CreateZExt(v, l.unit().i64());
}

void lower_memory_size(L& l, const Instr& i) {
  V length = l.unit().load(l.ir(), l.unit().i64(), l.memory_desc(MemoryIdx{i.index}),
                           offsetof(MemoryDesc, length), AliasClass::runtime);
  l.push(to_address_type(l, l.ir().CreateLShr(length, page_shift(l, i.index)), i.index));
}

void lower_memory_grow(L& l, const Instr& i) {
  V delta = from_address_type(l, l.pop());
  V old = l.call_helper(Helper::memory_grow, {l.vm(), l.i32(i.index), delta});
  l.push(to_address_type(l, old, i.index));
}

void lower_memory_fill(L& l, const Instr& i) {
  auto args = l.pop_n(3);
  l.trap_unless_none(l.call_helper(
      Helper::memory_fill,
      {l.vm(), l.i32(i.index), from_address_type(l, args[0]), args[1], from_address_type(l, args[2])}));
}

void lower_memory_copy(L& l, const Instr& i) {
  auto args = l.pop_n(3);
  for (V& v : args) v = from_address_type(l, v);
  l.trap_unless_none(l.call_helper(Helper::memory_copy,
                                   {l.vm(), l.i32(i.index), l.i32(i.index2), args[0], args[1], args[2]}));
}

void lower_memory_init(L& l, const Instr& i) {
  auto args = l.pop_n(3);
  // Immediates in the binary's order: data segment, memory.
  l.trap_unless_none(l.call_helper(Helper::memory_init, {l.vm(), l.i32(i.index2), l.i32(i.index),
                                                         from_address_type(l, args[0]), args[1], args[2]}));
}

constexpr Row kRows[] = {
    {Op::i32_load, int_load<32, 32, Extend::none>},
    {Op::i64_load, int_load<64, 64, Extend::none>},
    {Op::f32_load, typed_load<ValKind::f32>},
    {Op::f64_load, typed_load<ValKind::f64>},
    {Op::i32_load8_s, int_load<8, 32, Extend::sign>},
    {Op::i32_load8_u, int_load<8, 32, Extend::zero>},
    {Op::i32_load16_s, int_load<16, 32, Extend::sign>},
    {Op::i32_load16_u, int_load<16, 32, Extend::zero>},
    {Op::i64_load8_s, int_load<8, 64, Extend::sign>},
    {Op::i64_load8_u, int_load<8, 64, Extend::zero>},
    {Op::i64_load16_s, int_load<16, 64, Extend::sign>},
    {Op::i64_load16_u, int_load<16, 64, Extend::zero>},
    {Op::i64_load32_s, int_load<32, 64, Extend::sign>},
    {Op::i64_load32_u, int_load<32, 64, Extend::zero>},
    {Op::v128_load, typed_load<ValKind::v128>},
    {Op::i32_store, plain_store},
    {Op::i64_store, plain_store},
    {Op::f32_store, plain_store},
    {Op::f64_store, plain_store},
    {Op::v128_store, plain_store},
    {Op::i32_store8, int_store<8>},
    {Op::i32_store16, int_store<16>},
    {Op::i64_store8, int_store<8>},
    {Op::i64_store16, int_store<16>},
    {Op::i64_store32, int_store<32>},
    {Op::memory_size, lower_memory_size},
    {Op::memory_grow, lower_memory_grow},
    {Op::memory_fill, lower_memory_fill},
    {Op::memory_copy, lower_memory_copy},
    {Op::memory_init, lower_memory_init},
    {Op::data_drop, [](L& l, const Instr& i) { l.call_helper(Helper::data_drop, {l.vm(), l.i32(i.index)}); }},
};

}  // namespace

std::span<const Row> memory_rows() { return kRows; }

}  // namespace tenon::jit
