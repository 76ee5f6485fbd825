// Module wasi_ephemeral_nn: binds NnContext to the witx ABI and to WasmEdge's additions.
#include <array>

#include "wasi-nn/abi/functions.h"

namespace tenon::nn {
namespace ephemeral {

template <class A>
Result<GraphHandle> load(HostFunc& host, GuestMemory memory, GuestSpan<ListRecord<A>, A> builders,
                         u32 encoding, u32 target) {
  constexpr A kMaxBuilders = 16;
  if (builders.size() > kMaxBuilders) {
    return kernels::fail(kernels::ErrorCode::invalid_argument, "{} graph builders", builders.size());
  }
  std::array<std::span<const std::byte>, kMaxBuilders> spans;
  for (A i = 0; i < builders.size(); ++i) {
    const ListRecord<A> record = builders.load(i);
    const u8* data = memory.at(record.address, record.length);
    if (!data) return outside("a graph builder");
    spans[i] = as_bytes(data, record.length);
  }
  return nn_of(host).load(std::span(spans).first(builders.size()), encoding, target, caller_of(host));
}

template <class A>
Result<GraphHandle> load_by_name(HostFunc& host, GuestSpan<char, A> name) {
  return nn_of(host).load_by_name(std::string(name.view()));  // a copy: the lookup must see one value
}

template <class A>
Result<ContextHandle> init_execution_context(HostFunc& host, GraphHandle graph) {
  return nn_of(host).init_execution_context(graph);
}

template <class A>
Result<void> set_input(HostFunc& host, GuestMemory memory, ContextHandle context, u32 index,
                       GuestPtr<TensorRecord<A>, A> tensor) {
  return nn_of(host).set_input(context, {index, {}}, TENON_TRY(read_tensor(memory, tensor.load())),
                               caller_of(host));
}

template <class A>
Result<void> compute(HostFunc& host, ContextHandle context) {
  return nn_of(host).compute(context, caller_of(host));
}

template <class A>
Result<size_t> get_output(HostFunc& host, ContextHandle context, u32 index, GuestSpan<u8, A> out) {
  return nn_of(host).get_output(context, {index, {}}, std::as_writable_bytes(out.bytes()), caller_of(host));
}

// The configuration steers backends that generate text; no model that loads here has a use for it.
template <class A>
Result<GraphHandle> load_by_name_with_config(HostFunc& host, GuestSpan<char, A> name, GuestSpan<char, A>) {
  return load_by_name<A>(host, name);
}

std::unexpected<kernels::Error> no_stream() {
  return kernels::fail(kernels::ErrorCode::unsupported_operation,
                       "the graph gives its outputs whole, not in a stream");
}
template <class A>
Result<void> compute_single(HostFunc&, ContextHandle) {
  return no_stream();
}
template <class A>
Result<size_t> get_output_single(HostFunc&, ContextHandle, u32, GuestSpan<u8, A>) {
  return no_stream();
}
template <class A>
Result<void> fini_single(HostFunc&, ContextHandle) {
  return no_stream();
}

template <class A>
Result<void> unload(HostFunc& host, GraphHandle graph) {
  return nn_of(host).unload(graph);
}
template <class A>
Result<void> finalize_execution_context(HostFunc& host, ContextHandle context) {
  return nn_of(host).close(context);
}

}  // namespace ephemeral

namespace {

template <class A>
std::span<const HostFuncDesc> table() {
  static const HostFuncDesc kFunctions[] = {
#define NN_FUNC(name) host_func<NnTraits<A>, &ephemeral::name<A>>(kEphemeralModule, #name),
#include "wasi-nn/abi/ephemeral.def"
#undef NN_FUNC
  };
  return kFunctions;
}

}  // namespace

std::span<const HostFuncDesc> ephemeral_functions(bool memory64) {
  return memory64 ? table<u64>() : table<u32>();
}

std::span<const HostFuncDesc> nn_functions(bool memory64) {
  const auto all = [](bool wide) {
    std::vector<HostFuncDesc> list;
    for (const auto& part : {ephemeral_functions(wide), extension_functions(wide),
                             wide ? std::span<const HostFuncDesc>() : legacy_functions()})
      list.insert(list.end(), part.begin(), part.end());
    return list;
  };
  static const std::vector<HostFuncDesc> kNarrow = all(false), kWide = all(true);
  return memory64 ? kWide : kNarrow;
}

}  // namespace tenon::nn
