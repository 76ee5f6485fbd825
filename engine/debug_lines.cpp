// The line table's header and its program (DWARF 5, section 6.2; DWARF 4 where it differs).
#include "engine/debug_lines.h"

#include <algorithm>
#include <tuple>

#include "engine/binary/byte_reader.h"
#include "engine/module.h"

namespace tenon {
namespace {

using File = DebugLines::File;
using Row = DebugLines::Row;

std::span<const u8> section(const Module& module, std::string_view name) {
  for (const CustomSection& s : module.customs)
    if (s.name == name) return s.bytes;
  return {};
}

// Where its contents begin. The module has been decoded before.
u64 code_section(const Module& module) {
  constexpr u64 kHeader = 8;
  constexpr u8 kCode = 10;
  ByteReader in(module.bytes(), 0);
  in.bytes(kHeader);
  while (in.ok() && !in.at_end()) {
    const u8 id = in.byte();
    const u32 size = in.read_u32();
    if (id == kCode) return in.offset();
    in.bytes(size);
  }
  return 0;
}

// Up to the next zero byte.
std::string_view read_string(ByteReader& in) {
  const u8* begin = in.position();
  const u8* end = std::find(begin, begin + in.remaining(), u8{0});
  const auto size = static_cast<u64>(end - begin);
  const auto text = in.bytes(size);
  in.byte();
  return in.ok() ? std::string_view(reinterpret_cast<const char*>(text.data()), text.size())
                 : std::string_view();
}

constexpr size_t kLongestName = 1000;  // what is longer is cut off

// Many entries may name one long string, so no more of it is looked at than is used.
std::string_view string_at(std::span<const u8> strings, u64 offset) {
  if (offset >= strings.size()) return {};
  const auto longest = strings.subspan(offset, std::min(strings.size() - offset, kLongestName));
  const auto end = std::ranges::find(longest, u8{0});
  return {reinterpret_cast<const char*>(longest.data()), static_cast<size_t>(end - longest.begin())};
}

// A value of a version 5 header's entry: text or a number.
struct Field {
  std::string_view text;
  u64 number = 0;
};

// What units refer to, found once: a module may have any number of sections and of units.
struct Sections {
  explicit Sections(const Module& m)
      : module(m),
        code(code_section(m)),
        str(section(m, ".debug_str")),
        line_str(section(m, ".debug_line_str")) {}
  const Module& module;
  u64 code;  // where the code section's contents lie in the module
  std::span<const u8> str, line_str;
};

class Unit {
 public:
  Unit(const Sections& sections, std::vector<Row>& rows, std::vector<File>& files)
      : rows_(rows), files_(files), sections_(sections), code_(sections.code), first_file_(files.size()) {}

  void read(ByteReader in, bool is64) {
    const u64 version = in.fixed(2);
    if (version < 2 || version > 5) return;
    if (version == 5) in.fixed(2);  // sizes of addresses and segment selectors
    offset_size_ = is64 ? 8 : 4;
    const u64 header_size = in.fixed(offset_size_);
    ByteReader header(in.bytes(header_size), 0);
    if (in.ok() && read_header(header, static_cast<u32>(version))) run(in);
  }

 private:
  bool read_header(ByteReader& in, u32 version) {
    least_step_ = in.byte();
    if (version >= 4) in.byte();  // operations in an instruction: one
    in.byte();                    // statements by default
    line_base_ = static_cast<i8>(in.byte());
    line_range_ = in.byte();
    opcode_base_ = in.byte();
    if (!in.ok() || line_range_ == 0 || opcode_base_ == 0) return false;
    operand_counts_ = in.bytes(opcode_base_ - 1u);
    version >= 5 ? read_files_5(in) : read_files_4(in);
    return in.ok();
  }

  void read_files_4(ByteReader& in) {
    std::vector<std::string_view> directories{{}};
    for (std::string_view name; in.ok() && !(name = read_string(in)).empty();) directories.push_back(name);
    files_.push_back({});  // they count from 1
    while (in.ok()) {
      const std::string_view name = read_string(in);
      if (name.empty()) return;
      const u64 directory = in.read_u64();
      in.read_u64();  // time
      in.read_u64();  // size
      files_.push_back({directory < directories.size() ? directories[directory] : std::string_view(), name});
    }
  }

  void read_files_5(ByteReader& in) {
    std::vector<std::string_view> directories;
    read_entries(in, [&](std::string_view path, u64) { directories.push_back(path); });
    read_entries(in, [&](std::string_view path, u64 directory) {
      files_.push_back({directory < directories.size() ? directories[directory] : std::string_view(), path});
    });
  }

  // f(path, directory index) for each entry of a table.
  template <class F>
  void read_entries(ByteReader& in, F f) {
    constexpr u64 kPath = 1, kDirectory = 2;
    std::vector<std::pair<u64, u64>> format(in.byte());  // content, form
    for (auto& [content, form] : format) {
      content = in.read_u64();
      form = in.read_u64();
    }
    const u64 count = in.read_u64();
    for (u64 i = 0; i < count && in.ok(); ++i) {
      std::string_view path;
      u64 directory = 0;
      const u64 before = in.remaining();
      for (const auto& [content, form] : format) {
        const Field field = read_field(in, form);
        if (content == kPath) path = field.text;
        if (content == kDirectory) directory = field.number;
      }
      if (in.remaining() == before) in.fail(Err::unexpected_end);  // entries of nothing could be any number
      if (in.ok()) f(path, directory);
    }
  }

  Field read_field(ByteReader& in, u64 form) {
    switch (form) {
      case 0x08: return {read_string(in)};                                        // string
      case 0x0e: return {string_at(sections_.str, in.fixed(offset_size_))};       // strp
      case 0x1f: return {string_at(sections_.line_str, in.fixed(offset_size_))};  // line_strp
      case 0x0b: return {{}, in.fixed(1)};                                        // data1
      case 0x05: return {{}, in.fixed(2)};
      case 0x06: return {{}, in.fixed(4)};
      case 0x07: return {{}, in.fixed(8)};
      case 0x0f: return {{}, in.read_u64()};  // udata
      case 0x1e: in.bytes(16); return {};     // data16
      case 0x09: in.bytes(in.read_u64()); return {};
      default: in.fail(Err::unexpected_end); return {};
    }
  }

  void run(ByteReader& in) {
    while (in.ok() && !in.at_end()) {
      const u8 opcode = in.byte();
      if (opcode >= opcode_base_) {
        const u32 adjusted = opcode - u32{opcode_base_};
        advance(adjusted / line_range_);
        line_ += static_cast<u32>(line_base_ + static_cast<i32>(adjusted % line_range_));
        add_row(line_);
      } else if (opcode == 0) {
        extended(in);
      } else {
        standard(in, opcode);
      }
    }
  }

  void standard(ByteReader& in, u8 opcode) {
    enum : u8 {
      kCopy = 1,
      kAdvancePc,
      kAdvanceLine,
      kSetFile,
      kSetColumn,
      kNegateStatement,
      kBasicBlock,
      kConstAddPc,
      kFixedAdvancePc
    };
    switch (opcode) {
      case kCopy: add_row(line_); break;
      case kAdvancePc: advance(in.read_u64()); break;
      case kAdvanceLine: line_ += static_cast<u32>(in.read_s64()); break;
      case kSetFile: file_ = in.read_u64(); break;
      case kConstAddPc: advance((u32{255} - opcode_base_) / line_range_); break;
      case kFixedAdvancePc: address_ += in.fixed(2); break;
      default:
        for (u32 n = operand_counts_[opcode - 1u]; n != 0; --n) in.read_u64();
        break;
    }
  }

  void extended(ByteReader& in) {
    enum : u8 { kEndSequence = 1, kSetAddress };
    ByteReader operands(in.bytes(in.read_u64()), 0);
    if (operands.at_end()) return;
    const u8 opcode = operands.byte();
    if (opcode == kSetAddress && operands.remaining() <= sizeof(u64))
      address_ = operands.fixed(static_cast<u32>(operands.remaining()));
    if (opcode == kEndSequence) end_sequence();
  }

  void advance(u64 steps) { address_ += steps * least_step_; }

  void add_row(u32 line) {
    const u64 file = first_file_ + file_;
    const bool known = file_ < files_.size() - first_file_;
    const u64 at = code_ + address_;
    if (at > ~u32{0} || at < code_) return;
    sequence_.push_back({static_cast<u32>(at), known ? static_cast<u32>(file) : 0, known ? line : 0,
                         static_cast<u32>(rows_.size() + sequence_.size())});
  }

  // A sequence is a function's. Those of functions that the linker has dropped are nowhere, or where no code is.
  void end_sequence() {
    add_row(0);
    if (!sequence_.empty() && is_in_function(sequence_.front().offset))
      rows_.insert(rows_.end(), sequence_.begin(), sequence_.end());
    sequence_.clear();
    address_ = 0;
    file_ = 1;
    line_ = 1;
  }

  // Functions lie side by side, each behind its size; in front of the first is their count.
  bool is_in_function(u32 offset) const {
    const auto defined = std::span(sections_.module.functions).subspan(sections_.module.imported_functions);
    return offset > code_ && !defined.empty() && offset < defined.back().offset + defined.back().body.size();
  }

  std::vector<Row>& rows_;
  std::vector<File>& files_;
  const Sections& sections_;
  u64 code_;
  u64 first_file_;
  u32 offset_size_ = 4;
  u8 least_step_ = 1, line_range_ = 1, opcode_base_ = 1;
  i8 line_base_ = 0;
  std::span<const u8> operand_counts_;
  std::vector<Row> sequence_;
  u64 address_ = 0, file_ = 1;
  u32 line_ = 1;
};

// Names come from the guest and go to terminals.
void append_printable(std::string& out, std::string_view text) {
  text = text.substr(0, kLongestName);
  const bool utf8 = is_utf8({reinterpret_cast<const u8*>(text.data()), text.size()});
  for (const char c : text) {
    const u8 byte = static_cast<u8>(c);
    out += byte < 0x20 || byte == 0x7f || (byte >= 0x80 && !utf8) ? '?' : c;
  }
}

}  // namespace

DebugLines::DebugLines(const Module& module) {
  ByteReader in(section(module, ".debug_line"), 0);
  if (in.at_end()) return;
  const Sections sections(module);
  constexpr u64 k64Bit = 0xffff'ffff;
  while (in.ok() && !in.at_end()) {
    u64 size = in.fixed(4);
    const bool is64 = size == k64Bit;
    if (is64) size = in.fixed(8);
    const auto unit = in.bytes(size);
    if (in.ok()) Unit(sections, rows_, files_).read(ByteReader(unit, 0), is64);
  }
  // An end is less than what begins where it is.
  std::ranges::sort(rows_, {}, [](const Row& r) { return std::tuple(r.offset, r.line != 0, r.order); });
  rows_.shrink_to_fit();
}

std::optional<SourceLine> DebugLines::find(u64 module_offset) const {
  auto row = std::ranges::upper_bound(rows_, module_offset, {}, &Row::offset);
  if (row == rows_.begin() || (--row)->line == 0) return std::nullopt;
  const File& file = files_[row->file];
  SourceLine out{{}, row->line};
  if (!file.directory.empty() && !file.name.starts_with('/')) {
    append_printable(out.file, file.directory);
    if (!out.file.ends_with('/')) out.file += '/';
  }
  append_printable(out.file, file.name);
  return out;
}

}  // namespace tenon
