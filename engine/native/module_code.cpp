// Publication of compiled code.
#include "engine/native/module_code.h"

#include <algorithm>

#include "engine/module.h"

namespace tenon {

ModuleCode::Variant::Variant(const Module& module, CodeConfig config)
    : config_(std::move(config)),
      entries_(std::make_unique<std::atomic<const void*>[]>(module.functions.size())) {}

void ModuleCode::Variant::publish(std::shared_ptr<const CodeObject> code) {
  const std::lock_guard lock(mutex_);
  for (const CodeEntry& e : code->entries()) {
    const void* none = nullptr;
    entries_[e.func].compare_exchange_strong(none, code->address(e.native_entry), std::memory_order_release,
                                             std::memory_order_relaxed);
  }
  if (code->whole()) whole_.store(true, std::memory_order_release);
  objects_.push_back(std::move(code));
  published_.store(static_cast<u32>(objects_.size()), std::memory_order_release);
}

std::shared_ptr<const CodeObject> ModuleCode::Variant::object(u32 n) const {
  const std::lock_guard lock(mutex_);
  return objects_[n];
}

std::vector<std::shared_ptr<const CodeObject>> ModuleCode::Variant::objects() const {
  const std::lock_guard lock(mutex_);
  return objects_;
}

ModuleCode::Variant& ModuleCode::variant(const CodeConfig& config) {
  const std::lock_guard lock(mutex_);
  for (const auto& v : variants_)
    if (v->config().holds_in(config)) return *v;
  return *variants_.emplace_back(std::make_unique<Variant>(module_, config));
}

ModuleCode::Variant& ModuleCode::add(std::shared_ptr<const CodeObject> code) {
  const std::lock_guard lock(mutex_);
  Variant* found = nullptr;
  for (const auto& v : variants_)
    if (v->config() == code->config()) found = v.get();
  if (!found) found = variants_.emplace_back(std::make_unique<Variant>(module_, code->config())).get();
  found->publish(std::move(code));
  return *found;
}

std::vector<ModuleCode::Variant*> ModuleCode::variants() {
  const std::lock_guard lock(mutex_);
  std::vector<Variant*> out;
  for (const auto& v : variants_) out.push_back(v.get());
  return out;
}

}  // namespace tenon
