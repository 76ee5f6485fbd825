// wasi-nn of the C API: all of it is in tenon-nn.so.
#include "engine/runtime/plugin.h"
#include "handles.h"

using namespace tenon;

tenon_error_t* tenon_nn_new(uint32_t threads, tenon_nn_t** out) try {
  auto plugin = nn_plugin();
  if (!plugin) return api::make_error(plugin.error());
  auto environment = (*plugin)->create_environment({.threads = threads});
  if (!environment) return api::make_error(environment.error());
  *out = new tenon_nn{std::make_shared<api::NnState>(std::move(*environment))};
  return nullptr;
} catch (...) {
  return api::caught();
}

void tenon_nn_delete(tenon_nn_t* nn) { delete nn; }

tenon_error_t* tenon_nn_add_graph(tenon_nn_t* nn, const char* spec) try {
  auto added = nn->state->environment->add_graph(spec);
  return added ? nullptr : api::make_error(added.error());
} catch (...) {
  return api::caught();
}

tenon_error_t* tenon_nn_add_graph_bytes(tenon_nn_t* nn, const char* name, const void* bytes, size_t size,
                                        void (*release)(void*), void* release_env) try {
  auto added = nn->state->environment->add_graph_bytes(name, api::byte_span(bytes, size),
                                                       api::owner_of(release, release_env));
  return added ? nullptr : api::make_error(added.error());
} catch (...) {
  return api::caught();
}

void tenon_nn_set_finder(tenon_nn_t* nn, tenon_nn_find_t find, void* env) {
  nn->state->environment->set_finder([find, env](std::string_view name) -> std::optional<NnFoundModel> {
    tenon_nn_model_t model = {};
    if (!find(env, name.data(), name.size(), &model)) return std::nullopt;
    return NnFoundModel{model.path ? model.path : "", api::byte_span(model.bytes, model.size),
                        api::owner_of(model.release, model.release_env)};
  });
}

void tenon_nn_set(tenon_nn_t* nn, tenon_nn_setting_t setting, uint64_t value) {
  static_assert(TENON_NN_TIMING == static_cast<int>(NnSetting::timing));
  if (setting >= TENON_NN_MAX_MODEL_BYTES && setting <= TENON_NN_TIMING)
    nn->state->environment->set(static_cast<NnSetting>(setting), value);
}

tenon_error_t* tenon_nn_set_abi(tenon_nn_t* nn, const char* abi) try {
  auto set = nn->state->environment->set_abi(abi);
  return set ? nullptr : api::make_error(set.error());
} catch (...) {
  return api::caught();
}

void tenon_nn_set_cache(tenon_nn_t* nn, const char* folder) {
  nn->state->environment->set_cache(folder ? folder : "");
}

void tenon_nn_add_guest_folder(tenon_nn_t* nn, const char* path) {
  nn->state->environment->add_guest_folder(path);
}

tenon_string_t tenon_nn_statistics(tenon_nn_t* nn) {
  return api::new_string(nn->state->environment->statistics_text());
}

tenon_error_t* tenon_nn_tool(const char* command, const char* const* args, size_t arg_count,
                             tenon_write_t write, void* env, bool terminal, int* exit_status) try {
  auto plugin = nn_plugin();
  if (!plugin) return api::make_error(plugin.error());
  const std::vector<std::string_view> list(args, args + arg_count);
  auto writer = [&](int fd) {
    return [write, env, fd](std::string_view s) { write(env, fd, s.data(), s.size()); };
  };
  *exit_status = (*plugin)->tool(command, list, {.out = writer(1), .err = writer(2), .terminal = terminal});
  return nullptr;
} catch (...) {
  return api::caught();
}
