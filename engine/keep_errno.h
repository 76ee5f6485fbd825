// For signal handlers: errno is as it was when this goes out of scope. What a handler came into may stand between a call
// that failed and its look at errno.
#pragma once
#include <cerrno>

namespace tenon {

class KeepErrno {
 public:
  KeepErrno() = default;
  ~KeepErrno() { errno = before_; }
  KeepErrno(const KeepErrno&) = delete;
  KeepErrno& operator=(const KeepErrno&) = delete;

 private:
  const int before_ = errno;
};

}  // namespace tenon
