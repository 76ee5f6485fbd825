// TensorFlow Lite's DetectionPostProcess: boxes against anchors become corners, of which those with the best scores stay
// that overlap no better one too much. No other operator's choice of boxes is here.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/element.h"
#include "kernels/ops/families.h"

namespace tenon::kernels {
namespace {

struct Corners {
  float y1, x1, y2, x2;
};

struct Detections {
  std::int64_t boxes, coordinates, columns, classes, background;  // columns of scores: background and classes
  std::int64_t most, per_box, per_class, kept;
  float least_score, most_overlap;
  std::vector<float> scales;  // y x h w
};

float overlap(const Corners& a, const Corners& b) {
  const float area_a = (a.y2 - a.y1) * (a.x2 - a.x1), area_b = (b.y2 - b.y1) * (b.x2 - b.x1);
  if (area_a <= 0 || area_b <= 0) return 0;
  const float height = std::max(std::min(a.y2, b.y2) - std::max(a.y1, b.y1), 0.0f);
  const float width = std::max(std::min(a.x2, b.x2) - std::max(a.x1, b.x1), 0.0f);
  const float both = height * width;
  return both / (area_a + area_b - both);
}

std::vector<Corners> decoded(const Detections& d, In<float> boxes, In<float> anchors) {
  std::vector<Corners> out;
  out.reserve(static_cast<std::size_t>(d.boxes));
  for (std::int64_t i = 0; i < d.boxes; ++i) {
    const auto box = [&](std::int64_t k) {
      return boxes[i * d.coordinates + k] / d.scales[static_cast<std::size_t>(k)];
    };
    const auto anchor = [&](std::int64_t k) { return anchors[i * 4 + k]; };
    const float y = box(0) * anchor(2) + anchor(0), x = box(1) * anchor(3) + anchor(1);
    const float half_height = 0.5f * std::exp(box(2)) * anchor(2);
    const float half_width = 0.5f * std::exp(box(3)) * anchor(3);
    out.push_back({y - half_height, x - half_width, y + half_height, x + half_width});
  }
  return out;
}

// A box with one of its scores.
struct Candidate {
  std::int64_t box, category;
  float score;
};

// Of equal scores, the first class and box.
bool is_better(const Candidate& a, const Candidate& b) {
  if (a.score != b.score) return a.score > b.score;
  return a.category != b.category ? a.category < b.category : a.box < b.box;
}

// At most `most` candidates, the best first, none of which overlaps a better one too much. What is no number is no score.
std::vector<Candidate> chosen(const Detections& d, const std::vector<Corners>& boxes,
                              std::vector<Candidate> candidates, std::int64_t most) {
  std::erase_if(candidates, [&](const Candidate& c) { return !(c.score >= d.least_score); });
  std::ranges::sort(candidates, is_better);
  std::vector<Candidate> out;
  for (const auto& next : candidates) {
    if (static_cast<std::int64_t>(out.size()) >= most) break;
    const auto hides = [&](const Candidate& better) {
      return overlap(boxes[static_cast<std::size_t>(better.box)], boxes[static_cast<std::size_t>(next.box)]) >
             d.most_overlap;
    };
    if (std::ranges::none_of(out, hides)) out.push_back(next);
  }
  return out;
}

// Each box has its best classes, and is chosen by the best of these.
std::vector<Candidate> by_best_class(const Detections& d, const std::vector<Corners>& boxes,
                                     In<float> scores) {
  const auto kept = std::min(d.per_box, d.classes);
  const auto score = [&](std::int64_t box, std::int64_t category) {
    const float s = scores[box * d.columns + d.background + category];
    return std::isnan(s) ? -std::numeric_limits<float>::infinity() : s;
  };
  const auto best_classes = [&](std::int64_t box) {
    std::vector<std::int64_t> order(static_cast<std::size_t>(d.classes));
    std::iota(order.begin(), order.end(), 0);
    std::ranges::partial_sort(order, order.begin() + kept, [&](std::int64_t a, std::int64_t b) {
      return score(box, a) != score(box, b) ? score(box, a) > score(box, b) : a < b;
    });
    order.resize(static_cast<std::size_t>(kept));
    return order;
  };
  std::vector<Candidate> candidates;
  for (std::int64_t i = 0; i < d.boxes; ++i) {
    Candidate best{i, 0, score(i, 0)};
    for (std::int64_t c = 1; c < d.classes; ++c) best.score = std::max(best.score, score(i, c));
    candidates.push_back(best);
  }
  std::vector<Candidate> out;
  for (const auto& c : chosen(d, boxes, std::move(candidates), d.most)) {
    for (const auto category : best_classes(c.box)) out.push_back({c.box, category, score(c.box, category)});
  }
  return out;
}

// Boxes are chosen for each class by itself, then the best of all.
std::vector<Candidate> by_class(const Detections& d, const std::vector<Corners>& boxes, In<float> scores) {
  std::vector<Candidate> all;
  for (std::int64_t category = 0; category < d.classes; ++category) {
    std::vector<Candidate> candidates;
    for (std::int64_t i = 0; i < d.boxes; ++i)
      candidates.push_back({i, category, scores[i * d.columns + d.background + category]});
    const auto own = chosen(d, boxes, std::move(candidates), d.per_class);
    all.insert(all.end(), own.begin(), own.end());
    // More than the best of all are never needed.
    std::ranges::sort(all, is_better);
    if (static_cast<std::int64_t>(all.size()) > d.most) all.resize(static_cast<std::size_t>(d.most));
  }
  return all;
}

}  // namespace

KernelResult fast::detections(const LowerContext& c) {
  if (c.inputs[0].type != DataType::f32 || c.inputs[1].type != DataType::f32 ||
      c.inputs[2].type != DataType::f32)
    return no_kernel(c);
  const auto scales = c.node.reals("scales");
  Detections d{.boxes = c.in_dims(0)[1],
               .coordinates = c.in_dims(0)[2],
               .columns = c.in_dims(1)[2],
               .classes = c.node.integer("classes"),
               .background = c.in_dims(1)[2] - c.node.integer("classes"),
               .most = c.node.integer("detections"),
               .per_box = c.node.integer("classes_per_detection"),
               .per_class = c.node.integer("detections_per_class"),
               .kept = c.outputs[0].dims[1],
               .least_score = c.node.real("score_threshold"),
               .most_overlap = c.node.real("iou_threshold"),
               .scales = {scales.begin(), scales.end()}};
  const bool regular = c.node.integer("regular") != 0;
  return kernel_of("tenon detections", [=](const KernelCall& call) -> Result<void> {
    const auto boxes = decoded(d, In<float>{call.in[0]}, In<float>{call.in[2]});
    const In<float> scores{call.in[1]};
    auto found = regular ? by_class(d, boxes, scores) : by_best_class(d, boxes, scores);
    if (static_cast<std::int64_t>(found.size()) > d.kept) found.resize(static_cast<std::size_t>(d.kept));
    const auto wanted = [&](std::size_t i) { return i < call.out.size() && call.out[i] != nullptr; };
    for (std::int64_t i = 0; i < d.kept; ++i) {
      const auto at = static_cast<std::size_t>(i);
      const bool counts = at < found.size();
      const Candidate one = counts ? found[at] : Candidate{};
      const Corners box = counts ? boxes[static_cast<std::size_t>(one.box)] : Corners{};
      const float corners[] = {box.y1, box.x1, box.y2, box.x2};
      for (std::int64_t k = 0; wanted(0) && k < 4; ++k) Out<float>{call.out[0]}.set(i * 4 + k, corners[k]);
      if (wanted(1)) Out<float>{call.out[1]}.set(i, static_cast<float>(one.category));
      if (wanted(2)) Out<float>{call.out[2]}.set(i, one.score);
    }
    const auto each = regular ? 1 : std::max<std::int64_t>(std::min(d.per_box, d.classes), 1);
    const auto count = static_cast<std::int64_t>(found.size()) / each;
    if (wanted(3)) Out<float>{call.out[3]}.set(0, static_cast<float>(count));
    return {};
  });
}

KernelResult reference::detections(const LowerContext& c) { return fast::detections(c); }

}  // namespace tenon::kernels
