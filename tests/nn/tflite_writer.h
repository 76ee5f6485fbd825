// Writes small TensorFlow Lite models for tests, also wrong ones: every field is what the test says.
#pragma once

#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace tenon::nn::test::tfl {

using Bytes = std::vector<std::byte>;

template <typename T>
Bytes bytes_of(const std::vector<T>& values) {
  const auto bytes = std::as_bytes(std::span(values));
  return {bytes.begin(), bytes.end()};
}

struct Node;
using NodePtr = std::shared_ptr<const Node>;
// What a FlatBuffer consists of. Elements of a vector of scalars lie in `data`, `width` bytes each; text is one of bytes
// with a zero behind it.
struct Node {
  bool is_table = false;
  std::map<unsigned, std::variant<Bytes, NodePtr>> fields = {};  // of a table
  std::vector<NodePtr> elements = {};                            // of a vector of tables
  Bytes data = {};
  size_t width = 0;
};

// A table's fields by number.
class Table {
 public:
  template <typename T>
  Table& scalar(unsigned field, T value) {
    const auto bytes = std::as_bytes(std::span(&value, 1));
    node_.fields[field] = Bytes(bytes.begin(), bytes.end());
    return *this;
  }
  template <typename T>
  Table& numbers(unsigned field, const std::vector<T>& values) {
    return put(field, {.data = bytes_of(values), .width = sizeof(T)});
  }
  Table& text(unsigned field, const std::string& value) {
    Bytes data = bytes_of(std::vector<char>(value.begin(), value.end()));
    return put(field, {.data = std::move(data), .width = 1});
  }
  Table& table(unsigned field, const Table& value) { return put(field, value.node_); }
  Table& tables(unsigned field, const std::vector<Table>& values) {
    Node node{.width = 4};
    for (const Table& value : values) node.elements.push_back(std::make_shared<const Node>(value.node_));
    return put(field, std::move(node));
  }
  const Node& node() const { return node_; }

 private:
  Table& put(unsigned field, Node node) {
    node_.fields[field] = std::make_shared<const Node>(std::move(node));
    return *this;
  }
  Node node_{.is_table = true};
};

class Writer {
 public:
  Bytes write(const Table& root) {
    out_.assign(8, std::byte{0});
    std::memcpy(out_.data() + 4, "TFL3", 4);
    refer(0, root.node());
    return std::move(out_);
  }

 private:
  template <typename T>
  void set(size_t at, T value) {
    std::memcpy(out_.data() + at, &value, sizeof value);
  }
  size_t grow(size_t size) {
    out_.resize((out_.size() + 7) / 8 * 8 + size);
    return out_.size() - size;
  }
  void refer(size_t from, const Node& node) {
    const size_t at = node.is_table ? table(node) : vector(node);
    set(from, static_cast<uint32_t>(at - from));
  }
  // Each field takes 8 bytes behind the distance to the vtable.
  size_t table(const Node& node) {
    const size_t count = node.fields.empty() ? 0 : node.fields.rbegin()->first + 1;
    const size_t vtable = grow(4 + 2 * count), size = 8 + 8 * node.fields.size(), at = grow(size);
    set(vtable, static_cast<uint16_t>(4 + 2 * count));
    set(vtable + 2, static_cast<uint16_t>(size));
    set(at, static_cast<int32_t>(at - vtable));
    size_t place = at + 8;
    for (const auto& [field, value] : node.fields) {
      set(vtable + 4 + 2 * field, static_cast<uint16_t>(place - at));
      if (const auto* scalar = std::get_if<Bytes>(&value))
        std::memcpy(out_.data() + place, scalar->data(), scalar->size());
      else
        refer(place, *std::get<NodePtr>(value));
      place += 8;
    }
    return at;
  }
  size_t vector(const Node& node) {
    const size_t count = node.elements.empty() ? node.data.size() / node.width : node.elements.size();
    const size_t at = grow(8 + 4 * node.elements.size() + node.data.size() + 1) + 4;
    set(at, static_cast<uint32_t>(count));
    if (!node.data.empty()) std::memcpy(out_.data() + at + 4, node.data.data(), node.data.size());
    for (size_t i = 0; i < node.elements.size(); ++i) refer(at + 4 + 4 * i, *node.elements[i]);
    return at;
  }
  Bytes out_;
};

// TensorType
enum Type : int8_t {
  kFloat32 = 0,
  kInt32 = 2,
  kUint8 = 3,
  kInt64 = 4,
  kBool = 6,
  kInt16 = 7,
  kInt8 = 9,
  kResource = 13
};

struct Quantization {
  std::vector<float> scale;
  std::vector<int64_t> zero;
  int32_t dimension = 0;
};

struct Tensor {
  std::vector<int32_t> shape;
  Type type = kFloat32;
  Quantization quantization = {};
  Bytes data = {};
  bool variable = false;
  std::string name = {};
};

struct Operator {
  int32_t builtin = 0;
  std::vector<int32_t> inputs, outputs;
  Table options = {};
  std::string custom = {};
  Bytes custom_options = {};
};

struct Graph {
  std::vector<Tensor> tensors;
  std::vector<int32_t> inputs, outputs;
  std::vector<Operator> operators;

  int32_t add(Tensor tensor) {
    if (tensor.name.empty()) tensor.name = "t" + std::to_string(tensors.size());
    tensors.push_back(std::move(tensor));
    return static_cast<int32_t>(tensors.size() - 1);
  }
  int32_t input(Tensor tensor) {
    inputs.push_back(add(std::move(tensor)));
    return inputs.back();
  }
  template <typename T>
  int32_t constant(std::vector<int32_t> shape, Type type, const std::vector<T>& values, Quantization q = {}) {
    return add({std::move(shape), type, std::move(q), bytes_of(values)});
  }
  // An operator with one result, which it gives.
  int32_t op(int32_t builtin, std::vector<int32_t> operands, Tensor result, Table options = {}) {
    const int32_t out = add(std::move(result));
    operators.push_back({builtin, std::move(operands), {out}, std::move(options)});
    return out;
  }
};

struct Signature {
  std::string key;
  std::vector<std::pair<std::string, uint32_t>> inputs, outputs;
};

inline Bytes write(const std::vector<Graph>& graphs, const std::vector<Signature>& signatures = {}) {
  std::vector<Table> codes, buffers(1), subgraphs, named;
  for (const Graph& graph : graphs) {
    std::vector<Table> tensors, operators;
    for (const Tensor& t : graph.tensors) {
      Table table;
      table.numbers(0, t.shape).scalar(1, t.type).text(3, t.name).scalar(5, t.variable).scalar(8, true);
      if (!t.data.empty()) {
        table.scalar(2, static_cast<uint32_t>(buffers.size()));
        buffers.push_back(Table().numbers(0, t.data));
      }
      if (!t.quantization.scale.empty())
        table.table(4, Table()
                           .numbers(2, t.quantization.scale)
                           .numbers(3, t.quantization.zero)
                           .scalar(6, t.quantization.dimension));
      tensors.push_back(table);
    }
    for (const Operator& o : graph.operators) {
      Table table;
      table.scalar(0, static_cast<uint32_t>(codes.size())).numbers(1, o.inputs).numbers(2, o.outputs);
      // The kind of the options is the union's business, which the importer knows from the operator.
      table.scalar(3, uint8_t{1}).table(4, o.options);
      if (!o.custom_options.empty()) table.numbers(5, o.custom_options);
      operators.push_back(table);
      Table code;
      code.scalar(0, static_cast<int8_t>(std::min(o.builtin, 127))).scalar(3, o.builtin);
      if (!o.custom.empty()) code.text(1, o.custom);
      codes.push_back(code);
    }
    subgraphs.push_back(
        Table().tables(0, tensors).numbers(1, graph.inputs).numbers(2, graph.outputs).tables(3, operators));
  }
  for (const Signature& s : signatures) {
    const auto list = [](const auto& edges) {
      std::vector<Table> out;
      for (const auto& [name, tensor] : edges) out.push_back(Table().text(0, name).scalar(1, tensor));
      return out;
    };
    named.push_back(Table().tables(0, list(s.inputs)).tables(1, list(s.outputs)).text(2, s.key));
  }
  Table model;
  model.scalar(0, uint32_t{3}).tables(1, codes).tables(2, subgraphs).tables(4, buffers).tables(7, named);
  return Writer().write(model);
}

}  // namespace tenon::nn::test::tfl
