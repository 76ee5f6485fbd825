// `tenon nn`: the model tools of tenon-nn.so, which reads the arguments itself.
#include <unistd.h>

#include <cstdio>

#include "commands.h"
#include "report.h"

namespace tenon::cli {

int nn(const Args& args) {
  if (args.empty() || args[0] == "--help" || args[0] == "-h") {
    std::fputs(
        "usage: tenon nn COMMAND …\n\n"
        "  inspect MODEL     inputs, outputs, operators, parameters, cost\n"
        "  run MODEL …       one inference\n"
        "  bench MODEL …     time it, and each of its operators\n"
        "  operators         what ONNX operators run, and how\n"
        "  test DIR…         model folders with inputs and expected outputs\n\n"
        "`tenon nn COMMAND --help` says more.\n",
        args.empty() ? stderr : stdout);
    return args.empty() ? kUsage : 0;
  }
  std::vector<const char*> rest;
  for (size_t i = 1; i < args.size(); ++i) rest.push_back(args[i].c_str());
  int status = 0;
  auto write = [](void*, int fd, const void* bytes, size_t size) {
    std::fwrite(bytes, 1, size, fd == 1 ? stdout : stderr);
  };
  if (tenon_error_t* e =
          tenon_nn_tool(args[0].c_str(), rest.data(), rest.size(), write, nullptr, isatty(1), &status)) {
    Error error(e);
    complain(error.message());
    return kFailed;
  }
  return status;
}

}  // namespace tenon::cli
