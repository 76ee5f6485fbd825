// Compiled code kept between runs: artefacts in a folder that only its owner can write. Any number of
// processes may use it at once. What goes wrong is said once and costs no more than the cache's help.
#pragma once
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/aot/artefact.h"
#include "engine/module.h"

namespace tenon {

class CodeCache {
 public:
  struct Options {
    std::string folder;              // empty: tenon below $XDG_CACHE_HOME, else below ~/.cache
    u64 max_bytes = u64{512} << 20;  // the entries not used for longest go first
    std::function<void(const std::string&)> notice;  // none: printed to stderr
  };
  // What code in the cache is found by, beside the module's bytes and this build of the engine.
  struct Key {
    CpuFeatures cpu = host_cpu_features();
    u8 opt_level = 2;
    FeatureSet features = FeatureSet::defaults();  // that the module was validated with
  };
  struct Entry {
    std::string file;
    u64 bytes;
    i64 used;  // seconds since 1970
  };

  explicit CodeCache(Options options) : options_(std::move(options)) {}
  ~CodeCache();
  CodeCache(const CodeCache&) = delete;
  CodeCache& operator=(const CodeCache&) = delete;

  // An artefact of exactly this module, or null.
  std::shared_ptr<const Artefact> find(std::span<const u8> module, const Key& key);
  // Writes all code that the module has, when there is more than at the last find() or save() of it.
  void save(const Module& module, const Key& key);

  // For `tenon cache`. Errors: io, unsupported (the folder is not safe).
  Result<std::vector<Entry>> entries();
  Result<u64> clear();  // how many entries were removed
  // Errors: not_found (no home folder).
  Result<std::string> folder() const;

 private:
  Result<int> open_folder(bool create);
  int folder_or_complain();
  void complain(const std::string& what);
  Result<void> write(const std::string& name, std::span<const u8> bytes);
  void evict();
  Result<std::vector<Entry>> list(int fd) const;

  Options options_;
  std::mutex mutex_;
  int folder_fd_ = -1;
  bool complained_ = false;
};

}  // namespace tenon
