// Debian's libc++ for wasm32 is compiled without exceptions: where it would throw it calls std::__libcpp_verbose_abort, which
// programs may replace. This one throws what was meant. Frames of the library in between are left as they are: what they
// hold (a string that becomes a message, say) is not freed.
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ios>
#include <new>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <typeinfo>

namespace {

// The library's texts begin with the exception's name.
[[noreturn]] void throw_named(std::string_view name, const char* format, va_list arguments) {
  if (name == "bad_alloc") throw std::bad_alloc();
  if (name == "bad_array_new_length") throw std::bad_array_new_length();
  if (name == "bad_cast") throw std::bad_cast();
  const int error = std::strstr(format, "error %i") ? va_arg(arguments, int) : 0;
  const char* const message = std::strstr(format, "\"%s\"") ? va_arg(arguments, const char*) : "";
  if (name == "invalid_argument") throw std::invalid_argument(message);
  if (name == "ios_base::failure") throw std::ios_base::failure(message);
  if (name == "length_error") throw std::length_error(message);
  if (name == "out_of_range") throw std::out_of_range(message);
  if (name == "overflow_error") throw std::overflow_error(message);
  if (name == "runtime_error") throw std::runtime_error(message);
  if (name == "system_error") throw std::system_error(error, std::generic_category(), message);
  std::fprintf(stderr, "no exception that is known here: %s\n", format);
  std::abort();
}

}  // namespace

// By its linker name, since its declaration says that it throws nothing.
[[noreturn]] void thrown_by_library(const char* format, ...) asm("_ZNSt3__222__libcpp_verbose_abortEPKcz");
void thrown_by_library(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const std::string_view text = format;
  if (text.find(" was thrown") != text.npos) throw_named(text.substr(0, text.find(' ')), format, arguments);
  std::vfprintf(stderr, format, arguments);  // a failed check of the library's
  std::abort();
}

// libc++abi's end the program; its other forms call these.
namespace {

template <class Allocate>
void* allocate(Allocate attempt) {
  for (;;) {
    if (void* p = attempt()) return p;
    const std::new_handler handler = std::get_new_handler();
    if (!handler) throw std::bad_alloc();
    handler();
  }
}

}  // namespace

void* operator new(std::size_t size) {
  return allocate([size] { return std::malloc(size ? size : 1); });
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  const std::size_t align = static_cast<std::size_t>(alignment) < sizeof(void*)
                                ? sizeof(void*)
                                : static_cast<std::size_t>(alignment);
  return allocate([size, align]() -> void* {
    void* p = nullptr;
    return ::posix_memalign(&p, align, size ? size : 1) == 0 ? p : nullptr;
  });
}
