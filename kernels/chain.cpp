// Runs the kernels of a chain block by block; see chain.h. Has no arithmetic of its own.
#include "kernels/chain.h"

#include "kernels/element.h"
#include "kernels/parallel.h"

namespace tenon::kernels {
namespace {

constexpr std::int64_t kBlock =
    4096;  // elements: two blocks of intermediate results stay in the first-level cache
constexpr std::size_t align_up(std::size_t n) { return (n + 63) / 64 * 64; }

struct Stage {
  std::unique_ptr<Kernel> whole, rest;  // for a whole block and for the last, shorter one
  std::vector<ChainOperand> operands;
  std::size_t result_bytes;  // of an element
};

class ChainKernel final : public Kernel {
 public:
  ChainKernel(std::vector<Stage> stages, std::int64_t count, std::int64_t block, int threads)
      : stages_(std::move(stages)), count_(count), block_(block), threads_(threads) {
    implementation = fmt::format("tenon chain of {}", stages_.size());
    std::size_t inner = 0, widest = 0;
    for (const auto& stage : stages_) {
      inner = std::max({inner, stage.whole->scratch_bytes, stage.rest ? stage.rest->scratch_bytes : 0});
      widest = std::max(widest, stage.result_bytes);
    }
    tile_bytes_ = align_up(static_cast<std::size_t>(block_) * widest);
    part_bytes_ = 2 * tile_bytes_ + align_up(inner);
    scratch_bytes = part_bytes_ * static_cast<std::size_t>(threads_);
  }

  std::unique_ptr<KernelState> make_state() const override {
    auto state = std::make_unique<State>();
    for (int part = 0; part < threads_; ++part) {
      for (const auto& stage : stages_) {
        state->whole.push_back(stage.whole->make_state());
        state->rest.push_back(stage.rest ? stage.rest->make_state() : nullptr);
      }
    }
    return state;
  }

  Result<void> run(const KernelCall& call) const override {
    const auto& state = static_cast<const State&>(*call.state);
    std::vector<Result<void>> results(static_cast<std::size_t>(threads_));
    const auto blocks = (count_ + block_ - 1) / block_;
    parallel(threads_, [&](int part, int parts) {
      auto& result = results[static_cast<std::size_t>(part)];
      for (auto b = blocks * part / parts; result && b < blocks * (part + 1) / parts; ++b)
        result = run_block(call, state, static_cast<std::size_t>(part), b);
    });
    for (auto& result : results) TENON_TRY(std::move(result));
    return {};
  }

 private:
  struct State final : KernelState {
    std::vector<std::unique_ptr<KernelState>> whole, rest;  // for each part its stages
  };

  Result<void> run_block(const KernelCall& call, const State& state, std::size_t part,
                         std::int64_t block) const {
    constexpr std::size_t kMostOperands = 8;
    const auto first = block * block_;
    const bool is_whole = first + block_ <= count_;
    auto* tiles = call.scratch + part * part_bytes_;
    const std::byte* previous = nullptr;
    for (std::size_t s = 0; s < stages_.size(); ++s) {
      const auto& stage = stages_[s];
      const std::byte* in[kMostOperands];
      for (std::size_t i = 0; i < stage.operands.size(); ++i) {
        const auto& o = stage.operands[i];
        const auto bytes = static_cast<std::int64_t>(element_bytes(o.operand.type));
        switch (o.kind) {
          case ChainOperand::Kind::absent: in[i] = nullptr; break;
          case ChainOperand::Kind::previous: in[i] = previous; break;
          case ChainOperand::Kind::element: in[i] = call.in[o.input] + first * bytes; break;
          case ChainOperand::Kind::row:
          case ChainOperand::Kind::single: in[i] = call.in[o.input]; break;
        }
      }
      const bool last = s + 1 == stages_.size();
      auto* out = last ? call.out[0] + first * static_cast<std::int64_t>(stage.result_bytes)
                       : tiles + (s % 2) * tile_bytes_;
      const auto at = part * stages_.size() + s;
      const auto& kernel = is_whole ? stage.whole : stage.rest;
      const auto& own = is_whole ? state.whole[at] : state.rest[at];
      TENON_TRY(kernel->run({{in, stage.operands.size()}, {&out, 1}, tiles + 2 * tile_bytes_, own.get()}));
      previous = out;
    }
    return {};
  }

  std::vector<Stage> stages_;
  std::int64_t count_, block_;
  int threads_;
  std::size_t tile_bytes_ = 0, part_bytes_ = 0;
};

// The node's kernel for `rows` rows.
std::unique_ptr<Kernel> block_kernel(const ChainNode& node, std::int64_t rows, std::int64_t row,
                                     const Limits& limits) {
  const Dims block = row == 1 ? Dims{rows} : Dims{rows, row};
  std::vector<Operand> operands;
  for (const auto& o : node.operands) {
    auto operand = o.operand;
    operand.layout.reset();
    switch (o.kind) {
      case ChainOperand::Kind::absent: operand = {}; break;
      case ChainOperand::Kind::previous:
      case ChainOperand::Kind::element:
        operand.dims = block;
        operand.constant = {};
        break;
      case ChainOperand::Kind::row: operand.dims = {row}; break;
      case ChainOperand::Kind::single: operand.dims = {}; break;
    }
    if (operand.constant.defined()) {
      auto reshaped = operand.constant.reshaped(operand.dims);
      if (!reshaped) return nullptr;
      operand.constant = *std::move(reshaped);
    }
    operands.push_back(std::move(operand));
  }
  const std::vector<TensorDesc> outputs{{node.result, block}};
  auto kernel = make_kernel({*node.node, operands, outputs, 1, false, limits});
  if (!kernel || (*kernel)->can_fail || (*kernel)->takes_values()) return nullptr;
  return *std::move(kernel);
}

}  // namespace

std::unique_ptr<Kernel> make_chain(std::span<const ChainNode> nodes, std::int64_t count, std::int64_t row,
                                   int threads, const Limits& limits) {
  const auto rows_in_block = std::max<std::int64_t>(1, kBlock / row), rows = count / row;
  const auto block_rows = std::min(rows_in_block, rows);
  if (block_rows < 1) return nullptr;
  std::vector<Stage> stages;
  for (const auto& node : nodes) {
    Stage stage{block_kernel(node, block_rows, row, limits),
                rows % block_rows == 0 ? nullptr : block_kernel(node, rows % block_rows, row, limits),
                node.operands, element_bytes(node.result)};
    if (!stage.whole || (!stage.rest && rows % block_rows != 0)) return nullptr;
    stages.push_back(std::move(stage));
  }
  return std::make_unique<ChainKernel>(std::move(stages), count, block_rows * row, threads);
}

}  // namespace tenon::kernels
