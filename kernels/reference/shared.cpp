// Families whose plain loops in ops/ are the oracle themselves: oneDNN and layouts are what the fast path
// adds to them.
#include "kernels/ops/families.h"

namespace tenon::kernels::reference {

KernelResult arg_reduce(const LowerContext& c) { return fast::arg_reduce(c); }
KernelResult batch_norm(const LowerContext& c) { return fast::batch_norm(c); }
KernelResult cast(const LowerContext& c) { return fast::cast(c); }
KernelResult control(const LowerContext& c) { return fast::control(c); }
KernelResult conv(const LowerContext& c) { return fast::conv(c); }
KernelResult conv_transpose(const LowerContext& c) { return fast::conv_transpose(c); }
KernelResult det(const LowerContext& c) { return fast::det(c); }
KernelResult einsum(const LowerContext& c) { return fast::einsum(c); }
KernelResult fill(const LowerContext& c) { return fast::fill(c); }
KernelResult gather(const LowerContext& c) { return fast::gather(c); }
KernelResult gemm(const LowerContext& c) { return fast::gemm(c); }
KernelResult global_pool(const LowerContext& c) { return fast::global_pool(c); }
KernelResult layer_norm(const LowerContext& c) { return fast::layer_norm(c); }
KernelResult lrn(const LowerContext& c) { return fast::lrn(c); }
KernelResult matmul(const LowerContext& c) { return fast::matmul(c); }
KernelResult optional(const LowerContext& c) { return fast::optional(c); }
KernelResult pad(const LowerContext& c) { return fast::pad(c); }
KernelResult picture(const LowerContext& c) { return fast::picture(c); }
KernelResult pool(const LowerContext& c) { return fast::pool(c); }
KernelResult random(const LowerContext& c) { return fast::random(c); }
KernelResult range(const LowerContext& c) { return fast::range(c); }
KernelResult regions(const LowerContext& c) { return fast::regions(c); }
KernelResult sampling(const LowerContext& c) { return fast::sampling(c); }
KernelResult selection(const LowerContext& c) { return fast::selection(c); }
KernelResult sequence(const LowerContext& c) { return fast::sequence(c); }
KernelResult shape_of(const LowerContext& c) { return fast::shape_of(c); }
KernelResult signal(const LowerContext& c) { return fast::signal(c); }
KernelResult suppression(const LowerContext& c) { return fast::suppression(c); }
KernelResult text(const LowerContext& c) { return fast::text(c); }
KernelResult view(const LowerContext& c) { return fast::view(c); }
KernelResult where(const LowerContext& c) { return fast::where(c); }

}  // namespace tenon::kernels::reference
