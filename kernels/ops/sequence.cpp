// Sequences and optionals, and the joining and cutting of tensors that loops use too.
#include "kernels/element.h"
#include "kernels/interpreter.h"
#include "kernels/ops/families.h"
#include "kernels/ops/stack.h"

namespace tenon::kernels {
namespace {

// Moves `outer` runs of elements between two pitches.
void copy_runs(DataType type, std::int64_t outer, std::int64_t run, const std::byte* from,
               std::int64_t from_pitch, std::byte* to, std::int64_t to_pitch) {
  dispatch_moved(type, [&]<class T>() {
    for (std::int64_t o = 0; o < outer; ++o) {
      const auto in = In<T>{from}.at(o * from_pitch);
      const auto out = Out<T>{to}.at(o * to_pitch);
      if constexpr (std::is_same_v<T, std::string>) {
        for (std::int64_t i = 0; i < run; ++i) out.set(i, in[i]);
      } else if (run > 0) {
        std::memcpy(out.base, in.base, static_cast<std::size_t>(run) * sizeof(T));
      }
    }
  });
}

std::int64_t count_of(const Dims& dims, std::size_t begin, std::size_t end) {
  std::int64_t n = 1;
  for (auto i = begin; i < end; ++i) n *= dims[i];
  return n;
}

Result<const Value::Sequence*> sequence_in(const ValueCall& call, std::size_t i) {
  if (call.in[i] == nullptr || call.in[i]->kind != ValueType::Kind::sequence) {
    return fail(ErrorCode::runtime_error, "operand {} is no sequence", i);
  }
  return &call.in[i]->elements;
}

// An element that SequenceSet has left out.
bool is_gap(const Value& value) { return value.kind == ValueType::Kind::tensor && !value.tensor.defined(); }

// A position in [-size, size); with `end`, size itself too.
Result<std::size_t> position(const Value* value, std::size_t size, bool end) {
  const auto list = TENON_TRY(to_integers(value->tensor));
  if (list.size() != 1) return fail(ErrorCode::runtime_error, "a position must be one number");
  const auto n = static_cast<std::int64_t>(size);
  const auto at = list[0] < 0 ? list[0] + n : list[0];
  if (at < 0 || at >= n + (end ? 1 : 0))
    return fail(ErrorCode::runtime_error, "position {} in a sequence of {}", list[0], size);
  return static_cast<std::size_t>(at);
}

Result<void> construct(ValueCall& call) {
  Value::Sequence elements;
  for (const auto* value : call.in) {
    if (value == nullptr) return fail(ErrorCode::runtime_error, "an operand is missing");
    elements.push_back(*value);
  }
  call.out[0] = Value::sequence(std::move(elements));
  return {};
}

Result<void> at(ValueCall& call) {
  const auto* sequence = TENON_TRY(sequence_in(call, 0));
  const auto where = TENON_TRY(position(call.in[1], sequence->size(), false));
  if (is_gap((*sequence)[where]))
    return fail(ErrorCode::runtime_error, "element {} was never written", where);
  call.out[0] = (*sequence)[where];
  return {};
}

Result<void> insert(ValueCall& call) {
  auto elements = *TENON_TRY(sequence_in(call, 0));
  std::size_t where = elements.size();
  if (call.in.size() > 2 && call.in[2] != nullptr)
    where = TENON_TRY(position(call.in[2], elements.size(), true));
  elements.insert(elements.begin() + static_cast<std::ptrdiff_t>(where), *call.in[1]);
  call.out[0] = Value::sequence(std::move(elements));
  return {};
}

// TensorFlow's lists: elements may be written in any order, the ones between are empty until they are written too.
Result<void> set(ValueCall& call) {
  auto elements = *TENON_TRY(sequence_in(call, 0));
  const auto list = TENON_TRY(to_integers(call.in[1]->tensor));
  if (list.size() != 1 || list[0] < 0)
    return fail(ErrorCode::runtime_error, "the position must be one number from 0 on");
  const auto where = static_cast<std::uint64_t>(list[0]);
  if (where >= call.interpreter.options().limits.max_context_bytes / sizeof(Value))
    return fail(ErrorCode::too_large, "position {} in a sequence", where);
  if (where >= elements.size()) elements.resize(where + 1);
  elements[where] = *call.in[2];
  call.out[0] = Value::sequence(std::move(elements));
  return {};
}

Result<void> erase(ValueCall& call) {
  auto elements = *TENON_TRY(sequence_in(call, 0));
  if (elements.empty()) return fail(ErrorCode::runtime_error, "the sequence is empty");
  std::size_t where = elements.size() - 1;
  if (call.in.size() > 1 && call.in[1] != nullptr)
    where = TENON_TRY(position(call.in[1], elements.size(), false));
  elements.erase(elements.begin() + static_cast<std::ptrdiff_t>(where));
  call.out[0] = Value::sequence(std::move(elements));
  return {};
}

Result<void> length(ValueCall& call) {
  const auto n = static_cast<std::int64_t>(TENON_TRY(sequence_in(call, 0))->size());
  call.out[0] = Value::of(TENON_TRY(Tensor::of<std::int64_t>(DataType::i64, {}, std::span(&n, 1))));
  return {};
}

Result<void> split_to_sequence(ValueCall& call) {
  const auto& tensor = call.in[0]->tensor;
  const auto& limits = call.interpreter.options().limits;
  const auto axis = TENON_TRY(normalize_axis(call.node.integer("axis"), tensor.dims().size()));
  const auto extent = tensor.dims()[axis];
  std::vector<std::int64_t> sizes;
  bool keep = true;
  if (call.in.size() > 1 && call.in[1] != nullptr) {
    sizes = TENON_TRY(to_integers(call.in[1]->tensor));
    if (call.in[1]->tensor.dims().empty()) {  // a scalar: parts of this size, the last one smaller
      const auto part = sizes[0];
      if (part < 1) return fail(ErrorCode::runtime_error, "parts of {}", part);
      sizes.clear();
      for (std::int64_t i = 0; i < extent; i += part) sizes.push_back(std::min(part, extent - i));
    }
  } else {
    sizes.assign(static_cast<std::size_t>(extent), 1);
    keep = call.node.integer("keepdims") != 0;
  }
  Value::Sequence elements;
  std::int64_t begin = 0;
  for (const auto size : sizes) {
    if (size < 0 || size > extent - begin)
      return fail(ErrorCode::runtime_error, "parts exceed the axis of {}", extent);
    elements.push_back(Value::of(TENON_TRY(slice_tensor(tensor, axis, begin, size, keep, limits))));
    begin += size;
  }
  if (begin != extent)
    return fail(ErrorCode::runtime_error, "parts add up to {}, the axis has {}", begin, extent);
  call.out[0] = Value::sequence(std::move(elements));
  return {};
}

Result<void> concat_from_sequence(ValueCall& call) {
  const auto* sequence = TENON_TRY(sequence_in(call, 0));
  std::vector<Tensor> tensors;
  for (const auto& value : *sequence) {
    if (is_gap(value)) return fail(ErrorCode::runtime_error, "element {} was never written", tensors.size());
    tensors.push_back(value.tensor);
  }
  if (tensors.empty()) return fail(ErrorCode::runtime_error, "the sequence is empty");
  const bool new_axis = call.node.integer("new_axis") != 0;
  const auto axis =
      TENON_TRY(normalize_axis(call.node.integer("axis"), tensors[0].dims().size() + (new_axis ? 1 : 0)));
  call.out[0] =
      Value::of(TENON_TRY(stack_tensors(tensors, axis, new_axis, call.interpreter.options().limits)));
  return {};
}

Result<void> empty(ValueCall& call) {
  call.out[0] = Value::sequence({});
  return {};
}

Result<void> optional_of(ValueCall& call) {
  call.out[0] = call.in.empty() || call.in[0] == nullptr ? Value::none() : Value::some(*call.in[0]);
  return {};
}

Result<void> has_element(ValueCall& call) {
  const auto* value = call.in.empty() ? nullptr : call.in[0];
  const bool has = value != nullptr && (value->kind != ValueType::Kind::optional || !value->elements.empty());
  const auto byte = std::byte{has};
  call.out[0] = Value::of(TENON_TRY(Tensor::copy(DataType::boolean, {}, std::span(&byte, 1))));
  return {};
}

Result<void> get_element(ValueCall& call) {
  const auto& value = *call.in[0];
  if (value.kind != ValueType::Kind::optional) {
    call.out[0] = value;  // since opset 18 a plain value is allowed
    return {};
  }
  if (value.elements.empty()) return fail(ErrorCode::runtime_error, "the optional has no element");
  call.out[0] = value.elements[0];
  return {};
}

}  // namespace

Result<Tensor> stack_tensors(std::span<const Tensor> tensors, std::size_t axis, bool new_axis,
                             const Limits& limits) {
  const auto& first = tensors[0];
  auto dims = first.dims();
  if (new_axis) {
    if (dims.size() >= Dims::kMaxRank) return fail(ErrorCode::too_large, "rank is not supported");
    dims.insert(axis, 1);
  }
  std::int64_t total = 0;
  for (const auto& tensor : tensors) {
    auto own = tensor.dims();
    if (new_axis && own.size() < Dims::kMaxRank) own.insert(axis, 1);
    if (tensor.type() != first.type() || own.size() != dims.size()) {
      return fail(ErrorCode::runtime_error, "tensors of {} {} and {} {} do not join", to_string(first.type()),
                  to_string(first.dims()), to_string(tensor.type()), to_string(tensor.dims()));
    }
    total += own[axis];
    own[axis] = dims[axis];
    if (!(own == dims)) {
      return fail(ErrorCode::runtime_error, "shapes {} and {} do not join", to_string(first.dims()),
                  to_string(tensor.dims()));
    }
  }
  dims[axis] = total;
  auto out = TENON_TRY(Tensor::allocate(first.type(), dims, limits.max_tensor_bytes));
  const auto outer = count_of(dims, 0, axis), inner = count_of(dims, axis + 1, dims.size());
  std::int64_t at = 0;
  for (const auto& tensor : tensors) {
    const auto run = outer == 0 ? 0 : tensor.count() / outer;
    copy_runs(first.type(), outer, run, tensor.data(), run,
              out.mutable_data() + at * static_cast<std::int64_t>(element_bytes(first.type())),
              total * inner);
    at += run;
  }
  return out;
}

Result<Tensor> slice_tensor(const Tensor& tensor, std::size_t axis, std::int64_t begin, std::int64_t count,
                            bool keep_axis, const Limits& limits) {
  auto dims = tensor.dims();
  const auto outer = count_of(dims, 0, axis), inner = count_of(dims, axis + 1, dims.size()),
             extent = dims[axis];
  dims[axis] = count;
  auto out_dims = dims;
  if (!keep_axis) out_dims.erase(axis);
  auto out = TENON_TRY(Tensor::allocate(tensor.type(), out_dims, limits.max_tensor_bytes));
  copy_runs(tensor.type(), outer, count * inner,
            tensor.data() + begin * inner * static_cast<std::int64_t>(element_bytes(tensor.type())),
            extent * inner, out.mutable_data(), count * inner);
  return out;
}

KernelResult fast::sequence(const LowerContext& c) {
  switch (c.node.op) {
    case Op::SequenceConstruct: return value_kernel_of("tenon sequence", construct);
    case Op::SequenceEmpty: return value_kernel_of("tenon sequence", empty);
    case Op::SequenceAt: return value_kernel_of("tenon sequence", at);
    case Op::SequenceInsert: return value_kernel_of("tenon sequence", insert);
    case Op::SequenceSet: return value_kernel_of("tenon sequence", set);
    case Op::SequenceErase: return value_kernel_of("tenon sequence", erase);
    case Op::SequenceLength: return value_kernel_of("tenon sequence", length);
    case Op::SplitToSequence: return value_kernel_of("tenon sequence", split_to_sequence);
    default: return value_kernel_of("tenon sequence", concat_from_sequence);
  }
}

KernelResult fast::optional(const LowerContext& c) {
  switch (c.node.op) {
    case Op::Optional: return value_kernel_of("tenon optional", optional_of);
    case Op::OptionalHasElement: return value_kernel_of("tenon optional", has_element);
    default: return value_kernel_of("tenon optional", get_element);
  }
}

}  // namespace tenon::kernels
