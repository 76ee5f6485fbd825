// Errors of the API in words.
#pragma once
#include <string_view>

#include "tenon.hpp"
#include "text.h"

namespace tenon::cli {

// An error as a whole: message, place or backtrace, hint. Gives the exit status it stands for: the guest's
// own, kTrapped for traps and exceptions, kFailed for the rest.
int report(Error& error, std::string_view file);

}  // namespace tenon::cli
