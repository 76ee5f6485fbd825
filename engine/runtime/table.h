// Tables of references. Bounds checks of table.get and table.set are the tiers' business; bulk operations are
// in bulk.h.
#pragma once
#include <memory>
#include <optional>
#include <vector>

#include "engine/base.h"
#include "engine/error.h"
#include "engine/module.h"
#include "engine/runtime/limits.h"
#include "engine/runtime/vm.h"

namespace tenon {

// A table instance (spec: exec/runtime). Its elements move on growth; desc() stays where it is.
class Table {
 public:
  // All elements are `init`. Errors: limit.
  static Result<std::unique_ptr<Table>> create(const TableType& type, u64 init, const StoreLimits& limits);
  const TableType& type() const { return type_; }
  TableDesc& desc() { return desc_; }
  u64 size() const { return desc_.size; }
  // The old size, or nothing when it can't grow (spec: table.grow gives −1).
  std::optional<u64> grow(u64 delta, u64 init);

 private:
  Table() = default;
  TableType type_;
  TableDesc desc_{};
  std::vector<u64> elements_;
  u64 max_ = 0;
};

}  // namespace tenon
