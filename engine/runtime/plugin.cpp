// dlopen, once for each plugin.
#include "engine/runtime/plugin.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <limits.h>
#include <link.h>
#include <sys/stat.h>
#include <unistd.h>

#include <mutex>
#include <optional>

namespace tenon {
namespace {

std::unexpected<Error> plugin_error(ErrorCategory category, std::string message) {
  return std::unexpected(Error{category, std::move(message), {}});
}

// The folder of the file that holds this code: libtenon.so or the program.
std::string own_folder() {
  std::string file;
  Dl_info info{};
  link_map* map = nullptr;
  if (dladdr1(reinterpret_cast<void*>(&own_folder), &info, reinterpret_cast<void**>(&map), RTLD_DL_LINKMAP) !=
          0 &&
      map && map->l_name && *map->l_name)
    file = map->l_name;
  char path[PATH_MAX];
  if (file.empty()) {  // the program itself, whose argv[0] may be anything
    const ssize_t n = readlink("/proc/self/exe", path, sizeof path);
    if (n > 0) file.assign(path, static_cast<size_t>(n));
  } else if (realpath(file.c_str(), path)) {
    file = path;
  }
  const size_t slash = file.rfind('/');
  return slash == std::string::npos ? "." : file.substr(0, slash);
}

template <class Plugin>
class LoadedOnce {
 public:
  Result<const Plugin*> get(const char* file, const char* kind) {
    const std::lock_guard lock(mutex_);
    if (!result_) result_ = load_plugin(plugin_path(file), kind);
    if (!*result_) return std::unexpected(result_->error());
    return static_cast<const Plugin*>(**result_);
  }

 private:
  std::mutex mutex_;
  std::optional<Result<const void*>> result_;
};

}  // namespace

std::string plugin_path(std::string_view file) {
  const std::string folder = own_folder();
  for (const char* place : {"/", "/tenon/", "/../lib/tenon/"}) {
    std::string path = fmt::format("{}{}{}", folder, place, file);
    if (access(path.c_str(), F_OK) == 0) return path;
  }
  return fmt::format("{}/{}", folder, file);
}

std::string program_path() {
  const std::string folder = own_folder();
  for (const char* place : {"/tenon", "/../bin/tenon", "/../../bin/tenon"}) {
    std::string path = folder + place;
    struct stat st{};
    if (stat(path.c_str(), &st) == 0 && S_ISREG(st.st_mode) && access(path.c_str(), X_OK) == 0) return path;
  }
  return {};
}

Result<const void*> load_plugin(const std::string& path, std::string_view kind) {
  if (access(path.c_str(), F_OK) != 0)
    return plugin_error(ErrorCategory::not_found,
                        fmt::format("{} is not there; this installation has no {} part", path, kind));
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) return plugin_error(ErrorCategory::io, fmt::format("cannot load {}: {}", path, dlerror()));
  auto exchange = reinterpret_cast<PluginExchange>(dlsym(handle, kPluginExchange));
  if (!exchange)
    return plugin_error(ErrorCategory::unsupported,
                        fmt::format("{} is not a Tenon plugin: no {}", path, kPluginExchange));
  const PluginTable* table = exchange();
  if (std::string_view(table->build_id) != build_id())
    return plugin_error(
        ErrorCategory::unsupported,
        fmt::format("{} belongs to another build (its id is {}, this program's {}); install them together",
                    path, table->build_id, build_id()));
  if (table->kind != kind)
    return plugin_error(ErrorCategory::unsupported,
                        fmt::format("{} is a {} plugin, not {}", path, table->kind, kind));
  return table->functions;
}

Result<const JitPlugin*> jit_plugin() {
  static auto& plugin = *new LoadedOnce<JitPlugin>;  // threads may ask for it while the process exits
  return plugin.get("tenon-jit.so", "jit");
}

Result<const NnPlugin*> nn_plugin() {
  static auto& plugin = *new LoadedOnce<NnPlugin>;
  return plugin.get("tenon-nn.so", "nn");
}

}  // namespace tenon
