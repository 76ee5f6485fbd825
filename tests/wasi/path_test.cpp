// Functions on paths, resolved by the kernel and by our own walk alike.
#include "wasi_fixture.h"

namespace tenon::wasi {
namespace {

class PathTest : public BoxTest {};
INSTANTIATE_TEST_SUITE_P(, PathTest, kBothResolutions, resolution_name);

TEST_P(PathTest, OpensThroughDirectoriesDotsAndLinks) {
  std::filesystem::create_directories(box() / "a/b");
  write_file(box() / "a/b/f", "deep");
  std::filesystem::create_symlink("b", box() / "a/link");
  std::filesystem::create_symlink("../a/link/f", box() / "a/up");
  for (const char* path :
       {"a/b/f", "./a/./b/f", "a//b///f", "a/b/../b/f", "a/link/f", "a/up", "a/b/../../a/up"}) {
    u32 fd;
    ASSERT_EQ(guest().open(kBox, path, &fd), Errno::success) << path;
    std::string text;
    EXPECT_EQ(guest().read(fd, &text), Errno::success);
    EXPECT_EQ(text, "deep") << path;
  }
  EXPECT_EQ(guest().open(kBox, "a/b/f/"), Errno::notdir);
  EXPECT_EQ(guest().open(kBox, "a/b/f/x"), Errno::notdir);
  EXPECT_EQ(guest().open(kBox, "a/none/f"), Errno::noent);
  EXPECT_EQ(guest().open(kBox, "a/up", {.lookup = 0}), Errno::loop);
}

TEST_P(PathTest, DescriptorsOfSubdirectoriesAreSandboxesToo) {
  std::filesystem::create_directories(box() / "sub/inner");
  write_file(box() / "f", "above");
  u32 sub;
  ASSERT_EQ(guest().open_dir(kBox, "sub", &sub), Errno::success);
  EXPECT_EQ(guest().open(sub, "inner"), Errno::success);
  EXPECT_EQ(guest().open(sub, "../f"), Errno::perm);
  EXPECT_EQ(guest().open(sub, "inner/../../f"), Errno::perm);
}

TEST_P(PathTest, CreatesExclusivelyAndTruncates) {
  u32 fd;
  ASSERT_EQ(guest().open(kBox, "new", {.oflags = Guest::kCreat | Guest::kExcl}, &fd), Errno::success);
  EXPECT_EQ(guest().write(fd, "text"), Errno::success);
  EXPECT_EQ(guest().open(kBox, "new", {.oflags = Guest::kCreat | Guest::kExcl}), Errno::exist);
  EXPECT_EQ(guest().open(kBox, "new", {.oflags = Guest::kTrunc}), Errno::success);
  EXPECT_EQ(read_file(box() / "new"), "");
  EXPECT_EQ(guest().open(kBox, "dir/", {.oflags = Guest::kCreat}), Errno::isdir);
  EXPECT_EQ(guest().open(kBox, "none/new", {.oflags = Guest::kCreat}), Errno::noent);
  EXPECT_EQ(guest().open(kBox, "new", {.oflags = 16}), Errno::inval);
  EXPECT_EQ(guest().open(kBox, "new", {.lookup = 2}), Errno::inval);
}

TEST_P(PathTest, CreatingThroughADanglingLinkStaysInside) {
  std::filesystem::create_symlink("target", box() / "dangling");
  std::filesystem::create_symlink("../outside/new", box() / "escaping");
  EXPECT_EQ(guest().open(kBox, "dangling", {.oflags = Guest::kCreat | Guest::kExcl}), Errno::exist);
  EXPECT_EQ(guest().open(kBox, "dangling", {.oflags = Guest::kCreat}), Errno::success);
  EXPECT_TRUE(std::filesystem::is_regular_file(box() / "target"));
  EXPECT_EQ(guest().open(kBox, "escaping", {.oflags = Guest::kCreat}), Errno::perm);
  EXPECT_FALSE(std::filesystem::exists(outside() / "new"));
}

TEST_P(PathTest, BadNames) {
  EXPECT_EQ(guest().open(kBox, ""), Errno::noent);
  EXPECT_EQ(guest().open(kBox, std::string_view("a\0b", 3)), Errno::inval);
  EXPECT_EQ(guest().open(kBox, "\xff\xfe"), Errno::ilseq);
  EXPECT_EQ(guest().open(kBox, "\xed\xa0\x80"), Errno::ilseq) << "a surrogate";
  EXPECT_EQ(guest().open(kBox, "\xc0\xaf"), Errno::ilseq) << "an overlong slash";
  EXPECT_EQ(guest().open(kBox, std::string(5000, 'a')), Errno::nametoolong);
  EXPECT_EQ(guest().open(kBox, std::string(300, 'a')), Errno::nametoolong);
  EXPECT_EQ(guest().open(kBox, "gr\xc3\xbc\xc3\x9f", {.oflags = Guest::kCreat}), Errno::success);
  const u32 out = guest().alloc(4);
  EXPECT_EQ(guest().call("path_create_directory", kBox, Guest::kMemory - 2, 3), Errno::fault);
  EXPECT_EQ(guest().call("path_open", kBox, 0, 8, 0xffff'ffff, 0, u64{0}, u64{0}, 0, out), Errno::fault);
}

TEST_P(PathTest, MakesAndRemovesDirectories) {
  EXPECT_EQ(guest().on_path("path_create_directory", kBox, "d"), Errno::success);
  EXPECT_EQ(guest().on_path("path_create_directory", kBox, "d/e/"), Errno::success);
  EXPECT_EQ(guest().on_path("path_create_directory", kBox, "d"), Errno::exist);
  EXPECT_EQ(guest().on_path("path_create_directory", kBox, "."), Errno::exist);
  EXPECT_EQ(guest().on_path("path_remove_directory", kBox, "d"), Errno::notempty);
  EXPECT_EQ(guest().on_path("path_unlink_file", kBox, "d/e"), Errno::isdir);
  EXPECT_EQ(guest().on_path("path_remove_directory", kBox, "d/e/"), Errno::success);
  EXPECT_EQ(guest().on_path("path_remove_directory", kBox, "d/."), Errno::inval);
  EXPECT_EQ(guest().on_path("path_remove_directory", kBox, "d"), Errno::success);
  write_file(box() / "f", "");
  EXPECT_EQ(guest().on_path("path_remove_directory", kBox, "f"), Errno::notdir);
  EXPECT_EQ(guest().on_path("path_unlink_file", kBox, "f/"), Errno::notdir);
  EXPECT_EQ(guest().on_path("path_unlink_file", kBox, "f"), Errno::success);
}

TEST_P(PathTest, AttributesOfLinksAndTargets) {
  write_file(box() / "f", "12345");
  std::filesystem::create_symlink("f", box() / "l");
  Filestat st;
  ASSERT_EQ(guest().stat(kBox, "l", &st), Errno::success);
  EXPECT_EQ(st.filetype, Filetype::regular_file);
  EXPECT_EQ(st.size, 5u);
  ASSERT_EQ(guest().stat(kBox, "l", &st, false), Errno::success);
  EXPECT_EQ(st.filetype, Filetype::symbolic_link);
  ASSERT_EQ(guest().stat(kBox, ".", &st), Errno::success);
  EXPECT_EQ(st.filetype, Filetype::directory);
  EXPECT_EQ(guest().stat(kBox, ".."), Errno::perm);
  EXPECT_EQ(guest().stat(kBox, "l/"), Errno::notdir);
}

TEST_P(PathTest, TimesThroughALinkAndOfTheLink) {
  write_file(box() / "f", "");
  std::filesystem::create_symlink("f", box() / "l");
  const u32 name = guest().put("l");
  ASSERT_EQ(
      guest().call("path_filestat_set_times", kBox, 1, name, 1, u64{5'000'000'000}, u64{6'000'000'000}, 5),
      Errno::success);
  ASSERT_EQ(
      guest().call("path_filestat_set_times", kBox, 0, name, 1, u64{7'000'000'000}, u64{8'000'000'000}, 5),
      Errno::success);
  Filestat st;
  ASSERT_EQ(guest().stat(kBox, "f", &st), Errno::success);
  EXPECT_EQ(st.mtim, 6'000'000'000u);
  ASSERT_EQ(guest().stat(kBox, "l", &st, false), Errno::success);
  EXPECT_EQ(st.mtim, 8'000'000'000u);
}

TEST_P(PathTest, RenamesLinksAndReadsLinks) {
  write_file(box() / "f", "x");
  EXPECT_EQ(guest().rename(kBox, "f", kBox, "g"), Errno::success);
  EXPECT_EQ(guest().rename(kBox, "f", kBox, "g"), Errno::noent);
  EXPECT_EQ(guest().rename(kBox, "g/", kBox, "h"), Errno::notdir);
  EXPECT_EQ(guest().link(kBox, "g", kBox, "hard"), Errno::success);
  EXPECT_EQ(guest().link(kBox, "g", kBox, "hard"), Errno::exist);
  EXPECT_EQ(guest().link(kBox, "g/", kBox, "other"), Errno::notdir);
  EXPECT_EQ(guest().symlink("g", kBox, "soft"), Errno::success);
  EXPECT_EQ(guest().symlink("g", kBox, "soft"), Errno::exist);
  EXPECT_EQ(guest().symlink("", kBox, "empty"), Errno::noent);
  const u32 buf = guest().alloc(8), n = guest().alloc(4), name = guest().put("soft");
  ASSERT_EQ(guest().call("path_readlink", kBox, name, 4, buf, 8, n), Errno::success);
  EXPECT_EQ(guest().text(buf, guest().get<u32>(n)), "g");
  ASSERT_EQ(guest().call("path_readlink", kBox, name, 4, buf, 0, n), Errno::success);
  EXPECT_EQ(guest().get<u32>(n), 0u);
  EXPECT_EQ(guest().call("path_readlink", kBox, guest().put("g"), 1, buf, 8, n), Errno::inval);
}

TEST_P(PathTest, LoopsOfLinksEnd) {
  std::filesystem::create_symlink("b", box() / "a");
  std::filesystem::create_symlink("a", box() / "b");
  std::filesystem::create_symlink("self/self", box() / "self");
  EXPECT_EQ(guest().open(kBox, "a"), Errno::loop);
  EXPECT_EQ(guest().open(kBox, "self/x"), Errno::loop);
  EXPECT_EQ(guest().stat(kBox, "b"), Errno::loop);
}

TEST_P(PathTest, ReadOnlyMountsRefuseEveryChange) {
  write_file(box() / "f", "text");
  std::filesystem::create_directory(box() / "d");
  restart({.preopens = {{outside().string(), "rw"}}}, true);
  u32 fd;
  ASSERT_EQ(guest().open(kBox, "f", {.rights = Guest::kRead | kAllRights}), Errno::rofs);
  ASSERT_EQ(guest().open(kBox, "f", &fd), Errno::success);
  std::string text;
  EXPECT_EQ(guest().read(fd, &text), Errno::success);
  EXPECT_EQ(text, "text");
  EXPECT_EQ(guest().open(kBox, "f", {.oflags = Guest::kCreat, .rights = Guest::kRead}), Errno::success);
  EXPECT_EQ(guest().open(kBox, "new", {.oflags = Guest::kCreat, .rights = Guest::kRead}), Errno::rofs);
  EXPECT_EQ(guest().open(kBox, "f", {.oflags = Guest::kTrunc, .rights = Guest::kRead}), Errno::rofs);
  EXPECT_NE(guest().write(fd, "x"), Errno::success);
  EXPECT_NE(guest().call("fd_filestat_set_size", fd, u64{0}), Errno::success);
  EXPECT_EQ(guest().call("fd_filestat_set_times", fd, u64{0}, u64{0}, 2), Errno::rofs);
  EXPECT_EQ(guest().on_path("path_create_directory", kBox, "n"), Errno::rofs);
  EXPECT_EQ(guest().on_path("path_remove_directory", kBox, "d"), Errno::rofs);
  EXPECT_EQ(guest().on_path("path_unlink_file", kBox, "f"), Errno::rofs);
  EXPECT_EQ(guest().symlink("f", kBox, "s"), Errno::rofs);
  EXPECT_EQ(guest().rename(kBox, "f", kBox, "g"), Errno::rofs);
  EXPECT_EQ(guest().rename(kBox, "f", 4, "g"), Errno::rofs);
  EXPECT_EQ(guest().rename(4, "secret", kBox, "s"), Errno::rofs);
  EXPECT_EQ(guest().link(kBox, "f", 4, "writable"), Errno::rofs) << "a hard link would be a way to write";
  EXPECT_EQ(guest().call("path_filestat_set_times", kBox, 1, guest().put("f"), 1, u64{0}, u64{0}, 2),
            Errno::rofs);
  // Nor is a directory opened below it any different.
  ASSERT_EQ(guest().open_dir(kBox, "d", &fd), Errno::success);
  EXPECT_EQ(guest().open(fd, "n", {.oflags = Guest::kCreat}), Errno::rofs);
  EXPECT_EQ(read_file(box() / "f"), "text");
}

TEST_P(PathTest, FilesAreNoDirectoriesToStartFrom) {
  write_file(box() / "f", "");
  u32 fd;
  ASSERT_EQ(guest().open(kBox, "f", &fd), Errno::success);
  EXPECT_EQ(guest().open(fd, "x"), Errno::notdir);
  EXPECT_EQ(guest().stat(fd, "."), Errno::notdir);
  EXPECT_EQ(guest().open(1, "x"), Errno::notdir);
  EXPECT_EQ(guest().open_dir(kBox, "f"), Errno::notdir);
  EXPECT_EQ(guest().open(kBox, ".", {.oflags = Guest::kDirectory, .rights = Guest::kWrite}), Errno::isdir);
}

}  // namespace
}  // namespace tenon::wasi
