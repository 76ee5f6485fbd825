// Inference: a model registered by the host, a picture written into the guest's memory, an answer from the guest.
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <vector>

#include "common.hpp"

// usage: inference inference.wat model.onnx image.bin    (8 × 8 numbers in f32)
int main(int argc, char** argv) {
  if (argc < 4) return 2;
  const tenon::Engine engine;
  auto nn = need(tenon::Nn::make());
  need(nn.add_graph(std::string("digits=") + argv[2]));
  const auto module = need(tenon::Module::from_file(engine, argv[1]));
  tenon::Linker linker(engine);
  need(linker.nn(nn));
  auto store = need(tenon::Store::make(engine));
  const auto instance = need(linker.instantiate(store, module));

  std::ifstream file(argv[3], std::ios::binary);
  const std::vector<char> image(std::istreambuf_iterator<char>(file), {});
  constexpr uint32_t kAt = 4096;
  need(instance.memory("memory")->write(kAt, {reinterpret_cast<const uint8_t*>(image.data()), image.size()}));
  std::printf("this is a %d\n", need(need(instance.get<int32_t()>("classify"))()));
  std::fputs(nn.statistics().c_str(), stderr);
  return 0;
}
