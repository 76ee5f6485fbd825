// The name section (spec: appendix/custom) and metadata.code.branch_hint (branch hinting proposal).
#include "engine/binary/custom_sections.h"

#include <algorithm>

#include "engine/binary/byte_reader.h"

namespace tenon {
namespace {

constexpr u8 kModuleName = 0, kFunctionNames = 1;

void decode_function_names(Module& module, ByteReader& in) {
  const u32 count = in.count();
  if (!in.ok()) return;
  std::vector<std::string_view>& names = module.names.functions;
  names.resize(module.functions.size());
  for (u32 i = 0; i < count && in.ok(); ++i) {
    const u32 index = in.read_u32();
    const std::string_view name = in.name();
    if (in.ok() && index < names.size()) names[index] = name;
  }
}

void decode_names(Module& module, const CustomSection& section) {
  ByteReader in(section.bytes, section.offset);
  while (in.ok() && !in.at_end()) {
    const u8 id = in.byte();
    const u32 size = in.read_u32();
    const u64 offset = in.offset();
    ByteReader sub(in.bytes(size), offset);
    if (!in.ok()) return;
    if (id == kModuleName) {
      const std::string_view name = sub.name();
      if (sub.ok()) module.names.module = name;
    } else if (id == kFunctionNames) {
      decode_function_names(module, sub);
    }
  }
}

void decode_branch_hints(Module& module, const CustomSection& section) {
  ByteReader in(section.bytes, section.offset);
  const u32 functions = in.count();
  for (u32 i = 0; i < functions && in.ok(); ++i) {
    const u32 func = in.read_u32();
    const u32 count = in.count();
    std::vector<BranchHint> hints;
    for (u32 k = 0; k < count && in.ok(); ++k) {
      BranchHint hint{in.read_u32(), false};
      if (in.read_u32() != 1) return;
      hint.likely = in.byte() == 1;
      if (in.ok()) hints.push_back(hint);
    }
    if (func < module.functions.size() && !hints.empty())
      module.branch_hints.emplace_back(FuncIdx{func}, std::move(hints));
  }
  std::ranges::sort(module.branch_hints, {}, [](const auto& entry) { return entry.first; });
}

}  // namespace

void decode_custom_section(Module& module, const CustomSection& section) {
  if (section.name == "name") {
    decode_names(module, section);
  } else if (section.name == "metadata.code.branch_hint" && module.features().has(Feature::branch_hinting)) {
    decode_branch_hints(module, section);
  }
}

}  // namespace tenon
