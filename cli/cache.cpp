// `tenon cache`: what the code cache holds. A developers' command: it uses the engine's internals.
#include "engine/aot/cache.h"

#include <fmt/format.h>

#include <ctime>

#include "options.h"

namespace tenon::cli {
namespace {

std::string size_text(u64 bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  if (bytes < u64{1} << 20) return fmt::format("{:.1f} KiB", static_cast<double>(bytes) / 1024);
  return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1 << 20));
}

int failed(const Error& error) {
  complain(error.message);
  return kFailed;
}

int show(CodeCache& cache) {
  auto folder = cache.folder();
  if (!folder) return failed(folder.error());
  auto entries = cache.entries();
  if (!entries) return failed(entries.error());
  u64 total = 0;
  for (const CodeCache::Entry& e : *entries) {
    total += e.bytes;
    const time_t used = e.used;
    std::tm local{};
    localtime_r(&used, &local);
    char when[32];
    (void)std::strftime(when, sizeof when, "%F %R", &local);
    fmt::print("{}  {:>10}  used {}\n", e.file, size_text(e.bytes), when);
  }
  fmt::print("{}: {} entries, {}\n", *folder, entries->size(), size_text(total));
  return 0;
}

int clear(CodeCache& cache) {
  auto removed = cache.clear();
  if (!removed) return failed(removed.error());
  fmt::print("{} entries removed\n", *removed);
  return 0;
}

}  // namespace

int cache(const Args& args) {
  CLI::App app("Shows or clears the cache of compiled code.", "tenon cache");
  app.require_subcommand(1);
  const auto* show_command = app.add_subcommand("show", "list the entries");
  app.add_subcommand("clear", "remove all entries");
  if (const auto status = parse(app, args)) return *status;
  CodeCache code_cache({});
  return *show_command ? show(code_cache) : clear(code_cache);
}

}  // namespace tenon::cli
