// Open descriptors: reading, writing, positions, flags, rights, standard streams, hostile vectors.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wasi_fixture.h"

namespace tenon::wasi {
namespace {

TEST_F(FdTest, WritesSeeksAndReadsBack) {
  u32 fd;
  ASSERT_EQ(guest().open(kBox, "f", {.oflags = Guest::kCreat}, &fd), Errno::success);
  ASSERT_EQ(guest().write(fd, "hello world"), Errno::success);
  const u32 at = guest().alloc(8);
  ASSERT_EQ(guest().call("fd_seek", fd, u64(-5), 2, at), Errno::success);
  EXPECT_EQ(guest().get<u64>(at), 6u);
  std::string text;
  ASSERT_EQ(guest().read(fd, &text), Errno::success);
  EXPECT_EQ(text, "world");
  ASSERT_EQ(guest().call("fd_tell", fd, at), Errno::success);
  EXPECT_EQ(guest().get<u64>(at), 11u);
  EXPECT_EQ(guest().call("fd_seek", fd, u64(-1), 0, at), Errno::inval);
  EXPECT_EQ(guest().call("fd_seek", fd, u64(0), 3, at), Errno::inval);
  EXPECT_EQ(read_file(box() / "f"), "hello world");
}

TEST_F(FdTest, ScattersAndGathers) {
  u32 fd;
  ASSERT_EQ(guest().open(kBox, "f", {.oflags = Guest::kCreat}, &fd), Errno::success);
  const Iovec out[3] = {{guest().put("ab"), 2}, {0, 0}, {guest().put("cde"), 3}};
  const u32 n = guest().alloc(4);
  ASSERT_EQ(guest().call("fd_pwrite", fd, guest().put_value(out), 3, u64{2}, n), Errno::success);
  EXPECT_EQ(guest().get<u32>(n), 5u);
  const u32 buf = guest().alloc(16);
  const Iovec in[2] = {{buf, 3}, {buf + 8, 8}};
  ASSERT_EQ(guest().call("fd_pread", fd, guest().put_value(in), 2, u64{0}, n), Errno::success);
  EXPECT_EQ(guest().get<u32>(n), 7u);
  EXPECT_EQ(guest().text(buf, 3), std::string("\0\0a", 3));
  EXPECT_EQ(guest().text(buf + 8, 4), "bcde");
  EXPECT_EQ(guest().call("fd_pread", fd, guest().put_value(in), 2, ~u64{0}, n), Errno::inval);
}

TEST_F(FdTest, HostileVectorsAreFaultsAndHaveNoEffect) {
  u32 fd;
  ASSERT_EQ(guest().open(kBox, "f", {.oflags = Guest::kCreat}, &fd), Errno::success);
  const u32 good = guest().put("data"), n = guest().alloc(4);
  const Iovec past_end[2] = {{good, 4}, {Guest::kMemory - 2, 3}};
  EXPECT_EQ(guest().call("fd_write", fd, guest().put_value(past_end), 2, n), Errno::fault);
  const Iovec wraps[2] = {{good, 4}, {0xffff'fff0, 0x20}};
  EXPECT_EQ(guest().call("fd_write", fd, guest().put_value(wraps), 2, n), Errno::fault);
  EXPECT_EQ(guest().call("fd_write", fd, Guest::kMemory - 8, 2, n), Errno::fault);
  EXPECT_EQ(guest().call("fd_write", fd, 8, 0x2000'0001, n), Errno::fault) << "count × 8 overflows 32 bits";
  EXPECT_EQ(guest().call("fd_write", fd, 8, 0xffff'ffff, n), Errno::fault);
  const Iovec fine{good, 4};
  EXPECT_EQ(guest().call("fd_write", fd, guest().put_value(fine), 1, Guest::kMemory - 3), Errno::fault);
  EXPECT_EQ(read_file(box() / "f"), "") << "checked before anything is written";
}

TEST_F(FdTest, OverlappingVectorsAreTheGuestsOwnAffair) {
  write_file(box() / "f", "abcdef");
  u32 fd;
  ASSERT_EQ(guest().open(kBox, "f", &fd), Errno::success);
  const u32 buf = guest().alloc(8), n = guest().alloc(4);
  const Iovec overlap[2] = {{buf, 4}, {buf + 2, 2}};
  ASSERT_EQ(guest().call("fd_read", fd, guest().put_value(overlap), 2, n), Errno::success);
  EXPECT_EQ(guest().get<u32>(n), 6u);
  EXPECT_EQ(guest().text(buf, 4), "abef");
}

TEST_F(FdTest, ThousandsOfVectorsMakeAShortWrite) {
  u32 fd;
  ASSERT_EQ(guest().open(kBox, "f", {.oflags = Guest::kCreat}, &fd), Errno::success);
  const u32 byte = guest().put("x"), n = guest().alloc(4), vectors = guest().alloc(3000 * 8);
  for (u32 i = 0; i < 3000; i++) {
    const Iovec v{byte, 1};
    std::memcpy(guest().bytes() + vectors + i * 8, &v, sizeof v);
  }
  ASSERT_EQ(guest().call("fd_write", fd, vectors, 3000, n), Errno::success);
  EXPECT_EQ(guest().get<u32>(n), 1024u);
}

TEST_F(FdTest, ClosedAndForeignDescriptorsAreBadf) {
  u32 fd;
  ASSERT_EQ(guest().open(kBox, "f", {.oflags = Guest::kCreat}, &fd), Errno::success);
  ASSERT_EQ(guest().call("fd_close", fd), Errno::success);
  const u32 out = guest().alloc(64);
  for (u32 bad : {fd, 77u, 0xffff'ffffu, 0x7fff'ffffu}) {
    EXPECT_EQ(guest().call("fd_close", bad), Errno::badf);
    EXPECT_EQ(guest().call("fd_read", bad, out, 1, out), Errno::badf);
    EXPECT_EQ(guest().call("fd_write", bad, out, 1, out), Errno::badf);
    EXPECT_EQ(guest().call("fd_fdstat_get", bad, out), Errno::badf);
    EXPECT_EQ(guest().call("fd_filestat_get", bad, out), Errno::badf);
    EXPECT_EQ(guest().call("fd_readdir", bad, out, 64, u64{0}, out), Errno::badf);
    EXPECT_EQ(guest().call("fd_renumber", bad, kBox), Errno::badf);
    EXPECT_EQ(guest().call("fd_renumber", kBox, bad), Errno::badf);
    EXPECT_EQ(guest().call("sock_shutdown", bad, 1), Errno::badf);
    EXPECT_EQ(guest().open(bad, "f"), Errno::badf);
  }
}

TEST_F(FdTest, HostDescriptorsAreNotTheGuests) {
  const int host = ::open((outside() / "secret").c_str(), O_RDONLY);
  ASSERT_GE(host, 0);
  for (u32 fd = 4; fd < 64; fd++) EXPECT_EQ(guest().read(fd, nullptr, 16), Errno::badf) << fd;
  ::close(host);
}

TEST_F(FdTest, EveryHostDescriptorIsCloseOnExec) {
  u32 fd;
  ASSERT_EQ(guest().open(kBox, "f", {.oflags = Guest::kCreat}, &fd), Errno::success);
  ASSERT_EQ(guest().on_path("path_create_directory", kBox, "d"), Errno::success);
  ASSERT_EQ(guest().open_dir(kBox, "d", &fd), Errno::success);
  const std::string box_path = std::filesystem::canonical(box()).string();
  int ours = 0;
  for (const auto& e : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    const std::string target = std::filesystem::read_symlink(e.path(), gone).string();
    if (!target.starts_with(box_path)) continue;
    ours++;
    EXPECT_TRUE(::fcntl(std::stoi(e.path().filename()), F_GETFD) & FD_CLOEXEC) << target;
  }
  EXPECT_EQ(ours, 3);
}

TEST_F(FdTest, CallsThatFailLeaveNoHostDescriptorAndGuestsShareNone) {
  const auto host_descriptors = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
  };
  std::filesystem::create_symlink("loop", box() / "loop");
  std::filesystem::create_directories(box() / "a/b");
  u32 kept;
  ASSERT_EQ(guest().open(kBox, "f", {.oflags = Guest::kCreat}, &kept), Errno::success);
  const auto before = host_descriptors();
  for (const char* path : {"loop/x", "a/b/../../..", "../outside/secret", "f/x", "a/nothing/x", "/", ""}) {
    EXPECT_NE(guest().open(kBox, path), Errno::success) << path;
    EXPECT_NE(guest().stat(kBox, path), Errno::success) << path;
    EXPECT_NE(guest().rename(kBox, path, kBox, "new"), Errno::success) << path;
    EXPECT_NE(guest().on_path("path_create_directory", kBox, path), Errno::success) << path;
  }
  EXPECT_EQ(guest().open(kBox, "a", {.oflags = Guest::kDirectory | Guest::kExcl | Guest::kCreat}),
            Errno::inval);
  EXPECT_EQ(host_descriptors(), before);
  {
    Guest other({.preopens = {{box().string(), "box"}},
                 .stdin_ = StdioNull{},
                 .stdout_ = StdioNull{},
                 .stderr_ = StdioNull{}});
    EXPECT_EQ(other.read(kept, nullptr, 16), Errno::badf) << "it is the first guest's";
    u32 same;
    ASSERT_EQ(other.open(kBox, "f", {}, &same), Errno::success);
    EXPECT_EQ(same, kept) << "numbers are each guest's own";
    EXPECT_EQ(other.call("fd_close", same), Errno::success);
    EXPECT_EQ(guest().write(kept, "still open"), Errno::success);
  }
  EXPECT_EQ(host_descriptors(), before) << "a guest's end closes what it had";
}

TEST_F(FdTest, RenumberMovesOverAnOpenDescriptor) {
  u32 a, b;
  write_file(box() / "a", "from a");
  write_file(box() / "b", "from b");
  ASSERT_EQ(guest().open(kBox, "a", &a), Errno::success);
  ASSERT_EQ(guest().open(kBox, "b", &b), Errno::success);
  ASSERT_EQ(guest().call("fd_renumber", a, b), Errno::success);
  std::string text;
  EXPECT_EQ(guest().read(a, &text), Errno::badf);
  ASSERT_EQ(guest().read(b, &text), Errno::success);
  EXPECT_EQ(text, "from a");
  EXPECT_EQ(guest().call("fd_renumber", b, b), Errno::success);
  EXPECT_EQ(guest().read(b, nullptr), Errno::success);
}

TEST_F(FdTest, TheTableHasALimit) {
  restart({.max_fds = 6});
  write_file(box() / "f", "");
  EXPECT_EQ(guest().open(kBox, "f"), Errno::success);
  EXPECT_EQ(guest().open(kBox, "f"), Errno::success);
  EXPECT_EQ(guest().open(kBox, "f"), Errno::mfile);
  EXPECT_EQ(guest().call("fd_close", 4), Errno::success);
  u32 fd;
  EXPECT_EQ(guest().open(kBox, "f", &fd), Errno::success);
  EXPECT_EQ(fd, 4u) << "the lowest free number";
}

TEST_F(FdTest, AccessFollowsTheRightsAskedFor) {
  write_file(box() / "f", "text");
  u32 reader, writer;
  ASSERT_EQ(guest().open(kBox, "f", {.rights = Guest::kRead}, &reader), Errno::success);
  ASSERT_EQ(guest().open(kBox, "f", {.rights = Guest::kWrite}, &writer), Errno::success);
  EXPECT_EQ(guest().write(reader, "x"), Errno::badf);
  EXPECT_EQ(guest().read(writer, nullptr), Errno::badf);
  const u32 at = guest().alloc(8);
  EXPECT_EQ(guest().call("fd_seek", reader, u64{1}, 0, at), Errno::notcapable);
  EXPECT_EQ(guest().call("fd_filestat_set_size", reader, u64{1}), Errno::notcapable);
}

TEST_F(FdTest, RightsCanOnlyBeGivenUp) {
  write_file(box() / "f", "text");
  u32 fd;
  ASSERT_EQ(guest().open(kBox, "f", {.rights = kAllRights}, &fd), Errno::success);
  ASSERT_EQ(guest().call("fd_fdstat_set_rights", fd, Guest::kRead, u64{0}), Errno::success);
  EXPECT_EQ(guest().fdstat(fd).rights_base, Rights(Right::fd_read));
  EXPECT_EQ(guest().call("fd_fdstat_set_rights", fd, Guest::kRead | Guest::kWrite, u64{0}),
            Errno::notcapable);
  EXPECT_EQ(guest().write(fd, "x"), Errno::badf);
  // What a directory no longer hands on can't be had through it.
  const Fdstat box = guest().fdstat(kBox);
  ASSERT_EQ(guest().call("fd_fdstat_set_rights", kBox, box.rights_base.bits,
                         box.rights_inheriting.without(Right::fd_write).bits),
            Errno::success);
  EXPECT_EQ(guest().open(kBox, "f", {.rights = Guest::kWrite}), Errno::notcapable);
  EXPECT_EQ(guest().open(kBox, "f", {.rights = Guest::kRead}), Errno::success);
}

TEST_F(FdTest, FlagsAreKeptAndChangeable) {
  u32 fd;
  ASSERT_EQ(guest().open(kBox, "f", {.oflags = Guest::kCreat, .fdflags = 1}, &fd), Errno::success);
  EXPECT_EQ(guest().fdstat(fd).flags.bits, 1);
  ASSERT_EQ(guest().write(fd, "abc"), Errno::success);
  const u32 at = guest().alloc(8);
  ASSERT_EQ(guest().call("fd_seek", fd, u64{0}, 0, at), Errno::success);
  ASSERT_EQ(guest().write(fd, "def"), Errno::success);
  EXPECT_EQ(read_file(box() / "f"), "abcdef");
  ASSERT_EQ(guest().call("fd_fdstat_set_flags", fd, 0), Errno::success);
  ASSERT_EQ(guest().call("fd_seek", fd, u64{0}, 0, at), Errno::success);
  ASSERT_EQ(guest().write(fd, "XY"), Errno::success);
  EXPECT_EQ(read_file(box() / "f"), "XYcdef");
  EXPECT_EQ(guest().call("fd_fdstat_set_flags", fd, 32), Errno::inval);
  EXPECT_EQ(guest().call("fd_fdstat_set_flags", fd, 0x10000), Errno::inval);
}

TEST_F(FdTest, SizesAndAllocation) {
  u32 fd;
  ASSERT_EQ(guest().open(kBox, "f", {.oflags = Guest::kCreat}, &fd), Errno::success);
  ASSERT_EQ(guest().call("fd_filestat_set_size", fd, u64{100}), Errno::success);
  EXPECT_EQ(std::filesystem::file_size(box() / "f"), 100u);
  EXPECT_EQ(guest().call("fd_filestat_set_size", fd, ~u64{0}), Errno::inval);
  EXPECT_EQ(guest().call("fd_allocate", fd, u64{100}, u64{28}), Errno::success);
  EXPECT_EQ(std::filesystem::file_size(box() / "f"), 128u);
  EXPECT_EQ(guest().call("fd_allocate", fd, u64{0}, u64{0}), Errno::inval);
  EXPECT_EQ(guest().call("fd_allocate", fd, u64{1} << 62, u64{1} << 62), Errno::fbig);
  EXPECT_EQ(guest().call("fd_allocate", fd, ~u64{0}, u64{1}), Errno::inval);
  EXPECT_EQ(guest().call("fd_advise", fd, u64{0}, u64{64}, 3), Errno::success);
  EXPECT_EQ(guest().call("fd_advise", fd, ~u64{0}, u64{64}, 3), Errno::inval);
  EXPECT_EQ(guest().call("fd_advise", fd, u64{0}, u64{64}, 6), Errno::inval);
  EXPECT_EQ(guest().call("fd_sync", fd), Errno::success);
  EXPECT_EQ(guest().call("fd_datasync", fd), Errno::success);
}

TEST_F(FdTest, TimesAreSetAndContradictionsRefused) {
  u32 fd;
  ASSERT_EQ(guest().open(kBox, "f", {.oflags = Guest::kCreat}, &fd), Errno::success);
  ASSERT_EQ(guest().call("fd_filestat_set_times", fd, u64{1'500'000'007}, u64{2'000'000'009}, 1 | 4),
            Errno::success);
  Filestat st;
  ASSERT_EQ(guest().stat(kBox, "f", &st), Errno::success);
  EXPECT_EQ(st.atim, 1'500'000'007u);
  EXPECT_EQ(st.mtim, 2'000'000'009u);
  EXPECT_EQ(guest().call("fd_filestat_set_times", fd, u64{0}, u64{0}, 1 | 2), Errno::inval);
  EXPECT_EQ(guest().call("fd_filestat_set_times", fd, u64{0}, u64{0}, 4 | 8), Errno::inval);
  EXPECT_EQ(guest().call("fd_filestat_set_times", fd, u64{0}, u64{0}, 16), Errno::inval);
}

TEST_F(FdTest, PreopensTellTheirGuestNameOnly) {
  const u32 out = guest().alloc(8), name = guest().alloc(16);
  ASSERT_EQ(guest().call("fd_prestat_get", kBox, out), Errno::success);
  EXPECT_EQ(guest().get<Prestat>(out).name_len, 3u);
  ASSERT_EQ(guest().call("fd_prestat_dir_name", kBox, name, 3), Errno::success);
  EXPECT_EQ(guest().text(name, 3), "box");
  EXPECT_EQ(guest().call("fd_prestat_dir_name", kBox, name, 2), Errno::nametoolong);
  EXPECT_EQ(guest().call("fd_prestat_get", 0, out), Errno::badf);
  EXPECT_EQ(guest().call("fd_prestat_get", 4, out), Errno::badf);
}

TEST_F(FdTest, DirectoriesAreNotFiles) {
  const u32 out = guest().alloc(64), iov = guest().put_value(Iovec{out, 8});
  EXPECT_EQ(guest().call("fd_read", kBox, iov, 1, out), Errno::isdir);
  EXPECT_EQ(guest().call("fd_pread", kBox, iov, 1, u64{0}, out), Errno::isdir);
  EXPECT_EQ(guest().call("fd_write", kBox, iov, 1, out), Errno::badf);
  EXPECT_EQ(guest().call("fd_seek", kBox, u64{0}, 1, out), Errno::badf);
  EXPECT_EQ(guest().call("fd_tell", kBox, out), Errno::badf);
  EXPECT_EQ(guest().call("fd_allocate", kBox, u64{0}, u64{1}), Errno::badf);
  EXPECT_EQ(guest().call("sock_recv", kBox, iov, 1, 0, out, out), Errno::notsock);
}

TEST_F(FdTest, StandardStreamsInMemory) {
  std::string output;
  WasiConfig config{.stdin_ = std::string("in"), .stdout_ = &output, .stderr_ = StdioNull{}};
  Guest guest(std::move(config));
  std::string text;
  ASSERT_EQ(guest.read(0, &text, 1), Errno::success);
  EXPECT_EQ(text, "i");
  ASSERT_EQ(guest.read(0, &text), Errno::success);
  EXPECT_EQ(text, "n");
  ASSERT_EQ(guest.read(0, &text), Errno::success);
  EXPECT_EQ(text, "") << "end of file";
  EXPECT_EQ(guest.write(1, "out"), Errno::success);
  EXPECT_EQ(guest.write(2, "gone"), Errno::success);
  EXPECT_EQ(output, "out");
  EXPECT_EQ(guest.write(0, "x"), Errno::badf);
  EXPECT_EQ(guest.read(1, nullptr), Errno::badf);
  const u32 at = guest.alloc(8);
  EXPECT_EQ(guest.call("fd_seek", 1, u64{0}, 1, at), Errno::spipe);
}

TEST_F(FdTest, StreamCallbacksReportErrnosAndMayThrow) {
  WasiConfig config{
      .stdin_ = StdioReader([](std::span<u8>) -> i64 { throw std::runtime_error("embedder"); }),
      .stdout_ = StdioWriter([](std::span<const u8>) -> i64 { return -ENOSPC; }),
      .stderr_ = StdioWriter([](std::span<const u8> b) -> i64 { return b.size() > 2 ? 2 : 1; })};
  Guest guest(std::move(config));
  EXPECT_EQ(guest.read(0, nullptr), Errno::io);
  EXPECT_EQ(guest.write(1, "x"), Errno::nospc);
  u32 written;
  EXPECT_EQ(guest.write(2, "long", &written), Errno::success);
  EXPECT_EQ(written, 2u);
}

TEST_F(FdTest, ABrokenPipeIsAnErrnoAndNoSignal) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  Guest guest(WasiConfig{.stdin_ = StdioNull{}, .stdout_ = StdioFd{ends[1]}, .stderr_ = StdioNull{}});
  ASSERT_EQ(guest.write(1, "ok"), Errno::success);
  ::close(ends[0]);
  EXPECT_EQ(guest.write(1, "broken"), Errno::pipe);
  EXPECT_EQ(guest.write(1, "still"), Errno::pipe);
  ::close(ends[1]);
}

TEST_F(FdTest, NonblockOnAStandardStreamStaysInTheGuest) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  Guest guest(WasiConfig{.stdin_ = StdioFd{ends[0]}, .stdout_ = StdioNull{}, .stderr_ = StdioNull{}});
  ASSERT_EQ(guest.call("fd_fdstat_set_flags", 0, 4), Errno::success);
  EXPECT_EQ(guest.read(0, nullptr), Errno::again);
  EXPECT_EQ(::fcntl(ends[0], F_GETFL) & O_NONBLOCK, 0) << "the host's own descriptor";
  ASSERT_EQ(::write(ends[1], "x", 1), 1);
  std::string text;
  EXPECT_EQ(guest.read(0, &text), Errno::success);
  EXPECT_EQ(text, "x");
  ::close(ends[0]);
  ::close(ends[1]);
}

}  // namespace
}  // namespace tenon::wasi
