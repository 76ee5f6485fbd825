// Directory listings: cookies, small buffers, changes while reading.
#include <set>

#include "wasi_fixture.h"

namespace tenon::wasi {
namespace {

class ReaddirTest : public FdTest {
 protected:
  void make_files(int n) {
    for (int i = 0; i < n; i++) write_file(box() / ("file-" + std::to_string(i)), "");
  }
};

TEST_F(ReaddirTest, ListsEveryEntryOnceWithTypeAndInode) {
  make_files(3);
  std::filesystem::create_directory(box() / "dir");
  std::filesystem::create_symlink("dir", box() / "link");
  std::map<std::string, Dirent> seen;
  for (const auto& e : guest().list(kBox)) EXPECT_TRUE(seen.emplace(e.name, e.head).second) << e.name;
  EXPECT_EQ(seen.size(), 7u) << ". and .. are listed too";
  EXPECT_EQ(seen.at("dir").type, Filetype::directory);
  EXPECT_EQ(seen.at("link").type, Filetype::symbolic_link);
  EXPECT_EQ(seen.at("file-1").type, Filetype::regular_file);
  Filestat st;
  ASSERT_EQ(guest().stat(kBox, "file-1", &st), Errno::success);
  EXPECT_EQ(seen.at("file-1").ino, st.ino);
}

TEST_F(ReaddirTest, ManyEntriesThroughASmallBuffer) {
  make_files(700);
  std::set<std::string> names;
  for (const auto& e : guest().list(kBox, 100)) names.insert(e.name);
  EXPECT_EQ(names.size(), 702u);
}

TEST_F(ReaddirTest, TheBufferIsFilledAndTheLastEntryCut) {
  make_files(5);
  const u32 buf = guest().alloc(128), used = guest().alloc(4);
  for (u32 size : {0u, 1u, 23u, 24u, 25u, 70u}) {
    ASSERT_EQ(guest().call("fd_readdir", kBox, buf, size, u64{0}, used), Errno::success);
    EXPECT_EQ(guest().get<u32>(used), size);
  }
  EXPECT_EQ(guest().call("fd_readdir", kBox, Guest::kMemory - 8, 9, u64{0}, used), Errno::fault);
}

TEST_F(ReaddirTest, CookiesStayValidWhileEntriesComeAndGo) {
  make_files(50);
  const auto all = guest().list(kBox);
  const u32 buf = guest().alloc(8192), used = guest().alloc(4);
  // Remove what was listed before the middle; from there on the listing is the same.
  for (size_t i = 0; i < 20; i++)
    if (all[i].name.starts_with("file-")) std::filesystem::remove(box() / all[i].name);
  ASSERT_EQ(guest().call("fd_readdir", kBox, buf, 8192, all[24].head.next, used), Errno::success);
  const auto next = guest().get<Dirent>(buf);
  EXPECT_EQ(guest().text(buf + sizeof(Dirent), next.namlen), all[25].name);
  EXPECT_EQ(next.next, all[25].head.next);
}

TEST_F(ReaddirTest, ARemovedDirectoryHasNoEntries) {
  std::filesystem::create_directory(box() / "d");
  u32 fd;
  ASSERT_EQ(guest().open_dir(kBox, "d", &fd), Errno::success);
  EXPECT_EQ(guest().list(fd).size(), 2u);
  std::filesystem::remove(box() / "d");
  EXPECT_EQ(guest().list(fd).size(), 0u);
  EXPECT_EQ(guest().open(fd, "f", {.oflags = Guest::kCreat}), Errno::noent);
  EXPECT_EQ(guest().stat(fd, "."), Errno::success);
}

TEST_F(ReaddirTest, HostileCookiesAndFiles) {
  make_files(2);
  const u32 buf = guest().alloc(256), used = guest().alloc(4);
  for (u64 cookie : {~u64{0}, u64{1} << 63, u64{0x7fff'ffff'ffff'ffff}, u64{12345}}) {
    const Errno e = guest().call("fd_readdir", kBox, buf, 256, cookie, used);
    EXPECT_TRUE(e == Errno::success || e == Errno::inval) << cookie << " " << errno_name(e);
  }
  u32 fd;
  ASSERT_EQ(guest().open(kBox, "file-0", &fd), Errno::success);
  EXPECT_EQ(guest().call("fd_readdir", fd, buf, 256, u64{0}, used), Errno::notdir);
}

TEST_F(ReaddirTest, NamesAGuestCouldNotOpenAreLeftOut) {
  write_file(box() / "bad-\xff", "");
  write_file(box() / "good", "");
  EXPECT_EQ(guest().list(kBox).size(), 3u);
}

}  // namespace
}  // namespace tenon::wasi
