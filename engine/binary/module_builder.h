// Decodes a module's sections into a Module (spec: binary/modules). What can be decided while reading is
// decided here (malformed, unknown types, features, limits); validation proper is engine/validate.
#pragma once
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "engine/base.h"
#include "engine/binary/byte_reader.h"
#include "engine/binary/type_reader.h"
#include "engine/module.h"

namespace tenon {

class ModuleBuilder {
 public:
  ModuleBuilder(std::shared_ptr<TypeRegistry> registry, std::span<const u8> bytes,
                std::shared_ptr<const void> owner, const DecodeOptions& options);

  // All sections. Call once.
  Result<std::unique_ptr<Module>> decode();

 private:
  using Handler = void (ModuleBuilder::*)();
  struct SectionRow;
  static const SectionRow kSections[];

  void header();
  void section();
  void check_lengths();
  std::optional<Error> first_malformed_body() const;

  void custom_section(u64 size);
  void type_section();
  void import_section();
  void function_section();
  void table_section();
  void memory_section();
  void tag_section();
  void global_section();
  void export_section();
  void start_section();
  void element_section();
  void data_count_section();
  void code_section();
  void data_section();

  // Types (type_section.cpp).
  void recursive_group(u32 size);
  SubType sub_type(u32 position);
  CompositeType composite_type();
  CompositeType composite_type(u8 code, u64 offset);
  FuncType func_type();
  StructType struct_type();
  FieldType field_type();
  std::vector<ValType> result_type(std::string_view what, u32 limit);
  void check_supertype(const DefType& type, u64 offset);

  TableType table_type();
  MemoryType memory_type();
  GlobalType global_type();
  TagType tag_type();
  Limits limits(bool has_max);
  TypeId func_type_index(TypeIdx* index = nullptr);
  bool mutability();
  // Finds the end of a constant expression and notes the functions that it names.
  ConstExpr const_expr();
  void element_segment();
  void declare_function(u32 index);

  // The count of a section's vector, checked against a limit that counts what is there already too.
  u32 section_count(std::string_view what, u64 existing, u32 limit);
  void require(Feature f) { require_feature(in_, module_->features_, f, in_.offset()); }

  std::unique_ptr<Module> module_;
  const ModuleLimits limits_;
  const bool validate_;
  ByteReader in_;
  int last_order_ = 0;  // of the last non-custom section
  u32 defined_functions_ = 0;
  u32 bodies_ = 0;
  u32 group_size_ = 0;  // of the recursive group that is being read
};

}  // namespace tenon
