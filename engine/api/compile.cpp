// Compiled code in the C API: artefacts, and modules that come with code from the cache.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "engine/aot/artefact.h"
#include "engine/aot/cache.h"
#include "engine/aot/worker.h"
#include "engine/native/module_code.h"
#include "engine/runtime/jit_plugin.h"
#include "engine/runtime/plugin.h"
#include "handles.h"

using namespace tenon;

namespace {

CodeChecks checks_of(const tenon_config& config) {
  const EngineOptions& o = config.options;
  return {o.fuel, o.epochs, config.interruptible, o.deterministic_nans, o.deterministic_simd};
}

// Functions beyond the budget, in a child process; null and a word on stderr where that fails: they are interpreted.
std::shared_ptr<const CodeObject> compile_oversized(const CompileRequest& request,
                                                    std::vector<FuncIdx> functions) {
  CompileRequest oversized = for_child(request, std::move(functions));
  oversized.thunks.emplace();  // there already
  auto compile = [&]() -> Result<std::shared_ptr<const CodeObject>> {
    TRY_ASSIGN(CompiledImage compiled, compile_in_child(oversized));
    return CodeObject::load(*request.module, std::move(compiled.image));
  };
  auto code = compile();
  if (code) return std::move(*code);
  fmt::print(stderr, "tenon: {}: interpreted\n", code.error().message);
  return nullptr;
}

// The code of the whole module in an artefact.
Result<std::vector<u8>> compile_module(const tenon_config& config, const Module& module, CpuFeatures cpu,
                                       u32 threads) {
  CompileOptions options;
  options.opt_level = config.opt_level;
  options.threads = threads;
  options.cpu_features = cpu.bits;
  options.worker.emplace();
  TRY_ASSIGN(const JitPlugin* jit, jit_plugin());
  const CompileRequest request{
      &module, expected_config(module, checks_of(config)), options, config.options.decode, {}, {}, {}};
  TRY_ASSIGN(CompiledImage compiled, jit->compile(request));
  if (!compiled.notice.empty()) fmt::print(stderr, "tenon: {}\n", compiled.notice);
  std::vector<std::shared_ptr<const CodeObject>> code;
  TRY_ASSIGN(code.emplace_back(), CodeObject::load(module, std::move(compiled.image)));
  if (!compiled.left_out.empty())
    if (auto rest = compile_oversized(request, std::move(compiled.left_out))) code.push_back(std::move(rest));
  return write_artefact(module.bytes(), code, {cpu, config.opt_level});
}

// Code that the engine could not use would be interpreted, slowly, without a word.
Result<void> check_options(const tenon_config& config, const Module& module) {
  if (config.options.tier == EngineOptions::Tier::interp) return {};
  std::string why;
  for (const auto* variant : module.code().variants()) {
    why = difference(variant->config().checks, checks_of(config));
    if (why.empty()) return {};
  }
  if (why.empty()) return {};  // no code at all
  return std::unexpected(Error{ErrorCategory::unsupported,
                               fmt::format("artefact: compiled {}, unlike what is asked for now: compile it "
                                           "with the options that it is to run with",
                                           why),
                               {}});
}

tenon_error_t* load(tenon_engine_t* engine, Result<std::shared_ptr<const Artefact>> artefact,
                    tenon_module_t** out) {
  auto module = api::module_of_artefact(*engine->engine, engine->config, std::move(artefact));
  if (!module) return api::make_error(module.error());
  *out = new tenon_module{std::move(*module), {}, {}};
  return nullptr;
}

}  // namespace

Result<std::vector<u8>> api::artefact_of(const tenon_config& config, const Module& module) {
  const auto code = module.code().objects();
  if (code.empty() && config.options.tier != EngineOptions::Tier::interp)
    if (auto compiled = compile_module(config, module, config.cpu, 0)) return compiled;
  return write_artefact(module.bytes(), code, {host_cpu_features(), config.opt_level});
}

Result<std::shared_ptr<const Module>> api::new_module(const tenon_engine& engine, std::span<const u8> bytes,
                                                      std::shared_ptr<const void> owner) {
  if (engine.cache) {
    const auto artefact = engine.cache->find(bytes, engine.cache_key());
    if (artefact)
      if (auto module = load_module(*engine.engine, artefact)) return module;
  }
  return engine.engine->compile(bytes, std::move(owner));
}

Result<std::shared_ptr<const Module>> api::module_of_artefact(
    Engine& engine, const tenon_config& config, Result<std::shared_ptr<const Artefact>> artefact) {
  if (!artefact) return std::unexpected(std::move(artefact.error()));
  TRY_ASSIGN(auto module, load_module(engine, *artefact));
  TRY(check_options(config, *module));
  module->code().expected_to_fit = true;
  return module;
}

tenon_error_t* tenon_module_compile(const tenon_engine_t* engine, const tenon_module_t* module,
                                    const char* target, uint32_t threads, tenon_string_t* out) try {
  const auto cpu = target ? cpu_features_of_target(target) : std::optional(engine->config.cpu);
  if (!cpu) return api::no_such_target(target);
  auto bytes = compile_module(engine->config, *module->module, *cpu, threads);
  if (!bytes) return api::make_error(bytes.error());
  *out = api::new_string({reinterpret_cast<const char*>(bytes->data()), bytes->size()});
  return nullptr;
} catch (...) {
  return api::caught();
}

tenon_error_t* tenon_module_load(tenon_engine_t* engine, const void* bytes, size_t size,
                                 tenon_module_t** out) try {
  return load(engine, Artefact::from_bytes({static_cast<const u8*>(bytes), size}), out);
} catch (...) {
  return api::caught();
}

tenon_error_t* tenon_module_load_file(tenon_engine_t* engine, const char* path, tenon_module_t** out) try {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  auto failed = [path](int error) {
    return api::make_error(Error{error == ENOENT ? ErrorCategory::not_found : ErrorCategory::io,
                                 fmt::format("cannot read {}: {}", path, std::strerror(error)),
                                 {}});
  };
  if (fd < 0) return failed(errno);
  struct stat st{};
  tenon_error_t* error = nullptr;
  if (fstat(fd, &st) != 0)
    error = failed(errno);
  else if (!S_ISREG(st.st_mode))
    error = failed(S_ISDIR(st.st_mode) ? EISDIR : EINVAL);
  else
    error = load(engine, Artefact::read(fd, static_cast<u64>(st.st_size)), out);
  close(fd);
  return error;
} catch (...) {
  return api::caught();
}
