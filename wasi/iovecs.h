// A guest's list of buffers, checked, as the host's.
#pragma once
#include <sys/uio.h>

#include <array>
#include <span>
#include <vector>

#include "engine/runtime/host_func.h"
#include "wasi/types.h"

namespace tenon::wasi {

// At most kMax vectors and kMaxBytes in all are taken; what is beyond makes a short read or write. The
// buffers may overlap: that is the guest's own affair.
class HostIovecs {
 public:
  static constexpr u32 kMax = 1024;              // IOV_MAX
  static constexpr u64 kMaxBytes = 0x7fff'f000;  // what one Linux call moves at most

  // fault when a buffer lies outside the memory.
  Expect<> load(GuestMemory memory, GuestSpan<Iovec> guest) {
    count_ = std::min(guest.size(), kMax);
    if (count_ > inline_.size()) many_.resize(count_);
    iovec* to = data();
    u64 room = kMaxBytes;
    for (u32 i = 0; i < count_; i++) {
      const Iovec v = guest.load(i);
      u8* p = memory.at(v.buf, v.len);
      if (!p) return std::unexpected(Errno::fault);
      to[i] = {p, std::min<u64>(v.len, room)};
      room -= to[i].iov_len;
    }
    return {};
  }
  iovec* data() { return many_.empty() ? inline_.data() : many_.data(); }
  int count() const { return static_cast<int>(count_); }
  std::span<iovec> span() { return {data(), count_}; }

 private:
  std::array<iovec, 8> inline_;
  std::vector<iovec> many_;
  u32 count_ = 0;
};

}  // namespace tenon::wasi
