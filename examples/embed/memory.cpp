// The guest's memory from outside: numbers in, a result out, and what lies outside of it.
#include <array>
#include <cstdio>

#include "common.hpp"

// usage: memory guest.wat
int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const tenon::Engine engine;
  const auto module = need(tenon::Module::from_file(engine, argv[1]));
  auto linker = make_linker(engine);
  auto store = need(tenon::Store::make(engine));
  const auto instance = need(linker.instantiate(store, module));

  const auto memory = instance.memory("memory").value();
  const std::array<int32_t, 4> numbers{1, 10, 100, -1000};
  constexpr uint32_t kAt = 1024;
  const auto* bytes = reinterpret_cast<const uint8_t*>(numbers.data());
  need(memory.write(kAt, {bytes, sizeof numbers}));
  const auto sum = need(instance.get<int64_t(uint32_t, uint32_t)>("sum"));
  std::printf("sum = %d\n", static_cast<int>(need(sum(kAt, numbers.size()))));

  memory.bytes()[kAt] = 2;  // in place: the span is good until the memory grows
  std::printf("sum = %d\n", static_cast<int>(need(sum(kAt, numbers.size()))));
  auto outside = memory.write(65536 - 8, {bytes, sizeof numbers});
  std::printf("refused: %s\n", std::string(outside.error().message()).c_str());
  return 0;
}
