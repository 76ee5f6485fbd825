// Strided copies: rows of memcpy where the input is contiguous, tiles where it is transposed.
#include "kernels/ops/strided.h"

#include "kernels/element.h"
#include "kernels/parallel.h"

namespace tenon::kernels {
namespace {

constexpr std::int64_t kGrain = 16384;

template <class T>
void copy_row(const std::byte* from, std::int64_t at, std::int64_t stride, std::byte* to, std::int64_t n) {
  const In<T> in = In<T>{from}.at(at);
  const Out<T> out{to};
  if (stride == 1) {
    if constexpr (std::is_same_v<T, std::string>) {
      for (std::int64_t i = 0; i < n; ++i) out.set(i, in[i]);
    } else {
      std::memcpy(to, in.base, static_cast<std::size_t>(n) * sizeof(T));
    }
  } else if (stride == 0) {
    for (std::int64_t i = 0; i < n; ++i) out.set(i, in[0]);
  } else if (stride == 2) {  // known to the compiler, which then loads whole vectors
    for (std::int64_t i = 0; i < n; ++i) out.set(i, in[i * 2]);
  } else {
    for (std::int64_t i = 0; i < n; ++i) out.set(i, in[i * stride]);
  }
}

// The two innermost dims when the outer of them is contiguous in the input: both sides are touched in cache
// lines.
template <class T>
void copy_tiles(const std::byte* from, std::int64_t at, std::int64_t outer_stride, std::int64_t inner_stride,
                std::byte* to, std::int64_t outer, std::int64_t inner) {
  constexpr std::int64_t kTile = 16;
  const In<T> in = In<T>{from}.at(at);
  const Out<T> out{to};
  for (std::int64_t o = 0; o < outer; o += kTile) {
    for (std::int64_t i = 0; i < inner; i += kTile) {
      const auto o_end = std::min(outer, o + kTile), i_end = std::min(inner, i + kTile);
      for (auto oo = o; oo < o_end; ++oo) {
        for (auto ii = i; ii < i_end; ++ii)
          out.set(oo * inner + ii, in[oo * outer_stride + ii * inner_stride]);
      }
    }
  }
}

template <class T>
void run_typed(const StridedCopy& c, const std::byte* from, std::byte* to, int threads) {
  const auto rank = c.dims.size();
  const bool tiled = rank >= 2 && c.strides[rank - 2] == 1 && c.strides[rank - 1] != 1;
  const auto outer_rank = rank - (tiled ? 2 : 1);
  std::int64_t blocks = 1, block = 1;
  for (std::size_t d = 0; d < rank; ++d) (d < outer_rank ? blocks : block) *= c.dims[d];
  if (blocks == 0 || block == 0) return;
  // One large tiled block splits over its rows instead.
  if (tiled && blocks == 1) {
    const auto inner = c.dims[rank - 1];
    parallel_for(threads, c.dims[rank - 2], std::max<std::int64_t>(16, kGrain / inner),
                 [&](std::int64_t begin, std::int64_t end) {
                   copy_tiles<T>(from, c.offset + begin, 1, c.strides[rank - 1],
                                 to + begin * inner * static_cast<std::int64_t>(sizeof(T)), end - begin,
                                 inner);
                 });
    return;
  }
  parallel_for(threads, blocks, std::max<std::int64_t>(1, kGrain / block),
               [&](std::int64_t begin, std::int64_t end) {
                 std::array<std::int64_t, Dims::kMaxRank> index{};
                 auto at = c.offset;
                 auto rest = begin;
                 for (std::size_t d = outer_rank; d-- > 0;) {
                   index[d] = rest % c.dims[d];
                   rest /= c.dims[d];
                   at += index[d] * c.strides[d];
                 }
                 for (auto b = begin; b < end; ++b) {
                   auto* out = to + b * block * static_cast<std::int64_t>(sizeof(T));
                   if (tiled) {
                     copy_tiles<T>(from, at, 1, c.strides[rank - 1], out, c.dims[rank - 2], c.dims[rank - 1]);
                   } else {
                     copy_row<T>(from, at, c.strides[rank - 1], out, block);
                   }
                   for (std::size_t d = outer_rank; d-- > 0;) {
                     at += c.strides[d];
                     if (++index[d] < c.dims[d]) break;
                     at -= c.strides[d] * c.dims[d];
                     index[d] = 0;
                   }
                 }
               });
}

}  // namespace

void StridedCopy::merge() {
  Dims d, s;
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] == 1) continue;
    if (!d.empty() && s.back() == strides[i] * dims[i]) {
      d.back() *= dims[i];
      s.back() = strides[i];
    } else {
      d.push_back(dims[i]);
      s.push_back(strides[i]);
    }
  }
  if (d.empty()) {
    d.push_back(1);
    s.push_back(1);
  }
  dims = d;
  strides = s;
}

void StridedCopy::run(DataType type, const std::byte* from, std::byte* to, int threads) const {
  dispatch_moved(type, [&]<class T>() { run_typed<T>(*this, from, to, threads); });
}

}  // namespace tenon::kernels
