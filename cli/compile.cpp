// `tenon compile`: a module to an artefact, which `tenon run` starts without compiling.
#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "options.h"
#include "report.h"

namespace tenon::cli {
namespace {

struct CompileCommand {
  std::string in, out, target = "native";
  int opt_level = 2;
  unsigned threads = 0;
  bool fuel = false, interruptible = false, deterministic_nans = false, deterministic_simd = false;
  std::vector<std::string> enable, disable;
};

// IN with .tna for its ending.
std::string artefact_name(const std::string& in) {
  const size_t dot = in.rfind('.');
  return (dot == std::string::npos || in.find('/', dot) != std::string::npos ? in : in.substr(0, dot)) +
         ".tna";
}

// Under another name first: no half of an artefact is ever to be seen.
int write_file(const std::string& path, std::string_view bytes) {
  const std::string temporary = fmt::format("{}.{}.tmp", path, getpid());
  {
    std::ofstream file(temporary, std::ios::binary);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    if (!file.flush()) {
      complain(fmt::format("cannot write {}: {}", path, std::strerror(errno)));
      std::remove(temporary.c_str());
      return kFailed;
    }
  }
  if (std::rename(temporary.c_str(), path.c_str()) == 0) return 0;
  complain(fmt::format("cannot write {}: {}", path, std::strerror(errno)));
  std::remove(temporary.c_str());
  return kFailed;
}

}  // namespace

int compile(const Args& args) {
  if (args == Args{"--worker"}) return compile_worker();
  CompileCommand c;
  CLI::App app("Compiles a module to native code; without -o, IN.wasm gives IN.tna. Run it with `tenon run`.",
               "tenon compile");
  app.add_option("IN", c.in, "the module, .wasm or .wat")->required();
  app.add_option("-o,--output", c.out, "where the artefact goes");
  app.add_option("-O", c.opt_level, "0 to 3: how hard to optimise")
      ->check(CLI::Range(0, 3))
      ->capture_default_str();
  app.add_option("--target", c.target,
                 "native, x86-64-v2, x86-64-v3 or x86-64-v4: the processor to compile for")
      ->capture_default_str();
  app.add_option("--threads", c.threads, "compiling at once (0: all processors)");
  app.add_flag("--fuel", c.fuel, "for `tenon run --fuel`: count instructions");
  app.add_flag("--interruptible", c.interruptible, "look for interruption at loops and calls");
  app.add_flag("--deterministic-nans", c.deterministic_nans, "for `tenon run --deterministic-nans`");
  app.add_flag("--deterministic-relaxed-simd", c.deterministic_simd,
               "for `tenon run --deterministic-relaxed-simd`");
  app.add_option("--enable", c.enable, "turn a WebAssembly feature on")->allow_extra_args(false);
  app.add_option("--disable", c.disable, "turn a WebAssembly feature off")->allow_extra_args(false);
  if (const auto status = parse(app, args)) return *status;
  Config config;
  config.tier(TENON_TIER_AOT).fuel(c.fuel).interruptible(c.interruptible).opt_level(c.opt_level);
  config.deterministic_nans(c.deterministic_nans).deterministic_relaxed_simd(c.deterministic_simd);
  for (const std::string& f : c.enable)
    if (auto set = config.feature(f, true); !set) return report(set.error(), c.in);
  for (const std::string& f : c.disable)
    if (auto set = config.feature(f, false); !set) return report(set.error(), c.in);
  const Engine engine(config);
  auto module = Module::from_file(engine, c.in);
  if (!module) return report(module.error(), c.in);
  auto artefact = module->compile(engine, c.target, c.threads);
  if (!artefact) return report(artefact.error(), c.in);
  return write_file(c.out.empty() ? artefact_name(c.in) : c.out, *artefact);
}

}  // namespace tenon::cli
