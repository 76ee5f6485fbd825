// Errors, backtraces and colours.
#include "report.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace tenon::cli {
namespace {

bool colourful(int fd) {
  const char* off = std::getenv("NO_COLOR");
  return isatty(fd) && (!off || !*off);
}

void print_backtrace(const Error& error) {
  constexpr size_t kShown = 40;
  const auto frames = error.backtrace();
  for (size_t i = 0; i < frames.size() && i < kShown; ++i) {
    std::string where = fmt::format("at {:#x}", frames[i].module_offset);
    if (const auto source = error.source(i)) where = fmt::format("at {}:{}", source->file, source->line);
    fmt::print(stderr, "  {} {} {}\n", paint(Colour::dim, fmt::format("#{:<3}", i), 2),
               view(frames[i].function), paint(Colour::dim, where, 2));
  }
  if (frames.size() > kShown) fmt::print(stderr, "  ... and {} more frames\n", frames.size() - kShown);
}

// What usually helps.
std::string hint_for(const Error& error, std::string_view file) {
  const std::string_view message = error.message();
  switch (error.kind()) {
    case TENON_ERROR_UNLINKABLE:
      return fmt::format(
          "`tenon inspect {}` lists what the module imports; `tenon run` provides WASI preview 1 and wasi-nn",
          file);
    case TENON_ERROR_MALFORMED:
      return message.starts_with("magic header") ? "the file is no WebAssembly module" : "";
    case TENON_ERROR_UNSUPPORTED: return "";
    case TENON_ERROR_TRAP:
      if (message.starts_with("all fuel")) return "--fuel=N gives more";
      if (message.starts_with("interrupted")) return "by --timeout or Ctrl-C";
      return "";
    default: return "";
  }
}

}  // namespace

std::string paint(Colour colour, std::string_view text, int fd) {
  if (!colourful(fd)) return std::string(text);
  const int code = colour == Colour::red ? 31 : colour == Colour::bold ? 1 : 2;
  return fmt::format("\x1b[{}m{}\x1b[0m", code, text);
}

void complain(std::string_view message) {
  while (message.ends_with('\n')) message.remove_suffix(1);
  fmt::print(stderr, "{} {}\n", paint(Colour::red, "tenon:", 2), message);
}

void hint(std::string_view message) {
  fmt::print(stderr, "{} {}\n", paint(Colour::dim, "  hint:", 2), message);
}

int report(Error& error, std::string_view file) {
  const tenon_error_kind_t kind = error.kind();
  if (kind == TENON_ERROR_EXIT) return error.exit_status() & 0xff;
  const bool trapped = kind == TENON_ERROR_TRAP || kind == TENON_ERROR_EXCEPTION;
  std::string text = trapped ? fmt::format("{}: trap: {}", file, error.message())
                             : fmt::format("{}: {}", file, error.message());
  if (kind == TENON_ERROR_NOT_FOUND || kind == TENON_ERROR_IO)
    text = error.message();  // they name their file
  if (const auto at = error.offset(); at && !trapped) text += fmt::format(" (at byte {:#x})", *at);
  complain(text);
  print_backtrace(error);
  if (const std::string h = hint_for(error, file); !h.empty()) hint(h);
  if (kind == TENON_ERROR_USAGE) return kUsage;
  return trapped ? kTrapped : kFailed;
}

}  // namespace tenon::cli
