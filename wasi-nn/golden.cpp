// Finding cases and comparing tensors; see golden.h.
#include "wasi-nn/golden.h"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "kernels/ops/number.h"
#include "wasi-nn/formats/tensor_file.h"

namespace tenon::nn {
namespace {

namespace fs = std::filesystem;
using kernels::DataType;
using kernels::ErrorCode;
using kernels::fail;
using kernels::Tensor;
using kernels::Value;
using kernels::ValueType;
using nlohmann::json;

constexpr Tolerance kSuiteTolerance{.rtol = 1e-3, .atol = 1e-7};  // the ONNX backend suite's own

Result<CaseTensor> golden_tensor(const std::string& folder, const json& entry) {
  CaseTensor tensor{entry.value("name", ""), folder + "/" + entry.at("file").get<std::string>(), std::nullopt,
                    entry.contains("quantization") ? 1.0 : 0.0};
  const DataType type = parse_data_type(entry.at("dtype").get<std::string>());
  if (type == DataType::undefined) {
    return fail(ErrorCode::invalid_encoding, "{}: unknown dtype {}", tensor.file, entry.at("dtype").dump());
  }
  const auto shape = entry.at("shape").get<std::vector<int64_t>>();
  tensor.type = ValueType::tensor(type, TENON_TRY(kernels::Dims::from(shape)));
  return tensor;
}

Result<ModelCases> parse_golden(const std::string& folder, const json& golden) {
  ModelCases out;
  out.model = folder + "/" + golden.at("model").get<std::string>();
  // The rule of the data's README: ten times the difference between the tools that made it, at least 1e-5 of
  // the largest.
  double tools = 0;
  for (const auto& [key, value] : golden.items()) {
    if (key.starts_with("max_abs_difference") && value.is_number())
      tools = std::max(tools, value.get<double>());
  }
  // OpenVINO's values come from an evaluator of the IR; one step of a quantised graph may fall either way.
  const bool is_ir = golden.value("encoding", "") == "openvino";
  // With weights of half width, two versions of TensorFlow Lite itself differ by 6e-5, as their sums run in other orders.
  const bool is_half = golden.value("encoding", "") == "tensorflowlite" && golden.contains("operators") &&
                       golden.at("operators").value("DEQUANTIZE", 0) > 1;
  const bool is_quantised =
      is_ir && golden.contains("layer_types") && golden.at("layer_types").contains("FakeQuantize");
  out.tolerance = {.rtol = 0,
                   .atol = 10 * tools,
                   .of_largest = is_quantised       ? 2e-2
                                 : is_ir || is_half ? 1e-4
                                                    : 1e-5};
  for (const json& entry : golden.at("cases")) {
    ModelCase one{.name = folder + ":" + entry.value("name", "case"), .inputs = {}, .outputs = {}};
    for (const json& input : entry.at("inputs"))
      one.inputs.push_back(TENON_TRY(golden_tensor(folder, input)));
    for (const json& output : entry.at("outputs"))
      one.outputs.push_back(TENON_TRY(golden_tensor(folder, output)));
    one.continues = entry.value("continues", false);
    out.cases.push_back(std::move(one));
  }
  return out;
}

Result<ModelCases> read_golden(const std::string& folder) {
  const std::string path = folder + "/golden/golden.json";
  std::ifstream in(path);
  try {
    auto cases = parse_golden(folder, json::parse(in));
    if (!cases) return std::unexpected(kernels::with_place(std::move(cases).error(), path));
    return cases;
  } catch (const json::exception& e) {
    return fail(ErrorCode::invalid_encoding, "{}: {}", path, std::string(e.what()));
  }
}

// test_data_set_0, 1, …, each with input_0.pb … and output_0.pb …
ModelCases backend_cases(const std::string& folder) {
  ModelCases out{folder + "/model.onnx", kSuiteTolerance, {}};
  for (int set = 0;; ++set) {
    const std::string data = fmt::format("{}/test_data_set_{}", folder, set);
    if (!fs::is_directory(data)) break;
    ModelCase one{.name = data, .inputs = {}, .outputs = {}};
    const auto collect = [&](const char* kind, std::vector<CaseTensor>& into) {
      for (int i = 0;; ++i) {
        const std::string file = fmt::format("{}/{}_{}.pb", data, kind, i);
        if (!fs::exists(file)) break;
        into.push_back({"", file});
      }
    };
    collect("input", one.inputs);
    collect("output", one.outputs);
    out.cases.push_back(std::move(one));
  }
  return out;
}

// light_X.onnx with light_X_output_0.pb; the input is a ramp (onnx/backend/test/runner).
std::vector<ModelCases> light_cases(const std::string& folder) {
  std::vector<ModelCases> all;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string path = entry.path().string();
    if (entry.path().extension() != ".onnx") continue;
    const std::string stem = path.substr(0, path.size() - 5);
    if (!fs::exists(stem + "_output_0.pb")) continue;
    ModelCase one{.name = stem, .inputs = {}, .outputs = {{"", stem + "_output_0.pb"}}, .ramp_input = true};
    all.push_back({path, kSuiteTolerance, {std::move(one)}});
  }
  std::ranges::sort(all, {}, &ModelCases::model);
  return all;
}

std::optional<std::string> mean_difference(const std::vector<double>& actual,
                                           const std::vector<double>& expected, double allowed) {
  double sum = 0;
  for (size_t i = 0; i < expected.size(); ++i) sum += std::abs(actual[i] - expected[i]);
  const double mean = sum / static_cast<double>(std::max<size_t>(expected.size(), 1));
  if (mean <= allowed) return std::nullopt;
  return fmt::format("elements differ by {:.3g} in the mean, allowed {:.3g}", mean, allowed);
}

std::optional<std::string> tensor_difference(const Tensor& actual, const Tensor& expected,
                                             const Tolerance& tolerance) {
  if (actual.type() != expected.type()) {
    return fmt::format("type {}, expected {}", to_string(actual.type()), to_string(expected.type()));
  }
  if (!(actual.dims() == expected.dims())) {
    return fmt::format("shape {}, expected {}", to_string(actual.dims()), to_string(expected.dims()));
  }
  if (actual.type() == DataType::string) {
    const auto a = actual.strings();
    const auto e = expected.strings();
    for (size_t i = 0; i < a.size(); ++i) {
      if (a[i] != e[i]) return fmt::format("element {}: '{}', expected '{}'", i, a[i], e[i]);
    }
    return std::nullopt;
  }
  const bool exact_bytes = actual.bytes().size() == expected.bytes().size() &&
                           std::ranges::equal(actual.bytes(), expected.bytes());
  if (exact_bytes) return std::nullopt;
  const auto a = to_doubles(actual);
  const auto e = to_doubles(expected);
  double largest = 0;
  for (const double x : e) {
    if (std::isfinite(x)) largest = std::max(largest, std::abs(x));
  }
  const double base = std::max(tolerance.atol, tolerance.of_largest * largest);
  // No tolerance is finer than the type: one step of bf16 where the suite's data were cut off, not rounded.
  const double rtol = std::max(tolerance.rtol, expected.type() == DataType::bf16 ? 0x1p-7 : 0.0);
  if (tolerance.mean_of_largest > 0) return mean_difference(a, e, tolerance.mean_of_largest * largest);
  std::optional<std::string> worst;
  double worst_excess = 0;
  size_t count = 0;
  for (size_t i = 0; i < e.size(); ++i) {
    if (a[i] == e[i] || (std::isnan(a[i]) && std::isnan(e[i]))) continue;
    const double off = std::abs(a[i] - e[i]);
    const double allowed = base + rtol * std::abs(e[i]);
    if (off <= allowed) continue;  // false for NaN and infinities on one side only
    ++count;
    const double excess = std::isfinite(off) ? off - allowed : HUGE_VAL;
    if (worst && excess <= worst_excess) continue;
    worst_excess = excess;
    worst = fmt::format("element {}: {:g}, expected {:g} (off by {:.3g}, allowed {:.3g})", i, a[i], e[i], off,
                        allowed);
  }
  if (static_cast<double>(count) <= tolerance.others * static_cast<double>(e.size())) return std::nullopt;
  if (worst) *worst += fmt::format("; {} of {} elements differ", count, e.size());
  return worst;
}

}  // namespace

std::vector<double> to_doubles(const Tensor& tensor) {
  if (tensor.type() == DataType::string) return {};
  return kernels::get_numbers(tensor.type(), tensor.data(), tensor.count());
}

Result<std::vector<ModelCases>> find_cases(const std::string& folder) {
  try {
    if (fs::exists(folder + "/golden/golden.json")) return std::vector{TENON_TRY(read_golden(folder))};
    if (fs::exists(folder + "/model.onnx") && fs::is_directory(folder + "/test_data_set_0")) {
      return std::vector{backend_cases(folder)};
    }
    return light_cases(folder);
  } catch (const fs::filesystem_error& e) {
    return fail(ErrorCode::not_found, "{}", std::string(e.what()));
  }
}

std::optional<std::string> difference(const Value& actual, const Value& expected,
                                      const Tolerance& tolerance) {
  if (actual.kind != expected.kind) return "another kind of value than expected";
  if (expected.kind == ValueType::Kind::tensor)
    return tensor_difference(actual.tensor, expected.tensor, tolerance);
  if (actual.elements.size() != expected.elements.size()) {
    return fmt::format("{} elements, expected {}", actual.elements.size(), expected.elements.size());
  }
  for (size_t i = 0; i < expected.elements.size(); ++i) {
    auto off = difference(actual.elements[i], expected.elements[i], tolerance);
    if (off) return fmt::format("[{}]: {}", i, *off);
  }
  return std::nullopt;
}

}  // namespace tenon::nn
