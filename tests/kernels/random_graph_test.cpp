// Random graphs from the rows of ops.def: fast kernels with fusion, layouts, dynamic shapes and parts against the plain
// reference. TENON_RANDOM_GRAPHS is how many (300 when not set), TENON_RANDOM_GRAPH_SECONDS how long instead,
// TENON_RANDOM_GRAPH_SEED the first seed; a failure prints its seed.
// Where they differ by more than rounding usually makes, the reference runs again with every operand of every inexact
// node changed by about one part in a million: how much an output then moves is what errors of rounding, propagated
// through this very graph, may cost. So results that cancel are held to the size of what they are made of.
#include <chrono>
#include <cmath>
#include <cstdlib>

#include "kernels/element.h"
#include "kernels/infer.h"
#include "kernels/ops/number.h"
#include "tests/kernels/helpers.h"

namespace tenon::kernels {
namespace {

using namespace testing_support;
using List = std::vector<std::int64_t>;

// A value of the graph that is being built. `exact`: both programs must agree on every bit, so functions with steps
// (rounding, comparing, sorting) may read it.
struct Known {
  ValueId id;
  DataType type;
  Dims dims;
  bool exact;
};

class Generator {
 public:
  /// With `noise` (not 0) the same graph, but its inexact nodes read operands times 1 ± 2^-20, at random.
  explicit Generator(unsigned seed, unsigned noise = 0)
      : engine_(seed), noise_(noise), noisy_(noise != 0), b_("random") {
    const int inputs = pick(1, 3);
    for (int i = 0; i < inputs; ++i) add_input();
    const int nodes = pick(3, 25);
    for (int tries = 0; tries < 40 * nodes && made_ < nodes; ++tries) {
      add_node(static_cast<Op>(pick(0, static_cast<int>(Op::kCount) - 1)));
    }
    finish_outputs();
  }

  Graph take() {
    auto graph = std::move(b_).finish();
    EXPECT_TRUE(graph) << graph.error().message;
    return *std::move(graph);
  }
  const std::vector<Tensor>& inputs() const { return inputs_; }
  const std::vector<bool>& output_is_exact() const { return output_is_exact_; }

 private:
  int pick(int low, int high) { return std::uniform_int_distribution<int>(low, high)(engine_); }
  bool chance(int percent) { return pick(1, 100) <= percent; }

  Tensor numbers(DataType type, const Dims& dims, double low = -2, double high = 2) {
    auto t = *Tensor::allocate(type, dims);
    std::uniform_real_distribution<double> uniform(type == DataType::u8 ? 0 : low, high);
    for (std::int64_t i = 0; i < t.count(); ++i) {
      const double x = uniform(engine_);
      set_number(type, t.mutable_data(), i,
                 type == DataType::boolean ? (x > 0 ? 1 : 0)
                 : is_float(type)          ? x
                                           : std::round(x));
    }
    return t;
  }
  ValueId constant(Tensor t) { return *b_.constant("c", std::move(t)); }
  ValueId integers(const List& list) {
    return constant(tensor<std::int64_t>({static_cast<std::int64_t>(list.size())}, list));
  }

  void add_input() {
    static constexpr DataType kTypes[] = {DataType::f32, DataType::f32, DataType::f32, DataType::f32,
                                          DataType::i64, DataType::i32, DataType::u8,  DataType::f64};
    const auto type = kTypes[pick(0, 7)];
    Dims dims(static_cast<std::size_t>(chance(50) ? 4 : pick(1, 4)), 1);
    for (auto& dim : dims) dim = pick(1, 9);
    if (dims.size() == 4 && chance(60)) dims[1] = 8 * pick(1, 4);
    if (chance(3)) dims[0] = 0;
    auto declared = ValueType::tensor(type, dims);
    if (chance(30)) {
      for (auto& dim : *declared.shape) dim = chance(50) ? Dim::unknown() : dim;
    }
    known_.push_back({*b_.input(fmt::format("x{}", inputs_.size()), declared), type, dims, true});
    inputs_.push_back(numbers(type, dims, -3, 3));
  }

  // A value that the row accepts as operand 0.
  const Known* operand(Op op) {
    for (int tries = 0; tries < 6; ++tries) {
      const auto& v = known_[static_cast<std::size_t>(
          pick(std::max(0, static_cast<int>(known_.size()) - 8), static_cast<int>(known_.size()) - 1))];
      if (accepts(op, v.type)) return &v;
    }
    return nullptr;
  }
  // Another value or a constant that broadcasts to `like`.
  Known companion(const Known& like, double low = -2, double high = 2) {
    if (low < 0 && chance(50)) {
      for (int tries = 0; tries < 6; ++tries) {
        const auto& v = known_[static_cast<std::size_t>(pick(0, static_cast<int>(known_.size()) - 1))];
        if (v.type == like.type && broadcast_dims(v.dims, like.dims)) return v;
      }
    }
    auto dims = like.dims;
    const int form = pick(0, 3);
    if (form == 1) dims = {};
    if (form == 2) {
      for (std::size_t i = 0; i < dims.size(); ++i) dims[i] = i == 1 ? dims[i] : 1;
    }
    if (form == 3 && !dims.empty()) dims = Dims{dims.back()};
    return {constant(numbers(like.type, dims, low, high)), like.type, dims, true};
  }

  // Functions whose value jumps: only where both programs read the same bits.
  static bool has_steps(Op op) {
    switch (op) {
      case Op::Ceil:
      case Op::Floor:
      case Op::Round:
      case Op::Sign:
      case Op::Shrink:
      case Op::ThresholdedRelu:
      case Op::Not:
      case Op::Cast:
      case Op::Hardmax:
      case Op::ArgMax:
      case Op::ArgMin:
      case Op::TopK:
      case Op::QuantizeLinear:
      case Op::DynamicQuantizeLinear:
      case Op::Mod:
      case Op::IsNaN:
      case Op::IsInf: return true;
      default:
        return info(op).name.starts_with("Greater") || info(op).name.starts_with("Less") || op == Op::Equal;
    }
  }
  // Nothing is rounded: the result is exact where the operands are.
  static bool moves_only(Op op) {
    const auto kind = family(op);
    for (const auto* name : {"view", "strided", "concat", "split", "tile", "pad", "gather", "clip", "where",
                             "shape_of", "trilu", "arg_reduce", "top_k", "gather_elements", "selection"}) {
      if (kind == name) return true;
    }
    return has_steps(op) || op == Op::Abs || op == Op::Neg || op == Op::Relu || op == Op::Max ||
           op == Op::Min || op == Op::ReduceMax || op == Op::ReduceMin || op == Op::MaxPool ||
           op == Op::DequantizeLinear;
  }
  // Results grow or are undefined on general operands.
  static bool is_wild(Op op) {
    switch (op) {
      case Op::Acos:
      case Op::Acosh:
      case Op::Asin:
      case Op::Atanh:
      case Op::Log:
      case Op::Sqrt:
      case Op::Tan:
      case Op::Reciprocal:
      case Op::Exp:
      case Op::Cosh:
      case Op::Sinh:
      case Op::Pow:
      case Op::ReduceProd:
      case Op::ReduceLogSum: return true;
      default: return false;
    }
  }

  struct Plan {
    std::vector<ValueId> in;
    std::vector<Known> read;
    Attributes attributes;
    int outputs = 1;
  };

  void add_node(Op op) {
    const auto* first = operand(op);
    if (first == nullptr || is_wild(op)) return;
    const Known x = *first;
    if (has_steps(op) && !x.exact) return;
    if ((op == Op::Sin || op == Op::Cos || op == Op::LayerNormalization) && !x.exact)
      return;  // of large values, or of values that are nearly equal, they magnify every difference
    Plan plan{{x.id}, {x}, {}, 1};
    if (!complete(op, x, plan)) return;
    emit(op, plan);
  }

  // The other operands and attributes; false: not an operator that is tried here.
  bool complete(Op op, const Known& x, Plan& p) {
    const auto kind = family(op);
    const auto rank = static_cast<int>(x.dims.size());
    const auto axis = [&] { return std::int64_t{pick(-rank, rank - 1)}; };
    const auto add = [&](const Known& v) {
      p.in.push_back(v.id);
      p.read.push_back(v);
    };
    if (kind == "unary" || kind == "global_pool" || kind == "shape_of" || op == Op::Identity) {
      if (kind == "global_pool" && rank < 3) return false;
      if (op == Op::Gelu && chance(50)) p.attributes = {{"approximate", std::string("tanh")}};
      return true;
    }
    if (kind == "clip") {
      if (chance(50)) return true;
      p.in.push_back(constant(numbers(x.type, {}, 0, 0.4)));
      if (chance(50)) p.in.push_back(constant(numbers(x.type, {}, 1, 3)));
      return true;
    }
    if (op == Op::Cast) {
      static constexpr std::int64_t kTo[] = {1, 6, 7, 11, 9};
      p.attributes = {{"to", kTo[pick(0, 4)]}};
      return true;
    }
    if (kind == "binary" || kind == "variadic") {
      if (op == Op::PRelu && rank == 0) return false;
      if (op == Op::BitShift) return false;
      const bool divides = op == Op::Div || op == Op::Mod;
      add(divides ? companion(x, 1, 4) : companion(x));
      if (has_steps(op) && !p.read.back().exact) return false;
      if (op == Op::Mod && is_float(x.type)) p.attributes = {{"fmod", std::int64_t{1}}};
      if (kind == "variadic" && chance(30)) add(companion(x));
      return true;
    }
    if (kind == "softmax") {
      if (rank == 0) return false;
      p.attributes = {{"axis", axis()}};
      return true;
    }
    if (kind == "reduce") {
      // The standard reduces bytes to maxima and minima only: sums overflow.
      if (x.type == DataType::u8 && op != Op::ReduceMax && op != Op::ReduceMin) return false;
      if (chance(70) && rank > 0) p.in.push_back(integers({axis()}));
      p.attributes = {{"keepdims", std::int64_t{pick(0, 1)}}};
      return product(x.dims) > 0;
    }
    if (kind == "arg_reduce") {
      if (rank == 0 || product(x.dims) == 0) return false;
      p.attributes = {{"axis", axis()}, {"keepdims", std::int64_t{pick(0, 1)}}};
      return true;
    }
    return complete_movement(op, x, p) || complete_heavy(op, x, p);
  }

  bool complete_movement(Op op, const Known& x, Plan& p) {
    const auto rank = static_cast<int>(x.dims.size());
    if (rank == 0) return false;
    const auto axis = std::int64_t{pick(-rank, rank - 1)};
    const auto extent = x.dims[static_cast<std::size_t>(axis < 0 ? axis + rank : axis)];
    switch (op) {
      case Op::Transpose: {
        List perm(static_cast<std::size_t>(rank));
        for (std::size_t i = 0; i < perm.size(); ++i) perm[i] = static_cast<std::int64_t>(i);
        std::shuffle(perm.begin(), perm.end(), engine_);
        p.attributes = {{"perm", perm}};
        return true;
      }
      case Op::Reshape:
        p.in.push_back(integers(chance(50) ? List{-1} : List{x.dims[0], -1}));
        return product(x.dims) > 0;
      case Op::Flatten: p.attributes = {{"axis", std::int64_t{pick(0, rank)}}}; return true;
      case Op::Unsqueeze: p.in.push_back(integers({pick(0, rank)})); return rank < 5;
      case Op::Squeeze: return true;
      case Op::Slice:
        p.in.push_back(integers({pick(-3, 2)}));
        p.in.push_back(integers({chance(50) ? INT64_MAX : pick(1, 5)}));
        p.in.push_back(integers({axis}));
        p.in.push_back(integers({pick(1, 2)}));
        return true;
      case Op::Concat: {
        p.in.push_back(x.id);
        for (const auto& v : known_) {
          if (v.type == x.type && v.dims == x.dims && chance(30)) {
            p.in.push_back(v.id);
            p.read.push_back(v);
          }
        }
        p.attributes = {{"axis", axis}};
        return p.in.size() < 6 && product(x.dims) < 20000;
      }
      case Op::Split:
        if (extent < 2) return false;
        p.in.push_back(integers({1, extent - 1}));
        p.attributes = {{"axis", axis}};
        p.outputs = 2;
        return true;
      case Op::Tile: {
        List repeats(static_cast<std::size_t>(rank), 1);
        repeats[static_cast<std::size_t>(pick(0, rank - 1))] = 2;
        p.in.push_back(integers(repeats));
        return product(x.dims) < 5000;
      }
      case Op::Pad: {
        List amounts(static_cast<std::size_t>(2 * rank), 0);
        amounts[static_cast<std::size_t>(pick(0, 2 * rank - 1))] = pick(0, 2);
        p.in.push_back(integers(amounts));
        return true;
      }
      case Op::Gather:
        if (extent == 0) return false;
        p.in.push_back(constant(numbers(DataType::i64, {static_cast<std::int64_t>(pick(1, 4))}, 0,
                                        static_cast<double>(extent) - 1)));
        p.attributes = {{"axis", axis}};
        return true;
      case Op::Trilu: return rank >= 2;
      case Op::DepthToSpace:
        p.attributes = {{"blocksize", std::int64_t{2}}};
        return rank == 4 && x.dims[1] % 4 == 0;
      case Op::SpaceToDepth:
        p.attributes = {{"blocksize", std::int64_t{2}}};
        return rank == 4 && x.dims[2] % 2 == 0 && x.dims[3] % 2 == 0;
      case Op::TopK:
        if (extent < 1) return false;
        p.in.push_back(integers({1}));
        p.attributes = {{"axis", axis}};
        p.outputs = 2;
        return true;
      case Op::Compress: {  // its size depends on data: the graph is cut here
        if (extent < 1) return false;
        p.in.push_back(constant(numbers(DataType::boolean, {extent}, -1, 1)));
        p.attributes = {{"axis", axis}};
        return true;
      }
      default: return false;
    }
  }

  bool complete_heavy(Op op, const Known& x, Plan& p) {
    const auto rank = x.dims.size();
    const auto f32 = [&](const Dims& dims, double low = -0.5, double high = 0.5) {
      return constant(numbers(x.type, dims, low, high));
    };
    if (product(x.dims) == 0) return false;
    switch (op) {
      case Op::Conv: {
        if (rank < 3 || !is_float(x.type)) return false;
        std::int64_t group = 1;
        std::int64_t out = chance(50) ? 16 : pick(1, 20);
        if (chance(30)) group = out = x.dims[1];
        Dims w{out, x.dims[1] / group};
        List pads;
        for (std::size_t i = 2; i < rank; ++i) w.push_back(std::min<std::int64_t>(x.dims[i], pick(1, 3)));
        for (std::size_t i = 0; i < 2 * (rank - 2); ++i) pads.push_back(pick(0, 1));
        p.in.push_back(f32(w));
        if (chance(60)) p.in.push_back(f32({out}));
        p.attributes = {{"group", group}, {"pads", pads}};
        if (chance(30)) p.attributes.push_back({"strides", List(rank - 2, 2)});
        return true;
      }
      case Op::ConvTranspose: {
        if (rank < 3 || !is_float(x.type)) return false;
        Dims w{x.dims[1], static_cast<std::int64_t>(pick(1, 9))};
        for (std::size_t i = 2; i < rank; ++i) w.push_back(pick(1, 3));
        p.in.push_back(f32(w));
        if (chance(50)) p.attributes = {{"strides", List(rank - 2, 2)}};
        return true;
      }
      case Op::MaxPool:
      case Op::AveragePool: {
        if (rank < 3) return false;
        List kernel;
        for (std::size_t i = 2; i < rank; ++i) kernel.push_back(std::min<std::int64_t>(x.dims[i], 2));
        p.attributes = {{"kernel_shape", kernel}};
        if (chance(50)) p.attributes.push_back({"strides", List(rank - 2, 2)});
        if (chance(30)) p.attributes.push_back({"ceil_mode", std::int64_t{1}});
        return true;
      }
      case Op::BatchNormalization: {
        if (rank < 2 || x.type != DataType::f32) return false;
        const Dims c{x.dims[1]};
        for (int i = 0; i < 3; ++i) p.in.push_back(f32(c));
        p.in.push_back(f32(c, 0.5, 2));
        return true;
      }
      case Op::MatMul:
        if (rank < 2) return false;
        p.in.push_back(f32({x.dims.back(), static_cast<std::int64_t>(pick(1, 20))}));
        return true;
      case Op::Gemm:
        if (rank != 2 || !is_float(x.type)) return false;
        p.in.push_back(f32({x.dims[1], 12}));
        if (chance(60)) p.in.push_back(f32({12}));
        return true;
      case Op::LayerNormalization:
        if (rank < 2 || x.dims.back() < 3) return false;
        p.in.push_back(f32({x.dims.back()}));
        return true;
      case Op::CumSum:
        if (rank == 0) return false;
        p.in.push_back(constant(tensor<std::int64_t>({}, {0})));
        return true;
      case Op::QuantizeLinear:
        if (x.type != DataType::f32) return false;
        p.in.push_back(constant(tensor<float>({}, {0.05f})));
        p.in.push_back(constant(numbers(DataType::u8, {}, 100, 130)));
        return true;
      case Op::DequantizeLinear:
        if (x.type != DataType::u8) return false;
        p.in.push_back(constant(tensor<float>({}, {0.04f})));
        p.in.push_back(constant(numbers(DataType::u8, {}, 100, 130)));
        return true;
      default: return false;
    }
  }

  ValueId disturbed(ValueId id, const Operand& operand) {
    auto factors = *Tensor::allocate(operand.type, operand.dims);
    std::uniform_real_distribution<double> uniform(1 - kNoise, 1 + kNoise);
    for (std::int64_t i = 0; i < factors.count(); ++i)
      set_number(operand.type, factors.mutable_data(), i, uniform(noise_));
    return *b_.node(Op::Mul, {id, constant(std::move(factors))}, {});
  }

  // The rule of the row gives types and dims; what it refuses is not added.
  void emit(Op op, Plan& p) {
    Node node{op, p.in, {}, p.attributes, {}};
    for (int i = 0; i < p.outputs; ++i) node.outputs.push_back(b_.add_value(fmt::format("v{}", values_++)));
    for (const auto& spec : info(op).attributes) {
      if (!node.has(spec.name) && spec.fallback) node.attributes.push_back({spec.name, *spec.fallback});
    }
    std::vector<Operand> operands;
    for (const auto id : p.in) {
      const auto& value = b_.value(id);
      Operand operand{true, value.constant.type(), value.constant.dims(), value.constant, {}, false};
      for (const auto& v : known_) {
        if (v.id == id) operand = {true, v.type, v.dims, {}, {}, false};
      }
      operands.push_back(std::move(operand));
    }
    InferContext rule(node, operands);
    if (op == Op::Compress) {
      rule.outputs = {{operands[0].type, operands[0].dims}};
      auto axis = node.integer("axis");
      if (axis < 0) axis += static_cast<std::int64_t>(operands[0].dims.size());
      const auto kept = std::ranges::count(operands[1].constant.bytes(), std::byte{1});
      rule.outputs[0].dims[static_cast<std::size_t>(axis)] = kept;
    } else if (!infer(rule)) {
      return;
    }
    for (const auto& output : rule.outputs) {
      if (product(output.dims) > 40000 || output.dims.size() > 6) return;
    }
    bool exact = true;
    for (const auto& v : p.read) exact = exact && v.exact;
    const bool whole = !is_float(p.read[0].type) && op != Op::Mean;
    if (noisy_ && !(exact && (moves_only(op) || whole))) {
      for (std::size_t i = 0; i < operands.size(); ++i) {
        if (is_float(operands[i].type)) node.inputs[i] = disturbed(node.inputs[i], operands[i]);
      }
    }
    const auto added =
        b_.add_node(op, node.inputs, node.outputs, p.attributes, {fmt::format("n{}", made_), {}, 22});
    ASSERT_TRUE(added) << added.error().message;
    for (std::size_t i = 0; i < node.outputs.size(); ++i) {
      const auto& desc = rule.outputs[i];
      const bool own = exact && (moves_only(op) || (whole && !is_float(desc.type)));
      known_.push_back({node.outputs[i], desc.type, desc.dims, own});
    }
    ++made_;
  }

  void finish_outputs() {
    const auto count = static_cast<int>(known_.size());
    for (int i = 0; i < count; ++i) {
      const bool last = i + 3 >= count;
      if (!last && !chance(12)) continue;
      const auto& v = known_[static_cast<std::size_t>(i)];
      EXPECT_TRUE(b_.add_output(v.id, fmt::format("y{}", i)));
      output_is_exact_.push_back(v.exact);
    }
  }

  static constexpr double kNoise = 0x1p-20;  // 16 times what rounding to f32 does
  std::mt19937 engine_, noise_;
  bool noisy_;
  GraphBuilder b_;
  std::vector<Known> known_;
  std::vector<Tensor> inputs_;
  std::vector<bool> output_is_exact_;
  int made_ = 0, values_ = 0;
};

std::vector<double> doubles(const Tensor& t) { return get_numbers(t.type(), t.data(), t.count()); }

// The largest difference between two runs of the reference, over all elements where both are finite.
double largest_difference(const Tensor& a, const Tensor& b) {
  const auto x = doubles(a), y = doubles(b);
  double largest = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const auto d = std::abs(x[i] - y[i]);
    if (std::isfinite(d)) largest = std::max(largest, d);
  }
  return largest;
}

// Nothing when both agree to a part of the largest number in them or to `sensitivity`.
std::string compare(const Tensor& expected, const Tensor& got, bool exact, double sensitivity) {
  if (expected.type() != got.type() || !(expected.dims() == got.dims())) {
    return fmt::format("{}{} instead of {}{}", to_string(got.type()), to_string(got.dims()),
                       to_string(expected.type()), to_string(expected.dims()));
  }
  const auto a = doubles(expected), b = doubles(got);
  double largest = 0;
  for (const auto x : a) largest = std::isfinite(x) ? std::max(largest, std::abs(x)) : largest;
  const double allowed = exact ? 0 : std::max(2e-4 * largest + 1e-6, sensitivity);
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i]))) continue;
    // Overflow on one side only happens near the type's limit.
    if (largest > 1e30) continue;
    if (!(std::abs(a[i] - b[i]) <= allowed))
      return fmt::format("element {}: {} instead of {}, {} off where {} are allowed", i, b[i], a[i],
                         std::abs(a[i] - b[i]), allowed);
  }
  return {};
}

std::string listing(const Graph& graph) {
  std::string text;
  const auto names = [&](const std::vector<ValueId>& ids) {
    for (const auto id : ids) {
      const auto& value = graph.value(id);
      text += value.constant.defined()
                  ? fmt::format(" {}{}", to_string(value.constant.type()), to_string(value.constant.dims()))
                  : " " + value.name;
    }
  };
  for (const auto id : graph.inputs())
    text += fmt::format("\n  {} {}", graph.value(id).name, to_string(graph.value(id).type));
  for (const auto& node : graph.nodes()) {
    text += "\n ";
    names(node.outputs);
    text += fmt::format(" = {}", to_string(node.op));
    names(node.inputs);
  }
  return text;
}

// How far each output moves when rounding is 16 times as rough: the largest of a few runs.
std::vector<double> sensitivities(unsigned seed, const std::vector<Value>& expected) {
  CompileOptions reference;
  reference.reference = true;
  std::vector<double> largest(expected.size(), 0);
  for (unsigned noise = 1; noise <= 6; ++noise) {
    Generator generator(seed, noise);
    const auto graph = generator.take();
    const auto moved = run(graph, generator.inputs(), reference);
    EXPECT_TRUE(moved) << moved.error().message;
    if (!moved) break;
    for (std::size_t o = 0; o < largest.size(); ++o)
      largest[o] = std::max(largest[o], largest_difference(expected[o].tensor, (*moved)[o].tensor));
  }
  return largest;
}

std::string check_seed(unsigned seed, std::string& graph_text) {
  Generator generator(seed);
  const auto graph = generator.take();
  graph_text = listing(graph);
  CompileOptions reference;
  reference.reference = true;
  const auto expected = run(graph, generator.inputs(), reference);
  for (const int threads : {1, 2}) {
    CompileOptions fast;
    fast.threads = threads;
    const auto got = run(graph, generator.inputs(), fast);
    if (expected.has_value() != got.has_value())
      return (expected ? "fast fails: " + got.error().message
                       : "reference fails: " + expected.error().message);
    if (!expected) return {};
    std::vector<double> sensitivity;  // only looked at when something is off
    for (std::size_t o = 0; o < expected->size(); ++o) {
      const auto &a = (*expected)[o].tensor, &b = (*got)[o].tensor;
      const bool exact = generator.output_is_exact()[o];
      auto off = compare(a, b, exact, 0);
      if (off.empty()) continue;
      if (!exact && sensitivity.empty()) sensitivity = sensitivities(seed, *expected);
      if (!exact) off = compare(a, b, exact, sensitivity[o]);
      if (!off.empty()) return fmt::format("{} threads, output {}: {}", threads, graph.output_name(o), off);
    }
  }
  return {};
}

unsigned number_from(const char* name, unsigned fallback) {
  const char* text = std::getenv(name);
  return text == nullptr ? fallback : static_cast<unsigned>(std::strtoul(text, nullptr, 10));
}

TEST(RandomGraphs, FastAgreesWithReference) {
  using Clock = std::chrono::steady_clock;
  const auto first = number_from("TENON_RANDOM_GRAPH_SEED", 1),
             seconds = number_from("TENON_RANDOM_GRAPH_SECONDS", 0),
             count = seconds > 0 ? ~0u : number_from("TENON_RANDOM_GRAPHS", 300);
  const auto end = Clock::now() + std::chrono::seconds(seconds);
  int failures = 0;
  unsigned i = 0;
  for (; i < count && failures < 10 && (seconds == 0 || Clock::now() < end); ++i) {
    const auto seed = first + i;
    std::string graph;
    const auto off = check_seed(seed, graph);
    if (off.empty()) continue;
    ++failures;
    ADD_FAILURE() << "seed " << seed << ": " << off << graph;
  }
  if (seconds > 0) fmt::print("{} graphs from seed {}\n", i, first);
}

}  // namespace
}  // namespace tenon::kernels
