// What C++ exceptions in WebAssembly need at run time (Itanium C++ ABI, with one phase of unwinding): Debian's libc++abi for
// wasm32 is built without. One thread; no foreign exceptions, no exception specifications.
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <new>
#include <typeinfo>

namespace __cxxabiv1 {

// How libc++abi's type descriptions say what they catch: the fifth entry of their virtual tables.
class TypeInfo : public std::type_info {
 public:
  virtual void first() const;
  virtual void second() const;
  virtual bool can_catch(const TypeInfo* thrown, void*& object) const = 0;
};

using Destructor = void* (*)(void*);  // in WebAssembly they return their argument

// Lies before the object that is thrown; compiled code passes `unwind`'s address around. rethrow_exception throws another one
// without an object, which refers to the first: both may be in handlers at a time.
struct __cxa_exception {
  __cxa_exception* primary;  // itself, or whose object it is
  __cxa_exception* next_caught;
  const TypeInfo* type;
  Destructor destructor;
  void* adjusted;  // the object as the handler sees it
  int references;  // of exception_ptrs, other exceptions and the throw
  int handlers;    // that are in it; negative while it is rethrown
  struct alignas(16) Unwind {
    uint64_t exception_class;
    void (*cleanup)(int, Unwind*);
  } unwind;
  void* object() { return &primary->unwind + 1; }
};

constexpr uint64_t kClass = 0x434c4e47432b2b00;  // "CLNGC++\0"

__cxa_exception* of_object(void* object) {
  return reinterpret_cast<__cxa_exception*>(static_cast<char*>(object) - sizeof(__cxa_exception));
}
__cxa_exception* of_unwind(void* unwind) {
  return reinterpret_cast<__cxa_exception*>(static_cast<char*>(unwind) - offsetof(__cxa_exception, unwind));
}
static_assert(sizeof(__cxa_exception) == offsetof(__cxa_exception, unwind) + sizeof(__cxa_exception::Unwind));

__cxa_exception* caught = nullptr;  // the innermost handler's
int uncaught = 0;

// The tag of all C++ exceptions: its value is the address of an __cxa_exception::Unwind.
asm(R"(
  .tagtype __cpp_exception i32
  .globl __cpp_exception
__cpp_exception:
)");

[[noreturn]] void raise(__cxa_exception* e) {
  __builtin_wasm_throw(0, &e->unwind);
  std::terminate();
}

// ---- Which handler: compiled code calls _Unwind_CallPersonality in a catch and reads `selector`.

struct LandingPadContext {
  uintptr_t index, lsda, selector;
};
extern "C" LandingPadContext __wasm_lpad_context;
LandingPadContext __wasm_lpad_context;

class TableReader {
 public:
  explicit TableReader(uintptr_t at) : at_(reinterpret_cast<const uint8_t*>(at)) {}
  uint8_t byte() { return *at_++; }
  uint64_t uleb() { return number(false); }
  int64_t sleb() { return static_cast<int64_t>(number(true)); }
  uintptr_t at() const { return reinterpret_cast<uintptr_t>(at_); }

 private:
  uint64_t number(bool is_signed) {
    uint64_t value = 0;
    unsigned shift = 0;
    uint8_t b;
    do {
      b = byte();
      value |= uint64_t{b & 0x7fu} << shift;
      shift += 7;
    } while (b & 0x80);
    if (is_signed && (b & 0x40) && shift < 64) value |= ~uint64_t{0} << shift;
    return value;
  }
  const uint8_t* at_;
};

// Follows the actions of a landing pad to the first type that catches the exception; 0: none.
uintptr_t find_selector(__cxa_exception& e, TableReader actions, uintptr_t types) {
  for (;;) {
    const int64_t filter = actions.sleb();
    if (filter > 0) {
      const auto* type = reinterpret_cast<const TypeInfo* const*>(types)[-filter];
      void* object = e.object();
      if (!type || type->can_catch(e.type, object)) {
        e.adjusted = type ? object : e.object();
        return static_cast<uintptr_t>(filter);
      }
    }
    const uintptr_t here = actions.at();
    const int64_t next = actions.sleb();
    if (next == 0) return 0;
    actions = TableReader(here + static_cast<uintptr_t>(next));
  }
}

extern "C" int _Unwind_CallPersonality(void* unwind) {
  constexpr uint8_t kOmitted = 0xff;
  LandingPadContext& context = __wasm_lpad_context;
  context.selector = 0;
  TableReader table(context.lsda);
  if (table.byte() != kOmitted) std::abort();  // a start of landing pads, which WebAssembly has not
  uintptr_t types = 0;
  if (table.byte() != kOmitted) {
    const uint64_t distance = table.uleb();
    types = table.at() + static_cast<uintptr_t>(distance);
  }
  table.byte();  // how call sites are encoded: always as ULEB128
  const uint64_t length = table.uleb();
  const uintptr_t actions = table.at() + static_cast<uintptr_t>(length);
  for (uintptr_t i = 0; i < context.index; ++i) table.uleb(), table.uleb();
  table.uleb();
  const uint64_t action = table.uleb();
  if (action != 0)
    context.selector =
        find_selector(*of_unwind(unwind), TableReader(actions + static_cast<uintptr_t>(action) - 1), types);
  return 0;
}

extern "C" int __gxx_wasm_personality_v0() { std::abort(); }  // referred to, never called

// ---- Life of an exception

void release(__cxa_exception* e) {
  if (--e->references > 0) return;
  if (e->primary != e)
    release(e->primary);
  else if (e->destructor)
    e->destructor(e->object());
  std::free(e);
}

extern "C" {

void* __cxa_allocate_exception(size_t size) noexcept {
  auto* e = static_cast<__cxa_exception*>(std::calloc(1, sizeof(__cxa_exception) + size));
  if (!e) std::terminate();
  e->primary = e;
  return e->object();
}

void __cxa_free_exception(void* object) noexcept { std::free(of_object(object)); }

__cxa_exception* __cxa_init_primary_exception(void* object, std::type_info* type,
                                              Destructor destructor) noexcept {
  __cxa_exception* e = of_object(object);
  e->type = static_cast<const TypeInfo*>(type);
  e->destructor = destructor;
  e->adjusted = object;
  e->unwind = {kClass, nullptr};
  return e;
}

[[noreturn]] void __cxa_throw(void* object, std::type_info* type, Destructor destructor) {
  __cxa_init_primary_exception(object, type, destructor);
  __cxa_exception* e = of_object(object);
  e->references = 1;
  ++uncaught;
  raise(e);
}

void* __cxa_get_exception_ptr(void* unwind) noexcept { return of_unwind(unwind)->adjusted; }

void* __cxa_begin_catch(void* unwind) noexcept {
  __cxa_exception* e = of_unwind(unwind);
  e->handlers = (e->handlers < 0 ? -e->handlers : e->handlers) + 1;
  if (caught != e) {
    e->next_caught = caught;
    caught = e;
  }
  --uncaught;
  return e->adjusted;
}

void __cxa_end_catch() {
  __cxa_exception* e = caught;
  if (!e) return;
  if (e->handlers < 0) {  // on its way again
    if (++e->handlers == 0) caught = e->next_caught;
    return;
  }
  if (--e->handlers > 0) return;
  caught = e->next_caught;
  release(e);
}

[[noreturn]] void __cxa_rethrow() {
  __cxa_exception* e = caught;
  if (!e) std::terminate();
  e->handlers = -e->handlers;
  ++uncaught;
  raise(e);
}

std::type_info* __cxa_current_exception_type() {
  return caught ? const_cast<TypeInfo*>(caught->type) : nullptr;
}

bool __cxa_uncaught_exception() noexcept { return uncaught != 0; }
unsigned __cxa_uncaught_exceptions() noexcept { return static_cast<unsigned>(uncaught); }

// std::exception_ptr

void __cxa_increment_exception_refcount(void* object) noexcept {
  if (object) ++of_object(object)->references;
}
void __cxa_decrement_exception_refcount(void* object) noexcept {
  if (object) release(of_object(object));
}
void* __cxa_current_primary_exception() noexcept {
  if (!caught) return nullptr;
  ++caught->references;
  return caught->object();
}
void __cxa_rethrow_primary_exception(void* object) {
  if (!object) return;
  __cxa_exception* primary = of_object(object);
  auto* e = static_cast<__cxa_exception*>(std::calloc(1, sizeof(__cxa_exception)));
  if (!e) std::terminate();
  *e = {.primary = primary, .type = primary->type, .references = 1, .unwind = {kClass, nullptr}};
  ++primary->references;
  ++uncaught;
  raise(e);
}

// What the compiler calls for failing casts and sizes; libc++abi's own end the program.
[[noreturn]] void __cxa_bad_cast() { throw std::bad_cast(); }
[[noreturn]] void __cxa_bad_typeid() { throw std::bad_typeid(); }
[[noreturn]] void __cxa_throw_bad_array_new_length() { throw std::bad_array_new_length(); }

}  // extern "C"

// What else libc++abi's file without exceptions defines, so that it is left out of the link.
uint64_t __getExceptionClass(const __cxa_exception::Unwind* unwind) { return unwind->exception_class; }
void __setExceptionClass(__cxa_exception::Unwind* unwind, uint64_t value) { unwind->exception_class = value; }
bool __isOurExceptionClass(const __cxa_exception::Unwind*) { return true; }

}  // namespace __cxxabiv1
