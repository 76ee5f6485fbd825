// `tenon wast`: the runner of the official suite (spec-tests/), a developers' command: it uses the engine's
// internals.
#include "engine/native/native_tier.h"
#include "engine/runtime/plugin.h"
#include "spec-tests/tool.h"

#include "options.h"

namespace tenon::cli {

int wast(const Args& args) {
  std::string engine = "interp";
  bool tier_stress = false;
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
  if (const auto status = parse(app, args)) return *status;
  if (engine != "interp") {
    const auto jit = jit_plugin();
    if (!jit) {
      complain(jit.error().message);
      return kFailed;
    }
    NativeOptions native;
    native.as_artefact = engine == "aot";
    native.eager = engine != "auto";
    native.tiering = {.automatic = engine == "auto", .stress = tier_stress};
    if (tier_stress) native.opt_level = 1;
    options.run.compiler = [native](tenon::Store& store) { return make_jit_tier(store, native); };
  }
  return spec::run_tool(options, stdout);
}

}  // namespace tenon::cli
