// Conversions of file attributes.
#include "wasi/filestat.h"

#include "wasi/fd_table.h"

namespace tenon::wasi {
namespace {

constexpr u64 kNanoseconds = 1'000'000'000;

// Before 1970 is 0: preview 1's timestamps are unsigned.
Timestamp timestamp(const timespec& t) {
  return t.tv_sec < 0 ? 0 : static_cast<u64>(t.tv_sec) * kNanoseconds + static_cast<u64>(t.tv_nsec);
}

}  // namespace

Filestat to_filestat(const struct stat& st, int fd) {
  Filestat out{};
  out.dev = st.st_dev;
  out.ino = st.st_ino;
  out.filetype = filetype_of(st.st_mode, fd);
  out.nlink = st.st_nlink;
  out.size = static_cast<u64>(st.st_size);
  out.atim = timestamp(st.st_atim);
  out.mtim = timestamp(st.st_mtim);
  out.ctim = timestamp(st.st_ctim);
  return out;
}

Expect<std::array<timespec, 2>> to_timespecs(Timestamp atim, Timestamp mtim, Fstflags flags) {
  const auto one = [&](Timestamp t, Fstflag set, Fstflag now) -> Expect<timespec> {
    if (flags.has(set) && flags.has(now)) return std::unexpected(Errno::inval);
    if (flags.has(now)) return timespec{0, UTIME_NOW};
    if (!flags.has(set)) return timespec{0, UTIME_OMIT};
    return timespec{static_cast<time_t>(t / kNanoseconds), static_cast<long>(t % kNanoseconds)};
  };
  TRY_ASSIGN(const timespec a, one(atim, Fstflag::atim, Fstflag::atim_now));
  TRY_ASSIGN(const timespec m, one(mtim, Fstflag::mtim, Fstflag::mtim_now));
  return std::array{a, m};
}

}  // namespace tenon::wasi
