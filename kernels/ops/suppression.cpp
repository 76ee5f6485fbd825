// Choices among boxes by their scores: ONNX's NonMaxSuppression with TensorFlow's soft form, and OpenVINO's operators that
// choose for several classes at once. TensorFlow Lite's is detections.cpp's. All work on values.
#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/interpreter.h"
#include "kernels/ops/families.h"
#include "kernels/ops/number.h"

namespace tenon::kernels {
namespace {

// One box of an image with one of its scores.
struct Candidate {
  std::int64_t category, place;
  float score;
};

// Of equal scores the first; NaN counts as the lowest one: the order must be total.
bool is_better(const Candidate& a, const Candidate& b) {
  const auto rank = [](float x) { return x == x ? x : -std::numeric_limits<float>::infinity(); };
  if (rank(a.score) != rank(b.score)) return rank(a.score) > rank(b.score);
  return a.category != b.category ? a.category < b.category : a.place < b.place;
}

using Candidates = std::vector<Candidate>;

struct Box {
  float low[2], high[2];
  float pixel = 0;  // what a side has beyond the distance of its ends

  // Corners come as y, x, y, x (or all x first) in any order; centres as x, y, width, height.
  static Box of(In<float> p, std::int64_t at, bool center) {
    Box box{};
    for (int d = 0; d < 2; ++d) {
      const float a = p[at + d], b = p[at + 2 + d];
      box.low[d] = center ? a - b / 2 : std::min(a, b);
      box.high[d] = center ? a + b / 2 : std::max(a, b);
    }
    return box;
  }
  // Two corners, x before y. Pixels have an extent of their own when coordinates count them.
  static Box of_corners(In<float> p, std::int64_t at, bool pixels) {
    return {{p[at], p[at + 1]}, {p[at + 2], p[at + 3]}, pixels ? 1.0f : 0.0f};
  }
  float area() const {
    if (high[0] < low[0] || high[1] < low[1]) return 0;
    return (high[0] - low[0] + pixel) * (high[1] - low[1] + pixel);
  }
  // What both have in common, of what they have together.
  float overlap(const Box& o) const {
    float common = 1;
    for (int d = 0; d < 2; ++d) {
      const float from = std::max(low[d], o.low[d]), to = std::min(high[d], o.high[d]);
      common *= to < from ? 0.0f : to - from + pixel;
    }
    const float all = area() + o.area() - common;
    return all <= 0 ? 0 : common / all;
  }
};

// NonMaxSuppression: the boxes of one image with the scores of one class, and what decides between them.
struct OneClass {
  In<float> corners, scores;  // [count, 4], [count]
  std::int64_t category, count;
  bool center;
  std::int64_t most;
  float overlap, sigma;  // sigma 0: boxes that overlap are dropped; else their scores fall
  std::optional<float> least;

  Box box(const Candidate& one) const { return Box::of(corners, one.place * 4, center); }
  bool is_above(float score) const { return !least || score > *least; }
  Candidates sorted() const {
    Candidates order;
    for (std::int64_t i = 0; i < count; ++i) {
      if (is_above(scores[i])) order.push_back({category, i, scores[i]});
    }
    std::ranges::sort(order, is_better);
    return order;
  }

  Result<Candidates> choose(ValueCall& call) const {
    Candidates chosen;
    std::vector<Box> kept;
    for (const Candidate& one : sorted()) {
      if (static_cast<std::int64_t>(kept.size()) >= most) break;
      TENON_TRY(call.interpreter.check_interrupt());
      const Box own = box(one);
      if (std::ranges::any_of(kept, [&](const Box& k) { return own.overlap(k) > overlap; })) continue;
      kept.push_back(own);
      chosen.push_back(one);
    }
    return chosen;
  }

  // Soft-NMS as TensorFlow's NonMaxSuppressionV5 and OpenVINO's NonMaxSuppression-5 have it: a score falls by
  // exp(-overlap² / 2 sigma) for each better box, however much both overlap, and the box waits for its new turn.
  Result<Candidates> choose_softly(ValueCall& call) const {
    struct Waiting {
      Candidate one;
      std::size_t seen;  // chosen boxes that its score knows of
    };
    const auto is_worse = [](const Waiting& a, const Waiting& b) { return is_better(b.one, a.one); };
    std::vector<Waiting> queue;
    for (const Candidate& one : sorted()) queue.push_back({one, 0});  // sorted: a heap
    Candidates chosen;
    std::vector<Box> kept;
    while (!queue.empty() && static_cast<std::int64_t>(kept.size()) < most) {
      TENON_TRY(call.interpreter.check_interrupt());
      std::ranges::pop_heap(queue, is_worse);
      Waiting next = queue.back();
      queue.pop_back();
      const Box own = box(next.one);
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
        std::ranges::push_heap(queue, is_worse);
      }
    }
    return chosen;
  }
};

// Boxes [images, count, 4], scores [images, classes, count].
Result<void> check_operands(const ValueCall& call) {
  const auto &boxes = call.in[0]->tensor, &scores = call.in[1]->tensor;
  if (boxes.type() == DataType::f32 && scores.type() == DataType::f32 && boxes.dims().size() == 3 &&
      scores.dims().size() == 3 && boxes.dims()[2] == 4 && boxes.dims()[0] == scores.dims()[0] &&
      boxes.dims()[1] == scores.dims()[2])
    return {};
  return fail(ErrorCode::invalid_argument, "boxes {} and scores {}", to_string(boxes.dims()),
              to_string(scores.dims()));
}

template <class T>
Result<Value> list_of(DataType type, const std::vector<T>& values, std::int64_t columns = 0) {
  const auto count = static_cast<std::int64_t>(values.size());
  const Dims dims = columns == 0 ? Dims{count} : Dims{count / columns, columns};
  return Value::of(TENON_TRY(Tensor::of<T>(type, dims, std::span(values))));
}

Result<void> non_max_suppression(ValueCall& call) {
  TENON_TRY(check_operands(call));
  const auto &boxes = call.in[0]->tensor, &scores = call.in[1]->tensor;
  const auto scalar = [&](std::size_t i) -> std::optional<double> {
    if (call.in.size() <= i || call.in[i] == nullptr || call.in[i]->tensor.count() != 1) return std::nullopt;
    return get_number(call.in[i]->tensor.type(), call.in[i]->tensor.data(), 0);
  };
  const auto count = boxes.dims()[1], classes = scores.dims()[1];
  const auto most = scalar(2).value_or(0);
  const auto least = scalar(4);
  OneClass one{
      .corners = In<float>{boxes.data()},
      .scores = In<float>{scores.data()},
      .category = 0,
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
    one.corners = In<float>{boxes.data()}.at(n * count * 4);
    for (one.category = 0; one.category < classes; ++one.category) {
      TENON_TRY(call.interpreter.check_interrupt());
      one.scores = In<float>{scores.data()}.at((n * classes + one.category) * count);
      for (const Candidate& chosen : TENON_TRY(one.sigma > 0 ? one.choose_softly(call) : one.choose(call))) {
        out.insert(out.end(), {n, chosen.category, chosen.place});
        kept_scores.push_back(chosen.score);
      }
    }
  }
  call.out[0] = TENON_TRY(list_of(DataType::i64, out, 3));
  if (call.out.size() > 1) call.out[1] = TENON_TRY(list_of(DataType::f32, kept_scores));
  return {};
}

// What MatrixNms and MulticlassNms have in common: all classes of an image, one after the other, then the best of them.
class ManyClasses {
 public:
  explicit ManyClasses(ValueCall& call)
      : call_(call),
        decays_(call.node.op == Op::MatrixNms),
        pixels_(call.node.integer("normalized") == 0),
        least_(call.node.real("score_threshold")) {}

  Result<void> run() {
    TENON_TRY(check_operands(call_));
    const auto images = scores().dims()[0], classes = scores().dims()[1];
    std::vector<std::int64_t> counts;
    for (std::int64_t n = 0; n < images; ++n) {
      corners_ = In<float>{boxes().data()}.at(n * count() * 4);
      Candidates found;
      for (std::int64_t c = 0; c < classes; ++c) {
        if (c == call_.node.integer("background_class")) continue;
        TENON_TRY(call_.interpreter.check_interrupt());
        Candidates own = best_of(n, c);
        own = TENON_TRY(decays_ ? decayed(own) : suppressed(own));
        found.insert(found.end(), own.begin(), own.end());
      }
      std::ranges::sort(found, is_better);
      cut(found, call_.node.integer("keep_top_k"));
      counts.push_back(static_cast<std::int64_t>(found.size()));
      for (const Candidate& one : found) rows_.push_back({n, one});
    }
    sort_rows();
    return write(counts);
  }

 private:
  struct Row {
    std::int64_t image;
    Candidate one;
  };

  const Tensor& boxes() const { return call_.in[0]->tensor; }
  const Tensor& scores() const { return call_.in[1]->tensor; }
  std::int64_t count() const { return boxes().dims()[1]; }
  Box box(const Candidate& one) const { return Box::of_corners(corners_, one.place * 4, pixels_); }

  static void cut(Candidates& list, std::int64_t most) {
    if (most >= 0 && static_cast<std::int64_t>(list.size()) > most)
      list.resize(static_cast<std::size_t>(most));
  }

  Candidates best_of(std::int64_t image, std::int64_t category) const {
    const auto values = In<float>{scores().data()}.at((image * scores().dims()[1] + category) * count());
    Candidates list;
    for (std::int64_t i = 0; i < count(); ++i) {
      if (decays_ ? values[i] > least_ : values[i] >= least_) list.push_back({category, i, values[i]});
    }
    std::ranges::sort(list, is_better);
    cut(list, call_.node.integer("nms_top_k"));
    return list;
  }

  // Drops what overlaps a better one; the limit falls with each that stays.
  Result<Candidates> suppressed(const Candidates& list) const {
    float limit = call_.node.real("iou_threshold");
    const float eta = call_.node.real("eta");
    Candidates chosen;
    std::vector<Box> kept;
    for (const Candidate& one : list) {
      TENON_TRY(call_.interpreter.check_interrupt());
      const Box own = box(one);
      if (std::ranges::any_of(kept, [&](const Box& k) { return own.overlap(k) >= limit; })) continue;
      kept.push_back(own);
      chosen.push_back(one);
      if (eta < 1 && limit > 0.5f) limit *= eta;
    }
    return chosen;
  }

  // Drops nothing at first: a score falls by how much the box overlaps better ones, less where these are overlapped themselves.
  Result<Candidates> decayed(const Candidates& list) const {
    const bool gaussian = call_.node.text("decay_function") == "gaussian";
    const float sigma = call_.node.real("gaussian_sigma"), least = call_.node.real("post_threshold");
    std::vector<float> largest(list.size(), 0.0f);  // overlap with any better one
    std::vector<Box> all;
    Candidates chosen;
    for (std::size_t i = 0; i < list.size(); ++i) {
      TENON_TRY(call_.interpreter.check_interrupt());
      all.push_back(box(list[i]));
      float decay = 1;
      for (std::size_t j = 0; j < i; ++j) {
        const float common = all[i].overlap(all[j]);
        largest[i] = std::max(largest[i], common);
        const float one = gaussian ? std::exp((largest[j] * largest[j] - common * common) * sigma)
                                   : (1 - common) / (1 - largest[j]);
        decay = std::min(decay, one);
      }
      const float score = decay * list[i].score;
      if (score > least) chosen.push_back({list[i].category, list[i].place, score});
    }
    return chosen;
  }

  // Rows of an image stand together, the best first, unless they are sorted otherwise. No score is NaN: thresholds drop it.
  void sort_rows() {
    const auto& by = call_.node.text("sort");
    const bool across = call_.node.integer("sort_across_batch") != 0 && by != "none";
    // OpenVINO's MatrixNms sorts by class across images only.
    const bool by_class = by == "classid" && (across || !decays_);
    std::ranges::sort(rows_, [&](const Row& a, const Row& b) {
      if (!across && a.image != b.image) return a.image < b.image;
      if (by_class && a.one.category != b.one.category) return a.one.category < b.one.category;
      if (!by_class && a.one.score != b.one.score) return a.one.score > b.one.score;
      if (a.image != b.image) return a.image < b.image;
      return is_better(a.one, b.one);
    });
  }

  Result<void> write(const std::vector<std::int64_t>& counts) {
    std::vector<float> found;
    std::vector<std::int64_t> places;
    for (const Row& row : rows_) {
      const auto corners = In<float>{boxes().data()}.at((row.image * count() + row.one.place) * 4);
      found.insert(found.end(), {static_cast<float>(row.one.category), row.one.score, corners[0], corners[1],
                                 corners[2], corners[3]});
      places.push_back(row.image * count() + row.one.place);
    }
    call_.out[0] = TENON_TRY(list_of(DataType::f32, found, 6));
    if (call_.out.size() > 1) call_.out[1] = TENON_TRY(list_of(DataType::i64, places, 1));
    if (call_.out.size() > 2) call_.out[2] = TENON_TRY(list_of(DataType::i64, counts));
    return {};
  }

  ValueCall& call_;
  bool decays_, pixels_;
  float least_;
  In<float> corners_{nullptr};
  std::vector<Row> rows_;
};

}  // namespace

KernelResult fast::suppression(const LowerContext& c) {
  if (c.node.op == Op::NonMaxSuppression) return value_kernel_of("tenon suppression", non_max_suppression);
  return value_kernel_of("tenon suppression", [](ValueCall& call) { return ManyClasses(call).run(); });
}

}  // namespace tenon::kernels
