// Kernels that address elements by index operands, or by position: gather and scatter, one-hot, cumulative
// sums, triangles, reversal, top-k. Indices are data, so they are checked at each run, before anything moves.
#include <cmath>
#include <numeric>

#include "kernels/element.h"
#include "kernels/infer.h"
#include "kernels/ops/families.h"
#include "kernels/parallel.h"

namespace tenon::kernels {
namespace {

constexpr std::int64_t kGrain = 16384;

// Offset of the flat position `at` of `dims` under other strides.
std::int64_t offset_of(std::int64_t at, const Dims& dims, const Dims& strides) {
  std::int64_t offset = 0;
  for (std::size_t d = dims.size(); d-- > 0;) {
    offset += at % dims[d] * strides[d];
    at /= dims[d];
  }
  return offset;
}

// Indices into a dimension, negative ones counted from its end.
Result<std::vector<std::int64_t>> checked_indices(DataType type, const std::byte* data, std::int64_t count,
                                                  std::int64_t extent) {
  std::vector<std::int64_t> out(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t given = type == DataType::i64 ? In<std::int64_t>{data}[i] : In<std::int32_t>{data}[i];
    const auto at = given < 0 ? given + extent : given;
    if (at < 0 || at >= extent) {
      return fail(ErrorCode::runtime_error, "index {} is outside a dimension of {}", given, extent);
    }
    out[static_cast<std::size_t>(i)] = at;
  }
  return out;
}

// Rows of `depth` indices as offsets into the leading dims `dims`.
Result<std::vector<std::int64_t>> row_offsets(DataType type, const std::byte* data, std::int64_t rows,
                                              const Dims& dims, const Dims& strides, std::size_t first,
                                              std::size_t depth) {
  std::vector<std::int64_t> offsets(static_cast<std::size_t>(rows), 0);
  const auto size = static_cast<std::int64_t>(element_bytes(type));
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::size_t d = 0; d < depth; ++d) {
      const auto* at = data + (r * static_cast<std::int64_t>(depth) + static_cast<std::int64_t>(d)) * size;
      const auto index = TENON_TRY(checked_indices(type, at, 1, dims[first + d]));
      offsets[static_cast<std::size_t>(r)] += index[0] * strides[first + d];
    }
  }
  return offsets;
}

std::unique_ptr<Kernel> failing(std::unique_ptr<Kernel> kernel) {
  if (kernel) kernel->can_fail = true;
  return kernel;
}

template <class T>
void move(const std::byte* from, std::int64_t from_at, std::byte* to, std::int64_t to_at,
          std::int64_t count) {
  if constexpr (std::is_same_v<T, std::string>) {
    for (std::int64_t i = 0; i < count; ++i) Out<T>{to}.set(to_at + i, In<T>{from}[from_at + i]);
  } else if (count > 0) {
    constexpr auto kSize = static_cast<std::int64_t>(sizeof(T));
    std::memcpy(to + to_at * kSize, from + from_at * kSize, static_cast<std::size_t>(count * kSize));
  }
}

enum class Reduction { none, add, mul, min, max };

Result<Reduction> reduction_of(const LowerContext& c) {
  static constexpr std::string_view kNames[] = {"none", "add", "mul", "min", "max"};
  const auto& name = c.node.text("reduction");
  for (std::size_t i = 0; i < std::size(kNames); ++i) {
    if (kNames[i] == name) return static_cast<Reduction>(i);
  }
  return c.unsupported(fmt::format("reduction '{}'", name));
}

template <class T>
T reduced(Reduction how, T old, T update) {
  using C = Compute<T>;
  using W = std::conditional_t<kIsFloat<T>, C, std::uint64_t>;  // integers wrap
  const C a = old, b = update;
  switch (how) {
    case Reduction::add: return static_cast<T>(static_cast<W>(a) + static_cast<W>(b));
    case Reduction::mul: return static_cast<T>(static_cast<W>(a) * static_cast<W>(b));
    case Reduction::min: return static_cast<T>(std::min(a, b));
    case Reduction::max: return static_cast<T>(std::max(a, b));
    case Reduction::none: break;
  }
  return update;
}

// Writes or reduces `count` updates at consecutive places.
template <class T>
void update(Reduction how, const std::byte* from, std::int64_t from_at, std::byte* to, std::int64_t to_at,
            std::int64_t count) {
  if (how == Reduction::none) return move<T>(from, from_at, to, to_at, count);
  if constexpr (std::is_arithmetic_v<T> || kIsFloat<T>) {
    for (std::int64_t i = 0; i < count; ++i) {
      const Out<T> out{to};
      out.set(to_at + i, reduced<T>(how, out[to_at + i], In<T>{from}[from_at + i]));
    }
  }
}

// A kernel from f.operator()<T>() for the operand's type: by size when nothing is computed.
template <class F>
KernelResult scatter_kernel(const LowerContext& c, Reduction how, F make) {
  std::unique_ptr<Kernel> kernel;
  const auto build = [&]<class T>() { kernel = make.template operator()<T>(); };
  if (how == Reduction::none) {
    dispatch_moved(c.inputs[0].type, build);
  } else {
    dispatch(NumericTypes{}, c.inputs[0].type, build);
  }
  if (!kernel) return no_kernel(c);
  return failing(std::move(kernel));
}

}  // namespace

KernelResult fast::gather_elements(const LowerContext& c) {
  const auto in = c.in_dims(0), out = c.outputs[0].dims;
  const auto axis = TENON_TRY(normalize_axis(c.node.integer("axis"), in.size()));
  const auto count = product(out);
  auto strides = strides_of(in);
  const auto step = strides[axis];
  strides[axis] = 0;
  const auto index_type = c.inputs[1].type;
  const auto threads = c.threads;
  std::unique_ptr<Kernel> kernel;
  dispatch_moved(c.inputs[0].type, [&]<class T>() {
    kernel = kernel_of("tenon gather elements", [=](const KernelCall& call) -> Result<void> {
      const auto indices = TENON_TRY(checked_indices(index_type, call.in[1], count, in[axis]));
      parallel_for(threads, count, kGrain, [&](std::int64_t begin, std::int64_t end) {
        for (auto i = begin; i < end; ++i) {
          const auto from = offset_of(i, out, strides) + indices[static_cast<std::size_t>(i)] * step;
          move<T>(call.in[0], from, call.out[0], i, 1);
        }
      });
      return {};
    });
  });
  return failing(std::move(kernel));
}

KernelResult fast::scatter_elements(const LowerContext& c) {
  const auto how = TENON_TRY(reduction_of(c));
  const auto in = c.in_dims(0), places = c.in_dims(1);
  const auto axis = TENON_TRY(normalize_axis(c.node.integer("axis"), in.size()));
  auto strides = strides_of(in);
  const auto step = strides[axis];
  strides[axis] = 0;
  const auto total = product(in), count = product(places);
  const auto index_type = c.inputs[1].type;
  return scatter_kernel(c, how, [&]<class T>() {
    return kernel_of("tenon scatter elements", [=](const KernelCall& call) -> Result<void> {
      const auto indices = TENON_TRY(checked_indices(index_type, call.in[1], count, in[axis]));
      move<T>(call.in[0], 0, call.out[0], 0, total);
      for (std::int64_t i = 0; i < count; ++i) {  // in order: the last of equal places wins
        const auto to = offset_of(i, places, strides) + indices[static_cast<std::size_t>(i)] * step;
        update<T>(how, call.in[2], i, call.out[0], to, 1);
      }
      return {};
    });
  });
}

KernelResult fast::gather_nd(const LowerContext& c) {
  const auto in = c.in_dims(0), places = c.in_dims(1);
  const auto batch = static_cast<std::size_t>(c.node.integer("batch_dims"));
  const auto depth = static_cast<std::size_t>(places.back());
  const auto strides = strides_of(in);
  const auto rows = product(places, 0, places.size() - 1);
  const auto batches = product(in, 0, batch);
  const auto pitch = product(in, batch, in.size());
  const auto run = product(in, batch + depth, in.size());
  const auto index_type = c.inputs[1].type;
  const auto threads = c.threads;
  std::unique_ptr<Kernel> kernel;
  dispatch_moved(c.inputs[0].type, [&]<class T>() {
    kernel = kernel_of("tenon gather nd", [=](const KernelCall& call) -> Result<void> {
      if (rows == 0 || batches == 0) return {};
      const auto offsets = TENON_TRY(row_offsets(index_type, call.in[1], rows, in, strides, batch, depth));
      const auto rows_of_batch = rows / batches;
      parallel_for(threads, rows, std::max<std::int64_t>(1, kGrain / std::max<std::int64_t>(run, 1)),
                   [&](std::int64_t begin, std::int64_t end) {
                     for (auto r = begin; r < end; ++r) {
                       const auto from = r / rows_of_batch * pitch + offsets[static_cast<std::size_t>(r)];
                       move<T>(call.in[0], from, call.out[0], r * run, run);
                     }
                   });
      return {};
    });
  });
  return failing(std::move(kernel));
}

KernelResult fast::scatter_nd(const LowerContext& c) {
  const auto how = TENON_TRY(reduction_of(c));
  const auto in = c.in_dims(0), places = c.in_dims(1);
  const auto depth = static_cast<std::size_t>(places.back());
  const auto strides = strides_of(in);
  const auto rows = product(places, 0, places.size() - 1);
  const auto run = product(in, depth, in.size()), total = product(in);
  const auto index_type = c.inputs[1].type;
  return scatter_kernel(c, how, [&]<class T>() {
    return kernel_of("tenon scatter nd", [=](const KernelCall& call) -> Result<void> {
      const auto offsets = TENON_TRY(row_offsets(index_type, call.in[1], rows, in, strides, 0, depth));
      move<T>(call.in[0], 0, call.out[0], 0, total);
      for (std::int64_t r = 0; r < rows; ++r) {
        update<T>(how, call.in[2], r * run, call.out[0], offsets[static_cast<std::size_t>(r)], run);
      }
      return {};
    });
  });
}

// An index outside [-depth, depth) gives only "off".
KernelResult fast::one_hot(const LowerContext& c) {
  const auto& out = c.outputs[0].dims;
  const auto axis = TENON_TRY(normalize_axis(c.node.integer("axis"), out.size()));
  const auto depth = out[axis], inner = product(out, axis + 1, out.size()), count = product(c.in_dims(0));
  const auto index_type = c.inputs[0].type;
  std::unique_ptr<Kernel> kernel;
  dispatch_moved(c.outputs[0].type, [&]<class T>() {
    kernel = kernel_of("tenon one hot", [=](const KernelCall& call) -> Result<void> {
      const In<T> values{call.in[2]};
      const Out<T> to{call.out[0]};
      for (std::int64_t i = 0; i < count * depth; ++i) to.set(i, values[0]);
      dispatch(NumericTypes{}, index_type, [&]<class I>() {
        for (std::int64_t i = 0; i < count; ++i) {
          const auto given = static_cast<double>(static_cast<Compute<I>>(In<I>{call.in[0]}[i]));
          if (!(given >= -static_cast<double>(depth) && given < static_cast<double>(depth))) continue;
          auto at = static_cast<std::int64_t>(given);
          if (at < 0) at += depth;
          to.set((i / inner * depth + at) * inner + i % inner, values[1]);
        }
      });
      return {};
    });
  });
  return failing(std::move(kernel));  // indices decide where it writes
}

KernelResult fast::cum_sum(const LowerContext& c) {
  const auto in = c.in_dims(0);
  const auto axis_type = c.inputs[1].type;
  const bool exclusive = c.node.integer("exclusive") != 0, reverse = c.node.integer("reverse") != 0;
  if (axis_type != DataType::i32 && axis_type != DataType::i64)
    return c.unsupported("an axis that is no int32 or int64");
  std::unique_ptr<Kernel> kernel;
  dispatch(NumericTypes{}, c.inputs[0].type, [&]<class T>() {
    kernel = kernel_of("tenon cumulative sum", [=](const KernelCall& call) -> Result<void> {
      const auto rank = static_cast<std::int64_t>(in.size());
      const auto axis =
          static_cast<std::size_t>(TENON_TRY(checked_indices(axis_type, call.in[1], 1, rank))[0]);
      const auto inner = product(in, axis + 1, in.size()), length = in[axis];
      for (std::int64_t row = 0; row < product(in, 0, axis) * inner; ++row) {
        const auto base = row / inner * length * inner + row % inner;
        using W = std::conditional_t<kIsFloat<T>, Compute<T>, std::uint64_t>;  // integers wrap
        W sum = 0;
        for (std::int64_t i = 0; i < length; ++i) {
          const auto at = base + (reverse ? length - 1 - i : i) * inner;
          const W value = static_cast<W>(In<T>{call.in[0]}[at]);
          Out<T>{call.out[0]}.set(at, static_cast<T>(exclusive ? sum : sum + value));
          sum += value;
        }
      }
      return {};
    });
  });
  if (!kernel) return no_kernel(c);
  return failing(std::move(kernel));
}

KernelResult fast::trilu(const LowerContext& c) {
  const auto in = c.in_dims(0);
  const bool upper = c.node.integer("upper") != 0, has_k = c.has(1);
  const auto rows = in[in.size() - 2], columns = in.back();
  const auto matrices = product(in, 0, in.size() - 2);
  if (has_k && (c.inputs[1].type != DataType::i64 || product(c.in_dims(1)) != 1)) {
    return fail(ErrorCode::invalid_argument, "k must be one int64");
  }
  if (c.inputs[0].type == DataType::string) return no_kernel(c);
  std::unique_ptr<Kernel> kernel;
  dispatch_moved(c.inputs[0].type, [&]<class T>() {
    kernel = kernel_of("tenon triangle", [=](const KernelCall& call) -> Result<void> {
      const std::int64_t k = has_k ? In<std::int64_t>{call.in[1]}[0] : 0;
      const auto limit = std::clamp<std::int64_t>(k, -rows - 1, columns + 1);  // row + k cannot overflow then
      for (std::int64_t r = 0; r < matrices * rows; ++r) {
        for (std::int64_t x = 0; x < columns; ++x) {
          const auto diagonal = r % rows + limit;
          const bool kept = upper ? x >= diagonal : x <= diagonal;
          const auto at = r * columns + x;
          Out<T>{call.out[0]}.set(at, kept ? T(In<T>{call.in[0]}[at]) : T{});
        }
      }
      return {};
    });
  });
  return kernel;
}

KernelResult fast::reverse_sequence(const LowerContext& c) {
  const auto in = c.in_dims(0);
  const bool time_first = TENON_TRY(normalize_axis(c.node.integer("time_axis"), in.size())) == 0;
  const auto times = in[time_first ? 0 : 1], batches = in[time_first ? 1 : 0];
  const auto run = product(in, 2, in.size());
  std::unique_ptr<Kernel> kernel;
  dispatch_moved(c.inputs[0].type, [&]<class T>() {
    kernel = kernel_of("tenon reverse sequence", [=](const KernelCall& call) -> Result<void> {
      const auto place = [&](std::int64_t t, std::int64_t b) {
        return (time_first ? t * batches + b : b * times + t) * run;
      };
      for (std::int64_t b = 0; b < batches; ++b) {
        const auto length = In<std::int64_t>{call.in[1]}[b];
        if (length < 0 || length > times) {
          return fail(ErrorCode::runtime_error, "a sequence of {} in {} steps", length, times);
        }
        for (std::int64_t t = 0; t < times; ++t) {
          move<T>(call.in[0], place(t < length ? length - 1 - t : t, b), call.out[0], place(t, b), run);
        }
      }
      return {};
    });
  });
  return failing(std::move(kernel));
}

KernelResult fast::eye_like(const LowerContext& c) {
  const auto rows = c.outputs[0].dims[0], columns = c.outputs[0].dims[1];
  const auto k = std::clamp<std::int64_t>(c.node.integer("k"), -rows - 1, columns + 1);
  std::unique_ptr<Kernel> kernel;
  dispatch(RawTypes{}, c.outputs[0].type, [&]<class T>() {
    kernel = kernel_of("tenon eye", [=](const KernelCall& call) -> Result<void> {
      for (std::int64_t i = 0; i < rows * columns; ++i) {
        Out<T>{call.out[0]}.set(i, T(i % columns == i / columns + k ? 1 : 0));
      }
      return {};
    });
  });
  if (!kernel) return no_kernel(c);
  return kernel;
}

template <class T>
bool is_nan(T value) {
  if constexpr (std::is_floating_point_v<T>) return std::isnan(value);
  return false;
}

// Equal values keep the order of their indices.
KernelResult fast::top_k(const LowerContext& c) {
  const auto in = c.in_dims(0);
  const auto axis = TENON_TRY(normalize_axis(c.node.integer("axis"), in.size()));
  const auto k = c.outputs[0].dims[axis], length = in[axis];
  const auto inner = product(in, axis + 1, in.size()), rows = product(in, 0, axis) * inner;
  const bool largest = c.node.integer("largest") != 0;
  const auto threads = c.threads;
  std::unique_ptr<Kernel> kernel;
  dispatch(NumericTypes{}, c.inputs[0].type, [&]<class T>() {
    kernel = kernel_of("tenon top k", [=](const KernelCall& call) -> Result<void> {
      parallel_for(threads, rows, std::max<std::int64_t>(1, kGrain / std::max<std::int64_t>(length, 1)),
                   [&](std::int64_t begin, std::int64_t end) {
                     std::vector<Compute<T>> values(static_cast<std::size_t>(length));
                     std::vector<std::int64_t> order(values.size());
                     for (auto row = begin; row < end; ++row) {
                       const auto base = row / inner * length * inner + row % inner;
                       for (std::int64_t i = 0; i < length; ++i) {
                         values[static_cast<std::size_t>(i)] = In<T>{call.in[0]}[base + i * inner];
                       }
                       std::iota(order.begin(), order.end(), 0);
                       const auto before = [&](std::int64_t a, std::int64_t b) {
                         const auto x = values[static_cast<std::size_t>(a)],
                                    y = values[static_cast<std::size_t>(b)];
                         // NaN counts as the largest.
                         if (is_nan(x) != is_nan(y)) return largest == is_nan(x);
                         if (x != y && !is_nan(x)) return largest ? x > y : x < y;
                         return a < b;
                       };
                       std::partial_sort(order.begin(), order.begin() + k, order.end(), before);
                       const auto to = row / inner * k * inner + row % inner;
                       for (std::int64_t i = 0; i < k; ++i) {
                         const auto at = order[static_cast<std::size_t>(i)];
                         if (call.out[0])
                           Out<T>{call.out[0]}.set(to + i * inner, In<T>{call.in[0]}[base + at * inner]);
                         if (call.out.size() > 1 && call.out[1])
                           Out<std::int64_t>{call.out[1]}.set(to + i * inner, at);
                       }
                     }
                   });
      return {};
    });
  });
  if (!kernel) return no_kernel(c);
  return kernel;
}

// The loops above are plain: they are their own reference.
#define SAME(name) \
  KernelResult reference::name(const LowerContext& c) { return fast::name(c); }
SAME(gather_elements)
SAME(scatter_elements)
SAME(gather_nd)
SAME(scatter_nd)
SAME(one_hot)
SAME(cum_sum)
SAME(trilu)
SAME(reverse_sequence)
SAME(eye_like)
SAME(top_k)
#undef SAME

}  // namespace tenon::kernels
