// Long random sequences of calls with hostile arguments: no crash, no hang, nothing outside the box touched.
#include <random>

#include "wasi_fixture.h"

namespace tenon::wasi {
namespace {

class RandomCalls : public BoxTest {
 protected:
  void fill_memory() {
    static constexpr const char* kPaths[] = {"a",  "b/c", "../outside/secret", ".",       "..",  "b/..", "l",
                                             "l/", "a/",  "/etc/passwd",       "x\xff.y", "b/l", ""};
    u8* bytes = guest().bytes();
    for (u32 i = 0; i < 8192; i++) bytes[i] = static_cast<u8>(random_());
    for (u32 i = 0; i < std::size(kPaths); i++)
      std::strcpy(reinterpret_cast<char*>(bytes + 8192 + i * 32), kPaths[i]);
    // Vectors that are mostly right.
    for (u32 i = 0; i < 64; i++) {
      const Iovec v{static_cast<u32>(random_() % Guest::kMemory), static_cast<u32>(random_() % 4096)};
      std::memcpy(bytes + 16384 + i * 8, &v, sizeof v);
    }
    // Subscriptions of every kind and none.
    for (u32 i = 0; i < 64; i++) {
      Subscription s{};
      s.type = static_cast<Eventtype>(random_() % 4);
      s.id = static_cast<u32>(random_() % 8);
      s.timeout = random_() % 3 ? random_() % 1000 : random_();
      s.flags = Subclockflags(static_cast<u16>(random_() % 3));
      std::memcpy(bytes + 32768 + i * sizeof s, &s, sizeof s);
    }
  }
  u32 scalar32() {
    const u32 r = static_cast<u32>(random_());
    switch (random_() % 8) {
      case 0:
      case 1: return 3 + r % 4;  // a descriptor, a small count, flags
      case 2: return r % 40;
      case 3: return 8192 + 32 * (r % 13);   // a path
      case 4: return 16384 + 8 * (r % 64);   // vectors
      case 5: return 32768 + 48 * (r % 64);  // subscriptions
      case 6: return Guest::kMemory - r % 64;
      default: return r % 2 ? r : 0xffff'ffff - r % 16;
    }
  }
  // Nothing between a megabyte and what no disk holds: fd_allocate takes it at its word.
  u64 scalar64() {
    switch (random_() % 4) {
      case 0: return random_() % 4096;
      case 1: return ~u64{0} - random_() % 16;
      case 2: return u64{1} << (61 + random_() % 3);
      default: return random_() % (1 << 20);
    }
  }
  void call_something() {
    const HostFuncDesc& desc = wasi_functions()[random_() % wasi_functions().size()];
    if (!desc.native) return;  // proc_exit and proc_raise need a store
    Slot slots[12];
    for (size_t i = 0; i < desc.params.size(); i++)
      slots[i].u64_ = desc.params[i] == kI64 ? scalar64() : scalar32();
    HostFunc host{nullptr, nullptr, &guest().memory_desc(), guest().context(), &desc, {}};
    host.ref.code = &host;
    ASSERT_EQ(desc.array_entry(&host.ref, slots), Status::ok);
    ASSERT_LT(slots[0].u32_, static_cast<u32>(Errno::count)) << desc.name;
  }
  std::mt19937_64 random_{20261122};
};
INSTANTIATE_TEST_SUITE_P(, RandomCalls, kBothResolutions, resolution_name);

TEST_P(RandomCalls, NeverCrashHangOrEscape) {
  for (int round = 0; round < 30; round++) {
    std::filesystem::create_directories(box() / "b/c");
    std::error_code there;
    std::filesystem::create_symlink("../outside", box() / "l", there);
    std::filesystem::create_symlink("b", box() / "b/l", there);
    restart({.max_fds = 32, .cancellable = true});
    cancel_wasi(*guest().context());  // so that no poll waits
    for (int i = 0; i < 1000; i++) {
      if (i % 100 == 0) fill_memory();
      call_something();
    }
  }
  EXPECT_EQ(read_file(outside() / "secret"), "secret");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(outside()), {}), 1);
}

}  // namespace
}  // namespace tenon::wasi
