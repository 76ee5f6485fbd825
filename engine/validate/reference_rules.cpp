// References, structures and arrays (spec: valid/instructions, Reference and Aggregate Instructions).
#include <fmt/format.h>

#include "engine/validate/func_validator.h"

namespace tenon {
namespace {

constexpr ValType kI31Ref = ValType::ref(AbstractHeap::i31, false);
constexpr ValType kEqRef = ValType::ref(AbstractHeap::eq, true);

}  // namespace

const StructType* FuncValidator::struct_type(u32 type_index) {
  if (!check_type(type_index)) return nullptr;
  const StructType* s = types_.get(module_.types[type_index]).struct_();
  if (!s) fail_index(Err::non_structure_type, type_index);
  return s;
}

const ArrayType* FuncValidator::array_type(u32 type_index) {
  if (!check_type(type_index)) return nullptr;
  const ArrayType* a = types_.get(module_.types[type_index]).array();
  if (!a) fail_index(Err::non_array_type, type_index);
  return a;
}

const ArrayType* FuncValidator::mutable_array(u32 type_index) {
  const ArrayType* a = array_type(type_index);
  if (!a || a->element.mutable_) return a;
  fail_index(Err::immutable_array, type_index);
  return nullptr;
}

// ---- References

void FuncValidator::ref_null(const Instr& instr) { push(ValType::ref(instr.heap, true)); }

void FuncValidator::ref_is_null(const Instr&) {
  pop_ref();
  push(kI32);
}

void FuncValidator::ref_func(const Instr& instr) {
  if (instr.index >= module_.functions.size()) return fail_index(Err::unknown_function, instr.index);
  // A constant expression itself declares what it names.
  if (!constant_ && !module_.declared_func_refs[instr.index])
    return fail_index(Err::undeclared_reference, instr.index);
  push(ValType::ref(HeapType(module_.functions[instr.index].type), false));
}

void FuncValidator::ref_eq(const Instr&) {
  pop({kEqRef, kEqRef});
  push(kI32);
}

void FuncValidator::ref_as_non_null(const Instr&) { push(ValType::ref(pop_ref().heap(), false)); }

// Any reference of the target's hierarchy may be tested.
void FuncValidator::ref_test(const Instr& instr) {
  pop(ValType::ref(types_.top_of(instr.heap), true));
  push(kI32);
}
void FuncValidator::ref_cast(const Instr& instr) {
  pop(ValType::ref(types_.top_of(instr.heap), true));
  push(ValType::ref(instr.heap, instr.op == Op::ref_cast_null));
}

void FuncValidator::br_on_null(const Instr& instr) {
  const ValType ref = pop_ref();
  const ControlFrame* target = label(instr.index);
  if (!target) return;
  pop(target->label_types());
  push(target->label_types());
  push(ValType::ref(ref.heap(), false));
}

// The label takes what is on the stack and, last, the reference.
void FuncValidator::br_on_non_null(const Instr& instr) {
  const ControlFrame* target = label(instr.index);
  if (!target) return;
  const Types types = target->label_types();
  if (types.empty() || !types.back().is_ref())
    return fail(Err::type_mismatch, "the label of br_on_non_null must take a reference");
  pop(ValType::ref(types.back().heap(), true));
  pop(types.first(types.size() - 1));
  push(types.first(types.size() - 1));
}

void FuncValidator::br_on_cast(const Instr& instr) {
  const ValType from = ValType::ref(instr.heap, instr.cast_flags & 1);
  const ValType to = ValType::ref(instr.heap2, instr.cast_flags & 2);
  if (!types_.is_subtype(to, from))
    return fail(Err::type_mismatch, fmt::format("cast of {} to {}", to_string(from), to_string(to)));
  // What is left of `from` when it was not a `to`.
  const ValType rest = ValType::ref(from.heap(), from.nullable() && !to.nullable());
  const bool on_fail = instr.op == Op::br_on_cast_fail;
  const ControlFrame* target = label(instr.index);
  if (!target) return;
  const Types types = target->label_types();
  const ValType sent = on_fail ? rest : to;
  if (types.empty() || !types_.is_subtype(sent, types.back()))
    return fail(Err::type_mismatch,
                fmt::format("the label of a branch on cast must take {}", to_string(sent)));
  pop(from);
  pop(types.first(types.size() - 1));
  push(types.first(types.size() - 1));
  push(on_fail ? to : rest);
}

void FuncValidator::convert(AbstractHeap from, AbstractHeap to) {
  const ValType ref = pop_ref();
  if (!types_.is_subtype(ref.heap(), HeapType(from)))
    return fail(Err::type_mismatch, fmt::format("conversion of {}", to_string(ref)));
  push(ValType::ref(to, ref.nullable()));
}
void FuncValidator::any_convert_extern(const Instr&) { convert(AbstractHeap::extern_, AbstractHeap::any); }
void FuncValidator::extern_convert_any(const Instr&) { convert(AbstractHeap::any, AbstractHeap::extern_); }

void FuncValidator::ref_i31(const Instr&) {
  pop(kI32);
  push(kI31Ref);
}
void FuncValidator::i31_get(const Instr&) {
  pop(ValType::ref(AbstractHeap::i31, true));
  push(kI32);
}

// ---- Structures

void FuncValidator::struct_new(const Instr& instr) {
  const StructType* s = struct_type(instr.index);
  if (!s) return;
  if (instr.op == Op::struct_new_default) {
    if (!s->defaultable) return fail(Err::not_defaultable);
  } else {
    for (size_t i = s->fields.size(); i-- > 0 && !polymorphic() && !error_;) pop(s->fields[i].type);
  }
  push(ref_to(instr.index, false));
}

const FieldType* FuncValidator::field(const Instr& instr) {
  const StructType* s = struct_type(instr.index);
  if (!s) return nullptr;
  if (instr.index2 < s->fields.size()) return &s->fields[instr.index2];
  fail_index(Err::unknown_field, instr.index2);
  return nullptr;
}

// Packed fields are read with a sign, others without.
void FuncValidator::push_field(const FieldType& field, Op op) {
  const bool plain = op == Op::struct_get || op == Op::array_get;
  if (plain != (field.packed == Packed::none))
    return fail(Err::type_mismatch,
                plain ? "a packed field needs get_s or get_u" : "the field is not packed");
  push(field.type);
}

void FuncValidator::struct_get(const Instr& instr) {
  const FieldType* f = field(instr);
  if (!f) return;
  pop(ref_to(instr.index, true));
  push_field(*f, instr.op);
}

void FuncValidator::struct_set(const Instr& instr) {
  const FieldType* f = field(instr);
  if (!f) return;
  if (!f->mutable_) return fail_index(Err::immutable_field, instr.index2);
  pop({ref_to(instr.index, true), f->type});
}

// ---- Arrays

void FuncValidator::array_new(const Instr& instr) {
  const ArrayType* a = array_type(instr.index);
  if (!a) return;
  switch (instr.op) {
    case Op::array_new: pop({a->element.type, kI32}); break;
    case Op::array_new_default:
      if (!a->element.type.is_defaultable()) return fail(Err::not_defaultable);
      pop(kI32);
      break;
    default:  // array.new_fixed; its count is checked by the operands it needs
      for (u32 i = 0; i < instr.index2 && !polymorphic() && !error_; ++i) pop(a->element.type);
      break;
  }
  push(ref_to(instr.index, false));
}

// The segment of array.new_data, .new_elem, .init_data and .init_elem against the element type.
void FuncValidator::check_segment(const Instr& instr, const ArrayType& type) {
  const ValType element = type.element.type;
  if (instr.op == Op::array_new_data || instr.op == Op::array_init_data) {
    if (element.is_ref()) return fail(Err::array_not_numeric);
    check_data(instr.index2);
  } else if (const ElementSegment* segment = this->element(instr.index2)) {
    if (!types_.is_subtype(segment->type, element))
      fail(Err::type_mismatch, fmt::format("element segment of {} for an array of {}",
                                           to_string(segment->type), to_string(element)));
  }
}

void FuncValidator::array_new_segment(const Instr& instr) {
  const ArrayType* a = array_type(instr.index);
  if (!a) return;
  check_segment(instr, *a);
  pop({kI32, kI32});
  push(ref_to(instr.index, false));
}

void FuncValidator::array_get(const Instr& instr) {
  const ArrayType* a = array_type(instr.index);
  if (!a) return;
  pop({ref_to(instr.index, true), kI32});
  push_field(a->element, instr.op);
}

void FuncValidator::array_set(const Instr& instr) {
  if (const ArrayType* a = mutable_array(instr.index))
    pop({ref_to(instr.index, true), kI32, a->element.type});
}

void FuncValidator::array_len(const Instr&) {
  pop(ValType::ref(AbstractHeap::array, true));
  push(kI32);
}

void FuncValidator::array_fill(const Instr& instr) {
  if (const ArrayType* a = mutable_array(instr.index))
    pop({ref_to(instr.index, true), kI32, a->element.type, kI32});
}

void FuncValidator::array_copy(const Instr& instr) {
  const ArrayType* dst = mutable_array(instr.index);
  const ArrayType* src = dst ? array_type(instr.index2) : nullptr;
  if (!src) return;
  if (src->element.packed != dst->element.packed || !types_.is_subtype(src->element.type, dst->element.type))
    return fail(Err::array_types_differ);
  pop({ref_to(instr.index, true), kI32, ref_to(instr.index2, true), kI32, kI32});
}

void FuncValidator::array_init_segment(const Instr& instr) {
  const ArrayType* a = mutable_array(instr.index);
  if (!a) return;
  check_segment(instr, *a);
  pop({ref_to(instr.index, true), kI32, kI32, kI32});
}

}  // namespace tenon
