// Measures what tiering promises of a real guest, without cached code: that its first output comes no later than from the
// interpreter alone, and how soon it runs at nearly full speed. wasi-nn's functions do nothing here: the guest's own code is
// what counts. A client of the public API and of the `tenon` program.
//   warmup_bench [--repeat N] [--dir HOST] GUEST.wasm [ARGUMENT…]     the folder is the guest's root
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "../api.h"
#include "../cpu_time.h"

extern char** environ;

namespace {

using tenon::bench::cpu_seconds;
using tenon::bench::die;
using tenon::bench::need;
using tenon::bench::now;

struct Options {
  int repeat = 11;
  std::string dir = ".";
  std::vector<std::string> guest;  // file and arguments
};

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Seconds until the program has written something, to its output or its errors.
double first_output(const Options& options, const std::string& engine) {
  std::vector<std::string> words{TENON_PROGRAM, "run", "--no-cache", "--engine=" + engine,
                                 "--dir=" + options.dir + "::/"};
  words.insert(words.end(), options.guest.begin(), options.guest.end());
  std::vector<char*> argv;
  for (std::string& w : words) argv.push_back(w.data());
  argv.push_back(nullptr);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) die("no pipe");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
  posix_spawn_file_actions_adddup2(&actions, ends[1], 2);
  pid_t pid = 0;
  const double start = now();
  const int error = posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  if (error != 0) die("cannot start " TENON_PROGRAM);
  char buffer[4096];
  const bool wrote = read(ends[0], buffer, sizeof buffer) > 0;
  const double seconds = now() - start;
  while (read(ends[0], buffer, sizeof buffer) > 0) continue;  // to its end
  close(ends[0]);
  waitpid(pid, nullptr, 0);
  if (!wrote) die("the guest writes nothing");
  return seconds;
}

// Runs take turns, so that what else the machine does meets both.
void compare_first_output(const Options& options) {
  std::vector<double> interp, automatic;
  for (int i = 0; i < options.repeat; ++i) {
    interp.push_back(first_output(options, "interp"));
    automatic.push_back(first_output(options, "auto"));
  }
  std::printf("first output: interpreter alone %.4f s, tiers %.4f s (medians of %d; least %.4f and %.4f)\n",
              median(interp), median(automatic), options.repeat, *std::ranges::min_element(interp),
              *std::ranges::min_element(automatic));
}

// Runs a guest again and again, each time in a store and an instance of its own, as a server would.
class Runner {
 public:
  Runner(const Options& options, tenon_tier_t tier)
      : options_(options),
        engine_(tenon::Config().tier(tier)),
        module_(need(tenon::Module::from_file(engine_, options.guest[0]))) {}

  // CPU seconds of the calling thread.
  double run() {
    tenon::Linker linker(engine_);
    tenon::Wasi wasi;
    for (const std::string& arg : options_.guest) wasi.arg(arg);
    wasi.dir(options_.dir, "/", true);
    wasi.output([](void*, int, const void*, size_t) {}, nullptr);
    need(linker.wasi(wasi));
    define_inference(linker);
    const double start = cpu_seconds(CLOCK_THREAD_CPUTIME_ID);
    auto store = need(tenon::Store::make(engine_));
    const auto instance = need(linker.instantiate(store, module_));
    const auto entry = instance.func("_start");
    if (!entry) die("the guest has no _start");
    if (auto done = entry->call(); !done && done.error().exit_status() != 0) die(done.error().message());
    return cpu_seconds(CLOCK_THREAD_CPUTIME_ID) - start;
  }
  double shortest_run(int repeat) {
    double best = run();
    for (int i = 1; i < repeat; ++i) best = std::min(best, run());
    return best;
  }
  // CPU seconds of compiling the module as a whole.
  double compile() {
    const double start = cpu_seconds();
    static_cast<void>(need(module_.compile(engine_, "", 1)));
    return cpu_seconds() - start;
  }

 private:
  using I = int32_t;
  static void define_inference(tenon::Linker& linker) {
    const std::string nn = "wasi_ephemeral_nn";
    need(linker.func(nn, "load", [](I, I, I, I, I) -> I { return 0; }));
    need(linker.func(nn, "load_by_name", [](I, I, I) -> I { return 0; }));
    need(linker.func(nn, "init_execution_context", [](I, I) -> I { return 0; }));
    need(linker.func(nn, "set_input", [](I, I, I) -> I { return 0; }));
    need(linker.func(nn, "compute", [](I) -> I { return 0; }));
    need(linker.func(nn, "get_output", [](I, I, I, I, I) -> I { return 0; }));
  }

  const Options& options_;
  tenon::Engine engine_;
  tenon::Module module_;
};

// Nearly full speed is reached where five runs in a row take, in the median, what they take compiled / 0.9.
void warm_up(const Options& options) {
  constexpr size_t kWindow = 5;
  constexpr double kNearly = 0.9, kPatience = 60;
  const double interpreted = Runner(options, TENON_TIER_INTERP).shortest_run(3);
  Runner whole(options, TENON_TIER_JIT);
  const double compile = whole.compile();
  const double full = whole.shortest_run(10);
  std::printf("one run: interpreted %.2f ms, compiled %.2f ms; compiling all of it: %.2f s of CPU time\n",
              interpreted * 1e3, full * 1e3, compile);

  // What the process spends beside this thread it spends on compiling.
  auto compiling = [] { return cpu_seconds() - cpu_seconds(CLOCK_THREAD_CPUTIME_ID); };
  const double wall = now(), before = compiling();
  Runner tiers(options, TENON_TIER_AUTOMATIC);
  std::vector<double> window;
  for (size_t runs = 1; now() - wall < kPatience; ++runs) {
    window.push_back(tiers.run());
    if (window.size() > kWindow) window.erase(window.begin());
    if (window.size() < kWindow || median(window) > full / kNearly) continue;
    const double elapsed = now() - wall, spent = compiling() - before;
    std::printf(
        "tiers: 90 %% of full speed after %.2f s and %zu runs; %.2f s of CPU time spent on compiling: %.2f "
        "of the whole\n",
        elapsed, runs, spent, spent / compile);
    return;
  }
  std::printf("tiers: 90 %% of full speed not reached in %.0f s: %.2f ms a run\n", kPatience,
              median(window) * 1e3);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view arg = argv[i];
    const bool option = options.guest.empty() && arg.starts_with("--") && i + 1 < argc;
    if (option && arg == "--repeat")
      options.repeat = std::max(1, std::atoi(argv[++i]));
    else if (option && arg == "--dir")
      options.dir = argv[++i];
    else
      options.guest.emplace_back(arg);
  }
  if (options.guest.empty()) die("which guest?");
  compare_first_output(options);
  warm_up(options);
}
