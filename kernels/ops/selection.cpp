// Operators whose result's size depends on data: NonZero, Compress, Unique. They work on values.
#include <numeric>

#include "kernels/interpreter.h"
#include "kernels/ops/families.h"
#include "kernels/ops/number.h"

namespace tenon::kernels {
namespace {

Result<Tensor> integers(const Dims& dims, const std::vector<std::int64_t>& values) {
  return Tensor::of<std::int64_t>(DataType::i64, dims, values);
}

// Elements `rows` of axis of a tensor seen as [outer, extent, inner].
Result<Tensor> take(const Tensor& tensor, std::size_t axis, const std::vector<std::int64_t>& rows,
                    const Limits& limits) {
  auto dims = tensor.dims();
  const auto outer = product(dims, 0, axis), extent = dims[axis],
             inner = product(dims, axis + 1, dims.size());
  dims[axis] = static_cast<std::int64_t>(rows.size());
  auto out = TENON_TRY(Tensor::allocate(tensor.type(), dims, limits.max_tensor_bytes));
  dispatch_moved(tensor.type(), [&]<class T>() {
    const In<T> in{tensor.data()};
    const Out<T> to{out.mutable_data()};
    std::int64_t at = 0;
    for (std::int64_t o = 0; o < outer; ++o) {
      for (const auto row : rows) {
        for (std::int64_t i = 0; i < inner; ++i) to.set(at++, in[(o * extent + row) * inner + i]);
      }
    }
  });
  return out;
}

Result<void> non_zero(ValueCall& call) {
  const auto& tensor = call.in[0]->tensor;
  if (tensor.type() == DataType::string) return fail(ErrorCode::unsupported_operation, "strings");
  const auto rank = std::max<std::size_t>(tensor.dims().size(), 1);
  auto dims = tensor.dims();
  if (dims.empty()) dims.push_back(1);
  std::vector<std::int64_t> found;
  for (std::int64_t i = 0; i < tensor.count(); ++i) {
    if (get_number(tensor.type(), tensor.data(), i) != 0) found.push_back(i);
  }
  const auto count = found.size();
  std::vector<std::int64_t> out(rank * count);
  for (std::size_t n = 0; n < count; ++n) {
    auto rest = found[n];
    for (std::size_t d = rank; d-- > 0;) {
      out[d * count + n] = rest % dims[d];
      rest /= dims[d];
    }
  }
  call.out[0] = Value::of(
      TENON_TRY(integers({static_cast<std::int64_t>(rank), static_cast<std::int64_t>(count)}, out)));
  return {};
}

Result<void> compress(ValueCall& call) {
  auto tensor = call.in[0]->tensor;
  const auto& condition = call.in[1]->tensor;
  if (condition.type() != DataType::boolean || condition.dims().size() != 1) {
    return fail(ErrorCode::invalid_argument, "the condition must be a list of bools");
  }
  std::size_t axis = 0;
  if (call.node.has("axis")) {
    axis = TENON_TRY(normalize_axis(call.node.integer("axis"), tensor.dims().size()));
  } else {
    tensor = TENON_TRY(tensor.reshaped({tensor.count()}));
  }
  if (condition.count() > tensor.dims()[axis]) {
    return fail(ErrorCode::runtime_error, "{} conditions for an axis of {}", condition.count(),
                tensor.dims()[axis]);
  }
  std::vector<std::int64_t> rows;
  for (std::int64_t i = 0; i < condition.count(); ++i) {
    if (In<bool_t>{condition.data()}[i]) rows.push_back(i);
  }
  call.out[0] = Value::of(TENON_TRY(take(tensor, axis, rows, call.interpreter.options().limits)));
  return {};
}

// Three-way comparison of rows `a` and `b` of an axis, by their elements in order.
int compare_rows(const Tensor& tensor, std::size_t axis, std::int64_t a, std::int64_t b) {
  const auto& dims = tensor.dims();
  const auto outer = product(dims, 0, axis), extent = dims[axis],
             inner = product(dims, axis + 1, dims.size());
  for (std::int64_t o = 0; o < outer; ++o) {
    for (std::int64_t i = 0; i < inner; ++i) {
      const auto x = (o * extent + a) * inner + i, y = (o * extent + b) * inner + i;
      if (tensor.type() == DataType::string) {
        const auto order = tensor.strings()[static_cast<std::size_t>(x)].compare(
            tensor.strings()[static_cast<std::size_t>(y)]);
        if (order != 0) return order;
        continue;
      }
      if (tensor.type() == DataType::i64) {
        const In<std::int64_t> in{tensor.data()};
        if (in[x] != in[y]) return in[x] < in[y] ? -1 : 1;
        continue;
      }
      const auto u = get_number(tensor.type(), tensor.data(), x),
                 v = get_number(tensor.type(), tensor.data(), y);
      if (u < v) return -1;
      if (u > v) return 1;
    }
  }
  return 0;
}

Result<void> unique(ValueCall& call) {
  auto tensor = call.in[0]->tensor;
  std::size_t axis = 0;
  if (call.node.has("axis")) {
    axis = TENON_TRY(normalize_axis(call.node.integer("axis"), tensor.dims().size()));
  } else {
    tensor = TENON_TRY(tensor.reshaped({tensor.count()}));
  }
  const auto extent = tensor.dims()[axis];
  std::vector<std::int64_t> order(static_cast<std::size_t>(extent));
  std::iota(order.begin(), order.end(), 0);
  const auto less = [&](std::int64_t a, std::int64_t b) {
    const int c = compare_rows(tensor, axis, a, b);
    return c != 0 ? c < 0 : a < b;
  };
  std::sort(order.begin(), order.end(), less);
  // Groups of equal rows, each led by its first occurrence.
  struct Group {
    std::int64_t first, count;
  };
  std::vector<Group> groups;
  std::vector<std::int64_t> group_of(order.size());
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (i == 0 || compare_rows(tensor, axis, order[i - 1], order[i]) != 0) groups.push_back({order[i], 0});
    ++groups.back().count;
    group_of[static_cast<std::size_t>(order[i])] = static_cast<std::int64_t>(groups.size() - 1);
  }
  std::vector<std::int64_t> places(groups.size());
  std::iota(places.begin(), places.end(), 0);
  if (call.node.integer("sorted") == 0) {
    std::sort(places.begin(), places.end(), [&](std::int64_t a, std::int64_t b) {
      return groups[static_cast<std::size_t>(a)].first < groups[static_cast<std::size_t>(b)].first;
    });
  }
  std::vector<std::int64_t> firsts, counts, inverse(group_of.size()), rank(groups.size());
  for (std::size_t i = 0; i < places.size(); ++i) {
    const auto& group = groups[static_cast<std::size_t>(places[i])];
    firsts.push_back(group.first);
    counts.push_back(group.count);
    rank[static_cast<std::size_t>(places[i])] = static_cast<std::int64_t>(i);
  }
  for (std::size_t i = 0; i < group_of.size(); ++i) inverse[i] = rank[static_cast<std::size_t>(group_of[i])];
  const Dims list{static_cast<std::int64_t>(firsts.size())};
  call.out[0] = Value::of(TENON_TRY(take(tensor, axis, firsts, call.interpreter.options().limits)));
  if (call.out.size() > 1) call.out[1] = Value::of(TENON_TRY(integers(list, firsts)));
  if (call.out.size() > 2) call.out[2] = Value::of(TENON_TRY(integers({extent}, inverse)));
  if (call.out.size() > 3) call.out[3] = Value::of(TENON_TRY(integers(list, counts)));
  return {};
}

}  // namespace

KernelResult fast::selection(const LowerContext& c) {
  switch (c.node.op) {
    case Op::NonZero: return value_kernel_of("tenon selection", non_zero);
    case Op::Compress: return value_kernel_of("tenon selection", compress);
    default: return value_kernel_of("tenon selection", unique);
  }
}

}  // namespace tenon::kernels
