// Reads what unwinding needs from an object file: .eh_frame and .gcc_except_table as LLVM writes them for
// x86-64, boiled down to the rows of engine/native/code_image.h. The sections themselves are not needed at run
// time.
#pragma once
#include <llvm/Object/ELFObjectFile.h>

#include <functional>
#include <optional>

#include "engine/native/code_image.h"

namespace tenon::jit {

// Where a symbol of the object lies in the image's code; nothing: not in the code.
using SymbolPlace = std::function<std::optional<u64>(const llvm::object::ELFSymbolRef&)>;

// Appends to parts.frames and parts.landings, unsorted. Errors: unsupported, when the sections hold something
// that LLVM did not write when this was tested: then unwinding would go wrong, so the object must not be used.
Result<void> read_unwind_tables(const llvm::object::ObjectFile& file, const SymbolPlace& place,
                                ImageParts& parts);

}  // namespace tenon::jit
