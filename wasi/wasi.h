// WASI preview 1 for embedders: what a guest is given (WasiConfig), the state behind its calls (WasiContext)
// and the host functions themselves. Linking them and running the guest is the engine's part
// (engine/runtime).
#pragma once
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "engine/error.h"
#include "engine/runtime/host_func.h"

namespace tenon::wasi {

// Where a standard stream leads. Host descriptors are duplicated: the caller keeps its own.
struct StdioNull {};  // reads give end of file, writes vanish
struct StdioFd {
  int fd;
};
// Bytes read or written (0 from a reader: end of file), or a negative Linux errno. Called with non-empty
// spans.
using StdioReader = std::function<i64(std::span<u8>)>;
using StdioWriter = std::function<i64(std::span<const u8>)>;
using StdioInput = std::variant<StdioNull, StdioFd, StdioReader, std::string>;  // the string is what is read
using StdioOutput = std::variant<StdioNull, StdioFd, StdioWriter, std::string*>;  // appended to; must outlive

struct Preopen {
  std::string host_path;
  std::string guest_name;  // what the guest sees, e.g. "/" or "data"
  bool read_only = false;
};

// How paths are kept inside a preopened directory.
enum class PathResolution : u8 {
  automatic,  // kernel where it can, else walk
  kernel,     // openat2 with RESOLVE_BENEATH (Linux 5.6)
  walk,       // component by component, symbolic links expanded here
};

// Everything a guest can reach. Nothing is given by default but the standard streams.
struct WasiConfig {
  std::vector<std::string> args{};  // args[0]: the program's name
  std::vector<std::pair<std::string, std::string>> env{};
  std::vector<Preopen> preopens{};  // descriptors 3, 4, … in this order
  std::vector<int> listeners{};     // listening sockets, after the preopens; duplicated
  StdioInput stdin_ = StdioFd{0};
  StdioOutput stdout_ = StdioFd{1}, stderr_ = StdioFd{2};
  PathResolution path_resolution = PathResolution::automatic;
  u32 max_fds = 4096;        // open descriptors of the guest
  bool cancellable = false;  // cancel_wasi() can end blocking calls; costs each of them a poll(2)
};

// A guest program's descriptors and other state. Safe to use from several threads at a time.
class WasiContext;

// Errors: not_found or io (a preopen or stream that can't be opened, with its name), usage (an argument or
// name with a NUL byte, a preopen on procfs), unsupported (PathResolution::kernel on a kernel without
// openat2).
Result<std::shared_ptr<WasiContext>> make_wasi_context(WasiConfig config);

// Ends blocking calls of a cancellable context with `canceled`, those to come too. From any thread or a
// signal handler.
void cancel_wasi(WasiContext& context);

// The functions of wasi_snapshot_preview1. HostFunc::data is the WasiContext*, which must outlive the store.
// All give an errno but proc_exit, and proc_raise of a signal that ends the process: Status::exit with the
// exit code in the store's TrapRecord.
std::span<const HostFuncDesc> wasi_functions();

}  // namespace tenon::wasi
