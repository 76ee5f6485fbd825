// Wasm types (spec: syntax/types, valid/conventions) and the registry that makes them canonical, so that type
// equality is integer equality within and across modules of one Engine. Knows nothing of modules or
// instances.
#pragma once
#include <array>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "engine/base.h"
#include "engine/error.h"

namespace tenon {

// A defined type, canonical in its TypeRegistry: two are equal iff their ids are (iso-recursive equality).
using TypeId = Index<struct TypeIdTag>;

enum class AbstractHeap : u8 {
  func,
  nofunc,
  extern_,
  noextern,
  any,
  eq,
  i31,
  struct_,
  array,
  none,
  exn,
  noexn,
  bottom
};

// Abstract, or a defined type by canonical id. While a recursive group is being decoded it may also name a
// member of that group by position; add_group() replaces those.
class HeapType {
 public:
  constexpr HeapType() = default;
  constexpr HeapType(AbstractHeap h) : bits_(static_cast<u32>(h)) {}
  constexpr explicit HeapType(TypeId id) : bits_(kFirstDefined + id.value) {}
  static constexpr HeapType rec_member(u32 position) {
    HeapType h;
    h.bits_ = kRec | position;
    return h;
  }

  constexpr bool is_abstract() const { return bits_ < kFirstDefined; }
  constexpr bool is_defined() const { return bits_ >= kFirstDefined && !is_rec_member(); }
  constexpr bool is_rec_member() const { return (bits_ & kRec) != 0; }
  constexpr AbstractHeap abstract() const { return static_cast<AbstractHeap>(bits_); }
  constexpr TypeId type_id() const { return TypeId{bits_ - kFirstDefined}; }
  constexpr u32 rec_position() const { return bits_ & ~kRec; }
  constexpr u32 bits() const { return bits_; }  // 23 bits
  static constexpr HeapType from_bits(u32 b) {
    HeapType h;
    h.bits_ = b;
    return h;
  }
  friend constexpr bool operator==(HeapType, HeapType) = default;

  static constexpr u32 kFirstDefined = 32;
  static constexpr u32 kRec = 1u << 22;
  static constexpr u32 kMaxTypes = kRec - kFirstDefined;

 private:
  u32 bits_ = 0;
};

enum class ValKind : u8 { i32, i64, f32, f64, v128, ref, bottom };

// A value type in 32 bits: kind, and for references nullability and heap type.
class ValType {
 public:
  constexpr ValType() = default;
  constexpr ValType(ValKind k) : bits_(static_cast<u32>(k)) {}
  static constexpr ValType ref(HeapType h, bool nullable) {
    ValType t(ValKind::ref);
    t.bits_ |= (nullable ? 1u << 8 : 0) | (h.bits() << 9);
    return t;
  }
  constexpr ValKind kind() const { return static_cast<ValKind>(bits_ & 0xff); }
  constexpr bool is_ref() const { return kind() == ValKind::ref; }
  constexpr bool is_num() const { return kind() <= ValKind::f64; }
  constexpr bool is_vec() const { return kind() == ValKind::v128; }
  constexpr bool is_bottom() const { return kind() == ValKind::bottom; }
  constexpr bool nullable() const { return (bits_ >> 8) & 1; }
  constexpr HeapType heap() const { return HeapType::from_bits(bits_ >> 9); }
  constexpr bool is_defaultable() const { return !is_ref() || nullable(); }
  constexpr u32 slots() const { return is_vec() ? 2 : 1; }  // 8-byte slots a value takes
  constexpr u32 bits() const { return bits_; }
  friend constexpr bool operator==(ValType, ValType) = default;

 private:
  u32 bits_ = static_cast<u32>(ValKind::bottom);
};

inline constexpr ValType kI32{ValKind::i32}, kI64{ValKind::i64}, kF32{ValKind::f32}, kF64{ValKind::f64},
    kV128{ValKind::v128}, kBottom{ValKind::bottom};
inline constexpr ValType kFuncRef = ValType::ref(AbstractHeap::func, true);
inline constexpr ValType kExternRef = ValType::ref(AbstractHeap::extern_, true);
inline constexpr ValType kExnRef = ValType::ref(AbstractHeap::exn, true);

struct FuncType {
  std::vector<ValType> params, results;
  u32 param_slots = 0, result_slots = 0;  // sums of ValType::slots(), filled by the registry
};

enum class Packed : u8 { none, i8, i16 };
struct FieldType {
  ValType type;  // kI32 when packed
  Packed packed = Packed::none;
  bool mutable_ = false;
  u32 size() const;  // bytes in the heap: 1, 2, 4, 8 or 16
  friend bool operator==(const FieldType&, const FieldType&) = default;
};
struct StructType {
  std::vector<FieldType> fields;
  std::vector<u32> offsets;  // byte offset of each field from the object's payload, filled by the registry
  u32 size = 0;              // payload bytes, filled by the registry
  bool defaultable = true;   // all fields have defaults; filled by the registry
};
struct ArrayType {
  FieldType element;
};
using CompositeType = std::variant<FuncType, StructType, ArrayType>;

struct SubType {
  bool final_ = true;
  std::optional<HeapType> super;  // defined, or a member of the same group
  CompositeType composite;
};

// A registered type. Immutable, lives as long as the registry.
struct DefType {
  TypeId id;
  SubType sub;                  // all references resolved to canonical ids
  u32 group_first, group_size;  // the recursive group it belongs to
  std::vector<TypeId>
      display;  // supertypes from the root down to this type itself: constant-time subtype test
  const FuncType* func() const { return std::get_if<FuncType>(&sub.composite); }
  const StructType* struct_() const { return std::get_if<StructType>(&sub.composite); }
  const ArrayType* array() const { return std::get_if<ArrayType>(&sub.composite); }
};

// A type's display as compiled code reads it: plain words that never move. Unused places of the first
// kInlineDepth hold no id, so that looking there needs no length.
struct TypeDisplay {
  enum class Kind : u32 { func, struct_, array } kind;
  static constexpr u32 kInlineDepth = 8;
  static constexpr u32 kNoType = 0xffff'ffff;
  std::array<u32, kInlineDepth> ids;  // supertypes from the root down to the type itself
};

// Thread-safe: add_group takes a lock, get() takes none. Ids are dense from 0. Nothing is ever removed.
class TypeRegistry {
 public:
  // by_position gives every group new ids, so that in a registry of its own a module's type index is the id:
  // for tools that show modules, not for validation, which needs equal types to be one.
  enum class Identity : u8 { canonical, by_position };
  explicit TypeRegistry(Identity identity = Identity::canonical);
  ~TypeRegistry();
  TypeRegistry(const TypeRegistry&) = delete;
  TypeRegistry& operator=(const TypeRegistry&) = delete;

  // Registers a recursive group (members refer to each other by HeapType::rec_member and to earlier types by
  // id) and returns the id of its first member; the others follow. Structurally equal groups give equal ids
  // (spec: valid/ conventions, rolling and unrolling). Does not check that supertypes are legal; the
  // validator does.
  Result<TypeId> add_group(std::vector<SubType> group);
  // A single final function type, as host functions need.
  TypeId add_func_type(std::vector<ValType> params, std::vector<ValType> results);
  const DefType& get(TypeId id) const;
  // For compiled code: by id, what a subtype test needs (TypeDisplay). Null where the system refused the address
  // space: compiled code then isn't made.
  const TypeDisplay* const* displays() const;

  bool is_subtype(TypeId sub, TypeId super) const;  // reflexive
  bool is_subtype(HeapType sub, HeapType super) const;
  bool is_subtype(ValType sub, ValType super) const;
  HeapType top_of(HeapType h) const;     // any, func, extern or exn
  HeapType bottom_of(HeapType h) const;  // none, nofunc, noextern or noexn

 private:
  struct Impl;
  const Identity identity_;
  std::unique_ptr<Impl> impl_;
};

// In the text format's notation, e.g. "i32", "(ref null $t)" with types by canonical number.
std::string to_string(ValType t);
std::string to_string(HeapType h);
std::string to_string(const FuncType& t);

}  // namespace tenon
