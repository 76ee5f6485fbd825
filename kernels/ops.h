// Between plans and operators: what a row of ops.def must provide. Shape rules compute output types and dims
// from operands; makers turn a node with concrete operands into a Kernel. Internal to kernels/.
#pragma once
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/graph.h"
#include "kernels/layout.h"
#include "kernels/plan.h"

namespace tenon::kernels {

struct TensorDesc {
  DataType type = DataType::undefined;
  Dims dims;
};

/// An operand as a plan knows it: concrete type and dims, its contents when constant, its layout in memory.
struct Operand {
  bool present = false;
  DataType type = DataType::undefined;
  Dims dims;
  Tensor constant;        // defined when the contents are known
  Layout layout;          // plain unless a kernel chose otherwise
  bool is_input = false;  // the caller's memory, plain

  std::size_t rank() const { return dims.size(); }
};

/// Given to shape rules. A rule that needs the contents of an operand which is not constant gets
/// `needs_value` set: the plan then leaves the node to run time.
class InferContext {
 public:
  InferContext(const Node& node, std::span<const Operand> inputs) : node(node), inputs(inputs) {}
  const Node& node;
  std::span<const Operand> inputs;
  std::vector<TensorDesc> outputs;
  bool needs_value = false;
  std::int32_t wanted = -1;  // with needs_value: the operand, -1 when output sizes depend on data in general

  bool has(std::size_t i) const { return i < inputs.size() && inputs[i].present; }
  const Dims& dims(std::size_t i) const { return inputs[i].dims; }
  /// Contents of an integer operand (any integer type).
  Result<std::vector<std::int64_t>> integers(std::size_t i);
  Result<Tensor> contents(std::size_t i);
  Result<void> set(std::size_t output, const Dims& dims) {
    outputs[output].dims = dims;
    return {};
  }
  std::unexpected<Error> invalid(std::string message) const {
    return std::unexpected(Error{ErrorCode::invalid_argument, std::move(message)});
  }
};

/// Checks the element type, applies the row's result and shape rules. Errors carry no place.
Result<void> infer(InferContext& context);
/// The first half of it: element types only.
Result<void> infer_types(InferContext& context);

/// Whether a row may run at plan time on constants: false for what has state, randomness or subgraphs.
bool is_foldable(Op op);

/// Mutable companion of a kernel, one for each context that runs it.
class KernelState {
 public:
  virtual ~KernelState() = default;
};

struct KernelCall {
  std::span<const std::byte* const> in;  // null: absent
  std::span<std::byte* const> out;       // null: not wanted
  std::byte* scratch = nullptr;          // scratch_bytes(), aligned to 64
  KernelState* state = nullptr;          // what make_state() gave
};

class Interpreter;  // runs subgraphs on run-time values (interpreter.h)

/// Given to kernels that work on values: control flow, sequences, strings, results whose size depends on
/// data.
struct ValueCall {
  std::span<const Value* const> in;  // null: absent
  std::vector<Value>& out;           // sized to the node's outputs
  const Node& node;
  Interpreter& interpreter;
};

/// A node made ready for concrete operands: immutable, shared by contexts and threads.
class Kernel {
 public:
  virtual ~Kernel() = default;
  virtual Result<void> run(const KernelCall& call) const = 0;
  virtual std::unique_ptr<KernelState> make_state() const { return nullptr; }
  /// Only for kernels that return true from takes_values().
  virtual Result<void> run_values(ValueCall&) const {
    return fail(ErrorCode::runtime_error, "not a kernel on values");
  }
  virtual bool takes_values() const { return false; }

  std::size_t scratch_bytes = 0;
  // Data errors, or addresses that depend on an operand's contents (which a caller's shared memory could change between
  // check and use): such a kernel is neither early nor late.
  bool can_fail = false;
  std::string implementation;
};

/// Given to makers.
struct LowerContext {
  const Node& node;
  std::span<const Operand> inputs;
  std::span<const TensorDesc> outputs;
  int threads = 1;
  bool reference = false;
  Limits limits;
  const Dims& in_dims(std::size_t i) const { return inputs[i].dims; }
  bool has(std::size_t i) const { return i < inputs.size() && inputs[i].present; }
  std::unexpected<Error> unsupported(std::string what) const {
    return std::unexpected(Error{ErrorCode::unsupported_operation, std::move(what)});
  }
};

using KernelResult = Result<std::unique_ptr<Kernel>>;
using Maker = KernelResult (*)(const LowerContext&);

/// The plain-layout kernel of a node: the row's family, fast or reference.
KernelResult make_kernel(const LowerContext& context);

/// The row's tolerance and family name, for tests and documentation.
double tolerance(Op op);
std::string_view family(Op op);
/// Whether the row accepts this element type for operand 0.
bool accepts(Op op, DataType type);

/// A kernel from a callable: Result<void>(const KernelCall&).
template <class F>
class CallableKernel final : public Kernel {
 public:
  explicit CallableKernel(F f) : f_(std::move(f)) {}
  Result<void> run(const KernelCall& call) const override { return f_(call); }

 private:
  F f_;
};

template <class F>
std::unique_ptr<Kernel> kernel_of(std::string implementation, F f) {
  auto kernel = std::make_unique<CallableKernel<F>>(std::move(f));
  kernel->implementation = std::move(implementation);
  return kernel;
}

/// A kernel on values from a callable: Result<void>(ValueCall&).
template <class F>
class ValueKernel final : public Kernel {
 public:
  explicit ValueKernel(F f) : f_(std::move(f)) {}
  Result<void> run(const KernelCall&) const override {
    return fail(ErrorCode::runtime_error, "a kernel on values needs the interpreter");
  }
  Result<void> run_values(ValueCall& call) const override { return f_(call); }
  bool takes_values() const override { return true; }

 private:
  F f_;
};

template <class F>
std::unique_ptr<Kernel> value_kernel_of(std::string implementation, F f) {
  auto kernel = std::make_unique<ValueKernel<F>>(std::move(f));
  kernel->implementation = std::move(implementation);
  kernel->can_fail = true;
  return kernel;
}

/// axis counted from the end when negative; invalid_argument outside [-rank, rank).
Result<std::size_t> normalize_axis(std::int64_t axis, std::size_t rank);
/// Row-major strides in elements.
Dims strides_of(const Dims& dims);
/// Product of dims[begin, end); the tensor's count was checked before.
std::int64_t product(const Dims& dims, std::size_t begin, std::size_t end);
inline std::int64_t product(const Dims& dims) { return product(dims, 0, dims.size()); }
/// Integers of a constant of any integer type.
Result<std::vector<std::int64_t>> to_integers(const Tensor& tensor);

}  // namespace tenon::kernels
