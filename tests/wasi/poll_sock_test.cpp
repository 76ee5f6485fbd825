// poll_oneoff, and sockets on preopened listeners.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "wasi_fixture.h"

namespace tenon::wasi {
namespace {

class PollTest : public FdTest {
 protected:
  static Subscription clock(u64 userdata, u32 id, u64 timeout, u16 flags = 0) {
    Subscription s{};
    s.userdata = userdata;
    s.type = Eventtype::clock;
    s.id = id;
    s.timeout = timeout;
    s.flags = Subclockflags(flags);
    return s;
  }
  static Subscription descriptor(u64 userdata, Eventtype type, u32 fd) {
    Subscription s{};
    s.userdata = userdata;
    s.type = type;
    s.id = fd;
    return s;
  }
  static std::vector<Event> poll(Guest& guest, const std::vector<Subscription>& in) {
    const u32 size = static_cast<u32>(in.size() * sizeof(Subscription));
    const u32 from = guest.put({reinterpret_cast<const char*>(in.data()), size});
    const u32 to = guest.alloc(static_cast<u32>(in.size() * sizeof(Event))), n = guest.alloc(4);
    EXPECT_EQ(guest.call("poll_oneoff", from, to, in.size(), n), Errno::success);
    std::vector<Event> out;
    for (u32 i = 0; i < guest.get<u32>(n); i++) out.push_back(guest.get<Event>(to + i * sizeof(Event)));
    return out;
  }
};

TEST_F(PollTest, TheShortestTimerFires) {
  const auto start = std::chrono::steady_clock::now();
  const auto events = poll(guest(), {clock(1, 1, 10'000'000'000), clock(2, 0, 20'000'000)});
  const auto took = std::chrono::steady_clock::now() - start;
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].userdata, 2u);
  EXPECT_EQ(events[0].error, Errno::success);
  EXPECT_GE(took, std::chrono::milliseconds(20));
  EXPECT_LT(took, std::chrono::seconds(5));
}

TEST_F(PollTest, AbsoluteTimesInThePastFireAtOnce) {
  const auto events = poll(guest(), {clock(1, 0, 1, 1), clock(2, 1, 1, 1)});
  EXPECT_EQ(events.size(), 2u);
}

TEST_F(PollTest, TimersThatAreOverHideNoDescriptorThatIsReady) {
  u32 fd;
  ASSERT_EQ(guest().open(kBox, "f", {.oflags = Guest::kCreat}, &fd), Errno::success);
  EXPECT_EQ(poll(guest(), {clock(1, 1, 0)}).size(), 1u);
  EXPECT_EQ(poll(guest(), {clock(1, 1, 0), descriptor(2, Eventtype::fd_write, fd)}).size(), 2u);
}

TEST_F(PollTest, WrongSubscriptionsAreEventsWithAnErrno) {
  Subscription type = clock(3, 0, 0);
  type.type = static_cast<Eventtype>(9);
  const auto events = poll(guest(), {clock(1, 17, 5), clock(2, 2, 5), type, clock(4, 0, 5, 2),
                                     descriptor(5, Eventtype::fd_read, 99)});
  ASSERT_EQ(events.size(), 5u);
  const Errno expected[] = {Errno::inval, Errno::notsup, Errno::inval, Errno::inval, Errno::badf};
  for (size_t i = 0; i < 5; i++) {
    EXPECT_EQ(events[i].userdata, i + 1);
    EXPECT_EQ(events[i].error, expected[i]) << i;
  }
}

TEST_F(PollTest, HostileCountsAndPointers) {
  const u32 out = guest().alloc(64);
  EXPECT_EQ(guest().call("poll_oneoff", out, out, 0, out), Errno::inval);
  EXPECT_EQ(guest().call("poll_oneoff", out, out, 0xffff'ffff, out), Errno::inval);
  EXPECT_EQ(guest().call("poll_oneoff", out, out, 1 << 20, out), Errno::fault);
  EXPECT_EQ(guest().call("poll_oneoff", Guest::kMemory - 47, out, 1, out), Errno::fault);
  EXPECT_EQ(guest().call("poll_oneoff", out, Guest::kMemory - 31, 1, out), Errno::fault);
}

TEST_F(PollTest, FilesAreAlwaysReadyAndSayHowMuch) {
  write_file(box() / "f", "12345");
  u32 fd;
  ASSERT_EQ(guest().open(kBox, "f", {}, &fd), Errno::success);
  const auto events = poll(guest(), {descriptor(1, Eventtype::fd_read, fd),
                                     descriptor(2, Eventtype::fd_write, fd), clock(3, 1, 60'000'000'000)});
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].nbytes, 5u);
  EXPECT_EQ(events[1].userdata, 2u);
}

TEST_F(PollTest, PipesWakeTheGuest) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  Guest guest(WasiConfig{.stdin_ = StdioFd{ends[0]}, .stdout_ = StdioNull{}, .stderr_ = StdioNull{}});
  auto events = poll(guest, {descriptor(1, Eventtype::fd_read, 0), clock(2, 1, 1'000'000)});
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].userdata, 2u) << "nothing to read: the timer";
  ASSERT_EQ(::write(ends[1], "abc", 3), 3);
  events = poll(guest, {descriptor(1, Eventtype::fd_read, 0), clock(2, 1, 60'000'000'000)});
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].nbytes, 3u);
  ::close(ends[1]);
  events = poll(guest, {descriptor(1, Eventtype::fd_read, 0)});
  ASSERT_EQ(events.size(), 1u);
  EXPECT_TRUE(events[0].flags.has(Eventrwflag::hangup));
  ::close(ends[0]);
}

TEST_F(PollTest, CancellingEndsBlockingCallsNowAndLater) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  Guest guest(WasiConfig{
      .stdin_ = StdioFd{ends[0]}, .stdout_ = StdioNull{}, .stderr_ = StdioNull{}, .cancellable = true});
  const u32 in = guest.put_value(clock(1, 1, 60'000'000'000)), out = guest.alloc(64);
  std::jthread canceller([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    cancel_wasi(*guest.context());
  });
  EXPECT_EQ(guest.read(0, nullptr), Errno::canceled);
  EXPECT_EQ(guest.call("poll_oneoff", in, out, 1, out + 48), Errno::canceled);
  ::close(ends[0]);
  ::close(ends[1]);
}

class SocketTest : public PollTest {
 protected:
  void SetUp() override {
    PollTest::SetUp();
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (listener_ < 0 || ::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0 ||
        ::listen(listener_, 4) < 0)
      GTEST_SKIP() << "no loopback network here";
    socklen_t size = sizeof address_;
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address_), &size);
    restart({.listeners = {listener_}});
  }
  void TearDown() override {
    for (int fd : {listener_, client_})
      if (fd >= 0) ::close(fd);
  }
  // Connects a client of the test's and accepts it in the guest.
  u32 accept() {
    client_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(::connect(client_, reinterpret_cast<sockaddr*>(&address_), sizeof address_), 0);
    const u32 out = guest().alloc(4);
    EXPECT_EQ(guest().call("sock_accept", kListener, 0, out), Errno::success);
    return guest().get<u32>(out);
  }
  static constexpr u32 kListener = 4;
  int listener_ = -1, client_ = -1;
  sockaddr_in address_{};
};

TEST_F(SocketTest, AcceptsReceivesSendsAndShutsDown) {
  const u32 fd = accept();
  EXPECT_EQ(guest().fdstat(fd).filetype, Filetype::socket_stream);
  ASSERT_EQ(::send(client_, "ping", 4, 0), 4);
  const u32 buf = guest().alloc(16), iov = guest().put_value(Iovec{buf, 16}), n = guest().alloc(8);
  ASSERT_EQ(guest().call("sock_recv", fd, iov, 1, 1, n, n + 4), Errno::success) << "peek";
  ASSERT_EQ(guest().call("sock_recv", fd, iov, 1, 0, n, n + 4), Errno::success);
  EXPECT_EQ(guest().text(buf, guest().get<u32>(n)), "ping");
  const u32 pong = guest().put_value(Iovec{guest().put("pong"), 4});
  ASSERT_EQ(guest().call("sock_send", fd, pong, 1, 0, n), Errno::success);
  char text[4];
  ASSERT_EQ(::recv(client_, text, 4, MSG_WAITALL), 4);
  EXPECT_EQ(std::string_view(text, 4), "pong");
  EXPECT_EQ(guest().call("sock_shutdown", fd, 2), Errno::success);
  EXPECT_EQ(::recv(client_, text, 4, 0), 0);
  EXPECT_EQ(guest().write(fd, "x"), Errno::pipe) << "an errno, no signal";
  EXPECT_EQ(guest().call("sock_shutdown", fd, 0), Errno::inval);
  EXPECT_EQ(guest().call("sock_shutdown", fd, 4), Errno::inval);
  EXPECT_EQ(guest().call("sock_send", fd, pong, 1, 1, n), Errno::inval);
  EXPECT_EQ(guest().call("sock_recv", fd, iov, 1, 8, n, n + 4), Errno::inval);
}

TEST_F(SocketTest, OnlyListenersAcceptAndOnlySocketsAreSockets) {
  const u32 out = guest().alloc(8), iov = guest().put_value(Iovec{out, 8});
  EXPECT_EQ(guest().call("sock_accept", kBox, 0, out), Errno::notsock);
  EXPECT_EQ(guest().call("sock_recv", 0, iov, 1, 0, out, out), Errno::notsock);
  EXPECT_EQ(guest().call("sock_accept", kListener, 1, out), Errno::inval);
  const u32 fd = accept();
  EXPECT_EQ(guest().call("sock_accept", fd, 0, out), Errno::notcapable);
  EXPECT_EQ(guest().call("fd_prestat_get", kListener, out), Errno::badf);
}

TEST_F(SocketTest, PollSeesConnectionsAndData) {
  EXPECT_EQ(poll(guest(), {descriptor(1, Eventtype::fd_read, kListener), clock(2, 1, 1'000'000)})[0].userdata,
            2u);
  const u32 fd = accept();
  ASSERT_EQ(::send(client_, "data", 4, 0), 4);
  const auto events = poll(guest(), {descriptor(1, Eventtype::fd_read, fd)});
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].nbytes, 4u);
}

TEST_F(SocketTest, AConnectionIsNoListener) {
  const int plain = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  EXPECT_EQ(make_wasi_context({.listeners = {plain}}).error().category, ErrorCategory::usage);
  ::close(plain);
}

}  // namespace
}  // namespace tenon::wasi
