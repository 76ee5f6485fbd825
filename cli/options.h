// CLI11 in the program's manner: help and errors in one style. Header-only use, so that each command pays for
// its own.
#pragma once
#include <CLI/CLI.hpp>
#include <algorithm>
#include <optional>

#include "commands.h"
#include "text.h"

namespace tenon::cli {

// Where CLI11 would take -1 for the largest number.
inline CLI::Validator not_negative() {
  return CLI::Validator([](const std::string& text) { return text.starts_with('-') ? "not below 0" : ""; },
                        "");
}

// Parses; gives an exit status when the command is done already (help, wrong usage).
inline std::optional<int> parse(CLI::App& app, const Args& args) {
  try {
    app.parse(Args(args.rbegin(), args.rend()));  // CLI11 takes them from the back
    return std::nullopt;
  } catch (const CLI::CallForHelp&) {
    std::fputs(app.help().c_str(), stdout);
    return 0;
  } catch (const CLI::ParseError& e) {
    complain(e.what());
    hint("`" + app.get_name() + " --help` lists the options");
    return kUsage;
  }
}

}  // namespace tenon::cli
