// How many of a guest's bytes each model of the test data copies on the way in and out (moved with type and layout unchanged),
// against the checked-in list with reasons.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "tests/nn/test_data.h"
#include "wasi-nn/environment.h"
#include "wasi-nn/formats/tensor_file.h"
#include "wasi-nn/golden.h"

namespace tenon::nn {
namespace {

struct Copies {
  std::string_view model;
  uint64_t in, out;
  std::string_view reason;
};
const std::vector<Copies> kCopies = {
#define NN_COPIES(model, in, out, reason) {model, in, out, reason},
#include "tests/nn/copies.def"
#undef NN_COPIES
};

TEST(Copies, EveryModelCopiesWhatTheListSays) {
  const std::filesystem::path root = test::test_data() + "/models";
  SKIP_WITHOUT(root.string());
  size_t seen = 0;
  for (const auto& entry : std::filesystem::directory_iterator(root)) {
    const std::string name = entry.path().filename();
    const auto groups = find_cases(entry.path());
    if (!groups || groups->empty() || (*groups)[0].cases.empty()) continue;
    if ((*groups)[0].cases[0].ramp_input) continue;  // its inputs are made by the runner
    const auto& group = (*groups)[0];
    const auto model = load_model_file(group.model, {});
    if (!model && model.error().code == kernels::ErrorCode::unsupported_operation) continue;  // its format
    ASSERT_TRUE(model) << name << ": " << model.error().message;
    const auto context = (*model)->create_context();
    ASSERT_TRUE(context) << name << ": " << context.error().message;
    uint64_t in = 0, out = 0;
    const ModelCase& one = group.cases[0];
    for (size_t i = 0; i < one.inputs.size(); ++i) {
      const auto value = read_value(one.inputs[i].file, *one.inputs[i].type);
      ASSERT_TRUE(value) << name;
      in += value->tensor.bytes().size();
      const auto& edges = (*model)->inputs();
      const auto named = std::ranges::find(edges, one.inputs[i].name, &kernels::TensorInfo::name);
      const size_t index = named == edges.end() ? i : static_cast<size_t>(named - edges.begin());
      ASSERT_TRUE((*context)->set_input_value(index, *value)) << name;
    }
    ASSERT_TRUE((*context)->compute()) << name;
    for (size_t i = 0; i < (*model)->outputs().size(); ++i) {
      std::vector<std::byte> bytes((*context)->output_bytes(i).value_or(0));
      out += bytes.size();
      ASSERT_TRUE((*context)->get_output(i, bytes)) << name;
    }
    const auto statistics = (*context)->statistics();
    const auto row = std::ranges::find(kCopies, name, &Copies::model);
    const Copies listed = row == kCopies.end() ? Copies{name, 0, 0, ""} : *row;
    EXPECT_EQ(statistics.set_input.bytes_copied, listed.in) << name;
    EXPECT_EQ(statistics.get_output.bytes_copied, listed.out) << name;
    EXPECT_LE(statistics.set_input.bytes_copied, in) << name << ": never more than one copy";
    EXPECT_LE(statistics.get_output.bytes_copied, out) << name << ": never more than one copy";
    ++seen;
  }
  EXPECT_GE(seen, kCopies.size());
}

}  // namespace
}  // namespace tenon::nn
