// Tables, vectors and strings of a FlatBuffer; see flatbuffer.h.
#include "wasi-nn/formats/flatbuffer.h"

namespace tenon::nn::flatbuffer {

using kernels::ErrorCode;
using kernels::fail;

void Buffer::fault(size_t at, std::string_view what) {
  if (fault_.empty()) fault_ = fmt::format("offset {}: {}", at, what);
}

Result<void> Buffer::check() const {
  if (fault_.empty()) return {};
  return fail(ErrorCode::invalid_encoding, "{}", fault_);
}

bool Buffer::spend(size_t bytes, size_t at) {
  if (bytes > budget_) {
    fault(at, "tables share more than the file can hold");
    return false;
  }
  budget_ -= bytes;
  return true;
}

size_t Buffer::follow(size_t at) {
  const auto offset = read<uint32_t>(at);
  if (offset == 0 || !has(at, offset)) {
    fault(at, "an offset points outside of the file");
    return 0;
  }
  return at + offset;
}

std::pair<size_t, size_t> Buffer::vector(size_t at, size_t element) {
  const size_t start = follow(at);
  if (start == 0) return {};
  const auto count = read<uint32_t>(start);
  if (!has(start, sizeof(uint32_t)) || count > (bytes_.size() - start - sizeof(uint32_t)) / element) {
    fault(start, "a vector reaches beyond the end of the file");
    return {};
  }
  return {start + sizeof(uint32_t), count};
}

Table Buffer::root() {
  const size_t at = follow(0);
  return at == 0 ? Table() : Table(this, at);
}

Table::Table(Buffer* buffer, size_t at) {
  const auto back = buffer->read<int32_t>(at);  // to the vtable, backwards when positive
  const auto vtable = static_cast<int64_t>(at) - back;
  if (vtable < 0 || !buffer->has(static_cast<size_t>(vtable), 4) || !buffer->spend(4, at)) {
    buffer->fault(at, "a table without a valid vtable");
    return;
  }
  vtable_ = static_cast<size_t>(vtable);
  fields_end_ = buffer->read<uint16_t>(vtable_);
  size_ = buffer->read<uint16_t>(vtable_ + 2);
  if (fields_end_ < 4 || !buffer->has(vtable_, fields_end_) || !buffer->has(at, size_)) {
    buffer->fault(at, "a table reaches beyond the end of the file");
    return;
  }
  buffer_ = buffer;
  at_ = at;
}

size_t Table::find(unsigned field, size_t size) const {
  const size_t entry = 4 + 2 * size_t{field};
  if (buffer_ == nullptr || entry + 2 > fields_end_) return 0;
  const auto offset = buffer_->read<uint16_t>(vtable_ + entry);
  if (offset == 0) return 0;
  if (offset + size > size_) {
    buffer_->fault(at_, "a field lies outside of its table");
    return 0;
  }
  return at_ + offset;
}

std::pair<size_t, size_t> Table::vector(unsigned field, size_t element) const {
  const size_t at = find(field, sizeof(uint32_t));
  if (at == 0) return {};
  const auto found = buffer_->vector(at, element);
  return buffer_->spend(found.second * element, at) ? found : std::pair<size_t, size_t>();
}

Table Table::table(unsigned field) const {
  const size_t at = find(field, sizeof(uint32_t));
  const size_t target = at == 0 ? 0 : buffer_->follow(at);
  return target == 0 ? Table() : Table(buffer_, target);
}

std::span<const std::byte> Table::bytes(unsigned field) const {
  const size_t at = find(field, sizeof(uint32_t));
  if (at == 0) return {};
  const auto [first, count] = buffer_->vector(at, 1);
  return buffer_->bytes_.subspan(first, count);
}

std::string_view Table::text(unsigned field) const {
  const auto found = bytes(field);
  return {reinterpret_cast<const char*>(found.data()), found.size()};
}

std::vector<Table> Table::tables(unsigned field) const {
  const auto [first, count] = vector(field, sizeof(uint32_t));
  std::vector<Table> found;
  for (size_t i = 0; i < count; ++i) {
    const size_t at = buffer_->follow(first + 4 * i);
    if (at == 0) return {};
    found.push_back(Table(buffer_, at));
    if (!found.back()) return {};
  }
  return found;
}

}  // namespace tenon::nn::flatbuffer
