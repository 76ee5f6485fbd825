// What this machine can do at most, to compare kernels with.
#pragma once

namespace tenon::kernels {

/// f32 multiply-adds of a register-only loop on `threads` threads, in GFLOP/s (two a multiply-add). Measured once
/// for each number of threads, which takes some milliseconds.
double peak_gflops(int threads);

}  // namespace tenon::kernels
