// Runs test scripts of the official suite (.wast) on the engine and counts assertions. Scripts come parsed
// from engine/text; which files to run and how to report is the tool's (spec-tests/tool.h).
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base.h"
#include "engine/opcodes.h"
#include "engine/runtime/store.h"

namespace tenon::spec {

struct RunOptions {
  FeatureSet features = FeatureSet::defaults();
  bool gc_stress = false;  // collect at every allocation
  // Gives each store its compiler; none: everything is interpreted.
  std::function<Result<std::unique_ptr<Compiler>>(Store&)> compiler;
};

struct Failure {
  u32 line;
  std::string message;
};

struct ScriptResult {
  u32 passed = 0, failed = 0;
  u32 messages = 0, messages_matched = 0;  // of rejections: does the error start with the suite's text?
  std::vector<Failure> failures;
  std::vector<Failure> mismatches;  // "wanted | got" for messages that do not match
};

// Every assertion counts one; other commands count only when they fail. Never throws, never ends the process.
ScriptResult run_script(std::string_view source, const RunOptions& options);

}  // namespace tenon::spec
