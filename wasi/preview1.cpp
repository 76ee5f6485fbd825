// The table of host functions: what a call of a typed function means in Wasm.
#include "wasi/preview1.h"

#include <new>

#include "engine/runtime/store.h"

namespace tenon::wasi {
namespace {

// Results by C++ type: Expect<T> is an errno and out pointers, Exit ends the guest, a variant is either.
template <class R>
struct ResultTraits;
template <>
struct ResultTraits<Expect<>> {
  using Wasm = u32;
  using Outs = std::tuple<>;
};
template <class T>
struct ResultTraits<Expect<T>> {
  using Wasm = u32;
  using Outs = std::tuple<T>;
};
template <class... T>
struct ResultTraits<Expect<std::tuple<T...>>> {
  using Wasm = u32;
  using Outs = std::tuple<T...>;
};
template <>
struct ResultTraits<Exit> {
  using Wasm = void;
  using Outs = std::tuple<>;
};
template <>
struct ResultTraits<std::variant<Errno, Exit>> {
  using Wasm = u32;
  using Outs = std::tuple<>;
};
template <class R>
constexpr bool kIsExpect = false;
template <class T>
constexpr bool kIsExpect<Expect<T>> = true;

Status end_guest(HostFunc& host, Exit exit) {
  return host.store->store->raise_exit(static_cast<i32>(exit.code));
}

struct WasiTraits {
  template <class Ctx>
  static Ctx& context(HostFunc& host) {
    return *static_cast<Ctx*>(host.data);
  }
  template <class R>
  using WasmResult = typename ResultTraits<R>::Wasm;
  template <class R>
  using Outs = typename ResultTraits<R>::Outs;
  template <class R>
  static constexpr bool kAlwaysReturns = kIsExpect<R>;

  template <class R, class Call, class... T>
  static Status finish(HostFunc& host, Slot* result, ArgError error, Call call,
                       const std::tuple<GuestPtr<T>...>& outs) {
    const auto give = [&](Errno e) {
      if constexpr (!std::is_void_v<WasmResult<R>>) *result = {.u64_ = static_cast<u64>(e)};
      return Status::ok;
    };
    if (error != ArgError::none) [[unlikely]]
      return give(error == ArgError::out_of_bounds ? Errno::fault : Errno::inval);
    try {
      R r = call();
      if constexpr (std::is_same_v<R, Exit>) {
        return end_guest(host, r);
      } else if constexpr (kIsExpect<R>) {
        if (!r) return give(r.error());
        if constexpr (sizeof...(T) > 0) store(*r, outs);
        return give(Errno::success);
      } else {
        if (auto* exit = std::get_if<Exit>(&r)) return end_guest(host, *exit);
        return give(std::get<Errno>(r));
      }
    } catch (const std::bad_alloc&) {
      return give(Errno::nomem);
    } catch (...) {  // an embedder's stream callback
      return give(Errno::io);
    }
  }

 private:
  template <class V, class T>
  static void store(const V& value, const std::tuple<GuestPtr<T>>& out) {
    std::get<0>(out).store(value);
  }
  template <class A, class B>
  static void store(const std::tuple<A, B>& value, const std::tuple<GuestPtr<A>, GuestPtr<B>>& outs) {
    std::get<0>(outs).store(std::get<0>(value));
    std::get<1>(outs).store(std::get<1>(value));
  }
};

}  // namespace

std::span<const HostFuncDesc> wasi_functions() {
  static const HostFuncDesc table[] = {
#define WASI(name) host_func<WasiTraits, &name>("wasi_snapshot_preview1", #name),
#include "wasi/preview1.def"
#undef WASI
  };
  return table;
}

}  // namespace tenon::wasi
