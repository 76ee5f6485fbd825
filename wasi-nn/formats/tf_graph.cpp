// Resolving references, and the meaning of Switch and Merge; see tf_graph.h.
#include "wasi-nn/formats/tf_graph.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "wasi-nn/formats/tf_operators.h"

namespace tenon::nn::tf {
namespace {

using kernels::ErrorCode;
using kernels::fail;

// A node deeper in conditionals than this is refused.
constexpr size_t kMaxConditions = 64;
// Chains of Identity are followed this far.
constexpr size_t kMaxIdentities = 64;

constexpr std::string_view kIdentities[] = {"Identity", "StopGradient",    "RefIdentity",
                                            "Snapshot", "PreventGradient", "CheckNumerics"};
// What a frozen graph may end in that computes nothing for its user.
constexpr std::string_view kNoResults[] = {"NoOp",
                                           "Assert",
                                           "Const",
                                           "Placeholder",
                                           "PlaceholderWithDefault",
                                           "Variable",
                                           "VariableV2",
                                           "VarHandleOp",
                                           "Assign",
                                           "AssignVariableOp",
                                           "SaveV2",
                                           "MergeV2Checkpoints",
                                           "Print",
                                           "PrintV2",
                                           "RestoreV2"};

bool is_one_of(std::span<const std::string_view> list, std::string_view op) {
  return std::ranges::find(list, op) != list.end();
}
bool is_merge(std::string_view op) { return op == "Merge" || op == "RefMerge"; }
bool is_switch(std::string_view op) { return op == "Switch" || op == "RefSwitch"; }
bool is_next_iteration(std::string_view op) { return op == "NextIteration" || op == "RefNextIteration"; }
bool is_enter(std::string_view op) { return op == "Enter" || op == "RefEnter"; }

const AttrValue* find_attr(const NodeDef& node, std::string_view name) {
  const auto it = std::ranges::find(node.attr, name, &AttrEntry::key);
  return it == node.attr.end() ? nullptr : &it->value;
}

std::optional<uint32_t> number(std::string_view text) {
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::string_view TfGraph::op(uint32_t node) const {
  return is_argument(node) ? std::string_view() : def(node).op;
}

Result<TfGraph> TfGraph::of(const std::vector<NodeDef>& nodes, const Functions& functions) {
  TfGraph graph;
  TENON_TRY(graph.add_nodes(nodes));
  TENON_TRY(graph.connect(functions));
  return graph;
}

Result<TfGraph> TfGraph::of(const FunctionDef& function, const Functions& functions) {
  TfGraph graph;
  for (const ArgDef& argument : function.signature.input_arg) {
    graph.names_.emplace(argument.name, static_cast<uint32_t>(graph.nodes_.size()));
    graph.nodes_.push_back({.name = argument.name, .operands = {}, .controls = {}, .conditions = {}});
  }
  graph.arguments_ = graph.nodes_.size();
  TENON_TRY(graph.add_nodes(function.node_def));
  TENON_TRY(graph.connect(functions));
  for (const ArgDef& output : function.signature.output_arg) {
    const auto it = std::ranges::find(function.ret, output.name, &StringEntry::key);
    if (it == function.ret.end())
      return fail(ErrorCode::invalid_encoding, "nothing is returned as '{}'", output.name);
    graph.results_.push_back(TENON_TRY(graph.resolve(it->value)));
  }
  return graph;
}

Result<void> TfGraph::add_nodes(const std::vector<NodeDef>& nodes) {
  nodes_.reserve(nodes_.size() + nodes.size());
  for (const NodeDef& node : nodes) {
    if (!names_.emplace(node.name, static_cast<uint32_t>(nodes_.size())).second) {
      return fail(ErrorCode::invalid_encoding, "two nodes are named '{}'", node.name);
    }
    nodes_.push_back({.name = node.name, .def = &node, .operands = {}, .controls = {}, .conditions = {}});
  }
  return {};
}

Result<void> TfGraph::connect(const Functions& functions) {
  functions_ = &functions;
  for (size_t i = arguments_; i < nodes_.size(); ++i) {
    for (const std::string_view input : nodes_[i].def->input) {
      const bool control = input.starts_with('^');
      auto ref = resolve(control ? input.substr(1) : input);
      if (!ref) {
        return std::unexpected(
            kernels::with_place(std::move(ref).error(), fmt::format("node '{}'", nodes_[i].name)));
      }
      if (control) {
        nodes_[i].controls.push_back(ref->node);
      } else {
        nodes_[i].operands.push_back(*ref);
      }
    }
  }
  return {};
}

Result<TensorRef> TfGraph::resolve(std::string_view reference) const {
  const size_t colon = reference.find(':');
  const auto it = names_.find(reference.substr(0, colon));
  if (it == names_.end()) return fail(ErrorCode::invalid_encoding, "there is no node for '{}'", reference);
  if (colon == reference.npos) return TensorRef{it->second, 0};
  std::string_view rest = reference.substr(colon + 1);
  const size_t second = rest.find(':');
  const auto index = number(second == rest.npos ? rest : rest.substr(second + 1));
  if (!index) return fail(ErrorCode::invalid_encoding, "'{}' names no output", reference);
  if (second == rest.npos || is_argument(it->second)) return TensorRef{it->second, *index};
  const std::string_view output = rest.substr(0, second);
  const NodeDef& node = def(it->second);
  if (const auto function = functions_->find(node.op); function != functions_->end()) {
    const auto& outputs = function->second->signature.output_arg;
    const auto found = std::ranges::find(outputs, output, &ArgDef::name);
    if (found == outputs.end()) return fail(ErrorCode::invalid_encoding, "'{}' names no output", reference);
    return TensorRef{it->second, static_cast<uint32_t>(found - outputs.begin())};
  }
  return TensorRef{it->second, first_port(node.op, output) + *index};
}

std::vector<uint32_t> TfGraph::sinks() const {
  std::vector<bool> read(nodes_.size());
  for (const Node& node : nodes_) {
    for (const TensorRef ref : node.operands) read[ref.node] = true;
    for (const uint32_t control : node.controls) read[control] = true;
  }
  std::vector<uint32_t> sinks;
  for (uint32_t i = 0; i < nodes_.size(); ++i) {
    if (!read[i] && !is_argument(i) && !is_one_of(kNoResults, op(i))) sinks.push_back(i);
  }
  return sinks;
}

std::vector<uint32_t> TfGraph::needed(const std::vector<TensorRef>& targets) const {
  std::vector<uint32_t> nodes = sorted_nodes(targets);
  std::ranges::sort(nodes);
  return nodes;
}

TensorRef TfGraph::origin(TensorRef ref) const {
  for (size_t steps = 0; steps < kMaxIdentities && is_one_of(kIdentities, op(ref.node)); ++steps) {
    if (operands(ref.node).empty()) break;
    ref = operands(ref.node)[0];
  }
  return ref;
}

Result<void> TfGraph::analyse_control_flow(const std::vector<TensorRef>& targets) {
  const auto has_merge = [&](uint32_t i) { return is_merge(op(i)); };
  std::vector<uint32_t> all(nodes_.size());
  for (uint32_t i = 0; i < all.size(); ++i) all[i] = i;
  if (std::ranges::none_of(all, has_merge)) return {};
  TENON_TRY(find_frames(all));
  const std::vector<uint32_t> sorted = sorted_nodes(targets);
  TENON_TRY(find_conditions(sorted));
  return find_conditionals(sorted);
}

// Merges of an Enter and a NextIteration are variables of loops; the switches behind them decide whether to go on.
Result<void> TfGraph::find_frames(const std::vector<uint32_t>& nodes) {
  std::map<std::string_view, size_t> by_name;
  for (const uint32_t i : nodes) {
    if (!is_merge(op(i)) || operands(i).size() != 2) continue;
    TensorRef enter = operands(i)[0], next = operands(i)[1];
    if (is_next_iteration(op(enter.node))) std::swap(enter, next);
    if (!is_next_iteration(op(next.node))) continue;
    const AttrValue* frame = is_enter(op(enter.node)) ? find_attr(def(enter.node), "frame_name") : nullptr;
    if (!frame || !frame->s)
      return fail(ErrorCode::invalid_encoding, "node '{}': a loop without Enter", name(i));
    const auto [it, added] = by_name.emplace(*frame->s, frames_.size());
    if (added) frames_.push_back({.name = *frame->s, .variables = {}});
    frames_[it->second].variables.push_back({i, enter, next});
    nodes_[i].frame = static_cast<int32_t>(it->second);
  }
  for (const uint32_t i : nodes) {
    if (!is_switch(op(i)) || operands(i).size() != 2) continue;
    if (op(origin(operands(i)[1]).node) == "LoopCond") nodes_[i].frame = nodes_[operands(i)[0].node].frame;
  }
  return {};
}

// What targets need, operands before their readers. Ways back into loops are not followed but visited afterwards.
std::vector<uint32_t> TfGraph::sorted_nodes(const std::vector<TensorRef>& targets) const {
  std::vector<uint32_t> roots;
  for (const TensorRef ref : targets) roots.push_back(ref.node);
  std::vector<uint32_t> sorted;
  std::vector<uint8_t> seen(nodes_.size());
  struct Visit {
    uint32_t node;
    size_t next;
  };
  std::vector<Visit> path;
  for (size_t r = 0; r < roots.size(); ++r) {
    if (!seen[roots[r]]) path.push_back({roots[r], 0});
    seen[roots[r]] = 1;
    while (!path.empty()) {
      Visit& visit = path.back();
      const Node& node = nodes_[visit.node];
      if (visit.next == node.operands.size() + node.controls.size()) {
        sorted.push_back(visit.node);
        path.pop_back();
        continue;
      }
      const size_t k = visit.next++;
      const uint32_t before =
          k < node.operands.size() ? node.operands[k].node : node.controls[k - node.operands.size()];
      if (seen[before]) continue;
      if (is_next_iteration(op(before)) && is_merge(op(visit.node))) {
        roots.push_back(before);
        continue;
      }
      seen[before] = 1;
      path.push_back({before, 0});
    }
  }
  return sorted;
}

std::vector<Condition> TfGraph::conditions_of(TensorRef ref) const {
  std::vector<Condition> conditions = nodes_[ref.node].conditions;
  if (!is_switch(op(ref.node)) || operands(ref.node).size() != 2) return conditions;
  if (nodes_[ref.node].frame >= 0) return conditions;
  const Condition own{origin(operands(ref.node)[1]), ref.port == 1};
  const auto at = std::ranges::lower_bound(conditions, own);
  if (at == conditions.end() || *at != own) conditions.insert(at, own);
  return conditions;
}

bool TfGraph::depends_on(TensorRef ref, const Condition& condition) const {
  return std::ranges::binary_search(conditions_of(ref), condition);
}

Result<void> TfGraph::find_conditions(const std::vector<uint32_t>& sorted) {
  for (const uint32_t i : sorted) {
    Node& node = nodes_[i];
    const bool merge = is_merge(op(i));
    std::vector<Condition> conditions, combined;
    const auto combine = [&](const std::vector<Condition>& more, bool first) {
      combined.clear();
      if (merge && !first) {
        std::ranges::set_intersection(conditions, more, std::back_inserter(combined));
      } else {
        std::ranges::set_union(conditions, more, std::back_inserter(combined));
      }
      conditions.swap(combined);
    };
    bool first = true;
    for (const TensorRef ref : node.operands) {
      if (merge && is_next_iteration(op(ref.node))) continue;
      combine(conditions_of(ref), first);
      node.level = std::max(node.level, nodes_[ref.node].level);
      first = false;
    }
    for (const uint32_t control : node.controls) {
      if (merge) continue;
      combine(nodes_[control].conditions, false);
      node.level = std::max(node.level, nodes_[control].level);
    }
    if (conditions.size() > kMaxConditions) {
      return fail(ErrorCode::too_large, "node '{}' lies in more than {} conditionals", name(i),
                  kMaxConditions);
    }
    if (merge && node.frame < 0) ++node.level;
    node.conditions = std::move(conditions);
  }
  return {};
}

Result<void> TfGraph::find_conditionals(const std::vector<uint32_t>& sorted) {
  struct Key {
    TensorRef predicate;
    uint32_t level;
    std::vector<Condition> conditions;
    auto operator<=>(const Key&) const = default;
  };
  std::map<Key, size_t> groups;
  for (const uint32_t i : sorted) {
    if (!is_merge(op(i)) || nodes_[i].frame >= 0 || operands(i).size() != 2) continue;
    const auto first = conditions_of(operands(i)[0]), second = conditions_of(operands(i)[1]);
    const auto split = std::ranges::find_if(first, [&](const Condition& c) {
      return std::ranges::binary_search(second, Condition{c.predicate, !c.value});
    });
    if (split == first.end()) continue;
    const auto [it, added] =
        groups.emplace(Key{split->predicate, nodes_[i].level, nodes_[i].conditions}, conditionals_.size());
    if (added) conditionals_.push_back({.predicate = split->predicate, .merges = {}, .operands = {}});
    Conditional& group = conditionals_[it->second];
    group.merges.push_back(i);
    group.operands.push_back(split->value ? std::array{1u, 0u} : std::array{0u, 1u});
    conditional_of_.emplace(i, it->second);
  }
  return {};
}

const Conditional* TfGraph::conditional(uint32_t merge) const {
  const auto it = conditional_of_.find(merge);
  return it == conditional_of_.end() ? nullptr : &conditionals_[it->second];
}

const WhileFrame* TfGraph::frame_of_switch(uint32_t node) const {
  return nodes_[node].frame < 0 ? nullptr : &frames_[static_cast<size_t>(nodes_[node].frame)];
}

const WhileFrame* TfGraph::frame_of_exit(uint32_t exit) const {
  if (operands(exit).empty()) return nullptr;
  return frame_of_switch(operands(exit)[0].node);
}

}  // namespace tenon::nn::tf
