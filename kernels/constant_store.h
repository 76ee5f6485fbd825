// Keeping what is derived from a model's constants alone (folded values, weights in oneDNN's layouts) between processes.
// Where and how is the store's business.
#pragma once
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/tensor.h"

namespace tenon::kernels {

/// A key means the same bytes for one model and one backend_identity(). Thread-safe.
class ConstantStore {
 public:
  virtual ~ConstantStore() = default;
  virtual std::optional<Tensor> find(const std::string& key) = 0;
  /// Called with what `find` did not have.
  virtual void add(const std::string& key, const Tensor& tensor) = 0;
};

struct StoredConstants {
  std::shared_ptr<ConstantStore> store;                 // may be null
  std::vector<std::span<const std::byte>> model_files;  // constants in these bytes are named by their offsets
};

/// Models that the calling thread compiles while this lives use the store, as long as they live.
class ConstantStoreScope {
 public:
  explicit ConstantStoreScope(StoredConstants stored);
  ~ConstantStoreScope();
  ConstantStoreScope(const ConstantStoreScope&) = delete;
  ConstantStoreScope& operator=(const ConstantStoreScope&) = delete;
  static const StoredConstants& current();

 private:
  StoredConstants before_;
};

/// What decides about layouts of weights, beside the model: version and build of oneDNN, instruction set.
std::string backend_identity();

}  // namespace tenon::kernels
