// `tenon run`: a WASI command, or one exported function.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include "ctrl_c.h"
#include "nn_options.h"
#include "options.h"
#include "progress.h"
#include "report.h"

namespace tenon::cli {
namespace {

struct RunOptions {
  std::string engine = "auto", invoke, profile, standard_in, standard_out, standard_error;
  std::vector<std::string> dirs, env, enable, disable;
  NnRunOptions nn;
  bool cache = true;
  int opt_level = 2;
  std::string cpu = "native";
  bool deterministic_nans = false, deterministic_simd = false;
  std::optional<uint64_t> fuel, max_memory;
  double timeout = 0;
  std::string file;
  Args guest_args;
};

// Parses the options; what follows the file belongs to the guest, options or not.
std::optional<int> read_options(const Args& args, RunOptions& o) {
  CLI::App app(
      "Runs a WebAssembly program: FILE.wasm, .wat or .tna (see `tenon compile`), then its own arguments.",
      "tenon run");
  app.prefix_command();
  app.add_option("--engine", o.engine,
                 "auto, interp, jit or aot (compile as a whole, or take it from the cache)")
      ->check(CLI::IsMember({"auto", "interp", "jit", "aot"}));
  app.add_flag("!--no-cache", o.cache, "neither look for compiled code of earlier runs nor keep it");
  app.add_option("-O", o.opt_level, "0 to 3: how hard to optimise compiled code")->check(CLI::Range(0, 3));
  app.add_option("--cpu", o.cpu, "native, x86-64-v2, x86-64-v3 or x86-64-v4: the processor to compile for");
  app.add_flag("--deterministic-nans", o.deterministic_nans, "NaN results have the same bits everywhere");
  app.add_flag("--deterministic-relaxed-simd", o.deterministic_simd,
               "relaxed SIMD does the same everywhere, not what is fast on this processor");
  app.add_option("--dir", o.dirs, "HOST[::GUEST][:ro]: give the program a directory")
      ->allow_extra_args(false);
  app.add_option("--env", o.env, "KEY=VALUE: set an environment variable; KEY: pass the host's")
      ->allow_extra_args(false);
  app.add_option("--stdin", o.standard_in, "FILE, or null: what the program reads instead of our input");
  app.add_option("--stdout", o.standard_out, "FILE, or null: where its output goes");
  app.add_option("--stderr", o.standard_error, "FILE, or null: where its errors, and ours, go");
  app.add_option("--invoke", o.invoke, "call this exported function with the arguments, print its results");
  add_nn_options(app, o.nn);
  app.add_flag(
         "--profile{functions}", o.profile,
         "print at the end which functions took the time; =perf or =gdb: tell that program the names of "
         "compiled functions (perf record -k mono, perf inject --jit)")
      ->check(CLI::IsMember({"functions", "perf", "gdb"}));
  app.add_option("--fuel", o.fuel, "trap after about this many instructions")->check(not_negative());
  app.add_option("--timeout", o.timeout, "trap after this many seconds")->check(not_negative());
  app.add_option("--max-memory", o.max_memory, "largest linear memory in bytes")
      ->transform(CLI::AsSizeValue(false))
      ->transform(not_negative());
  app.add_option("--enable", o.enable, "turn a WebAssembly feature on")->allow_extra_args(false);
  app.add_option("--disable", o.disable, "turn a WebAssembly feature off")->allow_extra_args(false);
  if (const auto status = parse(app, args)) return status;
  Args rest = app.remaining();
  if (!rest.empty() && rest.front() == "--") rest.erase(rest.begin());
  if (rest.empty() || rest.front().starts_with("-")) {
    complain(rest.empty() ? "no file to run" : fmt::format("unknown option {}", rest.front()));
    hint("usage: tenon run [OPTIONS] FILE [ARGS…]; `tenon run --help` lists the options");
    return kUsage;
  }
  o.file = rest.front();
  o.guest_args.assign(rest.begin() + 1, rest.end());
  return std::nullopt;
}

struct Dir {
  std::string host, guest;
  bool read_only;
};

// HOST[::GUEST][:ro]
Dir parse_dir(std::string_view spec) {
  const bool read_only = spec.ends_with(":ro");
  if (read_only) spec.remove_suffix(3);
  const size_t split = spec.find("::");
  const std::string host(spec.substr(0, split));
  return {host, split == std::string_view::npos ? host : std::string(spec.substr(split + 2)), read_only};
}

// Nothing, after saying so, when an option is wrong.
std::optional<Wasi> make_wasi(const RunOptions& o) {
  Wasi wasi;
  wasi.arg(o.file);
  if (o.invoke.empty())
    for (const std::string& a : o.guest_args) wasi.arg(a);
  for (const std::string& e : o.env) {
    const size_t split = e.find('=');
    if (e.empty() || split == 0) {
      complain(fmt::format("--env wants KEY=VALUE or KEY, not \"{}\"", e));
      return std::nullopt;
    }
    const char* const inherited = split == std::string::npos ? std::getenv(e.c_str()) : "";
    if (!inherited) {
      complain(fmt::format("--env {}: there is no such variable to pass", e));
      hint(fmt::format("--env {}=VALUE sets one", e));
      return std::nullopt;
    }
    wasi.env(e.substr(0, split), split == std::string::npos ? inherited : e.substr(split + 1));
  }
  for (const std::string& d : o.dirs) {
    const Dir dir = parse_dir(d);
    wasi.dir(dir.host, dir.guest, dir.read_only);
  }
  return wasi;
}

// Puts a file in the place of a standard stream, as a shell does. Empty: leaves it.
bool redirect(const std::string& file, int fd) {
  if (file.empty()) return true;
  constexpr mode_t kReadWrite = 0666;
  const int flags = fd == STDIN_FILENO ? O_RDONLY : O_WRONLY | O_CREAT | O_TRUNC;
  const int opened = open(file == "null" ? "/dev/null" : file.c_str(), flags | O_CLOEXEC, kReadWrite);
  if (opened < 0 || dup2(opened, fd) < 0) {
    complain(fmt::format("cannot open {}: {}", file, std::strerror(errno)));
    hint("a name without folders means a file in the current one; null is nothing");
    return false;
  }
  close(opened);
  return true;
}

// Folders of the host that the guest can write.
std::vector<std::string> writable_folders(const RunOptions& o) {
  std::vector<std::string> folders;
  for (const std::string& d : o.dirs)
    if (const Dir dir = parse_dir(d); !dir.read_only) folders.push_back(dir.host);
  return folders;
}

template <class T>
bool read_number(std::string_view text, T& out) {
  int base = 10;
  if constexpr (std::is_integral_v<T>)
    if (text.starts_with("0x")) base = 16, text.remove_prefix(2);
  std::from_chars_result r;
  if constexpr (std::is_integral_v<T>)
    r = std::from_chars(text.data(), text.data() + text.size(), out, base);
  else
    r = std::from_chars(text.data(), text.data() + text.size(), out);
  return r.ec == std::errc() && r.ptr == text.data() + text.size();
}

bool read_value(std::string_view text, uint8_t kind, tenon_val_t& out) {
  out = {};
  out.kind = kind;
  uint32_t u32 = 0;
  uint64_t u64 = 0;
  switch (kind) {
    case TENON_I32:
      if (read_number(text, out.of.i32)) return true;
      return read_number(text, u32) && (out.of.i32 = static_cast<int32_t>(u32), true);
    case TENON_I64:
      if (read_number(text, out.of.i64)) return true;
      return read_number(text, u64) && (out.of.i64 = static_cast<int64_t>(u64), true);
    case TENON_F32: return read_number(text, out.of.f32);
    case TENON_F64: return read_number(text, out.of.f64);
    default: return false;
  }
}

std::string show_value(const tenon_val_t& v) {
  switch (v.kind) {
    case TENON_I32: return fmt::format("{}", v.of.i32);
    case TENON_I64: return fmt::format("{}", v.of.i64);
    case TENON_F32: return fmt::format("{}", v.of.f32);
    case TENON_F64: return fmt::format("{}", v.of.f64);
    case TENON_V128: {
      std::string hex;
      for (const uint8_t b : v.of.v128) hex += fmt::format("{:02x}", b);
      return hex;
    }
    default: return v.of.ref == 0 ? "null" : "ref";
  }
}

int call_export(const Instance& instance, const RunOptions& o) {
  const auto func = instance.func(o.invoke);
  if (!func) {
    complain(fmt::format("{} exports no function \"{}\"", o.file, o.invoke));
    hint(fmt::format("`tenon inspect {}` lists its exports", o.file));
    return kUsage;
  }
  const tenon_functype_t type = func->type();
  if (type.param_count != o.guest_args.size() || type.param_count > std::size(type.params)) {
    complain(
        fmt::format("\"{}\" takes {} arguments, {} given", o.invoke, type.param_count, o.guest_args.size()));
    return kUsage;
  }
  std::vector<tenon_val_t> args(type.param_count);
  for (size_t i = 0; i < args.size(); ++i)
    if (!read_value(o.guest_args[i], type.params[i], args[i])) {
      complain(fmt::format("argument {} of \"{}\": \"{}\" is no value of its type", i + 1, o.invoke,
                           o.guest_args[i]));
      return kUsage;
    }
  auto results = func->call(args);
  if (!results) return report(results.error(), o.file);
  for (const tenon_val_t& v : *results) fmt::print("{}\n", show_value(v));
  return 0;
}

// A command's _start, or the function that --invoke names (after a reactor's _initialize).
int call_entry(const Instance& instance, const RunOptions& o) {
  if (!o.invoke.empty()) {
    if (auto init = instance.get<void()>("_initialize"))
      if (auto result = (*init)(); !result) return report(result.error(), o.file);
    return call_export(instance, o);
  }
  auto start = instance.get<void()>("_start");
  if (!start) {
    complain(fmt::format("{} is no program: it exports no function \"_start\"", o.file));
    hint(fmt::format("--invoke=NAME calls another export; `tenon inspect {}` lists them", o.file));
    return kFailed;
  }
  auto result = (*start)();
  return result ? 0 : report(result.error(), o.file);
}

int call_profiled(Store& store, const Instance& instance, const RunOptions& o) {
  constexpr uint32_t kHz = 1000;
  if (auto started = store.profile_start(kHz); !started) return report(started.error(), o.file);
  const int status = call_entry(instance, o);
  fmt::print(stderr, "{}", store.profile_stop());
  return status;
}

Result<void> configure(Config& config, const RunOptions& o) {
  config.tier(o.engine == "jit"      ? TENON_TIER_JIT
              : o.engine == "aot"    ? TENON_TIER_AOT
              : o.engine == "interp" ? TENON_TIER_INTERP
                                     : TENON_TIER_AUTOMATIC);
  config.fuel(o.fuel.has_value()).cancellable(o.timeout > 0).opt_level(o.opt_level);
  config.cache(o.cache && o.profile != "perf" &&
               o.profile != "gdb");  // kept code has no lines but those of traps
  config.deterministic_nans(o.deterministic_nans).deterministic_relaxed_simd(o.deterministic_simd);
  if (auto set = config.cpu(o.cpu); !set) return set;
  if (o.max_memory) config.max_memory(*o.max_memory);
  if (o.profile == "perf" || o.profile == "gdb")
    if (auto set = config.profile(o.profile == "perf" ? TENON_PROFILE_PERF : TENON_PROFILE_GDB); !set)
      return set;
  for (const std::string& f : o.enable)
    if (auto set = config.feature(f, true); !set) return set;
  for (const std::string& f : o.disable)
    if (auto set = config.feature(f, false); !set) return set;
  return {};
}

Result<Module> load(const Engine& engine, const RunOptions& o) {
  const Progress progress("reading " + o.file);
  // By its name, not by its content: native code must not come in as something harmless.
  return o.file.ends_with(".tna") ? Module::load_file(engine, o.file) : Module::from_file(engine, o.file);
}

// Most of the time that this takes is the compiler's.
Result<Instance> instantiate(Linker& linker, Store& store, const Module& module, const RunOptions& o) {
  const Progress progress("compiling " + o.file);
  return linker.instantiate(store, module);
}

// A program with threads has stores of its own for each.
int run_with_threads(const Engine& engine, const Module& module, const Wasi& wasi, const Nn* nn,
                     const RunOptions& o) {
  if (o.fuel) {
    complain("--fuel: a program with threads has none");
    hint("--timeout=SECONDS ends it");
    return kUsage;
  }
  const CtrlC ctrl_c([&wasi] { wasi.interrupt_threads(); });
  constexpr double kPatience = 1;  // for threads that are in the middle of a host's function
  std::optional<Timer> last;
  const Timer timer(o.timeout, [&] {
    last.emplace(kPatience, [&o]() -> bool {
      complain(fmt::format("{}: trap: interrupted", o.file));
      std::_Exit(kTrapped);
    });
    wasi.interrupt_threads();
    return false;
  });
  if (o.profile == "functions") hint("programs with threads are not profiled");
  auto status = run_threads(engine, module, wasi, nn);
  const int code = status ? *status & 0xff : report(status.error(), o.file);
  return ctrl_c.pressed() ? kInterrupted : code;
}

}  // namespace

int run(const Args& args) {
  RunOptions o;
  if (const auto status = read_options(args, o)) return *status;
  Config config;
  if (auto configured = configure(config, o); !configured) return report(configured.error(), o.file);
  if (!redirect(o.standard_in, STDIN_FILENO) || !redirect(o.standard_out, STDOUT_FILENO) ||
      !redirect(o.standard_error, STDERR_FILENO))
    return kUsage;
  const Engine engine(config);
  auto module = load(engine, o);
  if (!module) return report(module.error(), o.file);
  const auto wasi = make_wasi(o);
  if (!wasi) return kUsage;
  auto nn = make_nn(*module, o.nn, writable_folders(o));
  if (!nn) return report(nn.error(), o.file);
  const auto end = [&](int status) {
    if (o.nn.stats) fmt::print(stderr, "{}", *nn ? (*nn)->statistics() : "wasi-nn was not used\n");
    return status;
  };
  if (module->wants_threads() && o.invoke.empty())
    return end(run_with_threads(engine, *module, *wasi, *nn ? &**nn : nullptr, o));
  Linker linker(engine);
  if (auto linked = linker.wasi(*wasi); !linked) return report(linked.error(), o.file);
  if (*nn)
    if (auto linked = linker.nn(**nn); !linked) return report(linked.error(), o.file);
  auto store = Store::make(engine);
  if (!store) return report(store.error(), o.file);
  if (o.fuel) store->set_fuel(*o.fuel);
  int status = 0;
  {
    const CtrlC ctrl_c(*store);
    const Timer timer(o.timeout, [&store] { return store->interrupt(), false; });
    auto instance = instantiate(linker, *store, *module, o);
    status = !instance                  ? report(instance.error(), o.file)
             : o.profile == "functions" ? call_profiled(*store, *instance, o)
                                        : call_entry(*instance, o);
    if (ctrl_c.pressed()) status = kInterrupted;
  }
  return end(status);
}

}  // namespace tenon::cli
