// Layouts that are row-major under another order of axes: values that a Transpose only looks at differently.
#include <numeric>

#include "kernels/dnnl/int8_compat.h"
#include "kernels/dnnl/internal.h"

namespace tenon::kernels {
namespace {

// The axes of an unblocked layout from the outermost to the innermost, when they leave no gap.
std::optional<std::vector<std::size_t>> dense_axes(const dnnl::memory::dims& dims,
                                                   const dnnl::memory::dims& strides) {
  std::vector<std::size_t> axes(dims.size());
  std::iota(axes.begin(), axes.end(), std::size_t{0});
  std::ranges::sort(axes, [&](std::size_t a, std::size_t b) {
    return strides[a] != strides[b] ? strides[a] > strides[b] : a < b;
  });
  std::int64_t expected = 1;
  for (auto i = axes.size(); i-- > 0;) {
    if (dims[axes[i]] != 1 && strides[axes[i]] != expected) return std::nullopt;
    expected *= dims[axes[i]];
  }
  return axes;
}

}  // namespace

std::optional<dnnl::memory::desc> transposed_desc(const dnnl::memory::desc& stored, const AxisOrder& order) {
  if (order.empty()) return stored;
  std::vector<int> to(order.size());
  for (std::size_t i = 0; i < order.size(); ++i) to[static_cast<std::size_t>(order[i])] = static_cast<int>(i);
  return onednn::guarded(1, [&]() -> std::optional<dnnl::memory::desc> { return stored.permute_axes(to); });
}

std::optional<AxisOrder> order_of(const dnnl::memory::desc& layout) {
  const auto strides = compat::strides_of(layout);
  if (!strides) return std::nullopt;
  const auto axes = dense_axes(compat::dims_of(layout), *strides);
  if (!axes) return std::nullopt;
  AxisOrder order(axes->size());
  for (std::size_t i = 0; i < axes->size(); ++i) order[(*axes)[i]] = static_cast<std::int64_t>(i);
  return simplified(std::move(order));
}

std::optional<dnnl::memory::desc> ordered_desc(DataType type, const Dims& seen, const AxisOrder& order) {
  if (order.empty()) return plain_desc(type, seen);
  const auto stored = plain_desc(type, reordered(seen, inverse(order)));
  return stored ? transposed_desc(*stored, order) : std::nullopt;
}

bool same_places(const dnnl::memory::desc& a, const dnnl::memory::desc& b) {
  if (a == b) return true;
  const auto a_strides = compat::strides_of(a), b_strides = compat::strides_of(b);
  const auto dims = compat::dims_of(a);
  if (!a_strides || !b_strides || dims != compat::dims_of(b) || compat::type_of(a) != compat::type_of(b))
    return false;
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] != 1 && (*a_strides)[i] != (*b_strides)[i]) return false;
  }
  return true;
}

}  // namespace tenon::kernels
