// Translation of reference and GC instructions: operands in slots, results to their own.
#include "engine/interp/translator_impl.h"
#include "engine/runtime/gc.h"

namespace tenon::interp {

void Translator::check_null(Operand& o, TrapCode code) {
  const u32 a = code_.in_slot(o);
  mark();
  code_.put(code_.emit(&ctl::check_null, 16, {.a = a}) + kFieldImm, static_cast<u32>(code));
}

void Translator::reference(const Instr& i) {
  switch (i.op) {
    case Op::ref_null: return code_.push_constant(ValKind::ref, kNullRef);
    case Op::ref_func:
      return code_.push_constant(ValKind::ref, reinterpret_cast<u64>(instance_.func(FuncIdx{i.index})));
    case Op::ref_is_null:
    case Op::ref_eq: {
      // References compare as 64-bit integers do.
      Instr as_integer{};
      as_integer.op = i.op == Op::ref_eq ? Op::i64_eq : Op::i64_eqz;
      return numeric(as_integer);
    }
    case Op::ref_as_non_null:
      code_.flush_top(1);
      return check_null(code_.operand(0), TrapCode::null_reference);
    case Op::br_on_null:
    case Op::br_on_non_null: return branch_on_null(i);
    case Op::br_on_cast:
    case Op::br_on_cast_fail: return branch_on_cast(i);
    case Op::any_convert_extern:
    case Op::extern_convert_any: return;  // the identity (runtime/vm.h)
    case Op::ref_i31:
    case Op::i31_get_s:
    case Op::i31_get_u: {
      const u32 a = pop_slot();
      mark();
      code_.emit(i.op == Op::ref_i31     ? &ctl::ref_i31
                 : i.op == Op::i31_get_s ? &ctl::i31_get_s
                                         : &ctl::i31_get_u,
                 16, {.a = a, .d = code_.next_slot()});
      return code_.push_result_slot(i.op == Op::ref_i31 ? ValKind::ref : ValKind::i32);
    }
    case Op::ref_test:
    case Op::ref_test_null:
    case Op::ref_cast:
    case Op::ref_cast_null: return cast(i);
    case Op::struct_new:
    case Op::struct_new_default:
    case Op::struct_get:
    case Op::struct_get_s:
    case Op::struct_get_u:
    case Op::struct_set: return gc_struct(i);
    case Op::array_new:
    case Op::array_new_default:
    case Op::array_new_fixed:
    case Op::array_new_data:
    case Op::array_new_elem: return gc_array_new(i);
    case Op::array_fill:
    case Op::array_copy:
    case Op::array_init_data:
    case Op::array_init_elem: return gc_array_bulk(i);
    default: return gc_array(i);
  }
}

void Translator::branch_on_null(const Instr& i) {
  code_.flush_top(1);
  if (i.op == Op::br_on_non_null) {
    // The reference is the label's last value.
    branch_if(on(Op::i64_eqz, code_.operand(0), false), i.index);
    code_.pop();
    return;
  }
  Operand ref = code_.pop();
  branch_if(on(Op::i64_eqz, ref, true), i.index);
  code_.push_own(ValKind::ref);
}

void Translator::branch_on_cast(const Instr& i) {
  code_.flush_top(1);
  Condition c;
  c.kind = Condition::Kind::cast;
  c.a = code_.operand(0).slot;
  c.d = (i.cast_flags & 2) != 0;
  c.bits = i.heap2.bits();
  c.sense = i.op == Op::br_on_cast;
  branch_if(c, i.index);
}

void Translator::cast(const Instr& i) {
  const bool nullable = i.op == Op::ref_test_null || i.op == Op::ref_cast_null;
  const bool test = i.op == Op::ref_test || i.op == Op::ref_test_null;
  mark();
  if (!test) {
    // The reference stays as it is.
    code_.flush_top(1);
    mark();
    const u32 at = code_.emit(&ctl::check_cast, 24, {.a = code_.operand(0).slot, .c = nullable});
    return code_.put(at + kFieldExt, i.heap.bits());
  }
  const u32 a = pop_slot();
  const u32 at = code_.emit(&ctl::ref_test, 24, {.a = a, .d = code_.next_slot(), .c = nullable});
  code_.put(at + kFieldExt, i.heap.bits());
  code_.push_result_slot(ValKind::i32);
}

void Translator::gc_struct(const Instr& i) {
  const DefType& def = def_type(i.index);
  const StructType& type = *def.struct_();
  if (i.op == Op::struct_new || i.op == Op::struct_new_default) {
    const u32 n = i.op == Op::struct_new ? static_cast<u32>(type.fields.size()) : 0;
    code_.flush_top(n);
    code_.spill_accumulators();
    const u32 top = code_.next_slot();
    code_.truncate(code_.height() - n);
    mark();
    const u32 at = code_.emit(&ctl::struct_new, 32,
                              {.a = code_.next_slot(), .d = code_.next_slot(), .c = i.op == Op::struct_new});
    code_.put(at + kFieldExt, &def);
    code_.put(at + kFieldExt + 8, static_cast<u16>(top));
    return code_.push_result_slot(ValKind::ref);
  }
  const FieldType& field = type.fields[i.index2];
  Fields fields;
  if (i.op == Op::struct_set) fields.b = pop_slot();
  fields.a = pop_slot();
  fields.c = i.op == Op::struct_get_s;
  fields.d = code_.next_slot();
  mark();
  const u32 at = code_.emit(i.op == Op::struct_set ? &ctl::struct_set : &ctl::struct_get, 32, fields);
  code_.put(at + kFieldExt, &field);
  code_.put(at + kFieldExt + 8, type.offsets[i.index2]);
  if (i.op != Op::struct_set) code_.push_result_slot(field.type.kind());
}

void Translator::gc_array_new(const Instr& i) {
  const DefType& def = def_type(i.index);
  Handler h = &ctl::array_new;
  Fields fields;
  u32 extra = 0;
  code_.spill_accumulators();
  u32 top = code_.next_slot();
  if (i.op == Op::array_new_fixed) {
    h = &ctl::array_new_fixed;
    extra = i.index2;
    code_.flush_top(extra);
    code_.truncate(code_.height() - extra);
    fields.a = code_.next_slot();
  } else {
    fields.b = pop_slot();
    if (i.op != Op::array_new_default) fields.a = pop_slot();
    fields.c = i.op == Op::array_new;
    extra = i.index2;
    if (i.op == Op::array_new_data) h = &ctl::array_new_data;
    if (i.op == Op::array_new_elem) h = &ctl::array_new_elem;
  }
  fields.d = code_.next_slot();
  mark();
  const u32 at = code_.emit(h, 32, fields);
  code_.put(at + kFieldExt, &def);
  code_.put(at + kFieldExt + 8, static_cast<u16>(top));
  code_.put(at + kFieldExt + 12, extra);
  code_.push_result_slot(ValKind::ref);
}

void Translator::gc_array_bulk(const Instr& i) {
  Fields fields;
  u32 at;
  if (i.op == Op::array_copy) {
    const u32 count = pop_slot();
    fields.d = pop_slot();
    fields.c = pop_slot();
    fields.b = pop_slot();
    fields.a = pop_slot();
    mark();
    at = code_.emit(&ctl::array_copy, 24, fields);
    return code_.put(at + kFieldExt, static_cast<u16>(count));
  }
  fields.d = pop_slot();
  fields.c = pop_slot();
  fields.b = pop_slot();
  fields.a = pop_slot();
  mark();
  if (i.op == Op::array_fill) {
    code_.emit(&ctl::array_fill, 16, fields);
    return;
  }
  at = code_.emit(i.op == Op::array_init_data ? &ctl::array_init_data : &ctl::array_init_elem, 24, fields);
  code_.put(at + kFieldExt, i.index2);
}

void Translator::gc_array(const Instr& i) {
  if (i.op == Op::array_len) {
    const u32 a = pop_slot();
    mark();
    code_.emit(&ctl::array_len, 16, {.a = a, .d = code_.next_slot()});
    return code_.push_result_slot(ValKind::i32);
  }
  const FieldType& element = def_type(i.index).array()->element;
  Fields fields;
  const bool set = i.op == Op::array_set;
  if (set) fields.c = pop_slot();
  fields.b = pop_slot();
  fields.a = pop_slot();
  fields.d = code_.next_slot();
  if (!set) fields.c = i.op == Op::array_get_s;
  mark();
  const u32 at = code_.emit(set ? &ctl::array_set : &ctl::array_get, 24, fields);
  code_.put(at + kFieldExt, &element);
  if (!set) code_.push_result_slot(element.type.kind());
}

}  // namespace tenon::interp
