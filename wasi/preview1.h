// The 46 functions of wasi_snapshot_preview1, by topic; each file of that name implements them. Their meaning
// is the witx's; comments here say only what it leaves open. Wasm signatures come from these types
// (engine/runtime/host_func.h): what Expect<T> holds is stored through a last pointer parameter.
#pragma once
#include <tuple>
#include <variant>

#include "engine/runtime/host_func.h"
#include "wasi/context.h"
#include "wasi/types.h"

namespace tenon::wasi {

using GuestPath = GuestSpan<char>;
using GuestIovecs = GuestSpan<Iovec>;

// The guest ends with this code.
struct Exit {
  u32 code;
};

// args_env.cpp
Expect<> args_get(WasiContext&, GuestMemory, GuestAddr argv, GuestAddr argv_buf);
Expect<std::tuple<Size, Size>> args_sizes_get(WasiContext&);
Expect<> environ_get(WasiContext&, GuestMemory, GuestAddr environ, GuestAddr environ_buf);
Expect<std::tuple<Size, Size>> environ_sizes_get(WasiContext&);

// clock.cpp
Expect<Timestamp> clock_res_get(WasiContext&, Clockid);
Expect<Timestamp> clock_time_get(WasiContext&, Clockid, Timestamp precision);

// fd.cpp
Expect<> fd_advise(WasiContext&, Fd, Filesize offset, Filesize len, Advice);
Expect<> fd_allocate(WasiContext&, Fd, Filesize offset, Filesize len);
Expect<> fd_close(WasiContext&, Fd);
Expect<> fd_datasync(WasiContext&, Fd);
Expect<Fdstat> fd_fdstat_get(WasiContext&, Fd);
Expect<> fd_fdstat_set_flags(WasiContext&, Fd, Fdflags);
Expect<> fd_fdstat_set_rights(WasiContext&, Fd, Rights base, Rights inheriting);
Expect<Filestat> fd_filestat_get(WasiContext&, Fd);
Expect<> fd_filestat_set_size(WasiContext&, Fd, Filesize);
Expect<> fd_filestat_set_times(WasiContext&, Fd, Timestamp atim, Timestamp mtim, Fstflags);
Expect<Prestat> fd_prestat_get(WasiContext&, Fd);
Expect<> fd_prestat_dir_name(WasiContext&, Fd, GuestSpan<u8> path);
Expect<> fd_renumber(WasiContext&, Fd from, Fd to);
Expect<Filesize> fd_seek(WasiContext&, Fd, Filedelta, Whence);
Expect<> fd_sync(WasiContext&, Fd);
Expect<Filesize> fd_tell(WasiContext&, Fd);

// fd_io.cpp. Of more than 1024 vectors the first 1024 are used: a short read or write.
Expect<Size> fd_pread(WasiContext&, GuestMemory, Fd, GuestIovecs, Filesize offset);
Expect<Size> fd_pwrite(WasiContext&, GuestMemory, Fd, GuestIovecs, Filesize offset);
Expect<Size> fd_read(WasiContext&, GuestMemory, Fd, GuestIovecs);
Expect<Size> fd_write(WasiContext&, GuestMemory, Fd, GuestIovecs);

// dir.cpp. Cookies are the host file system's own, so they stay valid while entries come and go. Names that
// are not UTF-8, which a guest could not open, are left out.
Expect<Size> fd_readdir(WasiContext&, Fd, GuestSpan<u8> buf, Dircookie);

// path.cpp
Expect<> path_create_directory(WasiContext&, Fd, GuestPath);
Expect<Filestat> path_filestat_get(WasiContext&, Fd, Lookupflags, GuestPath);
Expect<> path_filestat_set_times(WasiContext&, Fd, Lookupflags, GuestPath, Timestamp atim, Timestamp mtim,
                                 Fstflags);
Expect<> path_link(WasiContext&, Fd old_fd, Lookupflags, GuestPath old_path, Fd new_fd, GuestPath new_path);
// Rights asked for beyond those the directory hands on are not granted; without the right to read or write
// that was asked for, there is no descriptor.
Expect<Fd> path_open(WasiContext&, Fd, Lookupflags, GuestPath, Oflags, Rights base, Rights inheriting,
                     Fdflags);
Expect<Size> path_readlink(WasiContext&, Fd, GuestPath, GuestSpan<u8> buf);
Expect<> path_remove_directory(WasiContext&, Fd, GuestPath);
Expect<> path_rename(WasiContext&, Fd, GuestPath old_path, Fd new_fd, GuestPath new_path);
Expect<> path_symlink(WasiContext&, GuestPath target, Fd, GuestPath new_path);
Expect<> path_unlink_file(WasiContext&, Fd, GuestPath);

// poll.cpp
Expect<Size> poll_oneoff(WasiContext&, GuestMemory, GuestAddr in, GuestAddr out, Size count);

// proc.cpp. A signal never reaches the host process: one whose default action ends a process ends the guest
// with 128 + its number, one that is ignored is ignored, and one that stops is notsup.
Exit proc_exit(WasiContext&, u32 code);
std::variant<Errno, Exit> proc_raise(WasiContext&, Signal);
Expect<> sched_yield(WasiContext&);

// random.cpp
Expect<> random_get(WasiContext&, GuestSpan<u8> buf);

// sock.cpp
Expect<Fd> sock_accept(WasiContext&, Fd, Fdflags);
Expect<std::tuple<Size, Roflags>> sock_recv(WasiContext&, GuestMemory, Fd, GuestIovecs, Riflags);
Expect<Size> sock_send(WasiContext&, GuestMemory, Fd, GuestIovecs, Siflags);
Expect<> sock_shutdown(WasiContext&, Fd, Sdflags);

}  // namespace tenon::wasi
