// The program's commands. Each gets what follows its name on the command line and gives the exit status.
#pragma once
#include <span>
#include <string>
#include <vector>

namespace tenon::cli {

using Args = std::vector<std::string>;

int run(const Args& args);
int compile(const Args& args);
int compile_worker();  // `tenon compile --worker`: for other processes of ours
int cache(const Args& args);
int inspect(const Args& args);
int objdump(const Args& args);
int nn(const Args& args);
int wast(const Args& args);
int wat2wasm(const Args& args);
int wasm2wat(const Args& args);
int version();

}  // namespace tenon::cli
