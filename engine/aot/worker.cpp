// The request and the result as bytes in memory files, and the child's limits.
#include "engine/aot/worker.h"

#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "engine/module.h"
#include "engine/private_folder.h"
#include "engine/runtime/jit_plugin.h"
#include "engine/runtime/plugin.h"
#include "engine/runtime/store.h"

namespace tenon {
namespace {

constexpr int kCompilerFailed = 3;  // exit status: descriptor 1 has the message
constexpr int kNiceness = 5;        // the guest goes first where processors are short

std::unexpected<Error> worker_error(ErrorCategory category, std::string what) {
  return std::unexpected(Error{category, "compiling in a child process: " + std::move(what), {}});
}
std::unexpected<Error> system_error(const char* what) {
  return worker_error(ErrorCategory::io, fmt::format("{}: {}", what, std::strerror(errno)));
}

// What goes before the configuration, the functions and the module.
struct Message {
  static constexpr u32 kAll = ~u32{0};
  char build_id[72];
  u64 cpu_features, max_function_weight, max_module_weight, features, memory_bytes;
  u32 opt_level, threads, cpu_seconds, parent;
  u32 config_size;
  u32 functions;  // kAll: all of the module
  u32 loops;
  u32 thunks;  // kAll, or 0: none
  u32 lazy_bodies;
};

bool write_all(int fd, const void* bytes, size_t size) {
  const auto* at = static_cast<const u8*>(bytes);
  while (size > 0) {
    const ssize_t n = write(fd, at, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    at += n;
    size -= static_cast<size_t>(n);
  }
  return true;
}

Result<std::vector<u8>> read_all(int fd) {
  struct stat st{};
  if (fstat(fd, &st) != 0) return system_error("reading");
  std::vector<u8> out(static_cast<size_t>(st.st_size));
  size_t done = 0;
  while (done < out.size()) {
    const ssize_t n = pread(fd, out.data() + done, out.size() - done, static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return system_error("reading");
    done += static_cast<size_t>(n);
  }
  return out;
}

Result<void> write_request(int fd, const CompileRequest& request) {
  const auto config = write_config(request.config);
  const CompileOptions& o = request.options;
  const WorkerLimits limits = o.worker.value_or(WorkerLimits{});
  const std::vector<FuncIdx> functions = request.functions.value_or(std::vector<FuncIdx>{});
  Message message{.build_id = {},
                  .cpu_features = o.cpu_features,
                  .max_function_weight = o.max_function_weight,
                  .max_module_weight = o.max_module_weight,
                  .features = request.decode.features.bits(),
                  .memory_bytes = limits.memory_bytes,
                  .opt_level = o.opt_level,
                  .threads = o.threads,
                  .cpu_seconds = limits.cpu_seconds,
                  .parent = static_cast<u32>(getpid()),
                  .config_size = static_cast<u32>(config.size()),
                  .functions = request.functions ? static_cast<u32>(functions.size()) : Message::kAll,
                  .loops = static_cast<u32>(request.loops.size()),
                  .thunks = request.thunks && request.thunks->empty() ? 0 : Message::kAll,
                  .lazy_bodies = request.decode.lazy_bodies};
  std::strncpy(message.build_id, build_id(), sizeof message.build_id - 1);
  const auto module = request.module->bytes();
  if (!write_all(fd, &message, sizeof message) || !write_all(fd, config.data(), config.size()) ||
      !write_all(fd, functions.data(), functions.size() * sizeof(FuncIdx)) ||
      !write_all(fd, request.loops.data(), request.loops.size() * sizeof(OsrLoop)) ||
      !write_all(fd, module.data(), module.size()))
    return system_error("writing the request");
  return {};
}

// With no signal blocked, as the threads that compile have them all.
Result<pid_t> spawn(const std::string& program, int in, int out) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in, 0);
  posix_spawn_file_actions_adddup2(&actions, out, 1);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  std::string name = "tenon", command = "compile", option = "--worker";
  char* const argv[] = {name.data(), command.data(), option.data(), nullptr};
  pid_t pid = -1;
  errno = posix_spawn(&pid, program.c_str(), &actions, &attributes, argv, environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (errno != 0) return system_error("starting it");
  return pid;
}

// Waits for the child's end; its exit status as waitpid() gives it.
Result<int> wait_for(pid_t pid, const std::function<bool()>& cancelled) {
  const Descriptor child(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  bool killed = child.get() < 0;  // cannot be watched: it must not be waited for without an end
  while (!killed) {
    pollfd ended{child.get(), POLLIN, 0};
    if (poll(&ended, 1, cancelled ? 100 : -1) > 0) break;
    killed = cancelled && cancelled();
  }
  if (killed) kill(pid, SIGKILL);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) return system_error("waiting for it");
  if (killed) return worker_error(ErrorCategory::limit, "it was not waited for");
  return status;
}

Result<CompiledImage> result_of(int status, int out) {
  if (WIFSIGNALED(status)) {
    const int signal = WTERMSIG(status);
    return worker_error(ErrorCategory::limit,
                        signal == SIGXCPU || signal == SIGKILL
                            ? "it took longer than its limit"
                            : fmt::format("out of memory, or a fatal error of LLVM (signal {})", signal));
  }
  TRY_ASSIGN(auto bytes, read_all(out));
  if (WEXITSTATUS(status) == kCompilerFailed)
    return worker_error(ErrorCategory::unsupported, std::string(bytes.begin(), bytes.end()));
  if (WEXITSTATUS(status) != 0 || bytes.empty())
    return worker_error(ErrorCategory::limit, fmt::format("it ended with status {}", WEXITSTATUS(status)));
  return CompiledImage{std::move(bytes), {}, {}};
}

}  // namespace

Result<CompiledImage> compile_in_child(const CompileRequest& request,
                                       const std::function<bool()>& cancelled) {
  const std::string wanted = request.options.worker.value_or(WorkerLimits{}).program;
  const std::string program = wanted.empty() ? program_path() : wanted;
  if (program.empty()) return worker_error(ErrorCategory::not_found, "there is no `tenon` program");
  const Descriptor in(memfd_create("tenon-request", MFD_CLOEXEC)),
      out(memfd_create("tenon-code", MFD_CLOEXEC));
  if (in.get() < 0 || out.get() < 0) return system_error("no memory file");
  TRY(write_request(in.get(), request));
  TRY_ASSIGN(const pid_t pid, spawn(program, in.get(), out.get()));
  TRY_ASSIGN(const int status, wait_for(pid, cancelled));
  return result_of(status, out.get());
}

CompileRequest for_child(const CompileRequest& request, std::vector<FuncIdx> functions) {
  constexpr u64 kLargestFunction = 20'000'000, kLargestModule = 300'000'000;
  CompileRequest out = request;
  out.options.max_function_weight = kLargestFunction;
  out.options.max_module_weight = kLargestModule;
  out.options.opt_level = std::min<u8>(request.options.opt_level, 1);
  out.functions = std::move(functions);
  return out;
}

namespace {

void limit_this_process(const Message& m) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  setpriority(PRIO_PROCESS, 0, kNiceness);
  const rlimit time{m.cpu_seconds, m.cpu_seconds + 1}, core{0, 0};
  setrlimit(RLIMIT_CPU, &time);
  setrlimit(RLIMIT_CORE, &core);
#if !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)
  const rlimit memory{m.memory_bytes, m.memory_bytes};
  setrlimit(RLIMIT_AS, &memory);
#endif
}

// Takes what fills `out` from the front of `bytes`.
template <class T>
void copy(std::span<const u8>& bytes, std::vector<T>& out) {
  const size_t size = out.size() * sizeof(T);
  if (size != 0) std::memcpy(out.data(), bytes.data(), size);
  bytes = bytes.subspan(size);
}

// The request is another process's of this installation; a truncated one must not crash this one.
Result<CompiledImage> compile_request(std::span<const u8> bytes) {
  Message m;
  if (bytes.size() < sizeof m) return worker_error(ErrorCategory::malformed, "no request");
  std::memcpy(&m, bytes.data(), sizeof m);
  m.build_id[sizeof m.build_id - 1] = 0;
  if (std::string_view(m.build_id) != build_id())
    return worker_error(ErrorCategory::unsupported, "the `tenon` program belongs to another build");
  bytes = bytes.subspan(sizeof m);
  const u64 functions_size = m.functions == Message::kAll ? 0 : u64{m.functions} * sizeof(FuncIdx);
  const u64 loops_size = u64{m.loops} * sizeof(OsrLoop);
  if (m.config_size + functions_size + loops_size > bytes.size())
    return worker_error(ErrorCategory::malformed, "a part of a request");
  limit_this_process(m);
  if (static_cast<u32>(getppid()) != m.parent) return worker_error(ErrorCategory::limit, "nobody waits");
  CompileRequest request{};
  TRY_ASSIGN(request.config, read_config(bytes.first(m.config_size)));
  bytes = bytes.subspan(m.config_size);
  if (m.functions != Message::kAll) copy(bytes, request.functions.emplace(m.functions));
  request.loops.resize(m.loops);
  copy(bytes, request.loops);
  if (m.thunks == 0) request.thunks.emplace();
  request.decode.lazy_bodies = m.lazy_bodies != 0;
  request.options.opt_level = static_cast<u8>(m.opt_level);
  request.options.threads = m.threads;
  request.options.cpu_features = m.cpu_features;
  request.options.max_function_weight = m.max_function_weight;
  request.options.max_module_weight = m.max_module_weight;
  for (u32 f = 0; f < kFeatureCount; ++f)
    request.decode.features.set(static_cast<Feature>(f), (m.features >> f & 1) != 0);
  Engine engine({.decode = request.decode});
  TRY_ASSIGN(const auto module, engine.compile(bytes));
  request.module = module.get();
  auto exists = [&](FuncIdx f) { return f.value < module->functions.size() && !module->is_imported(f); };
  if (!std::ranges::all_of(request.functions.value_or(std::vector<FuncIdx>{}), exists) ||
      !std::ranges::all_of(request.loops, exists, &OsrLoop::function))
    return worker_error(ErrorCategory::malformed, "no such function");
  TRY_ASSIGN(const JitPlugin* jit, jit_plugin());
  TRY_ASSIGN(CompiledImage compiled, jit->compile(request));
  if (!compiled.notice.empty()) return worker_error(ErrorCategory::limit, std::move(compiled.notice));
  return compiled;
}

}  // namespace

int run_compile_worker() {
  const auto request = read_all(0);
  if (!request) return 1;
  auto compiled = compile_request(*request);
  if (!compiled) {
    write_all(1, compiled.error().message.data(), compiled.error().message.size());
    return kCompilerFailed;
  }
  return write_all(1, compiled->image.data(), compiled->image.size()) ? 0 : 1;
}

}  // namespace tenon
