// `tenon --version`: what this build is and what it has to work with.
#include <fmt/format.h>

#include <fstream>

#include "commands.h"
#include "engine/opcodes.h"
#include "engine/runtime/jit_plugin.h"
#include "engine/runtime/nn_plugin.h"
#include "engine/runtime/plugin.h"
#include "tenon.h"

namespace tenon::cli {
namespace {

std::string features(bool on) {
  std::string out;
  const FeatureSet defaults = FeatureSet::defaults();
#define FEATURE(id, name, default_on)                                 \
  if (defaults.has(Feature::id) == on && Feature::id != Feature::mvp) \
    out += std::string(out.empty() ? "" : " ") + name;
#include "engine/features.def"
  return out;
}

template <class Plugin>  // or why it could not be loaded
std::string plugin_version(const Plugin& plugin) {
  return plugin ? (*plugin)->version() : "not there (" + plugin.error().message + ")";
}

std::string processor() {
  std::ifstream info("/proc/cpuinfo");
  std::string model = "unknown", flags;
  for (std::string line; std::getline(info, line);) {
    const size_t colon = line.find(": ");
    if (colon == std::string::npos) continue;
    if (line.starts_with("model name")) model = line.substr(colon + 2);
    if (!line.starts_with("flags")) continue;
    flags = line.substr(colon + 1) + " ";
    break;
  }
  std::string known;
  for (const char* name : {"sse4_2", "avx2", "fma", "avx512f", "avx512_vnni", "amx_tile"})
    if (flags.find(fmt::format(" {} ", name)) != std::string::npos) known += fmt::format(" {}", name);
  return model + (known.empty() ? "" : "," + known);
}

}  // namespace

int version() {
  fmt::print("tenon {} ({})\n", tenon_version(), tenon_build_id());
  fmt::print("compiler   {}\n", plugin_version(jit_plugin()));
  fmt::print("inference  {}\n", plugin_version(nn_plugin()));
  fmt::print("features   {}\n", features(true));
  if (const std::string off = features(false); !off.empty()) fmt::print("off        {}\n", off);
  fmt::print("processor  {}\n", processor());
  return 0;
}

}  // namespace tenon::cli
