// Host errors to preview 1 errors (errno.def).
#pragma once
#include <string_view>

#include "wasi/types.h"

namespace tenon::wasi {

// A Linux errno as preview 1 names it; `io` for those that it has no name for.
Errno from_host_errno(int host);
// The current errno, as the error of an Expect: `return host_error();`
std::unexpected<Errno> host_error();
// The witx's name without the dollar, e.g. "noent".
std::string_view errno_name(Errno e);

}  // namespace tenon::wasi
