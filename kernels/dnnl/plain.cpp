// A kernel that chooses its own layouts, wrapped so that its operands and results are plain.
#include "kernels/dnnl/primitives.h"

namespace tenon::kernels {
namespace {

constexpr std::size_t align_up(std::size_t n) { return (n + 63) / 64 * 64; }

class PlainKernel final : public Kernel {
 public:
  struct Part {
    std::unique_ptr<Kernel> reorder;  // null: used as it is
    std::size_t offset = 0;           // of the reordered bytes in scratch
  };

  PlainKernel(std::unique_ptr<Kernel> inner, std::vector<Part> in, Part out, std::size_t bytes)
      : inner_(std::move(inner)), in_(std::move(in)), out_(std::move(out)), own_bytes_(bytes) {
    implementation = inner_->implementation;
    std::size_t most = inner_->scratch_bytes;
    for (const auto& part : in_) most = std::max(most, part.reorder ? part.reorder->scratch_bytes : 0);
    if (out_.reorder) most = std::max(most, out_.reorder->scratch_bytes);
    scratch_bytes = own_bytes_ + most;
  }

  struct State final : KernelState {
    std::unique_ptr<KernelState> inner, out;
    std::vector<std::unique_ptr<KernelState>> in;
  };

  std::unique_ptr<KernelState> make_state() const override {
    auto state = std::make_unique<State>();
    state->inner = inner_->make_state();
    for (const auto& part : in_) state->in.push_back(part.reorder ? part.reorder->make_state() : nullptr);
    if (out_.reorder) state->out = out_.reorder->make_state();
    return state;
  }

  Result<void> run(const KernelCall& call) const override {
    auto& state = static_cast<State&>(*call.state);
    std::vector<const std::byte*> in(call.in.begin(), call.in.end());
    in.resize(in_.size(), nullptr);
    auto* scratch = call.scratch + own_bytes_;
    const auto reorder = [&](const Part& part, const std::byte* from, std::byte* to, KernelState* own) {
      return part.reorder->run({{&from, 1}, {&to, 1}, scratch, own});
    };
    for (std::size_t i = 0; i < in_.size(); ++i) {
      if (!in_[i].reorder) continue;
      TENON_TRY(reorder(in_[i], call.in[i], call.scratch + in_[i].offset, state.in[i].get()));
      in[i] = call.scratch + in_[i].offset;
    }
    auto* out = out_.reorder ? call.scratch + out_.offset : call.out[0];
    TENON_TRY(inner_->run({in, {&out, 1}, scratch, state.inner.get()}));
    if (out_.reorder) TENON_TRY(reorder(out_, out, call.out[0], state.out.get()));
    return {};
  }

 private:
  std::unique_ptr<Kernel> inner_;
  std::vector<Part> in_;
  Part out_;
  std::size_t own_bytes_;
};

}  // namespace

std::unique_ptr<Kernel> dnnl_plain(const LowerContext& c, LayoutResult (*lower)(const LayoutRequest&)) {
  if (c.reference || c.inputs[0].type != DataType::f32) return nullptr;
  LayoutRequest request{
      c.node, {c.inputs.begin(), c.inputs.end()}, {c.outputs.begin(), c.outputs.end()}, {}, c.threads};
  if (c.node.op == Op::Gemm) {
    if (c.node.real("alpha") != 1.0f || (c.has(2) && c.node.real("beta") != 1.0f)) return nullptr;
  }
  auto made = lower(request);
  if (!made) return nullptr;
  std::size_t bytes = 0;
  std::vector<PlainKernel::Part> in(made->in_desc.size());
  for (std::size_t i = 0; i < in.size(); ++i) {
    if (!made->in_desc[i] || !c.has(i)) continue;
    const auto view =
        made->in_plain[i] ? *made->in_plain[i] : *plain_desc(c.inputs[i].type, c.inputs[i].dims);
    if (view == *made->in_desc[i]) continue;
    in[i].reorder = make_reorder(view, *made->in_desc[i], c.threads);
    if (!in[i].reorder) return nullptr;
    in[i].offset = bytes;
    bytes += align_up(desc_bytes(*made->in_desc[i]));
  }
  PlainKernel::Part out;
  const auto& layout = made->out_layout[0];
  if (layout && !is_plain(*layout, c.outputs[0].type, c.outputs[0].dims)) {
    out.reorder = make_reorder(*layout, *plain_desc(c.outputs[0].type, c.outputs[0].dims), c.threads);
    if (!out.reorder) return nullptr;
    out.offset = bytes;
    bytes += align_up(desc_bytes(*layout));
  }
  return std::make_unique<PlainKernel>(std::move(made->kernel), std::move(in), std::move(out), bytes);
}

}  // namespace tenon::kernels
