// See tool.h.
#include "spec-tests/tool.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>

namespace tenon::spec {
namespace {

namespace fs = std::filesystem;

struct SkipRow {
  std::string_view path, reason;
};
constexpr std::array kSkips = std::to_array<SkipRow>({
#define SKIP(path, reason) {path, reason},
#include "spec-tests/skips.def"
#undef SKIP
});

struct OlderRow {
  std::string_view path;
  Feature off;
};
constexpr std::array kOlder = std::to_array<OlderRow>({
#define OLDER(path, feature) {path, Feature::feature},
#include "spec-tests/suites.def"
#undef OLDER
});

struct Totals {
  u32 passed = 0, failed = 0, skipped = 0, messages = 0, messages_matched = 0;
};

std::optional<std::vector<fs::path>> collect(const std::vector<std::string>& paths, std::FILE* out) {
  std::vector<fs::path> files;
  for (const std::string& p : paths) {
    std::error_code error;
    if (fs::is_directory(p, error)) {
      for (const auto& entry : fs::recursive_directory_iterator(p, error))
        if (entry.path().extension() == ".wast") files.push_back(entry.path());
    } else if (fs::exists(p, error)) {
      files.emplace_back(p);
    }
    if (error || !fs::exists(p)) {
      fmt::print(out, "tenon: cannot read {}\n", p);
      return std::nullopt;
    }
  }
  std::ranges::sort(files);
  return files;
}

// Absolute, so that fragments match however the path was given.
std::string comparable(const fs::path& file) {
  return fs::absolute(file).lexically_normal().generic_string();
}

const SkipRow* find_skip(const std::string& path) {
  auto it = std::ranges::find_if(kSkips, [&](const SkipRow& s) { return path.contains(s.path); });
  return it == kSkips.end() ? nullptr : &*it;
}

RunOptions options_for(const std::string& path, RunOptions run) {
  for (const OlderRow& row : kOlder)
    if (path.contains(row.path)) run.features.set(row.off, false);
  return run;
}

// Control characters and quotes for JSON strings.
std::string json_string(std::string_view s) {
  std::string out = "\"";
  for (const char c : s) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<u8>(c) < 0x20)
      out += fmt::format("\\u{:04x}", static_cast<u8>(c));
    else
      out += c;
  }
  return out + "\"";
}

std::string json_row(const fs::path& file, const ScriptResult& r, const SkipRow* skip) {
  std::string failures;
  for (const Failure& f : r.failures)
    failures += fmt::format("{}{{\"line\":{},\"message\":{}}}", failures.empty() ? "" : ",", f.line,
                            json_string(f.message));
  return fmt::format("{{\"file\":{},\"passed\":{},\"failed\":{},\"skipped\":{},\"failures\":[{}]}}",
                     json_string(file.generic_string()), r.passed, skip ? 0 : r.failed, skip ? r.failed : 0,
                     failures);
}

}  // namespace

int run_tool(const ToolOptions& options, std::FILE* out) {
  const auto files = collect(options.paths, out);
  if (!files) return 2;
  Totals total;
  if (options.json) fmt::print(out, "[");
  for (size_t i = 0; i < files->size(); ++i) {
    const fs::path& file = (*files)[i];
    std::ifstream in(file, std::ios::binary);
    const std::string source((std::istreambuf_iterator<char>(in)), {});
    const std::string path = comparable(file);
    const SkipRow* skip = find_skip(path);
    ScriptResult r = run_script(source, options_for(path, options.run));
    if (skip && r.failed == 0) {
      r.failures.push_back({0, fmt::format("passes although it is on the list of skips ({})", skip->reason)});
      r.failed = 1;
      skip = nullptr;
    }
    total.passed += r.passed;
    (skip ? total.skipped : total.failed) += r.failed;
    total.messages += r.messages;
    total.messages_matched += r.messages_matched;
    if (options.json) {
      fmt::print(out, "{}\n{}", i == 0 ? "" : ",", json_row(file, r, skip));
      continue;
    }
    if (skip)
      fmt::print(out, "{}: {} skipped: {}\n", file.generic_string(), r.failed, skip->reason);
    else
      for (const Failure& f : r.failures)
        fmt::print(out, "{}:{}: {}\n", file.generic_string(), f.line, f.message);
    if (options.show_mismatches)
      for (const Failure& f : r.mismatches)
        fmt::print(out, "{}:{}: {}\n", file.generic_string(), f.line, f.message);
  }
  if (options.json) {
    fmt::print(out, "\n]\n");
  } else {
    if (total.messages > 0)
      fmt::print(out, "error messages that begin with the suite's text: {} of {}\n", total.messages_matched,
                 total.messages);
    fmt::print(out, "{} passed, {} failed, {} skipped\n", total.passed, total.failed, total.skipped);
  }
  return total.failed == 0 ? 0 : 1;
}

}  // namespace tenon::spec
