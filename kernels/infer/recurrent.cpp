// Shape rule of recurrent networks.
#include "kernels/infer.h"

namespace tenon::kernels::shape {

// X [T, B, I], W [D, G·H, I], R [D, G·H, H]; layout 1 has the batch first. Y [T, D, B, H], then the last
// states [D, B, H].
Result<void> recurrent(InferContext& c) {
  const std::int64_t gates = c.node.op == Op::LSTM ? 4 : c.node.op == Op::GRU ? 3 : 1;
  const auto& x = c.dims(0);
  const auto& w = c.dims(1);
  const auto& r = c.dims(2);
  if (x.size() != 3 || w.size() != 3 || r.size() != 3) return c.invalid("X, W and R have rank 3");
  const auto& direction = c.node.text("direction");
  if (direction != "forward" && direction != "reverse" && direction != "bidirectional") {
    return c.invalid(fmt::format("direction '{}'", direction));
  }
  const std::int64_t directions = direction == "bidirectional" ? 2 : 1;
  const auto hidden = r[2];
  if (c.node.has("hidden_size") && c.node.integer("hidden_size") != hidden) {
    return c.invalid(fmt::format("hidden_size {}, R is {}", c.node.integer("hidden_size"), to_string(r)));
  }
  if (hidden > (std::int64_t{1} << 24) || x[2] > (std::int64_t{1} << 30)) return c.invalid("too large");
  if (w != Dims{directions, gates * hidden, x[2]} || r != Dims{directions, gates * hidden, hidden}) {
    return c.invalid(fmt::format("W {} and R {} do not fit X {}", to_string(w), to_string(r), to_string(x)));
  }
  const bool batch_first = c.node.integer("layout") != 0;
  const auto steps = x[batch_first ? 1 : 0], batch = x[batch_first ? 0 : 1];
  const Dims state = batch_first ? Dims{batch, directions, hidden} : Dims{directions, batch, hidden};
  const auto check = [&](std::size_t operand, const Dims& wanted, DataType type) -> Result<void> {
    if (!c.has(operand) || (c.dims(operand) == wanted && c.inputs[operand].type == type)) return {};
    return c.invalid(fmt::format("operand {} is {} {}, expected {} {}", operand,
                                 to_string(c.inputs[operand].type), to_string(c.dims(operand)),
                                 to_string(type), to_string(wanted)));
  };
  const auto type = c.inputs[0].type;
  TENON_TRY(check(1, w, type));
  TENON_TRY(check(2, r, type));
  TENON_TRY(check(3, {directions, 2 * gates * hidden}, type));
  TENON_TRY(check(4, {batch}, DataType::i32));
  TENON_TRY(check(5, state, type));
  TENON_TRY(check(6, state, type));
  TENON_TRY(check(7, {directions, 3 * hidden}, type));
  TENON_TRY(c.set(
      0, batch_first ? Dims{batch, steps, directions, hidden} : Dims{steps, directions, batch, hidden}));
  for (std::size_t i = 1; i < c.outputs.size(); ++i) TENON_TRY(c.set(i, state));
  return {};
}

}  // namespace tenon::kernels::shape
