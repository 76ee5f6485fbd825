// Einsum, determinants, and layer normalisation.
#include <cmath>

#include "kernels/infer.h"
#include "kernels/ops/families.h"
#include "kernels/ops/number.h"
#include "kernels/parallel.h"

namespace tenon::kernels {
namespace {

// A parsed equation: for each operand and the result the labels of their dims; an ellipsis becomes labels of
// its own.
struct Equation {
  std::vector<std::vector<int>> operands;
  std::vector<int> result;
  std::vector<std::int64_t> extents;  // by label
};

constexpr int kEllipsis = 64;  // first label of an ellipsis; letters are 0 to 51

Result<std::vector<int>> parse_term(std::string_view text, std::size_t rank, bool is_result,
                                    std::size_t ellipsis_rank) {
  std::vector<int> labels;
  const auto dots = text.find("...");
  std::size_t letters = 0;
  for (const char ch : text) letters += std::isalpha(static_cast<unsigned char>(ch)) ? 1 : 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char ch = text[i];
    if (ch == ' ') continue;
    if (i == dots) {
      const auto wide = is_result ? ellipsis_rank : rank - letters;
      if (!is_result && letters > rank)
        return fail(ErrorCode::invalid_argument, "'{}' has more labels than rank {}", text, rank);
      // Aligned at the right, as in broadcasting.
      for (std::size_t d = 0; d < wide; ++d)
        labels.push_back(kEllipsis + static_cast<int>(Dims::kMaxRank - wide + d));
      i += 2;
    } else if (ch >= 'a' && ch <= 'z') {
      labels.push_back(ch - 'a');
    } else if (ch >= 'A' && ch <= 'Z') {
      labels.push_back(26 + ch - 'A');
    } else {
      return fail(ErrorCode::invalid_argument, "character '{}' in an equation", ch);
    }
  }
  if (!is_result && labels.size() != rank) {
    return fail(ErrorCode::invalid_argument, "'{}' has {} labels for rank {}", text, labels.size(), rank);
  }
  return labels;
}

Result<Equation> parse_equation(std::string_view text, std::span<const Operand> inputs) {
  Equation e;
  e.extents.assign(kEllipsis + Dims::kMaxRank, 1);
  const auto arrow = text.find("->");
  auto left = text.substr(0, arrow);
  std::size_t ellipsis_rank = 0;
  std::vector<int> uses(e.extents.size(), 0);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const auto comma = left.find(',');
    if ((comma == std::string_view::npos) != (i + 1 == inputs.size())) {
      return fail(ErrorCode::invalid_argument, "equation '{}' for {} operands", text, inputs.size());
    }
    const auto& dims = inputs[i].dims;
    auto labels = TENON_TRY(parse_term(left.substr(0, comma), dims.size(), false, 0));
    for (std::size_t d = 0; d < labels.size(); ++d) {
      const auto label = static_cast<std::size_t>(labels[d]);
      auto& extent = e.extents[label];
      if (extent != dims[d] && extent != 1 && dims[d] != 1) {
        return fail(ErrorCode::invalid_argument, "one label stands for {} and {}", extent, dims[d]);
      }
      extent = extent == 1 ? dims[d] : extent;
      ++uses[label];
      if (labels[d] >= kEllipsis)
        ellipsis_rank = std::max(ellipsis_rank, Dims::kMaxRank - (label - kEllipsis));
    }
    e.operands.push_back(std::move(labels));
    left.remove_prefix(comma == std::string_view::npos ? left.size() : comma + 1);
  }
  if (arrow != std::string_view::npos) {
    e.result = TENON_TRY(parse_term(text.substr(arrow + 2), 0, true, ellipsis_rank));
  } else {  // ellipsis, then labels that occur once, in alphabetical order (capitals first)
    for (std::size_t d = 0; d < ellipsis_rank; ++d)
      e.result.push_back(kEllipsis + static_cast<int>(Dims::kMaxRank - ellipsis_rank + d));
    for (int l = 26; l < 52; ++l)
      if (uses[static_cast<std::size_t>(l)] == 1) e.result.push_back(l);
    for (int l = 0; l < 26; ++l)
      if (uses[static_cast<std::size_t>(l)] == 1) e.result.push_back(l);
  }
  if (e.result.size() > Dims::kMaxRank)
    return fail(ErrorCode::unsupported_operation, "rank {}", e.result.size());
  for (const auto label : e.result) {
    if (label < kEllipsis && uses[static_cast<std::size_t>(label)] == 0)
      return fail(ErrorCode::invalid_argument, "a result label has no operand");
  }
  return e;
}

double determinant(std::vector<double> m, std::int64_t n) {
  double det = 1;
  const auto at = [&](std::int64_t r, std::int64_t c) -> double& {
    return m[static_cast<std::size_t>(r * n + c)];
  };
  for (std::int64_t k = 0; k < n; ++k) {
    auto pivot = k;
    for (auto r = k + 1; r < n; ++r)
      if (std::abs(at(r, k)) > std::abs(at(pivot, k))) pivot = r;
    if (at(pivot, k) == 0) return 0;
    if (pivot != k) {
      for (std::int64_t c = 0; c < n; ++c) std::swap(at(k, c), at(pivot, c));
      det = -det;
    }
    det *= at(k, k);
    for (auto r = k + 1; r < n; ++r) {
      const double f = at(r, k) / at(k, k);
      for (auto c = k; c < n; ++c) at(r, c) -= f * at(k, c);
    }
  }
  return det;
}

}  // namespace

namespace shape {

Result<void> einsum(InferContext& c) {
  for (std::size_t i = 0; i < c.inputs.size(); ++i) {
    if (!c.has(i) || c.inputs[i].type != c.inputs[0].type) return c.invalid("operands must have one type");
  }
  const auto e = TENON_TRY(parse_equation(c.node.text("equation"), c.inputs));
  Dims out;
  for (const auto label : e.result) out.push_back(e.extents[static_cast<std::size_t>(label)]);
  return c.set(0, out);
}

Result<void> det(InferContext& c) {
  auto dims = c.dims(0);
  if (dims.size() < 2 || dims[dims.size() - 1] != dims[dims.size() - 2])
    return c.invalid(fmt::format("operand {}", to_string(dims)));
  dims.resize(dims.size() - 2);
  return c.set(0, dims);
}

// Y, and the mean and inverse deviation with normalised dims of 1.
Result<void> layer_norm(InferContext& c) {
  auto dims = c.dims(0);
  const auto axis = TENON_TRY(normalize_axis(c.node.integer("axis"), dims.size()));
  TENON_TRY(c.set(0, dims));
  for (std::size_t i = axis; i < dims.size(); ++i) dims[i] = 1;
  for (std::size_t i = 1; i < c.outputs.size(); ++i) {
    c.outputs[i].type = DataType::f32;
    TENON_TRY(c.set(i, dims));
  }
  return {};
}

}  // namespace shape

// Every combination of labels once: result labels outside, summed ones inside.
KernelResult fast::einsum(const LowerContext& c) {
  const auto e = TENON_TRY(parse_equation(c.node.text("equation"), c.inputs));
  std::vector<int> labels = e.result;
  for (const auto& operand : e.operands) {
    for (const auto label : operand) {
      if (std::find(labels.begin(), labels.end(), label) == labels.end()) labels.push_back(label);
    }
  }
  const auto outer = e.result.size();
  std::vector<std::int64_t> extents;
  double work = 1;
  for (const auto label : labels) {
    extents.push_back(e.extents[static_cast<std::size_t>(label)]);
    work *= static_cast<double>(extents.back());
  }
  if (work > 1e13) return fail(ErrorCode::too_large, "an einsum of {} steps", work);
  // A label may repeat within an operand (a diagonal): its strides add up.
  std::vector<std::vector<std::int64_t>> strides;
  for (std::size_t i = 0; i < e.operands.size(); ++i) {
    const auto own = strides_of(c.in_dims(i));
    std::vector<std::int64_t> by_label(labels.size(), 0);
    for (std::size_t d = 0; d < e.operands[i].size(); ++d) {
      if (c.in_dims(i)[d] == 1) continue;
      const auto at = static_cast<std::size_t>(std::find(labels.begin(), labels.end(), e.operands[i][d]) -
                                               labels.begin());
      by_label[at] += own[d];
    }
    strides.push_back(std::move(by_label));
  }
  std::unique_ptr<Kernel> kernel;
  dispatch(TypeList<float, double, f16_t, std::int32_t, std::int64_t>{}, c.inputs[0].type, [&]<class T>() {
    kernel = kernel_of("tenon einsum", [=](const KernelCall& call) -> Result<void> {
      using S = std::conditional_t<kIsFloat<T>, double, std::int64_t>;
      using W = std::conditional_t<kIsFloat<T>, double, std::uint64_t>;
      std::int64_t results = 1, sums = 1;
      for (std::size_t i = 0; i < extents.size(); ++i) (i < outer ? results : sums) *= extents[i];
      const auto offset = [&](std::size_t operand, std::int64_t index, std::size_t begin, std::size_t end) {
        std::int64_t at = 0;
        for (auto d = end; d-- > begin;) {
          at += index % extents[d] * strides[operand][d];
          index /= extents[d];
        }
        return at;
      };
      for (std::int64_t r = 0; r < results; ++r) {
        std::array<std::int64_t, 8> base{};
        for (std::size_t i = 0; i < strides.size(); ++i) base[i] = offset(i, r, 0, outer);
        W sum = 0;
        for (std::int64_t s = 0; s < sums; ++s) {
          W term = 1;
          for (std::size_t i = 0; i < strides.size(); ++i) {
            term *= static_cast<W>(In<T>{call.in[i]}[base[i] + offset(i, s, outer, extents.size())]);
          }
          sum += term;
        }
        if constexpr (kIsFloat<T>)
          Out<T>{call.out[0]}.set(r, static_cast<T>(static_cast<Compute<T>>(sum)));
        else
          Out<T>{call.out[0]}.set(r, static_cast<T>(static_cast<S>(sum)));
      }
      return {};
    });
  });
  if (!kernel || c.inputs.size() > 8) return no_kernel(c);
  return kernel;
}

KernelResult fast::det(const LowerContext& c) {
  const auto& dims = c.in_dims(0);
  const auto n = dims.back(), batch = product(c.outputs[0].dims);
  const auto type = c.inputs[0].type;
  return kernel_of("tenon det", [=](const KernelCall& call) -> Result<void> {
    for (std::int64_t b = 0; b < batch; ++b) {
      const auto* from = call.in[0] + b * n * n * static_cast<std::int64_t>(element_bytes(type));
      set_number(type, call.out[0], b, determinant(get_numbers(type, from, n * n), n));
    }
    return {};
  });
}

// Scale and bias have the normalised dims or broadcast to them from the right.
KernelResult fast::layer_norm(const LowerContext& c) {
  const auto& dims = c.in_dims(0);
  const auto axis = TENON_TRY(normalize_axis(c.node.integer("axis"), dims.size()));
  const auto outer = product(dims, 0, axis), inner = product(dims, axis, dims.size());
  for (std::size_t i = 1; i < c.inputs.size(); ++i) {
    if (c.has(i) && (c.inputs[i].type != c.inputs[0].type || product(c.in_dims(i)) != inner)) {
      return c.unsupported(
          fmt::format("operand {} of {} for {} elements", i, to_string(c.in_dims(i)), inner));
    }
  }
  const double epsilon = c.node.real("epsilon");
  const auto threads = c.threads;
  std::unique_ptr<Kernel> kernel;
  dispatch(FloatTypes{}, c.inputs[0].type, [&]<class T>() {
    kernel = kernel_of("tenon layer_norm", [=](const KernelCall& call) -> Result<void> {
      using C = Compute<T>;
      const bool bias = call.in.size() > 2 && call.in[2] != nullptr;
      parallel_for(threads, outer, std::max<std::int64_t>(1, 4096 / std::max<std::int64_t>(inner, 1)),
                   [&](std::int64_t begin, std::int64_t end) {
                     for (auto o = begin; o < end; ++o) {
                       const auto in = In<T>{call.in[0]}.at(o * inner);
                       const auto out = Out<T>{call.out[0]}.at(o * inner);
                       double sum = 0, squares = 0;
                       for (std::int64_t i = 0; i < inner; ++i) sum += static_cast<double>(in[i]);
                       const double mean = sum / static_cast<double>(inner);
                       for (std::int64_t i = 0; i < inner; ++i) {
                         const double d = static_cast<double>(in[i]) - mean;
                         squares += d * d;
                       }
                       const double inverse = 1 / std::sqrt(squares / static_cast<double>(inner) + epsilon);
                       for (std::int64_t i = 0; i < inner; ++i) {
                         C y = static_cast<C>((static_cast<double>(in[i]) - mean) * inverse) *
                               static_cast<C>(In<T>{call.in[1]}[i]);
                         if (bias) y += static_cast<C>(In<T>{call.in[2]}[i]);
                         out.set(i, static_cast<T>(y));
                       }
                       if (call.out.size() > 1 && call.out[1] != nullptr)
                         Out<float>{call.out[1]}.set(o, static_cast<float>(mean));
                       if (call.out.size() > 2 && call.out[2] != nullptr)
                         Out<float>{call.out[2]}.set(o, static_cast<float>(inverse));
                     }
                   });
      return {};
    });
  });
  if (!kernel) return no_kernel(c);
  return kernel;
}

}  // namespace tenon::kernels
