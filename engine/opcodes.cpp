// Look-ups by name in the instruction and feature tables. Look-ups by code are in the header.
#include "engine/opcodes.h"

#include <algorithm>
#include <array>

namespace tenon {
namespace {

constexpr std::array<std::string_view, kFeatureCount> kFeatureNames = {
#define FEATURE(id, cli_name, default_on) cli_name,
#include "engine/features.def"
};

// All instructions in the order of their keywords; equal keywords stay in table order.
std::array<Op, kOpCount> ops_by_text() {
  std::array<Op, kOpCount> ops;
  for (size_t i = 0; i < kOpCount; ++i) ops[i] = static_cast<Op>(i);
  std::sort(ops.begin(), ops.end(), [](Op a, Op b) {
    const auto order = op_info(a).text.compare(op_info(b).text);
    return order != 0 ? order < 0 : a < b;
  });
  return ops;
}

}  // namespace

std::string_view feature_name(Feature f) { return kFeatureNames[static_cast<size_t>(f)]; }

std::optional<Feature> feature_from_name(std::string_view name) {
  auto it = std::find(kFeatureNames.begin(), kFeatureNames.end(), name);
  if (it == kFeatureNames.end()) return std::nullopt;
  return static_cast<Feature>(it - kFeatureNames.begin());
}

std::optional<Op> op_from_name(std::string_view text) {
  static const std::array<Op, kOpCount> ops = ops_by_text();
  auto it = std::lower_bound(ops.begin(), ops.end(), text,
                             [](Op op, std::string_view t) { return op_info(op).text < t; });
  if (it == ops.end() || op_info(*it).text != text) return std::nullopt;
  return *it;
}

}  // namespace tenon
