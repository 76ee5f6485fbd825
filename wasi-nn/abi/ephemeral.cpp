// Binds NnContext to the witx ABI of wasi-nn: 20-byte tensor records, results through pointers, nn_errno as
// result.
#include "wasi-nn/abi/ephemeral.h"

#include <array>
#include <new>

#include "wasi-nn/abi/errno.h"

namespace tenon::nn {
namespace {

// witx: (record (field $dimensions (list u32)) (field $type u8) (field $data (list u8))).
struct TensorRecord {
  uint32_t dims_address;
  uint32_t dims_length;  // elements
  uint8_t type;
  uint8_t padding[3];
  uint32_t data_address;
  uint32_t data_length;  // bytes
};
static_assert(sizeof(TensorRecord) == 20);

// witx: (list u8), an element of $graph_builder_array.
struct BuilderRecord {
  uint32_t address;
  uint32_t length;
};
static_assert(sizeof(BuilderRecord) == 8);

std::span<const std::byte> as_bytes(const u8* data, uint64_t size) {
  return {reinterpret_cast<const std::byte*>(data), size};
}

std::unexpected<kernels::Error> outside(std::string_view what) {
  return kernels::fail(kernels::ErrorCode::invalid_argument, "{} lies outside the guest's memory", what);
}

struct EphemeralTraits {
  template <class Ctx>
  static Ctx& context(HostFunc& host) {
    return *static_cast<Ctx*>(host.data);
  }
  template <class R>
  using WasmResult = u32;
  template <class R>
  struct OutsOf {
    using type = std::tuple<u32>;  // handles and sizes
  };
  template <>
  struct OutsOf<Result<void>> {
    using type = std::tuple<>;
  };
  template <class R>
  using Outs = typename OutsOf<R>::type;
  template <class R>
  static constexpr bool kAlwaysReturns = true;

  template <class R, class Call, class... T>
  static Status finish(HostFunc& host, Slot* result, ArgError error, Call call,
                       const std::tuple<GuestPtr<T>...>& outs) {
    result->u64_ = static_cast<u32>(run<R>(host, error, call, outs));
    return Status::ok;
  }

 private:
  template <class R, class Call, class... T>
  static NnErrno run(HostFunc& host, ArgError error, Call call, const std::tuple<GuestPtr<T>...>& outs) {
    NnContext& nn = context<NnContext>(host);
    if (!host.memory) return failed(nn, host, NnErrno::missing_memory, "the guest exports no memory");
    if (error == ArgError::out_of_bounds) {
      return failed(nn, host, NnErrno::invalid_argument, "a pointer lies outside the guest's memory");
    }
    if (error != ArgError::none)
      return failed(nn, host, NnErrno::invalid_argument, "an argument has no such value");
    try {
      const R returned = call();
      if (!returned) {
        // get_output tells how much room it needs.
        if constexpr (sizeof...(T) > 0) {
          if (returned.error().needed_bytes > 0)
            std::get<0>(outs).store(clamped(returned.error().needed_bytes));
        }
        return failed(nn, host, to_errno(returned.error().code), returned.error().message);
      }
      if constexpr (sizeof...(T) > 0) std::get<0>(outs).store(static_cast<u32>(*returned));
      return NnErrno::success;
    } catch (const std::bad_alloc&) {
      return failed(nn, host, NnErrno::runtime_error, "out of memory");
    } catch (const std::exception& e) {
      return failed(nn, host, NnErrno::runtime_error, e.what());
    }
  }

  static NnErrno failed(NnContext& nn, const HostFunc& host, NnErrno code, std::string_view message) {
    nn.remember(fmt::format("{}: {}: {}", host.desc->name, to_string(code), message));
    return code;
  }

  static u32 clamped(uint64_t size) { return static_cast<u32>(std::min<uint64_t>(size, 0xffffffff)); }
};

namespace ephemeral {

Result<GraphHandle> load(NnContext& nn, GuestMemory memory, GuestSpan<BuilderRecord> builders, u32 encoding,
                         u32 target) {
  constexpr u32 kMaxBuilders = 16;
  if (builders.size() > kMaxBuilders) {
    return kernels::fail(kernels::ErrorCode::invalid_argument, "{} graph builders", builders.size());
  }
  std::array<std::span<const std::byte>, kMaxBuilders> spans;
  for (u32 i = 0; i < builders.size(); ++i) {
    const BuilderRecord record = builders.load(i);
    const u8* data = memory.at(record.address, record.length);
    if (!data) return outside("a graph builder");
    spans[i] = as_bytes(data, record.length);
  }
  return nn.load(std::span(spans).first(builders.size()), encoding, target);
}

Result<GraphHandle> load_by_name(NnContext& nn, GuestSpan<char> name) {
  return nn.load_by_name(std::string(name.view()));  // a copy: the lookup must see one value
}

Result<ContextHandle> init_execution_context(NnContext& nn, GraphHandle graph) {
  return nn.init_execution_context(graph);
}

Result<void> set_input(NnContext& nn, GuestMemory memory, ContextHandle context, u32 index,
                       GuestPtr<TensorRecord> tensor) {
  const TensorRecord record = tensor.load();
  const u8* dims = memory.at(record.dims_address, uint64_t{record.dims_length} * sizeof(u32));
  if (!dims) return outside("the dimensions");
  const u8* data = memory.at(record.data_address, record.data_length);
  if (!data) return outside("the tensor's data");
  return nn.set_input(context, index,
                      {as_bytes(dims, uint64_t{record.dims_length} * sizeof(u32)), record.type,
                       as_bytes(data, record.data_length)});
}

Result<void> compute(NnContext& nn, ContextHandle context) { return nn.compute(context); }

Result<size_t> get_output(NnContext& nn, ContextHandle context, u32 index, GuestSpan<u8> out) {
  const auto bytes = out.bytes();
  return nn.get_output(context, index, std::as_writable_bytes(bytes));
}

// The configuration steers backends that generate text; no model that loads here has a use for it.
Result<GraphHandle> load_by_name_with_config(NnContext& nn, GuestSpan<char> name, GuestSpan<char> config) {
  return load_by_name(nn, name);
}

std::unexpected<kernels::Error> no_stream() {
  return kernels::fail(kernels::ErrorCode::unsupported_operation,
                       "the graph gives its outputs whole, not in a stream");
}
Result<void> compute_single(NnContext& nn, ContextHandle context) { return no_stream(); }
Result<size_t> get_output_single(NnContext& nn, ContextHandle context, u32 index, GuestSpan<u8> out) {
  return no_stream();
}
Result<void> fini_single(NnContext& nn, ContextHandle context) { return no_stream(); }

Result<void> unload(NnContext& nn, GraphHandle graph) { return nn.unload(graph); }
Result<void> finalize_execution_context(NnContext& nn, ContextHandle context) { return nn.close(context); }

}  // namespace ephemeral
}  // namespace

std::span<const HostFuncDesc> ephemeral_functions() {
  static const HostFuncDesc kFunctions[] = {
#define NN_FUNC(name) host_func<EphemeralTraits, &ephemeral::name>(kEphemeralModule, #name),
#include "wasi-nn/abi/ephemeral.def"
#undef NN_FUNC
  };
  return kFunctions;
}

}  // namespace tenon::nn
