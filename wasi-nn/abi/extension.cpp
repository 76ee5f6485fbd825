// Module tenon_nn: bound tensors, names, descriptions and messages, for guests that know Tenon.
#include <vector>

#include "wasi-nn/abi/functions.h"

namespace tenon::nn {
namespace {

// What `describe` stores; the same for 32-bit and 64-bit guests.
struct InfoRecord {
  u32 type;      // enum of wasi_ephemeral_nn
  u32 rank;      // kUnknownRank: any
  u64 bytes;     // 0 while a dimension is dynamic
  u32 dims[12];  // kDynamicDim: dynamic
};
static_assert(sizeof(InfoRecord) == 64 && sizeof(EdgeInfo::dims) == sizeof(InfoRecord::dims));

// An element of compute's first list.
template <class A>
struct NamedInputRecord {
  ListRecord<A> name;
  TensorRecord<A> tensor;
};
// An element of compute's second list. `written` is stored by the host.
template <class A>
struct NamedOutputRecord {
  ListRecord<A> name;
  ListRecord<A> data;
  A written;
};
static_assert(sizeof(NamedInputRecord<u32>) == 28 && sizeof(NamedOutputRecord<u32>) == 20);
static_assert(sizeof(NamedInputRecord<u64>) == 56 && sizeof(NamedOutputRecord<u64>) == 40);

// As much of the text as fits; gives its whole length.
template <class A>
size_t copy_out(std::string_view text, const GuestSpan<u8, A>& out) {
  const auto room = out.bytes();
  std::memcpy(room.data(), text.data(), std::min<size_t>(text.size(), room.size()));
  return text.size();
}

// guest_valid is host_func's hook for enums.
enum class KindParam : u32 {};
bool guest_valid(KindParam kind) { return static_cast<u32>(kind) <= static_cast<u32>(EdgeKind::output); }
EdgeKind edge_kind(KindParam kind) { return static_cast<EdgeKind>(kind); }

namespace extension {

template <class A>
Result<u32> input_count(HostFunc& host, u32 handle) {
  return nn_of(host).count(handle, EdgeKind::input);
}

template <class A>
Result<u32> output_count(HostFunc& host, u32 handle) {
  return nn_of(host).count(handle, EdgeKind::output);
}

template <class A>
Result<InfoRecord> describe(HostFunc& host, u32 handle, KindParam kind, u32 index) {
  std::shared_ptr<const void> keep;
  const EdgeInfo info = TENON_TRY(nn_of(host).describe(handle, edge_kind(kind), index, keep));
  InfoRecord record{.type = info.type, .rank = info.rank, .bytes = info.bytes, .dims = {}};
  std::ranges::copy(info.dims, record.dims);
  return record;
}

template <class A>
Result<size_t> name(HostFunc& host, u32 handle, KindParam kind, u32 index, GuestSpan<u8, A> out) {
  std::shared_ptr<const void> keep;
  return copy_out(TENON_TRY(nn_of(host).describe(handle, edge_kind(kind), index, keep)).name, out);
}

template <class A>
Result<void> bind_input(HostFunc& host, ContextHandle context, u32 index, A address, A size) {
  return nn_of(host).bind_input(context, {index, {}}, std::nullopt, address, size, caller_of(host));
}

template <class A>
Result<void> bind_input_by_name(HostFunc& host, ContextHandle context, GuestSpan<char, A> edge, A address,
                                A size) {
  return nn_of(host).bind_input(context, {0, edge.view()}, std::nullopt, address, size, caller_of(host));
}

template <class A>
Result<void> bind_input_with_dims(HostFunc& host, ContextHandle context, u32 index, GuestSpan<u32, A> dims,
                                  A address, A size) {
  return nn_of(host).bind_input(context, {index, {}}, std::as_bytes(dims.bytes()), address, size,
                                caller_of(host));
}

template <class A>
Result<void> bind_output(HostFunc& host, ContextHandle context, u32 index, A address, A size) {
  return nn_of(host).bind_output(context, {index, {}}, address, size, caller_of(host));
}

template <class A>
Result<void> bind_output_by_name(HostFunc& host, ContextHandle context, GuestSpan<char, A> edge, A address,
                                 A size) {
  return nn_of(host).bind_output(context, {0, edge.view()}, address, size, caller_of(host));
}

template <class A>
Result<void> unbind(HostFunc& host, ContextHandle context, KindParam kind, u32 index) {
  return nn_of(host).unbind(context, edge_kind(kind), {index, {}});
}

template <class A>
Result<void> set_input_by_name(HostFunc& host, GuestMemory memory, ContextHandle context,
                               GuestSpan<char, A> edge, GuestPtr<TensorRecord<A>, A> tensor) {
  return nn_of(host).set_input(context, {0, edge.view()}, TENON_TRY(read_tensor(memory, tensor.load())),
                               caller_of(host));
}

template <class A>
Result<size_t> get_output_by_name(HostFunc& host, ContextHandle context, GuestSpan<char, A> edge,
                                  GuestSpan<u8, A> out) {
  return nn_of(host).get_output(context, {0, edge.view()}, std::as_writable_bytes(out.bytes()),
                                caller_of(host));
}

template <class A>
Result<void> compute(HostFunc& host, GuestMemory memory, ContextHandle context,
                     GuestSpan<NamedInputRecord<A>, A> inputs, GuestSpan<NamedOutputRecord<A>, A> outputs) {
  constexpr A kMostEdges = 4096;
  if (inputs.size() > kMostEdges || outputs.size() > kMostEdges)
    return kernels::fail(kernels::ErrorCode::invalid_argument, "{} inputs and {} outputs", inputs.size(),
                         outputs.size());
  std::vector<NamedInput> in;
  std::vector<NamedOutput> out;
  for (A i = 0; i < inputs.size(); ++i) {
    const NamedInputRecord<A> record = inputs.load(i);
    in.push_back(
        {TENON_TRY(read_string(memory, record.name)), TENON_TRY(read_tensor(memory, record.tensor))});
  }
  for (A i = 0; i < outputs.size(); ++i) {
    const NamedOutputRecord<A> record = outputs.load(i);
    u8* data = memory.at(record.data.address, record.data.length);
    if (!data) return outside("an output's buffer");
    out.push_back({TENON_TRY(read_string(memory, record.name)),
                   {reinterpret_cast<std::byte*>(data), record.data.length}});
  }
  TENON_TRY(nn_of(host).compute_named(context, in, out, caller_of(host)));
  for (A i = 0; i < outputs.size(); ++i) {
    NamedOutputRecord<A> record = outputs.load(i);
    record.written = static_cast<A>(out[i].written);
    outputs.store(i, record);
  }
  return {};
}

template <class A>
Result<size_t> last_error(HostFunc& host, GuestSpan<u8, A> out) {
  return copy_out(nn_of(host).last_error(), out);
}

}  // namespace extension

template <class A>
std::span<const HostFuncDesc> table() {
  static const HostFuncDesc kFunctions[] = {
#define NN_FUNC(name) host_func<NnTraits<A>, &extension::name<A>>(kExtensionModule, #name),
#include "wasi-nn/abi/extension.def"
#undef NN_FUNC
  };
  return kFunctions;
}

}  // namespace

std::span<const HostFuncDesc> extension_functions(bool memory64) {
  return memory64 ? table<u64>() : table<u32>();
}

}  // namespace tenon::nn
