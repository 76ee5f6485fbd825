// wasi-nn of the C API: all of it is in tenon-nn.so.
#include "engine/runtime/plugin.h"
#include "handles.h"

using namespace tenon;

tenon_error_t* tenon_nn_new(uint32_t threads, tenon_nn_t** out) {
  auto plugin = nn_plugin();
  if (!plugin) return api::make_error(plugin.error());
  auto environment = (*plugin)->create_environment({.threads = threads});
  if (!environment) return api::make_error(environment.error());
  *out = new tenon_nn{std::make_shared<api::NnState>(std::move(*environment))};
  return nullptr;
}

void tenon_nn_delete(tenon_nn_t* nn) { delete nn; }

tenon_error_t* tenon_nn_add_graph(tenon_nn_t* nn, const char* spec) {
  auto added = nn->state->environment->add_graph(spec);
  return added ? nullptr : api::make_error(added.error());
}

void tenon_nn_add_guest_folder(tenon_nn_t* nn, const char* path) {
  nn->state->environment->add_guest_folder(path);
}

tenon_string_t tenon_nn_statistics(tenon_nn_t* nn) {
  return api::new_string(nn->state->environment->statistics_text());
}

tenon_error_t* tenon_nn_tool(const char* command, const char* const* args, size_t arg_count,
                             tenon_write_t write, void* env, bool terminal, int* exit_status) {
  auto plugin = nn_plugin();
  if (!plugin) return api::make_error(plugin.error());
  const std::vector<std::string_view> list(args, args + arg_count);
  auto writer = [&](int fd) {
    return [write, env, fd](std::string_view s) { write(env, fd, s.data(), s.size()); };
  };
  *exit_status = (*plugin)->tool(command, list, {.out = writer(1), .err = writer(2), .terminal = terminal});
  return nullptr;
}
