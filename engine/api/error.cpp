// Errors and strings of the C API.
#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "engine/native/module_code.h"
#include "handles.h"

namespace tenon::api {

tenon_error_t* make_error(Error error) {
  // Backtraces are given frame by frame.
  error.message.resize(std::min(error.message.find('\n'), error.message.size()));
  return new tenon_error{std::move(error)};
}

tenon_error_t* make_error(Error error, const TrapRecord& trap) {
  tenon_error_t* e = make_error(std::move(error));
  if (e->error.category == ErrorCategory::exit) {
    e->exit_status = trap.exit_code;
    return e;
  }
  if (e->error.category != ErrorCategory::trap && e->error.category != ErrorCategory::exception) return e;
  if (e->error.category == ErrorCategory::trap) e->trap = trap.code;
  for (const TraceFrame& f : trap.frames)
    e->frames.push_back({f.module->function_name(f.function), f.function.value, f.offset,
                         f.module->code().debug_lines().find(f.offset)});
  return e;
}

tenon_error_t* usage_error(std::string message) {
  return make_error(Error{ErrorCategory::usage, std::move(message), {}});
}

// Allocations fail here one by one: what the message takes is there, or the program ends.
tenon_error_t* caught() noexcept { return make_error(Error{ErrorCategory::limit, "out of memory", {}}); }

tenon_error_t* no_such_target(std::string_view name) {
  return usage_error(
      fmt::format("no processor is called \"{}\": native, x86-64-v2, x86-64-v3, x86-64-v4", name));
}

tenon_string_t new_string(std::string_view s) {
  auto* data = static_cast<char*>(std::malloc(s.size() + 1));
  if (!data) return {nullptr, 0};
  std::memcpy(data, s.data(), s.size());
  data[s.size()] = 0;
  return {data, s.size()};
}

}  // namespace tenon::api

using namespace tenon;

void tenon_string_delete(tenon_string_t* string) {
  if (!string) return;
  std::free(string->data);
  *string = {nullptr, 0};
}

void tenon_error_delete(tenon_error_t* error) { delete error; }

// The C enumeration follows ErrorCategory.
static_assert(static_cast<int>(ErrorCategory::malformed) == TENON_ERROR_MALFORMED &&
              static_cast<int>(ErrorCategory::trap) == TENON_ERROR_TRAP &&
              static_cast<int>(ErrorCategory::exit) == TENON_ERROR_EXIT &&
              static_cast<int>(ErrorCategory::usage) == TENON_ERROR_USAGE);
tenon_error_kind_t tenon_error_kind(const tenon_error_t* error) {
  return static_cast<tenon_error_kind_t>(error->error.category);
}

const char* tenon_error_message(const tenon_error_t* error) { return error->error.message.c_str(); }

bool tenon_error_offset(const tenon_error_t* error, uint64_t* offset) {
  if (!error->error.offset) return false;
  *offset = *error->error.offset;
  return true;
}

int tenon_error_trap_code(const tenon_error_t* error) {
  return error->trap == TrapCode::none ? -1 : static_cast<int>(error->trap);
}

int tenon_error_exit_status(const tenon_error_t* error) { return error->exit_status; }
size_t tenon_error_frame_count(const tenon_error_t* error) { return error->frames.size(); }

bool tenon_error_frame(const tenon_error_t* error, size_t index, tenon_frame_t* out) {
  if (index >= error->frames.size()) return false;
  const tenon_error::Frame& f = error->frames[index];
  *out = {api::name_of(f.function), f.index, f.offset};
  return true;
}

bool tenon_error_frame_source(const tenon_error_t* error, size_t index, tenon_name_t* file, uint32_t* line) {
  if (index >= error->frames.size() || !error->frames[index].source) return false;
  const SourceLine& source = *error->frames[index].source;
  *file = api::name_of(source.file);
  *line = source.line;
  return true;
}

tenon_error_t* tenon_error_new(const char* message, size_t size) {
  return new tenon_error{Error{ErrorCategory::trap, std::string(message, size), {}}, TrapCode::host_error};
}

tenon_error_t* tenon_error_new_exit(int status) {
  auto* e = new tenon_error{Error{ErrorCategory::exit, fmt::format("exit {}", status), {}}};
  e->exit_status = status;
  return e;
}
