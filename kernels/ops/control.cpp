// If, Loop and Scan on run-time values. Every iteration checks for interruption, and their number is limited.
#include "kernels/element.h"
#include "kernels/interpreter.h"
#include "kernels/ops/families.h"
#include "kernels/ops/stack.h"

namespace tenon::kernels {
namespace {

Result<bool> truth(const Value& value) {
  if (value.tensor.type() != DataType::boolean || value.tensor.count() != 1) {
    return fail(ErrorCode::runtime_error, "a condition must be one bool");
  }
  return value.tensor.data()[0] != std::byte{0};
}

Result<Value> scalar_of(DataType type, std::span<const std::byte> bytes) {
  return Value::of(TENON_TRY(Tensor::copy(type, {}, bytes)));
}

Result<void> run_if(ValueCall& call) {
  const bool condition = TENON_TRY(truth(*call.in[0]));
  const auto body = call.node.graph(condition ? "then_branch" : "else_branch");
  auto results = TENON_TRY(call.interpreter.run_subgraph(*body, {}));
  if (results.size() < call.out.size()) {
    return fail(ErrorCode::invalid_encoding, "the branch has {} outputs, the node {}", results.size(),
                call.out.size());
  }
  for (std::size_t i = 0; i < call.out.size(); ++i) call.out[i] = std::move(results[i]);
  return {};
}

Result<void> run_loop(ValueCall& call) {
  const auto body = call.node.graph("body");
  const std::size_t carried = call.in.size() < 2 ? 0 : call.in.size() - 2;
  if (body->inputs().size() != carried + 2 || body->outputs().size() < carried + 1 ||
      body->outputs().size() - 1 < call.out.size()) {
    return fail(ErrorCode::invalid_encoding, "the body has {} inputs and {} outputs for {} carried values",
                body->inputs().size(), body->outputs().size(), carried);
  }
  std::int64_t trips = std::numeric_limits<std::int64_t>::max();
  if (call.in[0] != nullptr) {
    const auto count = TENON_TRY(to_integers(call.in[0]->tensor));
    if (count.size() != 1) return fail(ErrorCode::runtime_error, "the trip count must be one number");
    trips = count[0];
  }
  Value condition = TENON_TRY(scalar_of(DataType::boolean, std::array{std::byte{1}}));
  if (call.in.size() > 1 && call.in[1] != nullptr) condition = *call.in[1];
  std::vector<Value> state;
  for (std::size_t i = 0; i < carried; ++i) {
    if (call.in[i + 2] == nullptr) return fail(ErrorCode::invalid_encoding, "carried value {} is missing", i);
    state.push_back(*call.in[i + 2]);
  }
  std::vector<std::vector<Tensor>> scans(body->outputs().size() - 1 - carried);
  std::uint64_t scanned_bytes = 0;
  const auto& limits = call.interpreter.options().limits;
  for (std::int64_t i = 0; i < trips && TENON_TRY(truth(condition)); ++i) {
    TENON_TRY(call.interpreter.check_interrupt());
    if (static_cast<std::uint64_t>(i) >= limits.max_loop_iterations) {
      return fail(ErrorCode::too_large, "more than {} iterations", limits.max_loop_iterations);
    }
    std::vector<Value> inputs{TENON_TRY(scalar_of(DataType::i64, std::as_bytes(std::span(&i, 1)))),
                              condition};
    for (auto& value : state) inputs.push_back(std::move(value));
    auto results = TENON_TRY(call.interpreter.run_subgraph(*body, std::move(inputs)));
    condition = std::move(results[0]);
    for (std::size_t k = 0; k < carried; ++k) state[k] = std::move(results[k + 1]);
    for (std::size_t k = 0; k < scans.size(); ++k) {
      auto& tensor = results[k + 1 + carried].tensor;
      scanned_bytes += tensor.bytes().size();
      if (scanned_bytes > limits.max_context_bytes) {
        return fail(ErrorCode::too_large, "scan outputs exceed the limit of {} bytes",
                    limits.max_context_bytes);
      }
      scans[k].push_back(std::move(tensor));
    }
  }
  for (std::size_t i = 0; i < call.out.size(); ++i) {
    if (i < carried) {
      call.out[i] = std::move(state[i]);
      continue;
    }
    auto& list = scans[i - carried];
    if (list.empty()) {
      // No iteration: an empty tensor of the declared type.
      const auto& declared = body->value(body->outputs()[i + 1]).type;
      const auto type = declared.element == DataType::undefined ? DataType::f32 : declared.element;
      call.out[i] = Value::of(TENON_TRY(Tensor::allocate(type, {0})));
      continue;
    }
    call.out[i] = Value::of(TENON_TRY(stack_tensors(list, 0, true, limits)));
  }
  return {};
}

// Scan of opset 9 and later (no batch axis).
Result<void> run_scan(ValueCall& call) {
  const auto& node = call.node;
  const auto body = node.graph("body");
  const auto scans = node.integer("num_scan_inputs");
  if (scans < 1 || static_cast<std::uint64_t>(scans) > call.in.size()) {
    return fail(ErrorCode::invalid_encoding, "{} scan inputs of {}", scans, call.in.size());
  }
  const auto scan_inputs = static_cast<std::size_t>(scans), states = call.in.size() - scan_inputs;
  if (body->inputs().size() != call.in.size() || body->outputs().size() < states ||
      body->outputs().size() < call.out.size()) {
    return fail(ErrorCode::invalid_encoding, "the body has {} inputs and {} outputs", body->inputs().size(),
                body->outputs().size());
  }
  const auto list_at = [&](std::string_view name, std::size_t i) {
    const auto list = node.integers(name);
    return i < list.size() ? list[i] : 0;
  };
  for (const auto* value : call.in) {
    if (value == nullptr) return fail(ErrorCode::invalid_encoding, "an operand is missing");
  }
  std::int64_t length = -1;
  std::vector<std::size_t> axes;
  for (std::size_t i = 0; i < scan_inputs; ++i) {
    const auto& tensor = call.in[states + i]->tensor;
    axes.push_back(TENON_TRY(normalize_axis(list_at("scan_input_axes", i), tensor.dims().size())));
    const auto own = tensor.dims()[axes.back()];
    if (length >= 0 && own != length)
      return fail(ErrorCode::runtime_error, "scan inputs have lengths {} and {}", length, own);
    length = own;
  }
  std::vector<Value> state;
  for (std::size_t i = 0; i < states; ++i) state.push_back(*call.in[i]);
  std::vector<std::vector<Tensor>> collected(body->outputs().size() - states);
  const auto& limits = call.interpreter.options().limits;
  for (std::int64_t t = 0; t < length; ++t) {
    TENON_TRY(call.interpreter.check_interrupt());
    std::vector<Value> inputs = std::move(state);
    for (std::size_t i = 0; i < scan_inputs; ++i) {
      const auto at = list_at("scan_input_directions", i) != 0 ? length - 1 - t : t;
      inputs.push_back(
          Value::of(TENON_TRY(slice_tensor(call.in[states + i]->tensor, axes[i], at, 1, false, limits))));
    }
    auto results = TENON_TRY(call.interpreter.run_subgraph(*body, std::move(inputs)));
    state.clear();
    for (std::size_t i = 0; i < states; ++i) state.push_back(std::move(results[i]));
    for (std::size_t i = 0; i < collected.size(); ++i)
      collected[i].push_back(std::move(results[states + i].tensor));
  }
  for (std::size_t i = 0; i < call.out.size(); ++i) {
    if (i < states) {
      call.out[i] = std::move(state[i]);
      continue;
    }
    auto& list = collected[i - states];
    if (list.empty()) return fail(ErrorCode::runtime_error, "a scan over nothing has no shape");
    if (list_at("scan_output_directions", i - states) != 0) std::reverse(list.begin(), list.end());
    const auto axis =
        TENON_TRY(normalize_axis(list_at("scan_output_axes", i - states), list[0].dims().size() + 1));
    call.out[i] = Value::of(TENON_TRY(stack_tensors(list, axis, true, limits)));
  }
  return {};
}

}  // namespace

KernelResult fast::control(const LowerContext& c) {
  switch (c.node.op) {
    case Op::If: return value_kernel_of("tenon if", run_if);
    case Op::Loop: return value_kernel_of("tenon loop", run_loop);
    default: return value_kernel_of("tenon scan", run_scan);
  }
}

}  // namespace tenon::kernels
