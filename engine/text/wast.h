// Test scripts (.wast, as the official suite uses them: interpreter/README.md of the spec's repository) as
// data. Modules are turned into binaries here; running is spec-tests/'s work.
#pragma once
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "engine/base.h"
#include "engine/error.h"
#include "engine/opcodes.h"

namespace tenon::text {

enum class WastType : u8 {
  i32,
  i64,
  f32,
  f64,
  v128,
  ref_null,
  ref_extern,
  ref_host,
  ref_func,
  ref_any,
  ref_eq,
  ref_i31,
  ref_struct,
  ref_array,
  ref_exn,
};
enum class NanPattern : u8 { exact, canonical, arithmetic };

// A constant argument, or a pattern that a result must match.
struct WastValue {
  WastType type;
  u64 bits = 0;            // numbers; ref.extern and ref.host: the host's number
  bool any_value = false;  // a reference pattern without a number or type
  std::array<u8, 16> v128{};
  u8 lane_bytes = 16;  // v128 patterns: float lanes are compared one by one
  bool float_lanes = false;
  std::array<NanPattern, 4> nan{};  // by lane; scalars use the first
};
using WastResult = std::vector<WastValue>;  // alternatives: one, or those of (either …)

struct WastModule {
  std::optional<std::string> id;
  bool is_quoted_text = false;
  Result<std::vector<u8>> bytes;  // or why the text is malformed
};

struct WastAction {
  bool is_get = false;
  std::optional<std::string> module;
  std::string field;
  std::vector<WastValue> args;
};

struct WastCommand;
namespace wast {
struct Module {
  WastModule module;
  bool definition_only = false;
};
struct Instance {
  std::optional<std::string> id, definition;
};
struct Register {
  std::string name;
  std::optional<std::string> module;
};
struct AssertReturn {
  WastAction action;
  std::vector<WastResult> results;
};
enum class Failure : u8 { trap, exhaustion };
struct AssertTrap {
  std::variant<WastAction, WastModule> what;
  Failure failure;
  std::string text;
};
struct AssertException {
  WastAction action;
};
enum class Rejection : u8 { malformed, invalid, unlinkable, malformed_custom, invalid_custom };
struct AssertRejected {
  WastModule module;
  Rejection why;
  std::string text;
};
struct Thread {
  std::string id;
  std::vector<std::string> shared;
  std::vector<WastCommand> commands;
};
struct Wait {
  std::string thread;
};
struct Unknown {
  std::string word;
};  // a command this parser does not know
}  // namespace wast

struct WastCommand {
  u32 line;
  std::variant<wast::Module, wast::Instance, wast::Register, WastAction, wast::AssertReturn, wast::AssertTrap,
               wast::AssertException, wast::AssertRejected, wast::Thread, wast::Wait, wast::Unknown>
      what;
};

// A script; a file with plain module fields is one module. Fails only where the script itself cannot be read.
Result<std::vector<WastCommand>> parse_wast(std::string_view source,
                                            FeatureSet features = FeatureSet::defaults());

}  // namespace tenon::text
