// What the host functions of all wasi-nn modules have in common: who calls, records in guest memory, errors as
// nn_errno. A is the guest's address type: u32, or u64 for memory64, whose records have 64-bit pointers and
// lengths.
#pragma once

#include <new>

#include "engine/runtime/host_func.h"
#include "engine/runtime/vm.h"
#include "wasi-nn/abi/errno.h"
#include "wasi-nn/nn_context.h"

namespace tenon::nn {

// What kernels may need of the native stack; 64 KiB of it the engine keeps below the guest's limit anyway.
inline constexpr u64 kStackNeeded = (256 - 64) << 10;

// HostFunc::data of every function here.
struct Binding {
  NnContext* nn;
  DialectId dialect = DialectId::automatic;
  bool shared_memory = false;
};

// witx: (record (field $dimensions (list u32)) (field $type u8) (field $data (list u8))).
template <class A>
struct TensorRecord {
  A dims_address;
  A dims_length;  // elements
  u8 type;
  u8 padding[sizeof(A) - 1];
  A data_address;
  A data_length;  // bytes
};
static_assert(sizeof(TensorRecord<u32>) == 20 && sizeof(TensorRecord<u64>) == 40);

// witx: (list u8), an element of $graph_builder_array; also a string.
template <class A>
struct ListRecord {
  A address;
  A length;
};
static_assert(sizeof(ListRecord<u32>) == 8);

inline std::span<const std::byte> as_bytes(const u8* data, u64 size) {
  return {reinterpret_cast<const std::byte*>(data), size};
}

inline std::unexpected<kernels::Error> outside(std::string_view what) {
  return kernels::fail(kernels::ErrorCode::invalid_argument, "{} lies outside the guest's memory", what);
}

inline Binding& binding(HostFunc& host) { return *static_cast<Binding*>(host.data); }
inline NnContext& nn_of(HostFunc& host) { return *binding(host).nn; }
inline Caller caller_of(HostFunc& host) {
  const Binding& b = binding(host);
  return {.dialect = &dialect(b.dialect),
          .memory = host.memory,
          .shared_memory = b.shared_memory,
          .interrupt = host.store ? &host.store->interrupt : nullptr};
}

// The tensor that a record describes; pointers are checked, type and dimensions are not.
template <class A>
Result<GuestTensor> read_tensor(const GuestMemory& memory, const TensorRecord<A>& record) {
  constexpr A kMost = ~A{0} / sizeof(u32);
  const u8* dims = record.dims_length <= kMost
                       ? memory.at(record.dims_address, u64{record.dims_length} * sizeof(u32))
                       : nullptr;
  if (!dims) return outside("a tensor's dimensions");
  const u8* data = memory.at(record.data_address, record.data_length);
  if (!data) return outside("a tensor's data");
  return GuestTensor{as_bytes(dims, u64{record.dims_length} * sizeof(u32)), record.type,
                     as_bytes(data, record.data_length)};
}

template <class A>
Result<std::string_view> read_string(const GuestMemory& memory, const ListRecord<A>& record) {
  const u8* at = memory.at(record.address, record.length);
  if (!at) return outside("a name");
  return std::string_view(reinterpret_cast<const char*>(at), record.length);
}

// Traits of host_func: functions take HostFunc& first and give Result<T>; T goes through a pointer.
template <class A>
struct NnTraits {
  using Address = A;
  template <class Ctx>
  static Ctx& context(HostFunc& host) {
    return host;
  }
  template <class R>
  using WasmResult = u32;
  template <class R>
  struct OutsOf;
  template <class T>
  struct OutsOf<Result<T>> {
    using type = std::tuple<T>;
  };
  template <>
  struct OutsOf<Result<void>> {
    using type = std::tuple<>;
  };
  template <>
  struct OutsOf<Result<GraphHandle>> {
    using type = std::tuple<u32>;
  };
  template <>
  struct OutsOf<Result<ContextHandle>> {
    using type = std::tuple<u32>;
  };
  template <>
  struct OutsOf<Result<size_t>> {
    using type = std::tuple<A>;
  };
  template <class R>
  using Outs = typename OutsOf<R>::type;
  template <class R>
  static constexpr bool kAlwaysReturns = true;

  template <class R, class Call, class... T>
  static Status finish(HostFunc& host, Slot* result, ArgError error, Call call,
                       const std::tuple<GuestPtr<T, A>...>& outs) {
    result->u64_ = run<R>(host, error, call, outs);
    return Status::ok;
  }

 private:
  template <class R, class Call, class... T>
  static u32 run(HostFunc& host, ArgError error, Call call, const std::tuple<GuestPtr<T, A>...>& outs) {
    using enum NnErrno;
    if (!host.memory) return failed(host, missing_memory, "the guest exports no memory");
    if (host.store && static_cast<u8*>(__builtin_frame_address(0)) < host.store->stack_limit + kStackNeeded)
      return failed(host, runtime_error, "the guest's stack leaves no room for an inference");
    if (error == ArgError::out_of_bounds)
      return failed(host, invalid_argument, "a pointer lies outside the guest's memory");
    if (error != ArgError::none) return failed(host, invalid_argument, "an argument has no such value");
    try {
      const R returned = call();
      if (!returned) {
        // get_output tells how much room it needs.
        if constexpr (std::is_same_v<std::tuple<T...>, std::tuple<A>>) {
          if (const u64 needed = returned.error().needed_bytes; needed > 0)
            std::get<0>(outs).store(static_cast<A>(std::min<u64>(needed, ~A{0})));
        }
        return failed(host, to_errno(returned.error().code), returned.error().message);
      }
      if constexpr (sizeof...(T) > 0)
        std::get<0>(outs).store(static_cast<std::tuple_element_t<0, std::tuple<T...>>>(*returned));
      return 0;
    } catch (const std::bad_alloc&) {
      return failed(host, runtime_error, "out of memory");
    } catch (const std::exception& e) {
      return failed(host, runtime_error, e.what());
    }
  }

  static u32 failed(HostFunc& host, NnErrno code, std::string_view message) {
    nn_of(host).remember(
        fmt::format("{}.{}: {}: {}", host.desc->module, host.desc->name, to_string(code), message));
    if (code == NnErrno::not_found) return dialect(binding(host).dialect).name_not_found;
    return static_cast<u32>(code);
  }
};

}  // namespace tenon::nn
