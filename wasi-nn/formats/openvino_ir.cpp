// Reads the XML of an IR; see openvino_ir.h.
#include "wasi-nn/formats/openvino_ir.h"

#include <charconv>

namespace tenon::nn::openvino {
namespace {

using kernels::ErrorCode;
using kernels::fail;

constexpr int kMaxXmlDepth = 200;  // a body in a body takes five levels

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

template <typename T>
std::optional<T> number(std::string_view text) {
  text = trimmed(text);
  if (text.starts_with('+')) text.remove_prefix(1);
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

class Depth final : public pugi::xml_tree_walker {
 public:
  bool for_each(pugi::xml_node& node) override {
    too_deep_ = too_deep_ || depth() > kMaxXmlDepth;
    has_doctype_ = has_doctype_ || node.type() == pugi::node_doctype;
    return !too_deep_ && !has_doctype_;
  }
  bool too_deep() const { return too_deep_; }
  bool has_doctype() const { return has_doctype_; }

 private:
  bool too_deep_ = false, has_doctype_ = false;
};

// A net or body while its parts are read.
class NetReader {
 public:
  NetReader(const kernels::Limits& limits, uint64_t& layers, uint32_t depth)
      : limits_(limits), layers_(layers), depth_(depth) {}

  Result<Net> read(pugi::xml_node from) {
    if (depth_ > limits_.max_graph_depth) {
      return fail(ErrorCode::too_large, "bodies nest deeper than {}", limits_.max_graph_depth);
    }
    for (const pugi::xml_node node : from.child("layers").children("layer")) {
      if (++layers_ > limits_.max_nodes)
        return fail(ErrorCode::too_large, "more than {} layers", limits_.max_nodes);
      auto layer = read_layer(node);
      if (!layer) return at_layer(node, std::move(layer).error());
      if (!by_id_.emplace(layer->id, net_.layers.size()).second)
        return fail(ErrorCode::invalid_encoding, "two layers have the id {}", layer->id);
      net_.layers.push_back(*std::move(layer));
    }
    for (const pugi::xml_node edge : from.child("edges").children("edge")) TENON_TRY(read_edge(edge));
    return std::move(net_);
  }

 private:
  static std::unexpected<kernels::Error> at_layer(pugi::xml_node node, kernels::Error error) {
    return std::unexpected(kernels::with_place(
        std::move(error),
        fmt::format("layer '{}' ({})", node.attribute("name").value(), node.attribute("type").value())));
  }

  static Result<int64_t> id_of(pugi::xml_node node, const char* key) {
    const auto id = parse_int(node.attribute(key).value());
    if (id) return *id;
    return fail(ErrorCode::invalid_encoding, "<{}> has no number '{}'", node.name(), key);
  }

  static Result<std::vector<Port>> read_ports(pugi::xml_node list) {
    std::vector<Port> ports;
    for (const pugi::xml_node node : list.children("port")) {
      Port port;
      port.id = TENON_TRY(id_of(node, "id"));
      port.precision = node.attribute("precision").value();
      port.names = node.attribute("names").value();
      for (const pugi::xml_node dim : node.children("dim")) {
        const auto value = parse_int(dim.child_value());
        if (!value || *value < -1)
          return fail(ErrorCode::invalid_encoding, "port {}: dimension '{}'", port.id, dim.child_value());
        port.dims.push_back(*value);
      }
      for (const Port& other : ports) {
        if (other.id == port.id)
          return fail(ErrorCode::invalid_encoding, "two ports have the id {}", port.id);
      }
      ports.push_back(std::move(port));
      if (ports.size() > kMaxPorts) return fail(ErrorCode::too_large, "more than {} ports", kMaxPorts);
    }
    return ports;
  }

  Result<Layer> read_layer(pugi::xml_node node) {
    Layer layer;
    layer.id = TENON_TRY(id_of(node, "id"));
    layer.name = node.attribute("name").value();
    layer.type = node.attribute("type").value();
    layer.version = node.attribute("version").value();
    layer.data = node.child("data");
    if (layer.type.empty()) return fail(ErrorCode::invalid_encoding, "has no type");
    layer.inputs = TENON_TRY(read_ports(node.child("input")));
    layer.outputs = TENON_TRY(read_ports(node.child("output")));
    layer.connections.resize(layer.inputs.size());
    struct Kind {
      const char *body, *map;
    };
    static constexpr Kind kBodies[] = {
        {"body", "port_map"}, {"then_body", "then_port_map"}, {"else_body", "else_port_map"}};
    for (const Kind& kind : kBodies) {
      if (const pugi::xml_node body = node.child(kind.body))
        layer.bodies.push_back(
            TENON_TRY(read_body(layer, body, node.child(kind.map), node.child("back_edges"))));
    }
    return layer;
  }

  Result<Body> read_body(const Layer& layer, pugi::xml_node node, pugi::xml_node map, pugi::xml_node back) {
    Body body;
    body.tag = node.name();
    NetReader inner(limits_, layers_, depth_ + 1);
    body.net = std::make_unique<Net>(TENON_TRY(inner.read(node)));
    for (const pugi::xml_node entry : map.children("input"))
      body.inputs.push_back(TENON_TRY(inner.read_mapping(entry, layer.inputs)));
    for (const pugi::xml_node entry : map.children("output"))
      body.outputs.push_back(TENON_TRY(inner.read_mapping(entry, layer.outputs)));
    for (const pugi::xml_node edge : back.children("edge")) {
      body.back_edges.push_back(
          {TENON_TRY(inner.layer_of(edge, "from-layer")), TENON_TRY(inner.layer_of(edge, "to-layer"))});
    }
    return body;
  }

  Result<size_t> layer_of(pugi::xml_node node, const char* key) const {
    const int64_t id = TENON_TRY(id_of(node, key));
    const auto it = by_id_.find(id);
    if (it != by_id_.end()) return it->second;
    return fail(ErrorCode::invalid_encoding, "<{}>: no layer has the id {}", node.name(), id);
  }

  Result<PortMap> read_mapping(pugi::xml_node node, const std::vector<Port>& ports) const {
    PortMap map;
    map.internal_layer = TENON_TRY(layer_of(node, "internal_layer_id"));
    map.purpose = node.attribute("purpose").value();
    const int64_t external = TENON_TRY(id_of(node, "external_port_id"));
    if (external >= 0) {
      const auto it = std::ranges::find(ports, external, &Port::id);
      if (it == ports.end())
        return fail(ErrorCode::invalid_encoding, "the port map names port {}, which does not exist",
                    external);
      map.external_port = static_cast<size_t>(it - ports.begin());
      map.has_external = true;
    }
    const auto optional = [&](const char* key, int64_t& into) -> Result<void> {
      if (node.attribute(key)) into = TENON_TRY(id_of(node, key));
      return {};
    };
    if (node.attribute("axis")) map.axis = TENON_TRY(id_of(node, "axis"));
    TENON_TRY(optional("start", map.start));
    TENON_TRY(optional("end", map.end));
    TENON_TRY(optional("stride", map.stride));
    TENON_TRY(optional("part_size", map.part_size));
    return map;
  }

  Result<void> read_edge(pugi::xml_node edge) {
    const size_t from = TENON_TRY(layer_of(edge, "from-layer")), to = TENON_TRY(layer_of(edge, "to-layer"));
    const int64_t from_port = TENON_TRY(id_of(edge, "from-port")),
                  to_port = TENON_TRY(id_of(edge, "to-port"));
    const auto& outputs = net_.layers[from].outputs;
    auto& layer = net_.layers[to];
    const auto output = std::ranges::find(outputs, from_port, &Port::id);
    const auto input = std::ranges::find(layer.inputs, to_port, &Port::id);
    if (output == outputs.end() || input == layer.inputs.end()) {
      return fail(ErrorCode::invalid_encoding,
                  "an edge from layer '{}' port {} to layer '{}' port {}: no such port",
                  net_.layers[from].name, from_port, layer.name, to_port);
    }
    auto& connection = layer.connections[static_cast<size_t>(input - layer.inputs.begin())];
    if (connection)
      return fail(ErrorCode::invalid_encoding, "layer '{}': two edges lead to port {}", layer.name, to_port);
    connection = PortRef{from, static_cast<size_t>(output - outputs.begin())};
    return {};
  }

  static constexpr size_t kMaxPorts = 4096;

  const kernels::Limits& limits_;
  uint64_t& layers_;
  uint32_t depth_;
  Net net_;
  std::unordered_map<int64_t, size_t> by_id_;
};

Result<void> check_document(pugi::xml_document& document, const pugi::xml_parse_result& parsed) {
  if (!parsed) {
    return fail(ErrorCode::invalid_encoding, "XML, at byte {}: {}", parsed.offset,
                std::string(parsed.description()));
  }
  Depth walker;
  document.traverse(walker);
  if (walker.has_doctype())
    return fail(ErrorCode::invalid_encoding,
                "a document type declaration, which may define entities, is refused");
  if (walker.too_deep()) return fail(ErrorCode::too_large, "XML elements nest deeper than {}", kMaxXmlDepth);
  return {};
}

}  // namespace

std::optional<int64_t> parse_int(std::string_view text) { return number<int64_t>(text); }

std::optional<double> parse_real(std::string_view text) { return number<double>(text); }

std::optional<std::vector<int64_t>> parse_ints(std::string_view text) {
  std::vector<int64_t> values;
  text = trimmed(text);
  while (!text.empty()) {
    const size_t comma = text.find(',');
    const auto value = parse_int(text.substr(0, comma));
    if (!value) return std::nullopt;
    values.push_back(*value);
    if (comma == text.npos) break;
    text.remove_prefix(comma + 1);
  }
  return values;
}

Result<Model> parse_model(std::span<const std::byte> xml, const kernels::Limits& limits) {
  Model model;
  model.document = std::make_unique<pugi::xml_document>();
  const auto parsed = model.document->load_buffer(
      xml.data(), xml.size(), pugi::parse_default | pugi::parse_doctype, pugi::encoding_utf8);
  TENON_TRY(check_document(*model.document, parsed));
  const pugi::xml_node net = model.document->child("net");
  if (!net) return fail(ErrorCode::invalid_encoding, "the XML holds no <net>");
  model.name = net.attribute("name").value();
  const auto version = parse_int(net.attribute("version").value());
  if (!version) return fail(ErrorCode::invalid_encoding, "<net> has no version");
  model.version = *version;
  if (model.version != 10 && model.version != 11) {
    return fail(ErrorCode::unsupported_operation, "IR version {} is not supported; 10 and 11 are",
                model.version);
  }
  uint64_t layers = 0;
  NetReader reader(limits, layers, 1);
  model.net = TENON_TRY(reader.read(net));
  return model;
}

}  // namespace tenon::nn::openvino
