// Expected results of models: cases on disk in three layouts, and the comparison of tensors. Runs nothing.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kernels/plan.h"
#include "kernels/tensor.h"

namespace tenon::nn {

using kernels::Result;

// One input or expected output of a case.
struct CaseTensor {
  std::string name;  // empty: by position
  std::string file;
  std::optional<kernels::ValueType> type = std::nullopt;  // where the layout tells it (golden.json)
  double step = 0;  // 1 for integers that stand for real numbers: computed one step off is near enough
};

struct ModelCase {
  std::string name;  // folder and case, for messages
  std::vector<CaseTensor> inputs;
  std::vector<CaseTensor> outputs;
  bool ramp_input = false;  // light models: every input is arange(n) / n
  bool continues = false;   // begins with the states that the case before it left; else with the first ones
};

// How near is near enough.
struct Tolerance {
  double rtol = 0;        // relative to each expected element
  double atol = 0;        // absolute
  double of_largest = 0;  // relative to the largest expected element of the tensor
  // Above 0: what the mean of all differences may be, relative to the largest expected element, instead. For graphs that
  // quantise as they run: a difference in the last digit of a sum moves codes by a whole step, and these others.
  double mean_of_largest = 0;
  double others =
      0;  // which part of the elements may be anything: choices between values that are nearly equal
};

struct ModelCases {
  std::string model;  // its file
  Tolerance tolerance;
  std::vector<ModelCase> cases;
};

// The cases of one folder: golden/golden.json, test_data_set_N, or light_*.onnx (several models). Empty when
// it holds none. Errors: invalid_encoding for a damaged golden.json.
Result<std::vector<ModelCases>> find_cases(const std::string& folder);

// Nothing when `actual` matches: same kind, type and dims, and elements within the tolerance (NaN matches
// NaN); otherwise what is wrong and where.
std::optional<std::string> difference(const kernels::Value& actual, const kernels::Value& expected,
                                      const Tolerance& tolerance);

// The elements of a tensor of any numeric type as doubles (i64 and u64 may round).
std::vector<double> to_doubles(const kernels::Tensor& tensor);

}  // namespace tenon::nn
