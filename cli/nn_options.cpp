// wasi-nn in `tenon run`; see nn_options.h.
#include "nn_options.h"

#include <algorithm>

namespace tenon::cli {
namespace {

bool wants_nn(const Module& module) {
  return std::ranges::any_of(module.imports(), [](const tenon_item_t& i) {
    const std::string_view from(i.module.data, i.module.size);
    return from == "wasi_ephemeral_nn" || from == "tenon_nn" || from == "wasi_nn" ||
           from.starts_with("wasi:nn");
  });
}

void apply_settings(Nn& nn, const NnRunOptions& o) {
  const std::pair<tenon_nn_setting_t, const std::optional<uint64_t>&> limits[] = {
      {TENON_NN_MAX_MODEL_BYTES, o.max_model_bytes},   {TENON_NN_MAX_LOADED_BYTES, o.max_loaded_bytes},
      {TENON_NN_MAX_TENSOR_BYTES, o.max_tensor_bytes}, {TENON_NN_MAX_CONTEXT_BYTES, o.max_context_bytes},
      {TENON_NN_MAX_OPERATORS, o.max_operators},       {TENON_NN_MAX_GRAPHS, o.max_graphs},
      {TENON_NN_MAX_CONTEXTS, o.max_contexts}};
  for (const auto& [setting, value] : limits)
    if (value) nn.set(setting, *value);
  if (o.timeout > 0)
    nn.set(TENON_NN_MAX_COMPUTE_MICROS, static_cast<uint64_t>(std::min(o.timeout, 1e6) * 1e6));
  nn.set(TENON_NN_TARGET_FALLBACK, o.target_fallback);
  nn.set(TENON_NN_TIMING, o.stats);
}

}  // namespace

void add_nn_options(CLI::App& app, NnRunOptions& o) {
  app.add_option(
         "--nn-graph", o.graphs,
         "NAME=PATH or ENCODING::FOLDER (named as the folder): a model that the program loads by name")
      ->allow_extra_args(false);
  app.add_option("--nn-threads", o.threads, "threads for all inferences together (0: all processors)");
  app.add_flag("--nn-stats", o.stats,
               "print calls, times and bytes of each model, and the last error, at the end");
  app.add_option("--nn-abi", o.abi, "how the program numbers encodings, types and errors")
      ->check(CLI::IsMember({"auto", "witx", "wit", "wasmedge", "older"}));
  app.add_flag("--nn-target-fallback", o.target_fallback, "run models for gpu and tpu on the cpu");
  app.add_option("--nn-cache", o.cache,
                 "FOLDER for packed weights of models (default: the user's cache), or off");
  app.add_option("--nn-timeout", o.timeout, "end an inference after this many seconds")
      ->transform(not_negative());
  const auto size = [&](const char* name, std::optional<uint64_t>& value, const char* help) {
    app.add_option(name, value, help)->transform(CLI::AsSizeValue(false))->transform(not_negative());
  };
  size("--nn-max-model", o.max_model_bytes, "largest model that the program may pass, in bytes");
  size("--nn-max-loaded", o.max_loaded_bytes, "all models that it has passed together, in bytes");
  size("--nn-max-tensor", o.max_tensor_bytes, "largest tensor in bytes");
  size("--nn-max-activations", o.max_context_bytes, "memory of one execution context in bytes");
  app.add_option("--nn-max-operators", o.max_operators, "operators of one model")->check(not_negative());
  app.add_option("--nn-max-graphs", o.max_graphs, "graphs that are open at once")->check(not_negative());
  app.add_option("--nn-max-contexts", o.max_contexts, "execution contexts that are open at once")
      ->check(not_negative());
}

Result<std::optional<Nn>> make_nn(const Module& module, const NnRunOptions& o,
                                  const std::vector<std::string>& writable_folders) {
  if (o.graphs.empty() && !wants_nn(module)) return std::optional<Nn>();
  auto nn = Nn::make(o.threads);
  if (!nn) return std::move(nn.error());
  apply_settings(*nn, o);
  if (o.cache != "off") nn->cache(o.cache);
  if (auto set = nn->abi(o.abi); !set) return std::move(set.error());
  for (const std::string& folder : writable_folders) nn->add_guest_folder(folder);
  for (const std::string& graph : o.graphs)
    if (auto added = nn->add_graph(graph); !added) return std::move(added.error());
  return std::optional<Nn>(std::move(*nn));
}

}  // namespace tenon::cli
