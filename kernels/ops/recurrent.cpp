// LSTM, GRU and RNN. The plain form takes one sequence after the other; both products of a step are sums of weight rows
// scaled by inputs. Where all sequences of a batch have one length, f32 goes by matrix products: one for the inputs
// of many steps, one for the states of all sequences at each step.
#include <cmath>

#include "kernels/dnnl/gemm.h"
#include "kernels/element.h"
#include "kernels/infer.h"
#include "kernels/ops/families.h"

namespace tenon::kernels {
namespace {

template <class T>
struct Activation {
  T (*apply)(T x, T alpha, T beta);
  T alpha, beta;
  T operator()(T x) const { return apply(x, alpha, beta); }
};

template <class T>
struct ActivationRow {
  std::string_view name;
  T (*apply)(T, T, T);
  double alpha, beta;  // defaults
  bool uses_alpha, uses_beta;
};

template <class T>
constexpr ActivationRow<T> kActivations[] = {
    {"Sigmoid", [](T x, T, T) -> T { return 1 / (1 + std::exp(-x)); }, 0, 0, false, false},
    {"Tanh", [](T x, T, T) -> T { return std::tanh(x); }, 0, 0, false, false},
    {"Relu", [](T x, T, T) -> T { return x > 0 ? x : 0; }, 0, 0, false, false},
    {"LeakyRelu", [](T x, T a, T) -> T { return x >= 0 ? x : a * x; }, 0.01, 0, true, false},
    {"ThresholdedRelu", [](T x, T a, T) -> T { return x > a ? x : 0; }, 1, 0, true, false},
    {"ScaledTanh", [](T x, T a, T b) -> T { return a * std::tanh(b * x); }, 1, 1, true, true},
    {"HardSigmoid", [](T x, T a, T b) -> T { return std::min<T>(std::max<T>(a * x + b, 0), 1); }, 0.2, 0.5,
     true, true},
    {"Elu", [](T x, T a, T) -> T { return x >= 0 ? x : a * (std::exp(x) - 1); }, 1, 0, true, false},
    {"Softsign", [](T x, T, T) -> T { return x / (1 + std::abs(x)); }, 0, 0, false, false},
    {"Softplus", [](T x, T, T) -> T { return std::log1p(std::exp(x)); }, 0, 0, false, false},
    {"Affine", [](T x, T a, T b) -> T { return a * x + b; }, 1, 0, true, true},
};

bool same_name(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return (x | 0x20) == (y | 0x20); });
}

// The functions of all directions, in the order of the attribute; alphas and betas are handed out in that
// order to those that use them.
template <class T>
Result<std::vector<Activation<T>>> activations_of(const Node& node, std::size_t directions) {
  std::vector<std::string> names(node.texts("activations").begin(), node.texts("activations").end());
  const std::vector<std::string> defaults = node.op == Op::LSTM
                                                ? std::vector<std::string>{"Sigmoid", "Tanh", "Tanh"}
                                            : node.op == Op::GRU ? std::vector<std::string>{"Sigmoid", "Tanh"}
                                                                 : std::vector<std::string>{"Tanh"};
  const auto wanted = defaults.size() * directions;
  if (names.empty()) {
    for (std::size_t d = 0; d < directions; ++d) names.insert(names.end(), defaults.begin(), defaults.end());
  }
  if (names.size() != wanted) {
    return fail(ErrorCode::invalid_argument, "{} activations, expected {}", names.size(), wanted);
  }
  const auto alphas = node.reals("activation_alpha"), betas = node.reals("activation_beta");
  std::size_t next_alpha = 0, next_beta = 0;
  std::vector<Activation<T>> out;
  for (const auto& name : names) {
    const auto* row =
        std::ranges::find_if(kActivations<T>, [&](const auto& r) { return same_name(r.name, name); });
    if (row == std::end(kActivations<T>))
      return fail(ErrorCode::unsupported_operation, "activation '{}'", name);
    Activation<T> activation{row->apply, static_cast<T>(row->alpha), static_cast<T>(row->beta)};
    if (row->uses_alpha && next_alpha < alphas.size())
      activation.alpha = static_cast<T>(alphas[next_alpha++]);
    if (row->uses_beta && next_beta < betas.size()) activation.beta = static_cast<T>(betas[next_beta++]);
    out.push_back(activation);
  }
  return out;
}

struct Sizes {
  std::int64_t steps, batch, input, hidden, directions, gates;
  bool batch_first;
};

template <class T>
struct Cell {
  Op op;
  Sizes s;
  std::vector<Activation<T>> activations;
  std::optional<T> clip;
  bool input_forget, linear_before_reset, reverse;
  bool has_bias, has_lengths, has_h, has_c, has_peepholes;
  T cell_clip = 0, cell_step = 0, hidden_step = 0, hidden_zero = 0;

  // The cell and the hidden state as they are kept for the next position.
  T kept_cell(T c) const {
    if (cell_clip > 0) c = std::min(std::max(c, -cell_clip), cell_clip);
    if (cell_step > 0) c = std::min(std::max(std::nearbyint(c / cell_step), T(-32768)), T(32767)) * cell_step;
    return c;
  }
  T kept_hidden(T h) const {
    if (!(hidden_step > 0)) return h;
    return (std::min(std::max(std::nearbyint(h / hidden_step) + hidden_zero, T(-128)), T(127)) -
            hidden_zero) *
           hidden_step;
  }
  T limited(T x) const { return clip ? std::min(std::max(x, -*clip), *clip) : x; }
};

template <class T>
std::vector<T> read(const std::byte* from, std::int64_t at, std::int64_t count) {
  std::vector<T> out(static_cast<std::size_t>(count));
  if (count > 0)
    std::memcpy(out.data(), from + at * static_cast<std::int64_t>(sizeof(T)), out.size() * sizeof(T));
  return out;
}

// [rows, columns] → [columns, rows]
template <class T>
std::vector<T> transposed(const std::byte* from, std::int64_t at, std::int64_t rows, std::int64_t columns) {
  std::vector<T> out(static_cast<std::size_t>(rows * columns));
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < columns; ++c) {
      out[static_cast<std::size_t>(c * rows + r)] = In<T>{from}[at + r * columns + c];
    }
  }
  return out;
}

// out[0..n) += Σ x[k] · rows[k][0..n)
template <class T>
void accumulate(const T* x, std::int64_t count, const T* rows, std::int64_t pitch, std::int64_t n, T* out) {
  for (std::int64_t k = 0; k < count; ++k) {
    const T factor = x[k];
    const T* row = rows + k * pitch;
    for (std::int64_t j = 0; j < n; ++j) out[j] += factor * row[j];
  }
}

// One direction of one run.
template <class T>
class Pass {
 public:
  Pass(const Cell<T>& cell, const KernelCall& call, std::int64_t direction)
      : cell_(cell),
        s_(cell.s),
        call_(call),
        d_(direction),
        activations_(cell.activations.data() +
                     direction * static_cast<std::int64_t>(cell.activations.size()) / s_.directions) {
    const auto rows = s_.gates * s_.hidden;
    w_ = transposed<T>(call.in[1], d_ * rows * s_.input, rows, s_.input);
    r_ = transposed<T>(call.in[2], d_ * rows * s_.hidden, rows, s_.hidden);
    bias_w_.assign(static_cast<std::size_t>(rows), 0);
    bias_r_ = bias_w_;
    if (cell.has_bias) {
      bias_w_ = read<T>(call.in[3], d_ * 2 * rows, rows);
      bias_r_ = read<T>(call.in[3], d_ * 2 * rows + rows, rows);
    }
    if (cell.has_peepholes) peepholes_ = read<T>(call.in[7], d_ * 3 * s_.hidden, 3 * s_.hidden);
  }

  void run(std::int64_t b) {
    const auto length = cell_.has_lengths
                            ? std::clamp<std::int64_t>(In<std::int32_t>{call_.in[4]}[b], 0, s_.steps)
                            : s_.steps;
    h_ = initial(5, cell_.has_h, b);
    c_ = initial(6, cell_.has_c, b);
    const bool backwards = cell_.reverse || d_ == 1;
    const std::vector<T> zeros(static_cast<std::size_t>(s_.hidden), 0);
    for (std::int64_t i = 0; i < s_.steps; ++i) {
      const bool inside = i < length;
      const auto t = inside && backwards ? length - 1 - i : i;
      if (inside) step(t, b);
      store(0,
            s_.batch_first ? ((b * s_.steps + t) * s_.directions + d_)
                           : ((t * s_.directions + d_) * s_.batch + b),
            inside ? h_ : zeros);
    }
    store(1, state_row(b), h_);
    store(2, state_row(b), c_);
  }

 private:
  std::int64_t state_row(std::int64_t b) const {
    return s_.batch_first ? b * s_.directions + d_ : d_ * s_.batch + b;
  }

  std::vector<T> initial(std::size_t operand, bool given, std::int64_t b) const {
    if (!given) return std::vector<T>(static_cast<std::size_t>(s_.hidden), 0);
    return read<T>(call_.in[operand], state_row(b) * s_.hidden, s_.hidden);
  }

  void store(std::size_t output, std::int64_t row, const std::vector<T>& values) const {
    if (output >= call_.out.size() || call_.out[output] == nullptr || values.empty()) return;
    std::memcpy(call_.out[output] + row * s_.hidden * static_cast<std::int64_t>(sizeof(T)), values.data(),
                values.size() * sizeof(T));
  }

  void step(std::int64_t t, std::int64_t b) {
    const auto rows = s_.gates * s_.hidden;
    const auto x =
        read<T>(call_.in[0], (s_.batch_first ? b * s_.steps + t : t * s_.batch + b) * s_.input, s_.input);
    gates_ = bias_w_;
    accumulate(x.data(), s_.input, w_.data(), rows, rows, gates_.data());
    switch (cell_.op) {
      case Op::LSTM: return lstm(rows);
      case Op::GRU: return gru(rows);
      default: return rnn(rows);
    }
  }

  void add_recurrent(std::int64_t rows, std::int64_t n) {
    accumulate(h_.data(), s_.hidden, r_.data(), rows, n, gates_.data());
    for (std::int64_t j = 0; j < n; ++j)
      gates_[static_cast<std::size_t>(j)] += bias_r_[static_cast<std::size_t>(j)];
  }

  // Gates in the order input, output, forget, cell.
  void lstm(std::int64_t rows) {
    add_recurrent(rows, rows);
    const auto n = static_cast<std::size_t>(s_.hidden);
    const auto peephole = [&](std::size_t which, std::size_t j, T cell) {
      return peepholes_.empty() ? T(0) : peepholes_[which * n + j] * cell;
    };
    for (std::size_t j = 0; j < n; ++j) {
      const T in = activations_[0](cell_.limited(gates_[j] + peephole(0, j, c_[j])));
      const T forget = cell_.input_forget
                           ? 1 - in
                           : activations_[0](cell_.limited(gates_[2 * n + j] + peephole(2, j, c_[j])));
      const T candidate = activations_[1](cell_.limited(gates_[3 * n + j]));
      c_[j] = cell_.kept_cell(forget * c_[j] + in * candidate);
      const T out = activations_[0](cell_.limited(gates_[n + j] + peephole(1, j, c_[j])));
      h_[j] = cell_.kept_hidden(out * activations_[2](c_[j]));
    }
  }

  // Gates in the order update, reset, hidden.
  void gru(std::int64_t rows) {
    const auto n = static_cast<std::size_t>(s_.hidden);
    add_recurrent(rows, 2 * s_.hidden);
    for (std::size_t j = 0; j < 2 * n; ++j) gates_[j] = activations_[0](cell_.limited(gates_[j]));
    std::vector<T> product(n, 0), reset = h_;
    if (!cell_.linear_before_reset) {
      for (std::size_t j = 0; j < n; ++j) reset[j] *= gates_[n + j];
    }
    accumulate(reset.data(), s_.hidden, r_.data() + 2 * n, rows, s_.hidden, product.data());
    for (std::size_t j = 0; j < n; ++j) {
      const T recurrent = product[j] + bias_r_[2 * n + j];
      const T sum = gates_[2 * n + j] + (cell_.linear_before_reset ? gates_[n + j] * recurrent : recurrent);
      const T candidate = activations_[1](cell_.limited(sum));
      h_[j] = (1 - gates_[j]) * candidate + gates_[j] * h_[j];
    }
  }

  void rnn(std::int64_t rows) {
    add_recurrent(rows, rows);
    for (std::size_t j = 0; j < h_.size(); ++j) h_[j] = activations_[0](cell_.limited(gates_[j]));
  }

  const Cell<T>& cell_;
  const Sizes& s_;
  const KernelCall& call_;
  std::int64_t d_;
  const Activation<T>* activations_;
  std::vector<T> w_, r_, bias_w_, bias_r_, peepholes_;
  std::vector<T> h_, c_, gates_;
};

// One direction, all sequences of the batch together.
class BatchedPass {
 public:
  BatchedPass(const Cell<float>& cell, const KernelCall& call, std::int64_t direction)
      : cell_(cell),
        s_(cell.s),
        call_(call),
        d_(direction),
        rows_(s_.gates * s_.hidden),
        activations_(cell.activations.data() +
                     direction * static_cast<std::int64_t>(cell.activations.size()) / s_.directions),
        w_(call.in[1] + d_ * rows_ * s_.input * kBytes),
        r_(call.in[2] + d_ * rows_ * s_.hidden * kBytes),
        state_(read_state(5, cell.has_h)),
        memory_(read_state(6, cell.has_c)) {
    bias_.assign(static_cast<std::size_t>(rows_), 0);
    bias_r_ = bias_;
    if (cell.has_bias) {
      bias_ = read<float>(call.in[3], d_ * 2 * rows_, rows_);
      bias_r_ = read<float>(call.in[3], d_ * 2 * rows_ + rows_, rows_);
      // The bias of a GRU's candidate joins after the reset gate.
      const auto joined = cell.op == Op::GRU ? 2 * s_.hidden : rows_;
      for (std::size_t j = 0; j < static_cast<std::size_t>(joined); ++j) bias_[j] += bias_r_[j];
    }
    if (cell.has_peepholes) peepholes_ = read<float>(call.in[7], d_ * 3 * s_.hidden, 3 * s_.hidden);
  }

  bool run() {
    constexpr std::int64_t kMostGates = 1 << 20;  // floats of input products held at once
    const auto chunk =
        std::clamp<std::int64_t>(kMostGates / std::max<std::int64_t>(s_.batch * rows_, 1), 1, s_.steps);
    const bool backwards = cell_.reverse || d_ == 1;
    for (std::int64_t done = 0; done < s_.steps; done += chunk) {
      const auto count = std::min(chunk, s_.steps - done);
      const auto first = backwards ? s_.steps - done - count : done;
      if (!project(first, count)) return false;
      for (std::int64_t i = 0; i < count; ++i) {
        const auto at = backwards ? count - 1 - i : i;
        if (!step(at, count)) return false;
        for (std::int64_t b = 0; b < s_.batch; ++b) {
          const auto t = first + at;
          store(0,
                s_.batch_first ? ((b * s_.steps + t) * s_.directions + d_)
                               : ((t * s_.directions + d_) * s_.batch + b),
                state_, b);
        }
      }
    }
    for (std::int64_t b = 0; b < s_.batch; ++b) {
      store(1, state_row(b), state_, b);
      store(2, state_row(b), memory_, b);
    }
    return true;
  }

 private:
  static constexpr std::int64_t kBytes = sizeof(float);

  std::int64_t state_row(std::int64_t b) const {
    return s_.batch_first ? b * s_.directions + d_ : d_ * s_.batch + b;
  }
  std::vector<float> read_state(std::size_t operand, bool given) const {
    std::vector<float> all(static_cast<std::size_t>(s_.batch * s_.hidden), 0);
    for (std::int64_t b = 0; given && b < s_.batch && s_.hidden > 0; ++b) {
      std::memcpy(all.data() + b * s_.hidden, call_.in[operand] + state_row(b) * s_.hidden * kBytes,
                  static_cast<std::size_t>(s_.hidden * kBytes));
    }
    return all;
  }
  void store(std::size_t output, std::int64_t row, const std::vector<float>& values, std::int64_t b) const {
    if (output >= call_.out.size() || call_.out[output] == nullptr || values.empty()) return;
    std::memcpy(call_.out[output] + row * s_.hidden * kBytes, values.data() + b * s_.hidden,
                static_cast<std::size_t>(s_.hidden * kBytes));
  }

  // x · Wᵀ + bias of `count` steps, into gates_ in the order of x.
  bool project(std::int64_t first, std::int64_t count) {
    gates_.resize(static_cast<std::size_t>(count * s_.batch * rows_));
    for (std::int64_t i = 0; i < count * s_.batch; ++i)
      std::copy(bias_.begin(), bias_.end(), gates_.begin() + i * rows_);
    if (!s_.batch_first) {
      return add_product(count * s_.batch, rows_, s_.input,
                         call_.in[0] + first * s_.batch * s_.input * kBytes, w_, gates_.data(), rows_);
    }
    for (std::int64_t b = 0; b < s_.batch; ++b) {
      const auto* x = call_.in[0] + (b * s_.steps + first) * s_.input * kBytes;
      if (!add_product(count, rows_, s_.input, x, w_, gates_.data() + b * count * rows_, rows_)) return false;
    }
    return true;
  }

  // The step at place `at` of a chunk of `count`.
  bool step(std::int64_t at, std::int64_t count) {
    float* gates = gates_.data() + at * s_.batch * rows_;
    if (s_.batch_first && s_.batch > 1) {
      gathered_.resize(static_cast<std::size_t>(s_.batch * rows_));
      for (std::int64_t b = 0; b < s_.batch; ++b)
        std::copy_n(gates_.data() + (b * count + at) * rows_, rows_, gathered_.data() + b * rows_);
      gates = gathered_.data();
    }
    const auto added = cell_.op == Op::GRU ? 2 * s_.hidden : rows_;
    if (!add_product(s_.batch, added, s_.hidden, bytes_of(state_), r_, gates, rows_)) return false;
    if (cell_.op == Op::GRU) return gru(gates);
    for (std::int64_t b = 0; b < s_.batch; ++b) {
      if (cell_.op == Op::LSTM) {
        lstm(gates + b * rows_, b);
      } else {
        for (std::int64_t j = 0; j < s_.hidden; ++j)
          state_[static_cast<std::size_t>(b * s_.hidden + j)] =
              activations_[0](cell_.limited(gates[b * rows_ + j]));
      }
    }
    return true;
  }

  static const std::byte* bytes_of(const std::vector<float>& values) {
    return reinterpret_cast<const std::byte*>(values.data());
  }

  // Gates in the order input, output, forget, cell.
  void lstm(const float* gates, std::int64_t b) {
    const auto n = static_cast<std::size_t>(s_.hidden);
    float* h = state_.data() + static_cast<std::size_t>(b) * n;
    float* c = memory_.data() + static_cast<std::size_t>(b) * n;
    const auto peephole = [&](std::size_t which, std::size_t j) {
      return peepholes_.empty() ? 0.0f : peepholes_[which * n + j] * c[j];
    };
    for (std::size_t j = 0; j < n; ++j) {
      const float in = activations_[0](cell_.limited(gates[j] + peephole(0, j)));
      const float forget =
          cell_.input_forget ? 1 - in : activations_[0](cell_.limited(gates[2 * n + j] + peephole(2, j)));
      c[j] = cell_.kept_cell(forget * c[j] + in * activations_[1](cell_.limited(gates[3 * n + j])));
      const float out = activations_[0](cell_.limited(gates[n + j] + peephole(1, j)));
      h[j] = cell_.kept_hidden(out * activations_[2](c[j]));
    }
  }

  // Gates in the order update, reset, hidden.
  bool gru(float* gates) {
    const auto n = s_.hidden;
    candidate_.assign(static_cast<std::size_t>(s_.batch * n), 0);
    reset_ = state_;
    for (std::int64_t b = 0; b < s_.batch; ++b) {
      float* own = gates + b * rows_;
      for (std::int64_t j = 0; j < 2 * n; ++j) own[j] = activations_[0](cell_.limited(own[j]));
      for (std::int64_t j = 0; j < n && !cell_.linear_before_reset; ++j)
        reset_[static_cast<std::size_t>(b * n + j)] *= own[n + j];
    }
    if (!add_product(s_.batch, n, n, bytes_of(reset_), r_ + 2 * n * n * kBytes, candidate_.data(), n))
      return false;
    for (std::int64_t b = 0; b < s_.batch; ++b) {
      const float* own = gates + b * rows_;
      for (std::int64_t j = 0; j < n; ++j) {
        const auto at = static_cast<std::size_t>(b * n + j);
        const float recurrent = candidate_[at] + bias_r_[static_cast<std::size_t>(2 * n + j)];
        const float sum = own[2 * n + j] + (cell_.linear_before_reset ? own[n + j] * recurrent : recurrent);
        state_[at] = (1 - own[j]) * activations_[1](cell_.limited(sum)) + own[j] * state_[at];
      }
    }
    return true;
  }

  const Cell<float>& cell_;
  const Sizes& s_;
  const KernelCall& call_;
  std::int64_t d_, rows_;
  const Activation<float>* activations_;
  const std::byte* w_;
  const std::byte* r_;
  std::vector<float> state_, memory_;
  std::vector<float> bias_, bias_r_, peepholes_, gates_, gathered_, candidate_, reset_;
};

std::unique_ptr<Kernel> make_batched(const Cell<float>& cell) {
  return kernel_of("dnnl gemm, tenon recurrent", [cell](const KernelCall& call) -> Result<void> {
    for (std::int64_t d = 0; d < cell.s.directions; ++d) {
      if (!BatchedPass(cell, call, d).run())
        return fail(ErrorCode::runtime_error, "oneDNN: a product failed");
    }
    return {};
  });
}

template <class T>
KernelResult make_recurrent(const LowerContext& c) {
  const auto& x = c.in_dims(0);
  const bool batch_first = c.node.integer("layout") != 0;
  const auto directions = c.in_dims(1)[0];
  Cell<T> cell{
      .op = c.node.op,
      .s = {x[batch_first ? 1 : 0], x[batch_first ? 0 : 1], x[2], c.in_dims(2)[2], directions,
            c.node.op == Op::LSTM  ? 4
            : c.node.op == Op::GRU ? 3
                                   : 1,
            batch_first},
      .activations = TENON_TRY(activations_of<T>(c.node, static_cast<std::size_t>(directions))),
      .clip = c.node.has("clip") ? std::optional<T>(static_cast<T>(c.node.real("clip"))) : std::nullopt,
      .input_forget = c.node.integer("input_forget") != 0,
      .linear_before_reset = c.node.integer("linear_before_reset") != 0,
      .reverse = c.node.text("direction") == "reverse",
      .has_bias = c.has(3),
      .has_lengths = c.has(4),
      .has_h = c.has(5),
      .has_c = c.has(6),
      .has_peepholes = c.has(7),
      .cell_clip = static_cast<T>(c.node.real("cell_clip")),
      .cell_step = static_cast<T>(c.node.real("cell_step")),
      .hidden_step = static_cast<T>(c.node.real("hidden_step")),
      .hidden_zero = static_cast<T>(c.node.integer("hidden_zero"))};
  const bool has_lengths = cell.has_lengths;
  if constexpr (std::is_same_v<T, float>) {
    if (!c.reference && !has_lengths) return make_batched(cell);
  }
  auto kernel =
      kernel_of("tenon recurrent", [cell = std::move(cell)](const KernelCall& call) -> Result<void> {
        for (std::int64_t d = 0; d < cell.s.directions; ++d) {
          Pass<T> pass(cell, call, d);
          for (std::int64_t b = 0; b < cell.s.batch; ++b) pass.run(b);
        }
        return {};
      });
  kernel->can_fail = has_lengths;  // lengths decide what it reads
  return kernel;
}

}  // namespace

KernelResult fast::recurrent(const LowerContext& c) {
  KernelResult kernel = no_kernel(c);
  dispatch(TypeList<float, double>{}, c.inputs[0].type, [&]<class T>() { kernel = make_recurrent<T>(c); });
  return kernel;
}

// The plain form: the context asks for it.
KernelResult reference::recurrent(const LowerContext& c) { return fast::recurrent(c); }

}  // namespace tenon::kernels
