// Publication of compiled code.
#include "engine/native/module_code.h"

#include <algorithm>

#include "engine/brief_lock.h"
#include "engine/module.h"

namespace tenon {

ModuleCode::Variant::Variant(const Module& module, CodeConfig config)
    : module_(module),
      config_(std::move(config)),
      entries_(std::make_unique<std::atomic<const void*>[]>(module.functions.size())),
      heat_(std::make_unique<std::atomic<u16>[]>(module.functions.size())) {}

void ModuleCode::Variant::publish(std::shared_ptr<const CodeObject> code) {
  const BriefLock lock(mutex_);
  for (const CodeEntry& e : code->entries()) {
    const void* none = nullptr;
    entries_[e.func].compare_exchange_strong(none, code->address(e.native_entry), std::memory_order_release,
                                             std::memory_order_relaxed);
  }
  for (const CodeLoop& l : code->loops())
    loops_[{FuncIdx{l.func}, l.loop}] =
        reinterpret_cast<ArrayEntry>(const_cast<void*>(code->address(l.array_entry)));
  for (const CodeThunk& t : code->thunks()) thunk_keys_.emplace(code->key(t));
  if (code->whole()) whole_.store(true, std::memory_order_release);
  objects_.push_back(std::move(code));
  published_.store(static_cast<u32>(objects_.size()), std::memory_order_release);
}

ArrayEntry ModuleCode::Variant::loop_entry(const OsrLoop& loop) const {
  const BriefLock lock(mutex_);
  auto found = loops_.find(loop);
  return found == loops_.end() ? nullptr : found->second;
}

// Two threads that count at once may count one: it is a sample.
ModuleCode::Variant::Samples ModuleCode::Variant::count_sample(FuncIdx f) {
  u16 heat = heat_[f.value].load(std::memory_order_relaxed);
  if (heat != 0xffff) heat_[f.value].store(++heat, std::memory_order_relaxed);
  return {heat, samples_.fetch_add(1, std::memory_order_relaxed) + 1};
}

bool ModuleCode::Variant::claim(FuncIdx f) {
  const BriefLock lock(mutex_);
  if (claimed_.size() <= f.value) claimed_.resize(f.value + 1);
  if (claimed_[f.value]) return false;
  return claimed_[f.value] = true;
}

bool ModuleCode::Variant::claim(const OsrLoop& loop) {
  const BriefLock lock(mutex_);
  return loops_.try_emplace(loop, nullptr).second;
}

bool ModuleCode::Variant::claim_next(const OsrLoop& loop) {
  const BriefLock lock(mutex_);
  for (auto it = loops_.lower_bound({loop.function, 0}); it != loops_.end(); ++it) {
    if (it->first.function != loop.function) break;
    if (!it->second) return false;
  }
  return loops_.try_emplace(loop, nullptr).second;
}

std::vector<TypeId> ModuleCode::Variant::without_thunks(const std::vector<TypeId>& types) const {
  std::vector<TypeId> missing;
  const BriefLock lock(mutex_);
  for (const TypeId t : types)
    if (!thunk_keys_.contains(signature_key(*module_.type_registry().get(t).func()))) missing.push_back(t);
  return missing;
}

std::shared_ptr<const CodeObject> ModuleCode::Variant::object(u32 n) const {
  const BriefLock lock(mutex_);
  return objects_[n];
}

std::vector<std::shared_ptr<const CodeObject>> ModuleCode::Variant::objects() const {
  const BriefLock lock(mutex_);
  return objects_;
}

ModuleCode::Variant& ModuleCode::variant(const CodeConfig& config) {
  const BriefLock lock(mutex_);
  for (const auto& v : variants_)
    if (v->config().holds_in(config)) return *v;
  return *variants_.emplace_back(std::make_unique<Variant>(module_, config));
}

ModuleCode::Variant& ModuleCode::add(std::shared_ptr<const CodeObject> code) {
  const BriefLock lock(mutex_);
  Variant* found = nullptr;
  for (const auto& v : variants_)
    if (v->config() == code->config()) found = v.get();
  if (!found) found = variants_.emplace_back(std::make_unique<Variant>(module_, code->config())).get();
  found->publish(std::move(code));
  return *found;
}

std::vector<ModuleCode::Variant*> ModuleCode::variants() {
  const BriefLock lock(mutex_);
  std::vector<Variant*> out;
  for (const auto& v : variants_) out.push_back(v.get());
  return out;
}

std::vector<std::shared_ptr<const CodeObject>> ModuleCode::objects() {
  std::vector<std::shared_ptr<const CodeObject>> out;
  for (const Variant* v : variants())
    for (auto& object : v->objects()) out.push_back(std::move(object));
  return out;
}

const DebugLines& ModuleCode::debug_lines() {
  debug_lines_once_.call([&] { debug_lines_.emplace(module_); });
  return *debug_lines_;
}

}  // namespace tenon
