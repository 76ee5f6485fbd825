// Ctrl-C while a guest runs: it ends with a backtrace.
#pragma once
#include "tenon.hpp"

namespace tenon::cli {

// Until it is destroyed, the first SIGINT interrupts the store's guest. One that does not end soon, because
// it waits in a host call, ends with the program, and so does the second SIGINT. One at a time.
class CtrlC {
 public:
  explicit CtrlC(Store& store);
  ~CtrlC();
  CtrlC(const CtrlC&) = delete;
  CtrlC& operator=(const CtrlC&) = delete;
  bool pressed() const;
};

}  // namespace tenon::cli
