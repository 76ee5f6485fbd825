// Signal handlers around a guest.
#include "ctrl_c.h"

#include <semaphore.h>
#include <signal.h>
#include <sys/time.h>

#include <atomic>

#include "engine/keep_errno.h"

namespace tenon::cli {
namespace {

std::atomic<Store*> running;
std::atomic<bool> was_pressed;
sem_t asked;  // of those who wait on a thread

void die(int) {
  signal(SIGINT, SIG_DFL);
  raise(SIGINT);
}

// Asks the guest to end, and gives it a quarter of a second; its threads have two, since nothing that they wait for holds
// them.
void on_interrupt(int) {
  const KeepErrno keep;
  was_pressed = true;
  signal(SIGINT, die);
  signal(SIGALRM, die);
  Store* const store = running.load();
  const itimerval patience = store ? itimerval{{0, 0}, {0, 250'000}} : itimerval{{0, 0}, {2, 0}};
  setitimer(ITIMER_REAL, &patience, nullptr);
  if (store)
    store->interrupt();
  else
    sem_post(&asked);
}

void handle_interrupts() {
  struct sigaction before{};
  if (sigaction(SIGINT, nullptr, &before) != 0 || before.sa_handler != SIG_DFL) return;
  struct sigaction action{};
  action.sa_handler = on_interrupt;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_ONSTACK;
  sigaction(SIGINT, &action, nullptr);
}

}  // namespace

CtrlC::CtrlC(Store& store) {
  running = &store;
  handle_interrupts();
}

CtrlC::CtrlC(std::function<void()> interrupt) {
  sem_init(&asked, 0, 0);
  waiter_ = std::thread([this, interrupt = std::move(interrupt)] {
    while (sem_wait(&asked) != 0) {  // a signal handler came in between
    }
    if (!done_) interrupt();
  });
  handle_interrupts();
}

CtrlC::~CtrlC() {
  running = nullptr;
  if (waiter_.joinable()) {
    done_ = true;
    sem_post(&asked);
    waiter_.join();
  }
  if (!was_pressed) return;
  const itimerval never{};
  setitimer(ITIMER_REAL, &never, nullptr);
}

bool CtrlC::pressed() const { return was_pressed; }

}  // namespace tenon::cli
