// Moving elements without looking at them: views, strided copies (transpose, slice, expand, depth to space),
// concat, split, tile, pad, gather, fill, shapes.
#include <cmath>

#include "kernels/element.h"
#include "kernels/infer.h"
#include "kernels/ops/families.h"
#include "kernels/ops/strided.h"
#include "kernels/parallel.h"

namespace tenon::kernels {
namespace {

std::unique_ptr<Kernel> strided_kernel(const LowerContext& c, StridedCopy copy) {
  copy.merge();
  const auto type = c.outputs[0].type;
  const auto threads = c.threads;
  return kernel_of("tenon strided", [=](const KernelCall& call) -> Result<void> {
    copy.run(type, call.in[0], call.out[0], threads);
    return {};
  });
}

StridedCopy transposed(const LowerContext& c) {
  const auto& in = c.in_dims(0);
  const auto strides = strides_of(in);
  const auto perm = c.node.integers("perm");
  StridedCopy copy{c.outputs[0].dims, Dims(in.size(), 0), 0};
  for (std::size_t i = 0; i < in.size(); ++i) {
    const auto axis =
        perm.empty() ? in.size() - 1 - i
                     : static_cast<std::size_t>(perm[i] < 0 ? perm[i] + static_cast<std::int64_t>(in.size())
                                                            : perm[i]);
    copy.strides[i] = strides[axis];
  }
  return copy;
}

Result<StridedCopy> sliced(const LowerContext& c) {
  InferContext infer(c.node, c.inputs);
  const auto starts = TENON_TRY(infer.integers(1)), ends = TENON_TRY(infer.integers(2));
  std::vector<std::int64_t> axes, steps;
  if (c.has(3)) axes = TENON_TRY(infer.integers(3));
  if (c.has(4)) steps = TENON_TRY(infer.integers(4));
  const auto bounds = TENON_TRY(slice_bounds(c.in_dims(0), starts, ends, axes, steps));
  auto strides = strides_of(c.in_dims(0));
  std::int64_t offset = 0;
  for (std::size_t i = 0; i < strides.size(); ++i) {
    offset += bounds.start[i] * strides[i];
    strides[i] *= bounds.step[i];
  }
  return StridedCopy{bounds.count, strides, offset};
}

StridedCopy expanded(const LowerContext& c) {
  const auto& in = c.in_dims(0);
  const auto& out = c.outputs[0].dims;
  const auto own = strides_of(in);
  StridedCopy copy{out, Dims(out.size(), 0), 0};
  const auto lead = out.size() - in.size();
  for (std::size_t i = 0; i < in.size(); ++i) copy.strides[lead + i] = in[i] == 1 ? 0 : own[i];
  return copy;
}

// [N, C, H, W] seen as six dimensions, read in another order.
StridedCopy blocks_to_space(const LowerContext& c) {
  const auto& in = c.in_dims(0);
  const auto b = c.node.integer("blocksize");
  const auto depth = in[1] / (b * b), plane = in[2] * in[3];
  const bool dcr = c.node.text("mode") != "CRD";
  const auto row_block = dcr ? b * depth * plane : b * plane, column_block = dcr ? depth * plane : plane;
  return {{in[0], depth, in[2], b, in[3], b},
          {in[1] * plane, dcr ? plane : b * b * plane, in[3], row_block, 1, column_block},
          0};
}

StridedCopy space_to_blocks(const LowerContext& c) {
  const auto& in = c.in_dims(0);
  const auto b = c.node.integer("blocksize");
  return {{in[0], b, b, in[1], in[2] / b, in[3] / b},
          {in[1] * in[2] * in[3], in[3], 1, in[2] * in[3], in[3] * b, b},
          0};
}

// Concat and split move blocks: `outer` times a run of `bytes` at some pitch.
struct BlockMove {
  std::int64_t outer, run;            // run in elements
  std::int64_t from_pitch, to_pitch;  // in elements
};

void move_blocks(DataType type, const BlockMove& m, const std::byte* from, std::byte* to, int threads) {
  if (type == DataType::string) {
    for (std::int64_t o = 0; o < m.outer; ++o) {
      const auto in = In<std::string>{from}.at(o * m.from_pitch);
      const auto out = Out<std::string>{to}.at(o * m.to_pitch);
      for (std::int64_t i = 0; i < m.run; ++i) out.set(i, in[i]);
    }
    return;
  }
  const auto size = static_cast<std::int64_t>(element_bytes(type));
  const auto bytes = static_cast<std::size_t>(m.run * size);
  if (bytes == 0) return;
  constexpr std::int64_t kGrainBytes = 65536;
  parallel_for(threads, m.outer, std::max<std::int64_t>(1, kGrainBytes / static_cast<std::int64_t>(bytes)),
               [&](std::int64_t begin, std::int64_t end) {
                 for (auto o = begin; o < end; ++o) {
                   std::memcpy(to + o * m.to_pitch * size, from + o * m.from_pitch * size, bytes);
                 }
               });
}

std::size_t axis_of(const LowerContext& c, std::size_t rank) {
  const auto axis = c.node.integer("axis");
  return static_cast<std::size_t>(axis < 0 ? axis + static_cast<std::int64_t>(rank) : axis);
}

enum class PadMode { constant, reflect, edge, wrap };

// For each output coordinate of an axis the input coordinate, or -1 for the constant.
std::vector<std::int64_t> pad_sources(PadMode mode, std::int64_t in, std::int64_t begin, std::int64_t out) {
  std::vector<std::int64_t> sources(static_cast<std::size_t>(out));
  for (std::int64_t i = 0; i < out; ++i) {
    auto at = i - begin;
    if (at < 0 || at >= in) {
      switch (mode) {
        case PadMode::constant: at = -1; break;
        case PadMode::edge: at = std::clamp<std::int64_t>(at, 0, in - 1); break;
        case PadMode::wrap: at = ((at % in) + in) % in; break;
        case PadMode::reflect: {
          const auto period = std::max<std::int64_t>(1, 2 * (in - 1));
          at = ((at % period) + period) % period;
          if (at >= in) at = period - at;
          break;
        }
      }
    }
    sources[static_cast<std::size_t>(i)] = at;
  }
  return sources;
}

}  // namespace

// The dims change, the bytes do not; plans alias instead of running this wherever they can.
KernelResult fast::view(const LowerContext& c) {
  const auto count = product(c.outputs[0].dims);
  const auto type = c.outputs[0].type;
  return kernel_of("tenon copy", [=](const KernelCall& call) -> Result<void> {
    move_blocks(type, {1, count, count, count}, call.in[0], call.out[0], 1);
    return {};
  });
}

KernelResult fast::strided(const LowerContext& c) {
  switch (c.node.op) {
    case Op::Transpose: return strided_kernel(c, transposed(c));
    case Op::Slice: return strided_kernel(c, TENON_TRY(sliced(c)));
    case Op::Expand: return strided_kernel(c, expanded(c));
    case Op::DepthToSpace: return strided_kernel(c, blocks_to_space(c));
    default: return strided_kernel(c, space_to_blocks(c));
  }
}

KernelResult fast::concat(const LowerContext& c) {
  const auto& out = c.outputs[0].dims;
  const auto axis = axis_of(c, out.size());
  const auto pitch = product(out, axis, out.size());
  const auto outer = product(out, 0, axis);
  std::vector<BlockMove> moves;
  for (const auto& input : c.inputs) {
    const auto run = product(input.dims, axis, input.dims.size());
    moves.push_back({outer, run, run, pitch});
  }
  const auto type = c.outputs[0].type;
  const auto threads = c.threads;
  return kernel_of("tenon concat", [=](const KernelCall& call) -> Result<void> {
    std::int64_t at = 0;
    for (std::size_t i = 0; i < moves.size(); ++i) {
      move_blocks(type, moves[i], call.in[i],
                  call.out[0] + at * static_cast<std::int64_t>(element_bytes(type)), threads);
      at += moves[i].run;
    }
    return {};
  });
}

KernelResult fast::split(const LowerContext& c) {
  const auto& in = c.in_dims(0);
  const auto axis = axis_of(c, in.size());
  const auto pitch = product(in, axis, in.size());
  const auto outer = product(in, 0, axis);
  std::vector<BlockMove> moves;
  for (const auto& output : c.outputs) {
    const auto run = product(output.dims, axis, output.dims.size());
    moves.push_back({outer, run, pitch, run});
  }
  const auto type = c.outputs[0].type;
  const auto threads = c.threads;
  return kernel_of("tenon split", [=](const KernelCall& call) -> Result<void> {
    std::int64_t at = 0;
    for (std::size_t i = 0; i < moves.size(); ++i) {
      if (call.out[i] != nullptr) {
        move_blocks(type, moves[i], call.in[0] + at * static_cast<std::int64_t>(element_bytes(type)),
                    call.out[i], threads);
      }
      at += moves[i].run;
    }
    return {};
  });
}

// Each repeat is one more outer dimension that stands still in the operand.
KernelResult fast::tile(const LowerContext& c) {
  const auto& in = c.in_dims(0);
  const auto& out = c.outputs[0].dims;
  if (product(out) == 0) return strided_kernel(c, {out, Dims(out.size(), 0), 0});
  const auto own = strides_of(in);
  std::vector<std::int64_t> dims, strides;
  for (std::size_t i = 0; i < in.size(); ++i) {
    if (out[i] != in[i]) {
      dims.push_back(out[i] / in[i]);
      strides.push_back(0);
    }
    if (in[i] != 1) {
      dims.push_back(in[i]);
      strides.push_back(own[i]);
    }
  }
  if (dims.size() > Dims::kMaxRank) return c.unsupported(fmt::format("{} repeated dimensions", dims.size()));
  StridedCopy copy;
  for (std::size_t i = 0; i < dims.size(); ++i) {
    copy.dims.push_back(dims[i]);
    copy.strides.push_back(strides[i]);
  }
  return strided_kernel(c, copy);
}

KernelResult fast::pad(const LowerContext& c) {
  const auto& name = c.node.text("mode");
  const auto mode = name == "constant"  ? PadMode::constant
                    : name == "reflect" ? PadMode::reflect
                    : name == "edge"    ? PadMode::edge
                                        : PadMode::wrap;
  if (mode == PadMode::wrap && name != "wrap") return c.unsupported(fmt::format("mode '{}'", name));
  InferContext infer(c.node, c.inputs);
  const auto pads = TENON_TRY(pad_amounts(infer));
  const auto in = c.in_dims(0), out = c.outputs[0].dims;
  std::vector<std::vector<std::int64_t>> sources;
  for (std::size_t i = 0; i < in.size(); ++i) {
    if (mode != PadMode::constant && in[i] == 0 && out[i] > 0) return c.unsupported("padding an empty axis");
    sources.push_back(pad_sources(mode, in[i], pads.begin[i], out[i]));
  }
  if (c.has(2) && (c.inputs[2].type != c.inputs[0].type || product(c.in_dims(2)) != 1)) {
    return fail(ErrorCode::invalid_argument, "the padding value must be a scalar of the operand's type");
  }
  const auto threads = c.threads;
  std::unique_ptr<Kernel> kernel;
  dispatch_moved(c.outputs[0].type, [&]<class T>() {
    kernel = kernel_of("tenon pad", [=](const KernelCall& call) -> Result<void> {
      T fill{};
      if (call.in.size() > 2 && call.in[2] != nullptr) fill = In<T>{call.in[2]}[0];
      const auto strides = strides_of(in);
      const auto rank = out.size();
      if (rank == 0) {
        Out<T>{call.out[0]}.set(0, In<T>{call.in[0]}[0]);
        return {};
      }
      const auto row = out.back();
      const auto rows = product(out, 0, rank - 1);
      parallel_for(threads, rows, std::max<std::int64_t>(1, 16384 / std::max<std::int64_t>(row, 1)),
                   [&](std::int64_t begin, std::int64_t end) {
                     for (auto r = begin; r < end; ++r) {
                       std::int64_t rest = r, from = 0;
                       bool inside = true;
                       for (std::size_t d = rank - 1; d-- > 0;) {
                         const auto at = sources[d][static_cast<std::size_t>(rest % out[d])];
                         rest /= out[d];
                         inside = inside && at >= 0;
                         from += at * strides[d];
                       }
                       const auto to = Out<T>{call.out[0]}.at(r * row);
                       const auto& last = sources[rank - 1];
                       for (std::int64_t i = 0; i < row; ++i) {
                         const auto at = last[static_cast<std::size_t>(i)];
                         to.set(i, inside && at >= 0 ? T(In<T>{call.in[0]}[from + at]) : fill);
                       }
                     }
                   });
      return {};
    });
  });
  return kernel;
}

// Indices are data: each is checked when used, so a gather with computed indices can fail.
KernelResult fast::gather(const LowerContext& c) {
  const auto& in = c.in_dims(0);
  const auto axis = axis_of(c, in.size());
  const auto outer = product(in, 0, axis), inner = product(in, axis + 1, in.size()), extent = in[axis];
  const auto indices = product(c.in_dims(1));
  const auto type = c.outputs[0].type;
  const auto threads = c.threads;
  std::unique_ptr<Kernel> kernel;
  dispatch(TypeList<std::int32_t, std::int64_t>{}, c.inputs[1].type, [&]<class I>() {
    kernel = kernel_of("tenon gather", [=](const KernelCall& call) -> Result<void> {
      const In<I> index{call.in[1]};
      const auto size = static_cast<std::int64_t>(element_bytes(type));
      for (std::int64_t i = 0; i < indices; ++i) {
        auto at = static_cast<std::int64_t>(index[i]);
        if (at < 0) at += extent;
        if (at < 0 || at >= extent) {
          return fail(ErrorCode::runtime_error, "index {} is outside a dimension of {}",
                      static_cast<std::int64_t>(index[i]), extent);
        }
        move_blocks(type, {outer, inner, extent * inner, indices * inner}, call.in[0] + at * inner * size,
                    call.out[0] + i * inner * size, threads);
      }
      return {};
    });
  });
  if (!kernel) return no_kernel(c);
  // With constant indices, checked here, nothing can fail and no address depends on data.
  kernel->can_fail = true;
  if (c.inputs[1].constant.defined()) {
    for (const auto at : TENON_TRY(to_integers(c.inputs[1].constant))) {
      if (at < -extent || at >= extent) {
        return fail(ErrorCode::runtime_error, "index {} is outside a dimension of {}", at, extent);
      }
    }
    kernel->can_fail = false;
  }
  return kernel;
}

KernelResult fast::shape_of(const LowerContext& c) {
  std::vector<std::int64_t> values;
  if (c.node.op == Op::Size) {
    values.push_back(TENON_TRY(element_count(c.in_dims(0))));
  } else {
    const auto rank = static_cast<std::int64_t>(c.in_dims(0).size());
    const auto start = c.node.integer("start");
    const auto first = std::clamp<std::int64_t>(start < 0 ? start + rank : start, 0, rank);
    for (std::int64_t i = 0; i < c.outputs[0].dims[0]; ++i)
      values.push_back(c.in_dims(0)[static_cast<std::size_t>(first + i)]);
  }
  return kernel_of("tenon shape", [=](const KernelCall& call) -> Result<void> {
    if (!values.empty()) std::memcpy(call.out[0], values.data(), values.size() * sizeof(std::int64_t));
    return {};
  });
}

KernelResult fast::fill(const LowerContext& c) {
  const auto count = product(c.outputs[0].dims);
  const auto* value = c.node.tensor("value");
  const auto size = element_bytes(c.outputs[0].type);
  std::vector<std::byte> pattern(size, std::byte{0});
  if (c.outputs[0].type == DataType::string) return no_kernel(c);
  if (value != nullptr) std::memcpy(pattern.data(), value->data(), size);
  return kernel_of("tenon fill", [=](const KernelCall& call) -> Result<void> {
    for (std::int64_t i = 0; i < count; ++i) {
      std::memcpy(call.out[0] + static_cast<std::size_t>(i) * size, pattern.data(), size);
    }
    return {};
  });
}

KernelResult fast::range(const LowerContext& c) {
  const auto count = product(c.outputs[0].dims);
  std::unique_ptr<Kernel> kernel;
  dispatch(NumericTypes{}, c.outputs[0].type, [&]<class T>() {
    kernel = kernel_of("tenon range", [=](const KernelCall& call) -> Result<void> {
      using C = Compute<T>;
      const C start = In<T>{call.in[0]}[0], step = In<T>{call.in[2]}[0];
      for (std::int64_t i = 0; i < count; ++i) {
        Out<T>{call.out[0]}.set(i, static_cast<T>(start + static_cast<C>(i) * step));
      }
      return {};
    });
  });
  if (!kernel) return no_kernel(c);
  return kernel;
}

}  // namespace tenon::kernels
