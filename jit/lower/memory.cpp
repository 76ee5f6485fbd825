// Loads, stores and bulk operations on linear memories. Guarded memories are accessed without a check: an
// access past the end faults and the fault handler raises the trap. The others compare with the memory's
// length.
#include <llvm/IR/Intrinsics.h>

#include "jit/lower/func_lowering.h"

namespace tenon::jit {

using Value = FuncLowering::Value;

// There as long as the instance: what is read through it may be read earlier, in front of a loop for instance.
Value FuncLowering::memory_desc(MemoryIdx m) {
  Value desc = load_vm(unit_.ptr(), plan_.layout.memories + u64{m.value} * sizeof(void*), true);
  auto* size = llvm::ConstantAsMetadata::get(b_.getInt64(sizeof(MemoryDesc)));
  llvm::cast<llvm::LoadInst>(desc)->setMetadata(llvm::LLVMContext::MD_dereferenceable,
                                                llvm::MDNode::get(unit_.context(), size));
  return desc;
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

// Traps unless index + offset + width <= length. A check that an earlier one implies is left out; an earlier one is
// widened to imply this where a guest cannot tell which came first. Gives the index in 64 bits.
Value FuncLowering::check_bounds(const MemArg& mem, Value index, u64 width) {
  Value wide = b_.CreateZExt(index, unit_.i64());
  const u64 extent = mem.offset + width;
  const bool wraps = extent < width;  // only 64-bit memories have such offsets, and no bytes there
  const MemoryType& type = wasm().memories[mem.memory.value];
  constexpr u64 kEnough = u64{1} << 32;
  const u64 smallest = std::min(type.limits.min, kEnough) << std::min<u32>(type.page_shift, 31);
  for (size_t i = 0; i < checked_.size() && !wraps; ++i) {
    Checked& c = checked_[i];
    if (c.index != index || c.memory != mem.memory.value) continue;
    if (c.extent >= extent) return wide;
    if (i < first_combinable_ || !c.limit || extent > smallest) continue;
    widen(c, extent);
    return wide;
  }
  Value length =
      unit_.load(b_, unit_.i64(), memory_desc(mem.memory), offsetof(MemoryDesc, length), AliasClass::runtime);
  Checked check{index, mem.memory.value, extent};
  Value past;
  if (wraps) {
    past = b_.getTrue();
  } else if (extent <= smallest) {
    // A memory never has less than its smallest size, so this difference is not negative.
    check.limit = llvm::cast<llvm::Instruction>(b_.CreateNUWSub(length, i64(extent)));
    past = b_.CreateICmpUGT(wide, check.limit);
  } else {
    // The sum may need a 65th bit with 64-bit memories.
    Value sum = b_.CreateBinaryIntrinsic(llvm::Intrinsic::uadd_with_overflow, wide, i64(extent));
    past =
        b_.CreateOr(b_.CreateExtractValue(sum, 1), b_.CreateICmpUGT(b_.CreateExtractValue(sum, 0), length));
  }
  check.raise = trap_if(past, TrapCode::memory_out_of_bounds);
  if (!wraps) checked_.push_back(check);
  return wide;
}

// The check covers the instruction being lowered too. When it fails, what it was before says which of them traps.
void FuncLowering::widen(Checked& check, u64 extent) {
  llvm::IRBuilder<> cold(check.raise);
  Value length = check.limit->getOperand(0);
  Value wide = cold.CreateZExt(check.index, unit_.i64());
  Value earlier = cold.CreateICmpUGT(wide, cold.CreateNUWSub(length, i64(check.extent)));
  constexpr unsigned kSite = 1;
  check.raise->setArgOperand(kSite, cold.CreateSelect(earlier, check.raise->getArgOperand(kSite),
                                                      trap_site(TrapCode::memory_out_of_bounds)));
  check.limit->setOperand(1, i64(extent));
  check.extent = extent;
}

Value FuncLowering::address(const MemArg& mem, Value index, u32 width) {
  Value wide =
      memory_plan(mem.memory).guarded ? b_.CreateZExt(index, unit_.i64()) : check_bounds(mem, index, width);
  Value p = b_.CreateGEP(b_.getInt8Ty(), memory_base(mem.memory), wide);
  return mem.offset == 0 ? p : b_.CreateGEP(b_.getInt8Ty(), p, i64(mem.offset));
}

Value FuncLowering::checked_address(MemoryIdx memory, Value index, u32 width) {
  Value wide = check_bounds({0, 0, memory}, index, width);
  return b_.CreateGEP(b_.getInt8Ty(), memory_base(memory), wide);
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

// Up to this many bytes, fills and copies of a constant size are loads and
// stores.
constexpr u64 kInlineBytes = 64;
std::optional<u32> inline_size(V count) {
  const auto* constant = llvm::dyn_cast<llvm::ConstantInt>(count);
  if (!constant || constant->getZExtValue() > kInlineBytes) return std::nullopt;
  return static_cast<u32>(constant->getZExtValue());
}
// The pieces of `size` bytes: f(offset, type of the piece).
template <class F>
void for_pieces(L& l, u32 size, F f) {
  for (u32 at = 0, piece = 16; at < size; at += piece) {
    while (piece > size - at) piece /= 2;
    f(at, piece == 16 ? l.type(kV128) : l.ir().getIntNTy(8 * piece));
  }
}
void store_piece(L& l, V value, V p, u32 at) {
  auto* store = l.ir().CreateAlignedStore(value, l.unit().offset(l.ir(), p, at), llvm::Align(1));
  store->setMetadata(llvm::LLVMContext::MD_tbaa, l.unit().alias_tag(AliasClass::memory));
}

void fill_inline(L& l, u32 memory, V dest, V value, u32 size) {
  V p = l.checked_address(MemoryIdx{memory}, dest, size);
  V bytes = l.ir().CreateVectorSplat(16, l.ir().CreateTrunc(value, l.ir().getInt8Ty()));
  l.barrier();
  for_pieces(l, size, [&](u32 at, llvm::Type* piece) {
    const u32 width = static_cast<u32>(piece->getPrimitiveSizeInBits().getFixedValue()) / 8;
    auto* lanes = llvm::FixedVectorType::get(piece->isVectorTy() ? l.ir().getInt64Ty() : piece,
                                             16 / width * (piece->isVectorTy() ? 2 : 1));
    V all = l.ir().CreateBitCast(bytes, lanes);
    store_piece(l, piece->isVectorTy() ? all : l.ir().CreateExtractElement(all, u64{0}), p, at);
  });
  l.barrier();
}

// Everything is loaded before anything is stored: the ranges may overlap.
void copy_inline(L& l, u32 dest_memory, u32 src_memory, V dest, V src, u32 size) {
  V to = l.checked_address(MemoryIdx{dest_memory}, dest, size);
  V from = l.checked_address(MemoryIdx{src_memory}, src, size);
  std::vector<V> pieces;
  for_pieces(l, size, [&](u32 at, llvm::Type* piece) {
    auto* load = l.ir().CreateAlignedLoad(piece, l.unit().offset(l.ir(), from, at), llvm::Align(1));
    load->setMetadata(llvm::LLVMContext::MD_tbaa, l.unit().alias_tag(AliasClass::memory));
    pieces.push_back(load);
  });
  l.barrier();
  size_t next = 0;
  for_pieces(l, size, [&](u32 at, llvm::Type*) { store_piece(l, pieces[next++], to, at); });
  l.barrier();
}

void lower_memory_fill(L& l, const Instr& i) {
  auto args = l.pop_n(3);
  if (const auto size = inline_size(args[2])) return fill_inline(l, i.index, args[0], args[1], *size);
  l.trap_unless_none(l.call_helper(
      Helper::memory_fill,
      {l.vm(), l.i32(i.index), from_address_type(l, args[0]), args[1], from_address_type(l, args[2])}));
}

void lower_memory_copy(L& l, const Instr& i) {
  auto args = l.pop_n(3);
  if (const auto size = inline_size(args[2]))
    return copy_inline(l, i.index, i.index2, args[0], args[1], *size);
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
