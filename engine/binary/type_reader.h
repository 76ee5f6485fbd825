// Reads value, reference and heap types (spec: binary/types). Type definitions are read by type_section.cpp.
#pragma once
#include <string_view>

#include "engine/base.h"
#include "engine/binary/byte_reader.h"
#include "engine/module.h"
#include "engine/types.h"

namespace tenon {

// What type indices mean where a type is read: the module's types, then the members of the recursive group
// that is being read, if one is.
struct TypeScope {
  const Module& module;
  u32 group_size = 0;
};

// Each gives some type and a failed reader on error: malformed, unknown type, or a feature that is off.
HeapType read_heap_type(ByteReader& in, const TypeScope& scope);
ValType read_val_type(ByteReader& in, const TypeScope& scope);
ValType read_ref_type(ByteReader& in, const TypeScope& scope);
HeapType heap_type_of_index(ByteReader& in, const TypeScope& scope, u64 index, u64 offset);

// Fails the reader with Err::feature_off when `f` is not on.
void require_feature(ByteReader& in, FeatureSet features, Feature f, u64 offset);

// True for the one-byte codes that begin a reference type.
bool is_ref_type_code(u8 code);

}  // namespace tenon
