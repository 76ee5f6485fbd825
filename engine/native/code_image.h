// Compiled code of a module as bytes: position-independent, the same in every process, with the tables that
// the run time needs. What a compiler makes, an artefact holds and a CodeObject maps. Knows nothing of LLVM.
#pragma once
#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/aot/cpu.h"
#include "engine/base.h"
#include "engine/error.h"
#include "engine/module.h"
#include "engine/native/code_config.h"

namespace tenon {

// Offsets of code are from the start of the code section.
struct CodeFunction {
  u32 begin, end;
  u32 func;  // FuncIdx
};
// From `pc` on, up to the next row, code comes from the instruction at `wasm_offset` (0: unknown).
struct CodeLine {
  u32 pc;
  u32 wasm_offset;
};
// Code in [begin, end) is that of an inlined call of `func`, made by what surrounds it at `call_offset` in the module.
struct CodeInlined {
  u32 begin, end;
  u32 func;  // FuncIdx
  u32 call_offset;
};
struct CodeEntry {
  u32 func;  // FuncIdx
  u32 native_entry;
};
// Where compiled code takes over an interpreted function at a loop's head (on-stack replacement).
struct OsrLoop {
  FuncIdx function;
  u32 offset;  // of the `loop` instruction in the module
  auto operator<=>(const OsrLoop&) const = default;
};
struct CodeLoop {
  u32 func;  // FuncIdx
  u32 loop;  // offset in the module
  u32 array_entry;
};
// One for each signature; `key` (signature_key()) lies in the strings section.
struct CodeThunk {
  u32 key_offset, key_size;
  u32 array_entry, native_entry;
};
// Where a function keeps its caller's registers: each in order rbx, r12, r13, r14, r15, as a number of 8-byte
// words below the caller's stack pointer (which is the frame pointer plus 16); 0: it does not touch it.
struct CodeFrame {
  u32 begin, end;
  std::array<u8, 5> saved;
  std::array<u8, 3> padding{};
};
// Exceptions that come out of a call whose return address lies in (begin, end] go on at `pad`.
struct CodeLanding {
  u32 begin, end;
  u32 pad;
};
enum class ImageSection : u8 {
  functions,
  entries,
  lines,
  inlined,
  loops,
  thunks,
  frames,
  landings,
  config,
  strings,
  code,
  count
};

// The start of an image; little-endian. The code section is the last one and begins at a multiple of
// kCodeAlignment, so that it can be mapped from a file.
inline constexpr u32 kCodeAlignment = 4096;
struct ImageHeader {
  static constexpr u32 kMagic = 0x31636e54;  // "Tnc1"
  u32 magic;
  u32 functions;  // of the module, imported ones too
  u64 size;       // of the whole image
  u32 whole;      // 1: all that can be compiled of the module is in it
  u32 reserved;
  struct Range {
    u64 offset, size;  // in bytes
  };
  std::array<Range, static_cast<size_t>(ImageSection::count)> sections;
};
static_assert(sizeof(ImageHeader) == 24 + 16 * static_cast<size_t>(ImageSection::count));

// Views of a checked image.
struct ImageView {
  ImageHeader header;
  std::span<const CodeFunction> functions;  // sorted by begin, disjoint
  std::span<const CodeEntry> entries;       // sorted by func
  std::span<const CodeLine> lines;          // sorted by pc
  std::span<const CodeInlined> inlined;     // sorted by begin, outer before inner
  std::span<const CodeLoop> loops;
  std::span<const CodeThunk> thunks;
  std::span<const CodeFrame> frames;      // of functions and thunks, sorted by begin, disjoint
  std::span<const CodeLanding> landings;  // likewise
  CodeConfig config;
  std::string_view strings;
  std::span<const u8> code;

  std::string_view text(u32 offset, u32 size) const { return strings.substr(offset, size); }
};

// Checks every length, offset and index. `image` begins at an address that is a multiple of 8. Errors:
// malformed, with what is wrong.
Result<ImageView> view_image(std::span<const u8> image, u32 module_functions);

// Puts an image together.
struct ImageParts {
  std::vector<CodeFunction> functions;
  std::vector<CodeEntry> entries;
  std::vector<CodeLine> lines;
  std::vector<CodeInlined> inlined;
  std::vector<CodeLoop> loops;
  std::vector<CodeThunk> thunks;
  std::vector<CodeFrame> frames;
  std::vector<CodeLanding> landings;
  CodeConfig config;
  std::string strings;
  std::vector<u8> code;
  u32 functions_of_module = 0;
  bool whole = false;

  // Appends to `strings`.
  u32 add_string(std::string_view s);
};
std::vector<u8> write_image(const ImageParts& parts);

// A configuration as bytes. Errors: malformed.
std::vector<u8> write_config(const CodeConfig& config);
Result<CodeConfig> read_config(std::span<const u8> bytes);

// Signatures with equal keys share thunks: "il:f", one letter for each parameter and result.
std::string signature_key(const FuncType& type);

// What a child process that compiles may use (engine/aot/worker.h). Memory is not limited in builds with a
// sanitizer, which take more address space than any limit grants.
struct WorkerLimits {
  u32 cpu_seconds = 120;
  u64 memory_bytes = u64{4} << 30;  // of address space, the program itself included
  std::string program = {};         // the `tenon` program; empty: this installation's
};

struct CompileOptions {
  u8 opt_level = 2;        // 0 to 3
  u64 cpu_features = 0;    // CpuFeatures::bits (engine/aot/cpu.h) to use; 0: those of this machine
  u32 threads = 0;         // compiling at once; 0: as many as processors
  bool verify_ir = false;  // run LLVM's verifier before and after optimisation (tests)
  bool all_lines = false;  // every instruction is in the line table, for profilers and debuggers
  std::string dump_ir;     // folder for optimised IR; empty: none
  // Budget, in instructions and operands that cross calls and branches: LLVM's time and memory grow faster
  // than a function's size. What is beyond is left out.
  u64 max_function_weight = 100'000;
  u64 max_module_weight = 30'000'000;
  // Compile that in the background, in a child process of its own; none: it stays in the interpreter.
  std::optional<WorkerLimits> worker = {};

  CpuFeatures cpu() const { return cpu_features != 0 ? CpuFeatures{cpu_features} : host_cpu_features(); }
};

// A compiler may inline functions with bodies of at most this many bytes. Who asks for some thunks only names those for
// what such functions call, too.
inline constexpr u64 kMaxInlinedBytes = 96;

// What a compiler is asked for. Any number may be compiled at once, on any threads.
struct CompileRequest {
  const Module* module;
  CodeConfig config;
  CompileOptions options;
  DecodeOptions decode;                           // how the module was decoded
  std::optional<std::vector<FuncIdx>> functions;  // sorted; none: all that can be compiled
  std::vector<OsrLoop> loops = {};                // to be entered at these too
  std::optional<std::vector<TypeId>> thunks;      // of which function types; none: of all that the module has
};

struct CompiledImage {
  std::vector<u8> image;
  std::string notice;                  // what was left out and why; empty: nothing
  std::vector<FuncIdx> left_out = {};  // functions beyond the budget; sorted
};
// Errors: malformed or invalid code where bodies were not validated before; unsupported, with the compiler's
// message.
using CompileFn = Result<CompiledImage> (*)(const CompileRequest& request);

}  // namespace tenon
