// WASI configurations of the C API.
#include <cerrno>

#include "handles.h"
#include "wasi/threads.h"

using namespace tenon;

bool tenon_module_wants_threads(const tenon_module_t* module) { return wasi::wants_threads(*module->module); }

tenon_error_t* tenon_threads_run(tenon_engine_t* engine, const tenon_module_t* module, tenon_wasi_t* wasi,
                                 tenon_nn_t* nn, int* exit_status) try {
  wasi->config.cancellable = true;
  auto context = wasi::make_wasi_context(std::move(wasi->config));
  wasi->config = {};
  if (!context) return api::make_error(context.error());
  wasi::ThreadOptions options;
  options.limits = engine->config.limits;
  options.prepare = [copy = *engine](Store& store) { return api::prepare_store(copy, store); };
  const std::shared_ptr<api::NnState> state = nn ? nn->state : nullptr;
  const std::unique_ptr<NnGuest> guest = state ? state->environment->new_guest() : nullptr;
  if (guest) {
    options.define = [&](Linker& linker) {
      api::define_nn(linker, *state->environment, *guest, *module->module);
    };
  }
  wasi::ThreadGroup group(engine->engine, module->module, **context, std::move(options));
  struct Running {
    Running(tenon_wasi_t& wasi, wasi::ThreadGroup* group) : wasi(wasi) { wasi.set_running(group); }
    ~Running() { wasi.set_running(nullptr); }
    tenon_wasi_t& wasi;
  };
  auto status = [&] {
    const Running running(*wasi, &group);
    return group.run();
  }();
  if (!status) return api::make_error(std::move(status.error()), group.trap());
  *exit_status = *status;
  return nullptr;
} catch (...) {
  return api::caught();
}

void tenon_threads_interrupt(tenon_wasi_t* wasi) {
  const std::lock_guard lock(wasi->mutex);
  wasi->interrupted = true;
  if (wasi->running) wasi->running->interrupt();
}

tenon_wasi_t* tenon_wasi_new(void) try { return new tenon_wasi; } catch (...) {
  return nullptr;
}
void tenon_wasi_delete(tenon_wasi_t* wasi) { delete wasi; }

void tenon_wasi_add_arg(tenon_wasi_t* wasi, const char* arg) { wasi->config.args.emplace_back(arg); }

void tenon_wasi_add_env(tenon_wasi_t* wasi, const char* key, const char* value) {
  wasi->config.env.emplace_back(key, value);
}

void tenon_wasi_add_dir(tenon_wasi_t* wasi, const char* host_path, const char* guest_path, bool read_only) {
  wasi->config.preopens.push_back({host_path, guest_path, read_only});
}

void tenon_wasi_set_stdin(tenon_wasi_t* wasi, const void* bytes, size_t size) {
  wasi->config.stdin_ = std::string(static_cast<const char*>(bytes), size);
}

void tenon_wasi_set_input(tenon_wasi_t* wasi, tenon_read_t read, void* env) {
  wasi->config.stdin_ = wasi::StdioReader([read, env](std::span<u8> bytes) -> i64 {
    const i64 n = read(env, bytes.data(), bytes.size());
    return n < 0 || static_cast<u64>(n) > bytes.size() ? -EIO : n;
  });
}

void tenon_wasi_set_output(tenon_wasi_t* wasi, tenon_write_t write, void* env) {
  auto writer = [write, env](int fd) {
    return wasi::StdioWriter([write, env, fd](std::span<const u8> bytes) -> i64 {
      write(env, fd, bytes.data(), bytes.size());
      return static_cast<i64>(bytes.size());
    });
  };
  wasi->config.stdout_ = writer(1);
  wasi->config.stderr_ = writer(2);
}
