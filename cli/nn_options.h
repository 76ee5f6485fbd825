// The options of `tenon run` that concern wasi-nn, and making it with them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "options.h"
#include "tenon.hpp"

namespace tenon::cli {

struct NnRunOptions {
  std::vector<std::string> graphs;
  std::string abi = "auto";
  unsigned threads = 0;
  bool stats = false, target_fallback = false;
  std::string cache;  // folder; empty: the user's; "off": none
  double timeout = 0;
  std::optional<uint64_t> max_model_bytes, max_loaded_bytes, max_tensor_bytes, max_context_bytes,
      max_operators, max_graphs, max_contexts;
};

void add_nn_options(CLI::App& app, NnRunOptions& o);

// wasi-nn for programs that use it; the others need not load the plugin. Models below `writable_folders` are not mapped.
Result<std::optional<Nn>> make_nn(const Module& module, const NnRunOptions& o,
                                  const std::vector<std::string>& writable_folders);

}  // namespace tenon::cli
