// Stage 2 of planning as one class: what its parts (lower.cpp, lower_layouts.cpp, lower_fused.cpp, lower_quantized.cpp)
// share. Internal to them.
#pragma once
#include "kernels/chain.h"
#include "kernels/planner.h"

namespace tenon::kernels {

inline bool is_convolution(Op op) { return op == Op::Conv || op == Op::ConvTranspose; }
inline bool is_product(Op op) { return op == Op::MatMul || op == Op::Gemm; }
inline bool is_quantized_convolution(Op op) { return op == Op::QLinearConv || op == Op::ConvInteger; }
inline bool is_quantized_product(Op op) { return op == Op::QLinearMatMul || op == Op::MatMulInteger; }
inline bool is_byte(DataType type) { return type == DataType::u8 || type == DataType::i8; }

inline Operand constant_operand(const Tensor& tensor) {
  if (!tensor.defined()) return {};
  return {true, tensor.type(), tensor.dims(), tensor, {}, false};
}

class Lowering {
 public:
  Lowering(FlatGraph& flat, const CompileOptions& options, ConstantCache& cache)
      : flat_(flat), options_(options), cache_(cache), versions_(flat.values.size()) {}

  Result<LoweredGraph> run();

 private:
  struct Version {
    Layout layout;
    std::int32_t storage;
  };

  // A group that grows from a convolution or product: its operands, what follows it, and the value it ends
  // in.
  struct Group {
    LayoutRequest request;
    std::vector<std::int32_t> operands;            // flat values, kNone for constants made here
    std::vector<std::int32_t> ends;                // value at the end of each prefix of post-ops
    std::vector<std::size_t> post_counts;          // post-ops in each prefix
    std::vector<std::vector<FlatNode*>> consumed;  // nodes that each prefix takes in
  };

  // What a chain of nodes makes of each byte: table[code], codes in ascending order.
  struct ByteChain {
    std::vector<FlatNode*> nodes;  // DequantizeLinear, element-wise functions, QuantizeLinear
    std::int32_t end = kNone;
    Tensor table;
  };

  // The scale and offset of a BatchNormalization whose statistics are constants, for each channel.
  struct Affine {
    Tensor scale, offset;
  };

  FlatValue& value(std::int32_t id) { return flat_.values[static_cast<std::size_t>(id)]; }
  std::vector<Version>& versions(std::int32_t id) { return versions_[static_cast<std::size_t>(id)]; }
  std::int32_t root(std::int32_t id) { return value(id).alias_of == kNone ? id : value(id).alias_of; }

  // Nodes and steps.
  void describe(const FlatNode& node, std::size_t before);
  std::int32_t add_storage(Storage storage);
  std::int32_t constant_storage(const Tensor& tensor);
  std::int32_t add_step(std::shared_ptr<const Kernel> kernel, std::vector<std::int32_t> in,
                        std::span<const std::size_t> out_bytes, const std::vector<bool>& wanted);
  Result<void> lower_node(FlatNode& node);
  std::vector<Operand> operands_of(const FlatNode& node);
  std::vector<TensorDesc> outputs_of(const FlatNode& node);
  Result<void> lower_plain(FlatNode& node);
  Result<bool> add_results(const FlatNode& node, std::unique_ptr<Kernel> kernel, std::vector<std::int32_t> in,
                           std::span<const TensorDesc> outputs, std::span<const Layout> layouts);
  Result<void> emit(LayoutKernel& made, std::span<const std::int32_t> in, std::span<const Operand> constants,
                    std::int32_t end);
  FlatNode* only_user(std::int32_t id);
  bool is_available(std::int32_t id);

  // Layouts.
  Result<std::int32_t> add_reorder(std::int32_t from_storage, const dnnl::memory::desc& from,
                                   const dnnl::memory::desc& to);
  Result<std::int32_t> plain(std::int32_t id);
  Result<std::int32_t> in_layout(std::int32_t id, const Layout& want, const Layout& seen_as);
  Result<std::int32_t> packed(const Tensor& constant, const dnnl::memory::desc& from,
                              const dnnl::memory::desc& to, bool of_model);
  Result<bool> lower_in_layout(FlatNode& node);
  Result<bool> lower_transpose(const FlatNode& node);
  Result<bool> lower_reordered(FlatNode& node);
  Result<LayoutResult> lower_conversion(const FlatNode& node);
  Layout layout_of(std::int32_t id);

  // Groups and chains.
  Result<bool> lower_group(FlatNode& node);
  Group make_group(FlatNode& node);
  bool leaves_one_step(const FlatNode& first, const FlatNode& next);
  bool normalize_gemm(Group& group);
  std::optional<Affine> affine_of(const FlatNode& node, std::int64_t channels);
  bool normalize_batch_norm(Group& group);
  bool fold_constants(Group& group, const FlatNode& next, std::int32_t end);
  static void set_constant(Group& group, std::size_t operand, const Tensor& tensor);
  bool fold_batch_norm(Group& group, const FlatNode& next);
  FlatNode* swish_of(std::int32_t end, Group& group);
  bool append_post_op(Group& group, const FlatNode& next, std::int32_t end);
  std::optional<Layout> chain_layout(const FlatNode& first, const Dims& dims);
  std::optional<ChainOperand> chain_operand(std::int32_t id, Dims dims, const Layout& layout,
                                            std::int64_t& row);
  Result<bool> lower_chain(FlatNode& first);

  // Quantised operators.
  const Tensor* model_constant(const FlatNode& node, std::size_t i);
  Result<std::optional<Tensor>> evaluate(const FlatNode& node, std::int32_t of, const Tensor& elements);
  Result<std::optional<ByteChain>> byte_chain(FlatNode& first);
  Result<bool> lower_table(FlatNode& node);
  Result<bool> lower_quantized(FlatNode& node);
  const Tensor* channel_constant(const FlatNode* node, Op op, std::int32_t of, std::int64_t channels);
  Result<std::optional<ByteChain>> scaled_sums(const FlatNode& node, std::int64_t channels,
                                               QuantizedRequest& r);
  bool take_scales(const FlatNode& node, std::int64_t channels, QuantizedRequest& r);
  double multiplier(const FlatNode& node, std::int64_t channel, DataType x_type);
  void round_twice(const FlatNode& node, QuantizedRequest& r);
  enum class Bits : std::uint8_t { all, most, rest };
  Result<Tensor> shifted_weights(const FlatNode& node, const Tensor& weights, const Tensor* zero,
                                 std::int32_t shift, Bits bits);
  Result<bool> lower_split(FlatNode& node, const Tensor& weights, const Tensor* zero, QuantizedRequest& r,
                           std::vector<std::int32_t> in);
  Result<Tensor> sums_of_columns(const FlatNode& node, const Tensor& weights);
  Result<std::optional<ByteChain>> chain_after(const FlatNode& node);
  bool fuse_chain(const ByteChain& chain, QuantizedRequest& r);

  FlatGraph& flat_;
  const CompileOptions& options_;
  ConstantCache& cache_;
  std::vector<std::vector<Version>> versions_;
  LoweredGraph out_;
  FlatNode* current_ = nullptr;
};

}  // namespace tenon::kernels
