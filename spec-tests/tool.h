// `tenon wast`: runs scripts and folders of scripts, reports, and ends with `N passed, N failed, N skipped`.
#pragma once
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "spec-tests/runner.h"

namespace tenon::spec {

struct ToolOptions {
  std::vector<std::string> paths;  // files, or folders searched for *.wast
  bool json = false;               // one object with a row for each file
  bool show_mismatches = false;    // rejections whose message differs from the suite's text
  RunOptions run;                  // features are reduced for older suites (suites.def)
};

// Prints to `out`. 0 when nothing failed, 1 otherwise, 2 when a path cannot be read.
int run_tool(const ToolOptions& options, std::FILE* out);

}  // namespace tenon::spec
