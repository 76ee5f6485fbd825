// The state behind a guest's WASI calls, and what the functions share: look-up of descriptors with the checks
// that come before everything else.
#pragma once
#include <string>
#include <vector>

#include "wasi/fd_table.h"
#include "wasi/resolver.h"
#include "wasi/wasi.h"

namespace tenon::wasi {

// A list of strings as args_get and environ_get hand it out; each ends in NUL.
struct StringList {
  std::string bytes;
  std::vector<u32> offsets;
  void add(std::string_view s) {
    offsets.push_back(static_cast<u32>(bytes.size()));
    bytes.append(s).push_back('\0');
  }
};

class WasiContext {
 public:
  WasiContext(u32 max_fds, PathResolution resolution) : fds(max_fds), resolver(resolution) {}

  // Errors of each: badf if not open; then the kind's own; then FdEntry::require.
  Expect<EntryRef> any(Fd fd, Rights rights = {}) const;
  // A file, stream or socket; `wrong_kind` for a directory.
  Expect<EntryRef> file(Fd fd, Rights rights, Errno wrong_kind = Errno::badf) const;
  // A directory; notdir for anything else.
  Expect<EntryRef> directory(Fd fd, Rights rights) const;
  // A socket; notsock for anything else.
  Expect<EntryRef> socket(Fd fd, Rights rights) const;

  // Before a call that may block on the descriptor. Errors: again (`nonblock` is set, and can't be on the
  // host's descriptor), canceled, intr.
  Expect<void> ready(const FdEntry& entry, short events) const;
  // Readable once the context is cancelled; -1 when it can't be.
  int cancel_fd() const { return cancel_.get(); }
  Result<void> make_cancellable();

  StringList args, env;
  FdTable fds;
  PathResolver resolver;

 private:
  UniqueFd cancel_;
};

}  // namespace tenon::wasi
