// Named models, loading and statistics; see environment.h.
#include "wasi-nn/environment.h"

#include "kernels/parallel.h"
#include "wasi-nn/weight_cache.h"

#include <sys/stat.h>

#include <chrono>
#include <climits>
#include <cstdlib>

namespace tenon::nn {
namespace {

using kernels::ErrorCode;
using kernels::fail;

// Graphs with counters of their own; a guest that loads without end shares the last.
constexpr size_t kMaxCounters = 256;

uint64_t nanoseconds_since(std::chrono::steady_clock::time_point start) {
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - start).count());
}

void add(kernels::CallStatistics& to, const kernels::CallStatistics& from) {
  to.calls += from.calls;
  to.nanoseconds += from.nanoseconds;
  to.bytes_viewed += from.bytes_viewed;
  to.bytes_copied += from.bytes_copied;
}

void add(GraphStatistics& to, const kernels::Statistics& from) {
  add(to.set_input, from.set_input);
  add(to.compute, from.compute);
  add(to.get_output, from.get_output);
}

bool is_folder(const std::string& path) {
  struct stat info = {};
  return stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

bool is_file(const std::string& path) {
  struct stat info = {};
  return stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

std::string real_path(const std::string& path) {
  char buffer[PATH_MAX];
  return realpath(path.c_str(), buffer) ? buffer : path;
}

// The model file that a registered path means: itself, or the known name in a folder.
Result<std::string> model_file(const std::string& path) {
  if (is_file(path)) return path;
  if (!is_folder(path)) return fail(ErrorCode::not_found, "{}: no such file", path);
  for (const char* name :
       {"model.onnx", "model.xml", "model.tflite", "model.pt", "model.pb", "saved_model.pb", "model.gguf"}) {
    if (is_file(path + "/" + name)) return path + "/" + name;
  }
  return fail(ErrorCode::not_found, "{}: holds no model file (model.onnx)", path);
}

// A damaged .onnx file should be told what is wrong with it as ONNX.
std::optional<Format> format_of(const std::string& path, std::span<const std::byte> bytes) {
  return path.ends_with(".onnx") ? Format::onnx : detect_format(bytes);
}

struct OpenedModel {
  Format format;
  ModelSource source;
};

// The model in this file with the files that belong to it. Without `format` the first file's bytes tell.
Result<OpenedModel> open_model(const std::string& path, std::optional<Format> format, FileAccess access,
                               const kernels::Limits& limits) {
  const auto file = TENON_TRY(MappedFile::open(path, access));
  if (!format) format = format_of(path, file->bytes());
  if (!format) return fail(ErrorCode::invalid_encoding, "{}: of no known model format", path);
  ModelSource source{.file = path,
                     .bytes = file->bytes(),
                     .owner = file,
                     .folder = folder_of(path),
                     .access = access,
                     .limits = limits};
  for (const std::string& beside : files_beside(*format, path)) {
    if (!is_file(beside)) continue;  // an importer that needs it says so
    const auto part = TENON_TRY(MappedFile::open(beside, access));
    source.parts.push_back({beside, part->bytes(), part});
  }
  return OpenedModel{*format, std::move(source)};
}

// Everything that an importer views.
std::vector<std::span<const std::byte>> arrays_of(const ModelSource& source) {
  std::vector<std::span<const std::byte>> arrays{source.bytes};
  for (const ModelPart& part : source.parts) arrays.push_back(part.bytes);
  return arrays;
}

std::vector<std::string> files_of(const ModelSource& source) {
  std::vector<std::string> files{source.file};
  for (const ModelPart& part : source.parts) files.push_back(part.file);
  return files;
}

std::shared_ptr<const std::vector<std::byte>> copy_of(std::span<const std::byte> bytes) {
  return std::make_shared<const std::vector<std::byte>>(bytes.begin(), bytes.end());
}

std::string line(std::string_view kind, const kernels::CallStatistics& s) {
  return fmt::format("  {:<10} {:>8} calls {:>12.3f} ms {:>12} bytes viewed {:>12} bytes copied\n", kind,
                     s.calls, static_cast<double>(s.nanoseconds) / 1e6, s.bytes_viewed, s.bytes_copied);
}

}  // namespace

void GraphCounters::add_load(uint64_t nanoseconds) {
  const std::lock_guard lock(mutex_);
  ++total_.loads;
  total_.load_nanoseconds += nanoseconds;
}

void GraphCounters::add_context(const kernels::Context* context) {
  const std::lock_guard lock(mutex_);
  ++total_.contexts;
  live_.insert(context);
}

void GraphCounters::remove_context(const kernels::Context* context) {
  const std::lock_guard lock(mutex_);
  live_.erase(context);
  add(total_, context->statistics());
}

GraphStatistics GraphCounters::sum() const {
  const std::lock_guard lock(mutex_);
  GraphStatistics sum = total_;
  sum.name = name_;
  for (const kernels::Context* context : live_) add(sum, context->statistics());
  return sum;
}

Environment::Environment(NnOptions options) : options_(std::move(options)) {
  for (std::string& folder : options_.writable_folders) folder = real_path(folder);
  kernels::ThreadTokens::process().provide(std::max(options_.threads, 1));
}

kernels::CompileOptions Environment::compile_options() const {
  kernels::CompileOptions compile;
  compile.threads = std::max(options_.threads, 1);
  compile.limits.max_tensor_bytes = options_.max_tensor_bytes;
  compile.limits.max_context_bytes = options_.max_context_bytes;
  compile.limits.max_nodes = options_.max_operators;
  if (options_.max_compute_time.count() > 0) {
    // What no core of today does in this time (8-bit integers in matrix tiles) is refused before it begins; below that, an
    // operator may outlast the limit as many times as the machine is slower.
    constexpr uint64_t kOperationsPerNanosecond = 4000, kAlways = uint64_t{1} << 20;
    const auto time = static_cast<uint64_t>(options_.max_compute_time.count());
    uint64_t most = 0;
    if (!__builtin_mul_overflow(time, kOperationsPerNanosecond * static_cast<uint64_t>(compile.threads),
                                &most))
      compile.limits.max_node_operations =
          std::min(compile.limits.max_node_operations, std::max(most, kAlways));
  }
  compile.lease_threads = true;
  return compile;
}

Result<void> Environment::add_graph(std::string_view spec) {
  if (const size_t colons = spec.find("::"); colons != spec.npos) {
    const std::string_view encoding = spec.substr(0, colons);
    std::string folder(spec.substr(colons + 2));
    while (folder.size() > 1 && folder.ends_with('/')) folder.pop_back();
    const auto format = parse_format(encoding);
    if (!format) return fail(ErrorCode::invalid_argument, "'{}': unknown encoding '{}'", spec, encoding);
    return add_named(folder.substr(folder.rfind('/') + 1), folder, format);
  }
  const size_t equals = spec.find('=');
  if (equals == spec.npos) {
    return fail(ErrorCode::invalid_argument, "'{}': expected NAME=PATH or ENCODING::FOLDER", spec);
  }
  return add_named(std::string(spec.substr(0, equals)), std::string(spec.substr(equals + 1)), std::nullopt);
}

Result<void> Environment::add_graph_bytes(std::string name, std::span<const std::byte> bytes,
                                          std::shared_ptr<const void> owner) {
  if (name.empty()) return fail(ErrorCode::invalid_argument, "a graph needs a name");
  const std::lock_guard lock(mutex_);
  const auto [it, added] = named_.try_emplace(std::move(name));
  if (!added) return fail(ErrorCode::invalid_argument, "two graphs are named '{}'", it->first);
  it->second.bytes = bytes;
  it->second.owner = std::move(owner);
  return {};
}

void Environment::set_finder(FindModel finder) {
  const std::lock_guard lock(mutex_);
  finder_ = std::move(finder);
}

Result<void> Environment::add_named(std::string name, const std::string& path, std::optional<Format> format) {
  if (name.empty()) return fail(ErrorCode::invalid_argument, "a graph needs a name");
  std::string file = TENON_TRY(model_file(path));
  const std::lock_guard lock(mutex_);
  const auto [it, added] = named_.try_emplace(std::move(name));
  if (!added) return fail(ErrorCode::invalid_argument, "two graphs are named '{}'", it->first);
  it->second.path = std::move(file);
  it->second.format = format;
  return {};
}

void Environment::add_writable_folder(const std::string& folder) {
  const std::lock_guard lock(mutex_);
  options_.writable_folders.push_back(real_path(folder));
}

// A file below a folder that a guest can write may shrink under a mapping, so it is read.
FileAccess Environment::access_for(const std::string& path) const {
  const std::string real = real_path(path);
  const std::lock_guard lock(mutex_);
  for (const std::string& folder : options_.writable_folders) {
    if (real.starts_with(folder) &&
        (real.size() == folder.size() || real[folder.size()] == '/' || folder == "/")) {
      return FileAccess::kRead;
    }
  }
  return FileAccess::kMap;
}

std::shared_ptr<GraphCounters> Environment::counters_for(const std::string& name) {
  const std::lock_guard lock(mutex_);
  if (counters_.size() < kMaxCounters) {
    counters_.push_back(
        std::make_shared<GraphCounters>(counters_.size() + 1 < kMaxCounters ? name : "(others)"));
  }
  return counters_.back();
}

Result<std::shared_ptr<LoadedGraph>> Environment::load(const std::string& name, Format format,
                                                       const ModelSource& source, bool cached) {
  const auto start = std::chrono::steady_clock::now();
  ImportedModel imported = TENON_TRY(import_model(format, source));
  auto graph = std::make_shared<LoadedGraph>();
  std::shared_ptr<WeightCache> weights;
  if (cached) {
    weights = WeightCache::open(options_.cache_folder, files_of(source),
                                fmt::format("format {}", static_cast<int>(format)));
  }
  {
    const kernels::ConstantStoreScope scope({weights, arrays_of(source)});
    graph->model = TENON_TRY(kernels::compile(std::move(imported.graph), compile_options()));
  }
  if (weights) weights->save();
  graph->counters = counters_for(name);
  graph->counters->add_load(nanoseconds_since(start));
  return graph;
}

// Entries are never removed.
Result<Environment::NamedGraph*> Environment::find_named(std::string_view name) {
  FindModel finder;
  {
    const std::lock_guard lock(mutex_);
    if (const auto it = named_.find(name); it != named_.end()) return &it->second;
    finder = finder_;
  }
  const auto unknown = [&] { return fail(ErrorCode::not_found, "no graph is registered as '{}'", name); };
  if (!finder) return unknown();
  const auto found = finder(name);
  if (!found) return unknown();
  std::string path;
  if (!found->path.empty()) path = TENON_TRY(model_file(found->path));
  const std::lock_guard lock(mutex_);
  const auto [it, added] = named_.try_emplace(std::string(name));
  if (added) {  // otherwise another thread was faster
    it->second.path = std::move(path);
    it->second.bytes = found->bytes;
    it->second.owner = found->owner;
  }
  return &it->second;
}

Result<std::shared_ptr<LoadedGraph>> Environment::load_named(std::string_view name) {
  NamedGraph* entry = TENON_TRY(find_named(name));
  const std::lock_guard lock(entry->mutex);
  if (entry->loaded) return entry->loaded;
  entry->loaded = TENON_TRY(entry->path.empty() ? load_memory(std::string(name), entry->bytes, entry->owner)
                                                : load_mapped(std::string(name), entry->path, entry->format));
  return entry->loaded;
}

Result<std::shared_ptr<LoadedGraph>> Environment::load_memory(const std::string& name,
                                                              std::span<const std::byte> bytes,
                                                              std::shared_ptr<const void> owner) {
  const auto format = detect_format(bytes);
  if (!format) return fail(ErrorCode::invalid_encoding, "'{}': of no known model format", name);
  return load(name, *format,
              ModelSource{.file = name,
                          .bytes = bytes,
                          .owner = std::move(owner),
                          .folder = {},
                          .access = FileAccess::kRead,
                          .limits = compile_options().limits});
}

Result<std::shared_ptr<LoadedGraph>> Environment::load_mapped(const std::string& name,
                                                              const std::string& path,
                                                              std::optional<Format> format) {
  const FileAccess access = access_for(path);
  const auto opened = TENON_TRY(open_model(path, format, access, compile_options().limits));
  return load(name, opened.format, opened.source, access == FileAccess::kMap);
}

Result<std::shared_ptr<LoadedGraph>> Environment::load_file(const std::string& path) {
  return load_mapped(path, TENON_TRY(model_file(path)), std::nullopt);
}

Result<std::shared_ptr<LoadedGraph>> Environment::load_owned(std::span<const std::byte> bytes,
                                                             std::shared_ptr<const void> owner) {
  return load_memory(number_name("model in memory"), bytes, std::move(owner));
}

// For models without a name of their own.
std::string Environment::number_name(std::string_view prefix) {
  const std::lock_guard lock(mutex_);
  return fmt::format("{} {}", prefix, ++bytes_loads_);
}

Result<std::shared_ptr<LoadedGraph>> Environment::load_bytes(
    std::span<const std::span<const std::byte>> builders, uint32_t encoding, const Dialect& spoken) {
  if (builders.empty()) return fail(ErrorCode::invalid_argument, "no graph builder is given");
  uint64_t total = 0;
  for (const auto& builder : builders) total += builder.size();
  if (total > options_.max_model_bytes) {
    return fail(ErrorCode::too_large, "a model of {} bytes; the limit is {}", total,
                options_.max_model_bytes);
  }
  const Format format = TENON_TRY(resolve_encoding(encoding, builders[0], spoken));
  auto quota = TENON_TRY(take_quota(total));
  if (builders.size() > most_arrays(format)) {
    return fail(ErrorCode::invalid_argument,
                "byte arrays of a model in encoding '{}': at most {}, {} are given", to_string(format),
                most_arrays(format), builders.size());
  }
  const auto copy = copy_of(builders[0]);
  ModelSource source{.file = number_name("loaded model"),
                     .bytes = *copy,
                     .owner = copy,
                     .folder = {},
                     .access = FileAccess::kRead,
                     .limits = compile_options().limits};
  for (size_t i = 1; i < builders.size(); ++i) {
    const auto bytes = copy_of(builders[i]);
    source.parts.push_back({fmt::format("{}, byte array {}", source.file, i + 1), *bytes, bytes});
  }
  auto graph = TENON_TRY(load(source.file, format, source));
  graph->quota = std::move(quota);
  return graph;
}

// Room for a guest's model, given back when the result dies.
Result<std::shared_ptr<const void>> Environment::take_quota(uint64_t bytes) {
  uint64_t used = loaded_bytes_->load();
  do {
    if (used > options_.max_loaded_bytes || bytes > options_.max_loaded_bytes - used) {
      return fail(ErrorCode::too_large, "{} bytes of models are loaded, {} more exceed the limit of {}", used,
                  bytes, options_.max_loaded_bytes);
    }
  } while (!loaded_bytes_->compare_exchange_weak(used, used + bytes));
  return std::shared_ptr<const void>(
      loaded_bytes_.get(), [counter = loaded_bytes_, bytes](const void*) { counter->fetch_sub(bytes); });
}

void Environment::remember_error(const std::string& message) {
  const std::lock_guard lock(mutex_);
  last_error_ = message;
}

std::vector<GraphStatistics> Environment::statistics() const {
  const std::lock_guard lock(mutex_);
  std::vector<GraphStatistics> all;
  for (const auto& counters : counters_) all.push_back(counters->sum());
  return all;
}

std::string Environment::statistics_text() const {
  std::string text;
  for (const GraphStatistics& s : statistics()) {
    text += fmt::format("graph '{}': {} loads in {:.3f} ms, {} contexts\n", s.name, s.loads,
                        static_cast<double>(s.load_nanoseconds) / 1e6, s.contexts);
    text += line("set_input", s.set_input) + line("compute", s.compute) + line("get_output", s.get_output);
  }
  const std::lock_guard lock(mutex_);
  if (!last_error_.empty()) text += fmt::format("last error: {}\n", last_error_);
  return text;
}

Result<std::shared_ptr<const kernels::Model>> load_model_file(const std::string& path,
                                                              const kernels::CompileOptions& options,
                                                              ModelSummary* summary) {
  const auto opened =
      TENON_TRY(open_model(TENON_TRY(model_file(path)), std::nullopt, FileAccess::kMap, options.limits));
  ImportedModel imported = TENON_TRY(import_model(opened.format, opened.source));
  if (summary) *summary = std::move(imported.summary);
  return kernels::compile(std::move(imported.graph), options);
}

}  // namespace tenon::nn
