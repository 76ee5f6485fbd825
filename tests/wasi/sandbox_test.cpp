// Attempts to leave a preopened directory. Each must fail with an errno, and the outside must be as it was.
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "wasi_fixture.h"

namespace tenon::wasi {
namespace {

class SandboxTest : public BoxTest {
 protected:
  void TearDown() override {
    if (IsSkipped()) return;
    EXPECT_EQ(read_file(outside() / "secret"), "secret");
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(outside()), {}), 1) << "something came in";
  }
};
INSTANTIATE_TEST_SUITE_P(, SandboxTest, kBothResolutions, resolution_name);

TEST_P(SandboxTest, DotDotAndAbsolutePaths) {
  std::filesystem::create_directory(box() / "d");
  const std::string absolute = (outside() / "secret").string();
  for (const std::string& path :
       {std::string(".."), std::string("../"), std::string("../outside/secret"),
        std::string("d/../../outside/secret"), std::string("./../box/../outside/secret"),
        std::string("d/../.."), absolute, "/" + absolute, std::string("/"), std::string("//"),
        std::string("/proc/self/root") + absolute}) {
    EXPECT_EQ(guest().open(kBox, path), Errno::perm) << path;
    EXPECT_EQ(guest().stat(kBox, path), Errno::perm) << path;
    EXPECT_EQ(guest().stat(kBox, path, nullptr, false), Errno::perm) << path;
    EXPECT_EQ(guest().rename(kBox, "d", kBox, path), Errno::perm) << path;
    EXPECT_EQ(guest().on_path("path_remove_directory", kBox, path), Errno::perm) << path;
    EXPECT_EQ(guest().on_path("path_unlink_file", kBox, path), Errno::perm) << path;
    EXPECT_EQ(guest().on_path("path_create_directory", kBox, path), Errno::perm) << path;
  }
  EXPECT_EQ(guest().link(kBox, "../outside/secret", kBox, "in"), Errno::perm);
  EXPECT_EQ(guest().rename(kBox, "../outside/secret", kBox, "in"), Errno::perm);
  EXPECT_EQ(guest().symlink("x", kBox, "../outside/link"), Errno::perm);
  EXPECT_EQ(guest().open(kBox, "../outside/new", {.oflags = Guest::kCreat}), Errno::perm);
}

TEST_P(SandboxTest, LinksThatLeadOut) {
  std::filesystem::create_directory(box() / "d");
  std::filesystem::create_symlink("../outside", box() / "rel");
  std::filesystem::create_symlink(outside(), box() / "abs");
  std::filesystem::create_symlink("../../outside/secret", box() / "d/deep");
  std::filesystem::create_symlink("d/deep", box() / "indirect");
  std::filesystem::create_symlink("/proc/self/root/", box() / "proc");
  for (const char* path :
       {"rel/secret", "abs/secret", "d/deep", "indirect", "rel", "abs", "proc", "proc/etc/passwd"}) {
    EXPECT_EQ(guest().open(kBox, path), Errno::perm) << path;
    EXPECT_EQ(guest().open_dir(kBox, path), Errno::perm) << path;
    EXPECT_EQ(guest().stat(kBox, path), Errno::perm) << path;
    const u32 name = guest().put(path);
    EXPECT_EQ(guest().call("path_filestat_set_times", kBox, 1, name, strlen(path), u64{0}, u64{0}, 2),
              Errno::perm);
  }
  EXPECT_EQ(guest().on_path("path_unlink_file", kBox, "rel/secret"), Errno::perm);
  EXPECT_EQ(guest().rename(kBox, "abs/secret", kBox, "mine"), Errno::perm);
  EXPECT_EQ(guest().link(kBox, "rel/secret", kBox, "mine"), Errno::perm);
  EXPECT_EQ(guest().link(kBox, "d", kBox, "rel/mine"), Errno::perm);
}

TEST_P(SandboxTest, TrailingSlashesDoNotFollowLinksOut) {
  std::filesystem::create_symlink("../outside", box() / "rel");
  std::filesystem::create_symlink("../outside/secret", box() / "file");
  for (const char* path : {"rel/", "rel//", "rel/.", "file/"}) {
    EXPECT_EQ(guest().stat(kBox, path, nullptr, false), Errno::perm) << path;
    EXPECT_EQ(guest().open(kBox, path, {.oflags = Guest::kDirectory, .rights = Guest::kRead, .lookup = 0}),
              Errno::perm)
        << path;
    EXPECT_EQ(guest().link(kBox, path, kBox, "in"), Errno::perm) << path;
    const u32 buf = guest().alloc(64);
    EXPECT_EQ(guest().call("path_readlink", kBox, guest().put(path), strlen(path), buf, 32, buf + 32),
              Errno::perm);
    EXPECT_NE(guest().on_path("path_remove_directory", kBox, path), Errno::success) << path;
    EXPECT_NE(guest().rename(kBox, path, kBox, "in"), Errno::success) << path;
  }
}

TEST_P(SandboxTest, AbsoluteLinksAreNeitherMadeNorRead) {
  EXPECT_EQ(guest().symlink("/etc/passwd", kBox, "l"), Errno::perm);
  EXPECT_EQ(guest().symlink((outside() / "secret").string(), kBox, "l"), Errno::perm);
  std::filesystem::create_symlink(outside(), box() / "abs");
  const u32 buf = guest().alloc(4096), n = guest().alloc(4);
  EXPECT_EQ(guest().call("path_readlink", kBox, guest().put("abs"), 3, buf, 4096, n), Errno::perm);
  EXPECT_EQ(guest().text(buf, 8), std::string(8, '\0')) << "no host path in the guest's memory";
}

TEST_P(SandboxTest, TheRootsParentIsTheRoot) {
  Filestat root;
  ASSERT_EQ(guest().stat(kBox, ".", &root), Errno::success);
  for (const auto& e : guest().list(kBox))
    if (e.name == "." || e.name == "..") EXPECT_EQ(e.head.ino, root.ino) << e.name;
}

TEST_P(SandboxTest, ProcfsBelowAPreopenIsRefused) {
  WasiConfig config{.preopens = {{"/", "/"}},
                    .stdin_ = StdioNull{},
                    .stdout_ = StdioNull{},
                    .stderr_ = StdioNull{},
                    .path_resolution = GetParam()};
  Guest guest(std::move(config));
  EXPECT_EQ(guest.open(3, "proc/self/mem", {.rights = Guest::kRead | Guest::kWrite}), Errno::perm);
  EXPECT_EQ(guest.open(3, "proc/self/environ"), Errno::perm);
  EXPECT_EQ(guest.open_dir(3, "proc"), Errno::perm);
  EXPECT_NE(guest.open(3, "proc/self/root/etc/passwd"), Errno::success);
  EXPECT_NE(guest.open(3, "proc/self/fd/0"), Errno::success);
  const u32 buf = guest.alloc(256), n = guest.alloc(4);
  EXPECT_EQ(guest.call("path_readlink", 3, guest.put("proc/self/cwd"), 13, buf, 256, n), Errno::perm);
}

// A directory that another process moves out of the box while a guest is in it: what the guest then reaches
// is that directory, and never its new surroundings.
TEST_P(SandboxTest, ADirectoryMovedOutGivesNoWayUp) {
  std::filesystem::create_directories(box() / "d/e");
  u32 dir;
  ASSERT_EQ(guest().open_dir(kBox, "d/e", &dir), Errno::success);
  const auto moved = box().parent_path() / "moved";
  std::filesystem::rename(box() / "d", moved);
  EXPECT_EQ(guest().open(dir, "../../outside/secret"), Errno::perm);
  EXPECT_EQ(guest().open(dir, ".."), Errno::perm);
  std::filesystem::remove_all(moved);
}

// While a guest opens a path, another thread swaps one of its directories for a link that leads out, and
// moves another about. Whatever the guest gets, it is never the secret.
TEST_P(SandboxTest, RacesBetweenCheckAndUse) {
  std::filesystem::create_directories(box() / "real");
  write_file(box() / "real/secret", "inside");
  std::filesystem::create_symlink("../outside", box() / "evil");
  std::filesystem::create_directories(box() / "x/y/z");
  std::atomic<bool> stop = false;
  std::jthread attacker([&] {
    const std::string real = box() / "real", evil = box() / "evil", y = box() / "x/y", w = box() / "w";
    while (!stop) {
      ::syscall(SYS_renameat2, AT_FDCWD, real.c_str(), AT_FDCWD, evil.c_str(), 2 /* RENAME_EXCHANGE */);
      ::rename(y.c_str(), w.c_str());
      ::rename(w.c_str(), y.c_str());
    }
  });
  int got = 0;
  const u32 buf = guest().alloc(64), iov = guest().put_value(Iovec{buf, 64}), n = guest().alloc(4);
  const u32 name = guest().put("real/secret"), up = guest().put("x/y/z/../../../../outside/secret");
  for (int i = 0; i < 4000; i++) {
    for (const auto& [at, size] : {std::pair{name, 11}, std::pair{up, 32}}) {
      if (guest().call("path_open", kBox, 1, at, size, 0, Guest::kRead, u64{0}, 0, n) != Errno::success)
        continue;
      const u32 fd = guest().get<u32>(n);
      ASSERT_EQ(guest().call("fd_read", fd, iov, 1, n), Errno::success);
      EXPECT_EQ(guest().text(buf, guest().get<u32>(n)), "inside");
      guest().call("fd_close", fd);
      got++;
    }
  }
  stop = true;
  attacker.join();
  EXPECT_GT(got, 0) << "the race should let some through";
}

TEST_P(SandboxTest, ChangesWhileFoldersAndLinksSwapPlacesStayInside) {
  std::filesystem::create_directories(box() / "real");
  std::filesystem::create_symlink("../outside", box() / "evil");
  write_file(box() / "mine", "mine");
  std::atomic<bool> stop = false;
  std::jthread attacker([&] {
    const std::string real = box() / "real", evil = box() / "evil";
    while (!stop)
      ::syscall(SYS_renameat2, AT_FDCWD, real.c_str(), AT_FDCWD, evil.c_str(), 2 /* RENAME_EXCHANGE */);
  });
  const u32 fd = guest().alloc(4), target = guest().put("mine");
  struct Name {
    u32 at, size;
  };
  const auto name = [&](std::string_view s) { return Name{guest().put(s), static_cast<u32>(s.size())}; };
  const Name mine = name("mine"), made = name("real/made"), folder = name("real/folder"),
             link = name("real/link"), hard = name("real/hard"), secret = name("real/secret"),
             back = name("stolen");
  int done = 0;
  for (int i = 0; i < 1000; i++) {
    const bool all[] = {
        guest().call("path_open", kBox, 1, made.at, made.size, Guest::kCreat, Guest::kWrite, u64{0}, 0, fd) ==
            Errno::success,
        guest().call("path_create_directory", kBox, folder.at, folder.size) == Errno::success,
        guest().call("path_symlink", target, 4, kBox, link.at, link.size) == Errno::success,
        guest().call("path_link", kBox, 0, mine.at, mine.size, kBox, hard.at, hard.size) == Errno::success,
        guest().call("path_rename", kBox, secret.at, secret.size, kBox, back.at, back.size) == Errno::success,
        guest().call("path_unlink_file", kBox, secret.at, secret.size) == Errno::success,
        guest().call("path_filestat_set_times", kBox, 1, secret.at, secret.size, u64{1}, u64{1}, 5) ==
            Errno::success,
    };
    if (all[0]) guest().call("fd_close", guest().get<u32>(fd));
    done += static_cast<int>(std::ranges::count(all, true));
    EXPECT_FALSE(all[4] || all[5] || all[6]) << "there is no real/secret inside";
    guest().call("path_unlink_file", kBox, made.at, made.size);
    guest().call("path_unlink_file", kBox, link.at, link.size);
    guest().call("path_unlink_file", kBox, hard.at, hard.size);
    guest().call("path_remove_directory", kBox, folder.at, folder.size);
  }
  stop = true;
  attacker.join();
  EXPECT_GT(done, 0) << "the race should let some through";
}

TEST_P(SandboxTest, HardAndSymbolicLinksBetweenPreopensStayLinks) {
  std::filesystem::create_directory(box() / "one");
  std::filesystem::create_directory(box() / "two");
  write_file(box() / "two/f", "x");
  restart({.preopens = {{(box() / "one").string(), "one"}, {(box() / "two").string(), "two"}}});
  ASSERT_EQ(guest().symlink("../two/f", 4, "peek"), Errno::success);
  EXPECT_EQ(guest().open(4, "peek"), Errno::perm) << "each preopen is a sandbox of its own";
  EXPECT_EQ(guest().open(kBox, "one/peek"), Errno::success) << "and from above it is inside";
}

TEST_P(SandboxTest, VeryDeepPathsEnd) {
  std::string path;
  for (int i = 0; i < 1300; i++) path += "d/";
  EXPECT_EQ(guest().open(kBox, path), Errno::noent);
  for (int i = 0; i < 200; i++) path.insert(0, "./");
  EXPECT_EQ(guest().open(kBox, path), Errno::noent);
  std::string up;
  for (int i = 0; i < 1300; i++) up += "../";
  EXPECT_EQ(guest().open(kBox, up), Errno::perm);
}

}  // namespace
}  // namespace tenon::wasi
