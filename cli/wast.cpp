// `tenon wast`: the runner of the official suite (spec-tests/), a developers' command: it uses the engine's
// internals.
#include "engine/native/native_tier.h"
#include "engine/runtime/plugin.h"
#include "spec-tests/tool.h"

#include "options.h"

namespace tenon::cli {

int wast(const Args& args) {
  std::string engine = "interp";
  spec::ToolOptions options;
  CLI::App app("Runs .wast scripts, or all in folders.", "tenon wast");
  app.add_option("PATH", options.paths, "scripts or folders")->required();
  app.add_option("--engine", engine, "interp, jit or aot")->check(CLI::IsMember({"interp", "jit", "aot"}));
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
    options.run.compiler = [aot = engine == "aot"](tenon::Store& store) {
      NativeOptions native;
      native.as_artefact = aot;
      return make_jit_tier(store, std::move(native));
    };
  }
  return spec::run_tool(options, stdout);
}

}  // namespace tenon::cli
