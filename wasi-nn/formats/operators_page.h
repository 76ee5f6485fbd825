// docs/operators.md, made from the tables of the importers and of the kernels.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tenon::nn {

// An operator as a format calls it, and the row of kernels/ops.def that it becomes.
struct ForeignOperator {
  std::string_view name;
  std::string_view op;        // empty: it is written out as several
  std::string versions = {};  // of the format, where one name means different things
};

// Each importer's table, sorted by name.
namespace onnx {
std::vector<ForeignOperator> foreign_operators();
}
namespace openvino {
std::vector<ForeignOperator> foreign_operators();
}
namespace tf {
std::vector<ForeignOperator> foreign_operators();
}
namespace tflite {
std::vector<ForeignOperator> foreign_operators();
}

// A row for each operator with its name in each format, element types and fast path.
std::string operators_page();

}  // namespace tenon::nn
