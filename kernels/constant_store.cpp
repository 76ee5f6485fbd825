// The store of the models that a thread compiles; see constant_store.h.
#include "kernels/constant_store.h"

#include "kernels/dnnl_compat.h"

namespace tenon::kernels {
namespace {

StoredConstants& of_this_thread() {
  thread_local StoredConstants stored;
  return stored;
}

}  // namespace

ConstantStoreScope::ConstantStoreScope(StoredConstants stored)
    : before_(std::exchange(of_this_thread(), std::move(stored))) {}
ConstantStoreScope::~ConstantStoreScope() { of_this_thread() = std::move(before_); }
const StoredConstants& ConstantStoreScope::current() { return of_this_thread(); }

std::string backend_identity() {
  const auto* version = dnnl_version();
  return fmt::format("oneDNN {}.{}.{} {} isa {}", version->major, version->minor, version->patch,
                     version->hash, static_cast<int>(dnnl::get_effective_cpu_isa()));
}

}  // namespace tenon::kernels
