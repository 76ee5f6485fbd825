// What all oneDNN kernels share: descriptors, execution, reorders, element-wise functions.
#include "kernels/dnnl/primitives.h"

#include "kernels/dnnl/internal.h"
#include "kernels/element.h"

namespace tenon::kernels {
namespace onednn {

const dnnl::engine& cpu_engine() {
  static const auto* engine = new dnnl::engine(dnnl::engine::kind::cpu, 0);
  return *engine;
}

std::optional<dnnl::memory::data_type> data_type(DataType type) {
  switch (type) {
    case DataType::f32: return dnnl::memory::data_type::f32;
    case DataType::i32: return dnnl::memory::data_type::s32;
    case DataType::i8: return dnnl::memory::data_type::s8;
    case DataType::u8: return dnnl::memory::data_type::u8;
    default: return std::nullopt;
  }
}

dnnl::memory::dims to_dims(const Dims& dims) {
  if (dims.empty()) return {1};
  return {dims.begin(), dims.end()};
}

dnnl::memory::desc any_desc(dnnl::memory::data_type type, const dnnl::memory::dims& dims) {
  return {dims, type, dnnl::memory::format_tag::any};
}

dnnl::memory::desc dense_desc(dnnl::memory::data_type type, const dnnl::memory::dims& dims) {
  dnnl::memory::dims strides(dims.size(), 1);
  for (std::size_t i = dims.size(); i-- > 1;)
    strides[i - 1] = strides[i] * std::max<std::int64_t>(dims[i], 1);
  return {dims, type, strides};
}

dnnl::primitive_attr attributes(const LayoutRequest& request, const dnnl::memory::desc* output) {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  dnnl::post_ops ops;
  for (const auto& op : request.post_ops) {
    if (!op.is_binary) {
      compat::append_eltwise(ops, op.algorithm, op.alpha, op.beta);
      continue;
    }
    const auto& operand = request.inputs[op.operand];
    const bool same = operand.dims == request.outputs[0].dims;
    ops.append_binary(op.algorithm,
                      same && output != nullptr ? *output : *plain_desc(operand.type, operand.dims));
  }
  attr.set_post_ops(ops);
  return attr;
}

namespace {

struct PrimitiveState final : KernelState {
  dnnl::stream stream{cpu_engine()};
  std::vector<dnnl::memory> in, out;
  dnnl::memory scratchpad;
  std::unordered_map<int, dnnl::memory> args;
};

// Setting a handle makes oneDNN clear the padding of blocked layouts, so it is done only when the address
// changed.
void attach(dnnl::memory& memory, const void* address) {
  auto* handle = const_cast<void*>(address);
  if (memory.get_data_handle() != handle) memory.set_data_handle(handle);
}

}  // namespace

PrimitiveKernel::PrimitiveKernel(dnnl::primitive primitive, std::vector<Argument> in,
                                 std::vector<Argument> out, const dnnl::memory::desc& scratchpad,
                                 std::string_view name)
    : primitive_(std::move(primitive)), in_(std::move(in)), out_(std::move(out)), scratchpad_(scratchpad) {
  implementation = fmt::format("dnnl {}", name);
  scratch_bytes = desc_bytes(scratchpad);
}

std::unique_ptr<KernelState> PrimitiveKernel::make_state() const {
  auto state = std::make_unique<PrimitiveState>();
  const auto add = [&](const Argument& argument, std::vector<dnnl::memory>& list) {
    list.emplace_back();
    if (argument.id == 0) return;
    list.back() = dnnl::memory(argument.desc, cpu_engine(), nullptr);
    state->args.emplace(argument.id, list.back());
  };
  for (const auto& argument : in_) add(argument, state->in);
  for (const auto& argument : out_) add(argument, state->out);
  if (scratch_bytes > 0) {
    state->scratchpad = dnnl::memory(scratchpad_, cpu_engine(), nullptr);
    state->args.emplace(DNNL_ARG_SCRATCHPAD, state->scratchpad);
  }
  return state;
}

Result<void> PrimitiveKernel::run(const KernelCall& call) const {
  auto& state = static_cast<PrimitiveState&>(*call.state);
  try {
    for (std::size_t i = 0; i < in_.size(); ++i) {
      if (in_[i].id != 0) attach(state.in[i], call.in[i]);
    }
    for (std::size_t i = 0; i < out_.size(); ++i) attach(state.out[i], call.out[i]);
    if (scratch_bytes > 0) attach(state.scratchpad, call.scratch);
    primitive_.execute(state.stream, state.args);
    return {};
  } catch (const dnnl::error& e) {
    return fail(ErrorCode::runtime_error, "oneDNN: {}", e.what());
  }
}

}  // namespace onednn

using onednn::guarded;

std::optional<dnnl::memory::desc> plain_desc(DataType type, const Dims& dims) {
  const auto native = onednn::data_type(type);
  if (!native) return std::nullopt;
  return onednn::dense_desc(*native, onednn::to_dims(dims));
}

std::size_t desc_bytes(const dnnl::memory::desc& desc) { return desc.get_size(); }

bool is_plain(const dnnl::memory::desc& desc, DataType type, const Dims& dims) {
  const auto plain = plain_desc(type, dims);
  return plain && same_places(*plain, desc);
}

std::unique_ptr<Kernel> make_reorder(const dnnl::memory::desc& from, const dnnl::memory::desc& to,
                                     int threads) {
  return guarded(threads, [&]() -> std::unique_ptr<Kernel> {
    dnnl::primitive_attr attr;
    attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const auto& engine = onednn::cpu_engine();
    const dnnl::reorder::primitive_desc pd(engine, from, engine, to, attr);
    // Reorders into weights' layouts have only `simple:any`; a `ref` one still beats having none.
    return std::make_unique<onednn::PrimitiveKernel>(
        dnnl::reorder(pd), std::vector<onednn::PrimitiveKernel::Argument>{{DNNL_ARG_FROM, from}},
        std::vector<onednn::PrimitiveKernel::Argument>{{DNNL_ARG_TO, to}}, pd.scratchpad_desc(),
        pd.impl_info_str());
  });
}

std::vector<PostOp> eltwise_post_ops(const Node& node, std::span<const Operand> inputs) {
  using A = dnnl::algorithm;
  const auto one = [](A algorithm, float alpha = 0, float beta = 0) {
    return std::vector<PostOp>{{false, algorithm, alpha, beta, 0}};
  };
  switch (node.op) {
    case Op::Relu: return one(A::eltwise_relu);
    case Op::LeakyRelu: return one(A::eltwise_relu, node.real("alpha"));
    case Op::Sigmoid: return one(A::eltwise_logistic);
    case Op::Tanh: return one(A::eltwise_tanh);
    case Op::Elu: return one(A::eltwise_elu, node.real("alpha"));
    case Op::Exp: return one(A::eltwise_exp);
    case Op::Log: return one(A::eltwise_log);
    case Op::Abs: return one(A::eltwise_abs);
    case Op::Sqrt: return one(A::eltwise_sqrt);
    case Op::HardSwish: return one(A::eltwise_hardswish, 1.0f / 6, 0.5f);
    case Op::Gelu:
      return one(node.text("approximate") == "tanh" ? A::eltwise_gelu_tanh : A::eltwise_gelu_erf);
    case Op::HardSigmoid:
      return {{false, A::eltwise_linear, node.real("alpha"), node.real("beta"), 0},
              {false, A::eltwise_clip, 0, 1, 0}};
    case Op::Clip: {
      float bounds[2] = {-std::numeric_limits<float>::infinity(), std::numeric_limits<float>::infinity()};
      for (std::size_t i = 1; i < inputs.size(); ++i) {
        if (!inputs[i].present) continue;
        if (!inputs[i].constant.defined() || inputs[i].type != DataType::f32 ||
            inputs[i].constant.count() != 1)
          return {};
        std::memcpy(&bounds[i - 1], inputs[i].constant.data(), sizeof(float));
      }
      if (!(bounds[0] <= bounds[1])) return {};
      return one(A::eltwise_clip, bounds[0], bounds[1]);
    }
    default: return {};
  }
}

namespace {

// Worth a primitive: functions that oneDNN vectorises and a plain loop calls libm for. Not Log, which is off
// by 3e-6 near 1 there.
bool is_transcendental(Op op) {
  switch (op) {
    case Op::Sigmoid:
    case Op::Tanh:
    case Op::Elu:
    case Op::Exp:
    case Op::Gelu: return true;
    default: return false;
  }
}

// oneDNN's exponential of NaN is infinite. Operand and result lie in one layout.
class ExactExponential final : public Kernel {
 public:
  ExactExponential(std::unique_ptr<Kernel> exponential, std::size_t bytes)
      : exponential_(std::move(exponential)), count_(static_cast<std::int64_t>(bytes / sizeof(float))) {
    implementation = exponential_->implementation;
    scratch_bytes = exponential_->scratch_bytes;
  }
  std::unique_ptr<KernelState> make_state() const override { return exponential_->make_state(); }
  Result<void> run(const KernelCall& call) const override {
    TENON_TRY(exponential_->run(call));
    const In<float> in{call.in[0]};
    const Out<float> out{call.out[0]};
    for (std::int64_t i = 0; i < count_; ++i) {
      if (in[i] != in[i]) out.set(i, in[i]);
    }
    return {};
  }

 private:
  std::unique_ptr<Kernel> exponential_;
  std::int64_t count_;
};

std::unique_ptr<Kernel> eltwise_kernel(const PostOp& op, const dnnl::memory::desc& desc, int threads) {
  return guarded(threads, [&]() -> std::unique_ptr<Kernel> {
    dnnl::primitive_attr attr;
    attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const auto pd = compat::eltwise(onednn::cpu_engine(), op.algorithm, desc, op.alpha, op.beta, attr);
    if (onednn::is_reference(pd.impl_info_str())) return nullptr;
    auto kernel = std::make_unique<onednn::PrimitiveKernel>(
        dnnl::eltwise_forward(pd), std::vector<onednn::PrimitiveKernel::Argument>{{DNNL_ARG_SRC, desc}},
        std::vector<onednn::PrimitiveKernel::Argument>{{DNNL_ARG_DST, desc}}, pd.scratchpad_desc(),
        pd.impl_info_str());
    if (op.algorithm != dnnl::algorithm::eltwise_exp) return kernel;
    return std::make_unique<ExactExponential>(std::move(kernel), desc_bytes(desc));
  });
}

}  // namespace

std::unique_ptr<Kernel> dnnl_eltwise(const LowerContext& c) {
  constexpr std::int64_t kWorthwhile = 64;  // below, calling a primitive costs more than the loop
  const auto count = product(c.outputs[0].dims);
  if (c.inputs[0].type != DataType::f32 || count < kWorthwhile || !is_transcendental(c.node.op))
    return nullptr;
  const auto ops = eltwise_post_ops(c.node, c.inputs);
  if (ops.size() != 1) return nullptr;
  return eltwise_kernel(ops[0], *plain_desc(DataType::f32, {count}), c.threads);
}

LayoutResult lower_eltwise(const LayoutRequest& r) {
  if (r.inputs[0].type != DataType::f32 || !r.inputs[0].layout) return std::nullopt;
  const auto ops = eltwise_post_ops(r.node, r.inputs);
  if (ops.size() != 1) return std::nullopt;
  LayoutKernel out;
  out.kernel = eltwise_kernel(ops[0], *r.inputs[0].layout, r.threads);
  if (!out.kernel) return std::nullopt;
  out.in_desc.assign(r.inputs.size(), std::nullopt);
  out.in_plain.assign(r.inputs.size(), std::nullopt);
  out.in_desc[0] = r.inputs[0].layout;
  out.out_layout.push_back(r.inputs[0].layout);
  return out;
}

LayoutResult lower_binary(const LayoutRequest& r) {
  if (r.inputs.size() != 2 || r.inputs[0].type != DataType::f32) return std::nullopt;
  using A = dnnl::algorithm;
  A algorithm{};
  switch (r.node.op) {
    case Op::Add:
    case Op::Sum: algorithm = A::binary_add; break;
    case Op::Sub: algorithm = A::binary_sub; break;
    case Op::Mul: algorithm = A::binary_mul; break;
    case Op::Div: algorithm = A::binary_div; break;
    case Op::Max: algorithm = A::binary_max; break;
    case Op::Min: algorithm = A::binary_min; break;
    default: return std::nullopt;
  }
  // The operand with the output's dims decides the layout; oneDNN wants it first, so only commuting operators
  // may swap.
  std::size_t first = 0;
  const bool commutes = algorithm != A::binary_sub && algorithm != A::binary_div;
  if (commutes && (!r.inputs[0].layout || !(r.inputs[0].dims == r.outputs[0].dims))) first = 1;
  const auto& a = r.inputs[first];
  const auto& b = r.inputs[1 - first];
  if (!a.layout || !(a.dims == r.outputs[0].dims)) return std::nullopt;
  return guarded(r.threads, [&]() -> LayoutResult {
    Dims dims = b.dims;
    while (dims.size() < a.dims.size()) dims.insert(0, 1);
    const auto b_plain = *plain_desc(b.type, dims);
    const auto b_desc = b.dims == a.dims ? *a.layout : b_plain;
    dnnl::primitive_attr attr;
    attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const auto pd = compat::binary(onednn::cpu_engine(), algorithm, *a.layout, b_desc, *a.layout, attr);
    if (onednn::is_reference(pd.impl_info_str())) return std::nullopt;
    LayoutKernel out;
    std::vector<onednn::PrimitiveKernel::Argument> in(2);
    in[first] = {DNNL_ARG_SRC_0, *a.layout};
    in[1 - first] = {DNNL_ARG_SRC_1, b_desc};
    out.kernel = std::make_unique<onednn::PrimitiveKernel>(
        dnnl::binary(pd), std::move(in),
        std::vector<onednn::PrimitiveKernel::Argument>{{DNNL_ARG_DST, *a.layout}}, pd.scratchpad_desc(),
        pd.impl_info_str());
    out.in_desc.resize(2);
    out.in_plain.resize(2);
    out.in_desc[first] = a.layout;
    out.in_desc[1 - first] = b_desc;
    out.in_plain[1 - first] = b_plain;
    out.out_layout.push_back(a.layout);
    return out;
  });
}

LayoutResult lower_concat(const LayoutRequest& r) {
  if (r.inputs[0].type != DataType::f32) return std::nullopt;
  if (std::none_of(r.inputs.begin(), r.inputs.end(), [](const Operand& o) { return o.layout.has_value(); }))
    return std::nullopt;
  return guarded(r.threads, [&]() -> LayoutResult {
    std::vector<dnnl::memory::desc> sources;
    for (const auto& input : r.inputs)
      sources.push_back(input.layout ? *input.layout : *plain_desc(input.type, input.dims));
    auto axis = static_cast<int>(r.node.integer("axis"));
    if (axis < 0) axis += static_cast<int>(r.outputs[0].dims.size());
    dnnl::primitive_attr attr;
    attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const auto pd = compat::concat(onednn::cpu_engine(), axis, sources, attr);
    if (onednn::is_reference(pd.impl_info_str())) return std::nullopt;
    LayoutKernel out;
    std::vector<onednn::PrimitiveKernel::Argument> in;
    for (std::size_t i = 0; i < sources.size(); ++i) {
      in.push_back({DNNL_ARG_MULTIPLE_SRC + static_cast<int>(i), sources[i]});
      out.in_desc.emplace_back(sources[i]);
      out.in_plain.emplace_back(std::nullopt);
    }
    out.kernel = std::make_unique<onednn::PrimitiveKernel>(
        dnnl::concat(pd), std::move(in),
        std::vector<onednn::PrimitiveKernel::Argument>{{DNNL_ARG_DST, pd.dst_desc()}}, pd.scratchpad_desc(),
        pd.impl_info_str());
    out.out_layout.emplace_back(pd.dst_desc());
    return out;
  });
}

}  // namespace tenon::kernels
