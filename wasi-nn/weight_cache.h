// Weights in the layouts of oneDNN, kept on disk between processes: one file for each model file, mapped when the model
// is loaded again. The folder belongs to its owner alone; files are trusted by owner, mode and the checksum of their index.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/constant_store.h"

namespace tenon::nn {

// The folder that is used when none is named: tenon/nn below $XDG_CACHE_HOME, else below ~/.cache. Empty without either.
std::string default_weight_cache_folder();

class WeightCache final : public kernels::ConstantStore {
 public:
  // For the model in these files: found by device, inode, size and times, never by their contents. Null when the folder
  // cannot be used (it must be ours, mode 0700; it is made if missing) or a file is gone. `variant` tells settings
  // apart that change what is derived from a model.
  static std::shared_ptr<WeightCache> open(const std::string& folder,
                                           const std::vector<std::string>& model_files,
                                           const std::string& variant);
  ~WeightCache() override;
  WeightCache(const WeightCache&) = delete;
  WeightCache& operator=(const WeightCache&) = delete;

  std::optional<kernels::Tensor> find(const std::string& key) override;
  void add(const std::string& key, const kernels::Tensor& tensor) override;
  // Writes what was added, if it is worth it, beside what was there; replaces the file at once or not at all. Afterwards
  // nothing more is written. Failures cost the cache's help and nothing else.
  void save();

 private:
  struct Entry {
    kernels::DataType type;
    kernels::Dims dims;
    std::span<const std::byte> bytes;
    std::shared_ptr<const void> owner;
  };
  WeightCache() = default;
  bool read(int fd);

  int folder_ = -1;
  std::string name_, identity_;
  std::mutex mutex_;
  std::map<std::string, Entry> entries_;
  uint64_t added_bytes_ = 0, max_bytes_ = uint64_t{1} << 30;
  bool closed_ = false;
};

}  // namespace tenon::nn
