// Rows of code addresses and source lines, and DWARF made of them.
#include "engine/native/code_source.h"

#include <algorithm>
#include <map>

#include "engine/module.h"
#include "engine/native/module_code.h"

namespace tenon {

std::vector<CodeSource> code_source(const CodeObject& code, const CodeFunction& f) {
  const DebugLines& known = code.module().code().debug_lines();
  std::vector<CodeSource> out;
  if (known.empty()) return out;
  const auto lines = code.lines();
  for (auto line = std::ranges::lower_bound(lines, f.begin, {}, &CodeLine::pc);
       line != lines.end() && line->pc < f.end; ++line) {
    if (line->wasm_offset == 0) continue;  // computes something for an instruction near it
    auto source = known.find(line->wasm_offset);
    if (!source && out.empty()) continue;
    if (!source) source = SourceLine{out.back().source.file, 0};
    if (!out.empty() && out.back().source == *source) continue;
    out.push_back({reinterpret_cast<u64>(code.address(line->pc)), std::move(*source)});
  }
  return out;
}

namespace {

// Numbers and text in DWARF's encodings, little-endian.
class Bytes {
 public:
  Bytes& fixed(u64 v, u32 size) {
    for (; size != 0; --size, v >>= 8) text_ += static_cast<char>(v);
    return *this;
  }
  Bytes& u8s(std::initializer_list<u8> values) {
    for (const u8 v : values) text_ += static_cast<char>(v);
    return *this;
  }
  Bytes& unsigned_leb(u64 v) {
    for (; v >= 0x80; v >>= 7) text_ += static_cast<char>(v | 0x80);
    text_ += static_cast<char>(v);
    return *this;
  }
  Bytes& signed_leb(i64 v) {
    for (; v < -0x40 || v >= 0x40; v >>= 7) text_ += static_cast<char>(v | 0x80);
    text_ += static_cast<char>(v & 0x7f);
    return *this;
  }
  Bytes& string(std::string_view s) {
    text_ += s;
    text_ += '\0';
    return *this;
  }
  Bytes& add(const Bytes& other) {
    text_ += other.text_;
    return *this;
  }
  u64 size() const { return text_.size(); }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

Bytes with_length(const Bytes& contents) {
  Bytes out;
  out.fixed(contents.size(), 4).add(contents);
  return out;
}

// The line program of one section for all functions (DWARF 4, section 6.2).
class LineTable {
 public:
  void add(std::span<const CodeSource> rows, u64 end) {
    enum : u8 { kExtended = 0, kCopy, kAdvancePc, kAdvanceLine, kSetFile };
    enum : u8 { kEndSequence = 1, kSetAddress };
    u64 address = rows.front().address, file = 1;
    i64 line = 1;
    program_.u8s({kExtended, sizeof(u64) + 1, kSetAddress}).fixed(address, sizeof(u64));
    for (const CodeSource& row : rows) {
      program_.u8s({kAdvancePc}).unsigned_leb(row.address - address);
      if (const u64 wanted = file_of(row.source.file); wanted != file)
        program_.u8s({kSetFile}).unsigned_leb(file = wanted);
      program_.u8s({kAdvanceLine}).signed_leb(row.source.line - line).u8s({kCopy});
      address = row.address;
      line = row.source.line;
    }
    program_.u8s({kAdvancePc}).unsigned_leb(end - address).u8s({kExtended, 1, kEndSequence});
  }

  std::string take() {
    Bytes header;
    header.u8s(
        {1, 1, 1, 0xfb, 14, 13});  // steps, operations, statements; least line, lines, first special opcode
    header.u8s({0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1});  // operands of the standard opcodes
    header.u8s({0});                                   // no folders: names are whole
    header.add(files_).u8s({0});
    Bytes unit;
    unit.fixed(4, 2).fixed(header.size(), 4).add(header).add(program_);
    return with_length(unit).take();
  }

 private:
  u64 file_of(const std::string& name) {
    auto [known, added] = numbers_.try_emplace(name, numbers_.size() + 1);
    if (added) files_.string(name).u8s({0, 0, 0});
    return known->second;
  }

  Bytes program_, files_;
  std::map<std::string, u64> numbers_;
};

enum : u8 { kAbbrevUnit = 1, kAbbrevFunction };

std::string abbreviations() {
  enum : u8 { kUnit = 0x11, kSubprogram = 0x2e };
  enum : u8 { kName = 0x03, kLines = 0x10, kLow = 0x11, kHigh = 0x12, kLanguage = 0x13 };
  enum : u8 { kAddress = 0x01, kData8 = 0x07, kString = 0x08, kData1 = 0x0b, kOffset = 0x17 };
  return Bytes()
      .u8s({kAbbrevUnit, kUnit, 1, kName, kString, kLanguage, kData1, kLines, kOffset, kLow, kAddress, kHigh,
            kData8, 0, 0})
      .u8s({kAbbrevFunction, kSubprogram, 0, kName, kString, kLow, kAddress, kHigh, kData8, 0, 0, 0})
      .take();
}

}  // namespace

CodeDwarf code_dwarf(const CodeObject& code) {
  constexpr u8 kC99 = 0x0c;
  LineTable lines;
  Bytes functions;
  for (const CodeFunction& f : code.functions()) {
    const auto rows = code_source(code, f);
    if (rows.empty()) continue;
    const u64 begin = reinterpret_cast<u64>(code.address(f.begin)), size = f.end - f.begin;
    lines.add(rows, begin + size);
    functions.u8s({kAbbrevFunction})
        .string(code.module().function_name(FuncIdx{f.func}))
        .fixed(begin, sizeof(u64))
        .fixed(size, sizeof(u64));
  }
  if (functions.size() == 0) return {};
  Bytes unit;
  unit.fixed(4, 2).fixed(0, 4).u8s({sizeof(u64)});  // version, abbreviations, size of addresses
  unit.u8s({kAbbrevUnit}).string("wasm").u8s({kC99}).fixed(0, 4);
  unit.fixed(reinterpret_cast<u64>(code.address(0)), sizeof(u64)).fixed(code.code_size(), sizeof(u64));
  unit.add(functions).u8s({0});
  return {abbreviations(), with_length(unit).take(), lines.take()};
}

}  // namespace tenon
