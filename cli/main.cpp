// The `tenon` program: picks the command.
#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <string_view>

#include "commands.h"
#include "report.h"

namespace {

using namespace tenon::cli;

struct Command {
  std::string_view name, help;
  int (*main)(const Args&);
};
constexpr std::array<Command, 9> kCommands = {{
    {"run", "run a WebAssembly program (also: tenon FILE)", run},
    {"compile", "compile a module to native code for later runs", compile},
    {"cache", "show or clear the cache of compiled code", cache},
    {"inspect", "show what a module consists of", inspect},
    {"objdump", "disassemble a module's functions", objdump},
    {"nn", "inspect, run and test neural networks without WebAssembly", nn},
    {"wat2wasm", "translate the text format to a binary module", wat2wasm},
    {"wasm2wat", "translate a binary module to the text format", wasm2wat},
    {"wast", "run scripts of the official test suite", wast},
}};

int usage(std::FILE* out) {
  fmt::print(out, "usage: tenon COMMAND …\n\n");
  for (const Command& c : kCommands) fmt::print(out, "  {:<10}{}\n", c.name, c.help);
  fmt::print(out, "  {:<10}{}\n\n`tenon COMMAND --help` says more.\n", "--version", "version and build");
  return out == stdout ? 0 : kUsage;
}

int start(int argc, char** argv) {
  if (argc < 2) return usage(stderr);
  const std::string_view first = argv[1];
  if (first == "--help" || first == "-h" || first == "help") return usage(stdout);
  if (first == "--version" || first == "version") {
    return version();
  }
  for (const Command& c : kCommands)
    if (c.name == first) return c.main(Args(argv + 2, argv + argc));
  // What neither is a file nor looks like one or an option was meant as a command.
  if (first.find_first_of("./-") == first.npos && !std::filesystem::exists(first)) {
    complain(fmt::format("\"{}\" is neither a command nor a file", first));
    hint("`tenon --help` lists the commands");
    return kUsage;
  }
  return run(Args(argv + 1, argv + argc));
}

// Without exit handlers: code may still be being compiled in the background, and nobody waits for that.
int leave(int status) {
#if !defined(__SANITIZE_ADDRESS__) && !__has_feature(address_sanitizer)
  std::fflush(nullptr);
  std::_Exit(status);
#endif
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return leave(start(argc, argv));
  } catch (const std::exception& e) {
    complain(e.what());
    return leave(kFailed);
  }
}
