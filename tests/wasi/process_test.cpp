// Arguments, environment, clocks, random numbers, signals, configuration errors.
#include <fcntl.h>

#include "wasi/preview1.h"
#include "wasi_fixture.h"

namespace tenon::wasi {
namespace {

class ProcessTest : public FdTest {};

TEST_F(ProcessTest, ArgumentsArriveInOrderWithNulEnds) {
  restart({.args = {"prog", "", "two words"}});
  const u32 count = guest().alloc(4), size = guest().alloc(4);
  ASSERT_EQ(guest().call("args_sizes_get", count, size), Errno::success);
  EXPECT_EQ(guest().get<u32>(count), 3u);
  EXPECT_EQ(guest().get<u32>(size), 5u + 1 + 10);
  const u32 argv = guest().alloc(12), buf = guest().alloc(16);
  ASSERT_EQ(guest().call("args_get", argv, buf), Errno::success);
  EXPECT_EQ(guest().text(buf, 16), std::string("prog\0\0two words\0", 16));
  EXPECT_EQ(guest().get<u32>(argv + 4), buf + 5);
  EXPECT_EQ(guest().get<u32>(argv + 8), buf + 6);
}

TEST_F(ProcessTest, EnvironmentIsNameEqualsValue) {
  restart({.env = {{"A", "1"}, {"EMPTY", ""}}});
  const u32 pointers = guest().alloc(8), buf = guest().alloc(16);
  ASSERT_EQ(guest().call("environ_get", pointers, buf), Errno::success);
  EXPECT_EQ(guest().text(buf, 11), std::string("A=1\0EMPTY=\0", 11));
}

TEST_F(ProcessTest, ArgumentBuffersAtTheEndOfMemory) {
  restart({.args = {"prog"}});
  const u32 argv = guest().alloc(4);
  EXPECT_EQ(guest().call("args_get", argv, Guest::kMemory - 5), Errno::success);
  EXPECT_EQ(guest().call("args_get", argv, Guest::kMemory - 4), Errno::fault);
  EXPECT_EQ(guest().call("args_get", Guest::kMemory - 3, argv), Errno::fault);
  EXPECT_EQ(guest().call("args_get", 0xffff'ffff, 0xffff'ffff), Errno::fault);
  EXPECT_EQ(guest().call("args_sizes_get", Guest::kMemory - 3, argv), Errno::fault);
}

TEST_F(ProcessTest, ConfigurationsThatCannotBeAreRefused) {
  const std::string nul("a\0b", 3);
  EXPECT_EQ(make_wasi_context({.args = {nul}}).error().category, ErrorCategory::usage);
  EXPECT_EQ(make_wasi_context({.env = {{"A=B", "1"}}}).error().category, ErrorCategory::usage);
  EXPECT_EQ(make_wasi_context({.env = {{"A", nul}}}).error().category, ErrorCategory::usage);
  EXPECT_EQ(make_wasi_context({.preopens = {{"/nonexistent-folder", "x"}}}).error().category,
            ErrorCategory::not_found);
  EXPECT_EQ(make_wasi_context({.preopens = {{box(), ""}}}).error().category, ErrorCategory::usage);
  EXPECT_EQ(make_wasi_context({.preopens = {{"/proc", "proc"}}}).error().category, ErrorCategory::usage);
  EXPECT_EQ(make_wasi_context({.preopens = {{box(), "a"}, {box(), "b"}}, .max_fds = 4}).error().category,
            ErrorCategory::usage);
}

TEST_F(ProcessTest, ClocksTickAndUnknownOnesAreInval) {
  const u32 out = guest().alloc(8);
  for (u32 id = 0; id < 4; id++) {
    ASSERT_EQ(guest().call("clock_time_get", id, u64{0}, out), Errno::success) << id;
    EXPECT_GT(guest().get<u64>(out), 0u);
    ASSERT_EQ(guest().call("clock_res_get", id, out), Errno::success) << id;
    EXPECT_GT(guest().get<u64>(out), 0u);
  }
  EXPECT_EQ(guest().call("clock_time_get", 4, u64{0}, out), Errno::inval);
  EXPECT_EQ(guest().call("clock_res_get", 0xffff'ffff, out), Errno::inval);
  EXPECT_EQ(guest().call("clock_time_get", 0, u64{0}, Guest::kMemory - 7), Errno::fault);
}

TEST_F(ProcessTest, RandomFillsExactlyItsBuffer) {
  const u32 buf = guest().alloc(4096);
  ASSERT_EQ(guest().call("random_get", buf + 8, 4000), Errno::success);
  EXPECT_EQ(guest().get<u64>(buf), 0u);
  EXPECT_EQ(guest().get<u64>(buf + 4008), 0u);
  EXPECT_NE(guest().text(buf + 8, 4000), std::string(4000, '\0'));
  EXPECT_EQ(guest().call("random_get", buf, 0), Errno::success);
  EXPECT_EQ(guest().call("random_get", Guest::kMemory - 1, 2), Errno::fault);
  EXPECT_EQ(guest().call("random_get", 8, 0xffff'ffff), Errno::fault);
}

TEST_F(ProcessTest, SignalsEndTheGuestOrAreIgnoredButNeverReachTheHost) {
  EXPECT_EQ(std::get<Exit>(proc_raise(*guest().context(), Signal::kill)).code, 137u);
  EXPECT_EQ(std::get<Exit>(proc_raise(*guest().context(), Signal::abrt)).code, 134u);
  EXPECT_EQ(std::get<Errno>(proc_raise(*guest().context(), Signal::chld)), Errno::success);
  EXPECT_EQ(std::get<Errno>(proc_raise(*guest().context(), Signal::stop)), Errno::notsup);
  EXPECT_EQ(guest().call("proc_raise", 31), Errno::inval);
  EXPECT_EQ(guest().call("proc_raise", 256), Errno::inval);
  EXPECT_EQ(guest().call("sched_yield"), Errno::success);
}

TEST_F(ProcessTest, WithoutAMemoryEveryPointerIsAFault) {
  guest().memory_desc() = {nullptr, 0, 0};
  EXPECT_EQ(guest().call("args_sizes_get", 0, 4), Errno::fault);
  EXPECT_EQ(guest().call("random_get", 0, 8), Errno::fault);
  EXPECT_EQ(guest().call("fd_close", 2), Errno::success);
}

TEST_F(ProcessTest, NativeAndArrayEntriesAgree) {
  const HostFuncDesc& desc = Guest::find("clock_time_get");
  HostFunc host{nullptr, nullptr, &guest().memory_desc(), guest().context(), &desc, {}};
  const auto native = reinterpret_cast<u32 (*)(HostFunc*, u32, u64, u32)>(desc.native);
  const u32 out = guest().alloc(8);
  EXPECT_EQ(native(&host, 1, 0, out), static_cast<u32>(Errno::success));
  EXPECT_GT(guest().get<u64>(out), 0u);
  EXPECT_EQ(native(&host, 9, 0, out), static_cast<u32>(Errno::inval));
  EXPECT_EQ(native(&host, 1, 0, Guest::kMemory), static_cast<u32>(Errno::fault));
}

}  // namespace
}  // namespace tenon::wasi
