// The types of preview 1 (witx: typenames) in C++: numbers and record layouts are the guest's. No behaviour.
#pragma once
#include <cstddef>
#include <expected>
#include <tuple>

#include "engine/base.h"

namespace tenon::wasi {

enum class Errno : u16 {
#define ERRNO(id, host) id,
#include "wasi/errno.def"
#undef ERRNO
  count,
};

// What a preview 1 function gives: its result, or an errno.
template <class T = void>
using Expect = std::expected<T, Errno>;

// A set of flags named by enum E, whose values are bits. guest_valid() refuses unknown bits.
template <class E, class Repr, Repr kKnown>
struct Flags {
  Repr bits = 0;
  constexpr Flags() = default;
  constexpr Flags(E e) : bits(static_cast<Repr>(e)) {}
  constexpr explicit Flags(Repr b) : bits(b) {}
  constexpr explicit operator Repr() const { return bits; }
  constexpr bool has(E e) const { return (bits & static_cast<Repr>(e)) != 0; }
  constexpr bool contains(Flags o) const { return (o.bits & ~bits) == 0; }
  constexpr bool any() const { return bits != 0; }
  constexpr Flags without(Flags o) const { return Flags(static_cast<Repr>(bits & ~o.bits)); }
  friend constexpr Flags operator|(Flags a, Flags b) { return Flags(static_cast<Repr>(a.bits | b.bits)); }
  friend constexpr Flags operator&(Flags a, Flags b) { return Flags(static_cast<Repr>(a.bits & b.bits)); }
  friend constexpr bool operator==(Flags, Flags) = default;
  friend constexpr bool guest_valid(Flags f) { return (f.bits & ~kKnown) == 0; }
};

using Size = u32;
using Filesize = u64;
using Filedelta = i64;
using Timestamp = u64;
using Dircookie = u64;
using Userdata = u64;

enum class Fd : u32 {};

enum class Clockid : u32 { realtime, monotonic, process_cputime, thread_cputime };
constexpr bool guest_valid(Clockid c) { return c <= Clockid::thread_cputime; }

enum class Whence : u8 { set, cur, end };
constexpr bool guest_valid(Whence w) { return w <= Whence::end; }

enum class Advice : u8 { normal, sequential, random, willneed, dontneed, noreuse };
constexpr bool guest_valid(Advice a) { return a <= Advice::noreuse; }

enum class Filetype : u8 {
  unknown,
  block_device,
  character_device,
  directory,
  regular_file,
  socket_dgram,
  socket_stream,
  symbolic_link,
};

namespace rights_detail {
enum Position {
#define RIGHT(id) id,
#include "wasi/rights.def"
#undef RIGHT
  count
};
}  // namespace rights_detail
enum class Right : u64 {
#define RIGHT(id) id = u64{1} << rights_detail::id,
#include "wasi/rights.def"
#undef RIGHT
};
inline constexpr u64 kAllRights = (u64{1} << rights_detail::count) - 1;
// Unknown bits are accepted from guests (some ask for all 64) and never granted.
using Rights = Flags<Right, u64, ~u64{0}>;
constexpr Rights operator|(Right a, Right b) { return Rights(a) | Rights(b); }

enum class Fdflag : u16 { append = 1, dsync = 2, nonblock = 4, rsync = 8, sync = 16 };
using Fdflags = Flags<Fdflag, u16, 31>;
enum class Lookupflag : u32 { symlink_follow = 1 };
using Lookupflags = Flags<Lookupflag, u32, 1>;
enum class Oflag : u16 { creat = 1, directory = 2, excl = 4, trunc = 8 };
using Oflags = Flags<Oflag, u16, 15>;
enum class Fstflag : u16 { atim = 1, atim_now = 2, mtim = 4, mtim_now = 8 };
using Fstflags = Flags<Fstflag, u16, 15>;
enum class Eventrwflag : u16 { hangup = 1 };
using Eventrwflags = Flags<Eventrwflag, u16, 1>;
enum class Riflag : u16 { recv_peek = 1, recv_waitall = 2 };
using Riflags = Flags<Riflag, u16, 3>;
enum class Roflag : u16 { recv_data_truncated = 1 };
using Roflags = Flags<Roflag, u16, 1>;
enum class Siflag : u16 {};
using Siflags = Flags<Siflag, u16, 0>;
enum class Sdflag : u8 { rd = 1, wr = 2 };
using Sdflags = Flags<Sdflag, u8, 3>;

enum class Signal : u8 {
  none,
  hup,
  int_,
  quit,
  ill,
  trap,
  abrt,
  bus,
  fpe,
  kill,
  usr1,
  segv,
  usr2,
  pipe,
  alrm,
  term,
  chld,
  cont,
  stop,
  tstp,
  ttin,
  ttou,
  urg,
  xcpu,
  xfsz,
  vtalrm,
  prof,
  winch,
  poll,
  pwr,
  sys,
};
constexpr bool guest_valid(Signal s) { return s <= Signal::sys; }

struct Iovec {  // also ciovec
  u32 buf, len;
};
struct Dirent {
  u64 next, ino;
  u32 namlen;
  Filetype type;
  u8 padding[3];
};
struct Fdstat {
  Filetype filetype;
  u8 padding0;
  Fdflags flags;
  u32 padding1;
  Rights rights_base, rights_inheriting;
};
struct Filestat {
  u64 dev, ino;
  Filetype filetype;
  u8 padding[7];
  u64 nlink, size;
  Timestamp atim, mtim, ctim;
};
enum class Eventtype : u8 { clock, fd_read, fd_write };
struct Event {
  Userdata userdata;
  Errno error;
  Eventtype type;
  u8 padding0[5];
  Filesize nbytes;
  Eventrwflags flags;
  u8 padding1[6];
};
enum class Subclockflag : u16 { abstime = 1 };
using Subclockflags = Flags<Subclockflag, u16, 1>;
struct Subscription {
  Userdata userdata;
  Eventtype type;
  u8 padding0[7];
  u32 id;  // Clockid for a clock, else Fd; what follows is for clocks
  u32 padding1;
  Timestamp timeout, precision;
  Subclockflags flags;
  u8 padding2[6];
};
struct Prestat {
  u8 tag;  // 0: directory
  u8 padding[3];
  Size name_len;
};
static_assert(sizeof(Iovec) == 8 && sizeof(Dirent) == 24 && sizeof(Fdstat) == 24 && sizeof(Filestat) == 64);
static_assert(sizeof(Event) == 32 && sizeof(Subscription) == 48 && sizeof(Prestat) == 8);
static_assert(offsetof(Fdstat, rights_base) == 8 && offsetof(Event, nbytes) == 16);
static_assert(offsetof(Subscription, id) == 16 && offsetof(Subscription, flags) == 40);

}  // namespace tenon::wasi
