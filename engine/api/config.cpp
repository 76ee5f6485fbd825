// Configuration and engines of the C API.
#include <algorithm>

#include "engine/native/announce.h"
#include "engine/runtime/plugin.h"
#include "handles.h"

using namespace tenon;

const char* tenon_version(void) { return TENON_VERSION; }
const char* tenon_build_id(void) { return build_id(); }

tenon_config_t* tenon_config_new(void) try { return new tenon_config; } catch (...) {
  return nullptr;
}
void tenon_config_delete(tenon_config_t* config) { delete config; }

void tenon_config_set_tier(tenon_config_t* config, tenon_tier_t tier) {
  using Tier = EngineOptions::Tier;
  config->options.tier = tier == TENON_TIER_JIT      ? Tier::jit
                         : tier == TENON_TIER_AOT    ? Tier::aot
                         : tier == TENON_TIER_INTERP ? Tier::interp
                                                     : Tier::automatic;
}

tenon_error_t* tenon_config_set_feature(tenon_config_t* config, const char* name, bool on) try {
  const auto feature = feature_from_name(name);
  if (!feature)
    return api::make_error(
        Error{ErrorCategory::not_found, fmt::format("no WebAssembly feature is called \"{}\"", name), {}});
  config->options.decode.features.set(*feature, on);
  return nullptr;
} catch (...) {
  return api::caught();
}

void tenon_config_set_fuel(tenon_config_t* config, bool on) { config->options.fuel = on; }
void tenon_config_set_deterministic_nans(tenon_config_t* config, bool on) {
  config->options.deterministic_nans = on;
}
void tenon_config_set_deterministic_relaxed_simd(tenon_config_t* config, bool on) {
  config->options.deterministic_simd = on;
}
void tenon_config_set_interruptible(tenon_config_t* config, bool on) { config->interruptible = on; }
void tenon_config_set_cancellable(tenon_config_t* config, bool on) { config->cancellable = on; }
void tenon_config_set_epochs(tenon_config_t* config, bool on) { config->options.epochs = on; }
tenon_error_t* tenon_config_set_profile(tenon_config_t*, tenon_profile_t profile) try {
  if (profile == TENON_PROFILE_GDB) announce_to_gdb();
  if (profile != TENON_PROFILE_PERF) return nullptr;
  const auto opened = announce_to_perf();
  return opened ? nullptr : api::make_error(opened.error());
} catch (...) {
  return api::caught();
}
void tenon_config_set_max_memory(tenon_config_t* config, uint64_t bytes) {
  config->limits.memory_bytes = bytes;
}
void tenon_config_set_max_table_elements(tenon_config_t* config, uint64_t n) {
  config->limits.table_elements = n;
}
void tenon_config_set_max_gc_heap(tenon_config_t* config, uint64_t bytes) {
  config->limits.gc_heap_bytes = bytes;
}
void tenon_config_set_pooled_memories(tenon_config_t* config, uint32_t n) {
  config->options.pooled_memories = n;
}
void tenon_config_set_max_stack(tenon_config_t* config, uint64_t bytes) {
  constexpr u64 kLeast = u64{64} << 10, kMost = u64{1} << 30, kPage = 4096, kInterpreter = 8;
  const u64 rounded = (std::clamp<u64>(bytes, kLeast, kMost) + kPage - 1) & ~(kPage - 1);
  config->limits.native_stack_bytes = rounded;
  config->limits.value_stack_bytes = kInterpreter * rounded;
}
void tenon_config_set_max_instances(tenon_config_t* config, uint32_t n) { config->limits.instances = n; }

void tenon_config_set_opt_level(tenon_config_t* config, int level) {
  config->opt_level = static_cast<u8>(std::clamp(level, 0, 3));
}
tenon_error_t* tenon_config_set_cpu(tenon_config_t* config, const char* name) try {
  const auto cpu = cpu_features_of_target(name);
  if (!cpu) return api::no_such_target(name);
  if (const std::string missing = missing_features(*cpu, host_cpu_features()); !missing.empty())
    return api::make_error(
        Error{ErrorCategory::unsupported, fmt::format("this processor lacks {} of {}", missing, name), {}});
  config->cpu = *cpu;
  return nullptr;
} catch (...) {
  return api::caught();
}
void tenon_config_set_cache(tenon_config_t* config, bool on) { config->cache = on; }

tenon_engine_t* tenon_engine_new(const tenon_config_t* config) try {
  const tenon_config copy = config ? *config : tenon_config{};
  auto engine = std::make_shared<Engine>(copy.options);
  auto* handle = new tenon_engine{std::move(engine), copy};
  if (copy.cache && copy.options.tier != EngineOptions::Tier::interp)
    handle->cache = std::make_shared<CodeCache>(CodeCache::Options{});
  return handle;
} catch (...) {
  return nullptr;
}
void tenon_engine_delete(tenon_engine_t* engine) { delete engine; }
void tenon_engine_increment_epoch(tenon_engine_t* engine) { engine->engine->increment_epoch(); }
