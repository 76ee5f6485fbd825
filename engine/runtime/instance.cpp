// Look-ups in instances.
#include <cstdlib>

#include "engine/runtime/store.h"

namespace tenon {

Instance::Instance(std::shared_ptr<const Module> module, Store& store)
    : module_(std::move(module)), store_(&store), layout_(*module_) {}

Instance::~Instance() { std::free(vm_); }

FuncRef* Instance::func(FuncIdx f) {
  const u32 imported = module_->imported_functions;
  if (f.value < imported) return vm_at<FuncRef*>(vm_, layout_.imported_functions)[f.value];
  return vm_at<FuncRef>(vm_, layout_.functions) + (f.value - imported);
}

Extern Instance::export_at(ExternKind kind, u32 index) {
  switch (kind) {
    case ExternKind::func: return func(FuncIdx{index});
    case ExternKind::table: return tables_[index];
    case ExternKind::memory: return memories_[index];
    case ExternKind::global: return globals_[index];
    case ExternKind::tag: return tags_[index];
  }
  __builtin_unreachable();
}

std::optional<Extern> Instance::find_export(std::string_view name) {
  const Export* e = module_->find_export(name);
  if (!e) return std::nullopt;
  return export_at(e->kind, e->index);
}

}  // namespace tenon
