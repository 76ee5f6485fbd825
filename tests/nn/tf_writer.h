// Writes small TensorFlow graphs and SavedModels for tests, also wrong ones: every field is what the test says.
#pragma once

#include <protozero/pbf_writer.hpp>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace tenon::nn::test::tf {

using Bytes = std::string;
using Dims = std::vector<int64_t>;

constexpr int kFloat = 1, kInt32 = 3, kInt64 = 9, kBool = 10, kResource = 20;

// TensorShapeProto
inline Bytes shape(const Dims& dims) {
  Bytes out;
  protozero::pbf_writer w(out);
  for (const int64_t dim : dims) {
    Bytes d;
    protozero::pbf_writer(d).add_int64(1, dim);
    w.add_message(2, d);
  }
  return out;
}

// AttrValue
template <typename F>
Bytes value(F write) {
  Bytes out;
  protozero::pbf_writer w(out);
  write(w);
  return out;
}
inline Bytes type(int number) {
  return value([&](auto& w) { w.add_enum(6, number); });
}
inline Bytes text(const std::string& s) {
  return value([&](auto& w) { w.add_string(2, s); });
}
inline Bytes integer(int64_t i) {
  return value([&](auto& w) { w.add_int64(3, i); });
}
inline Bytes real(float f) {
  return value([&](auto& w) { w.add_float(4, f); });
}
inline Bytes boolean(bool b) {
  return value([&](auto& w) { w.add_bool(5, b); });
}
inline Bytes shape_value(const Dims& dims) {
  return value([&](auto& w) { w.add_message(7, shape(dims)); });
}
inline Bytes integers(const Dims& list) {
  return value([&](auto& w) {
    Bytes l;
    protozero::pbf_writer(l).add_packed_int64(3, list.begin(), list.end());
    w.add_message(1, l);
  });
}
inline Bytes function_value(const std::string& name) {
  return value([&](auto& w) {
    Bytes f;
    protozero::pbf_writer(f).add_string(1, name);
    w.add_message(10, f);
  });
}
// A TensorProto with tensor_content.
template <typename T>
Bytes tensor(int dtype, const Dims& dims, const std::vector<T>& values) {
  return value([&](auto& w) {
    Bytes t;
    protozero::pbf_writer tw(t);
    tw.add_enum(1, dtype);
    tw.add_message(2, shape(dims));
    tw.add_bytes(4, reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
    w.add_message(8, t);
  });
}

struct Attr {
  std::string name;
  Bytes value;
};

inline Bytes node(const std::string& name, const std::string& op, const std::vector<std::string>& inputs = {},
                  const std::vector<Attr>& attrs = {}) {
  Bytes out;
  protozero::pbf_writer w(out);
  w.add_string(1, name);
  w.add_string(2, op);
  for (const auto& input : inputs) w.add_string(3, input);
  for (const Attr& attr : attrs) {
    Bytes entry;
    protozero::pbf_writer e(entry);
    e.add_string(1, attr.name);
    e.add_message(2, attr.value);
    w.add_message(5, entry);
  }
  return out;
}

inline Bytes placeholder(const std::string& name, const Dims& dims, int dtype = kFloat) {
  return node(name, "Placeholder", {}, {{"dtype", type(dtype)}, {"shape", shape_value(dims)}});
}
inline Bytes floats(const std::string& name, const Dims& dims, const std::vector<float>& values) {
  return node(name, "Const", {}, {{"dtype", type(kFloat)}, {"value", tensor(kFloat, dims, values)}});
}
inline Bytes ints(const std::string& name, const Dims& dims, const std::vector<int32_t>& values) {
  return node(name, "Const", {}, {{"dtype", type(kInt32)}, {"value", tensor(kInt32, dims, values)}});
}

using Args = std::vector<std::pair<std::string, int>>;          // names and types
using Rets = std::vector<std::pair<std::string, std::string>>;  // result → "node:output:0"

// FunctionDef
inline Bytes function(const std::string& name, const Args& args, const Rets& results,
                      const std::vector<Bytes>& nodes) {
  Bytes signature;
  protozero::pbf_writer s(signature);
  s.add_string(1, name);
  const auto argument = [](const std::string& arg, int dtype) {
    Bytes a;
    protozero::pbf_writer w(a);
    w.add_string(1, arg);
    w.add_enum(3, dtype);
    return a;
  };
  for (const auto& [arg, dtype] : args) s.add_message(2, argument(arg, dtype));
  for (const auto& [result, source] : results) s.add_message(3, argument(result, kFloat));
  Bytes out;
  protozero::pbf_writer w(out);
  w.add_message(1, signature);
  for (const Bytes& n : nodes) w.add_message(3, n);
  for (const auto& [result, source] : results) {
    Bytes entry;
    protozero::pbf_writer e(entry);
    e.add_string(1, result);
    e.add_string(2, source);
    w.add_message(4, entry);
  }
  return out;
}

// GraphDef
inline Bytes graph(const std::vector<Bytes>& nodes, const std::vector<Bytes>& functions = {}) {
  Bytes out;
  protozero::pbf_writer w(out);
  for (const Bytes& n : nodes) w.add_message(1, n);
  if (!functions.empty()) {
    Bytes library;
    protozero::pbf_writer l(library);
    for (const Bytes& f : functions) l.add_message(1, f);
    w.add_message(2, library);
  }
  return out;
}

// SavedModel with one signature; edges are (name, "node:port", dims).
struct Edge {
  std::string name, source;
  Dims dims;
};
inline Bytes saved_model(const Bytes& graph_bytes, const std::string& signature,
                         const std::vector<Edge>& inputs, const std::vector<Edge>& outputs) {
  Bytes def;
  protozero::pbf_writer d(def);
  const auto add = [&](uint32_t field, const Edge& edge) {
    Bytes info;
    protozero::pbf_writer i(info);
    i.add_string(1, edge.source);
    i.add_enum(2, kFloat);
    i.add_message(3, shape(edge.dims));
    Bytes entry;
    protozero::pbf_writer e(entry);
    e.add_string(1, edge.name);
    e.add_message(2, info);
    d.add_message(field, entry);
  };
  for (const Edge& edge : inputs) add(1, edge);
  for (const Edge& edge : outputs) add(2, edge);
  Bytes entry;
  protozero::pbf_writer e(entry);
  e.add_string(1, signature);
  e.add_message(2, def);
  Bytes info;
  protozero::pbf_writer(info).add_string(4, "serve");
  Bytes meta;
  protozero::pbf_writer m(meta);
  m.add_message(1, info);
  m.add_message(2, graph_bytes);
  m.add_message(5, entry);
  Bytes out;
  protozero::pbf_writer w(out);
  w.add_int64(1, 1);
  w.add_message(2, meta);
  return out;
}

inline std::span<const std::byte> as_bytes(const Bytes& bytes) { return std::as_bytes(std::span(bytes)); }

}  // namespace tenon::nn::test::tf
