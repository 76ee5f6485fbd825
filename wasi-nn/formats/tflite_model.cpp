// Fields of the TensorFlow Lite schema by number, in the order of its tables; see tflite_model.h.
#include "wasi-nn/formats/tflite_model.h"

namespace tenon::nn::tflite {
namespace {

using flatbuffer::Table;
using kernels::DataType;
using kernels::ErrorCode;
using kernels::fail;

namespace field {
enum Model : unsigned { version, operator_codes, subgraphs, description, buffers, signatures = 7 };
enum OperatorCode : unsigned { old_builtin, custom, code_version, builtin };
enum SubGraph : unsigned { tensors, inputs, outputs, operators, graph_name };
enum Tensor : unsigned {
  shape,
  type,
  buffer,
  tensor_name,
  quantization,
  is_variable,
  sparsity,
  shape_signature,
  has_rank
};
enum Quantization : unsigned { scale = 2, zero_point, dimension = 6 };
enum Operator : unsigned { code_index, operands, results, options = 4, custom_options, intermediates = 8 };
enum Buffer : unsigned { data, offset, size };
enum Signature : unsigned { named_inputs, named_outputs, key, subgraph = 4 };
enum NamedTensor : unsigned { name, index };
}  // namespace field

Quantization read_quantization(const Table& table) {
  return {table.numbers<float>(field::scale), table.numbers<int64_t>(field::zero_point),
          table.scalar<int32_t>(field::dimension)};
}

TensorInfo read_tensor(const Table& table) {
  TensorInfo tensor;
  tensor.shape = table.numbers<int32_t>(field::shape);
  const auto signature = table.numbers<int32_t>(field::shape_signature);
  if (signature.size() == tensor.shape.size()) tensor.shape = signature;
  // Older files do not say whether an empty shape is that of a scalar.
  tensor.has_rank = !tensor.shape.empty() || table.scalar<uint8_t>(field::has_rank) != 0;
  tensor.type = table.scalar<int8_t>(field::type);
  tensor.buffer = table.scalar<uint32_t>(field::buffer);
  tensor.name = table.text(field::tensor_name);
  tensor.quantization = read_quantization(table.table(field::quantization));
  tensor.is_variable = table.scalar<uint8_t>(field::is_variable) != 0;
  tensor.is_sparse = static_cast<bool>(table.table(field::sparsity));
  return tensor;
}

OperatorInfo read_operator(const Table& table) {
  return {table.scalar<uint32_t>(field::code_index), table.numbers<int32_t>(field::operands),
          table.numbers<int32_t>(field::results),    table.table(field::options),
          table.bytes(field::custom_options),        table.numbers<int32_t>(field::intermediates)};
}

SubGraph read_subgraph(const Table& table) {
  SubGraph graph;
  graph.name = table.text(field::graph_name);
  for (const Table& tensor : table.tables(field::tensors)) graph.tensors.push_back(read_tensor(tensor));
  graph.inputs = table.numbers<int32_t>(field::inputs);
  graph.outputs = table.numbers<int32_t>(field::outputs);
  for (const Table& one : table.tables(field::operators)) graph.operators.push_back(read_operator(one));
  return graph;
}

// Codes up to 126 are in the field that older readers know.
OperatorCode read_code(const Table& table) {
  return {std::max<int32_t>(table.scalar<int8_t>(field::old_builtin), table.scalar<int32_t>(field::builtin)),
          table.text(field::custom)};
}

Result<std::span<const std::byte>> read_buffer(const Table& table, std::span<const std::byte> file) {
  const auto offset = table.scalar<uint64_t>(field::offset), size = table.scalar<uint64_t>(field::size);
  if (offset <= 1) return table.bytes(field::data);
  // Behind the tables, for files beyond 2 GiB.
  if (offset > file.size() || size > file.size() - offset)
    return fail(ErrorCode::invalid_encoding, "a buffer of {} bytes at {} lies outside of the file", size,
                offset);
  return file.subspan(offset, size);
}

Signature read_signature(const Table& table) {
  Signature signature;
  signature.key = table.text(field::key);
  signature.subgraph = table.scalar<uint32_t>(field::subgraph);
  const auto read = [&](unsigned field, auto& into) {
    for (const Table& one : table.tables(field))
      into.emplace_back(one.text(field::name), one.scalar<uint32_t>(field::index));
  };
  read(field::named_inputs, signature.inputs);
  read(field::named_outputs, signature.outputs);
  return signature;
}

}  // namespace

Result<std::unique_ptr<Model>> read_model(std::span<const std::byte> bytes) {
  if (bytes.size() < 8 || std::memcmp(bytes.data() + 4, "TFL3", 4) != 0)
    return fail(ErrorCode::invalid_encoding, "does not begin like a TensorFlow Lite file");
  auto model = std::make_unique<Model>(bytes);
  const Table root = model->buffer.root();
  model->version = root.scalar<uint32_t>(field::version);
  model->description = root.text(field::description);
  for (const Table& code : root.tables(field::operator_codes)) model->codes.push_back(read_code(code));
  for (const Table& graph : root.tables(field::subgraphs)) model->subgraphs.push_back(read_subgraph(graph));
  for (const Table& one : root.tables(field::buffers))
    model->buffers.push_back(TENON_TRY(read_buffer(one, bytes)));
  for (const Table& one : root.tables(field::signatures)) model->signatures.push_back(read_signature(one));
  TENON_TRY(model->buffer.check());
  if (model->version != 3)
    return fail(ErrorCode::unsupported_operation, "schema version {}, expected 3", model->version);
  if (model->subgraphs.empty()) return fail(ErrorCode::invalid_encoding, "holds no graph");
  return model;
}

kernels::DataType to_data_type(int8_t type) {
  static constexpr DataType kTypes[] = {
      DataType::f32,    DataType::f16,       DataType::i32,       DataType::u8,        DataType::i64,
      DataType::string, DataType::boolean,   DataType::i16,       DataType::undefined, DataType::i8,
      DataType::f64,    DataType::undefined, DataType::u64,       DataType::undefined, DataType::undefined,
      DataType::u32,    DataType::u16,       DataType::undefined, DataType::bf16};
  return type < 0 || static_cast<size_t>(type) >= std::size(kTypes) ? DataType::undefined
                                                                    : kTypes[static_cast<size_t>(type)];
}

}  // namespace tenon::nn::tflite
