// References and heap objects: allocation by helper, everything else inline. Layouts are those of
// engine/runtime/gc.h. The collector finds what compiled frames hold by scanning the stack, interior pointers
// included, so nothing is registered here.
#include "engine/runtime/gc.h"

#include <llvm/IR/InlineAsm.h>
#include <llvm/IR/Intrinsics.h>

#include "jit/lower/func_lowering.h"

namespace tenon::jit {
namespace {

using L = FuncLowering;
using V = llvm::Value*;

const DefType& def_type(L& l, u32 type_index) {
  return l.wasm().type_registry().get(l.wasm().types[type_index]);
}
V pointer(L& l, V ref) { return l.ir().CreateIntToPtr(ref, l.unit().ptr()); }
V is_null(L& l, V ref) { return l.ir().CreateICmpEQ(ref, l.i64(kNullRef)); }
V as_i32(L& l, V condition) { return l.ir().CreateZExt(condition, l.unit().i32()); }

// Casts.

// A boolean that is found out in several blocks.
class Answer {
 public:
  explicit Answer(L& l) : l_(l), join_(l.new_block("tested")) {}
  void when(V condition, bool answer) {
    llvm::BasicBlock* next = l_.new_block();
    edges_.emplace_back(l_.ir().getInt1(answer), l_.ir().GetInsertBlock());
    l_.ir().CreateCondBr(condition, join_, next);
    l_.continue_in(next);
  }
  V otherwise(V answer) {
    edges_.emplace_back(answer, l_.ir().GetInsertBlock());
    l_.ir().CreateBr(join_);
    l_.continue_in(join_);
    auto* phi = l_.ir().CreatePHI(l_.ir().getInt1Ty(), static_cast<unsigned>(edges_.size()));
    for (auto [value, block] : edges_) phi->addIncoming(value, block);
    return phi;
  }

 private:
  L& l_;
  llvm::BasicBlock* join_;
  std::vector<std::pair<V, llvm::BasicBlock*>> edges_;
};

// Of a type by canonical id: a word of its TypeDisplay.
V display_word(L& l, V type, u64 offset) {
  auto& u = l.unit();
  V displays =
      u.load(l.ir(), u.ptr(), l.store_context(), offsetof(StoreContext, displays), AliasClass::runtime, true);
  V entry = l.ir().CreateInBoundsGEP(u.ptr(), displays, l.ir().CreateZExt(type, u.i64()));
  V display = u.load(l.ir(), u.ptr(), entry, 0, AliasClass::runtime, true);
  return u.load(l.ir(), u.i32(), display, offset, AliasClass::runtime, true);
}

V header_type(L& l, V ref) {
  return l.unit().load(l.ir(), l.unit().i32(), pointer(l, ref), offsetof(Object, type), AliasClass::object,
                       true);
}
// Struct or array, not a host value.
V is_typed(L& l, V type) { return l.ir().CreateICmpULT(type, l.i32(kExceptionObject)); }

// A defined type of the module, as instructions name it.
V matches_defined(L& l, V ref, HeapType target, bool nullable) {
  const TypeRegistry& types = l.wasm().type_registry();
  const DefType& def = types.get(target.type_id());
  Answer answer(l);
  answer.when(is_null(l, ref), nullable);
  V found;
  if (def.func()) {
    found = l.unit().load(l.ir(), l.unit().i32(), pointer(l, ref), offsetof(FuncRef, type),
                          AliasClass::runtime, true);
  } else {
    answer.when(l.ir().CreateTrunc(ref, l.ir().getInt1Ty()), false);  // an i31
    found = header_type(l, ref);
  }
  V wanted = l.canonical_type(l.plan().type_index.at(target.type_id().value));
  V same = l.ir().CreateICmpEQ(found, wanted);
  if (def.sub.final_) return answer.otherwise(same);
  answer.when(same, true);
  if (!def.func()) answer.when(l.ir().CreateNot(is_typed(l, found)), false);
  const size_t depth = def.display.size() - 1;
  if (depth >= TypeDisplay::kInlineDepth)
    return answer.otherwise(
        l.ir().CreateIsNotNull(l.call_helper(Helper::tenon_jit_is_subtype, {l.vm(), found, wanted})));
  V ancestor = display_word(l, found, offsetof(TypeDisplay, ids) + depth * sizeof(u32));
  return answer.otherwise(l.ir().CreateICmpEQ(ancestor, wanted));
}

// eq, struct or array.
V matches_object(L& l, V ref, AbstractHeap target, bool nullable) {
  Answer answer(l);
  answer.when(is_null(l, ref), nullable);
  answer.when(l.ir().CreateTrunc(ref, l.ir().getInt1Ty()), target == AbstractHeap::eq);
  V type = header_type(l, ref);
  if (target == AbstractHeap::eq) return answer.otherwise(is_typed(l, type));
  answer.when(l.ir().CreateNot(is_typed(l, type)), false);
  const auto kind = target == AbstractHeap::struct_ ? TypeDisplay::Kind::struct_ : TypeDisplay::Kind::array;
  V found = display_word(l, type, offsetof(TypeDisplay, kind));
  return answer.otherwise(l.ir().CreateICmpEQ(found, l.i32(static_cast<u32>(kind))));
}

// Spec: exec/instructions, ref.test.
V matches(L& l, V ref, HeapType target, bool nullable) {
  if (target.is_defined()) return matches_defined(l, ref, target, nullable);
  V null_answer = nullable ? is_null(l, ref) : l.ir().getFalse();
  switch (target.abstract()) {
    case AbstractHeap::func:
    case AbstractHeap::any:
    case AbstractHeap::extern_:
    case AbstractHeap::exn: return nullable ? l.ir().getTrue() : l.ir().CreateNot(is_null(l, ref));
    case AbstractHeap::i31: return l.ir().CreateOr(l.ir().CreateTrunc(ref, l.ir().getInt1Ty()), null_answer);
    case AbstractHeap::eq:
    case AbstractHeap::struct_:
    case AbstractHeap::array: return matches_object(l, ref, target.abstract(), nullable);
    default: return null_answer;  // the bottom types hold nothing
  }
}

template <bool kNullable>
void lower_ref_test(L& l, const Instr& i) {
  V ref = l.pop();
  l.push(as_i32(l, matches(l, ref, i.heap, kNullable)));
}
template <bool kNullable>
void lower_ref_cast(L& l, const Instr& i) {
  l.trap_if(l.ir().CreateNot(matches(l, l.top(), i.heap, kNullable)), TrapCode::cast_failure);
}
template <bool kOnFail>
void lower_br_on_cast(L& l, const Instr& i) {
  V match = matches(l, l.top(), i.heap2, (i.cast_flags & 2) != 0);
  l.branch_if(kOnFail ? l.ir().CreateNot(match) : match, i.index);
}

// i31.

void lower_ref_i31(L& l, const Instr&) {
  V bits = l.ir().CreateOr(l.ir().CreateShl(l.pop(), 1), 1);
  l.push(l.ir().CreateZExt(bits, l.unit().i64()));
}
template <bool kSigned>
void lower_i31_get(L& l, const Instr&) {
  V ref = l.pop();
  l.trap_if(is_null(l, ref), TrapCode::null_i31_reference);
  V bits = l.ir().CreateTrunc(ref, l.unit().i32());
  l.push(kSigned ? l.ir().CreateAShr(bits, 1) : l.ir().CreateLShr(bits, 1));
}

// Fields and elements.

llvm::Type* storage_type(L& l, const FieldType& field) {
  return field.packed == Packed::none ? l.type(field.type) : l.ir().getIntNTy(8 * field.size());
}
llvm::Align alignment(const FieldType& field) { return llvm::Align(std::min(field.size(), 8u)); }

V load_value(L& l, V at, const FieldType& field, bool sign) {
  auto* load = l.ir().CreateAlignedLoad(storage_type(l, field), at, alignment(field));
  load->setMetadata(llvm::LLVMContext::MD_tbaa, l.unit().alias_tag(AliasClass::object));
  if (field.packed == Packed::none) return load;
  return sign ? l.ir().CreateSExt(load, l.unit().i32()) : l.ir().CreateZExt(load, l.unit().i32());
}
void store_value(L& l, V at, const FieldType& field, V value) {
  if (field.packed != Packed::none) value = l.ir().CreateTrunc(value, storage_type(l, field));
  auto* store = l.ir().CreateAlignedStore(value, at, alignment(field));
  store->setMetadata(llvm::LLVMContext::MD_tbaa, l.unit().alias_tag(AliasClass::object));
}
// Stores that the guest orders, between what may fault.
void ordered_store(L& l, V at, const FieldType& field, V value) {
  l.barrier();
  store_value(l, at, field, value);
  l.barrier();
}

// LLVM may keep nothing but a pointer far outside of an array when it moves one through a loop. This keeps
// the array's own address until here, and costs no instruction.
void keep_alive(L& l, V ref) {
  auto* assembly = llvm::InlineAsm::get(llvm::FunctionType::get(l.ir().getVoidTy(), {ref->getType()}, false),
                                        "", "r", true);
  auto* call = l.ir().CreateCall(assembly, {ref});
  call->setDoesNotThrow();
  if (l.plan().options.opt_level > 0) call->setMemoryEffects(llvm::MemoryEffects::none());
}

V field_address(L& l, V ref, const StructType& type, u32 field) {
  return l.unit().offset(l.ir(), pointer(l, ref), sizeof(Object) + type.offsets[field]);
}
V element_address(L& l, V array, V index, const FieldType& element) {
  V payload = l.unit().offset(l.ir(), pointer(l, array), sizeof(Object));
  V offset = l.ir().CreateNUWMul(l.ir().CreateZExt(index, l.unit().i64()), l.i64(element.size()));
  return l.ir().CreateInBoundsGEP(l.ir().getInt8Ty(), payload, offset);
}
V array_length(L& l, V array) {
  return l.unit().load(l.ir(), l.unit().i32(), pointer(l, array), offsetof(Object, length),
                       AliasClass::object, true);
}

template <bool kSigned>
void lower_struct_get(L& l, const Instr& i) {
  const StructType& type = *def_type(l, i.index).struct_();
  V ref = l.pop();
  l.trap_if(is_null(l, ref), TrapCode::null_structure_reference);
  l.push(load_value(l, field_address(l, ref, type, i.index2), type.fields[i.index2], kSigned));
}
void lower_struct_set(L& l, const Instr& i) {
  const StructType& type = *def_type(l, i.index).struct_();
  V value = l.pop(), ref = l.pop();
  l.trap_if(is_null(l, ref), TrapCode::null_structure_reference);
  ordered_store(l, field_address(l, ref, type, i.index2), type.fields[i.index2], value);
}

// Checks null and bounds.
V checked_element(L& l, V array, V index, const FieldType& element) {
  l.trap_if(is_null(l, array), TrapCode::null_array_reference);
  l.trap_if(l.ir().CreateICmpUGE(index, array_length(l, array)), TrapCode::array_out_of_bounds);
  return element_address(l, array, index, element);
}
template <bool kSigned>
void lower_array_get(L& l, const Instr& i) {
  const FieldType& element = def_type(l, i.index).array()->element;
  V index = l.pop(), array = l.pop();
  V value = load_value(l, checked_element(l, array, index, element), element, kSigned);
  keep_alive(l, array);
  l.push(value);
}
void lower_array_set(L& l, const Instr& i) {
  const FieldType& element = def_type(l, i.index).array()->element;
  V value = l.pop(), index = l.pop(), array = l.pop();
  ordered_store(l, checked_element(l, array, index, element), element, value);
  keep_alive(l, array);
}
void lower_array_len(L& l, const Instr&) {
  V array = l.pop();
  l.trap_if(is_null(l, array), TrapCode::null_array_reference);
  l.push(array_length(l, array));
}

// Allocation. Helpers that fail have raised.

V checked_new(L& l, V ref) {
  l.trap_if_raised(is_null(l, ref));
  return ref;
}

template <bool kDefault>
void lower_struct_new(L& l, const Instr& i) {
  const StructType& type = *def_type(l, i.index).struct_();
  const auto values = l.pop_n(kDefault ? 0 : type.fields.size());
  V ref = checked_new(l, l.call_helper(Helper::struct_new, {l.vm(), l.canonical_type(i.index)}));
  for (u32 f = 0; f < values.size(); ++f)
    store_value(l, field_address(l, ref, type, f), type.fields[f], values[f]);
  l.push(ref);
}

V new_array(L& l, u32 type_index, V length) {
  return checked_new(l, l.call_helper(Helper::array_new, {l.vm(), l.canonical_type(type_index), length}));
}

// The helper reads the value through a pointer to slots.
V as_slots(L& l, V value) {
  V slot = l.scratch_slot();
  l.ir().CreateAlignedStore(value, slot, llvm::Align(8));
  return slot;
}

template <bool kDefault>
void lower_array_new(L& l, const Instr& i) {
  V length = l.pop();
  V value = kDefault ? nullptr : l.pop();
  V array = new_array(l, i.index, length);
  if (const auto* constant = llvm::dyn_cast_or_null<llvm::Constant>(value);
      value && !(constant && constant->isNullValue()))
    l.trap_unless_none(
        l.call_helper(Helper::array_fill, {l.vm(), array, l.i32(0), as_slots(l, value), length}));
  l.push(array);
}
void lower_array_new_fixed(L& l, const Instr& i) {
  const FieldType& element = def_type(l, i.index).array()->element;
  const auto values = l.pop_n(i.index2);
  V array = new_array(l, i.index, l.i32(i.index2));
  for (u32 e = 0; e < values.size(); ++e)
    store_value(l, l.unit().offset(l.ir(), pointer(l, array), sizeof(Object) + u64{e} * element.size()),
                element, values[e]);
  l.push(array);
}
template <Helper kHelper>
void lower_array_new_segment(L& l, const Instr& i) {
  V length = l.pop(), source = l.pop();
  l.push(checked_new(
      l, l.call_helper(kHelper, {l.vm(), l.canonical_type(i.index), l.i32(i.index2), source, length})));
}

// Bulk operations; the array is null-checked by the helper.

void lower_array_fill(L& l, const Instr&) {
  V count = l.pop(), value = l.pop(), index = l.pop(), array = l.pop();
  l.trap_unless_none(l.call_helper(Helper::array_fill, {l.vm(), array, index, as_slots(l, value), count}));
}
void lower_array_copy(L& l, const Instr&) {
  V count = l.pop(), from_index = l.pop(), from = l.pop(), index = l.pop(), array = l.pop();
  l.trap_unless_none(l.call_helper(Helper::array_copy, {l.vm(), array, index, from, from_index, count}));
}
template <Helper kHelper>
void lower_array_init(L& l, const Instr& i) {
  V count = l.pop(), source = l.pop(), index = l.pop(), array = l.pop();
  l.trap_unless_none(l.call_helper(kHelper, {l.vm(), l.i32(i.index2), array, index, source, count}));
}

void same_reference(L&, const Instr&) {}  // both hierarchies have one representation (runtime/vm.h)

constexpr Row kRows[] = {
    {Op::ref_test, lower_ref_test<false>},
    {Op::ref_test_null, lower_ref_test<true>},
    {Op::ref_cast, lower_ref_cast<false>},
    {Op::ref_cast_null, lower_ref_cast<true>},
    {Op::br_on_cast, lower_br_on_cast<false>},
    {Op::br_on_cast_fail, lower_br_on_cast<true>},
    {Op::any_convert_extern, same_reference},
    {Op::extern_convert_any, same_reference},
    {Op::ref_i31, lower_ref_i31},
    {Op::i31_get_s, lower_i31_get<true>},
    {Op::i31_get_u, lower_i31_get<false>},
    {Op::struct_new, lower_struct_new<false>},
    {Op::struct_new_default, lower_struct_new<true>},
    {Op::struct_get, lower_struct_get<false>},
    {Op::struct_get_s, lower_struct_get<true>},
    {Op::struct_get_u, lower_struct_get<false>},
    {Op::struct_set, lower_struct_set},
    {Op::array_new, lower_array_new<false>},
    {Op::array_new_default, lower_array_new<true>},
    {Op::array_new_fixed, lower_array_new_fixed},
    {Op::array_new_data, lower_array_new_segment<Helper::array_new_data>},
    {Op::array_new_elem, lower_array_new_segment<Helper::array_new_elem>},
    {Op::array_get, lower_array_get<false>},
    {Op::array_get_s, lower_array_get<true>},
    {Op::array_get_u, lower_array_get<false>},
    {Op::array_set, lower_array_set},
    {Op::array_len, lower_array_len},
    {Op::array_fill, lower_array_fill},
    {Op::array_copy, lower_array_copy},
    {Op::array_init_data, lower_array_init<Helper::array_init_data>},
    {Op::array_init_elem, lower_array_init<Helper::array_init_elem>},
};

}  // namespace

std::span<const Row> reference_rows() { return kRows; }

}  // namespace tenon::jit
