// One module, many instances: each thread has a store of its own, the module is shared.
#include <atomic>
#include <cstdio>
#include <thread>
#include <vector>

#include "common.hpp"

// usage: threads guest.wat
int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const tenon::Engine engine;
  const auto module = need(tenon::Module::from_file(engine, argv[1]));
  constexpr int kThreads = 4, kInstances = 50;
  std::atomic<int> sum = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&] {
      auto linker = make_linker(engine);
      for (int i = 0; i < kInstances; ++i) {
        auto store = need(tenon::Store::make(engine));
        const auto instance = need(linker.instantiate(store, module));
        sum += need(need(instance.get<int32_t(int32_t, int32_t)>("divide"))(10, 5));
      }
    });
  for (std::thread& t : threads) t.join();
  std::printf("%d instances answered, sum %d\n", kThreads * kInstances, sum.load());
  return 0;
}
