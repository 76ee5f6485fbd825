// Scalar numeric instructions. Floating-point ones keep the bits that Wasm fixes: results that may be NaN are
// quiet, and no rule of LLVM that ignores signalling NaNs applies.
#include <llvm/IR/InlineAsm.h>
#include <llvm/IR/Intrinsics.h>

#include "jit/lower/func_lowering.h"
#include "jit/lower/numeric.h"

namespace tenon::jit {

llvm::Value* opaque_float(llvm::IRBuilder<>& b, llvm::Value* v) {
  auto* type = llvm::FunctionType::get(v->getType(), {v->getType()}, false);
  auto* call = b.CreateCall(llvm::InlineAsm::get(type, "", "=x,0", false), {v});
  call->setDoesNotThrow();
  call->setMemoryEffects(llvm::MemoryEffects::none());
  return call;
}

// The NaN is opaque: LLVM takes one NaN for as good as another.
llvm::Value* canonical_nans(llvm::IRBuilder<>& b, llvm::Value* v, NanResult shape) {
  llvm::Type* type = v->getType();
  llvm::Type* view = type;
  if (shape == NanResult::f32x4) view = llvm::FixedVectorType::get(b.getFloatTy(), 4);
  if (shape == NanResult::f64x2) view = llvm::FixedVectorType::get(b.getDoubleTy(), 2);
  llvm::Value* x = b.CreateBitCast(v, view);
  llvm::Value* nan = opaque_float(b, llvm::ConstantFP::getNaN(view));
  return b.CreateBitCast(b.CreateSelect(b.CreateFCmpUNO(x, x), nan, x), type);
}

llvm::Value* float_min_max(llvm::IRBuilder<>& b, llvm::Intrinsic::ID which, llvm::Value* x, llvm::Value* y) {
  llvm::Value* is_nan = b.CreateFCmpUNO(x, y);
  llvm::Value* quiet = b.CreateFAdd(x, y);
  llvm::FastMathFlags flags;
  flags.setNoNaNs();
  auto* ordered = b.CreateBinaryIntrinsic(which, x, y, llvm::FMFSource(flags));
  return b.CreateSelect(is_nan, quiet, ordered);
}

namespace {

using L = FuncLowering;
using V = llvm::Value*;
using I = llvm::Intrinsic::ID;
namespace in = llvm::Intrinsic;

template <auto kMeaning>
void unary(L& l, const Instr&) {
  V x = l.pop();
  l.push(kMeaning(l, x));
}
template <auto kMeaning>
void binary(L& l, const Instr&) {
  V y = l.pop();
  V x = l.pop();
  l.push(kMeaning(l, x, y));
}

template <llvm::Instruction::BinaryOps kOp>
constexpr auto arith = [](L& l, V x, V y) { return l.ir().CreateBinOp(kOp, x, y); };
template <llvm::CmpInst::Predicate kPredicate>
constexpr auto compare =
    [](L& l, V x, V y) { return l.ir().CreateZExt(l.ir().CreateCmp(kPredicate, x, y), l.unit().i32()); };
constexpr auto eqz = [](L& l, V x) { return l.ir().CreateZExt(l.ir().CreateIsNull(x), l.unit().i32()); };

// Shift counts are taken modulo the width.
template <llvm::Instruction::BinaryOps kOp>
constexpr auto shift = [](L& l, V x, V y) {
  V mask = llvm::ConstantInt::get(x->getType(), x->getType()->getIntegerBitWidth() - 1);
  return l.ir().CreateBinOp(kOp, x, l.ir().CreateAnd(y, mask));
};
template <I kFunnel>
constexpr auto rotate =
    [](L& l, V x, V y) { return l.ir().CreateIntrinsic(kFunnel, {x->getType()}, {x, x, y}); };
template <I kCount>
constexpr auto count_zeros =
    [](L& l, V x) { return l.ir().CreateBinaryIntrinsic(kCount, x, l.ir().getFalse()); };
template <I kIntrinsic>
constexpr auto intrinsic = [](L& l, V x) { return l.ir().CreateUnaryIntrinsic(kIntrinsic, x); };
template <I kIntrinsic>
constexpr auto intrinsic2 = [](L& l, V x, V y) { return l.ir().CreateBinaryIntrinsic(kIntrinsic, x, y); };
template <I kIntrinsic>
constexpr auto min_max = [](L& l, V x, V y) { return float_min_max(l.ir(), kIntrinsic, x, y); };

template <bool kSigned, bool kRemainder>
constexpr auto divide = [](L& l, V x, V y) -> V {
  auto& b = l.ir();
  l.trap_if(b.CreateIsNull(y), TrapCode::integer_divide_by_zero);
  if (!kSigned) return kRemainder ? b.CreateURem(x, y) : b.CreateUDiv(x, y);
  V minus_one = llvm::Constant::getAllOnesValue(y->getType());
  if (kRemainder)  // x rem -1 is 0, and overflows as a machine instruction
    return b.CreateSRem(
        x, b.CreateSelect(b.CreateICmpEQ(y, minus_one), llvm::ConstantInt::get(y->getType(), 1), y));
  const u32 bits = x->getType()->getIntegerBitWidth();
  V smallest = llvm::ConstantInt::get(x->getType(), llvm::APInt::getSignedMinValue(bits));
  l.trap_if(b.CreateAnd(b.CreateICmpEQ(x, smallest), b.CreateICmpEQ(y, minus_one)),
            TrapCode::integer_overflow);
  return b.CreateSDiv(x, y);
};

template <u32 kFrom>
constexpr auto sign_extend =
    [](L& l, V x) { return l.ir().CreateSExt(l.ir().CreateTrunc(x, l.ir().getIntNTy(kFrom)), x->getType()); };
template <llvm::Instruction::CastOps kCast, ValKind kTo>
constexpr auto cast = [](L& l, V x) { return l.ir().CreateCast(kCast, x, l.type(kTo)); };

// Saturating: NaN gives 0, as llvm.fpto*i.sat do.
template <bool kSigned, ValKind kTo>
constexpr auto truncate_sat = [](L& l, V x) {
  return l.ir().CreateIntrinsic(kSigned ? in::fptosi_sat : in::fptoui_sat, {l.type(kTo), x->getType()}, {x});
};

// Trapping: the integer part must lie in the target's range. The limits are the neighbours outside, exact in
// the source type where possible: below is the largest value that truncates to something too small.
template <bool kSigned, ValKind kTo>
constexpr auto truncate = [](L& l, V x) -> V {
  auto& b = l.ir();
  const bool from_f32 = x->getType()->isFloatTy();
  const int bits = kTo == ValKind::i32 ? 32 : 64;
  const double above = kSigned ? std::ldexp(1.0, bits - 1) : std::ldexp(1.0, bits);
  double below = kSigned ? -above : -1.0;
  bool below_is_legal = false;  // −2^(bits−1) − 1 is no value of the type: its successor is the limit
  if (kSigned) {
    if (bits == 32 && !from_f32)
      below -= 1.0;
    else
      below_is_legal = true;
  }
  V low = llvm::ConstantFP::get(x->getType(), below);
  V high = llvm::ConstantFP::get(x->getType(), above);
  l.trap_if(b.CreateFCmpUNO(x, x), TrapCode::invalid_conversion);
  V too_small = below_is_legal ? b.CreateFCmpULT(x, low) : b.CreateFCmpULE(x, low);
  l.trap_if(b.CreateOr(too_small, b.CreateFCmpUGE(x, high)), TrapCode::integer_overflow);
  return kSigned ? b.CreateFPToSI(x, l.type(kTo)) : b.CreateFPToUI(x, l.type(kTo));
};

// demote(promote(x)) quiets a signalling NaN; LLVM would fold it to x.
constexpr auto demote = [](L& l, V x) {
  return l.ir().CreateFPTrunc(opaque_float(l.ir(), x), l.ir().getFloatTy());
};

V join128(L& l, V low, V high) {
  llvm::Type* wide = l.ir().getInt128Ty();
  V h = l.ir().CreateShl(l.ir().CreateZExt(high, wide), llvm::ConstantInt::get(wide, 64));
  return l.ir().CreateOr(h, l.ir().CreateZExt(low, wide));
}
void push128(L& l, V v) {
  l.push(l.ir().CreateTrunc(v, l.unit().i64()));
  l.push(l.ir().CreateTrunc(l.ir().CreateLShr(v, 64), l.unit().i64()));
}
template <llvm::Instruction::BinaryOps kOp>
void wide_arith(L& l, const Instr&) {
  auto a = l.pop_n(4);
  push128(l, l.ir().CreateBinOp(kOp, join128(l, a[0], a[1]), join128(l, a[2], a[3])));
}
template <bool kSigned>
void wide_mul(L& l, const Instr&) {
  auto a = l.pop_n(2);
  llvm::Type* wide = l.ir().getInt128Ty();
  for (V& v : a) v = kSigned ? l.ir().CreateSExt(v, wide) : l.ir().CreateZExt(v, wide);
  push128(l, l.ir().CreateMul(a[0], a[1]));
}

using B = llvm::Instruction;
using P = llvm::CmpInst;

#define INT_ROWS(t)                                                                                       \
  {Op::t##_eqz, unary<eqz>}, {Op::t##_eq, binary<compare<P::ICMP_EQ>>},                                   \
      {Op::t##_ne, binary<compare<P::ICMP_NE>>}, {Op::t##_lt_s, binary<compare<P::ICMP_SLT>>},            \
      {Op::t##_lt_u, binary<compare<P::ICMP_ULT>>}, {Op::t##_gt_s, binary<compare<P::ICMP_SGT>>},         \
      {Op::t##_gt_u, binary<compare<P::ICMP_UGT>>}, {Op::t##_le_s, binary<compare<P::ICMP_SLE>>},         \
      {Op::t##_le_u, binary<compare<P::ICMP_ULE>>}, {Op::t##_ge_s, binary<compare<P::ICMP_SGE>>},         \
      {Op::t##_ge_u, binary<compare<P::ICMP_UGE>>}, {Op::t##_clz, unary<count_zeros<in::ctlz>>},          \
      {Op::t##_ctz, unary<count_zeros<in::cttz>>}, {Op::t##_popcnt, unary<intrinsic<in::ctpop>>},         \
      {Op::t##_add, binary<arith<B::Add>>}, {Op::t##_sub, binary<arith<B::Sub>>},                         \
      {Op::t##_mul, binary<arith<B::Mul>>}, {Op::t##_div_s, binary<divide<true, false>>},                 \
      {Op::t##_div_u, binary<divide<false, false>>}, {Op::t##_rem_s, binary<divide<true, true>>},         \
      {Op::t##_rem_u, binary<divide<false, true>>}, {Op::t##_and, binary<arith<B::And>>},                 \
      {Op::t##_or, binary<arith<B::Or>>}, {Op::t##_xor, binary<arith<B::Xor>>},                           \
      {Op::t##_shl, binary<shift<B::Shl>>}, {Op::t##_shr_s, binary<shift<B::AShr>>},                      \
      {Op::t##_shr_u, binary<shift<B::LShr>>}, {Op::t##_rotl, binary<rotate<in::fshl>>},                  \
      {Op::t##_rotr, binary<rotate<in::fshr>>}, {Op::t##_trunc_f32_s, unary<truncate<true, ValKind::t>>}, \
      {Op::t##_trunc_f32_u, unary<truncate<false, ValKind::t>>},                                          \
      {Op::t##_trunc_f64_s, unary<truncate<true, ValKind::t>>},                                           \
      {Op::t##_trunc_f64_u, unary<truncate<false, ValKind::t>>},                                          \
      {Op::t##_trunc_sat_f32_s, unary<truncate_sat<true, ValKind::t>>},                                   \
      {Op::t##_trunc_sat_f32_u, unary<truncate_sat<false, ValKind::t>>},                                  \
      {Op::t##_trunc_sat_f64_s, unary<truncate_sat<true, ValKind::t>>}, {                                 \
    Op::t##_trunc_sat_f64_u, unary<truncate_sat<false, ValKind::t>>                                       \
  }

#define FLOAT_ROWS(t)                                                                                    \
  {Op::t##_eq, binary<compare<P::FCMP_OEQ>>}, {Op::t##_ne, binary<compare<P::FCMP_UNE>>},                \
      {Op::t##_lt, binary<compare<P::FCMP_OLT>>}, {Op::t##_gt, binary<compare<P::FCMP_OGT>>},            \
      {Op::t##_le, binary<compare<P::FCMP_OLE>>}, {Op::t##_ge, binary<compare<P::FCMP_OGE>>},            \
      {Op::t##_abs, unary<intrinsic<in::fabs>>},                                                         \
      {Op::t##_neg, unary<[](L& l, V x) { return l.ir().CreateFNeg(x); }>},                              \
      {Op::t##_ceil, unary<intrinsic<in::ceil>>}, {Op::t##_floor, unary<intrinsic<in::floor>>},          \
      {Op::t##_trunc, unary<intrinsic<in::trunc>>}, {Op::t##_nearest, unary<intrinsic<in::roundeven>>},  \
      {Op::t##_sqrt, unary<intrinsic<in::sqrt>>}, {Op::t##_add, binary<arith<B::FAdd>>},                 \
      {Op::t##_sub, binary<arith<B::FSub>>}, {Op::t##_mul, binary<arith<B::FMul>>},                      \
      {Op::t##_div, binary<arith<B::FDiv>>}, {Op::t##_min, binary<min_max<in::minimum>>},                \
      {Op::t##_max, binary<min_max<in::maximum>>}, {Op::t##_copysign, binary<intrinsic2<in::copysign>>}, \
      {Op::t##_convert_i32_s, unary<cast<B::SIToFP, ValKind::t>>},                                       \
      {Op::t##_convert_i32_u, unary<cast<B::UIToFP, ValKind::t>>},                                       \
      {Op::t##_convert_i64_s, unary<cast<B::SIToFP, ValKind::t>>}, {                                     \
    Op::t##_convert_i64_u, unary<cast<B::UIToFP, ValKind::t>>                                            \
  }

constexpr Row kRows[] = {
    INT_ROWS(i32),
    INT_ROWS(i64),
    FLOAT_ROWS(f32),
    FLOAT_ROWS(f64),
    {Op::i32_extend8_s, unary<sign_extend<8>>},
    {Op::i32_extend16_s, unary<sign_extend<16>>},
    {Op::i64_extend8_s, unary<sign_extend<8>>},
    {Op::i64_extend16_s, unary<sign_extend<16>>},
    {Op::i64_extend32_s, unary<sign_extend<32>>},
    {Op::i32_wrap_i64, unary<cast<B::Trunc, ValKind::i32>>},
    {Op::i64_extend_i32_s, unary<cast<B::SExt, ValKind::i64>>},
    {Op::i64_extend_i32_u, unary<cast<B::ZExt, ValKind::i64>>},
    {Op::f32_demote_f64, unary<demote>},
    {Op::f64_promote_f32, unary<cast<B::FPExt, ValKind::f64>>},
    {Op::i32_reinterpret_f32, unary<cast<B::BitCast, ValKind::i32>>},
    {Op::i64_reinterpret_f64, unary<cast<B::BitCast, ValKind::i64>>},
    {Op::f32_reinterpret_i32, unary<cast<B::BitCast, ValKind::f32>>},
    {Op::f64_reinterpret_i64, unary<cast<B::BitCast, ValKind::f64>>},
    {Op::i64_add128, wide_arith<B::Add>},
    {Op::i64_sub128, wide_arith<B::Sub>},
    {Op::i64_mul_wide_s, wide_mul<true>},
    {Op::i64_mul_wide_u, wide_mul<false>},
};

}  // namespace

std::span<const Row> numeric_rows() { return kRows; }

}  // namespace tenon::jit
