// Writes small ONNX models for tests, also wrong ones: every field is what the test says.
#pragma once

#include <protozero/pbf_writer.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::nn::test {

using Bytes = std::string;
using Dims = std::vector<int64_t>;

// AttributeProto
inline Bytes int_attr(const std::string& name, int64_t value) {
  Bytes out;
  protozero::pbf_writer w(out);
  w.add_string(1, name);
  w.add_int64(3, value);
  w.add_enum(20, 2);
  return out;
}
inline Bytes float_attr(const std::string& name, float value) {
  Bytes out;
  protozero::pbf_writer w(out);
  w.add_string(1, name);
  w.add_float(2, value);
  w.add_enum(20, 1);
  return out;
}
inline Bytes ints_attr(const std::string& name, const Dims& values) {
  Bytes out;
  protozero::pbf_writer w(out);
  w.add_string(1, name);
  w.add_packed_int64(8, values.begin(), values.end());
  w.add_enum(20, 7);
  return out;
}
inline Bytes graph_attr(const std::string& name, const Bytes& graph) {
  Bytes out;
  protozero::pbf_writer w(out);
  w.add_string(1, name);
  w.add_message(6, graph);
  w.add_enum(20, 5);
  return out;
}
inline Bytes tensor_attr(const std::string& name, const Bytes& tensor) {
  Bytes out;
  protozero::pbf_writer w(out);
  w.add_string(1, name);
  w.add_message(5, tensor);
  w.add_enum(20, 4);
  return out;
}
// An attribute that refers to one of the enclosing function.
inline Bytes ref_attr(const std::string& name, const std::string& refers_to, int type) {
  Bytes out;
  protozero::pbf_writer w(out);
  w.add_string(1, name);
  w.add_enum(20, type);
  w.add_string(21, refers_to);
  return out;
}

// NodeProto
struct NodeText {
  std::string op;
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  std::vector<Bytes> attributes = {};
  std::string name = {};
  std::string domain = {};
};
inline Bytes node(const NodeText& text) {
  Bytes out;
  protozero::pbf_writer w(out);
  for (const auto& name : text.inputs) w.add_string(1, name);
  for (const auto& name : text.outputs) w.add_string(2, name);
  w.add_string(3, text.name);
  w.add_string(4, text.op);
  for (const auto& attribute : text.attributes) w.add_message(5, attribute);
  if (!text.domain.empty()) w.add_string(7, text.domain);
  return out;
}

// TensorProto with raw_data
template <typename T>
Bytes tensor(const std::string& name, int data_type, const Dims& dims, const std::vector<T>& values) {
  Bytes out;
  protozero::pbf_writer w(out);
  w.add_packed_int64(1, dims.begin(), dims.end());
  w.add_int32(2, data_type);
  w.add_string(8, name);
  w.add_bytes(9, reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
  return out;
}
inline Bytes floats(const std::string& name, const Dims& dims, const std::vector<float>& values) {
  return tensor(name, 1, dims, values);
}
inline Bytes ints(const std::string& name, const std::vector<int64_t>& values) {
  return tensor(name, 7, {static_cast<int64_t>(values.size())}, values);
}
inline Bytes external_tensor(const std::string& name, const Dims& dims, const std::string& location,
                             const std::string& offset, const std::string& length) {
  Bytes out;
  protozero::pbf_writer w(out);
  w.add_packed_int64(1, dims.begin(), dims.end());
  w.add_int32(2, 1);
  w.add_string(8, name);
  w.add_enum(14, 1);
  for (const auto& [key, value] :
       {std::pair{"location", location}, std::pair{"offset", offset}, std::pair{"length", length}}) {
    if (value.empty()) continue;
    Bytes entry;
    protozero::pbf_writer e(entry);
    e.add_string(1, key);
    e.add_string(2, value);
    w.add_message(13, entry);
  }
  return out;
}

// ValueInfoProto of a tensor; a dim "N" is symbolic, a number constant.
inline Bytes value(const std::string& name, int elem_type, const std::vector<std::string>& dims) {
  Bytes shape;
  protozero::pbf_writer s(shape);
  for (const auto& dim : dims) {
    Bytes d;
    protozero::pbf_writer dw(d);
    if (dim.find_first_not_of("-0123456789") == dim.npos) {
      dw.add_int64(1, std::stoll(dim));
    } else {
      dw.add_string(2, dim);
    }
    s.add_message(1, d);
  }
  Bytes tensor_type;
  protozero::pbf_writer t(tensor_type);
  t.add_int32(1, elem_type);
  t.add_message(2, shape);
  Bytes type;
  protozero::pbf_writer(type).add_message(1, tensor_type);
  Bytes out;
  protozero::pbf_writer w(out);
  w.add_string(1, name);
  w.add_message(2, type);
  return out;
}

// GraphProto
struct GraphText {
  std::vector<Bytes> inputs;
  std::vector<Bytes> outputs;
  std::vector<NodeText> nodes;
  std::vector<Bytes> initializers = {};
  std::vector<Bytes> value_infos = {};
};
inline Bytes graph(const GraphText& text) {
  Bytes out;
  protozero::pbf_writer w(out);
  for (const auto& n : text.nodes) w.add_message(1, node(n));
  w.add_string(2, "g");
  for (const auto& t : text.initializers) w.add_message(5, t);
  for (const auto& v : text.inputs) w.add_message(11, v);
  for (const auto& v : text.outputs) w.add_message(12, v);
  for (const auto& v : text.value_infos) w.add_message(13, v);
  return out;
}

inline Bytes opset(const std::string& domain, int64_t version) {
  Bytes out;
  protozero::pbf_writer w(out);
  w.add_string(1, domain);
  w.add_int64(2, version);
  return out;
}

// ModelProto
inline Bytes model(const Bytes& graph_bytes, int64_t version = 17, const std::vector<Bytes>& functions = {}) {
  Bytes out;
  protozero::pbf_writer w(out);
  w.add_int64(1, 8);
  w.add_string(2, "tenon-tests");
  w.add_message(7, graph_bytes);
  w.add_message(8, opset("", version));
  w.add_message(8, opset("test", 1));
  for (const auto& f : functions) w.add_message(25, f);
  return out;
}
inline Bytes model(const GraphText& text, int64_t version = 17, const std::vector<Bytes>& functions = {}) {
  return model(graph(text), version, functions);
}

inline std::span<const std::byte> as_bytes(const Bytes& bytes) { return std::as_bytes(std::span(bytes)); }

}  // namespace tenon::nn::test
