// Links LLVM's object files into one position-independent image (engine/native/code_image.h): lays out their
// code and read-only data, applies relative relocations, collects functions and lines. Knows what LLVM emits
// for x86-64 ELF and refuses the rest. Maps nothing: that is CodeObject's business.
#pragma once
#include <llvm/DebugInfo/DWARF/DWARFDie.h>
#include <llvm/Object/ELFObjectFile.h>
#include <llvm/Support/MemoryBuffer.h>

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/native/code_image.h"

namespace tenon::jit {

class ObjectLinker {
 public:
  // `object` outlives the linker. Errors: unsupported, with LLVM's message.
  Result<void> add(const llvm::MemoryBuffer& object);
  // Objects may refer to each other and to nothing else. Errors: unsupported: a symbol that no object defines,
  // an absolute address.
  Result<ImageParts> link();

 private:
  using ElfFile = llvm::object::ELFObjectFile<llvm::object::ELF64LE>;
  struct Object {
    std::unique_ptr<ElfFile> file;
    std::vector<std::optional<u64>> sections;  // by section index: where it lies in the code
  };

  void place_sections();
  Result<void> collect_symbols();
  void add_function(const std::string& name, u64 offset, u64 size);
  Result<void> copy_and_relocate(const Object& object);
  Result<void> relocate(const Object& object, const llvm::object::RelocationRef& relocation, u64 section);
  Result<std::optional<u64>> find(const Object& object, const llvm::object::ELFSymbolRef& symbol) const;
  Result<void> collect_lines(const Object& object);
  Result<void> collect_inlined(const Object& object, const llvm::DWARFDie& parent, u32 depth);
  Result<void> collect_unwinding(const Object& object);

  void sort_lines();

  struct Row {  // of a line table
    u32 pc;
    bool begins;  // not the end of a sequence
    u64 order;
    u32 wasm_offset;
  };
  std::vector<Object> objects_;
  std::vector<Row> rows_;
  struct Inlined {
    CodeInlined row;
    u32 depth;
  };
  std::vector<Inlined> inlined_;
  ImageParts parts_;
  std::unordered_map<std::string, u64> symbols_;  // global ones: offsets in the code
  struct Thunk {
    std::optional<u32> array_entry, native_entry;
  };
  std::unordered_map<std::string, Thunk> thunks_;  // by signature key
};

}  // namespace tenon::jit
