// Inference without a guest: the host loads a model, describes it, and runs it on its own buffers.
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <vector>

#include "common.hpp"

// usage: host_inference model.onnx image.bin    (8 × 8 numbers in f32)
int main(int argc, char** argv) {
  if (argc < 3) return 2;
  const auto nn = need(tenon::Nn::make());
  const auto graph = need(tenon::NnGraph::from_file(nn, argv[1]));
  for (const tenon_nn_edge_t& input : graph.inputs()) {
    std::printf("input %s:", std::string(tenon::view(input.name)).c_str());
    for (int32_t i = 0; i < input.rank; ++i) std::printf(" %lld", static_cast<long long>(input.dims[i]));
    std::printf("\n");
  }

  std::vector<float> image(64), scores(10);
  std::ifstream(argv[2], std::ios::binary)
      .read(reinterpret_cast<char*>(image.data()),
            static_cast<std::streamsize>(image.size() * sizeof(float)));
  const auto in = tenon::nn_input<float>(0, image);  // its dimensions follow from the size
  auto out = tenon::nn_output<float>(0, scores);

  auto context = need(graph.context());  // one for each thread
  need(context.run({&in, 1}, {&out, 1}));
  std::printf("this is a %td\n", std::max_element(scores.begin(), scores.end()) - scores.begin());

  auto wrong = context.set_input<double>(0, std::vector<double>(64));
  std::printf("refused: %s\n", wrong ? "no" : std::string(wrong.error().message()).c_str());
  return 0;
}
