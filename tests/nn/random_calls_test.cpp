// Every function of every module with arguments at random: an answer that the interface has, no crash, no hang.
#include <gtest/gtest.h>

#include <random>

#include "tests/nn/random_calls.h"

namespace tenon::nn {
namespace {

TEST(RandomCalls, AnyArgumentsGiveAnAnswer) {
  std::mt19937 random(2026);
  for (int round = 0; round < 200; ++round) {
    std::vector<uint8_t> bytes(2000);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
    test::CallDriver(bytes).run();
  }
}

}  // namespace
}  // namespace tenon::nn
