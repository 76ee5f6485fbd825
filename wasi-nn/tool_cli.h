// `tenon nn COMMAND ARGS…`: arguments of the tools, and where their text goes.
#pragma once

#include <span>
#include <string_view>

#include "engine/runtime/nn_plugin.h"

namespace tenon::nn {

// Commands inspect, run and test. Gives the exit status: 0, 1 when the tool fails, 2 for wrong usage.
int run_tool(std::string_view command, std::span<const std::string_view> args, const NnToolOutput& output);

}  // namespace tenon::nn
