// Building small graphs and running them in tests.
#pragma once
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "kernels/plan.h"

namespace tenon::kernels::testing_support {

inline ValueType f32_type(const Dims& dims) { return ValueType::tensor(DataType::f32, dims); }

template <class T>
DataType type_of() {
  if constexpr (std::is_same_v<T, float>) return DataType::f32;
  if constexpr (std::is_same_v<T, double>) return DataType::f64;
  if constexpr (std::is_same_v<T, std::int64_t>) return DataType::i64;
  if constexpr (std::is_same_v<T, std::int32_t>) return DataType::i32;
  if constexpr (std::is_same_v<T, std::uint8_t>) return DataType::u8;
  return DataType::undefined;
}

template <class T>
Tensor tensor(const Dims& dims, const std::vector<T>& values) {
  return *Tensor::of<T>(type_of<T>(), dims, values);
}

inline std::vector<float> random_floats(std::int64_t count, unsigned seed) {
  std::mt19937 engine(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> out(static_cast<std::size_t>(count));
  for (auto& x : out) x = uniform(engine);
  return out;
}

inline Tensor random_tensor(const Dims& dims, unsigned seed) {
  return tensor<float>(dims, random_floats(*element_count(dims), seed));
}

template <class T>
std::vector<T> values_of(const Tensor& t) {
  std::vector<T> out(static_cast<std::size_t>(t.count()));
  if (!out.empty()) std::memcpy(out.data(), t.data(), out.size() * sizeof(T));
  return out;
}

// Runs a graph on tensors: every output, or the first error.
inline Result<std::vector<Value>> run(const Graph& graph, const std::vector<Tensor>& inputs,
                                      const CompileOptions& options = {}) {
  const auto model = TENON_TRY(compile(graph, options));
  const auto context = TENON_TRY(model->create_context());
  for (std::size_t i = 0; i < inputs.size(); ++i)
    TENON_TRY(context->set_input_value(i, Value::of(inputs[i])));
  TENON_TRY(context->compute());
  std::vector<Value> outputs;
  for (std::size_t i = 0; i < model->outputs().size(); ++i)
    outputs.push_back(TENON_TRY(context->get_output_value(i)));
  return outputs;
}

// Largest difference relative to the largest expected value.
inline double relative_error(const std::vector<float>& got, const std::vector<float>& expected) {
  double worst = 0, scale = 1e-30;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    worst = std::max(worst, std::abs(double(got[i]) - double(expected[i])));
    scale = std::max(scale, std::abs(double(expected[i])));
  }
  return got.size() == expected.size() ? worst / scale : 1e30;
}

}  // namespace tenon::kernels::testing_support
