// `tenon compile --worker`: compiles for another process of ours (engine/aot/worker.h).
#include "engine/aot/worker.h"

#include "commands.h"

namespace tenon::cli {

int compile_worker() { return run_compile_worker(); }

}  // namespace tenon::cli
