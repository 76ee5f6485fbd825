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

// The guest's memory as this call sees it. Shared memories may change under it; lengths never shrink. As a
// parameter of a typed function it takes no Wasm parameter.
struct GuestMemory {
  u8* base = nullptr;
  u64 length = 0;
  // The bytes [address, address + size), or null when any lies outside.
  u8* at(u64 address, u64 size) const {
    return size <= length && address <= length - size ? base + address : nullptr;
  }
};
inline GuestMemory guest_memory(const HostFunc& f) {
  return f.memory ? GuestMemory{f.memory->base, __atomic_load_n(&f.memory->length, __ATOMIC_ACQUIRE)}
                  : GuestMemory{};
}

// An address that the function itself checks (GuestMemory::at), for buffers whose size is not a parameter.
enum class GuestAddr : u32 {};

// A checked pointer to one T in guest memory; any alignment, so values pass through memcpy. A is the type of
// addresses: u32, or u64 for functions of guests with a 64-bit memory.
template <class T, class A = u32>
class GuestPtr {
 public:
  using Value = T;
  using Address = A;
  static_assert(std::is_trivially_copyable_v<T>);
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
template <class T, class A = u32>
class GuestSpan {
 public:
  using Value = T;
  using Address = A;
  static_assert(std::is_trivially_copyable_v<T>);
  GuestSpan() = default;
  GuestSpan(u8* p, A count) : p_(p), count_(count) {}
  A size() const { return count_; }
  T load(A i) const {
    T v;
    std::memcpy(&v, p_ + u64{i} * sizeof(T), sizeof v);
    return v;
  }
  void store(A i, const T& v) const { std::memcpy(p_ + u64{i} * sizeof(T), &v, sizeof v); }
  std::span<u8> bytes() const { return {p_, u64{count_} * sizeof(T)}; }
  std::string_view view() const
    requires(sizeof(T) == 1)
  {
    return {reinterpret_cast<char*>(p_), count_};
  }

 private:
  u8* p_ = nullptr;
  A count_ = 0;
};

// What is wrong with the arguments of a call, found before the function runs.
enum class ArgError : u8 {
  none,
  out_of_bounds,  // a guest pointer
  invalid_value,  // a scalar that its C++ type does not have, see read_param
};

namespace host_detail {

template <class T>
inline constexpr bool kIsGuestPtr = false;
template <class T, class A>
inline constexpr bool kIsGuestPtr<GuestPtr<T, A>> = true;
template <class T>
inline constexpr bool kIsGuestSpan = false;
template <class T, class A>
inline constexpr bool kIsGuestSpan<GuestSpan<T, A>> = true;

// The Wasm scalars that carry a list of C++ parameters.
template <class... S>
struct Scalars {};
template <class... A, class... B>
Scalars<A..., B...> operator+(Scalars<A...>, Scalars<B...>);

template <class T>
constexpr auto scalars_of() {
  if constexpr (std::is_same_v<T, GuestMemory>)
    return Scalars<>{};
  else if constexpr (kIsGuestSpan<T>)
    return Scalars<typename T::Address, typename T::Address>{};
  else if constexpr (kIsGuestPtr<T>)
    return Scalars<typename T::Address>{};
  else if constexpr (std::is_same_v<T, f32> || std::is_same_v<T, f64>)
    return Scalars<T>{};
  else if constexpr (sizeof(T) == 8)
    return Scalars<u64>{};
  else
    return Scalars<u32>{};
}
template <class... P>
using Flatten = decltype((Scalars<>{} + ... + scalars_of<P>()));

template <class S>
constexpr ValType val_type() {
  if constexpr (std::is_same_v<S, f32>)
    return kF32;
  else if constexpr (std::is_same_v<S, f64>)
    return kF64;
  else if constexpr (std::is_same_v<S, u64>)
    return kI64;
  else
    return kI32;
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
inline Slot make_slot(u32 v) { return {.u64_ = v}; }
inline Slot make_slot(u64 v) { return {.u64_ = v}; }
inline Slot make_slot(f32 v) { return {.f32_ = v}; }
inline Slot make_slot(f64 v) { return {.f64_ = v}; }

// Reads one C++ parameter from slots. A type narrower than its Wasm scalar must hold the value (an i32 of 256
// is no u8), and a type with `bool guest_valid(T)` beside it must accept it.
template <class T>
ArgError read_param(const GuestMemory& m, const Slot*& s, T& out) {
  if constexpr (std::is_same_v<T, GuestMemory>) {
    out = m;
  } else if constexpr (kIsGuestPtr<T>) {
    u8* p = m.at(read_slot<typename T::Address>(*s++), sizeof(typename T::Value));
    out = T{p};
    if (!p) return ArgError::out_of_bounds;
  } else if constexpr (kIsGuestSpan<T>) {
    const auto address = read_slot<typename T::Address>(*s++);
    const auto count = read_slot<typename T::Address>(*s++);
    constexpr u64 kMost = ~u64{0} / sizeof(typename T::Value);
    u8* p = count <= kMost ? m.at(address, u64{count} * sizeof(typename T::Value)) : nullptr;
    out = T{p, count};
    if (!p) return ArgError::out_of_bounds;
  } else if constexpr (std::is_floating_point_v<T>) {
    out = read_slot<T>(*s++);
  } else {
    using Raw = std::conditional_t<sizeof(T) == 8, u64, u32>;
    const Raw raw = read_slot<Raw>(*s++);
    out = static_cast<T>(raw);
    if constexpr (sizeof(T) < sizeof(Raw))
      if (raw >> (8 * sizeof(T))) return ArgError::invalid_value;
    if constexpr (requires { guest_valid(out); })
      if (!guest_valid(out)) return ArgError::invalid_value;
  }
  return ArgError::none;
}

template <class R, class... P>
std::type_identity<R> result_of(R (*)(P...));

template <class Traits, class R>
struct OutsOf {
  using type = std::tuple<>;
};
template <class Traits, class R>
  requires requires { typename Traits::template Outs<R>; }
struct OutsOf<Traits, R> {
  using type = typename Traits::template Outs<R>;
};

template <class Traits>
struct AddressOf {
  using type = u32;
};
template <class Traits>
  requires requires { typename Traits::Address; }
struct AddressOf<Traits> {
  using type = typename Traits::Address;
};

template <class Traits, auto Fn, class FnType, class Outs>
struct Binder;
template <class Traits, auto Fn, class R, class Ctx, class... P, class... Out>
struct Binder<Traits, Fn, R (*)(Ctx&, P...), std::tuple<Out...>> {
  template <class T>
  using OutPtr = GuestPtr<T, typename AddressOf<Traits>::type>;
  using Params = Flatten<P..., OutPtr<Out>...>;
  using WasmResult = typename Traits::template WasmResult<R>;

  static Status invoke(HostFunc& host, const Slot* args, Slot* result) {
    const GuestMemory memory = guest_memory(host);
    std::tuple<P..., OutPtr<Out>...> params;
    ArgError error = ArgError::none;
    std::apply([&](auto&... p) { (void)(((error = read_param(memory, args, p)) == ArgError::none) && ...); },
               params);
    return call(host, result, error, params, std::index_sequence_for<P...>{},
                std::index_sequence_for<Out...>{});
  }
  template <class Tuple, std::size_t... I, std::size_t... J>
  static Status call(HostFunc& host, Slot* result, ArgError error, Tuple& params, std::index_sequence<I...>,
                     std::index_sequence<J...>) {
    const std::tuple<OutPtr<Out>...> outs{std::get<sizeof...(P) + J>(params)...};
    return Traits::template finish<R>(
        host, result, error,
        [&]() -> R { return Fn(Traits::template context<Ctx>(host), std::get<I>(params)...); }, outs);
  }

  static Status array_entry(FuncRef* self, Slot* slots) {
    return invoke(*static_cast<HostFunc*>(self->code), slots, slots);
  }

  template <class... S>
  static constexpr auto types(Scalars<S...>) {
    return std::array<ValType, sizeof...(S)>{val_type<S>()...};
  }
  static constexpr auto result_types() {
    if constexpr (std::is_void_v<WasmResult>)
      return std::array<ValType, 0>{};
    else
      return std::array<ValType, 1>{val_type<WasmResult>()};
  }
  static constexpr auto kParams = types(Params{});
  static constexpr auto kResults = result_types();

  template <class List>
  struct Native;
  template <class... S>
  struct Native<Scalars<S...>> {
    static WasmResult entry(HostFunc* host, S... scalars) {
      const std::array<Slot, sizeof...(S) + 1> args{make_slot(scalars)...};
      Slot result{};
      invoke(*host, args.data(), &result);
      if constexpr (!std::is_void_v<WasmResult>) return read_slot<WasmResult>(result);
    }
  };
};

}  // namespace host_detail

// Makes the descriptor of a typed function `R fn(Ctx&, P…)`. Each P is a scalar or enum of at most 8 bytes,
// or GuestMemory, GuestAddr, GuestPtr<T>, GuestSpan<T>. Arguments are checked from left to right before it
// runs. Traits says what a call means in this interface:
//   template <class Ctx> static Ctx& context(HostFunc&);
//   template <class R> using WasmResult = …;        u32, u64, f32, f64 or void
//   using Address = u64;                            optional: pointers of outs are i64
//   template <class R> using Outs = std::tuple<T…>; optional: results that go through pointer parameters,
//   which
//                                                   follow P… in the Wasm signature and are checked like them
//   template <class R> static constexpr bool kAlwaysReturns;
//                                                   finish gives Status::ok: the descriptor gets a native
//                                                   entry
//   template <class R, class Call, class... T>
//   static Status finish(HostFunc&, Slot* result, ArgError, Call call, const std::tuple<GuestPtr<T>...>&
//   outs);
//       runs call() if there is no ArgError (else reports it), stores the outs, writes the Wasm result to
//       *result, gives the status. Lets no C++ exception out.
template <class Traits, auto Fn>
HostFuncDesc host_func(std::string_view module, std::string_view name) {
  using R = typename decltype(host_detail::result_of(Fn))::type;
  using B = host_detail::Binder<Traits, Fn, decltype(Fn), typename host_detail::OutsOf<Traits, R>::type>;
  void* native = nullptr;
  if constexpr (Traits::template kAlwaysReturns<R>)
    native = reinterpret_cast<void*>(&B::template Native<typename B::Params>::entry);
  return {module, name, B::kParams, B::kResults, &B::array_entry, native};
}

}  // namespace tenon
