// Rules of ReadValue and Assign: variables, which each inference keeps between its computes.
#include "wasi-nn/formats/openvino_rules.h"

namespace tenon::nn::openvino::rules {

using kernels::DataType;
using kernels::Dims;
using kernels::Tensor;

namespace {

Result<std::string> variable_of(const LayerImport& layer) {
  std::string name(layer.text("variable_id"));
  if (name.empty()) return LayerImport::invalid("attribute 'variable_id' is missing");
  return name;
}

// As the layer declares them since opset 6; before, those of the value that it begins with.
Result<Dims> declared_dims(const LayerImport& layer) {
  std::vector<int64_t> dims;
  if (layer.opset() >= 6 && layer.layer().has("variable_shape")) {
    const std::string_view text = layer.text("variable_shape");
    const auto parsed = parse_ints(text);
    if (!parsed) return LayerImport::unsupported("a variable of the shape '{}', which changes", text);
    dims = *parsed;
  } else {
    dims = layer.dims_of(0);
  }
  if (std::ranges::any_of(dims, [](int64_t dim) { return dim < 0; }))
    return LayerImport::unsupported("a variable whose shape changes");
  return Dims::from(dims);
}

}  // namespace

// The variable as the last compute left it. Before the first it is what the operand says, or 0 without one. An operand that
// is computed counts for the first compute only: a second variable tells whether there was one.
Result<void> read_value(LayerImport& layer) {
  const std::string name = TENON_TRY(variable_of(layer));
  const DataType declared = layer.opset() >= 6 ? TENON_TRY(layer.type("variable_type")) : layer.element(0);
  if (layer.opset() < 6) TENON_TRY(layer.need(0));
  const Tensor* initial = layer.has_input(0) ? layer.constant(layer.input(0)) : nullptr;
  const DataType type = initial && declared == DataType::undefined ? initial->type() : declared;
  if (type == DataType::undefined) return LayerImport::unsupported("a variable of unknown element type");
  const Dims dims = TENON_TRY(declared_dims(layer));
  if (initial && (initial->type() != type || !(initial->dims() == dims))) {
    return LayerImport::invalid("variable '{}' of {} {} begins as {} {}", name, to_string(type),
                                to_string(dims), to_string(initial->type()), to_string(initial->dims()));
  }
  const ValueId state = TENON_TRY(layer.host().new_variable(name, type, dims, initial ? *initial : Tensor()));
  if (initial || !layer.has_input(0)) return layer.alias(0, state);
  const std::string flag = name + " (is set)";
  const ValueId is_set = TENON_TRY(layer.host().new_variable(flag, DataType::boolean, Dims{}, Tensor()));
  const uint8_t yes = 1;
  const ValueId set = TENON_TRY(
      layer.constant(TENON_TRY(Tensor::of<uint8_t>(DataType::boolean, Dims{}, std::span(&yes, 1)))));
  TENON_TRY(layer.host().set_variable(flag, set));
  return layer.finish("Where", {is_set, state, layer.input(0)});
}

// A value that the variable will have in the next compute, which is also the layer's result.
Result<void> assign(LayerImport& layer) {
  const ValueId value = TENON_TRY(layer.need(0));
  TENON_TRY(layer.host().set_variable(TENON_TRY(variable_of(layer)), value));
  return layer.alias(0, value);
}

}  // namespace tenon::nn::openvino::rules
