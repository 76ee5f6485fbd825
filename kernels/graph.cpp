// Building and checking graphs: operand counts, attribute schemas, cycles. Types and shapes are checked when
// planning.
#include "kernels/graph.h"

#include <charconv>
#include <cstdlib>
#include <unordered_map>

namespace tenon::kernels {
namespace {

struct OpRow {
  std::string_view name;
  std::uint32_t min_inputs, max_inputs, min_outputs, max_outputs;
  std::string_view attributes;
  std::string_view result;
};
constexpr OpRow kRows[] = {
#define NN_OP(name, min_in, max_in, min_out, max_out, attributes, types, result, ...) \
  {#name, min_in, max_in, min_out, max_out, attributes, #result},
#include "kernels/ops.def"
#undef NN_OP
};

AttributeKind parse_kind(std::string_view text) {
  const bool list = text.size() == 2;
  switch (text[0]) {
    case 'i': return list ? AttributeKind::integers : AttributeKind::integer;
    case 'f': return list ? AttributeKind::reals : AttributeKind::real;
    case 's': return list ? AttributeKind::texts : AttributeKind::text;
    case 't': return AttributeKind::tensor;
    default: return AttributeKind::graph;
  }
}

AttributeValue parse_default(AttributeKind kind, const std::string& text) {
  switch (kind) {
    case AttributeKind::integer: return std::int64_t{std::strtoll(text.c_str(), nullptr, 10)};
    case AttributeKind::real: return std::strtof(text.c_str(), nullptr);
    default: return text;
  }
}

// "axis:i=-1 perm:is? to:i" of a row; the rows are ours, so this only splits.
std::vector<AttributeSpec> parse_schema(std::string_view schema) {
  std::vector<AttributeSpec> specs;
  while (!schema.empty()) {
    const auto end = std::min(schema.find(' '), schema.size());
    const auto item = schema.substr(0, end);
    schema.remove_prefix(std::min(end + 1, schema.size()));
    const auto colon = item.find(':');
    const auto stop = item.find_first_of("=?", colon);
    AttributeSpec spec;
    spec.name = item.substr(0, colon);
    spec.kind = parse_kind(item.substr(colon + 1, std::min(stop, item.size()) - colon - 1));
    spec.required = stop == std::string_view::npos;
    if (!spec.required && item[stop] == '=') {
      spec.fallback = parse_default(spec.kind, std::string(item.substr(stop + 1)));
    }
    specs.push_back(std::move(spec));
  }
  return specs;
}

const std::vector<OpInfo>& all_infos() {
  static const auto* infos = [] {
    auto* out = new std::vector<OpInfo>;
    for (const auto& row : kRows) {
      out->push_back({row.name, row.min_inputs, row.max_inputs, row.min_outputs, row.max_outputs,
                      parse_schema(row.attributes), row.result == "same"});
    }
    return out;
  }();
  return *infos;
}

constexpr std::string_view kKindNames[] = {"integer", "float",    "string", "tensor",
                                           "graph",   "integers", "floats", "strings"};

// AttributeValue's alternatives are ordered by how they are held, AttributeKind by how they are declared.
AttributeKind kind_of(const AttributeValue& value) {
  constexpr AttributeKind kinds[] = {AttributeKind::integer, AttributeKind::real,  AttributeKind::text,
                                     AttributeKind::tensor,  AttributeKind::graph, AttributeKind::integers,
                                     AttributeKind::reals,   AttributeKind::texts};
  return kinds[value.index()];
}

template <class T>
std::span<const T> list_of(const AttributeValue* value) {
  const auto* list = value == nullptr ? nullptr : std::get_if<std::vector<T>>(value);
  return list == nullptr ? std::span<const T>() : std::span<const T>(*list);
}

bool within(std::size_t count, std::uint32_t min, std::uint32_t max) {
  return count >= min && (max == kVariadic || count <= max);
}

std::string range_text(std::uint32_t min, std::uint32_t max) {
  if (max == kVariadic) return fmt::format("at least {}", min);
  return min == max ? std::to_string(min) : fmt::format("{} to {}", min, max);
}

}  // namespace

std::string_view to_string(Op op) { return kRows[static_cast<std::size_t>(op)].name; }

std::optional<Op> find_op(std::string_view name) {
  static const auto* ops = [] {
    auto* map = new std::unordered_map<std::string_view, Op>;
    for (std::size_t i = 0; i < std::size(kRows); ++i) map->emplace(kRows[i].name, static_cast<Op>(i));
    return map;
  }();
  const auto it = ops->find(name);
  if (it == ops->end()) return std::nullopt;
  return it->second;
}

const OpInfo& info(Op op) { return all_infos()[static_cast<std::size_t>(op)]; }

const AttributeValue* Node::find(std::string_view name) const {
  for (const auto& attribute : attributes) {
    if (attribute.name == name) return &attribute.value;
  }
  return nullptr;
}
std::int64_t Node::integer(std::string_view name) const {
  const auto* value = find(name);
  return value == nullptr ? 0 : std::get<std::int64_t>(*value);
}
float Node::real(std::string_view name) const {
  const auto* value = find(name);
  return value == nullptr ? 0.0f : std::get<float>(*value);
}
const std::string& Node::text(std::string_view name) const {
  static const std::string empty;
  const auto* value = find(name);
  return value == nullptr ? empty : std::get<std::string>(*value);
}
std::span<const std::int64_t> Node::integers(std::string_view name) const {
  return list_of<std::int64_t>(find(name));
}
std::span<const float> Node::reals(std::string_view name) const { return list_of<float>(find(name)); }
std::span<const std::string> Node::texts(std::string_view name) const {
  return list_of<std::string>(find(name));
}
const Tensor* Node::tensor(std::string_view name) const {
  const auto* value = find(name);
  return value == nullptr ? nullptr : &std::get<Tensor>(*value);
}
std::shared_ptr<const Graph> Node::graph(std::string_view name) const {
  const auto* value = find(name);
  return value == nullptr ? nullptr : std::get<std::shared_ptr<const Graph>>(*value);
}

std::string Graph::place(const Node& node) const {
  const auto op =
      node.source.operator_name.empty() ? std::string(to_string(node.op)) : node.source.operator_name;
  std::string out = file_.empty() ? "" : file_ + ": ";
  out += fmt::format("node '{}' ({}", node.source.node, op);
  if (node.source.opset > 0) out += fmt::format(", opset {}", node.source.opset);
  return out + ")";
}

GraphBuilder::GraphBuilder(std::string file, Limits limits) : limits_(limits) {
  graph_.file_ = std::move(file);
}

ValueId GraphBuilder::add_value(std::string name, ValueType type) {
  graph_.values_.push_back({std::move(name), std::move(type), GraphValue::Origin::undefined, 0, {}});
  return static_cast<ValueId>(graph_.values_.size() - 1);
}

// An id of this builder whose value nothing defines yet.
Result<void> GraphBuilder::check_id(ValueId id, std::string_view what) const {
  if (index(id) >= graph_.values_.size()) {
    return fail(ErrorCode::invalid_encoding, "{}: {}: no value {}", graph_.file_, what, index(id));
  }
  if (graph_.value(id).origin != GraphValue::Origin::undefined) {
    return fail(ErrorCode::invalid_encoding, "{}: {}: value '{}' is defined twice", graph_.file_, what,
                graph_.value(id).name);
  }
  return {};
}

Result<void> GraphBuilder::define_input(ValueId id) {
  TENON_TRY(check_id(id, "graph input"));
  auto& value = graph_.values_[index(id)];
  if (value.type.shape && value.type.shape->size() > Dims::kMaxRank) {
    return fail(ErrorCode::unsupported_operation, "{}: input '{}' has rank {}, at most {} is supported",
                graph_.file_, value.name, value.type.shape->size(), Dims::kMaxRank);
  }
  value.origin = GraphValue::Origin::input;
  graph_.inputs_.push_back(id);
  return {};
}

Result<void> GraphBuilder::define_constant(ValueId id, Tensor tensor) {
  TENON_TRY(check_id(id, "constant"));
  auto& value = graph_.values_[index(id)];
  if (!tensor.defined())
    return fail(ErrorCode::invalid_encoding, "{}: constant '{}' is empty", graph_.file_, value.name);
  if (value.type.element != DataType::undefined && value.type.element != tensor.type()) {
    return fail(ErrorCode::invalid_encoding, "{}: constant '{}' is declared as {} and given as {}",
                graph_.file_, value.name, to_string(value.type.element), to_string(tensor.type()));
  }
  value.type = ValueType::tensor(tensor.type(), tensor.dims());
  value.origin = GraphValue::Origin::constant;
  value.constant = std::move(tensor);
  return {};
}

Result<void> GraphBuilder::define_capture(ValueId inner, ValueId outer) {
  TENON_TRY(check_id(inner, "capture"));
  graph_.values_[index(inner)].origin = GraphValue::Origin::capture;
  graph_.captures_.push_back({outer, inner});
  return {};
}

Result<void> GraphBuilder::check_attributes(const OpInfo& row, Attributes& attributes) const {
  for (std::size_t i = 0; i < attributes.size(); ++i) {
    const auto& name = attributes[i].name;
    const auto spec = std::find_if(row.attributes.begin(), row.attributes.end(),
                                   [&](const AttributeSpec& s) { return s.name == name; });
    if (spec == row.attributes.end()) {
      return fail(ErrorCode::unsupported_operation, "attribute '{}' is not known", name);
    }
    if (kind_of(attributes[i].value) != spec->kind) {
      return fail(ErrorCode::invalid_encoding, "attribute '{}' is of kind {}, expected {}", name,
                  kKindNames[static_cast<std::size_t>(kind_of(attributes[i].value))],
                  kKindNames[static_cast<std::size_t>(spec->kind)]);
    }
    for (std::size_t j = 0; j < i; ++j) {
      if (attributes[j].name == name)
        return fail(ErrorCode::invalid_encoding, "attribute '{}' is given twice", name);
    }
  }
  for (const auto& spec : row.attributes) {
    const bool given = std::any_of(attributes.begin(), attributes.end(),
                                   [&](const Attribute& a) { return a.name == spec.name; });
    if (given) continue;
    if (spec.required) return fail(ErrorCode::invalid_encoding, "attribute '{}' is missing", spec.name);
    if (spec.fallback) attributes.push_back({spec.name, *spec.fallback});
  }
  return {};
}

// Captures of subgraphs must name values of this graph; counts and depth add up.
Result<void> GraphBuilder::check_subgraphs(const Node& node) {
  for (const auto& attribute : node.attributes) {
    const auto* sub = std::get_if<std::shared_ptr<const Graph>>(&attribute.value);
    if (sub == nullptr) continue;
    if (*sub == nullptr)
      return fail(ErrorCode::invalid_encoding, "attribute '{}' holds no graph", attribute.name);
    if (!(*sub)->states().empty())
      return fail(ErrorCode::unsupported_operation, "attribute '{}' holds a graph with states",
                  attribute.name);
    for (const auto& capture : (*sub)->captures()) {
      if (index(capture.outer) >= graph_.values_.size()) {
        return fail(ErrorCode::invalid_encoding, "attribute '{}' captures a value that does not exist",
                    attribute.name);
      }
    }
    graph_.total_nodes_ += (*sub)->total_nodes();
    graph_.depth_ = std::max(graph_.depth_, (*sub)->depth() + 1);
    if (graph_.depth_ > limits_.max_graph_depth) {
      return fail(ErrorCode::too_large, "subgraphs nest deeper than {}", limits_.max_graph_depth);
    }
  }
  return {};
}

Result<void> GraphBuilder::add_node(Op op, std::span<const ValueId> inputs, std::span<const ValueId> outputs,
                                    Attributes attributes, Source source) {
  Node node{op,
            {inputs.begin(), inputs.end()},
            {outputs.begin(), outputs.end()},
            std::move(attributes),
            std::move(source)};
  if (node.source.node.empty()) node.source.node = fmt::format("#{}", graph_.nodes_.size());
  while (!node.inputs.empty() && node.inputs.back() == kAbsent) node.inputs.pop_back();
  while (!node.outputs.empty() && node.outputs.back() == kAbsent) node.outputs.pop_back();
  const auto place = [&](Error error) {
    return std::unexpected(with_place(std::move(error), graph_.place(node)));
  };
  const auto& row = info(op);
  if (!within(node.inputs.size(), row.min_inputs, row.max_inputs)) {
    return place({ErrorCode::invalid_encoding, fmt::format("{} inputs, expected {}", node.inputs.size(),
                                                           range_text(row.min_inputs, row.max_inputs))});
  }
  if (!within(node.outputs.size(), row.min_outputs, row.max_outputs)) {
    const auto code = node.outputs.size() > row.max_outputs ? ErrorCode::unsupported_operation
                                                            : ErrorCode::invalid_encoding;
    return place({code, fmt::format("{} outputs, expected {}", node.outputs.size(),
                                    range_text(row.min_outputs, row.max_outputs))});
  }
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    const auto id = node.inputs[i];
    if (id == kAbsent && i < row.min_inputs) {
      return place({ErrorCode::invalid_encoding, fmt::format("input {} is required", i)});
    }
    if (id != kAbsent && index(id) >= graph_.values_.size()) {
      return place({ErrorCode::invalid_encoding, fmt::format("input {} does not exist", i)});
    }
  }
  if (auto ok = check_attributes(row, node.attributes); !ok) return place(ok.error());
  if (auto ok = check_subgraphs(node); !ok) return place(ok.error());
  if (++graph_.total_nodes_ > limits_.max_nodes) {
    return place({ErrorCode::too_large, fmt::format("more than {} nodes", limits_.max_nodes)});
  }
  for (const auto id : node.outputs) {
    if (id == kAbsent) continue;
    if (auto ok = check_id(id, "output"); !ok) return place(ok.error());
    graph_.values_[index(id)].origin = GraphValue::Origin::node;
    graph_.values_[index(id)].producer = static_cast<std::uint32_t>(graph_.nodes_.size());
  }
  graph_.nodes_.push_back(std::move(node));
  return {};
}

Result<void> GraphBuilder::add_output(ValueId id, std::string name) {
  if (index(id) >= graph_.values_.size()) {
    return fail(ErrorCode::invalid_encoding, "{}: graph output does not exist", graph_.file_);
  }
  graph_.outputs_.push_back(id);
  if (name.empty()) name = graph_.value(id).name;
  graph_.output_names_.push_back(std::move(name));
  return {};
}

Result<void> GraphBuilder::copy_values(const Graph& graph) {
  for (const auto& value : graph.values()) add_value(value.name, value.type);
  for (const auto id : graph.inputs()) TENON_TRY(define_input(id));
  for (std::size_t i = 0; i < graph.values().size(); ++i) {
    const auto& value = graph.values()[i];
    if (value.origin == GraphValue::Origin::constant)
      TENON_TRY(define_constant(static_cast<ValueId>(i), value.constant));
  }
  return {};
}

Result<void> GraphBuilder::check_state_bytes(const std::string& name, std::uint64_t bytes) const {
  if (bytes <= limits_.max_tensor_bytes && state_bytes_ <= limits_.max_tensor_bytes - bytes) return {};
  return fail(ErrorCode::too_large, "state '{}': {} bytes, with {} of other states", name, bytes,
              state_bytes_);
}

Result<ValueId> GraphBuilder::add_zero_state(std::string name, DataType type, const Dims& dims) {
  TENON_TRY(check_state_bytes(name, TENON_TRY(byte_size(type, dims))));
  return add_state(std::move(name), TENON_TRY(Tensor::allocate(type, dims, limits_.max_tensor_bytes)));
}

Result<ValueId> GraphBuilder::add_state(std::string name, Tensor initial) {
  if (!initial.defined() || initial.type() == DataType::string)
    return fail(ErrorCode::invalid_encoding, "{}: state '{}' has no initial value", graph_.file_, name);
  const std::uint64_t bytes = initial.bytes().size();
  TENON_TRY(check_state_bytes(name, bytes));
  state_bytes_ += bytes;
  const auto id = add_value(std::move(name), ValueType::tensor(initial.type(), initial.dims()));
  graph_.values_[index(id)].origin = GraphValue::Origin::input;
  states_.push_back({id, id, std::move(initial)});
  return id;
}

Result<void> GraphBuilder::set_next(ValueId state, ValueId next) {
  const auto it = std::ranges::find(states_, state, &State::now);
  if (it == states_.end() || index(next) >= graph_.values_.size())
    return fail(ErrorCode::invalid_encoding, "{}: no such state, or nothing that it becomes", graph_.file_);
  it->next = next;
  return {};
}

void GraphBuilder::append_states() {
  for (auto& state : states_) {
    graph_.inputs_.push_back(state.now);
    graph_.outputs_.push_back(state.next);
    graph_.output_names_.push_back(graph_.value(state.now).name);
    graph_.states_.push_back(std::move(state.initial));
  }
  states_.clear();
}

Result<ValueId> GraphBuilder::input(std::string name, ValueType type) {
  const auto id = add_value(std::move(name), std::move(type));
  TENON_TRY(define_input(id));
  return id;
}

Result<ValueId> GraphBuilder::constant(std::string name, Tensor tensor) {
  const auto id = add_value(std::move(name));
  TENON_TRY(define_constant(id, std::move(tensor)));
  return id;
}

Result<ValueId> GraphBuilder::node(Op op, std::initializer_list<ValueId> inputs, Attributes attributes,
                                   Source source) {
  const auto id = add_value(fmt::format("{}_{}", to_string(op), graph_.values_.size()));
  TENON_TRY(add_node(op, std::span(inputs.begin(), inputs.size()), std::span(&id, 1), std::move(attributes),
                     std::move(source)));
  return id;
}

// Kahn's algorithm, stable: a graph that is in order stays as it is.
Result<void> GraphBuilder::sort_nodes() {
  const auto count = graph_.nodes_.size();
  std::vector<std::uint32_t> waits(count, 0);
  std::vector<std::vector<std::uint32_t>> users(count);
  for (std::uint32_t n = 0; n < count; ++n) {
    const auto need = [&](ValueId id) {
      if (graph_.value(id).origin != GraphValue::Origin::node) return;
      users[graph_.value(id).producer].push_back(n);
      ++waits[n];
    };
    for (const auto id : graph_.nodes_[n].inputs) {
      if (id != kAbsent) need(id);
    }
    for (const auto& attribute : graph_.nodes_[n].attributes) {
      const auto* sub = std::get_if<std::shared_ptr<const Graph>>(&attribute.value);
      if (sub == nullptr) continue;
      for (const auto& capture : (*sub)->captures()) need(capture.outer);
    }
  }
  std::vector<std::uint32_t> ready, order;
  for (auto n = static_cast<std::uint32_t>(count); n-- > 0;) {
    if (waits[n] == 0) ready.push_back(n);
  }
  bool in_order = true;
  std::make_heap(ready.begin(), ready.end(), std::greater<>());
  while (!ready.empty()) {
    std::pop_heap(ready.begin(), ready.end(), std::greater<>());
    const auto n = ready.back();
    ready.pop_back();
    in_order = in_order && n == order.size();
    order.push_back(n);
    for (const auto user : users[n]) {
      if (--waits[user] == 0) {
        ready.push_back(user);
        std::push_heap(ready.begin(), ready.end(), std::greater<>());
      }
    }
  }
  if (order.size() != count) {
    const auto stuck = static_cast<std::size_t>(
        std::find_if(waits.begin(), waits.end(), [](std::uint32_t w) { return w > 0; }) - waits.begin());
    return fail(ErrorCode::invalid_encoding, "{}: is part of a cycle, or depends on one",
                graph_.place(graph_.nodes_[stuck]));
  }
  if (in_order) return {};
  std::vector<Node> sorted;
  sorted.reserve(count);
  for (const auto n : order) {
    for (const auto id : graph_.nodes_[n].outputs) {
      if (id != kAbsent) graph_.values_[index(id)].producer = static_cast<std::uint32_t>(sorted.size());
    }
    sorted.push_back(std::move(graph_.nodes_[n]));
  }
  graph_.nodes_ = std::move(sorted);
  return {};
}

Result<Graph> GraphBuilder::finish() && {
  append_states();
  for (const auto& node : graph_.nodes_) {
    const auto undefined = [&](ValueId id) {
      return graph_.value(id).origin == GraphValue::Origin::undefined;
    };
    for (const auto id : node.inputs) {
      if (id != kAbsent && undefined(id)) {
        return fail(ErrorCode::invalid_encoding, "{}: nothing defines its input '{}'", graph_.place(node),
                    graph_.value(id).name);
      }
    }
    for (const auto& attribute : node.attributes) {
      const auto* sub = std::get_if<std::shared_ptr<const Graph>>(&attribute.value);
      if (sub == nullptr) continue;
      for (const auto& capture : (*sub)->captures()) {
        if (undefined(capture.outer)) {
          return fail(ErrorCode::invalid_encoding, "{}: nothing defines '{}', which its subgraph uses",
                      graph_.place(node), graph_.value(capture.outer).name);
        }
      }
    }
  }
  for (const auto id : graph_.outputs_) {
    if (graph_.value(id).origin == GraphValue::Origin::undefined) {
      return fail(ErrorCode::invalid_encoding, "{}: nothing defines the output '{}'", graph_.file_,
                  graph_.value(id).name);
    }
  }
  TENON_TRY(sort_nodes());
  return std::move(graph_);
}

}  // namespace tenon::kernels
