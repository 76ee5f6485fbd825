// The type section: recursive groups, their registration, and the rules for supertypes (spec: binary/types,
// valid/types).
#include <fmt/format.h>
#include <algorithm>

#include "engine/binary/module_builder.h"

namespace tenon {
namespace {

constexpr u8 kRec = 0x4e, kSub = 0x50, kSubFinal = 0x4f, kFunc = 0x60, kStruct = 0x5f, kArray = 0x5e;
constexpr u8 kI8 = 0x78, kI16 = 0x77;

// Field and function matching for a declared subtype (spec: valid/matching).
class CompositeMatch {
 public:
  explicit CompositeMatch(const TypeRegistry& types) : types_(types) {}

  bool operator()(const CompositeType& sub, const CompositeType& super) const {
    if (sub.index() != super.index()) return false;
    if (auto* f = std::get_if<FuncType>(&sub)) return match(*f, std::get<FuncType>(super));
    if (auto* s = std::get_if<StructType>(&sub)) return match(*s, std::get<StructType>(super));
    return match(std::get<ArrayType>(sub).element, std::get<ArrayType>(super).element);
  }

 private:
  bool match(const FuncType& sub, const FuncType& super) const {
    return all_match(super.params, sub.params) && all_match(sub.results, super.results);
  }
  bool match(const StructType& sub, const StructType& super) const {
    if (sub.fields.size() < super.fields.size()) return false;
    for (size_t i = 0; i < super.fields.size(); ++i)
      if (!match(sub.fields[i], super.fields[i])) return false;
    return true;
  }
  bool match(const FieldType& sub, const FieldType& super) const {
    if (sub.mutable_ != super.mutable_ || sub.packed != super.packed) return false;
    return sub.mutable_ ? sub.type == super.type : types_.is_subtype(sub.type, super.type);
  }
  bool all_match(const std::vector<ValType>& sub, const std::vector<ValType>& super) const {
    return std::ranges::equal(sub, super, [this](ValType a, ValType b) { return types_.is_subtype(a, b); });
  }

  const TypeRegistry& types_;
};

}  // namespace

void ModuleBuilder::type_section() {
  const u32 count = section_count("types", 0, limits_.types);
  for (u32 i = 0; i < count && in_.ok(); ++i) {
    const u64 offset = in_.offset();
    u32 size = 1;
    bool bracketed = false;
    if (!in_.at_end() && in_.peek() == kRec) {
      require(Feature::gc);
      in_.byte();
      bracketed = true;
      size = in_.count();
      if (u64{size} + module_->types.size() > limits_.types)
        in_.fail(make_limit_error(offset, "types", size + module_->types.size(), limits_.types));
    }
    if (in_.ok()) recursive_group(size);
    module_->type_groups.push_back({size, bracketed});
  }
}

// Reads one group, registers it, then checks supertypes, whose rules need the resolved types.
void ModuleBuilder::recursive_group(u32 size) {
  const u64 offset = in_.offset();
  group_size_ = size;
  std::vector<SubType> group;
  for (u32 i = 0; i < size && in_.ok(); ++i) group.push_back(sub_type(i));
  group_size_ = 0;
  if (!in_.ok() || group.empty()) return;

  TypeRegistry& registry = *module_->registry_;
  Result<TypeId> first = registry.add_group(std::move(group));
  if (!first) {
    first.error().offset = offset;
    in_.fail(std::move(first.error()));
    return;
  }
  for (u32 i = 0; i < size; ++i) module_->types.push_back(TypeId{first->value + i});
  for (u32 i = 0; i < size && in_.ok(); ++i) check_supertype(registry.get(TypeId{first->value + i}), offset);
}

SubType ModuleBuilder::sub_type(u32 position) {
  SubType type;
  const u64 offset = in_.offset();
  const u8 code = in_.byte();
  if (code != kSub && code != kSubFinal) {
    type.composite = composite_type(code, offset);
    return type;
  }
  require(Feature::gc);
  type.final_ = code == kSubFinal;
  const u64 supers_at = in_.offset();
  const u32 supers = in_.count();
  if (supers > 1) in_.fail(make_error(Err::sub_type, supers_at, "more than one supertype"));
  if (supers == 1) {
    const u32 index = in_.read_u32();
    if (index >= module_->types.size() + position)
      in_.fail(make_index_error(Err::unknown_type, supers_at, index));
    if (in_.ok()) type.super = heap_type_of_index(in_, {*module_, group_size_}, index, supers_at);
  }
  const u64 body = in_.offset();
  type.composite = composite_type(in_.byte(), body);
  return type;
}

CompositeType ModuleBuilder::composite_type(u8 code, u64 offset) {
  switch (code) {
    case kFunc: return func_type();
    case kStruct: require(Feature::gc); return struct_type();
    case kArray: require(Feature::gc); return ArrayType{field_type()};
    default:  // Codes are negative numbers of one byte.
      in_.fail_at(code & 0x80 ? Err::integer_too_long : Err::bad_type_definition, offset);
      return FuncType{};
  }
}

FuncType ModuleBuilder::func_type() {
  FuncType f;
  f.params = result_type("parameters of a function type", limits_.params);
  const u64 offset = in_.offset();
  f.results = result_type("results of a function type", limits_.results);
  if (f.results.size() > 1) require_feature(in_, module_->features_, Feature::multi_value, offset);
  return f;
}

std::vector<ValType> ModuleBuilder::result_type(std::string_view what, u32 limit) {
  const u64 offset = in_.offset();
  const u32 count = in_.count();
  if (count > limit) in_.fail(make_limit_error(offset, what, count, limit));
  std::vector<ValType> types;
  for (u32 i = 0; i < count && in_.ok(); ++i) types.push_back(read_val_type(in_, {*module_, group_size_}));
  return types;
}

StructType ModuleBuilder::struct_type() {
  const u64 offset = in_.offset();
  const u32 count = in_.count();
  if (count > limits_.struct_fields)
    in_.fail(make_limit_error(offset, "fields of a structure type", count, limits_.struct_fields));
  StructType s;
  for (u32 i = 0; i < count && in_.ok(); ++i) s.fields.push_back(field_type());
  return s;
}

FieldType ModuleBuilder::field_type() {
  FieldType f;
  const u8 code = in_.at_end() ? 0 : in_.peek();
  if (code == kI8 || code == kI16) {
    in_.skip(1);
    f.type = kI32;
    f.packed = code == kI8 ? Packed::i8 : Packed::i16;
  } else {
    f.type = read_val_type(in_, {*module_, group_size_});
  }
  f.mutable_ = mutability();
  return f;
}

void ModuleBuilder::check_supertype(const DefType& type, u64 offset) {
  if (!type.sub.super || !validate_) return;
  const TypeRegistry& registry = *module_->registry_;
  const DefType& super = registry.get(type.sub.super->type_id());
  if (type.display.size() - 1 > limits_.subtype_depth) {
    in_.fail(
        make_limit_error(offset, "supertypes of one type", type.display.size() - 1, limits_.subtype_depth));
  } else if (super.sub.final_) {
    in_.fail(make_error(Err::sub_type, offset, "the supertype is final"));
  } else if (!CompositeMatch(registry)(type.sub.composite, super.sub.composite)) {
    in_.fail(make_error(Err::sub_type, offset, "it does not match its supertype"));
  }
}

}  // namespace tenon
