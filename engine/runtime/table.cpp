// Tables.
#include "engine/runtime/table.h"

#include <fmt/format.h>

#include <algorithm>

namespace tenon {

Result<std::unique_ptr<Table>> Table::create(const TableType& type, u64 init, const StoreLimits& limits) {
  if (type.limits.min > limits.table_elements)
    return std::unexpected(Error{ErrorCategory::limit,
                                 fmt::format("table of {} elements exceeds the limit of {} elements",
                                             type.limits.min, limits.table_elements),
                                 {}});
  std::unique_ptr<Table> table(new Table);
  table->type_ = type;
  table->max_ = std::min(
      {type.limits.max.value_or(~u64{0}), limits.table_elements, type.is64 ? ~u64{0} : u64{0xffff'ffff}});
  table->elements_.assign(type.limits.min, init);
  table->desc_ = {table->elements_.data(), type.limits.min};
  return table;
}

std::optional<u64> Table::grow(u64 delta, u64 init) {
  const u64 old = desc_.size;
  if (delta > max_ || old > max_ - delta) return std::nullopt;
  elements_.resize(old + delta, init);
  desc_ = {elements_.data(), old + delta};
  return old;
}

}  // namespace tenon
