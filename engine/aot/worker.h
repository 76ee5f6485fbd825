// Compiling in a child process: LLVM cannot be cancelled or bounded in memory inside of this one, and its fatal
// errors would end it. The child is the `tenon` program of this installation (`tenon compile --worker`). Does not
// decide what is compiled there (native_tier.h, tier_queue.h).
#pragma once
#include <functional>
#include <vector>

#include "engine/error.h"
#include "engine/native/code_image.h"

namespace tenon {

// Compiles the request in a child of its own, within request.options.worker, and waits for it. `cancelled` is asked
// ten times a second (none: never); when it says yes the child is killed. Where the request names any thunks, the
// code has those of all the module's function types. Errors: not_found (there is no `tenon` program), io, limit
// (out of time or memory, or cancelled), and those of the compiler.
Result<CompiledImage> compile_in_child(const CompileRequest& request,
                                       const std::function<bool()>& cancelled = nullptr);

// The request again, for functions that were beyond the budget for this process: with the larger budget that a
// child has, and at a level whose passes grow least with a function's size.
CompileRequest for_child(const CompileRequest& request, std::vector<FuncIdx> functions);

// The child's main function: a request on descriptor 0, the result to descriptor 1. Gives the exit status.
int run_compile_worker();

}  // namespace tenon
