// What tenon-nn.so exports: wasi-nn for guests and the `tenon nn` tools, behind engine/runtime/nn_plugin.h.
#include "engine/runtime/nn_plugin.h"

#include <thread>

#include "engine/runtime/plugin.h"
#include "kernels/plan.h"
#include "wasi-nn/abi/ephemeral.h"
#include "wasi-nn/nn_context.h"
#include "wasi-nn/tool_cli.h"

namespace tenon {
namespace {

class Guest final : public NnGuest {
 public:
  explicit Guest(nn::Environment& environment) : context_(environment) {}
  void* data() override { return &context_; }

 private:
  nn::NnContext context_;
};

ErrorCategory category(kernels::ErrorCode code) {
  switch (code) {
    case kernels::ErrorCode::invalid_argument: return ErrorCategory::usage;
    case kernels::ErrorCode::not_found: return ErrorCategory::not_found;
    case kernels::ErrorCode::unsupported_operation: return ErrorCategory::unsupported;
    case kernels::ErrorCode::too_large: return ErrorCategory::limit;
    default: return ErrorCategory::invalid;
  }
}

class PluginEnvironment final : public NnEnvironment {
 public:
  explicit PluginEnvironment(nn::NnOptions options) : environment_(std::move(options)) {}

  Result<void> add_graph(std::string_view spec) override {
    auto added = environment_.add_graph(spec);
    if (added) return {};
    return std::unexpected(Error{category(added.error().code), added.error().message, std::nullopt});
  }
  void add_guest_folder(std::string_view path) override {
    environment_.add_writable_folder(std::string(path));
  }
  std::unique_ptr<NnGuest> new_guest() override { return std::make_unique<Guest>(environment_); }
  std::span<const HostFuncDesc> functions() const override { return nn::ephemeral_functions(); }
  std::string statistics_text() const override { return environment_.statistics_text(); }

 private:
  nn::Environment environment_;
};

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
