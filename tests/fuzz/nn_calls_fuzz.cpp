// Bytes → calls of wasi-nn's functions on a small memory (tests/nn/random_calls.h).
#include "tests/nn/random_calls.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tenon::nn::test::CallDriver({data, size}).run();
  return 0;
}
