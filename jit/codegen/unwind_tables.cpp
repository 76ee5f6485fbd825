// Call frame information and call-site tables (LSB 5, exception frames; Itanium C++ ABI, LSDA).
#include "jit/codegen/unwind_tables.h"

#include <llvm/BinaryFormat/Dwarf.h>
#include <llvm/Object/ELFObjectFile.h>
#include <llvm/Support/DataExtractor.h>

#include <algorithm>
#include <unordered_map>

namespace tenon::jit {
namespace {

namespace dw = llvm::dwarf;

Error unexpected_table(const char* what) {
  return {ErrorCategory::unsupported, std::string("LLVM: unwind tables with ") + what, {}};
}

// A section and where its relocated fields point, by the field's own offset: into the code, or, when that is
// where the symbol is, into the table of handlers.
struct Section {
  llvm::StringRef bytes;
  std::unordered_map<u64, u64> targets;
};

Result<Section> read_section(const llvm::object::ObjectFile& file, const SymbolPlace& place,
                             llvm::StringRef wanted) {
  Section out;
  for (const llvm::object::SectionRef& section : file.sections()) {
    const llvm::StringRef name = llvm::cantFail(section.getName());
    if (name == wanted) out.bytes = llvm::cantFail(section.getContents());
    if (name != (".rela" + wanted).str()) continue;
    for (const llvm::object::ELFRelocationRef relocation : section.relocations()) {
      auto addend = relocation.getAddend();
      if (!addend) {
        llvm::consumeError(addend.takeError());
        return std::unexpected(unexpected_table("relocations of an unknown kind"));
      }
      const llvm::object::ELFSymbolRef symbol(*relocation.getSymbol());
      const auto in_code = place(symbol);
      const u64 target = in_code ? *in_code : llvm::cantFail(symbol.getValue());
      out.targets[relocation.getOffset()] = target + static_cast<u64>(*addend);
    }
  }
  return out;
}

constexpr std::array<u64, 5> kSavedOrder = {3, 12, 13, 14, 15};  // DWARF numbers of rbx, r12 to r15
constexpr u64 kFramePointer = 6, kReturnAddress = 16;
// Words below the caller's stack pointer: where every function of ours has its return address and frame
// pointer.
constexpr u64 kReturnAddressWords = 1, kFramePointerWords = 2;

class Parser {
 public:
  Parser(const Section& frames, const Section& handlers, ImageParts& parts)
      : frames_(frames), handlers_(handlers), parts_(parts), in_(frames.bytes, true, 8) {}

  Result<void> run() {
    u64 at = 0;
    while (at + sizeof(u32) <= frames_.bytes.size()) {
      const u64 length = in_.getU32(&at);
      if (length == 0) break;
      const u64 end = at + length, id_at = at;
      if (end > frames_.bytes.size()) return std::unexpected(unexpected_table("a broken length"));
      const u64 id = in_.getU32(&at);
      TRY(id == 0 ? read_cie(id_at, at) : read_fde(id_at - id, at, end));
      at = end;
    }
    return {};
  }

 private:
  Result<void> read_cie(u64 id_at, u64 at) {
    const u8 version = in_.getU8(&at);
    const llvm::StringRef augmentation = in_.getCStrRef(&at);
    const u64 code_alignment = in_.getULEB128(&at);
    const i64 data_alignment = in_.getSLEB128(&at);
    if (version != 1 || code_alignment != 1 || data_alignment != -static_cast<i64>(sizeof(u64)) ||
        (augmentation != "zR" && augmentation != "zPLR"))
      return std::unexpected(unexpected_table("a header of an unknown kind"));
    has_handlers_[id_at - sizeof(u32)] = augmentation == "zPLR";
    return {};
  }

  // All pointers are pcrel|sdata4: 4 bytes, relocated.
  Result<void> read_fde(u64 cie, u64 at, u64 end) {
    auto known = has_handlers_.find(cie);
    auto begin = frames_.targets.find(at);
    if (known == has_handlers_.end() || begin == frames_.targets.end())
      return std::unexpected(unexpected_table("a function of unknown place"));
    at += sizeof(u32);
    CodeFrame frame{static_cast<u32>(begin->second), 0, {}};
    frame.end = frame.begin + in_.getU32(&at);
    const u64 augmentation = in_.getULEB128(&at);
    if (known->second)
      if (auto handlers = frames_.targets.find(at); handlers != frames_.targets.end())
        TRY(read_call_sites(handlers->second, frame.begin));
    at += augmentation;
    TRY(read_saved(at, end, frame));
    parts_.frames.push_back(frame);
    return {};
  }

  // Registers are saved in the prologue, before any call, and their places stay.
  Result<void> read_saved(u64 at, u64 end, CodeFrame& frame) {
    while (at < end) {
      const u8 op = in_.getU8(&at);
      const u64 low = op & 0x3f;
      switch (op & 0xc0) {
        case dw::DW_CFA_advance_loc: continue;
        case dw::DW_CFA_restore: continue;
        case dw::DW_CFA_offset: TRY(save(low, in_.getULEB128(&at), frame)); continue;
        default: break;
      }
      switch (op) {
        case dw::DW_CFA_nop:
        case dw::DW_CFA_remember_state:
        case dw::DW_CFA_restore_state: break;
        case dw::DW_CFA_advance_loc1: at += 1; break;
        case dw::DW_CFA_advance_loc2: at += 2; break;
        case dw::DW_CFA_advance_loc4: at += 4; break;
        case dw::DW_CFA_def_cfa_register:
        case dw::DW_CFA_def_cfa_offset:
        case dw::DW_CFA_GNU_args_size: in_.getULEB128(&at); break;
        case dw::DW_CFA_def_cfa:
          in_.getULEB128(&at);
          in_.getULEB128(&at);
          break;
        default: return std::unexpected(unexpected_table("an unknown instruction"));
      }
    }
    return {};
  }

  Result<void> save(u64 reg, u64 words, CodeFrame& frame) {
    auto it = std::ranges::find(kSavedOrder, reg);
    if (it != kSavedOrder.end() && words <= 0xff) {
      frame.saved[static_cast<size_t>(it - kSavedOrder.begin())] = static_cast<u8>(words);
      return {};
    }
    if ((reg == kFramePointer && words == kFramePointerWords) ||
        (reg == kReturnAddress && words == kReturnAddressWords))
      return {};
    return std::unexpected(unexpected_table("a register in an unexpected place"));
  }

  // The LSDA of one function: only cleanups, so no actions and no types.
  Result<void> read_call_sites(u64 at, u32 function) {
    const llvm::DataExtractor in(handlers_.bytes, true, 8);
    const u8 base = in.getU8(&at), types = in.getU8(&at);
    if (types != dw::DW_EH_PE_omit) in.getULEB128(&at);
    const u8 encoding = in.getU8(&at);
    const u64 length = in.getULEB128(&at), end = at + length;
    if (base != dw::DW_EH_PE_omit || encoding != dw::DW_EH_PE_uleb128 || end > handlers_.bytes.size())
      return std::unexpected(unexpected_table("call sites of an unknown kind"));
    while (at < end) {
      const u64 begin = in.getULEB128(&at), size = in.getULEB128(&at), pad = in.getULEB128(&at);
      in.getULEB128(&at);  // action
      if (pad != 0)
        parts_.landings.push_back({static_cast<u32>(function + begin),
                                   static_cast<u32>(function + begin + size),
                                   static_cast<u32>(function + pad)});
    }
    return {};
  }

  const Section& frames_;
  const Section& handlers_;
  ImageParts& parts_;
  llvm::DataExtractor in_;
  std::unordered_map<u64, bool> has_handlers_;  // by a header's offset: do its functions have landing pads?
};

}  // namespace

Result<void> read_unwind_tables(const llvm::object::ObjectFile& file, const SymbolPlace& place,
                                ImageParts& parts) {
  TRY_ASSIGN(const Section frames, read_section(file, place, ".eh_frame"));
  TRY_ASSIGN(const Section handlers, read_section(file, place, ".gcc_except_table"));
  return Parser(frames, handlers, parts).run();
}

}  // namespace tenon::jit
