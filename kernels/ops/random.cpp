// Random numbers: RandomNormal, RandomUniform and their Like forms, Bernoulli, Multinomial. A given seed
// makes the sequence the same in every run; without one each kernel draws from the system once. The sequences
// are not those of other runtimes.
#include <cmath>
#include <random>

#include "kernels/infer.h"
#include "kernels/ops/families.h"
#include "kernels/ops/number.h"

namespace tenon::kernels {
namespace shape {

Result<void> random_shape(InferContext& c) {
  return c.set(0, TENON_TRY(Dims::from(c.node.integers("shape"))));
}

Result<void> multinomial(InferContext& c) {
  const auto samples = c.node.integer("sample_size");
  if (c.dims(0).size() != 2 || samples < 0)
    return c.invalid(fmt::format("operand {}, {} samples", to_string(c.dims(0)), samples));
  return c.set(0, {c.dims(0)[0], samples});
}

}  // namespace shape

namespace {

struct GeneratorState final : KernelState {
  std::mt19937_64 engine;
};

template <class F>
class RandomKernel final : public Kernel {
 public:
  RandomKernel(std::optional<std::uint64_t> seed, F f) : seed_(seed), f_(std::move(f)) {
    implementation = "tenon random";
  }
  std::unique_ptr<KernelState> make_state() const override {
    auto state = std::make_unique<GeneratorState>();
    state->engine.seed(seed_ ? *seed_ : std::uint64_t{std::random_device{}()} << 32 | std::random_device{}());
    return state;
  }
  Result<void> run(const KernelCall& call) const override {
    return f_(call, static_cast<GeneratorState&>(*call.state).engine);
  }

 private:
  std::optional<std::uint64_t> seed_;
  F f_;
};

template <class F>
KernelResult random_kernel(const Node& node, F f) {
  std::optional<std::uint64_t> seed;
  if (node.has("seed")) seed = std::bit_cast<std::uint32_t>(node.real("seed"));
  auto kernel = std::make_unique<RandomKernel<F>>(seed, std::move(f));
  kernel->can_fail = true;  // drawing twice would give two results: neither early nor late
  return kernel;
}

}  // namespace

KernelResult fast::random(const LowerContext& c) {
  const auto type = c.outputs[0].type;
  const auto count = product(c.outputs[0].dims);
  const auto& n = c.node;
  switch (n.op) {
    case Op::RandomNormal:
    case Op::RandomNormalLike: {
      const double mean = n.real("mean"), scale = n.real("scale");
      return random_kernel(n, [=](const KernelCall& call, std::mt19937_64& engine) -> Result<void> {
        std::normal_distribution<double> normal;
        for (std::int64_t i = 0; i < count; ++i)
          set_number(type, call.out[0], i, mean + scale * normal(engine));
        return {};
      });
    }
    case Op::RandomUniform:
    case Op::RandomUniformLike: {
      const double low = n.real("low"), high = n.real("high");
      return random_kernel(n, [=](const KernelCall& call, std::mt19937_64& engine) -> Result<void> {
        std::uniform_real_distribution<double> uniform;
        for (std::int64_t i = 0; i < count; ++i)
          set_number(type, call.out[0], i, low + (high - low) * uniform(engine));
        return {};
      });
    }
    case Op::Bernoulli: {
      const auto from = c.inputs[0].type;
      return random_kernel(n, [=](const KernelCall& call, std::mt19937_64& engine) -> Result<void> {
        std::uniform_real_distribution<double> uniform;
        for (std::int64_t i = 0; i < count; ++i) {
          set_number(type, call.out[0], i, uniform(engine) < get_number(from, call.in[0], i) ? 1 : 0);
        }
        return {};
      });
    }
    default: {
      const auto from = c.inputs[0].type;
      const auto classes = c.in_dims(0)[1], samples = c.outputs[0].dims[1];
      return random_kernel(n, [=](const KernelCall& call, std::mt19937_64& engine) -> Result<void> {
        std::uniform_real_distribution<double> uniform;
        for (std::int64_t i = 0; i < count; ++i) {
          // Operands are logarithms of unnormalised probabilities.
          const auto row = i / samples * classes;
          double total = 0;
          for (std::int64_t k = 0; k < classes; ++k) total += std::exp(get_number(from, call.in[0], row + k));
          double left = uniform(engine) * total;
          std::int64_t pick = 0;
          for (; pick + 1 < classes; ++pick) {
            left -= std::exp(get_number(from, call.in[0], row + pick));
            if (left < 0) break;
          }
          set_number(type, call.out[0], i, static_cast<double>(pick));
        }
        return {};
      });
    }
  }
}

}  // namespace tenon::kernels
