// args_get, environ_get and their sizes.
#include <cstring>

#include "wasi/preview1.h"

namespace tenon::wasi {
namespace {

// Pointers to the strings at `pointers`, the strings themselves at `buffer`.
Expect<> hand_out(const StringList& list, GuestMemory memory, GuestAddr pointers, GuestAddr buffer) {
  const u32 base = static_cast<u32>(buffer);
  u8* to_pointers = memory.at(static_cast<u32>(pointers), list.offsets.size() * sizeof(u32));
  u8* to_bytes = memory.at(base, list.bytes.size());
  if (!to_pointers || !to_bytes) return std::unexpected(Errno::fault);
  std::memcpy(to_bytes, list.bytes.data(), list.bytes.size());
  for (const u32 offset : list.offsets) {
    const u32 address = base + offset;
    std::memcpy(to_pointers, &address, sizeof address);
    to_pointers += sizeof address;
  }
  return {};
}

std::tuple<Size, Size> sizes(const StringList& list) {
  return {static_cast<Size>(list.offsets.size()), static_cast<Size>(list.bytes.size())};
}

}  // namespace

Expect<> args_get(WasiContext& context, GuestMemory memory, GuestAddr argv, GuestAddr argv_buf) {
  return hand_out(context.args, memory, argv, argv_buf);
}
Expect<std::tuple<Size, Size>> args_sizes_get(WasiContext& context) { return sizes(context.args); }
Expect<> environ_get(WasiContext& context, GuestMemory memory, GuestAddr environ, GuestAddr environ_buf) {
  return hand_out(context.env, memory, environ, environ_buf);
}
Expect<std::tuple<Size, Size>> environ_sizes_get(WasiContext& context) { return sizes(context.env); }

}  // namespace tenon::wasi
