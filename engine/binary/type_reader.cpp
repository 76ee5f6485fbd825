// Value, reference and heap types (spec: binary/types).
#include "engine/binary/type_reader.h"

#include <fmt/format.h>

#include <optional>

namespace tenon {
namespace {

constexpr u8 kRefNonNull = 0x64, kRefNull = 0x63;

struct AbstractCode {
  u8 code;
  AbstractHeap heap;
  Feature feature;
};
constexpr AbstractCode kAbstractCodes[] = {
    {0x74, AbstractHeap::noexn, Feature::exceptions},
    {0x73, AbstractHeap::nofunc, Feature::gc},
    {0x72, AbstractHeap::noextern, Feature::gc},
    {0x71, AbstractHeap::none, Feature::gc},
    {0x70, AbstractHeap::func, Feature::reference_types},
    {0x6f, AbstractHeap::extern_, Feature::reference_types},
    {0x6e, AbstractHeap::any, Feature::gc},
    {0x6d, AbstractHeap::eq, Feature::gc},
    {0x6c, AbstractHeap::i31, Feature::gc},
    {0x6b, AbstractHeap::struct_, Feature::gc},
    {0x6a, AbstractHeap::array, Feature::gc},
    {0x69, AbstractHeap::exn, Feature::exceptions},
};

const AbstractCode* abstract_code(u8 code) {
  for (const AbstractCode& row : kAbstractCodes)
    if (row.code == code) return &row;
  return nullptr;
}

}  // namespace

void require_feature(ByteReader& in, FeatureSet features, Feature f, u64 offset) {
  if (!features.has(f)) [[unlikely]]
    in.fail(make_error(Err::feature_off, offset, feature_name(f)));
}

bool is_ref_type_code(u8 code) {
  return code == kRefNonNull || code == kRefNull || abstract_code(code) != nullptr;
}

HeapType heap_type_of_index(ByteReader& in, const TypeScope& scope, u64 index, u64 offset) {
  const u64 known = scope.module.types.size();
  if (index < known) return HeapType(scope.module.types[index]);
  if (index < known + scope.group_size) return HeapType::rec_member(static_cast<u32>(index - known));
  in.fail(make_index_error(Err::unknown_type, offset, index));
  return {};
}

HeapType read_heap_type(ByteReader& in, const TypeScope& scope) {
  const u64 offset = in.offset();
  if (in.at_end()) return in.fail(Err::unexpected_end), HeapType();
  if ((in.peek() & 0xc0) == 0x40) {  // one byte, negative
    const AbstractCode* row = abstract_code(in.byte());
    if (!row) return in.fail_at(Err::bad_heap_type, offset), HeapType();
    require_feature(in, scope.module.features(), row->feature, offset);
    return row->heap;
  }
  const i64 index = in.read_s33();
  if (index < 0) return in.fail_at(Err::bad_heap_type, offset), HeapType();
  if (!in.ok()) return {};
  require_feature(in, scope.module.features(), Feature::function_references, offset);
  return heap_type_of_index(in, scope, static_cast<u64>(index), offset);
}

ValType read_val_type(ByteReader& in, const TypeScope& scope) {
  const u64 offset = in.offset();
  if (in.at_end()) return in.fail(Err::unexpected_end), ValType();
  switch (in.peek()) {
    case 0x7f: return in.skip(1), kI32;
    case 0x7e: return in.skip(1), kI64;
    case 0x7d: return in.skip(1), kF32;
    case 0x7c: return in.skip(1), kF64;
    case 0x7b: return require_feature(in, scope.module.features(), Feature::simd, offset), in.byte(), kV128;
    default: break;
  }
  if (!is_ref_type_code(in.peek())) return in.fail(Err::bad_value_type), ValType();
  return read_ref_type(in, scope);
}

ValType read_ref_type(ByteReader& in, const TypeScope& scope) {
  const u64 offset = in.offset();
  const u8 code = in.byte();
  if (code == kRefNonNull || code == kRefNull) {
    require_feature(in, scope.module.features(), Feature::function_references, offset);
    return ValType::ref(read_heap_type(in, scope), code == kRefNull);
  }
  const AbstractCode* row = abstract_code(code);
  if (!row) return in.fail_at(Err::bad_ref_type, offset), ValType();
  // Tables of functions are older than reference types.
  if (row->heap != AbstractHeap::func) require_feature(in, scope.module.features(), row->feature, offset);
  return ValType::ref(row->heap, true);
}

}  // namespace tenon
