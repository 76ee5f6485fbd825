// Limits: memory, fuel, and a guest that never ends, stopped by another thread.
#include <chrono>
#include <cstdio>
#include <thread>

#include "common.hpp"

namespace {

void show(const char* what, tenon::Error& error) {
  std::printf("%s: %s\n", what, std::string(error.message()).c_str());
}

}  // namespace

// usage: limits guest.wat
int main(int argc, char** argv) {
  if (argc < 2) return 2;
  tenon::Config config;
  config.max_memory(4 << 16).fuel().interruptible();
  const tenon::Engine engine(config);
  const auto module = need(tenon::Module::from_file(engine, argv[1]));
  auto linker = make_linker(engine);
  auto store = need(tenon::Store::make(engine));
  store.set_fuel(1'000'000);
  const auto instance = need(linker.instantiate(store, module));

  const auto grow = need(instance.get<int32_t(int32_t)>("grow"));
  const int by_three = need(grow(3)), by_one_more = need(grow(1));
  std::printf("memory.grow: %d, then %d\n", by_three, by_one_more);

  const auto spin = need(instance.get<void()>("spin"));
  auto starved = spin();
  show("without fuel", starved.error());

  store.set_fuel(UINT64_MAX);
  std::thread watch([&store] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    store.interrupt();
  });
  auto stopped = spin();
  watch.join();
  show("after 50 ms", stopped.error());
  store.clear_interrupt();
  std::printf("and it lives: sum of nothing is %d\n",
              static_cast<int>(need(need(instance.get<int64_t(int32_t, int32_t)>("sum"))(0, 0))));
  return 0;
}
