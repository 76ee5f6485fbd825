// Convolutions and products of 8-bit integers as oneDNN primitives. Convolutions carry scales and zero points as
// attributes; products give 32-bit sums, and zero points are taken out of them afterwards.
#include <cmath>

#include "kernels/dnnl/int8_compat.h"
#include "kernels/dnnl/internal.h"
#include "kernels/element.h"
#include "kernels/ops/requantize.h"
#include "kernels/rewrite.h"

namespace tenon::kernels {
namespace {

using onednn::any_desc;
using onednn::cpu_engine;
using onednn::dense_desc;
using onednn::guarded;
using onednn::is_reference;
using onednn::PrimitiveKernel;
using onednn::to_dims;
using ByteTypes = TypeList<std::uint8_t, std::int8_t>;

bool is_possible(const QuantizedRequest& r) {
  const bool bytes = r.x.type == DataType::u8 || r.x.type == DataType::i8;
  return has_integer_primitives() && bytes && product(r.x.dims) > 0 && product(r.output.dims) > 0;
}

std::int32_t read_zero(DataType type, const std::byte* from, std::int64_t i = 0) {
  std::int32_t zero = 0;
  dispatch(ByteTypes{}, type, [&]<class T>() { zero = In<T>{from}[i]; });
  return zero;
}

// A convolution whose zero point of x comes with each run, as one byte.
class RuntimeZeroKernel final : public Kernel {
 public:
  RuntimeZeroKernel(std::unique_ptr<Kernel> inner, DataType type) : inner_(std::move(inner)), type_(type) {
    implementation = inner_->implementation;
    scratch_bytes = inner_->scratch_bytes;
  }
  std::unique_ptr<KernelState> make_state() const override { return inner_->make_state(); }
  Result<void> run(const KernelCall& call) const override {
    const std::int32_t zero = read_zero(type_, call.in[3]);
    const std::byte* in[] = {call.in[0], call.in[1], call.in[2], reinterpret_cast<const std::byte*>(&zero)};
    return inner_->run({in, call.out, call.scratch, call.state});
  }

 private:
  std::unique_ptr<Kernel> inner_;
  DataType type_;
};

dnnl::primitive_attr convolution_attributes(const QuantizedRequest& r, std::int32_t x_zero) {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  compat::set_quantization(attr, r.scales, x_zero, r.y_zero);
  dnnl::post_ops ops;
  for (const auto& op : r.post_ops) compat::append_eltwise(ops, op.algorithm, op.alpha, op.beta);
  attr.set_post_ops(ops);
  return attr;
}

dnnl::memory::desc channels_last_desc(dnnl::memory::data_type type, const dnnl::memory::dims& dims) {
  dnnl::memory::dims strides(dims.size(), 1);
  dnnl::memory::dim next = dims[1];
  for (std::size_t i = dims.size(); i-- > 2; next *= dims[i]) strides[i] = next;
  strides[0] = next;
  return {dims, type, strides};
}

}  // namespace

bool has_integer_primitives() { return compat::kHasConstantScales && compat::accumulates_exactly(); }

LayoutResult lower_quantized_convolution(const QuantizedRequest& r) {
  if (!is_possible(r) || r.x.dims.size() < 3 || r.x.dims.size() > 5) return std::nullopt;
  auto g = onednn::convolution_geometry(r.node, r.x.dims, r.weights.dims(), r.output.dims,
                                        dnnl::memory::data_type::s8);
  if (!g) return std::nullopt;
  const bool runtime_zero = r.x_zero.present && !r.x_zero.constant.defined();
  const std::int32_t x_zero = runtime_zero       ? DNNL_RUNTIME_S32_VAL
                              : r.x_zero.present ? read_zero(r.x.type, r.x_zero.constant.data())
                                                 : 0;
  const auto x_type = *onednn::data_type(r.x.type), y_type = *onednn::data_type(r.output.type);
  if (r.bias.defined()) g->shape.bias = dense_desc(*onednn::data_type(r.bias.type()), {r.output.dims[1]});
  g->shape.dst = r.channels_last ? channels_last_desc(y_type, to_dims(r.output.dims))
                                 : any_desc(y_type, to_dims(r.output.dims));
  std::vector<dnnl::memory::desc> choices;
  if (r.x.layout) choices.push_back(*r.x.layout);
  choices.push_back(any_desc(x_type, to_dims(r.x.dims)));
  for (const auto& choice : choices) {
    g->shape.src = choice;
    auto made = guarded(r.threads, [&]() -> LayoutResult {
      const auto pd = compat::convolution<dnnl::convolution_forward>(
          cpu_engine(), dnnl::algorithm::convolution_direct, g->shape, convolution_attributes(r, x_zero));
      if (is_reference(pd.impl_info_str())) return std::nullopt;
      LayoutKernel out;
      std::vector<PrimitiveKernel::Argument> in{
          {DNNL_ARG_SRC, pd.src_desc()}, {DNNL_ARG_WEIGHTS, pd.weights_desc()}, {}, {}};
      out.in_desc = {pd.src_desc(), pd.weights_desc(), std::nullopt, std::nullopt};
      out.in_plain = {std::nullopt, g->weights_plain, std::nullopt, std::nullopt};
      if (r.bias.defined()) {
        in[2] = {DNNL_ARG_BIAS, pd.bias_desc()};
        out.in_desc[2] = out.in_plain[2] = pd.bias_desc();
      }
      if (runtime_zero) {
        in[3] = {DNNL_ARG_ATTR_ZERO_POINTS | DNNL_ARG_SRC, dense_desc(dnnl::memory::data_type::s32, {1})};
        out.in_desc[3] = out.in_plain[3] = dense_desc(x_type, {1});
      }
      out.kernel = std::make_unique<PrimitiveKernel>(
          dnnl::convolution_forward(pd), std::move(in),
          std::vector<PrimitiveKernel::Argument>{{DNNL_ARG_DST, pd.dst_desc()}}, pd.scratchpad_desc(),
          pd.impl_info_str());
      if (runtime_zero) out.kernel = std::make_unique<RuntimeZeroKernel>(std::move(out.kernel), r.x.type);
      out.out_layout.emplace_back(pd.dst_desc());
      return out;
    });
    if (made) return made;
  }
  return std::nullopt;
}

namespace {

// The sums of two convolutions of one operand, channels last, as bytes.
class SplitConvolution final : public Kernel {
 public:
  SplitConvolution(std::unique_ptr<Kernel> first, std::unique_ptr<Kernel> second, const Dims& out,
                   Requantize requantize, int threads)
      : first_(std::move(first)),
        second_(std::move(second)),
        channels_(out[1]),
        pixels_(product(out) / out[1]),
        requantize_(std::move(requantize)),
        threads_(threads) {
    implementation = first_->implementation + ", twice";
    sums_bytes_ = (static_cast<std::size_t>(product(out)) * sizeof(std::int32_t) + 63) / 64 * 64;
    scratch_bytes = 2 * sums_bytes_ + std::max(first_->scratch_bytes, second_->scratch_bytes);
  }

  std::unique_ptr<KernelState> make_state() const override {
    auto state = std::make_unique<State>();
    state->first = first_->make_state();
    state->second = second_->make_state();
    return state;
  }

  Result<void> run(const KernelCall& call) const override {
    auto& state = static_cast<State&>(*call.state);
    std::byte *first = call.scratch, *second = first + sums_bytes_, *rest = second + sums_bytes_;
    const std::byte* in[] = {call.in[0], call.in[4], nullptr, call.in[3]};
    TENON_TRY(first_->run({call.in.first(4), std::span(&first, 1), rest, state.first.get()}));
    TENON_TRY(second_->run({in, std::span(&second, 1), rest, state.second.get()}));
    auto* sums = reinterpret_cast<std::int32_t*>(first);
    const auto* more = reinterpret_cast<const std::int32_t*>(second);
    parallel_for(threads_, pixels_, std::max<std::int64_t>(1, 16384 / channels_),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (auto i = begin * channels_; i < end * channels_; ++i) sums[i] += more[i];
                   for (auto pixel = begin; pixel < end; ++pixel)
                     requantize_.write(sums + pixel * channels_, channels_, 0, 1, call.out[0],
                                       pixel * channels_);
                 });
    return {};
  }

 private:
  struct State final : KernelState {
    std::unique_ptr<KernelState> first, second;
  };
  std::unique_ptr<Kernel> first_, second_;
  std::int64_t channels_, pixels_;
  Requantize requantize_;
  int threads_;
  std::size_t sums_bytes_ = 0;
};

}  // namespace

LayoutResult lower_split_convolution(const QuantizedRequest& request, const Tensor& rest,
                                     const Requantize& how) {
  QuantizedRequest part = request;
  part.output.type = DataType::i32;
  part.scales.clear();
  part.post_ops.clear();
  part.y_zero = 0;
  part.channels_last = true;
  auto first = lower_quantized_convolution(part);
  if (!first) return std::nullopt;
  part.bias = {};
  part.weights = rest;
  part.x.layout = first->in_desc[0];
  auto second = lower_quantized_convolution(part);
  if (!second || !(*second->in_desc[0] == *first->in_desc[0])) return std::nullopt;
  first->in_desc.push_back(second->in_desc[1]);
  first->in_plain.push_back(second->in_plain[1]);
  first->out_layout[0] = layout_of_type(*first->out_layout[0], request.output.type);
  if (!first->out_layout[0]) return std::nullopt;
  first->kernel = std::make_unique<SplitConvolution>(std::move(first->kernel), std::move(second->kernel),
                                                     request.output.dims, how, request.threads);
  return first;
}

namespace {

// x · w in 32-bit sums, then zero points and scales:
// Σ (x − a)(w − b) = Σ xw − a Σ w − b Σ x + k a b, everything modulo 2^32, where w and b are less their shift.
class QuantizedProduct final : public Kernel {
 public:
  struct Shape {
    std::int64_t m, k, n;
    DataType x_type, w_zero_type;
    bool has_x_zero, has_w_zero;
    std::int64_t w_zeros;
    std::int32_t w_shift;
    Requantize requantize;
    int threads;
  };

  QuantizedProduct(std::unique_ptr<Kernel> inner, Shape shape)
      : inner_(std::move(inner)), s_(std::move(shape)) {
    implementation = inner_->implementation;
    sums_bytes_ = (static_cast<std::size_t>(s_.m * s_.n) * sizeof(std::int32_t) + 63) / 64 * 64;
    scratch_bytes = sums_bytes_ + inner_->scratch_bytes;
  }
  std::unique_ptr<KernelState> make_state() const override { return inner_->make_state(); }

  Result<void> run(const KernelCall& call) const override {
    auto* sums = reinterpret_cast<std::int32_t*>(call.scratch);
    std::byte* const inner_out[] = {call.scratch};
    TENON_TRY(inner_->run({call.in.first(2), inner_out, call.scratch + sums_bytes_, call.state}));
    const std::int32_t a = s_.has_x_zero ? read_zero(s_.x_type, call.in[3]) : 0;
    // What each column loses whatever the row: a Σ w − k a b, and its b.
    std::vector<std::int32_t> less(static_cast<std::size_t>(s_.n)), b(static_cast<std::size_t>(s_.n));
    bool rows_matter = false;
    for (std::int64_t j = 0; j < s_.n; ++j) {
      const auto zero =
          (s_.has_w_zero ? read_zero(s_.w_zero_type, call.in[4], s_.w_zeros == 1 ? 0 : j) : 0) - s_.w_shift;
      const auto at = static_cast<std::size_t>(j);
      b[at] = zero;
      rows_matter = rows_matter || zero != 0;
      less[at] = wrapped(wide(a) * (In<std::int32_t>{call.in[2]}[j] - s_.k * zero));
    }
    parallel_for(s_.threads, s_.m, std::max<std::int64_t>(1, 16384 / (s_.n + 1)),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (auto row = begin; row < end; ++row) {
                     auto* own = sums + row * s_.n;
                     const auto total = rows_matter ? row_sum(call.in[0], row) : 0;
                     for (std::int64_t j = 0; j < s_.n; ++j) {
                       const auto at = static_cast<std::size_t>(j);
                       own[j] = wrapped(wide(own[j]) - less[at] - wide(total) * b[at]);
                     }
                     s_.requantize.write(own, s_.n, 0, 1, call.out[0], row * s_.n);
                   }
                 });
    return {};
  }

 private:
  static std::int64_t wide(std::int32_t x) { return x; }
  static std::int32_t wrapped(std::int64_t x) {
    return static_cast<std::int32_t>(static_cast<std::uint32_t>(static_cast<std::uint64_t>(x)));
  }

  std::int32_t row_sum(const std::byte* x, std::int64_t row) const {
    std::int32_t total = 0;
    dispatch(ByteTypes{}, s_.x_type, [&]<class T>() {
      const auto own = In<T>{x}.at(row * s_.k);
      std::uint32_t sum = 0;
      for (std::int64_t i = 0; i < s_.k; ++i)
        sum += static_cast<std::uint32_t>(static_cast<std::int32_t>(own[i]));
      total = static_cast<std::int32_t>(sum);
    });
    return total;
  }

  std::unique_ptr<Kernel> inner_;
  Shape s_;
  std::size_t sums_bytes_ = 0;
};

}  // namespace

LayoutResult lower_quantized_product(const QuantizedRequest& r) {
  if (!is_possible(r) || r.x.dims.size() < 2 || r.weights.dims().size() != 2) return std::nullopt;
  const auto k = r.weights.dims()[0], n = r.weights.dims()[1],
             m = product(r.x.dims) / std::max<std::int64_t>(k, 1);
  if (k == 0 || m * k != product(r.x.dims)) return std::nullopt;
  const auto src = dense_desc(*onednn::data_type(r.x.type), {m, k});
  const auto dst = dense_desc(dnnl::memory::data_type::s32, {m, n});
  return guarded(r.threads, [&]() -> LayoutResult {
    dnnl::primitive_attr attr;
    attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const auto pd =
        compat::matmul(cpu_engine(), src, any_desc(dnnl::memory::data_type::s8, {k, n}), {}, dst, attr);
    if (is_reference(pd.impl_info_str())) return std::nullopt;
    auto inner = std::make_unique<PrimitiveKernel>(
        dnnl::matmul(pd),
        std::vector<PrimitiveKernel::Argument>{{DNNL_ARG_SRC, src}, {DNNL_ARG_WEIGHTS, pd.weights_desc()}},
        std::vector<PrimitiveKernel::Argument>{{DNNL_ARG_DST, dst}}, pd.scratchpad_desc(),
        pd.impl_info_str());
    LayoutKernel out;
    const auto plain = [&](const Operand& operand) -> Layout {
      if (!operand.present) return std::nullopt;
      return dense_desc(*onednn::data_type(operand.type), {product(operand.dims)});
    };
    out.in_plain = {src, dense_desc(dnnl::memory::data_type::s8, {k, n}),
                    dense_desc(dnnl::memory::data_type::s32, {n}), plain(r.x_zero), plain(r.w_zero)};
    out.in_desc = out.in_plain;
    out.in_desc[1] = pd.weights_desc();
    out.kernel = std::make_unique<QuantizedProduct>(
        std::move(inner), QuantizedProduct::Shape{
                              m, k, n, r.x.type, r.w_zero.type, r.x_zero.present, r.w_zero.present,
                              r.w_zero.present ? product(r.w_zero.dims) : 0, r.w_shift,
                              Requantize{r.output.type, r.scales, static_cast<float>(r.y_zero)}, r.threads});
    out.out_layout.emplace_back(std::nullopt);
    return out;
  });
}

Layout layout_of_type(const dnnl::memory::desc& desc, DataType type) {
  const auto native = onednn::data_type(type);
  if (!native) return std::nullopt;
  return compat::with_type(desc, *native);
}

}  // namespace tenon::kernels
