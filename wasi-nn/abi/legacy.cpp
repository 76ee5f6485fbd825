// Module wasi_nn, as WAMR had it: arrays and dimensions behind a pointer to a record, tensors without a length, types
// in the older numbering, sizes of outputs counted in elements.
#include <array>

#include "wasi-nn/abi/functions.h"

namespace tenon::nn {
namespace {

// graph_builder_array {graph_builder* buf; uint32_t size}, tensor_dimensions {uint32_t* buf; uint32_t size}: the same
// shape as a list.
using Array = ListRecord<u32>;

struct LegacyTensor {
  u32 dims_address;  // of an Array
  u32 type;
  u32 data_address;
};
static_assert(sizeof(LegacyTensor) == 12);

Caller legacy_caller(HostFunc& host) {
  Caller caller = caller_of(host);
  if (binding(host).dialect == DialectId::automatic) caller.dialect = &dialect(DialectId::older);
  return caller;
}

namespace legacy {

Result<GraphHandle> load(HostFunc& host, GuestMemory memory, GuestPtr<Array> array, u32 encoding,
                         u32 target) {
  constexpr u32 kMaxBuilders = 16;
  const Array list = array.load();
  if (list.length > kMaxBuilders)
    return kernels::fail(kernels::ErrorCode::invalid_argument, "{} graph builders", list.length);
  u8* records = memory.at(list.address, u64{list.length} * sizeof(Array));
  if (!records) return outside("the graph builder array");
  const GuestSpan<Array> builders(records, list.length);
  std::array<std::span<const std::byte>, kMaxBuilders> spans;
  for (u32 i = 0; i < list.length; ++i) {
    const Array record = builders.load(i);
    const u8* data = memory.at(record.address, record.length);
    if (!data) return outside("a graph builder");
    spans[i] = as_bytes(data, record.length);
  }
  return nn_of(host).load(std::span(spans).first(list.length), encoding, target, legacy_caller(host));
}

Result<GraphHandle> load_by_name(HostFunc& host, GuestSpan<char> name) {
  return nn_of(host).load_by_name(std::string(name.view()));
}

Result<ContextHandle> init_execution_context(HostFunc& host, GraphHandle graph) {
  return nn_of(host).init_execution_context(graph);
}

Result<void> set_input(HostFunc& host, GuestMemory memory, ContextHandle context, u32 index,
                       GuestPtr<LegacyTensor> tensor) {
  const LegacyTensor record = tensor.load();
  u8* dims_record = memory.at(record.dims_address, sizeof(Array));
  if (!dims_record) return outside("a tensor's dimensions");
  const Array list = GuestPtr<Array>(dims_record).load();
  const u8* dims = memory.at(list.address, u64{list.length} * sizeof(u32));
  if (!dims) return outside("a tensor's dimensions");
  const u8* data = memory.at(record.data_address, 0);
  if (!data) return outside("a tensor's data");
  const GuestTensor view{as_bytes(dims, u64{list.length} * sizeof(u32)), record.type,
                         as_bytes(data, memory.length - record.data_address), false};
  return nn_of(host).set_input(context, {index, {}}, view, legacy_caller(host));
}

Result<void> compute(HostFunc& host, ContextHandle context) {
  return nn_of(host).compute(context, legacy_caller(host));
}

// `size` holds the room in elements, and afterwards how many there are (also with too_large).
Result<void> get_output(HostFunc& host, GuestMemory memory, ContextHandle context, u32 index,
                        GuestAddr buffer, GuestPtr<u32> size) {
  const u64 element = TENON_TRY(nn_of(host).output_element_bytes(context, index));
  const u64 room = u64{size.load()} * element;
  u8* at = memory.at(static_cast<u32>(buffer), room);
  if (!at) return outside("the buffer");
  const auto written = nn_of(host).get_output(context, {index, {}}, {reinterpret_cast<std::byte*>(at), room},
                                              legacy_caller(host));
  const u64 bytes = written ? *written : written.error().needed_bytes;
  if (bytes > 0 || written) size.store(static_cast<u32>(std::min<u64>(bytes / element, 0xffffffff)));
  if (!written) return std::unexpected(written.error());
  return {};
}

}  // namespace legacy
}  // namespace

std::span<const HostFuncDesc> legacy_functions() {
  static const HostFuncDesc kFunctions[] = {
#define NN_FUNC(name) host_func<NnTraits<u32>, &legacy::name>(kLegacyModule, #name),
#include "wasi-nn/abi/legacy.def"
#undef NN_FUNC
  };
  return kFunctions;
}

}  // namespace tenon::nn
