// `tenon wast`: the runner of the official suite (spec-tests/), a developers' command: it uses the engine's
// internals.
#include <fmt/format.h>

#include <atomic>

#include "engine/native/native_tier.h"
#include "engine/runtime/plugin.h"
#include "spec-tests/tool.h"

#include "options.h"

namespace tenon::cli {

int wast(const Args& args) {
  std::string engine = "interp";
  bool tier_stress = false;
  bool no_fallback = false;
  std::atomic<u32> left_out{0};  // notices of the compiler
  spec::ToolOptions options;
  CLI::App app("Runs .wast scripts, or all in folders.", "tenon wast");
  app.add_option("PATH", options.paths, "scripts or folders")->required();
  app.add_option("--engine", engine, "auto, interp, jit or aot")
      ->check(CLI::IsMember({"auto", "interp", "jit", "aot"}));
  app.add_flag("--tier-stress", tier_stress,
               "with --engine=auto: compile at the first call, replace loops at their first iteration");
  app.add_flag("--json", options.json, "for machines");
  app.add_flag("--mismatches", options.show_mismatches, "rejections whose message differs from the suite's");
  app.add_flag("--gc-stress", options.run.gc_stress, "collect garbage at every allocation");
  app.add_flag("--no-fallback", no_fallback,
               "with jit: fail when the compiler leaves anything to the interpreter");
  if (const auto status = parse(app, args)) return *status;
  if (engine != "interp") {
    const auto jit = jit_plugin();
    if (!jit) {
      complain(jit.error().message);
      return kFailed;
    }
    tenon::NativeOptions native;
    native.as_artefact = engine == "aot";
    native.eager = engine != "auto";
    native.tiering = {.automatic = engine == "auto", .stress = tier_stress};
    if (tier_stress) native.opt_level = 1;
    native.notice = [&left_out](const std::string& what) {
      if (left_out.fetch_add(1) == 0) complain(what);
    };
    options.run.compiler = [native](tenon::Store& store) { return make_jit_tier(store, native); };
  }
  const int status = spec::run_tool(options, stdout);
  if (left_out != 0) fmt::print(stderr, "{} modules with code that was not compiled\n", left_out.load());
  return no_fallback && left_out != 0 ? kFailed : status;
}

}  // namespace tenon::cli
