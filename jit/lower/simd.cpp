// SIMD and relaxed SIMD. A v128 operand is <2 x i64>; each row views it in the shape it means. Relaxed
// instructions do what their deterministic counterpart does, or what this host does best where the
// specification allows both.
#include <llvm/IR/Intrinsics.h>
#include <llvm/IR/IntrinsicsX86.h>

#include "jit/lower/func_lowering.h"
#include "jit/lower/numeric.h"

namespace tenon::jit {
namespace {

using L = FuncLowering;
using V = llvm::Value*;
using I = llvm::Intrinsic::ID;
using B = llvm::Instruction;
using P = llvm::CmpInst;
namespace in = llvm::Intrinsic;

struct Shape {
  u32 lanes;
  u32 bits;
  bool is_float = false;
};
constexpr Shape i8x16{16, 8}, i16x8{8, 16}, i32x4{4, 32}, i64x2{2, 64}, f32x4{4, 32, true},
    f64x2{2, 64, true};

constexpr Shape as_int(Shape s) { return {s.lanes, s.bits}; }
// Same number of bits, lanes half as many and twice as wide.
constexpr Shape wider(Shape s) { return {s.lanes / 2, s.bits * 2, s.is_float}; }

llvm::Type* lane_type(L& l, Shape s) {
  if (!s.is_float) return l.ir().getIntNTy(s.bits);
  return s.bits == 32 ? l.ir().getFloatTy() : l.ir().getDoubleTy();
}
llvm::VectorType* vector_type(L& l, Shape s) { return llvm::FixedVectorType::get(lane_type(l, s), s.lanes); }
V view(L& l, V v, Shape s) { return l.ir().CreateBitCast(v, vector_type(l, s)); }
// Constants would let LLVM drop the quieting of signalling NaNs (numeric.h).
V float_view(L& l, V v, Shape s) {
  const bool constant = llvm::isa<llvm::Constant>(v);
  v = view(l, v, s);
  return constant && s.is_float ? opaque_float(l.ir(), v) : v;
}
V pop(L& l, Shape s) { return view(l, l.pop(), s); }
void push(L& l, V v) { l.push(l.ir().CreateBitCast(v, l.type(kV128))); }
V splat_constant(L& l, Shape s, u64 value) { return llvm::ConstantInt::get(vector_type(l, s), value); }

template <Shape kShape, auto kMeaning>
void unary(L& l, const Instr&) {
  V x = pop(l, kShape);
  push(l, kMeaning(l, x));
}
template <Shape kShape, auto kMeaning>
void binary(L& l, const Instr&) {
  V y = float_view(l, l.pop(), kShape);
  V x = float_view(l, l.pop(), kShape);
  push(l, kMeaning(l, x, y));
}
template <B::BinaryOps kOp>
constexpr auto arith = [](L& l, V x, V y) { return l.ir().CreateBinOp(kOp, x, y); };
template <P::Predicate kPredicate, Shape kMask>
constexpr auto compare = [](L& l, V x, V y) {
  return l.ir().CreateSExt(l.ir().CreateCmp(kPredicate, x, y), vector_type(l, kMask));
};
template <I kIntrinsic>
constexpr auto intrinsic = [](L& l, V x) { return l.ir().CreateUnaryIntrinsic(kIntrinsic, x); };
template <I kIntrinsic>
constexpr auto intrinsic2 = [](L& l, V x, V y) { return l.ir().CreateBinaryIntrinsic(kIntrinsic, x, y); };
template <I kIntrinsic>
constexpr auto min_max = [](L& l, V x, V y) { return float_min_max(l.ir(), kIntrinsic, x, y); };
// pmin and pmax: y < x ? y : x and x < y ? y : x.
constexpr auto pmin = [](L& l, V x, V y) { return l.ir().CreateSelect(l.ir().CreateFCmpOLT(y, x), y, x); };
constexpr auto pmax = [](L& l, V x, V y) { return l.ir().CreateSelect(l.ir().CreateFCmpOLT(x, y), y, x); };
constexpr auto negate = [](L& l, V x) { return l.ir().CreateNeg(x); };
constexpr auto float_negate = [](L& l, V x) { return l.ir().CreateFNeg(x); };
constexpr auto absolute = [](L& l, V x) {
  return l.ir().CreateBinaryIntrinsic(in::abs, x, l.ir().getFalse());
};

template <Shape kShape, B::BinaryOps kOp>
void shift(L& l, const Instr&) {
  V count = l.ir().CreateAnd(l.pop(), kShape.bits - 1);
  V x = pop(l, kShape);
  V lanes = l.ir().CreateVectorSplat(kShape.lanes, l.ir().CreateZExtOrTrunc(count, lane_type(l, kShape)));
  push(l, l.ir().CreateBinOp(kOp, x, lanes));
}

template <Shape kShape>
void splat(L& l, const Instr&) {
  V x = l.pop();
  if (!kShape.is_float) x = l.ir().CreateTrunc(x, lane_type(l, kShape));
  push(l, l.ir().CreateVectorSplat(kShape.lanes, x));
}
template <Shape kShape, bool kSigned>
void extract_lane(L& l, const Instr& i) {
  V x = l.ir().CreateExtractElement(pop(l, kShape), u64{i.lane});
  if (kShape.bits < 32)
    x = kSigned ? l.ir().CreateSExt(x, l.unit().i32()) : l.ir().CreateZExt(x, l.unit().i32());
  l.push(x);
}
template <Shape kShape>
void replace_lane(L& l, const Instr& i) {
  V x = l.pop();
  if (!kShape.is_float) x = l.ir().CreateTrunc(x, lane_type(l, kShape));
  push(l, l.ir().CreateInsertElement(pop(l, kShape), x, u64{i.lane}));
}

template <Shape kShape>
void all_true(L& l, const Instr&) {
  V zero_lanes = l.ir().CreateIsNull(pop(l, kShape));
  l.push(l.ir().CreateZExt(l.ir().CreateNot(l.ir().CreateOrReduce(zero_lanes)), l.unit().i32()));
}
template <Shape kShape>
void bitmask(L& l, const Instr&) {
  V x = pop(l, kShape);
  V negative = l.ir().CreateICmpSLT(x, llvm::Constant::getNullValue(x->getType()));
  l.push(l.ir().CreateZExt(l.ir().CreateBitCast(negative, l.ir().getIntNTy(kShape.lanes)), l.unit().i32()));
}

// Lanes of half a vector (first: 0 low, lanes/2 high), or every second one.
V select_lanes(L& l, V x, Shape s, u32 first, u32 step) {
  std::vector<int> mask;
  for (u32 k = 0; k < s.lanes / 2; ++k) mask.push_back(static_cast<int>(first + k * step));
  return l.ir().CreateShuffleVector(x, mask);
}
V extend(L& l, V x, Shape to, bool is_signed) {
  return is_signed ? l.ir().CreateSExt(x, vector_type(l, to)) : l.ir().CreateZExt(x, vector_type(l, to));
}
template <Shape kFrom, bool kHigh, bool kSigned>
void extend_half(L& l, const Instr&) {
  V half = select_lanes(l, pop(l, kFrom), kFrom, kHigh ? kFrom.lanes / 2 : 0, 1);
  push(l, extend(l, half, wider(kFrom), kSigned));
}
template <Shape kFrom, bool kHigh, bool kSigned>
void extended_multiply(L& l, const Instr&) {
  V y = pop(l, kFrom), x = pop(l, kFrom);
  auto half = [&](V v) {
    return extend(l, select_lanes(l, v, kFrom, kHigh ? kFrom.lanes / 2 : 0, 1), wider(kFrom), kSigned);
  };
  push(l, l.ir().CreateMul(half(x), half(y)));
}
V add_pairs(L& l, V x, Shape s) {
  return l.ir().CreateAdd(select_lanes(l, x, s, 0, 2), select_lanes(l, x, s, 1, 2));
}
template <Shape kFrom, bool kSigned>
void add_pairwise(L& l, const Instr&) {
  V x = pop(l, kFrom);
  V even = extend(l, select_lanes(l, x, kFrom, 0, 2), wider(kFrom), kSigned);
  V odd = extend(l, select_lanes(l, x, kFrom, 1, 2), wider(kFrom), kSigned);
  push(l, l.ir().CreateAdd(even, odd));
}

// Lanes of x then y, clamped to half their width. The input is signed in both forms.
template <Shape kFrom, bool kSigned>
void narrow(L& l, const Instr&) {
  V y = pop(l, kFrom), x = pop(l, kFrom);
  std::vector<int> all;
  for (u32 k = 0; k < 2 * kFrom.lanes; ++k) all.push_back(static_cast<int>(k));
  V both = l.ir().CreateShuffleVector(x, y, all);
  const u32 bits = kFrom.bits / 2;
  const i64 low = kSigned ? -(i64{1} << (bits - 1)) : 0;
  const i64 high = kSigned ? (i64{1} << (bits - 1)) - 1 : (i64{1} << bits) - 1;
  auto limit = [&](i64 v) { return llvm::ConstantInt::getSigned(both->getType(), v); };
  both = l.ir().CreateBinaryIntrinsic(in::smax, both, limit(low));
  both = l.ir().CreateBinaryIntrinsic(in::smin, both, limit(high));
  push(l, l.ir().CreateTrunc(both, vector_type(l, {kFrom.lanes * 2, bits})));
}

// (x + y + 1) / 2 without overflow.
template <Shape kShape>
void average(L& l, const Instr&) {
  V y = pop(l, kShape), x = pop(l, kShape);
  auto* wide = llvm::FixedVectorType::get(l.ir().getIntNTy(kShape.bits * 2), kShape.lanes);
  V sum = l.ir().CreateAdd(l.ir().CreateZExt(x, wide), l.ir().CreateZExt(y, wide));
  sum = l.ir().CreateAdd(sum, llvm::ConstantInt::get(wide, 1));
  push(l, l.ir().CreateTrunc(l.ir().CreateLShr(sum, 1), x->getType()));
}

// (x · y + 2^14) / 2^15, saturated: only −1 · −1 is too large.
void q15_multiply(L& l, const Instr&) {
  V y = pop(l, i16x8), x = pop(l, i16x8);
  auto* wide = llvm::FixedVectorType::get(l.unit().i32(), 8);
  V product = l.ir().CreateMul(l.ir().CreateSExt(x, wide), l.ir().CreateSExt(y, wide));
  product = l.ir().CreateAShr(l.ir().CreateAdd(product, llvm::ConstantInt::get(wide, 0x4000)), 15);
  product = l.ir().CreateBinaryIntrinsic(in::smin, product, llvm::ConstantInt::get(wide, 0x7fff));
  push(l, l.ir().CreateTrunc(product, vector_type(l, i16x8)));
}

// Products of neighbours, added.
V dot(L& l, V x, V y, Shape from, Shape to) {
  auto* wide = llvm::FixedVectorType::get(l.ir().getIntNTy(to.bits), from.lanes);
  V product = l.ir().CreateMul(l.ir().CreateSExt(x, wide), l.ir().CreateSExt(y, wide));
  return add_pairs(l, product, {from.lanes, to.bits});
}
void dot_i16x8(L& l, const Instr&) {
  V y = pop(l, i16x8), x = pop(l, i16x8);
  push(l, dot(l, x, y, i16x8, i32x4));
}
template <bool kAccumulate>
void relaxed_dot(L& l, const Instr&) {
  V sum = kAccumulate ? pop(l, i32x4) : nullptr;
  V y = pop(l, i8x16), x = pop(l, i8x16);
  V pairs = dot(l, x, y, i8x16, i16x8);
  if (!kAccumulate) return push(l, pairs);
  V even = extend(l, select_lanes(l, pairs, i16x8, 0, 2), i32x4, true);
  V odd = extend(l, select_lanes(l, pairs, i16x8, 1, 2), i32x4, true);
  push(l, l.ir().CreateAdd(l.ir().CreateAdd(even, odd), sum));
}

void shuffle(L& l, const Instr& i) {
  V y = pop(l, i8x16), x = pop(l, i8x16);
  std::vector<int> mask(i.v128.begin(), i.v128.end());
  push(l, l.ir().CreateShuffleVector(x, y, mask));
}

// pshufb takes the low four bits and gives 0 where the highest bit is set: indices past 15 are raised to have
// it.
void swizzle(L& l, const Instr&) {
  V indices = pop(l, i8x16), x = pop(l, i8x16);
  indices = l.ir().CreateBinaryIntrinsic(in::uadd_sat, indices, splat_constant(l, i8x16, 0x70));
  push(l, l.ir().CreateIntrinsic(in::x86_ssse3_pshuf_b_128, {}, {x, indices}));
}

void bitselect(L& l, const Instr&) {
  V mask = l.pop(), y = l.pop(), x = l.pop();
  l.push(l.ir().CreateOr(l.ir().CreateAnd(x, mask), l.ir().CreateAnd(y, l.ir().CreateNot(mask))));
}

// Relaxed instructions do what the processor does in one instruction, as those of engine/sem do. (For the
// deterministic profile they are replaced before they come here.)

void relaxed_swizzle(L& l, const Instr&) {
  V indices = pop(l, i8x16), x = pop(l, i8x16);
  push(l, l.ir().CreateIntrinsic(in::x86_ssse3_pshuf_b_128, {}, {x, indices}));
}
// By the highest bit of each lane of the mask. (For 16-bit lanes, of each byte: there is no other blend.)
template <Shape kShape>
void relaxed_laneselect(L& l, const Instr&) {
  V mask = pop(l, kShape), y = pop(l, kShape), x = pop(l, kShape);
  V high = l.ir().CreateICmpSLT(mask, llvm::Constant::getNullValue(mask->getType()));
  push(l, l.ir().CreateSelect(high, x, y));
}
void relaxed_q15_multiply(L& l, const Instr&) {
  V y = pop(l, i16x8), x = pop(l, i16x8);
  push(l, l.ir().CreateIntrinsic(in::x86_ssse3_pmul_hr_sw_128, {}, {x, y}));
}
constexpr auto relaxed_min = [](L& l, V x, V y) {
  return l.ir().CreateSelect(l.ir().CreateFCmpOLT(x, y), x, y);
};
constexpr auto relaxed_max = [](L& l, V x, V y) {
  return l.ir().CreateSelect(l.ir().CreateFCmpOGT(x, y), x, y);
};
constexpr auto relaxed_truncate = [](L& l, V x) {
  return l.ir().CreateIntrinsic(in::x86_sse2_cvttps2dq, {}, {x});
};
constexpr auto relaxed_truncate_f64 = [](L& l, V x) {
  return l.ir().CreateIntrinsic(in::x86_sse2_cvttpd2dq, {}, {x});
};

// Two lanes of a vector in the low half, zeros above.
V with_zero_half(L& l, V half) {
  auto* type = llvm::cast<llvm::FixedVectorType>(half->getType());
  std::vector<int> mask;
  for (u32 k = 0; k < 2 * type->getNumElements(); ++k) mask.push_back(static_cast<int>(k));
  return l.ir().CreateShuffleVector(half, llvm::Constant::getNullValue(type), mask);
}
template <bool kSigned>
constexpr auto truncate_sat = [](L& l, V x) {
  auto* from = llvm::cast<llvm::FixedVectorType>(x->getType());
  auto* to = llvm::FixedVectorType::get(l.unit().i32(), from->getNumElements());
  V v = l.ir().CreateIntrinsic(kSigned ? in::fptosi_sat : in::fptoui_sat, {to, from}, {x});
  return from->getNumElements() == 2 ? with_zero_half(l, v) : v;
};
template <B::CastOps kCast, Shape kTo>
constexpr auto cast = [](L& l, V x) { return l.ir().CreateCast(kCast, x, vector_type(l, kTo)); };
template <B::CastOps kCast, Shape kFrom>
void convert_low(L& l, const Instr&) {
  V low = select_lanes(l, float_view(l, l.pop(), kFrom), kFrom, 0, 1);
  push(l, l.ir().CreateCast(kCast, low, vector_type(l, f64x2)));
}
constexpr auto demote = [](L& l, V x) {
  V half = l.ir().CreateFPTrunc(opaque_float(l.ir(), x), llvm::FixedVectorType::get(l.ir().getFloatTy(), 2));
  return with_zero_half(l, half);
};

// Fused where the processor that runs it can: code for others asks at run time. In the deterministic profile rounded
// twice.
template <Shape kShape, bool kNegate>
void relaxed_madd(L& l, const Instr& i) {
  V z = float_view(l, l.pop(), kShape), y = float_view(l, l.pop(), kShape),
    x = float_view(l, l.pop(), kShape);
  auto& b = l.ir();
  const bool twice = l.plan().options.deterministic_simd;
  if (twice || l.plan().has_fma) {
    if (kNegate) x = b.CreateFNeg(x);
    return push(l, twice ? b.CreateFAdd(b.CreateFMul(x, y), z)
                         : b.CreateIntrinsic(in::fma, {x->getType()}, {x, y, z}));
  }
  V slots = l.slot_buffer(6);
  const V operands[] = {x, y, z};
  for (u64 k = 0; k < 3; ++k)
    b.CreateAlignedStore(operands[k], l.unit().offset(b, slots, k * 2 * sizeof(Slot)), llvm::Align(8));
  l.call_helper(Helper::relaxed_madd, {slots, l.i32(static_cast<u32>(i.op))});
  push(l, b.CreateAlignedLoad(x->getType(), slots, llvm::Align(8)));
}

// Loads.
template <Shape kFrom, bool kSigned>
void load_extend(L& l, const Instr& i) {
  V half = l.load(i, llvm::FixedVectorType::get(lane_type(l, kFrom), kFrom.lanes / 2));
  V v = extend(l, half, wider(kFrom), kSigned);
  l.barrier(v);
  push(l, v);
}
template <Shape kShape>
void load_splat(L& l, const Instr& i) {
  V x = l.load(i, lane_type(l, kShape));
  V v = l.ir().CreateVectorSplat(kShape.lanes, x);
  l.barrier(v);
  push(l, v);
}
template <Shape kShape>
void load_zero(L& l, const Instr& i) {
  V x = l.load(i, lane_type(l, kShape));
  V v = l.ir().CreateInsertElement(llvm::Constant::getNullValue(vector_type(l, kShape)), x, u64{0});
  l.barrier(v);
  push(l, v);
}
template <Shape kShape>
void load_lane(L& l, const Instr& i) {
  V vector = pop(l, kShape);
  V x = l.load(i, lane_type(l, kShape));
  V v = l.ir().CreateInsertElement(vector, x, u64{i.lane});
  l.barrier(v);
  push(l, v);
}
template <Shape kShape>
void store_lane(L& l, const Instr& i) {
  V vector = pop(l, kShape);
  V index = l.pop();
  l.store(i, l.ir().CreateExtractElement(vector, u64{i.lane}), index);
}

void lower_const(L& l, const Instr& i) {
  u64 halves[2];
  std::memcpy(halves, i.v128.data(), sizeof halves);
  l.push(llvm::ConstantDataVector::get(l.unit().context(), llvm::ArrayRef<u64>(halves)));
}

#define COMPARE_ROWS(s)                                                                             \
  {Op::s##_eq, binary<s, compare<P::ICMP_EQ, s>>}, {Op::s##_ne, binary<s, compare<P::ICMP_NE, s>>}, \
      {Op::s##_lt_s, binary<s, compare<P::ICMP_SLT, s>>},                                           \
      {Op::s##_gt_s, binary<s, compare<P::ICMP_SGT, s>>},                                           \
      {Op::s##_le_s, binary<s, compare<P::ICMP_SLE, s>>}, {                                         \
    Op::s##_ge_s, binary<s, compare<P::ICMP_SGE, s>>                                                \
  }

#define UNSIGNED_COMPARE_ROWS(s)                                                                          \
  {Op::s##_lt_u, binary<s, compare<P::ICMP_ULT, s>>}, {Op::s##_gt_u, binary<s, compare<P::ICMP_UGT, s>>}, \
      {Op::s##_le_u, binary<s, compare<P::ICMP_ULE, s>>}, {                                               \
    Op::s##_ge_u, binary<s, compare<P::ICMP_UGE, s>>                                                      \
  }

#define INT_ROWS(s)                                                                                        \
  COMPARE_ROWS(s), {Op::s##_splat, splat<s>}, {Op::s##_replace_lane, replace_lane<s>},                     \
      {Op::s##_abs, unary<s, absolute>}, {Op::s##_neg, unary<s, negate>}, {Op::s##_all_true, all_true<s>}, \
      {Op::s##_bitmask, bitmask<s>}, {Op::s##_shl, shift<s, B::Shl>}, {Op::s##_shr_s, shift<s, B::AShr>},  \
      {Op::s##_shr_u, shift<s, B::LShr>}, {Op::s##_add, binary<s, arith<B::Add>>}, {                       \
    Op::s##_sub, binary<s, arith<B::Sub>>                                                                  \
  }

#define MIN_MAX_ROWS(s)                                                                               \
  {Op::s##_min_s, binary<s, intrinsic2<in::smin>>}, {Op::s##_min_u, binary<s, intrinsic2<in::umin>>}, \
      {Op::s##_max_s, binary<s, intrinsic2<in::smax>>}, {                                             \
    Op::s##_max_u, binary<s, intrinsic2<in::umax>>                                                    \
  }

#define SMALL_ROWS(s)                                                                                \
  {Op::s##_extract_lane_s, extract_lane<s, true>}, {Op::s##_extract_lane_u, extract_lane<s, false>}, \
      {Op::s##_add_sat_s, binary<s, intrinsic2<in::sadd_sat>>},                                      \
      {Op::s##_add_sat_u, binary<s, intrinsic2<in::uadd_sat>>},                                      \
      {Op::s##_sub_sat_s, binary<s, intrinsic2<in::ssub_sat>>},                                      \
      {Op::s##_sub_sat_u, binary<s, intrinsic2<in::usub_sat>>}, {                                    \
    Op::s##_avgr_u, average<s>                                                                       \
  }

#define WIDEN_ROWS(to, from)                                                     \
  {Op::to##_extend_low_##from##_s, extend_half<from, false, true>},              \
      {Op::to##_extend_high_##from##_s, extend_half<from, true, true>},          \
      {Op::to##_extend_low_##from##_u, extend_half<from, false, false>},         \
      {Op::to##_extend_high_##from##_u, extend_half<from, true, false>},         \
      {Op::to##_extmul_low_##from##_s, extended_multiply<from, false, true>},    \
      {Op::to##_extmul_high_##from##_s, extended_multiply<from, true, true>},    \
      {Op::to##_extmul_low_##from##_u, extended_multiply<from, false, false>}, { \
    Op::to##_extmul_high_##from##_u, extended_multiply<from, true, false>        \
  }

#define FLOAT_ROWS(s)                                                                                       \
  {Op::s##_eq, binary<s, compare<P::FCMP_OEQ, as_int(s)>>},                                                 \
      {Op::s##_ne, binary<s, compare<P::FCMP_UNE, as_int(s)>>},                                             \
      {Op::s##_lt, binary<s, compare<P::FCMP_OLT, as_int(s)>>},                                             \
      {Op::s##_gt, binary<s, compare<P::FCMP_OGT, as_int(s)>>},                                             \
      {Op::s##_le, binary<s, compare<P::FCMP_OLE, as_int(s)>>},                                             \
      {Op::s##_ge, binary<s, compare<P::FCMP_OGE, as_int(s)>>}, {Op::s##_splat, splat<s>},                  \
      {Op::s##_extract_lane, extract_lane<s, false>}, {Op::s##_replace_lane, replace_lane<s>},              \
      {Op::s##_abs, unary<s, intrinsic<in::fabs>>}, {Op::s##_neg, unary<s, float_negate>},                  \
      {Op::s##_ceil, unary<s, intrinsic<in::ceil>>}, {Op::s##_floor, unary<s, intrinsic<in::floor>>},       \
      {Op::s##_trunc, unary<s, intrinsic<in::trunc>>},                                                      \
      {Op::s##_nearest, unary<s, intrinsic<in::roundeven>>}, {Op::s##_sqrt, unary<s, intrinsic<in::sqrt>>}, \
      {Op::s##_add, binary<s, arith<B::FAdd>>}, {Op::s##_sub, binary<s, arith<B::FSub>>},                   \
      {Op::s##_mul, binary<s, arith<B::FMul>>}, {Op::s##_div, binary<s, arith<B::FDiv>>},                   \
      {Op::s##_min, binary<s, min_max<in::minimum>>}, {Op::s##_max, binary<s, min_max<in::maximum>>},       \
      {Op::s##_pmin, binary<s, pmin>}, {Op::s##_pmax, binary<s, pmax>},                                     \
      {Op::s##_relaxed_min, binary<s, relaxed_min>}, {Op::s##_relaxed_max, binary<s, relaxed_max>},         \
      {Op::s##_relaxed_madd, relaxed_madd<s, false>}, {                                                     \
    Op::s##_relaxed_nmadd, relaxed_madd<s, true>                                                            \
  }

constexpr Row kRows[] = {
    {Op::v128_load8x8_s, load_extend<i8x16, true>},
    {Op::v128_load8x8_u, load_extend<i8x16, false>},
    {Op::v128_load16x4_s, load_extend<i16x8, true>},
    {Op::v128_load16x4_u, load_extend<i16x8, false>},
    {Op::v128_load32x2_s, load_extend<i32x4, true>},
    {Op::v128_load32x2_u, load_extend<i32x4, false>},
    {Op::v128_load8_splat, load_splat<i8x16>},
    {Op::v128_load16_splat, load_splat<i16x8>},
    {Op::v128_load32_splat, load_splat<i32x4>},
    {Op::v128_load64_splat, load_splat<i64x2>},
    {Op::v128_load32_zero, load_zero<i32x4>},
    {Op::v128_load64_zero, load_zero<i64x2>},
    {Op::v128_load8_lane, load_lane<i8x16>},
    {Op::v128_load16_lane, load_lane<i16x8>},
    {Op::v128_load32_lane, load_lane<i32x4>},
    {Op::v128_load64_lane, load_lane<i64x2>},
    {Op::v128_store8_lane, store_lane<i8x16>},
    {Op::v128_store16_lane, store_lane<i16x8>},
    {Op::v128_store32_lane, store_lane<i32x4>},
    {Op::v128_store64_lane, store_lane<i64x2>},
    {Op::v128_const, lower_const},
    {Op::i8x16_shuffle, shuffle},
    {Op::i8x16_swizzle, swizzle},
    {Op::i8x16_relaxed_swizzle, relaxed_swizzle},
    {Op::v128_not, unary<i64x2, [](L& l, V x) { return l.ir().CreateNot(x); }>},
    {Op::v128_and, binary<i64x2, arith<B::And>>},
    {Op::v128_andnot, binary<i64x2, [](L& l, V x, V y) { return l.ir().CreateAnd(x, l.ir().CreateNot(y)); }>},
    {Op::v128_or, binary<i64x2, arith<B::Or>>},
    {Op::v128_xor, binary<i64x2, arith<B::Xor>>},
    {Op::v128_bitselect, bitselect},
    {Op::i8x16_relaxed_laneselect, relaxed_laneselect<i8x16>},
    {Op::i16x8_relaxed_laneselect, relaxed_laneselect<i8x16>},
    {Op::i32x4_relaxed_laneselect, relaxed_laneselect<i32x4>},
    {Op::i64x2_relaxed_laneselect, relaxed_laneselect<i64x2>},
    {Op::v128_any_true,
     [](L& l, const Instr&) {
       V x = l.ir().CreateBitCast(l.pop(), l.ir().getInt128Ty());
       l.push(l.ir().CreateZExt(l.ir().CreateIsNotNull(x), l.unit().i32()));
     }},
    INT_ROWS(i8x16),
    INT_ROWS(i16x8),
    INT_ROWS(i32x4),
    INT_ROWS(i64x2),
    UNSIGNED_COMPARE_ROWS(i8x16),
    UNSIGNED_COMPARE_ROWS(i16x8),
    UNSIGNED_COMPARE_ROWS(i32x4),
    MIN_MAX_ROWS(i8x16),
    MIN_MAX_ROWS(i16x8),
    MIN_MAX_ROWS(i32x4),
    SMALL_ROWS(i8x16),
    SMALL_ROWS(i16x8),
    WIDEN_ROWS(i16x8, i8x16),
    WIDEN_ROWS(i32x4, i16x8),
    WIDEN_ROWS(i64x2, i32x4),
    FLOAT_ROWS(f32x4),
    FLOAT_ROWS(f64x2),
    {Op::i8x16_popcnt, unary<i8x16, intrinsic<in::ctpop>>},
    {Op::i32x4_extract_lane, extract_lane<i32x4, false>},
    {Op::i64x2_extract_lane, extract_lane<i64x2, false>},
    {Op::i16x8_mul, binary<i16x8, arith<B::Mul>>},
    {Op::i32x4_mul, binary<i32x4, arith<B::Mul>>},
    {Op::i64x2_mul, binary<i64x2, arith<B::Mul>>},
    {Op::i8x16_narrow_i16x8_s, narrow<i16x8, true>},
    {Op::i8x16_narrow_i16x8_u, narrow<i16x8, false>},
    {Op::i16x8_narrow_i32x4_s, narrow<i32x4, true>},
    {Op::i16x8_narrow_i32x4_u, narrow<i32x4, false>},
    {Op::i16x8_extadd_pairwise_i8x16_s, add_pairwise<i8x16, true>},
    {Op::i16x8_extadd_pairwise_i8x16_u, add_pairwise<i8x16, false>},
    {Op::i32x4_extadd_pairwise_i16x8_s, add_pairwise<i16x8, true>},
    {Op::i32x4_extadd_pairwise_i16x8_u, add_pairwise<i16x8, false>},
    {Op::i16x8_q15mulr_sat_s, q15_multiply},
    {Op::i16x8_relaxed_q15mulr_s, relaxed_q15_multiply},
    {Op::i32x4_dot_i16x8_s, dot_i16x8},
    {Op::i16x8_relaxed_dot_i8x16_i7x16_s, relaxed_dot<false>},
    {Op::i32x4_relaxed_dot_i8x16_i7x16_add_s, relaxed_dot<true>},
    {Op::i32x4_trunc_sat_f32x4_s, unary<f32x4, truncate_sat<true>>},
    {Op::i32x4_trunc_sat_f32x4_u, unary<f32x4, truncate_sat<false>>},
    {Op::i32x4_trunc_sat_f64x2_s_zero, unary<f64x2, truncate_sat<true>>},
    {Op::i32x4_trunc_sat_f64x2_u_zero, unary<f64x2, truncate_sat<false>>},
    {Op::i32x4_relaxed_trunc_f32x4_s, unary<f32x4, relaxed_truncate>},
    {Op::i32x4_relaxed_trunc_f32x4_u, unary<f32x4, truncate_sat<false>>},
    {Op::i32x4_relaxed_trunc_f64x2_s_zero, unary<f64x2, relaxed_truncate_f64>},
    {Op::i32x4_relaxed_trunc_f64x2_u_zero, unary<f64x2, truncate_sat<false>>},
    {Op::f32x4_convert_i32x4_s, unary<i32x4, cast<B::SIToFP, f32x4>>},
    {Op::f32x4_convert_i32x4_u, unary<i32x4, cast<B::UIToFP, f32x4>>},
    {Op::f64x2_convert_low_i32x4_s, convert_low<B::SIToFP, i32x4>},
    {Op::f64x2_convert_low_i32x4_u, convert_low<B::UIToFP, i32x4>},
    {Op::f64x2_promote_low_f32x4, convert_low<B::FPExt, f32x4>},
    {Op::f32x4_demote_f64x2_zero, unary<f64x2, demote>},
};

}  // namespace

std::span<const Row> simd_rows() { return kRows; }

}  // namespace tenon::jit
