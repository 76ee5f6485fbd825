// Types and instructions in the text format's notation, for the module printer.
#pragma once
#include <string>

#include "engine/base.h"
#include "engine/module.h"
#include "engine/reader.h"
#include "engine/text/name_maps.h"

namespace tenon::text {

class InstrPrinter {
 public:
  // Types must have been registered by position: a defined type's id is its index.
  InstrPrinter(const Module& module, const NameMaps& names) : module_(module), names_(names) {}

  std::string heap_type(HeapType t) const;
  std::string val_type(ValType t) const;
  // "i8" or "(mut i32)" and the like.
  std::string field_type(const FieldType& f) const;
  // Keyword and immediates. `func` is whose locals are meant.
  std::string instruction(const Instr& instr, u32 func) const;
  // A constant expression on one line, without its end.
  Result<std::string> constant(const ConstExpr& expr) const;

 private:
  std::string index(NameSpace space, u32 i) const { return " " + names_.ref(space, i); }
  // As optional indices are written: nothing for the first.
  std::string optional(NameSpace space, u32 i) const { return i == 0 ? "" : index(space, i); }
  std::string pair(NameSpace space, u32 first, u32 second) const;
  std::string block_type(const BlockType& t) const;
  std::string memarg(const MemArg& arg, u32 width) const;
  std::string immediates(const Instr& instr, u32 func) const;

  const Module& module_;
  const NameMaps& names_;
};

}  // namespace tenon::text
