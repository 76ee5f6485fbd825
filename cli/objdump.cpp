// `tenon objdump`: functions instruction by instruction, with offsets, bytes, names and types. Shows what decodes, valid or
// not. A developers' command: it uses the engine's internals.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>

#include "engine/module.h"
#include "engine/reader.h"
#include "engine/text/instr_printer.h"
#include "engine/text/name_maps.h"
#include "engine/text/wat.h"
#include "files.h"
#include "options.h"

namespace tenon::cli {
namespace {

struct ObjdumpOptions {
  std::string file;
  std::vector<std::string> functions;  // names or indices; empty: all
  bool no_bytes = false, data = false;
};

std::string dim(std::string_view text) { return paint(Colour::dim, text, 1); }

class Disassembly {
 public:
  Disassembly(const Module& module, const ObjdumpOptions& options)
      : module_(module), options_(options), names_(module), printer_(module, names_) {}

  // All that was asked for; the exit status.
  int run() {
    bool found = options_.functions.empty();
    for (u32 i = 0; i < module_.functions.size(); ++i) {
      if (!wanted(i)) continue;
      found = true;
      if (i < module_.imported_functions) {
        imported(i);
      } else if (!function(i)) {
        return kFailed;
      }
    }
    if (!found) {
      complain(fmt::format("{} has no function \"{}\"", options_.file, options_.functions.front()));
      hint(fmt::format("`tenon objdump {}` without --function shows all", options_.file));
      return kUsage;
    }
    if (options_.data) data();
    return 0;
  }

 private:
  bool wanted(u32 index) const {
    if (options_.functions.empty()) return true;
    const std::string name = module_.function_name(FuncIdx{index}), number = std::to_string(index);
    return std::ranges::any_of(options_.functions,
                               [&](const std::string& f) { return f == name || f == number; });
  }

  std::string type_of(u32 func) const {
    const FuncType& type = module_.func_type(FuncIdx{func});
    std::string out;
    for (const auto& [word, types] : {std::pair{"param", &type.params}, std::pair{"result", &type.results}}) {
      if (types->empty()) continue;
      out += fmt::format(" ({}", word);
      for (const ValType t : *types) out += " " + printer_.val_type(t);
      out += ")";
    }
    return fmt::format("type[{}]{}", module_.functions[func].type_idx.value, out);
  }
  std::string title(u32 func) const {
    const std::string name = names_.definition(text::NameSpace::func, func);
    return paint(Colour::bold, fmt::format("func[{}]{}", func, name), 1);
  }
  // Names by which others see a function.
  std::string exports_of(u32 func) const {
    std::string out;
    for (const Export& e : module_.exports)
      if (e.kind == ExternKind::func && e.index == func)
        out += fmt::format(" (export {})", text::quoted(e.name));
    return out;
  }
  const Import* import_of(u32 func) const {
    for (const Import& import : module_.imports)
      if (import.kind() == ExternKind::func && func-- == 0) return &import;
    return nullptr;
  }

  void imported(u32 func) {
    const Import& import = *import_of(func);
    fmt::print("{} {}{} (import {} {})\n", title(func), dim(type_of(func)), exports_of(func),
               text::quoted(import.module), text::quoted(import.name));
  }

  bool function(u32 func) {
    const Function& f = module_.functions[func];
    fmt::print("\n{} {}{} {}\n", title(func), dim(type_of(func)), exports_of(func),
               dim(fmt::format("{} bytes", f.body.size())));
    CodeReader reader(module_, f.body, f.offset);
    std::vector<LocalRun> runs;
    reader.read_locals(runs);
    u64 local = module_.func_type(FuncIdx{func}).params.size();
    for (const LocalRun& run : runs) {
      if (run.count == 0) continue;
      const std::string range =
          run.count == 1 ? fmt::format("{}", local) : fmt::format("{}..{}", local, local + run.count - 1);
      fmt::print("{:>{}}local[{}] {}\n", "", text_column(), range, printer_.val_type(run.type));
      local += run.count;
    }
    instructions(reader, func);
    if (!reader.error()) return true;
    complain(fmt::format("{}: {} (at byte {:#x})", options_.file, reader.error()->message,
                         reader.error()->offset.value_or(0)));
    return false;
  }

  void instructions(CodeReader& reader, u32 func) {
    constexpr u32 kDeepest = 40;
    u32 depth = 0;
    for (Instr instr; reader.next(instr);) {
      const bool closes = instr.op == Op::end || instr.op == Op::delegate;
      const bool middle = instr.op == Op::else_ || instr.op == Op::catch_ || instr.op == Op::catch_all;
      if ((closes || middle) && depth > 0) --depth;
      line(instr.offset, reader.offset(), std::min(depth, kDeepest), printer_.instruction(instr, func),
           remark(instr));
      const Imm imm = op_info(instr.op).imm;
      if (middle || imm == Imm::block || imm == Imm::try_table) ++depth;
    }
  }

  // What an instruction's immediates mean where their text does not say it.
  std::string remark(const Instr& instr) const {
    if (instr.op == Op::call || instr.op == Op::return_call || instr.op == Op::ref_func) {
      if (instr.index >= module_.functions.size()) return {};
      if (const Import* import = instr.index < module_.imported_functions ? import_of(instr.index) : nullptr)
        return fmt::format("{}.{}", printable(import->module), printable(import->name));
      const std::string name = module_.function_name(FuncIdx{instr.index});
      return names_.definition(text::NameSpace::func, instr.index).empty() && !name.starts_with("func[")
                 ? printable(name)
                 : std::string();
    }
    if (instr.op == Op::i32_const && (static_cast<i64>(instr.bits) > 255 || static_cast<i64>(instr.bits) < 0))
      return fmt::format("{:#x}", static_cast<u32>(instr.bits));
    return {};
  }
  // Names are any text; what would act on a terminal is left out.
  static std::string printable(std::string_view name) {
    std::string out(name);
    std::ranges::replace_if(out, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 127; }, '?');
    return out;
  }

  static constexpr size_t kBytesALine = 8;
  size_t text_column() const { return options_.no_bytes ? 12 : 12 + 3 * kBytesALine; }

  void line(u64 begin, u64 end, u32 depth, std::string_view text, const std::string& remark) {
    const std::span<const u8> bytes = module_.bytes().subspan(begin, end - begin);
    std::string hex;
    if (!options_.no_bytes) {
      for (const u8 b : bytes.first(std::min(bytes.size(), kBytesALine))) hex += fmt::format("{:02x} ", b);
      hex = fmt::format("{:<{}}", hex, 3 * kBytesALine);
    }
    fmt::print("{:>8x}:   {}{:>{}}{}{}\n", begin, dim(hex), "", 2 * depth, text,
               remark.empty() ? "" : dim("   ;; " + remark));
    if (options_.no_bytes) return;
    for (size_t at = kBytesALine; at < bytes.size(); at += kBytesALine) {
      std::string rest;
      for (const u8 b : bytes.subspan(at, std::min(bytes.size() - at, kBytesALine)))
        rest += fmt::format("{:02x} ", b);
      fmt::print("{:>8x}:   {}\n", begin + at, dim(rest));
    }
  }

  void data() const {
    constexpr size_t kRow = 16;
    for (u32 i = 0; i < module_.data.size(); ++i) {
      const DataSegment& segment = module_.data[i];
      fmt::print(
          "\n{} {} bytes{}\n",
          paint(Colour::bold, fmt::format("data[{}]", i) + names_.definition(text::NameSpace::data, i), 1),
          segment.bytes.size(), segment.mode == SegmentMode::passive ? ", passive" : place(segment));
      for (size_t at = 0; at < segment.bytes.size(); at += kRow) {
        const auto row = segment.bytes.subspan(at, std::min(kRow, segment.bytes.size() - at));
        std::string text;
        for (const u8 b : row) text += std::isprint(b) ? static_cast<char>(b) : '.';
        fmt::print("{:>8x}:   {:<{}}  {}\n", static_cast<u64>(row.data() - module_.bytes().data()),
                   fmt::format("{:02x}", fmt::join(row, " ")), 3 * kRow, dim(text));
      }
    }
  }
  std::string place(const DataSegment& segment) const {
    const auto text = printer_.constant(segment.memory_offset);
    return fmt::format(", memory {} at {}", segment.memory.value, text ? *text : text.error().message);
  }

  const Module& module_;
  const ObjdumpOptions& options_;
  const text::NameMaps names_;
  const text::InstrPrinter printer_;
};

// Text is translated first, as `tenon run` does.
Result<std::string> binary_of(std::string bytes) {
  constexpr std::string_view kMagic("\0asm", 4);
  const size_t first = bytes.find_first_not_of(" \t\r\n");
  if (bytes.starts_with(kMagic) || first == std::string::npos || (bytes[first] != '(' && bytes[first] != ';'))
    return bytes;
  const auto binary = text::wat_to_wasm(bytes);
  if (!binary) return std::unexpected(binary.error());
  return std::string(binary->begin(), binary->end());
}

Result<int> dump(std::string file, const ObjdumpOptions& options) {
  TRY_ASSIGN(const std::string bytes, binary_of(std::move(file)));
  DecodeOptions decode;
  decode.features = FeatureSet::all();
  decode.validate = false;
  // The printer takes a type's id for its index.
  auto registry = std::make_shared<TypeRegistry>(TypeRegistry::Identity::by_position);
  const std::span<const u8> view(reinterpret_cast<const u8*>(bytes.data()), bytes.size());
  TRY_ASSIGN(const std::unique_ptr<Module> module, decode_module(std::move(registry), view, nullptr, decode));
  return Disassembly(*module, options).run();
}

}  // namespace

int objdump(const Args& args) {
  ObjdumpOptions options;
  CLI::App app("Disassembles functions: offset in the file, bytes, instruction, callee.", "tenon objdump");
  app.add_option("FILE", options.file, "FILE.wasm or .wat")->required();
  app.add_option("-f,--function", options.functions, "only this one, by name or index")
      ->allow_extra_args(false);
  app.add_flag("--no-bytes", options.no_bytes, "leave the bytes out");
  app.add_flag("--data", options.data, "data segments too");
  if (const auto status = parse(app, args)) return *status;
  auto file = read_file(options.file);
  if (!file) return kFailed;
  const Result<int> status = dump(std::move(*file), options);
  if (status) return *status;
  std::string text = fmt::format("{}: {}", options.file, status.error().message);
  if (status.error().offset) text += fmt::format(" (at byte {:#x})", *status.error().offset);
  complain(text);
  return kFailed;
}

}  // namespace tenon::cli
