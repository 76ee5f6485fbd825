// The one error type of the engine. Traps are not errors of this kind: they are small codes
// (engine/runtime/trap.h) until they reach the embedder.
#pragma once
#include <expected>
#include <optional>
#include <string>

#include "engine/base.h"

namespace tenon {

enum class ErrorCategory : u8 {
  malformed,    // the binary or text format is broken (spec: binary/text grammar)
  invalid,      // decodes, but does not validate (spec: valid)
  unlinkable,   // imports do not match (spec: exec/modules, instantiation)
  trap,         // a trap during instantiation or a call
  exception,    // an uncaught Wasm exception
  exit,         // the guest asked to exit (proc_exit)
  limit,        // an implementation or embedder limit, named in the message
  unsupported,  // a feature or encoding that is off or not there
  not_found,    // a file, an export, a name
  io,           // the operating system said no
  usage,        // the embedder's call was wrong
};

struct Error {
  ErrorCategory category;
  std::string message;  // for malformed/invalid: starts with the official suite's text (engine/errors.def)
  std::optional<u64> offset;  // byte offset in the module, where there is one
};

template <class T>
using Result = std::expected<T, Error>;

}  // namespace tenon
