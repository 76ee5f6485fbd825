// An OpenVINO IR's XML as structs that view the parsed document: nets, layers, ports, edges, bodies of loops. Checks the
// document's form (numbers, ids, nesting, no document type); what layers mean is openvino_importer.cpp's.
#pragma once

#include <memory>
#include <optional>
#include <pugixml.hpp>
#include <span>
#include <string_view>
#include <vector>

#include "kernels/error.h"
#include "kernels/limits.h"

namespace tenon::nn::openvino {

using kernels::Result;

struct Port {
  int64_t id = 0;
  std::string_view precision;  // "FP32", "I64", …; empty when the file does not say
  std::string_view names;      // of its tensor, with commas between them; may be empty
  std::vector<int64_t> dims;   // -1: not known. Empty: a scalar, or of unknown rank
};

// A port of a layer, by the layer's index in its net and the port's index in the layer.
struct PortRef {
  size_t layer = 0, port = 0;
};

// How a layer with bodies passes a value in or out.
struct PortMap {
  size_t external_port = 0;     // index among the layer's inputs or outputs; meaningless for purposes
  bool has_external = false;    // false: the value serves a purpose only
  size_t internal_layer = 0;    // index of a Parameter or Result of the body
  std::optional<int64_t> axis;  // sliced or concatenated along it
  int64_t start = 0, end = -1, stride = 1, part_size = 1;
  std::string_view purpose;  // "current_iteration", "execution_condition" or empty
};

struct BackEdge {
  size_t from = 0, to = 0;  // a Result and the Parameter that it becomes
};

struct Net;
struct Body {
  std::string_view tag;  // "body", "then_body", "else_body"
  std::unique_ptr<Net> net;
  std::vector<PortMap> inputs, outputs;
  std::vector<BackEdge> back_edges;
};

struct Layer {
  int64_t id = 0;
  std::string_view name, type, version;
  pugi::xml_node data;
  std::vector<Port> inputs, outputs;                // in the order of the file
  std::vector<std::optional<PortRef>> connections;  // of each input
  std::vector<Body> bodies;

  std::string_view attribute(const char* key) const { return data.attribute(key).value(); }
  bool has(const char* key) const { return !data.attribute(key).empty(); }
};

struct Net {
  std::vector<Layer> layers;
};

struct Model {
  std::unique_ptr<pugi::xml_document> document;  // what the views point into
  std::string_view name;
  int64_t version = 0;
  Net net;
};

// A number, or "1, 3,224" as numbers; nothing when the text is something else.
std::optional<std::vector<int64_t>> parse_ints(std::string_view text);
std::optional<int64_t> parse_int(std::string_view text);
std::optional<double> parse_real(std::string_view text);

// Errors: invalid_encoding with the layer, unsupported_operation (IR versions other than 10 and 11), too_large.
Result<Model> parse_model(std::span<const std::byte> xml, const kernels::Limits& limits);

}  // namespace tenon::nn::openvino
