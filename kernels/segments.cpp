// Cutting graphs into parts and planning these; see segments.h.
#include "kernels/segments.h"

#include <set>

namespace tenon::kernels {
namespace {

constexpr std::size_t kPlansKept = 8;
// So many new plans, and more than plans found again: planning does not pay.
constexpr std::uint64_t kMissesAllowed = 24;

bool same_bytes(const Tensor& a, const Tensor& b) { return std::ranges::equal(a.bytes(), b.bytes()); }

// Values that a node reads, those that its bodies capture included.
template <class F>
void each_read(const Node& node, F&& f) {
  for (const auto id : node.inputs) {
    if (id != kAbsent) f(id);
  }
  for (const auto& attribute : node.attributes) {
    const auto* body = std::get_if<std::shared_ptr<const Graph>>(&attribute.value);
    if (body == nullptr || !*body) continue;
    for (const auto& capture : (*body)->captures()) f(capture.outer);
  }
}

}  // namespace

Result<std::shared_ptr<PlannedPart>> PlannedPart::make(const Graph& graph, std::size_t first,
                                                       std::size_t last,
                                                       const std::function<DataType(ValueId)>& type_of) {
  Limits limits;
  limits.max_graph_depth = std::numeric_limits<std::uint32_t>::max();  // checked when the model was built
  limits.max_nodes = std::numeric_limits<std::uint64_t>::max();
  GraphBuilder builder(graph.file(), limits);
  // Values keep their numbers, so captures of bodies stay right.
  for (const auto& value : graph.values()) builder.add_value(value.name, value.type);
  std::vector<bool> here(graph.values().size(), false);
  for (auto n = first; n < last; ++n) {
    for (const auto id : graph.nodes()[n].outputs) {
      if (id != kAbsent) here[index(id)] = true;
    }
  }
  auto part = std::make_shared<PlannedPart>();
  std::vector<bool> defined(graph.values().size(), false);
  std::set<std::size_t> needed_later;
  for (auto n = last; n < graph.nodes().size(); ++n)
    each_read(graph.nodes()[n], [&](ValueId id) { needed_later.insert(index(id)); });
  for (const auto id : graph.outputs()) needed_later.insert(index(id));
  for (auto n = first; n < last; ++n) {
    const auto& node = graph.nodes()[n];
    Result<void> ok;
    each_read(node, [&](ValueId id) {
      if (!ok || here[index(id)] || defined[index(id)]) return;
      defined[index(id)] = true;
      const auto& value = graph.value(id);
      if (value.origin == GraphValue::Origin::constant) {
        ok = builder.define_constant(id, value.constant);
        return;
      }
      const auto type = type_of(id);
      builder.set_type(id, ValueType::unranked(type));
      part->types_.push_back(type);
      ok = builder.define_input(id);
    });
    TENON_TRY(std::move(ok));
    TENON_TRY(builder.add_node(node.op, node.inputs, node.outputs, node.attributes, node.source));
  }
  for (auto n = first; n < last; ++n) {
    for (const auto id : graph.nodes()[n].outputs) {
      if (id != kAbsent && needed_later.contains(index(id))) TENON_TRY(builder.add_output(id));
    }
  }
  part->graph_ = TENON_TRY(std::move(builder).finish());
  part->first_ = first;
  part->by_contents_.assign(part->graph_.inputs().size(), false);
  return part;
}

bool PlannedPart::fits(const Entry& entry, std::span<const Operand> operands) const {
  for (std::size_t i = 0; i < operands.size(); ++i) {
    if (!(entry.operands[i].dims == operands[i].dims)) return false;
    if (by_contents_[i] && !(entry.operands[i].constant.defined() &&
                             same_bytes(entry.operands[i].constant, operands[i].constant)))
      return false;
  }
  return true;
}

Result<PlannedPart::Planned> PlannedPart::plan_for(std::span<const Operand> operands,
                                                   const CompileOptions& options, ConstantCache& cache) {
  // Held while planning: two contexts that need the same plan make it once.
  const std::lock_guard lock(mutex_);
  for (auto it = plans_.begin(); it != plans_.end(); ++it) {
    if (!fits(*it, operands)) continue;
    ++hits_;
    plans_.splice(plans_.begin(), plans_, it);
    return Planned{it->plan};
  }
  if (++misses_ > kMissesAllowed && misses_ > hits_) {
    if (wanted_by_) return Planned{nullptr, *wanted_by_, true, false};
    return Planned{nullptr, first_, false, true};
  }
  for (;;) {
    Entry entry;
    for (std::size_t i = 0; i < operands.size(); ++i) {
      entry.operands.push_back(operands[i]);
      if (!by_contents_[i]) entry.operands[i].constant = {};
    }
    auto flattened = TENON_TRY(flatten(graph_, entry.operands, options, cache));
    if (flattened.graph) {
      auto lowered = TENON_TRY(lower(*flattened.graph, options, cache));
      entry.plan = std::make_shared<const Plan>(TENON_TRY(place(*flattened.graph, lowered, {}, options)));
      plans_.push_front(std::move(entry));
      if (plans_.size() > kPlansKept) plans_.pop_back();
      return Planned{plans_.front().plan};
    }
    const auto at = first_ + flattened.stopped_at;
    if (!flattened.wants_contents) return Planned{nullptr, at, true, false};
    if (!flattened.deciding_inputs) {
      // What it needs is computed here, and will be an input of the part that it starts.
      return Planned{nullptr, at, at == first_, false};
    }
    bool more = false;
    for (const auto i : *flattened.deciding_inputs) {
      more = more || !by_contents_[i];
      by_contents_[i] = true;
    }
    if (!more) return Planned{nullptr, at, true, false};
    if (!wanted_by_) wanted_by_ = at;
  }
}

SegmentedGraph::SegmentedGraph(const Graph& graph)
    : graph_(graph), starts_(graph.nodes().size() + 1, false), alone_(graph.nodes().size(), false) {
  for (std::size_t n = 0; n < graph.nodes().size(); ++n) {
    const auto kind = family(graph.nodes()[n].op);
    if (kind == "control" || kind == "sequence" || kind == "optional" || kind == "text") run_alone(n);
  }
}

Result<SegmentedGraph::Part> SegmentedGraph::at(std::size_t first,
                                                const std::function<DataType(ValueId)>& type_of) {
  constexpr std::size_t kWorthwhile = 2;  // a single node gains nothing from a plan
  const std::lock_guard lock(mutex_);
  if (alone_[first]) return Part{first + 1, nullptr};
  auto last = first + 1;
  while (last < alone_.size() && !starts_[last] && !alone_[last]) ++last;
  if (last - first < kWorthwhile) return Part{last, nullptr};
  auto& part = parts_[{first, last}];
  if (!part) part = TENON_TRY(PlannedPart::make(graph_, first, last, type_of));
  return Part{last, part};
}

void SegmentedGraph::cut_before(std::size_t node) {
  const std::lock_guard lock(mutex_);
  starts_[node] = true;
}

void SegmentedGraph::run_alone(std::size_t node) {
  const std::lock_guard lock(mutex_);
  alone_[node] = starts_[node] = starts_[node + 1] = true;
}

SegmentedGraph& SegmentStore::of(const Graph& graph) {
  const std::lock_guard lock(mutex_);
  auto& own = graphs_[&graph];
  if (!own) own = std::make_unique<SegmentedGraph>(graph);
  return *own;
}

}  // namespace tenon::kernels
