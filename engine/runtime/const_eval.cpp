// The stack machine for constant expressions; one case for each constant instruction.
#include "engine/runtime/const_eval.h"

#include <cstring>

#include "engine/reader.h"
#include "engine/runtime/bulk.h"

namespace tenon {
namespace {

class ConstEvaluator {
 public:
  ConstEvaluator(Instance& instance, std::vector<Slot>& stack)
      : instance_(instance), stack_(stack), base_(stack.size()) {}
  ~ConstEvaluator() { stack_.resize(base_); }

  Result<GlobalCell> run(const ConstExpr& expr) {
    CodeReader reader(instance_.module(), expr.code, expr.offset);
    Instr instr;
    while (reader.next(instr)) {
      if (instr.op == Op::end) break;
      TRY(step(instr));
    }
    if (reader.error()) return std::unexpected(*reader.error());
    GlobalCell cell{};
    const size_t n = stack_.size() - base_;
    if (n > 0) cell.lo = stack_[base_];
    if (n > 1) cell.hi = stack_[base_ + 1];
    return cell;
  }

 private:
  void push(u64 bits) { stack_.push_back(Slot{.u64_ = bits}); }
  Slot pop() {
    const Slot s = stack_.back();
    stack_.pop_back();
    return s;
  }
  // Replaces the two operands by op(lhs, rhs).
  template <class T, class F>
  void binary(F op) {
    const u64 rhs = pop().u64_, lhs = pop().u64_;
    push(static_cast<T>(op(static_cast<T>(lhs), static_cast<T>(rhs))));
  }
  const DefType& type(u32 index) {
    const Module& m = instance_.module();
    return m.type_registry().get(m.types[index]);
  }
  Result<void> out_of_memory() {
    Store& store = instance_.store();
    return std::unexpected(store.trap_error(store.raise(TrapCode::out_of_memory)));
  }
  Result<void> step(const Instr& i);
  Result<void> new_struct(const DefType& t, bool with_values);
  Result<void> new_array(const DefType& t, u32 length, bool from_stack, const Slot* value);
  Result<void> array_new(const DefType& t);

  Instance& instance_;
  std::vector<Slot>& stack_;
  size_t base_;
};

Result<void> ConstEvaluator::step(const Instr& i) {
  switch (i.op) {
    case Op::i32_const: push(static_cast<u32>(i.bits)); return {};
    case Op::i64_const:
    case Op::f32_const:
    case Op::f64_const: push(i.bits); return {};
    case Op::v128_const: {
      Slot halves[2];
      std::memcpy(halves, i.v128.data(), 16);
      stack_.insert(stack_.end(), halves, halves + 2);
      return {};
    }
    case Op::ref_null: push(kNullRef); return {};
    case Op::ref_func: push(reinterpret_cast<u64>(instance_.func(FuncIdx{i.index}))); return {};
    case Op::global_get: {
      const Global& g = *instance_.global(GlobalIdx{i.index});
      stack_.push_back(g.cell->lo);
      if (g.type.type.is_vec()) stack_.push_back(g.cell->hi);
      return {};
    }
    case Op::i32_add: return binary<u32>([](u32 a, u32 b) { return a + b; }), Result<void>{};
    case Op::i32_sub: return binary<u32>([](u32 a, u32 b) { return a - b; }), Result<void>{};
    case Op::i32_mul: return binary<u32>([](u32 a, u32 b) { return a * b; }), Result<void>{};
    case Op::i64_add: return binary<u64>([](u64 a, u64 b) { return a + b; }), Result<void>{};
    case Op::i64_sub: return binary<u64>([](u64 a, u64 b) { return a - b; }), Result<void>{};
    case Op::i64_mul: return binary<u64>([](u64 a, u64 b) { return a * b; }), Result<void>{};
    case Op::ref_i31: push(make_i31(pop().u32_)); return {};
    case Op::any_convert_extern:
    case Op::extern_convert_any: return {};
    case Op::struct_new: return new_struct(type(i.index), true);
    case Op::struct_new_default: return new_struct(type(i.index), false);
    case Op::array_new: return array_new(type(i.index));
    case Op::array_new_default: return new_array(type(i.index), pop().u32_, false, nullptr);
    case Op::array_new_fixed: return new_array(type(i.index), i.index2, true, nullptr);
    default: return std::unexpected(Error{ErrorCategory::invalid, "constant expression required", i.offset});
  }
}

Result<void> ConstEvaluator::new_struct(const DefType& t, bool with_values) {
  Object* o = instance_.store().heap().new_struct(t.id);
  if (!o) return out_of_memory();
  if (with_values) {
    const StructType& s = *t.struct_();
    for (size_t f = s.fields.size(); f-- > 0;) {
      stack_.resize(stack_.size() - s.fields[f].type.slots());
      store_field(o->payload() + s.offsets[f], s.fields[f], stack_.data() + stack_.size());
    }
  }
  push(o->ref());
  return {};
}

// array.new: every element is the one value below the length.
Result<void> ConstEvaluator::array_new(const DefType& t) {
  const u32 length = pop().u32_;
  const u32 slots = t.array()->element.type.slots();
  Slot value[2];
  std::memcpy(value, stack_.data() + stack_.size() - slots, slots * sizeof(Slot));
  TRY(new_array(t, length, false,
                value));  // the value stays on the stack meanwhile: the collector must see it
  const Slot array = pop();
  stack_.resize(stack_.size() - slots);
  stack_.push_back(array);
  return {};
}

Result<void> ConstEvaluator::new_array(const DefType& t, u32 length, bool from_stack, const Slot* value) {
  Object* o = instance_.store().heap().new_array(t.id, length);
  if (!o) return out_of_memory();
  const FieldType& element = t.array()->element;
  const u32 size = element.size(), slots = element.type.slots();
  if (from_stack) {
    for (u32 i = length; i-- > 0;) {
      stack_.resize(stack_.size() - slots);
      store_field(array_element(o, i, size), element, stack_.data() + stack_.size());
    }
  } else if (value) {
    for (u32 i = 0; i < length; ++i) store_field(array_element(o, i, size), element, value);
  }
  push(o->ref());
  return {};
}

}  // namespace

Result<GlobalCell> eval_const(Instance& instance, const ConstExpr& expr, std::vector<Slot>& stack) {
  return ConstEvaluator(instance, stack).run(expr);
}

}  // namespace tenon
