// The program as people start it: output, exit status, messages.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

struct Ran {
  int status;
  std::string out;  // standard output and error together
};

Ran sh(const std::string& command) {
  Ran ran{-1, {}};
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  char buffer[4096];
  for (size_t n; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) ran.out.append(buffer, n);
  const int status = pclose(pipe);
  ran.status = WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
  return ran;
}
const std::string kTenon = std::string(TENON_BINARY_DIR) + "/tenon";
Ran tenon(const std::string& args) { return sh(kTenon + " " + args); }

struct CliTest : ::testing::Test {
  std::filesystem::path dir =
      std::filesystem::path(::testing::TempDir()) / ("cli-" + std::to_string(getpid()));
  CliTest() { std::filesystem::create_directories(dir); }
  ~CliTest() override { std::filesystem::remove_all(dir); }
  std::string file(const std::string& name, const std::string& text) {
    std::ofstream(dir / name) << text;
    return (dir / name).string();
  }
  // A WASI program whose _start is `body`; $print writes `length` bytes at 16.
  std::string program(const std::string& name, const std::string& body, const std::string& data = "hello\\n",
                      int length = 6) {
    return file(name, R"((module
      (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
      (memory (export "memory") 1) (data (i32.const 16) ")" +
                          data + R"(")
      (func $print (i32.store (i32.const 0) (i32.const 16)) (i32.store (i32.const 4) (i32.const )" +
                          std::to_string(length) + R"())
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
      (func $start (export "_start") )" +
                          body + "))");
  }
};

TEST_F(CliTest, RunsAProgramWithAndWithoutTheWordRun) {
  const std::string hello = program("hello.wat", "(call $print)");
  for (const char* command : {"run ", "", "run --engine=interp "}) {
    const Ran ran = tenon(command + hello);
    EXPECT_EQ(ran.status, 0);
    EXPECT_EQ(ran.out, "hello\n");
  }
}

TEST_F(CliTest, LoadsNeitherLlvmNorOneDnnForHello) {
  const std::string hello = program("hello.wat", "(call $print)");
  const Ran ran = sh("LD_DEBUG=files " + kTenon + " run " + hello);
  EXPECT_EQ(ran.status, 0);
  EXPECT_THAT(ran.out, Not(HasSubstr("libLLVM")));
  EXPECT_THAT(ran.out, Not(HasSubstr("libdnnl")));
  EXPECT_THAT(ran.out, Not(HasSubstr("tenon-jit")));
}

TEST_F(CliTest, CompilesAndRunsAnArtefactWithoutLlvm) {
  const std::string hello = program("hello.wat", "(call $print)");
  const std::string artefact = (dir / "hello.tna").string();
  for (const char* options : {"", "-O0 ", "-O3 --target x86-64-v2 "}) {
    const Ran made = tenon(std::string("compile ") + options + hello);
    if (made.out.find("no jit part") != std::string::npos) GTEST_SKIP() << made.out;
    ASSERT_EQ(made.status, 0) << made.out;
    const Ran ran = sh("LD_DEBUG=files " + kTenon + " run --engine=aot --no-cache " + artefact);
    EXPECT_EQ(ran.status, 0);
    EXPECT_THAT(ran.out, HasSubstr("hello\n"));
    EXPECT_THAT(ran.out, Not(HasSubstr("libLLVM")));
  }
  std::filesystem::resize_file(artefact, 1000);
  const Ran cut = tenon("run " + artefact);
  EXPECT_NE(cut.status, 0);
  EXPECT_THAT(cut.out, HasSubstr("bytes, its header says"));
  // Native code comes in by its name only.
  std::filesystem::rename(artefact, dir / "innocent.wasm");
  EXPECT_NE(tenon("run " + (dir / "innocent.wasm").string()).status, 0);
}

TEST_F(CliTest, AnArtefactForOtherOptionsIsRefusedAndSaysWhich) {
  const std::string hello = program("hello.wat", "(call $print)");
  const std::string artefact = (dir / "hello.tna").string();
  const Ran made = tenon("compile --deterministic-nans " + hello);
  if (made.out.find("no jit part") != std::string::npos) GTEST_SKIP() << made.out;
  ASSERT_EQ(made.status, 0) << made.out;
  EXPECT_EQ(tenon("run --deterministic-nans " + artefact).out, "hello\n");
  EXPECT_EQ(tenon("run --engine=interp " + artefact).out, "hello\n");
  const Ran other = tenon("run --fuel 1000 " + artefact);
  EXPECT_EQ(other.status, 1);
  EXPECT_THAT(other.out, HasSubstr("artefact: compiled without fuel, with deterministic NaNs"));
}

TEST_F(CliTest, CompilesForTheProcessorThatIsNamed) {
  const std::string hello = program("hello.wat", "(call $print)");
  const Ran older = tenon("run --engine=jit --no-cache --cpu x86-64-v2 " + hello);
  if (older.out.find("no jit part") != std::string::npos) GTEST_SKIP() << older.out;
  EXPECT_EQ(older.out, "hello\n");
  const Ran unknown = tenon("run --cpu pdp-11 " + hello);
  EXPECT_EQ(unknown.status, 2);
  EXPECT_THAT(unknown.out, HasSubstr("no processor is called \"pdp-11\""));
}

TEST_F(CliTest, KeepsCompiledCodeForTheNextRun) {
  const std::string hello = program("hello.wat", "(call $print)");
  const std::string with_cache = "XDG_CACHE_HOME=" + (dir / "cache").string() + " ";
  const Ran first = sh(with_cache + kTenon + " run --engine=aot " + hello);
  if (first.out.find("no jit part") != std::string::npos) GTEST_SKIP() << first.out;
  EXPECT_EQ(first.out, "hello\n");
  EXPECT_THAT(sh(with_cache + kTenon + " cache show").out, HasSubstr(": 1 entries"));
  const Ran second = sh(with_cache + "LD_DEBUG=files " + kTenon + " run --engine=aot " + hello);
  EXPECT_THAT(second.out, HasSubstr("hello\n"));
  EXPECT_THAT(second.out, Not(HasSubstr("libLLVM")));
  EXPECT_EQ(sh(with_cache + kTenon + " cache clear").out, "1 entries removed\n");
  EXPECT_EQ(sh(with_cache + kTenon + " run --engine=aot --no-cache " + hello).out, "hello\n");
  EXPECT_THAT(sh(with_cache + kTenon + " cache show").out, HasSubstr(": 0 entries"));
  // A folder that cannot be used: said once, and the program runs.
  const Ran open =
      sh("mkdir -p " + (dir / "open/tenon").string() + "; chmod 777 " + (dir / "open/tenon").string() +
         "; XDG_CACHE_HOME=" + (dir / "open").string() + " " + kTenon + " run --engine=aot " + hello);
  EXPECT_EQ(open.status, 0);
  EXPECT_THAT(open.out, HasSubstr("closed to others"));
  const Ran nowhere = sh("XDG_CACHE_HOME=/dev/null " + kTenon + " run --engine=aot " + hello);
  EXPECT_EQ(nowhere.status, 0);
  EXPECT_THAT(nowhere.out,
              HasSubstr("code cache: cannot create /dev/null/tenon: Not a directory: going on without"));
  EXPECT_THAT(nowhere.out, HasSubstr("hello\n"));
  EXPECT_THAT(open.out, HasSubstr("hello\n"));
}

// The program alone, as where the package with the compiler is not installed.
TEST_F(CliTest, WithoutItsCompilerItInterpretsAndSaysSoOnce) {
  const std::string hello = program("hello.wat", "(call $print)");
  const std::string alone = (dir / "alone").string() + "/tenon";
  std::filesystem::create_directories(dir / "alone");
  std::filesystem::copy_file(kTenon, alone);
  for (const char* engine : {"jit", "aot"}) {
    const Ran ran = sh(alone + " run --no-cache --engine=" + engine + " " + hello);
    EXPECT_EQ(ran.status, 0) << engine;
    EXPECT_EQ(ran.out,
              "tenon: " + (dir / "alone").string() +
                  "/tenon-jit.so is not there; this installation has no jit part: interpreted\nhello\n")
        << engine;
  }
  EXPECT_EQ(sh(alone + " run --no-cache " + hello).out, "hello\n") << "nothing gets hot here";
  const Ran compile = sh(alone + " compile " + hello);
  EXPECT_NE(compile.status, 0);
  EXPECT_THAT(compile.out, HasSubstr("no jit part"));
}

TEST_F(CliTest, GivesTheGuestsExitStatus) {
  EXPECT_EQ(tenon("run " + program("exit.wat", "(call $exit (i32.const 42)) (unreachable)")).status, 42);
}

TEST_F(CliTest, TrapsShowABacktraceAndGive134) {
  const std::string f = file("trap.wat", R"((module
    (func $divide (param i32) (result i32) (i32.div_u (i32.const 1) (local.get 0)))
    (func $work (drop (call $divide (i32.const 0))))
    (func $main (export "_start") (call $work))))");
  const Ran ran = tenon(f);
  EXPECT_EQ(ran.status, 134);
  EXPECT_THAT(ran.out, HasSubstr("trap: integer divide by zero"));
  EXPECT_THAT(ran.out, ::testing::ContainsRegex("#0 +divide at 0x.*\n.*#1 +work at 0x.*\n.*#2 +main at 0x"));
  EXPECT_THAT(ran.out, Not(HasSubstr("\x1b"))) << "no colours in a pipe";
}

TEST_F(CliTest, GuestArgumentsAreTheGuests) {
  // Prints argv[2], which looks like an option.
  const std::string f = file("args.wat", R"((module
    (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "_start")
      (drop (call $args (i32.const 100) (i32.const 1000)))
      (i32.store (i32.const 0) (i32.load (i32.const 108))) (i32.store (i32.const 4) (i32.const 9))
      (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))))");
  EXPECT_EQ(tenon("run " + f + " one --engine=x").out, "--engine=");
  EXPECT_EQ(tenon(f + " one --version").out, "--version");
}

TEST_F(CliTest, InvokeCallsAnExportAndPrintsResults) {
  const std::string f = file("f.wat", R"((module
    (func (export "f") (param i32 i64 f64) (result i64 f64) (i64.add (i64.extend_i32_s (local.get 0)) (local.get 1))
      (local.get 2))))");
  const Ran ran = tenon("run --invoke f " + f + " -5 0x10 2.5");
  EXPECT_EQ(ran.status, 0) << ran.out;
  EXPECT_EQ(ran.out, "11\n2.5\n");
  EXPECT_THAT(tenon("run --invoke f " + f + " 1 2").out, HasSubstr("takes 3 arguments, 2 given"));
  EXPECT_THAT(tenon("run --invoke f " + f + " 1 2 x").out, HasSubstr("argument 3"));
  EXPECT_THAT(tenon("run --invoke g " + f).out, HasSubstr("exports no function \"g\""));
  EXPECT_THAT(tenon("run " + f).out, HasSubstr("--invoke"));
}

TEST_F(CliTest, TimeoutAndFuelStopALoop) {
  const std::string f = file("loop.wat", R"((module (func (export "_start") (loop $l (br $l)))))");
  const Ran timeout = tenon("run --timeout 0.05 " + f);
  EXPECT_EQ(timeout.status, 134);
  EXPECT_THAT(timeout.out, HasSubstr("interrupted"));
  // A guest that sleeps in WASI instead.
  const std::string sleeper = file("sleep.wat", R"((module
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1) (data (i32.const 4) "\01")
    (func (export "_start") (loop $l (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8))) (br $l)))))");
  const Ran slept = sh("bash -c '" + kTenon + " run --timeout 0.05 " + sleeper +
                       " 2>&1 < <(exec sleep 20 > /dev/null 2>&1)'");
  EXPECT_THAT(slept.out, HasSubstr("interrupted"));
  const Ran fuel = tenon("run --fuel 1000000 " + f);
  EXPECT_EQ(fuel.status, 134);
  EXPECT_THAT(fuel.out, HasSubstr("all fuel consumed"));
}

TEST_F(CliTest, CompiledLoopsEndByTimeoutAndCtrlCWithABacktrace) {
  const std::string f =
      file("spin.wat", R"((module (func $spin (loop $l (br $l))) (func (export "_start") (call $spin))))");
  for (const std::string engine : {"interp", "jit"}) {
    const Ran timeout = tenon("run --engine=" + engine + " --timeout 0.3 " + f);
    EXPECT_EQ(timeout.status, 134) << timeout.out;
    EXPECT_THAT(timeout.out, HasSubstr("interrupted"));
    EXPECT_THAT(timeout.out, HasSubstr("spin"));
    const Ran pressed = sh("timeout --signal=INT --preserve-status --kill-after=20 0.5 " + kTenon +
                           " run --engine=" + engine + " " + f + " 2>&1");
    EXPECT_EQ(pressed.status, 130) << pressed.out;
    EXPECT_THAT(pressed.out, HasSubstr("spin"));
  }
}

// The main thread waits for the other one, which never ends: its place is what is reported.
TEST_F(CliTest, ThreadsEndByTimeoutAndCtrlCWithTheBacktraceOfOneThatRuns) {
  const std::string f = file("threads.wat", R"((module
    (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
    (import "env" "memory" (memory 1 1 shared))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (export "memory" (memory 0))
    (func $turn (loop $l (br $l)))
    (data (i32.const 16) "\20\00\00\00\03\00\00\00") (data (i32.const 32) "go\n")
    (func (export "wasi_thread_start") (param i32 i32)
      (drop (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 8))) (call $turn))
    (func $join (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1))))
    (func (export "_start") (drop (call $spawn (i32.const 0))) (call $join))))");
  for (const std::string engine : {"interp", "jit", "auto"}) {
    const Ran timeout = tenon("run --no-cache --engine=" + engine + " --timeout 1 " + f);
    EXPECT_EQ(timeout.status, 134) << timeout.out;
    EXPECT_THAT(timeout.out, HasSubstr("interrupted"));
    EXPECT_THAT(timeout.out, HasSubstr("turn"));
    EXPECT_THAT(timeout.out, Not(HasSubstr("join")));
  }
  // Ctrl-C when the thread has said that it is there. (The shell would let it ignore SIGINT.)
  const std::string out = (dir / "out").string();
  const Ran pressed =
      sh("env --default-signal=INT " + kTenon + " run --no-cache --engine=jit " + f + " > " + out +
         " 2>&1 & for i in $(seq 400); do grep -qs go " + out +
         " && break; sleep 0.05; done; kill -INT $!; wait $!; status=$?; cat " + out + "; exit $status");
  EXPECT_EQ(pressed.status, 130) << pressed.out;
  EXPECT_THAT(pressed.out, HasSubstr("interrupted"));
}

// With nobody running, one that waits is shown.
TEST_F(CliTest, ThreadsThatAllWaitEndByTimeout) {
  const std::string f = file("waiting.wat", R"((module (import "env" "memory" (memory 1 1 shared))
    (func $sleep (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1))))
    (func (export "_start") (call $sleep))))");
  const Ran timeout = tenon("run --no-cache --timeout 1 " + f);
  EXPECT_EQ(timeout.status, 134) << timeout.out;
  EXPECT_THAT(timeout.out, HasSubstr("sleep"));
}

// A guest of `clang -g`: backtraces have its source lines.
TEST_F(CliTest, BacktracesNameSourceLines) {
  if (sh("which clang-22").status != 0)
    GTEST_SKIP() << "no clang-22 to compile a guest with debug information";
  const std::string source = file("lines.c", R"(static int at(int *p, int n) {
  if (n == 0)
    __builtin_trap();
  return p[n];
}
__attribute__((noinline)) int sum(int *p, int n) {
  int s = 0;
  for (int i = n; i >= 0; --i)
    s += at(p, i);
  return s;
}
int table[64];
__attribute__((export_name("_start"))) void start(void) {
  sum(table, 5);
}
)");
  for (const std::string version : {"4", "5"}) {
    const std::string guest = (dir / ("lines" + version + ".wasm")).string();
    const Ran compiled = sh("clang-22 --target=wasm32 -gdwarf-" + version +
                            " -O1 -nostdlib --no-wasm-opt -Wl,--no-entry " + source + " -o " + guest);
    ASSERT_EQ(compiled.status, 0) << compiled.out;
    for (const std::string engine : {"interp", "jit"}) {
      const Ran ran = tenon("run --no-cache --engine=" + engine + " " + guest);
      EXPECT_EQ(ran.status, 134);
      EXPECT_THAT(ran.out, testing::ContainsRegex("sum at [^ ]*lines\\.c:3\n")) << version << engine;
      EXPECT_THAT(ran.out, testing::ContainsRegex("start at [^ ]*lines\\.c:14\n")) << version << engine;
    }
  }
}

TEST_F(CliTest, ErrorsSayWhatToDoNext) {
  EXPECT_THAT(tenon("run /nowhere.wasm").out, HasSubstr("cannot read /nowhere.wasm"));
  const Ran import = tenon("run " + file("i.wat", R"((module (import "env" "f" (func))))"));
  EXPECT_EQ(import.status, 1);
  EXPECT_THAT(import.out, HasSubstr("unknown import"));
  EXPECT_THAT(import.out, HasSubstr("tenon inspect"));
  const Ran option = tenon("run --nonsense x.wasm");
  EXPECT_EQ(option.status, 2);
  EXPECT_THAT(option.out, HasSubstr("--help"));
  EXPECT_EQ(tenon("run").status, 2);
  EXPECT_EQ(tenon("").status, 2);
  EXPECT_THAT(tenon("run --env =A " + program("h.wat", "(call $print)")).out, HasSubstr("KEY=VALUE"));
  EXPECT_THAT(tenon("run --env TENON_NOT_SET " + program("h.wat", "(call $print)")).out,
              HasSubstr("no such variable"));
  EXPECT_THAT(tenon("run --max-memory lots " + program("h.wat", "(call $print)")).out, HasSubstr("--help"));
  EXPECT_THAT(tenon("run --dir /nowhere/at/all " + program("h.wat", "(call $print)")).out,
              HasSubstr("/nowhere/at/all"));
}

TEST_F(CliTest, WrongUsageIsNoTrapAndGives2) {
  const std::string module = file("m.wat", R"((module (func (export "_start"))))");
  const std::pair<const char*, const char*> cases[] = {
      {"--env TENON_NO_SUCH_VARIABLE", "no such variable"},
      {"--env =x", "wants KEY=VALUE"},
      {"--fuel -1", "below 0"},
      {"--timeout -1", "below 0"},
      {"--max-memory -1", "below 0"},
      {"--nn-max-graphs -1", "below 0"},
      {"--max-memory 5Q", "unit"},
      {"--engine fast", "interp"},
      {"--no-such-option", "unknown option"},
  };
  for (const auto& [option, text] : cases) {
    const Ran ran = tenon("run " + std::string(option) + " " + module);
    EXPECT_EQ(ran.status, 2) << option << ": " << ran.out;
    EXPECT_THAT(ran.out, HasSubstr(text));
    EXPECT_THAT(ran.out, Not(HasSubstr("trap")));
  }
  const Ran word = tenon("frobnicate");
  EXPECT_EQ(word.status, 2);
  EXPECT_THAT(word.out, HasSubstr("neither a command nor a file"));
  const Ran folder = tenon("compile " + module + " -o " + dir.string() + "/none/m.tna");
  EXPECT_NE(folder.status, 0);
  EXPECT_THAT(folder.out, Not(HasSubstr(".tmp")));
}

TEST_F(CliTest, TruncatedAndRandomFilesAreErrorsNotCrashes) {
  std::string bytes("\0asm\1\0\0\0\1\x4\1\x60\0\0\3\2\1\0\xa\4\1\2\0\x0b", 24);
  for (size_t n = 0; n < bytes.size(); ++n) {
    const Ran ran = tenon("run " + file("cut.wasm", bytes.substr(0, n)));
    EXPECT_EQ(ran.status, 1) << n << ": " << ran.out;
    EXPECT_THAT(ran.out, StartsWith("tenon: "));
  }
}

TEST_F(CliTest, InspectShowsPartsAndJson) {
  const std::string f = program("hello.wat", "(call $print)");
  const Ran text = tenon("inspect " + f);
  EXPECT_EQ(text.status, 0);
  EXPECT_THAT(text.out, HasSubstr("wasi_snapshot_preview1 fd_write  func [i32 i32 i32 i32] -> [i32]"));
  const Ran json = tenon("inspect --json " + f);
  EXPECT_THAT(json.out, HasSubstr("\"name\": \"_start\""));
  EXPECT_EQ(tenon("inspect /nowhere.wasm").status, 1);
}

TEST_F(CliTest, TranslatesBothWaysToTheSameBytes) {
  const std::string f = program("hello.wat", "(call $print)");
  const std::string base = (dir / "hello").string();
  ASSERT_EQ(tenon("wat2wasm " + f).status, 0);
  ASSERT_EQ(tenon("wasm2wat " + base + ".wasm -o " + base + "2.wat").status, 0);
  ASSERT_EQ(tenon("wat2wasm " + base + "2.wat").status, 0);
  EXPECT_EQ(sh("cmp " + base + ".wasm " + base + "2.wasm").status, 0);
  const Ran bad = tenon("wat2wasm " + file("bad.wat", "(module\n  (func (i32.bogus)))"));
  EXPECT_EQ(bad.status, 1);
  EXPECT_THAT(bad.out, HasSubstr("2:10"));
}

TEST_F(CliTest, ModelsAreInspectedAndNamedForGuests) {
  if (!std::filesystem::exists(std::string(TENON_BINARY_DIR) + "/tenon-nn.so"))
    GTEST_SKIP() << "built without wasi-nn";
  const std::string model = std::string(TENON_SOURCE_DIR) + "/examples/digits/digits.onnx";
  const Ran inspected = tenon("nn inspect " + model);
  EXPECT_EQ(inspected.status, 0) << inspected.out;
  EXPECT_THAT(inspected.out, HasSubstr("Conv"));
  EXPECT_NE(tenon("nn inspect /nowhere.onnx").status, 0);
  EXPECT_NE(tenon("nn bogus").status, 0);
  EXPECT_EQ(tenon("nn").status, 2);
  const std::string hello = program("hello.wat", "(call $print)");
  const Ran ran = tenon("run --nn-stats --nn-graph digits=" + model + " " + hello);
  EXPECT_EQ(ran.status, 0) << ran.out;
  EXPECT_THAT(ran.out, StartsWith("hello\n"));
  const Ran missing = tenon("run --nn-graph digits=/nowhere.onnx " + hello);
  EXPECT_EQ(missing.status, 1);
  EXPECT_THAT(missing.out, HasSubstr("/nowhere.onnx"));
  EXPECT_NE(tenon("run --nn-graph digits " + hello).status, 0) << "no path";
}

// The compiler is loaded in the background after the inference library, whose thread-local variables it has to live with.
TEST_F(CliTest, CodeIsCompiledBesideAModel) {
  for (const char* plugin : {"/tenon-nn.so", "/tenon-jit.so"})
    if (!std::filesystem::exists(TENON_BINARY_DIR + std::string(plugin)))
      GTEST_SKIP() << "built without " << plugin;
  const std::string guest = file("hot.wat", R"((module
    (import "wasi_ephemeral_nn" "load_by_name" (func $load (param i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1) (data (i32.const 16) "digits")
    (func (export "_start") (local $n i32)
      (if (call $load (i32.const 16) (i32.const 6) (i32.const 0)) (then (call $exit (i32.const 3))))
      (loop $next
        (br_if $next (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 200000000)))))))");
  const Ran ran = tenon("run --no-cache --nn-graph digits=" + std::string(TENON_SOURCE_DIR) +
                        "/examples/digits/digits.onnx " + guest);
  EXPECT_EQ(ran.status, 0);
  EXPECT_EQ(ran.out, "");
}

TEST_F(CliTest, VersionNamesTheBuildAndItsParts) {
  const Ran ran = tenon("--version");
  EXPECT_EQ(ran.status, 0);
  EXPECT_THAT(ran.out, StartsWith("tenon 0.1.0 ("));
  for (const char* part : {"\ncompiler ", "\ninference ", "\nfeatures ", "simd", "\nprocessor "})
    EXPECT_THAT(ran.out, HasSubstr(part));
}

TEST_F(CliTest, ObjdumpShowsOffsetsBytesNamesAndTypes) {
  const std::string f = file("d.wat", R"((module
    (import "env" "log" (func (param i32)))
    (func $add (export "add") (param i32 i32) (result i32) (local i64 i64 f32)
      (if (local.get 0) (then (call 0 (i32.const 65536))))
      (i32.add (local.get 0) (local.get 1)))
    (func $other (drop (call $add (i32.const 1) (i32.const 2))))
    (memory 1) (data $greeting (i32.const 8) "hello, world, and more")))");
  const Ran all = tenon("objdump --data " + f);
  EXPECT_EQ(all.status, 0) << all.out;
  EXPECT_THAT(all.out, HasSubstr("func[0] type[0] (param i32) (import \"env\" \"log\")"));
  EXPECT_THAT(all.out, HasSubstr("func[1] $add type[1] (param i32 i32) (result i32) (export \"add\")"));
  EXPECT_THAT(all.out, HasSubstr("local[2..3] i64"));
  EXPECT_THAT(all.out, HasSubstr("local[4] f32"));
  EXPECT_THAT(all.out, ::testing::ContainsRegex("[0-9a-f]+:   41 80 80 04 +i32.const 65536   ;; 0x10000\n"));
  EXPECT_THAT(all.out, ::testing::ContainsRegex(":   10 00 +call 0   ;; env.log\n"));
  EXPECT_THAT(all.out, HasSubstr("call $add\n"));
  EXPECT_THAT(all.out, ::testing::ContainsRegex("data\\[0\\] .greeting 22 bytes, memory 0 at i32.const 8\n"));
  EXPECT_THAT(all.out, HasSubstr("hello, world, an"));
  EXPECT_THAT(all.out, Not(HasSubstr("\x1b"))) << "no colours in a pipe";
  const Ran one = tenon("objdump --no-bytes -f add " + f);
  EXPECT_THAT(one.out, HasSubstr("i32.add"));
  EXPECT_THAT(one.out, Not(HasSubstr("$other")));
  EXPECT_EQ(one.out, tenon("objdump --no-bytes -f 1 " + f).out) << "by index";
  EXPECT_EQ(tenon("objdump -f nothing " + f).status, 2);
  EXPECT_EQ(tenon("objdump /nowhere.wasm").status, 1);
}

TEST_F(CliTest, ObjdumpOfDamagedFilesSaysWhere) {
  const std::string bytes("\0asm\1\0\0\0\1\4\1\x60\0\0\3\2\1\0\xa\6\1\4\0\x41\x05\xff",
                          26);  // an opcode that is none
  const Ran ran = tenon("objdump " + file("bad.wasm", bytes));
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.out, HasSubstr("(at byte 0x1"));
  for (const size_t n : {0, 7, 9, 13, 17, 21, 23, 25})
    EXPECT_EQ(tenon("objdump " + file("cut.wasm", bytes.substr(0, n))).status, 1);
}

TEST_F(CliTest, ColoursAreForTerminalsAndNoColorTurnsThemOff) {
  if (sh("script --version").status != 0) GTEST_SKIP() << "no script(1) to make a terminal";
  const std::string inspect =
      "script -qec '" + kTenon + " inspect " + program("h.wat", "(call $print)") + "' /dev/null";
  EXPECT_THAT(sh(inspect).out, HasSubstr("\x1b[1m"));
  EXPECT_THAT(sh("NO_COLOR=1 " + inspect).out, Not(HasSubstr("\x1b")));
}

TEST_F(CliTest, StandardStreamsGoWhereTheyAreSent) {
  const std::string echo = file("echo.wat", R"((module
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "_start")
      (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 100))
      (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 4)))
      (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
      (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8))))))");
  EXPECT_EQ(sh("printf abc | " + kTenon + " run --stderr null " + echo).out, "abc") << "passed through";
  const std::string in = file("in", "from a file"), out = (dir / "out").string();
  EXPECT_EQ(tenon("run --stdin " + in + " --stdout " + out + " " + echo).out, "from a file")
      << "only errors are left";
  EXPECT_EQ(sh("cat " + out).out, "from a file");
  EXPECT_EQ(tenon("run --stdin null --stdout " + out + " " + echo).out, "");
  EXPECT_EQ(sh("cat " + out).out, "") << "written anew";
  const Ran missing = tenon("run --stdin /nowhere/in " + echo);
  EXPECT_EQ(missing.status, 2);
  EXPECT_THAT(missing.out, HasSubstr("/nowhere/in: No such file"));
}

TEST_F(CliTest, ProfileNamesTheFunctionsThatTakeTheTime) {
  const std::string f = file("hot.wat", R"((module
    (func $hot (param i32) (result i32) (local $x i32)
      (loop $next
        (local.set $x (i32.xor (i32.mul (local.get $x) (i32.const 31)) (local.get 0)))
        (br_if $next (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
      (local.get $x))
    (func $middle (param i32) (result i32) (i32.add (call $hot (local.get 0)) (i32.const 1)))
    (func $main (export "_start") (local $i i32)
      (loop $again
        (drop (call $middle (i32.const 1000000)))
        (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 300)))))))");
  for (const std::string& engine : {std::string("interp"), std::string("jit")}) {
    if (engine == "jit" && !std::filesystem::exists(std::string(TENON_BINARY_DIR) + "/tenon-jit.so"))
      continue;
    const Ran ran = tenon("run --profile --engine=" + engine + " " + f);
    EXPECT_EQ(ran.status, 0) << ran.out;
    EXPECT_THAT(ran.out, StartsWith("profile: ")) << engine;
    const size_t hot = ran.out.find("  hot\n"), middle = ran.out.find("  middle\n"),
                 main = ran.out.find("  main\n");
    ASSERT_NE(hot, std::string::npos) << ran.out;
    EXPECT_LT(hot, middle) << ran.out;
    EXPECT_NE(middle, std::string::npos) << "callers have their part of the total:\n" << ran.out;
    EXPECT_NE(main, std::string::npos) << ran.out;
  }
  EXPECT_THAT(tenon("run --profile " + program("hello.wat", "(call $print)")).out,
              HasSubstr("before the first sample"));
}

TEST_F(CliTest, TheHostsVariablesArePassedByName) {
  const std::string f = file("env.wat", R"((module
    (import "wasi_snapshot_preview1" "environ_get" (func $env (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "_start")
      (drop (call $env (i32.const 100) (i32.const 1000)))
      (i32.store (i32.const 0) (i32.const 1000)) (i32.store (i32.const 4) (i32.const 19))
      (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))))");
  EXPECT_EQ(sh("TENON_A=x=1 " + kTenon + " run --env TENON_A --env B=two= " + f).out,
            std::string("TENON_A=x=1\0B=two=\0", 19));
}

TEST_F(CliTest, MemoryLimitStopsGrowth) {
  const std::string f = file("m.wat", R"((module (memory 1)
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))))");
  EXPECT_EQ(tenon("run --max-memory 256K --invoke grow " + f + " 3").out, "1\n");
  EXPECT_EQ(tenon("run --max-memory 256K --invoke grow " + f + " 4").out, "-1\n");
  const Ran small = tenon("run --max-memory 1000 --invoke grow " + f + " 0");
  EXPECT_EQ(small.status, 1);
  EXPECT_THAT(small.out, HasSubstr("memory"));
}

}  // namespace
