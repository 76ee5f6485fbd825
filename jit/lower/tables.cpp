// Table instructions, and where global and table cells are.
#include "jit/lower/func_lowering.h"

namespace tenon::jit {

using Value = FuncLowering::Value;

Value FuncLowering::global_cell(GlobalIdx g) {
  const u32 imported = wasm().imported_globals;
  if (g.value < imported)
    return load_vm(unit_.ptr(), plan_.layout.imported_globals + u64{g.value} * sizeof(void*), true);
  return unit_.offset(b_, vm_, plan_.layout.globals + u64{g.value - imported} * sizeof(GlobalCell));
}

Value FuncLowering::table_desc(u32 table) {
  return load_vm(unit_.ptr(), plan_.layout.tables + u64{table} * sizeof(void*), true);
}

namespace {

using L = FuncLowering;
using V = Value;

bool is64(L& l, u32 table) { return l.wasm().tables[table].type.is64; }
V to_address_type(L& l, V v, u32 table) { return is64(l, table) ? v : l.ir().CreateTrunc(v, l.unit().i32()); }
V widen(L& l, V v) { return v->getType() == l.unit().i64() ? v : l.ir().CreateZExt(v, l.unit().i64()); }

V table_size(L& l, u32 table) {
  return l.unit().load(l.ir(), l.unit().i64(), l.table_desc(table), offsetof(TableDesc, size),
                       AliasClass::table);
}

// The checked address of an element.
V element(L& l, u32 table, V index) {
  index = widen(l, index);
  l.trap_if(l.ir().CreateICmpUGE(index, table_size(l, table)), TrapCode::table_out_of_bounds);
  V elements = l.unit().load(l.ir(), l.unit().ptr(), l.table_desc(table), offsetof(TableDesc, elements),
                             AliasClass::table);
  return l.ir().CreateInBoundsGEP(l.unit().i64(), elements, index);
}

void lower_table_get(L& l, const Instr& i) {
  V p = element(l, i.index, l.pop());
  l.push(l.unit().load(l.ir(), l.unit().i64(), p, 0, AliasClass::table));
}

void lower_table_set(L& l, const Instr& i) {
  V value = l.pop();
  V p = element(l, i.index, l.pop());
  l.barrier();
  l.unit().store(l.ir(), value, p, 0, AliasClass::table);
  l.barrier();
}

void lower_table_grow(L& l, const Instr& i) {
  V delta = widen(l, l.pop());
  V init = l.pop();
  V old = l.call_helper(Helper::table_grow, {l.vm(), l.i32(i.index), delta, init});
  l.push(to_address_type(l, old, i.index));
}

void lower_table_fill(L& l, const Instr& i) {
  auto args = l.pop_n(3);
  l.trap_unless_none(l.call_helper(Helper::table_fill,
                                   {l.vm(), l.i32(i.index), widen(l, args[0]), args[1], widen(l, args[2])}));
}

void lower_table_copy(L& l, const Instr& i) {
  auto args = l.pop_n(3);
  for (V& v : args) v = widen(l, v);
  l.trap_unless_none(l.call_helper(Helper::table_copy,
                                   {l.vm(), l.i32(i.index), l.i32(i.index2), args[0], args[1], args[2]}));
}

void lower_table_init(L& l, const Instr& i) {
  auto args = l.pop_n(3);
  // Immediates in the binary's order: element segment, table.
  l.trap_unless_none(l.call_helper(
      Helper::table_init, {l.vm(), l.i32(i.index2), l.i32(i.index), widen(l, args[0]), args[1], args[2]}));
}

constexpr Row kRows[] = {
    {Op::table_get, lower_table_get},
    {Op::table_set, lower_table_set},
    {Op::table_size,
     [](L& l, const Instr& i) { l.push(to_address_type(l, table_size(l, i.index), i.index)); }},
    {Op::table_grow, lower_table_grow},
    {Op::table_fill, lower_table_fill},
    {Op::table_copy, lower_table_copy},
    {Op::table_init, lower_table_init},
    {Op::elem_drop, [](L& l, const Instr& i) { l.call_helper(Helper::elem_drop, {l.vm(), l.i32(i.index)}); }},
};

}  // namespace

std::span<const Row> table_rows() { return kRows; }

}  // namespace tenon::jit
