// The oracle of operators that move elements: for each output coordinate the input coordinate, by the
// operator's definition.
#include "kernels/element.h"
#include "kernels/infer.h"
#include "kernels/ops/families.h"

namespace tenon::kernels::reference {
namespace {

using Coordinate = std::array<std::int64_t, Dims::kMaxRank>;

Coordinate split_index(const Dims& dims, std::int64_t at) {
  Coordinate x{};
  for (std::size_t d = dims.size(); d-- > 0;) {
    x[d] = at % dims[d];
    at /= dims[d];
  }
  return x;
}

std::int64_t join_index(const Dims& dims, const Coordinate& x) {
  std::int64_t at = 0;
  for (std::size_t d = 0; d < dims.size(); ++d) at = at * dims[d] + x[d];
  return at;
}

// Where output coordinate `x` comes from.
template <class F>
std::unique_ptr<Kernel> moved(const LowerContext& c, F from) {
  const auto in = c.in_dims(0), out = c.outputs[0].dims;
  const auto type = c.outputs[0].type;
  return kernel_of("reference", [=](const KernelCall& call) -> Result<void> {
    dispatch_moved(type, [&]<class T>() {
      for (std::int64_t i = 0, n = product(out); i < n; ++i) {
        Out<T>{call.out[0]}.set(i, In<T>{call.in[0]}[join_index(in, from(split_index(out, i)))]);
      }
    });
    return {};
  });
}

}  // namespace

KernelResult strided(const LowerContext& c) {
  const auto in = c.in_dims(0), out = c.outputs[0].dims;
  const auto* node = &c.node;
  if (node->op == Op::Transpose) {
    std::vector<std::size_t> perm;
    for (std::size_t i = 0; i < in.size(); ++i) {
      const auto given = node->integers("perm");
      perm.push_back(given.empty() ? in.size() - 1 - i : TENON_TRY(normalize_axis(given[i], in.size())));
    }
    return moved(c, [=](const Coordinate& x) {
      Coordinate y{};
      for (std::size_t i = 0; i < perm.size(); ++i) y[perm[i]] = x[i];
      return y;
    });
  }
  if (node->op == Op::Slice) {
    InferContext infer(c.node, c.inputs);
    const auto starts = TENON_TRY(infer.integers(1)), ends = TENON_TRY(infer.integers(2));
    std::vector<std::int64_t> axes, steps;
    if (c.has(3)) axes = TENON_TRY(infer.integers(3));
    if (c.has(4)) steps = TENON_TRY(infer.integers(4));
    const auto bounds = TENON_TRY(slice_bounds(in, starts, ends, axes, steps));
    return moved(c, [=](const Coordinate& x) {
      Coordinate y{};
      for (std::size_t i = 0; i < in.size(); ++i) y[i] = bounds.start[i] + bounds.step[i] * x[i];
      return y;
    });
  }
  if (node->op == Op::Expand) {
    return moved(c, [=](const Coordinate& x) {
      Coordinate y{};
      for (std::size_t i = 0; i < in.size(); ++i) y[i] = in[i] == 1 ? 0 : x[i + out.size() - in.size()];
      return y;
    });
  }
  const auto b = node->integer("blocksize");
  if (node->op == Op::SpaceToDepth) {
    return moved(c, [=](const Coordinate& x) {
      const auto block = x[1] / in[1];
      return Coordinate{x[0], x[1] % in[1], x[2] * b + block / b, x[3] * b + block % b};
    });
  }
  const bool crd = node->text("mode") == "CRD";
  return moved(c, [=](const Coordinate& x) {
    const auto block = x[2] % b * b + x[3] % b;
    return Coordinate{x[0], crd ? x[1] * b * b + block : block * out[1] + x[1], x[2] / b, x[3] / b};
  });
}

KernelResult tile(const LowerContext& c) {
  const auto in = c.in_dims(0);
  return moved(c, [=](Coordinate x) {
    for (std::size_t i = 0; i < in.size(); ++i) x[i] %= std::max<std::int64_t>(in[i], 1);
    return x;
  });
}

KernelResult concat(const LowerContext& c) {
  const auto out = c.outputs[0].dims;
  const auto axis = TENON_TRY(normalize_axis(c.node.integer("axis"), out.size()));
  std::vector<Dims> in;
  for (const auto& operand : c.inputs) in.push_back(operand.dims);
  const auto type = c.outputs[0].type;
  return kernel_of("reference", [=](const KernelCall& call) -> Result<void> {
    dispatch_moved(type, [&]<class T>() {
      for (std::int64_t i = 0, n = product(out); i < n; ++i) {
        auto x = split_index(out, i);
        std::size_t k = 0;
        while (x[axis] >= in[k][axis]) x[axis] -= in[k++][axis];
        Out<T>{call.out[0]}.set(i, In<T>{call.in[k]}[join_index(in[k], x)]);
      }
    });
    return {};
  });
}

KernelResult split(const LowerContext& c) {
  const auto in = c.in_dims(0);
  const auto axis = TENON_TRY(normalize_axis(c.node.integer("axis"), in.size()));
  const std::vector<TensorDesc> out(c.outputs.begin(), c.outputs.end());
  return kernel_of("reference", [=](const KernelCall& call) -> Result<void> {
    dispatch_moved(out[0].type, [&]<class T>() {
      std::int64_t first = 0;
      for (std::size_t k = 0; k < out.size(); ++k) {
        for (std::int64_t i = 0, n = product(out[k].dims); call.out[k] != nullptr && i < n; ++i) {
          auto x = split_index(out[k].dims, i);
          x[axis] += first;
          Out<T>{call.out[k]}.set(i, In<T>{call.in[0]}[join_index(in, x)]);
        }
        first += out[k].dims[axis];
      }
    });
    return {};
  });
}

}  // namespace tenon::kernels::reference
