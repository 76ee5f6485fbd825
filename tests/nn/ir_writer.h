// Writes small OpenVINO IRs for tests, also wrong ones: every part of the XML is what the test says.
#pragma once

#include <fmt/format.h>

#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tenon::nn::test {

// The XML of one net (or body) and the bytes of its constants.
class Ir {
 public:
  using Dims = std::vector<int64_t>;
  struct Port {
    std::string precision;
    Dims dims;
  };
  // A layer's id and the index of its output port.
  struct From {
    int layer = 0, port = 0;
  };

  int parameter(const std::string& type, const Dims& dims) {
    return layer("Parameter", "opset1", fmt::format("shape=\"{}\" element_type=\"{}\"", list(dims), type), {},
                 {{precision(type), dims}});
  }
  template <typename T>
  int constant(const std::string& type, const Dims& dims, const std::vector<T>& values) {
    const size_t offset = weights->size(), size = values.size() * sizeof(T);
    weights->resize(offset + size);
    if (size > 0) std::memcpy(weights->data() + offset, values.data(), size);
    return layer("Const", "opset1",
                 fmt::format("element_type=\"{}\" shape=\"{}\" offset=\"{}\" size=\"{}\"", type, list(dims),
                             offset, size),
                 {}, {{precision(type), dims}});
  }
  int floats(const Dims& dims, const std::vector<float>& values) { return constant("f32", dims, values); }
  int ints(const std::vector<int64_t>& values) {
    return constant("i64", {static_cast<int64_t>(values.size())}, values);
  }
  // `more` is what stands in the layer beside data and ports, such as a body.
  int layer(const std::string& type, const std::string& version, const std::string& data,
            const std::vector<From>& inputs, const std::vector<Port>& outputs, const std::string& more = {}) {
    const int id = next_++;
    std::string ports;
    for (size_t i = 0; i < inputs.size(); ++i) {
      const auto dims = dims_[static_cast<size_t>(inputs[i].layer)];
      ports += port(i, dims.size() > static_cast<size_t>(inputs[i].port)
                           ? dims[static_cast<size_t>(inputs[i].port)]
                           : Port{});
      edges += fmt::format("<edge from-layer=\"{}\" from-port=\"{}\" to-layer=\"{}\" to-port=\"{}\"/>",
                           inputs[i].layer, 100 + inputs[i].port, id, i);
    }
    std::string results;
    for (size_t i = 0; i < outputs.size(); ++i) results += port(100 + i, outputs[i]);
    dims_.push_back(outputs);
    layers += fmt::format(
        "<layer id=\"{0}\" name=\"{1}{0}\" type=\"{1}\" "
        "version=\"{2}\">{3}<input>{4}</input><output>{5}</output>{6}</layer>",
        id, type, version, data.empty() ? "" : "<data " + data + "/>", ports, results, more);
    return id;
  }
  int result(From from) { return layer("Result", "opset1", "", {from}, {}); }

  std::string parts() const { return "<layers>" + layers + "</layers><edges>" + edges + "</edges>"; }
  std::string xml(int version = 11) const {
    return fmt::format("<?xml version=\"1.0\"?><net name=\"t\" version=\"{}\">{}</net>", version, parts());
  }
  // A body whose constants lie in the same weights.
  Ir body() const {
    Ir inner;
    inner.weights = weights;
    return inner;
  }

  std::string layers, edges;
  std::shared_ptr<std::string> weights = std::make_shared<std::string>();

  static std::string list(const Dims& dims) { return fmt::format("{}", fmt::join(dims, ",")); }

 private:
  static std::string precision(const std::string& type) {
    if (type.starts_with('f')) return "FP" + type.substr(1);
    std::string upper = type;
    for (char& c : upper) c = static_cast<char>(std::toupper(c));
    return upper;
  }
  static std::string port(size_t id, const Port& p) {
    std::string text = fmt::format("<port id=\"{}\" precision=\"{}\">", id, p.precision);
    for (const int64_t dim : p.dims) text += fmt::format("<dim>{}</dim>", dim);
    return text + "</port>";
  }

  int next_ = 0;
  std::vector<std::vector<Port>> dims_;
};

}  // namespace tenon::nn::test
