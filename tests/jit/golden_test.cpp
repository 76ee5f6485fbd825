// Modules whose IR and machine code must have a certain form: tests/jit/golden/*.wat say which, in comments.
//   ;; RUN: levels=0,1,2,3 cpu=x86-64-v3     optimisation levels; the processor that machine code is for
//   ;; RUN: checks                           with fuel, epochs and looks at the interrupt flag, which are off otherwise
//   ;; IR: text        a line of the optimised IR that holds the text, after the match before it
//   ;; IR-NEXT: text   the next line
//   ;; IR-NOT: text    no line between the matches before and after it
//   ;; IR-LABEL: text  like IR, but matches of other directives lie between their neighbouring labels
//   ;; ASM…: text      the same for the machine code
// {{…}} is a regular expression; a directive with a level, `IR2:`, is for that level only.
#include <llvm/IR/LLVMContext.h>
#include <llvm/IR/LegacyPassManager.h>
#include <llvm/IR/Module.h>
#include <llvm/IRReader/IRReader.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Support/SourceMgr.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm/Target/TargetMachine.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

#include "jit/lower/func_lowering.h"
#include "tests/jit/guest.h"

namespace tenon::jit {
namespace {

namespace fs = std::filesystem;

struct Directive {
  enum class Kind { check, next, absent, label } kind;
  std::regex pattern;
  std::string shown;
};
struct Script {
  std::vector<u32> levels{2};
  std::string cpu = "x86-64-v3";
  bool checks = false;
};

// Blanks match any number of blanks, {{…}} is a regular expression, all else is literal.
std::regex compile_pattern(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i, 2) == "{{") {
      const size_t end = text.find("}}", i);
      out += "(?:" + std::string(text.substr(i + 2, end - i - 2)) + ")";
      i = end + 1;
    } else if (text[i] == ' ') {
      out += "\\s+";
    } else {
      if (std::string_view("\\^$.|?*+()[]{}").contains(text[i])) out += '\\';
      out += text[i];
    }
  }
  return std::regex(out);
}

std::vector<Directive> directives(const std::string& source, const std::string& prefix, u32 level) {
  static const std::regex kLine(R"(^\s*;; (IR|ASM)([0-3]?)(-NEXT|-NOT|-LABEL)?: (.*?)\s*$)");
  std::vector<Directive> out;
  std::istringstream in(source);
  for (std::string line; std::getline(in, line);) {
    std::smatch m;
    if (!std::regex_match(line, m, kLine) || m[1] != prefix) continue;
    if (m[2].length() != 0 && m[2] != std::to_string(level)) continue;
    Directive::Kind kind = Directive::Kind::check;
    if (m[3] == "-NEXT") kind = Directive::Kind::next;
    if (m[3] == "-NOT") kind = Directive::Kind::absent;
    if (m[3] == "-LABEL") kind = Directive::Kind::label;
    out.push_back({kind, compile_pattern(m[4].str()), line});
  }
  return out;
}

// What does not match, or nothing.
std::string check(const std::vector<Directive>& all, const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  auto find = [&](const std::regex& r, size_t from, size_t to) {
    while (from < to && !std::regex_search(lines[from], r)) ++from;
    return from;
  };
  size_t at = 0, end = lines.size();
  std::vector<const Directive*> absent;
  auto nothing_absent = [&](size_t from, size_t to) -> std::string {
    for (const Directive* d : absent)
      if (const size_t found = find(d->pattern, from, to); found < to)
        return d->shown + "\n  found: " + lines[found];
    absent.clear();
    return {};
  };
  for (size_t d = 0; d < all.size(); ++d) {
    const Directive& want = all[d];
    if (want.kind == Directive::Kind::absent) {
      absent.push_back(&want);
      continue;
    }
    const bool label = want.kind == Directive::Kind::label;
    if (label) {
      if (auto wrong = nothing_absent(at, end); !wrong.empty()) return wrong;
      end = lines.size();
    }
    const size_t limit = want.kind == Directive::Kind::next ? std::min(at + 1, end) : end;
    const size_t found = find(want.pattern, at, limit);
    if (found == limit) return want.shown + "\n  not found after: " + (at > 0 ? lines[at - 1] : "the start");
    if (auto wrong = nothing_absent(at, found); !wrong.empty()) return wrong;
    at = found + 1;
    if (label)
      for (size_t next = d + 1; next < all.size(); ++next)
        if (all[next].kind == Directive::Kind::label) {
          end = find(all[next].pattern, at, lines.size());
          break;
        }
  }
  return nothing_absent(at, end);
}

std::string machine_code(const fs::path& ir, const std::string& cpu, u32 level) {
  llvm::LLVMContext context;
  llvm::SMDiagnostic error;
  auto module = llvm::parseIRFile(ir.string(), error, context);
  if (!module) return error.getMessage().str();
  std::string message;
  const llvm::Target* target = llvm::TargetRegistry::lookupTarget(module->getTargetTriple(), message);
  constexpr llvm::CodeGenOptLevel kLevels[] = {llvm::CodeGenOptLevel::None, llvm::CodeGenOptLevel::Less,
                                               llvm::CodeGenOptLevel::Default,
                                               llvm::CodeGenOptLevel::Aggressive};
  std::unique_ptr<llvm::TargetMachine> machine(
      target->createTargetMachine(module->getTargetTriple(), cpu, "", llvm::TargetOptions(),
                                  llvm::Reloc::PIC_, llvm::CodeModel::Small, kLevels[level], true));
  llvm::SmallString<0> bytes;
  llvm::raw_svector_ostream out(bytes);
  llvm::legacy::PassManager passes;
  if (machine->addPassesToEmitFile(passes, out, nullptr, llvm::CodeGenFileType::AssemblyFile)) return "";
  passes.run(*module);
  return bytes.str().str();
}

std::string read(const fs::path& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

Script read_run_line(const std::string& source) {
  Script s;
  std::smatch m;
  if (std::regex_search(source, m, std::regex(R"(;; RUN:.*levels=([0-3,]+))"))) {
    s.levels.clear();
    for (const char c : m[1].str())
      if (c != ',') s.levels.push_back(static_cast<u32>(c - '0'));
  }
  if (std::regex_search(source, m, std::regex(R"(;; RUN:.*cpu=(\S+))"))) s.cpu = m[1];
  s.checks = std::regex_search(source, std::regex(R"(;; RUN:.*\bchecks\b)"));
  return s;
}

class Golden : public testing::TestWithParam<fs::path> {};

TEST_P(Golden, CodeHasTheFormItsFileSays) {
  const std::string source = read(GetParam());
  const Script script = read_run_line(source);
  for (const u32 level : script.levels) {
    SCOPED_TRACE(testing::Message() << "level " << level);
    const fs::path folder = fs::temp_directory_path() /
                            ("tenon-golden-" + std::to_string(getpid()) + "-" + std::to_string(level));
    fs::create_directories(folder);
    Guest::Options options = Guest::at_level(level);
    options.jit.dump_ir = folder;
    options.jit.threads = 1;
    options.jit.fuel = options.jit.epochs = options.jit.interrupts = script.checks;
    const Guest guest(source, options);
    std::string ir, assembly;
    const auto want_assembly = directives(source, "ASM", level);
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (entry.path().string().contains("thunks")) continue;
      ir += read(entry.path());
      if (!want_assembly.empty()) assembly += machine_code(entry.path(), script.cpu, level);
    }
    if (auto wrong = check(directives(source, "IR", level), ir); !wrong.empty())
      ADD_FAILURE() << wrong << "\nin\n" << ir;
    if (auto wrong = check(want_assembly, assembly); !wrong.empty())
      ADD_FAILURE() << wrong << "\nin\n" << assembly;
    fs::remove_all(folder);
  }
}

std::vector<fs::path> files() {
  std::vector<fs::path> out;
  std::error_code missing;
  for (const auto& entry : fs::directory_iterator(TENON_SOURCE_DIR "/tests/jit/golden", missing))
    if (entry.path().extension() == ".wat") out.push_back(entry.path());
  std::ranges::sort(out);
  return out;
}

INSTANTIATE_TEST_SUITE_P(Files, Golden, testing::ValuesIn(files()),
                         [](const auto& info) { return info.param.stem().string(); });

TEST(Lowering, EveryInstructionHasOne) {
  for (size_t op = 0; op < kOpCount; ++op)
    EXPECT_NE(lowering_of(static_cast<Op>(op)), nullptr) << op_info(static_cast<Op>(op)).text;
}

// The matcher itself: a golden test that cannot fail shows nothing.
TEST(GoldenMatcher, FindsWhatIsMissingAndWhatMustNotBe) {
  const std::string text = "define f\n  a\n  b 1\n  ret\ndefine g\n  c\n  ret\n";
  auto wrong = [&](const std::string& script) { return !check(directives(script, "IR", 2), text).empty(); };
  EXPECT_FALSE(wrong(
      ";; IR-LABEL: define f\n;; IR: a\n;; IR-NEXT: b {{[0-9]}}\n;; IR-NOT: c\n;; IR-LABEL: define g\n"));
  EXPECT_TRUE(wrong(";; IR-LABEL: define f\n;; IR: c\n;; IR-LABEL: define g\n"));
  EXPECT_TRUE(wrong(";; IR: a\n;; IR-NEXT: ret\n"));
  EXPECT_TRUE(wrong(";; IR: a\n;; IR-NOT: b\n;; IR: ret\n"));
  EXPECT_TRUE(wrong(";; IR-LABEL: define g\n;; IR-NOT: c\n"));
  EXPECT_TRUE(wrong(";; IR2: missing\n"));
  EXPECT_FALSE(wrong(";; IR1: missing\n"));
}

}  // namespace
}  // namespace tenon::jit
