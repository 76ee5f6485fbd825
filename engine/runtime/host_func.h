// Host functions: descriptors, and typed functions whose Wasm signature is derived from the C++ type. Guest
// pointers are checked before the function runs. Used by wasi/ and wasi-nn/; hosts' dynamic functions are in
// runtime/store.h.
#pragma once
#include <array>
#include <cstring>
#include <span>
#include <string_view>
#include <tuple>
#include <type_traits>

#include "engine/base.h"
#include "engine/runtime/vm.h"
#include "engine/types.h"

namespace tenon {

struct HostFuncDesc;

// One for each (definition, importing instance): the instance whose memory guest pointers mean is known when
// it links.
struct HostFunc {
  StoreContext* store;
  VMContext* importer;  // null when the host itself calls
  MemoryDesc* memory;   // the importer's exported "memory", else its memory 0, else null
  void* data;           // the definition's context, e.g. a WASI context
  const HostFuncDesc* desc;
  FuncRef ref;
};

// Constant description of a host function, one for each table row.
struct HostFuncDesc {
  std::string_view module, name;
  std::span<const ValType> params, results;
  ArrayEntry array_entry;
  // C calling convention: R (HostFunc*, wasm scalars…), where R is the result's C type or void. Only for
  // functions that always return (never trap, exit or throw): compiled code calls it directly. Null
  // otherwise.
  void* native;
};

// The guest's memory as this call sees it. Shared memories may change under it; lengths never shrink.
struct GuestMemory {
  u8* base = nullptr;
  u64 length = 0;
  // The bytes [address, address + size), or null when any lies outside.
  u8* at(u64 address, u64 size) const {
    return size <= length && address <= length - size ? base + address : nullptr;
  }
};
inline GuestMemory guest_memory(const HostFunc& f) {
  return f.memory ? GuestMemory{f.memory->base, f.memory->length} : GuestMemory{};
}

// A checked pointer to one T in guest memory; any alignment, so values pass through memcpy.
template <class T>
class GuestPtr {
 public:
  using Value = T;
  GuestPtr() = default;
  explicit GuestPtr(u8* p) : p_(p) {}
  T load() const {
    T v;
    std::memcpy(&v, p_, sizeof v);
    return v;
  }
  void store(const T& v) const { std::memcpy(p_, &v, sizeof v); }
  u8* bytes() const { return p_; }

 private:
  u8* p_ = nullptr;
};

// A checked (pointer, count) pair: two Wasm parameters.
template <class T>
class GuestSpan {
 public:
  using Value = T;
  GuestSpan() = default;
  GuestSpan(u8* p, u32 count) : p_(p), count_(count) {}
  u32 size() const { return count_; }
  T load(u32 i) const {
    T v;
    std::memcpy(&v, p_ + u64{i} * sizeof(T), sizeof v);
    return v;
  }
  void store(u32 i, const T& v) const { std::memcpy(p_ + u64{i} * sizeof(T), &v, sizeof v); }
  std::span<u8> bytes() const { return {p_, u64{count_} * sizeof(T)}; }
  std::string_view view() const
    requires(sizeof(T) == 1)
  {
    return {reinterpret_cast<char*>(p_), count_};
  }

 private:
  u8* p_ = nullptr;
  u32 count_ = 0;
};

namespace host_detail {

template <class T>
struct IsGuestPtr : std::false_type {};
template <class T>
struct IsGuestPtr<GuestPtr<T>> : std::true_type {};
template <class T>
struct IsGuestSpan : std::false_type {};
template <class T>
struct IsGuestSpan<GuestSpan<T>> : std::true_type {};

// The Wasm scalar that carries a C++ parameter type.
template <class T>
struct ScalarOf {
  using type = std::conditional_t<
      std::is_same_v<T, f32>, f32,
      std::conditional_t<std::is_same_v<T, f64>, f64, std::conditional_t<sizeof(T) == 8, u64, u32>>>;
};
template <class T>
  requires(IsGuestPtr<T>::value || IsGuestSpan<T>::value)
struct ScalarOf<T> {
  using type = u32;
};
template <class T>
using Scalar = typename ScalarOf<T>::type;

template <class T>
constexpr ValType val_type() {
  using S = Scalar<T>;
  if constexpr (std::is_same_v<S, f32>)
    return kF32;
  else if constexpr (std::is_same_v<S, f64>)
    return kF64;
  else if constexpr (std::is_same_v<S, u64>)
    return kI64;
  else
    return kI32;
}
template <class T>
constexpr u32 arity() {
  return IsGuestSpan<T>::value ? 2 : 1;
}

template <class S>
S read_slot(const Slot& s) {
  if constexpr (std::is_same_v<S, f32>)
    return s.f32_;
  else if constexpr (std::is_same_v<S, f64>)
    return s.f64_;
  else if constexpr (std::is_same_v<S, u64>)
    return s.u64_;
  else
    return s.u32_;
}

// Reads one C++ parameter from slots; false when a guest pointer is out of bounds.
template <class T>
bool read_param(const GuestMemory& m, const Slot*& s, T& out) {
  if constexpr (IsGuestPtr<T>::value) {
    u8* p = m.at((s++)->u32_, sizeof(typename T::Value));
    out = T{p};
    return p != nullptr;
  } else if constexpr (IsGuestSpan<T>::value) {
    const u32 address = (s++)->u32_, count = (s++)->u32_;
    u8* p = m.at(address, u64{count} * sizeof(typename T::Value));
    out = T{p, count};
    return p != nullptr;
  } else {
    out = static_cast<T>(read_slot<Scalar<T>>(*s++));
    return true;
  }
}

template <class Traits, class Fn>
struct Binder;
template <class Traits, class R, class Ctx, class... P>
struct Binder<Traits, R (*)(Ctx&, P...)> {
  static constexpr u32 kParams = (0u + ... + arity<P>());
  static constexpr auto params() {
    std::array<ValType, kParams> out{};
    u32 i = 0;
    auto put = [&](ValType t, u32 n) {
      while (n--) out[i++] = t;
    };
    (put(val_type<P>(), arity<P>()), ...);
    return out;
  }
  static constexpr auto kParamTypes = params();

  template <R (*Fn)(Ctx&, P...)>
  static Status entry(FuncRef* self, Slot* slots) {
    auto* host = static_cast<HostFunc*>(self->code);
    const GuestMemory memory = guest_memory(*host);
    const Slot* cursor = slots;
    std::tuple<P...> args;
    const bool in_bounds =
        std::apply([&](auto&... a) { return (read_param(memory, cursor, a) && ...); }, args);
    return Traits::template finish<R>(*host, slots, in_bounds, [&] {
      return std::apply([&](auto&... a) { return Fn(Traits::template context<Ctx>(*host), a...); }, args);
    });
  }
};

}  // namespace host_detail

// Makes the descriptor of a typed function `R fn(Ctx&, P…)`.
// Traits says what a call means in this interface:
//   template <class Ctx> static Ctx& context(HostFunc&);
//   static constexpr std::span<const ValType> results<R>();
//   template <class R, class Call> static Status finish(HostFunc&, Slot* slots, bool in_bounds, Call call);
//       runs call() if in_bounds (else its own error), writes the result to slots[0], gives the status.
template <class Traits, auto Fn>
constexpr HostFuncDesc host_func(std::string_view module, std::string_view name) {
  using B = host_detail::Binder<Traits, decltype(Fn)>;
  return HostFuncDesc{
      module, name, B::kParamTypes, Traits::template results<decltype(Fn)>(), &B::template entry<Fn>,
      nullptr};
}

}  // namespace tenon
