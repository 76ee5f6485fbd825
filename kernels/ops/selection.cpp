// Operators whose result's size depends on data: NonZero, Compress, Unique, NonMaxSuppression. They work on
// values.
#include <cmath>
#include <numeric>

#include "kernels/interpreter.h"
#include "kernels/ops/families.h"
#include "kernels/ops/number.h"

namespace tenon::kernels {
namespace {

Result<Tensor> integers(const Dims& dims, const std::vector<std::int64_t>& values) {
  return Tensor::of<std::int64_t>(DataType::i64, dims, values);
}

// Elements `rows` of axis of a tensor seen as [outer, extent, inner].
Result<Tensor> take(const Tensor& tensor, std::size_t axis, const std::vector<std::int64_t>& rows,
                    const Limits& limits) {
  auto dims = tensor.dims();
  const auto outer = product(dims, 0, axis), extent = dims[axis],
             inner = product(dims, axis + 1, dims.size());
  dims[axis] = static_cast<std::int64_t>(rows.size());
  auto out = TENON_TRY(Tensor::allocate(tensor.type(), dims, limits.max_tensor_bytes));
  dispatch_moved(tensor.type(), [&]<class T>() {
    const In<T> in{tensor.data()};
    const Out<T> to{out.mutable_data()};
    std::int64_t at = 0;
    for (std::int64_t o = 0; o < outer; ++o) {
      for (const auto row : rows) {
        for (std::int64_t i = 0; i < inner; ++i) to.set(at++, in[(o * extent + row) * inner + i]);
      }
    }
  });
  return out;
}

Result<void> non_zero(ValueCall& call) {
  const auto& tensor = call.in[0]->tensor;
  if (tensor.type() == DataType::string) return fail(ErrorCode::unsupported_operation, "strings");
  const auto rank = std::max<std::size_t>(tensor.dims().size(), 1);
  auto dims = tensor.dims();
  if (dims.empty()) dims.push_back(1);
  std::vector<std::int64_t> found;
  for (std::int64_t i = 0; i < tensor.count(); ++i) {
    if (get_number(tensor.type(), tensor.data(), i) != 0) found.push_back(i);
  }
  const auto count = found.size();
  std::vector<std::int64_t> out(rank * count);
  for (std::size_t n = 0; n < count; ++n) {
    auto rest = found[n];
    for (std::size_t d = rank; d-- > 0;) {
      out[d * count + n] = rest % dims[d];
      rest /= dims[d];
    }
  }
  call.out[0] = Value::of(
      TENON_TRY(integers({static_cast<std::int64_t>(rank), static_cast<std::int64_t>(count)}, out)));
  return {};
}

Result<void> compress(ValueCall& call) {
  auto tensor = call.in[0]->tensor;
  const auto& condition = call.in[1]->tensor;
  if (condition.type() != DataType::boolean || condition.dims().size() != 1) {
    return fail(ErrorCode::invalid_argument, "the condition must be a list of bools");
  }
  std::size_t axis = 0;
  if (call.node.has("axis")) {
    axis = TENON_TRY(normalize_axis(call.node.integer("axis"), tensor.dims().size()));
  } else {
    tensor = TENON_TRY(tensor.reshaped({tensor.count()}));
  }
  if (condition.count() > tensor.dims()[axis]) {
    return fail(ErrorCode::runtime_error, "{} conditions for an axis of {}", condition.count(),
                tensor.dims()[axis]);
  }
  std::vector<std::int64_t> rows;
  for (std::int64_t i = 0; i < condition.count(); ++i) {
    if (In<bool_t>{condition.data()}[i]) rows.push_back(i);
  }
  call.out[0] = Value::of(TENON_TRY(take(tensor, axis, rows, call.interpreter.options().limits)));
  return {};
}

// Three-way comparison of rows `a` and `b` of an axis, by their elements in order.
int compare_rows(const Tensor& tensor, std::size_t axis, std::int64_t a, std::int64_t b) {
  const auto& dims = tensor.dims();
  const auto outer = product(dims, 0, axis), extent = dims[axis],
             inner = product(dims, axis + 1, dims.size());
  for (std::int64_t o = 0; o < outer; ++o) {
    for (std::int64_t i = 0; i < inner; ++i) {
      const auto x = (o * extent + a) * inner + i, y = (o * extent + b) * inner + i;
      if (tensor.type() == DataType::string) {
        const auto order = tensor.strings()[static_cast<std::size_t>(x)].compare(
            tensor.strings()[static_cast<std::size_t>(y)]);
        if (order != 0) return order;
        continue;
      }
      if (tensor.type() == DataType::i64) {
        const In<std::int64_t> in{tensor.data()};
        if (in[x] != in[y]) return in[x] < in[y] ? -1 : 1;
        continue;
      }
      const auto u = get_number(tensor.type(), tensor.data(), x),
                 v = get_number(tensor.type(), tensor.data(), y);
      if (u < v) return -1;
      if (u > v) return 1;
    }
  }
  return 0;
}

Result<void> unique(ValueCall& call) {
  auto tensor = call.in[0]->tensor;
  std::size_t axis = 0;
  if (call.node.has("axis")) {
    axis = TENON_TRY(normalize_axis(call.node.integer("axis"), tensor.dims().size()));
  } else {
    tensor = TENON_TRY(tensor.reshaped({tensor.count()}));
  }
  const auto extent = tensor.dims()[axis];
  std::vector<std::int64_t> order(static_cast<std::size_t>(extent));
  std::iota(order.begin(), order.end(), 0);
  const auto less = [&](std::int64_t a, std::int64_t b) {
    const int c = compare_rows(tensor, axis, a, b);
    return c != 0 ? c < 0 : a < b;
  };
  std::sort(order.begin(), order.end(), less);
  // Groups of equal rows, each led by its first occurrence.
  struct Group {
    std::int64_t first, count;
  };
  std::vector<Group> groups;
  std::vector<std::int64_t> group_of(order.size());
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (i == 0 || compare_rows(tensor, axis, order[i - 1], order[i]) != 0) groups.push_back({order[i], 0});
    ++groups.back().count;
    group_of[static_cast<std::size_t>(order[i])] = static_cast<std::int64_t>(groups.size() - 1);
  }
  std::vector<std::int64_t> places(groups.size());
  std::iota(places.begin(), places.end(), 0);
  if (call.node.integer("sorted") == 0) {
    std::sort(places.begin(), places.end(), [&](std::int64_t a, std::int64_t b) {
      return groups[static_cast<std::size_t>(a)].first < groups[static_cast<std::size_t>(b)].first;
    });
  }
  std::vector<std::int64_t> firsts, counts, inverse(group_of.size()), rank(groups.size());
  for (std::size_t i = 0; i < places.size(); ++i) {
    const auto& group = groups[static_cast<std::size_t>(places[i])];
    firsts.push_back(group.first);
    counts.push_back(group.count);
    rank[static_cast<std::size_t>(places[i])] = static_cast<std::int64_t>(i);
  }
  for (std::size_t i = 0; i < group_of.size(); ++i) inverse[i] = rank[static_cast<std::size_t>(group_of[i])];
  const Dims list{static_cast<std::int64_t>(firsts.size())};
  call.out[0] = Value::of(TENON_TRY(take(tensor, axis, firsts, call.interpreter.options().limits)));
  if (call.out.size() > 1) call.out[1] = Value::of(TENON_TRY(integers(list, firsts)));
  if (call.out.size() > 2) call.out[2] = Value::of(TENON_TRY(integers({extent}, inverse)));
  if (call.out.size() > 3) call.out[3] = Value::of(TENON_TRY(integers(list, counts)));
  return {};
}

struct Box {
  float low[2], high[2];
  static Box of(In<float> p, std::int64_t at, bool center) {
    Box box{};
    for (int d = 0; d < 2; ++d) {
      // Corners come as y, x, y, x in any order; centres as x, y, width, height.
      const float a = p[at + d], b = p[at + 2 + d];
      box.low[d] = center ? a - b / 2 : std::min(a, b);
      box.high[d] = center ? a + b / 2 : std::max(a, b);
    }
    return box;
  }
  float area() const { return (high[0] - low[0]) * (high[1] - low[1]); }
  float overlap(const Box& o) const {
    float common = 1;
    for (int d = 0; d < 2; ++d)
      common *= std::max(0.0f, std::min(high[d], o.high[d]) - std::max(low[d], o.low[d]));
    const float all = area() + o.area() - common;
    return all <= 0 ? 0 : common / all;
  }
};

// The boxes of one image with the scores of one class, and what decides between them.
struct Candidates {
  In<float> corners, scores;  // [count, 4], [count]
  std::int64_t count;
  bool center;
  std::int64_t most;
  float overlap, sigma;  // sigma 0: boxes that overlap are dropped; else their scores fall
  std::optional<float> least;

  struct Chosen {
    std::int64_t place;
    float score;
  };

  Box box(std::int64_t i) const { return Box::of(corners, i * 4, center); }
  bool is_above(float score) const { return !least || score > *least; }
  // NaN counts as the lowest score: the order must be total.
  static bool is_better(const Chosen& a, const Chosen& b) {
    const auto rank = [](float x) { return x == x ? x : -std::numeric_limits<float>::infinity(); };
    return rank(a.score) != rank(b.score) ? rank(a.score) > rank(b.score) : a.place < b.place;
  }
  std::vector<Chosen> sorted() const {
    std::vector<Chosen> order;
    for (std::int64_t i = 0; i < count; ++i) {
      if (is_above(scores[i])) order.push_back({i, scores[i]});
    }
    std::sort(order.begin(), order.end(), is_better);
    return order;
  }

  Result<std::vector<Chosen>> choose(ValueCall& call) const {
    std::vector<Chosen> chosen;
    std::vector<Box> kept;
    for (const Chosen& one : sorted()) {
      if (static_cast<std::int64_t>(kept.size()) >= most) break;
      TENON_TRY(call.interpreter.check_interrupt());
      const Box own = box(one.place);
      if (std::any_of(kept.begin(), kept.end(), [&](const Box& k) { return own.overlap(k) > overlap; }))
        continue;
      kept.push_back(own);
      chosen.push_back(one);
    }
    return chosen;
  }

  // Soft-NMS as TensorFlow's NonMaxSuppressionV5 and OpenVINO's NonMaxSuppression-5 have it: a score falls by
  // exp(-overlap² / 2 sigma) for each better box, however much both overlap, and the box waits for its new turn.
  Result<std::vector<Chosen>> choose_softly(ValueCall& call) const {
    struct Waiting {
      Chosen one;
      std::size_t seen;  // chosen boxes that its score knows of
    };
    const auto is_worse = [](const Waiting& a, const Waiting& b) { return is_better(b.one, a.one); };
    std::vector<Waiting> queue;
    for (const Chosen& one : sorted()) queue.push_back({one, 0});  // sorted: a heap
    std::vector<Chosen> chosen;
    std::vector<Box> kept;
    while (!queue.empty() && static_cast<std::int64_t>(kept.size()) < most) {
      TENON_TRY(call.interpreter.check_interrupt());
      std::pop_heap(queue.begin(), queue.end(), is_worse);
      Waiting next = queue.back();
      queue.pop_back();
      const Box own = box(next.one.place);
      const float before = next.one.score;
      const bool is_news = next.seen < kept.size();
      for (std::size_t k = kept.size(); k-- > next.seen && is_above(next.one.score);) {
        const float common = own.overlap(kept[k]);
        next.one.score *= std::exp(-0.5f / sigma * common * common);
      }
      next.seen = kept.size();
      if (!is_news || next.one.score == before) {
        kept.push_back(own);
        chosen.push_back(next.one);
      } else if (is_above(next.one.score)) {
        queue.push_back(next);
        std::push_heap(queue.begin(), queue.end(), is_worse);
      }
    }
    return chosen;
  }
};

Result<void> non_max_suppression(ValueCall& call) {
  const auto& boxes = call.in[0]->tensor;
  const auto& scores = call.in[1]->tensor;
  if (boxes.type() != DataType::f32 || scores.type() != DataType::f32 || boxes.dims().size() != 3 ||
      scores.dims().size() != 3 || boxes.dims()[2] != 4 || boxes.dims()[0] != scores.dims()[0] ||
      boxes.dims()[1] != scores.dims()[2]) {
    return fail(ErrorCode::invalid_argument, "boxes {} and scores {}", to_string(boxes.dims()),
                to_string(scores.dims()));
  }
  const auto scalar = [&](std::size_t i) -> std::optional<double> {
    if (call.in.size() <= i || call.in[i] == nullptr || call.in[i]->tensor.count() != 1) return std::nullopt;
    return get_number(call.in[i]->tensor.type(), call.in[i]->tensor.data(), 0);
  };
  const auto count = boxes.dims()[1], classes = scores.dims()[1];
  const auto most = scalar(2).value_or(0);
  const auto least = scalar(4);
  Candidates candidates{
      .corners = In<float>{boxes.data()},
      .scores = In<float>{scores.data()},
      .count = count,
      .center = call.node.integer("center_point_box") != 0,
      .most = static_cast<std::int64_t>(most > 0 ? std::min(most, 1e15) : 0),
      .overlap = static_cast<float>(scalar(3).value_or(0)),
      .sigma = call.node.real("soft_sigma"),
      .least = least ? std::optional(static_cast<float>(*least)) : std::nullopt,
  };
  std::vector<std::int64_t> out;
  std::vector<float> kept_scores;
  for (std::int64_t n = 0; n < scores.dims()[0]; ++n) {
    candidates.corners = In<float>{boxes.data() + static_cast<std::size_t>(n * count * 4) * sizeof(float)};
    for (std::int64_t c = 0; c < classes; ++c) {
      TENON_TRY(call.interpreter.check_interrupt());
      const auto first = static_cast<std::size_t>((n * classes + c) * count);
      candidates.scores = In<float>{scores.data() + first * sizeof(float)};
      const auto chosen =
          TENON_TRY(candidates.sigma > 0 ? candidates.choose_softly(call) : candidates.choose(call));
      for (const auto& one : chosen) {
        out.insert(out.end(), {n, c, one.place});
        kept_scores.push_back(one.score);
      }
    }
  }
  const auto rows = static_cast<std::int64_t>(kept_scores.size());
  call.out[0] = Value::of(TENON_TRY(integers({rows, 3}, out)));
  if (call.out.size() > 1)
    call.out[1] = Value::of(TENON_TRY(Tensor::of<float>(DataType::f32, {rows}, std::span(kept_scores))));
  return {};
}

}  // namespace

KernelResult fast::selection(const LowerContext& c) {
  switch (c.node.op) {
    case Op::NonZero: return value_kernel_of("tenon selection", non_zero);
    case Op::Compress: return value_kernel_of("tenon selection", compress);
    case Op::Unique: return value_kernel_of("tenon selection", unique);
    default: return value_kernel_of("tenon selection", non_max_suppression);
  }
}

}  // namespace tenon::kernels
