// Where tests find the data that the repository does not hold.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <string>

namespace tenon::nn::test {

// Folder of the project's test data: environment variable TENON_TEST_DATA, else ../shared/data beside the
// sources.
inline std::string test_data() {
  if (const char* set = std::getenv("TENON_TEST_DATA")) return set;
  return std::string(TENON_SOURCE_DIR) + "/../shared/data";
}

inline bool exists(const std::string& path) { return access(path.c_str(), R_OK) == 0; }

// The ONNX backend suite's data as Debian's libonnx-testdata installs it.
inline std::string onnx_suite() { return "/usr/share/libonnx-testdata/data"; }

#define SKIP_WITHOUT(path) \
  if (!tenon::nn::test::exists(path)) GTEST_SKIP() << (path) << " is not there (set TENON_TEST_DATA)"

}  // namespace tenon::nn::test
