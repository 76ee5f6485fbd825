// A function of bytes as a table. Internal to kernels/.
#pragma once
#include "kernels/ops.h"

namespace tenon::kernels {

/// `count` bytes of type `from`, each replaced by the table's element for it; tables have 256 bytes, in ascending
/// order of the values that they replace.
std::unique_ptr<Kernel> make_byte_table(const Tensor& table, DataType from, std::int64_t count, int threads);

}  // namespace tenon::kernels
