// A decoded module (spec: syntax/modules): immutable, shared between stores and threads, views into its
// bytes. Does not instantiate (engine/runtime) and does not decode (engine/binary).
#pragma once
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/base.h"
#include "engine/error.h"
#include "engine/once.h"
#include "engine/opcodes.h"
#include "engine/types.h"

namespace tenon {

struct Limits {
  u64 min = 0;
  std::optional<u64> max;
};
struct TableType {
  ValType element;  // a reference type
  Limits limits;
  bool is64 = false;
};
struct MemoryType {
  Limits limits;  // in pages
  bool is64 = false, shared = false;
  u8 page_shift = 16;            // log2 of the page size: 16, or 0 with custom page sizes
  bool page_size_given = false;  // written out, even when it is the usual one
  u64 page_size() const { return u64{1} << page_shift; }
};
struct GlobalType {
  ValType type;
  bool mutable_ = false;
};
struct TagType {
  TypeId type;
};

enum class ExternKind : u8 { func, table, memory, global, tag };
using ExternType = std::variant<TypeId, TableType, MemoryType, GlobalType, TagType>;  // in ExternKind's order

struct Import {
  std::string_view module, name;
  ExternType type;
  ExternKind kind() const { return static_cast<ExternKind>(type.index()); }
};
struct Export {
  std::string_view name;
  ExternKind kind;
  u32 index;
  u64 offset = 0;  // in the module's bytes
};

// A validated constant expression: its instructions with the closing end, and where they lie in the module.
struct ConstExpr {
  std::span<const u8> code;
  u64 offset = 0;
};

struct LocalRun {
  u32 count;
  ValType type;
};  // as in the binary: `count` locals of `type`

struct Function {
  TypeIdx type_idx;
  TypeId type;
  std::span<const u8> body;  // the code entry: local declarations and instructions (empty for an import)
  u64 offset = 0;            // of body in the module's bytes
};

enum class SegmentMode : u8 { active, passive, declarative };
struct ElementSegment {
  SegmentMode mode;
  ValType type;
  TableIdx table;
  ConstExpr table_offset;        // active only
  std::vector<FuncIdx> funcs;    // either function indices
  std::vector<ConstExpr> exprs;  // or expressions
  u64 offset = 0;                // in the module's bytes
  u32 size() const { return static_cast<u32>(funcs.size() + exprs.size()); }
};
struct DataSegment {
  SegmentMode mode;
  MemoryIdx memory;
  ConstExpr memory_offset;  // active only
  std::span<const u8> bytes;
  u64 offset = 0;  // of the segment in the module's bytes
};
struct CustomSection {
  std::string_view name;
  std::span<const u8> bytes;
  u64 offset;
  u8 after = 0;  // position in section order of the last section before it, 0 for none: type 1, import 2,
                 // function 3, table 4, memory 5, tag 6, global 7, export 8, start 9, element 10, data count
                 // 11, code 12, data 13
};
struct GlobalDef {
  GlobalType type;
  ConstExpr init;
};  // init empty for an import
struct TableDef {
  TableType type;
  ConstExpr init;
};  // init empty: null
struct NameMap {  // the name section, as far as it decodes
  std::optional<std::string_view> module;
  std::vector<std::string_view> functions;  // by function index; empty view: no name
};
// A branch hint: likely (1) or unlikely (0) at a code offset from the function body's start.
struct BranchHint {
  u32 offset;
  bool likely;
};

// A recursive group of the type section: how many of `types` it has, and whether it was written as a group (a
// single type need not be).
struct TypeGroup {
  u32 size;
  bool bracketed;
};

class ModuleCode;    // engine/native/module_code.h
class MemoryImages;  // engine/runtime/memory_image.h

class Module {
 public:
  Module();
  ~Module();
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  // Index spaces: imports first, then definitions (spec: syntax/modules, Indices).
  std::vector<TypeId> types;
  std::vector<TypeGroup> type_groups;
  std::vector<Import> imports;
  std::vector<Function> functions;
  std::vector<TableDef> tables;
  std::vector<MemoryType> memories;
  std::vector<GlobalDef> globals;
  std::vector<TagType> tags;
  std::vector<Export> exports;
  std::vector<ElementSegment> elements;
  std::vector<DataSegment> data;
  std::optional<FuncIdx> start;
  std::optional<u32> data_count;
  std::vector<CustomSection> customs;
  NameMap names;
  std::vector<std::pair<FuncIdx, std::vector<BranchHint>>> branch_hints;  // sorted by function
  // Where in the bytes each table, memory and tag (imports first) and the start function were named.
  struct Offsets {
    std::vector<u64> tables, memories, tags;
    u64 start = 0;
  } offsets;
  std::vector<bool> declared_func_refs;  // functions that ref.func may name (spec: valid/modules, C.refs)

  u32 imported_functions = 0, imported_tables = 0, imported_memories = 0, imported_globals = 0,
      imported_tags = 0;

  std::span<const u8> bytes() const { return bytes_; }
  TypeRegistry& type_registry() const { return *registry_; }
  const FuncType& func_type(FuncIdx f) const { return *registry_->get(functions[f.value].type).func(); }
  bool is_imported(FuncIdx f) const { return f.value < imported_functions; }
  const Export* find_export(std::string_view name) const;
  // "name" from the name section, else an export's name, else "func[N]".
  std::string function_name(FuncIdx f) const;
  FeatureSet features() const { return features_; }
  // Its compiled code (engine/native), which is added while instances run.
  ModuleCode& code() const { return *code_; }

 private:
  friend class ModuleBuilder;  // engine/binary
  friend class MemoryImages;   // engine/runtime
  std::shared_ptr<TypeRegistry> registry_;
  std::shared_ptr<const void> owner_;  // keeps bytes_ alive
  std::span<const u8> bytes_;
  FeatureSet features_;
  std::unique_ptr<ModuleCode> code_;
  // Made at the first instantiation (engine/runtime/memory_image.h).
  mutable Once images_once_;
  mutable std::shared_ptr<const MemoryImages> images_;
};

// Implementation limits (spec: appendix/implementation). Exceeding one is an Error of category limit that
// names it.
struct ModuleLimits {
  u32 types = 1'000'000, functions = 1'000'000, imports = 1'000'000, exports = 1'000'000, globals = 1'000'000,
      data_segments = 100'000, element_segments = 10'000'000, tables = 100'000, memories = 100,
      tags = 1'000'000;
  u32 function_bytes = 7'654'321, locals = 50'000, params = 1'000, results = 1'000, nesting = 100'000,
      struct_fields = 10'000, subtype_depth = 63, br_table_targets = 1'000'000, operands = 1'000'000;
};

struct DecodeOptions {
  FeatureSet features = FeatureSet::defaults();
  ModuleLimits limits;
  bool validate = true;      // false: decoding only, for tools that show modules; never for running them
  bool lazy_bodies = false;  // leave function bodies unvalidated; validate_function() does it at first call
};

// Decodes and validates (spec: binary/modules, valid/modules) in one pass. `bytes` are viewed, not copied;
// `owner` keeps them alive. Errors: malformed, invalid, limit, unsupported (feature off), each with a byte
// offset.
Result<std::unique_ptr<Module>> decode_module(std::shared_ptr<TypeRegistry> registry,
                                              std::span<const u8> bytes, std::shared_ptr<const void> owner,
                                              const DecodeOptions& options = {});

}  // namespace tenon
