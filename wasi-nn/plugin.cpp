// What tenon-nn.so exports: wasi-nn for guests and the `tenon nn` tools, behind engine/runtime/nn_plugin.h.
#include "engine/runtime/nn_plugin.h"

#include <deque>
#include <mutex>
#include <thread>

#include "engine/runtime/plugin.h"
#include "kernels/plan.h"
#include "wasi-nn/abi/functions.h"
#include "wasi-nn/host_graph.h"
#include "wasi-nn/nn_context.h"
#include "wasi-nn/tool_cli.h"
#include "wasi-nn/weight_cache.h"

namespace tenon {
namespace {

class Guest final : public NnGuest {
 public:
  explicit Guest(nn::Environment& environment) : environment_(environment), context_(environment) {}
  void* data(const NnCaller& caller) override {
    nn::DialectId dialect = environment_.options().dialect;
    if (dialect == nn::DialectId::automatic && caller.wasmedge) dialect = nn::DialectId::wasmedge;
    const std::lock_guard lock(mutex_);
    for (nn::Binding& b : bindings_)
      if (b.dialect == dialect && b.shared_memory == caller.shared_memory) return &b;
    return &bindings_.emplace_back(&context_, dialect, caller.shared_memory);
  }

 private:
  nn::Environment& environment_;
  nn::NnContext context_;
  std::mutex mutex_;
  std::deque<nn::Binding> bindings_;
};

class PluginEnvironment final : public NnEnvironment {
 public:
  explicit PluginEnvironment(nn::NnOptions options) : environment_(std::move(options)) {}

  Result<void> add_graph(std::string_view spec) override { return translate(environment_.add_graph(spec)); }
  Result<void> add_graph_bytes(std::string name, std::span<const std::byte> bytes,
                               std::shared_ptr<const void> owner) override {
    return translate(environment_.add_graph_bytes(std::move(name), bytes, std::move(owner)));
  }
  void set_finder(std::function<std::optional<NnFoundModel>(std::string_view)> finder) override {
    environment_.set_finder(
        [finder = std::move(finder)](std::string_view name) -> std::optional<nn::FoundModel> {
          auto found = finder(name);
          if (!found) return std::nullopt;
          return nn::FoundModel{std::move(found->path), found->bytes, std::move(found->owner)};
        });
  }
  void set(NnSetting setting, u64 value) override;
  Result<void> set_abi(std::string_view name) override {
    const auto dialect = nn::parse_dialect(name);
    if (!dialect) {
      return std::unexpected(Error{
          ErrorCategory::usage,
          fmt::format("\"{}\" is no wasi-nn ABI; there are {}", name, nn::dialect_names()), std::nullopt});
    }
    environment_.mutable_options().dialect = *dialect;
    return {};
  }
  void set_cache(std::string_view folder) override {
    environment_.mutable_options().cache_folder =
        folder.empty() ? nn::default_weight_cache_folder() : std::string(folder);
  }
  void add_guest_folder(std::string_view path) override {
    environment_.add_writable_folder(std::string(path));
  }
  std::unique_ptr<NnGuest> new_guest() override { return std::make_unique<Guest>(environment_); }
  Result<std::unique_ptr<NnGraph>> load_named(std::string_view name) override {
    return nn::make_host_graph(environment_, [&] { return environment_.load_named(name); });
  }
  Result<std::unique_ptr<NnGraph>> load_file(std::string_view path) override {
    return nn::make_host_graph(environment_, [&] { return environment_.load_file(std::string(path)); });
  }
  Result<std::unique_ptr<NnGraph>> load_bytes(std::span<const std::byte> bytes,
                                              std::shared_ptr<const void> owner) override {
    return nn::make_host_graph(environment_, [&] { return environment_.load_owned(bytes, owner); });
  }
  std::span<const HostFuncDesc> functions(bool memory64) const override { return nn::nn_functions(memory64); }
  std::string statistics_text() const override { return environment_.statistics_text(); }

 private:
  static Result<void> translate(kernels::Result<void> result) {
    if (result) return {};
    return std::unexpected(nn::to_engine_error(std::move(result.error())));
  }

  nn::Environment environment_;
};

void PluginEnvironment::set(NnSetting setting, u64 value) {
  nn::NnOptions& o = environment_.mutable_options();
  const u32 handles = static_cast<u32>(std::min<u64>(value, 0xffffffff));
  switch (setting) {
    case NnSetting::max_model_bytes: o.max_model_bytes = value; break;
    case NnSetting::max_loaded_bytes: o.max_loaded_bytes = value; break;
    case NnSetting::max_tensor_bytes: o.max_tensor_bytes = value; break;
    case NnSetting::max_context_bytes: o.max_context_bytes = value; break;
    case NnSetting::max_operators: o.max_operators = value; break;
    case NnSetting::max_graphs: o.max_graphs = handles; break;
    case NnSetting::max_contexts: o.max_contexts = handles; break;
    case NnSetting::max_compute_micros:
      o.max_compute_time = std::chrono::microseconds(std::min<u64>(value, u64{1} << 40));
      break;
    case NnSetting::target_fallback: o.target_fallback = value != 0; break;
    case NnSetting::timing: o.timing = value != 0; break;
  }
}

Result<std::unique_ptr<NnEnvironment>> create_environment(const NnPluginOptions& options) {
  const u32 processors = std::max(std::thread::hardware_concurrency(), 1u);
  nn::NnOptions settings;
  settings.threads = static_cast<int>(options.threads == 0 ? processors : std::min(options.threads, 1024u));
  return std::make_unique<PluginEnvironment>(std::move(settings));
}

const NnPlugin kTable{create_environment, nn::run_tool, kernels::backend_version};

}  // namespace
}  // namespace tenon

TENON_PLUGIN("nn", tenon::kTable)
