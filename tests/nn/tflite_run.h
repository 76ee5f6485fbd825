// Importing and running written TensorFlow Lite models in tests.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/plan.h"
#include "tests/nn/tflite_writer.h"
#include "wasi-nn/formats/tflite_importer.h"

namespace tenon::nn::test::tfl {

using kernels::Result;

inline Result<std::shared_ptr<const kernels::Model>> load(const Bytes& bytes,
                                                          const kernels::CompileOptions& options = {}) {
  const auto owner = std::make_shared<const Bytes>(bytes);  // constants of the model are views of it
  ModelSource source;
  source.file = "m.tflite";
  source.bytes = *owner;
  source.owner = owner;
  auto imported = TENON_TRY(import_tflite(source));
  return kernels::compile(std::move(imported.graph), options);
}

/// A context that takes inputs and gives outputs as vectors.
class Inference {
 public:
  explicit Inference(const Bytes& bytes, const kernels::CompileOptions& options = {}) {
    auto model = load(bytes, options);
    EXPECT_TRUE(model) << model.error().message;
    if (!model) return;
    auto context = (*model)->create_context();
    EXPECT_TRUE(context) << context.error().message;
    if (context) context_ = *std::move(context);
  }

  template <typename T>
  void set(size_t index, const std::vector<T>& values) {
    if (!context_) return;
    const auto& type = context_->model().inputs()[index].type;
    const auto ok =
        context_->set_input(index, {type.element, *type.concrete_dims(), std::as_bytes(std::span(values))});
    EXPECT_TRUE(ok) << ok.error().message;
  }

  void compute() {
    if (!context_) return;
    const auto ok = context_->compute();
    EXPECT_TRUE(ok) << ok.error().message;
  }

  template <typename T>
  std::vector<T> get(size_t index) {
    if (!context_) return {};
    const auto value = context_->get_output_value(index);
    EXPECT_TRUE(value) << value.error().message;
    if (!value) return {};
    std::vector<T> out(static_cast<size_t>(value->tensor.count()));
    EXPECT_EQ(value->tensor.bytes().size(), out.size() * sizeof(T));
    if (!out.empty()) std::memcpy(out.data(), value->tensor.data(), out.size() * sizeof(T));
    return out;
  }

  /// One compute of a model with one input.
  template <typename To = float, typename From = float>
  std::vector<To> run(const std::vector<From>& values) {
    set(0, values);
    compute();
    return get<To>(0);
  }

  kernels::Context& context() { return *context_; }

 private:
  std::unique_ptr<kernels::Context> context_;
};

inline std::string error_of(const Bytes& bytes) {
  const auto model = load(bytes);
  return model ? "no error" : model.error().message;
}

}  // namespace tenon::nn::test::tfl
