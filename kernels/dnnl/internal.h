// Shared by the makers of oneDNN kernels.
#pragma once
#include <string_view>

#include "kernels/dnnl/primitives.h"
#include "kernels/parallel.h"

namespace tenon::kernels::onednn {

const dnnl::engine& cpu_engine();
std::optional<dnnl::memory::data_type> data_type(DataType type);
dnnl::memory::dims to_dims(const Dims& dims);
dnnl::memory::desc any_desc(dnnl::memory::data_type type, const dnnl::memory::dims& dims);
dnnl::memory::desc dense_desc(dnnl::memory::data_type type, const dnnl::memory::dims& dims);

/// Scratchpad from the caller, and these post-ops. `output` gives binary operands their layout when they have
/// its dims.
dnnl::primitive_attr attributes(const LayoutRequest& request, const dnnl::memory::desc* output);

/// A convolution node as oneDNN describes it, without source and result: those are the caller's choice.
struct ConvolutionGeometry {
  compat::ConvolutionShape shape;
  dnnl::memory::desc weights_plain;  // how the node's own weights are seen
};
std::optional<ConvolutionGeometry> convolution_geometry(const Node& node, const Dims& in, const Dims& weights,
                                                        const Dims& out,
                                                        dnnl::memory::data_type weights_type);

inline bool is_reference(std::string_view implementation) {
  return implementation.find("ref") != std::string_view::npos;
}

/// One oneDNN primitive with its arguments in the order of a KernelCall.
class PrimitiveKernel final : public Kernel {
 public:
  struct Argument {
    int id = 0;  // DNNL_ARG_…; 0: the primitive does not take this operand
    dnnl::memory::desc desc;
  };
  PrimitiveKernel(dnnl::primitive primitive, std::vector<Argument> in, std::vector<Argument> out,
                  const dnnl::memory::desc& scratchpad, std::string_view name);
  Result<void> run(const KernelCall& call) const override;
  std::unique_ptr<KernelState> make_state() const override;

 private:
  dnnl::primitive primitive_;
  std::vector<Argument> in_, out_;
  dnnl::memory::desc scratchpad_;
};

/// A maximum pool of f32 in any layout whose windows of nothing but -inf give -inf. Bytes are those of its layouts.
std::unique_ptr<Kernel> exact_maxima(std::unique_ptr<Kernel> pool, std::size_t src_bytes,
                                     std::size_t dst_bytes, int threads);

/// Runs `make` with the team size that the primitive is to have; oneDNN's exceptions end here and count as
/// "has none".
template <class F>
auto guarded(int threads, F&& make) -> decltype(make()) {
  const ThreadCountScope scope(threads);
  try {
    return make();
  } catch (const dnnl::error&) {
    return {};
  }
}

}  // namespace tenon::kernels::onednn
