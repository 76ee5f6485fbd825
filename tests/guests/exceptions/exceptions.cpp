// C++ exceptions through libc++: hierarchies, conversions, rethrowing, exception_ptr, unwinding through constructors,
// virtual calls and callbacks. Ends by terminate().
// exit: 3
#include <cstdio>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

struct Base {
  virtual ~Base() = default;
  virtual const char* name() const { return "Base"; }
};
struct Other {
  virtual ~Other() = default;
  int number = 7;
};
struct Derived : Other, Base {
  const char* name() const override { return "Derived"; }
};
struct Loud {
  explicit Loud(const char* n) : name(n) { std::printf("  +%s", name); }
  ~Loud() { std::printf("  -%s", name); }
  const char* name;
};

[[gnu::noinline]] void throw_kind(int kind) {
  switch (kind) {
    case 0: throw 42;
    case 1: throw 2.5;
    case 2: throw Derived();
    case 3: throw std::out_of_range("far out");
    case 4: throw std::string("a string that does not fit into the small buffer");
    case 5: throw static_cast<const char*>("text");
    case 6: {
      static Derived one;
      throw static_cast<Derived*>(&one);
    }
    case 7: throw nullptr;
    case 8: throw std::make_unique<int>(8);
    default: return;
  }
}

[[gnu::noinline]] void catch_kind(int kind) {
  Loud outer("outer");
  try {
    Loud inner("inner");
    throw_kind(kind);
    std::printf(" nothing thrown");
  } catch (int i) {
    std::printf(" int %d", i);
  } catch (const Base& b) {
    std::printf(" Base& %s", b.name());
  } catch (const std::logic_error& e) {
    std::printf(" logic_error %s", e.what());
  } catch (const std::string& s) {
    std::printf(" string %s", s.c_str());
  } catch (const Other* o) {
    std::printf(" Other* %d", o ? o->number : -1);
  } catch (const char* text) {
    std::printf(" char* %s", text ? text : "null");
  } catch (...) {
    std::printf(" something");
  }
  std::printf("\n");
}

struct Member {
  explicit Member(int n) : loud(n == 2 ? "second" : "first") {
    if (n == 2) throw std::runtime_error("no second member");
  }
  Loud loud;
};
struct Whole {
  Whole() : loud("whole"), a(1), b(2) {}
  Loud loud;
  Member a, b;
};

[[gnu::noinline]] int depth(int n) {
  Loud* none = nullptr;
  if (n == 0) throw std::runtime_error("the bottom");
  try {
    return depth(n - 1) + 1;
  } catch (const std::runtime_error&) {
    if (n % 3 == 0) throw;
    throw std::runtime_error("from " + std::to_string(n));
  }
  return none != nullptr;
}

void nested(int n) {
  try {
    if (n == 0) throw std::invalid_argument("innermost");
    nested(n - 1);
  } catch (...) {
    std::throw_with_nested(std::runtime_error("level " + std::to_string(n)));
  }
}
void print_nested(const std::exception& e, int indent = 1) {
  std::printf("%*s%s\n", indent, "", e.what());
  try {
    std::rethrow_if_nested(e);
  } catch (const std::exception& inner) {
    print_nested(inner, indent + 1);
  }
}

struct Counter {
  ~Counter() { std::printf("uncaught in destructor: %d\n", std::uncaught_exceptions()); }
};

int main() {
  for (int kind = 0; kind < 10; ++kind) catch_kind(kind);

  try {
    Whole whole;
  } catch (const std::exception& e) {
    std::printf(" caught %s\n", e.what());
  }
  try {
    depth(50);
  } catch (const std::exception& e) {
    std::printf("depth: %s\n", e.what());
  }
  try {
    nested(3);
  } catch (const std::exception& e) {
    print_nested(e);
  }

  try {
    std::vector<int>(3).at(3) = 1;
  } catch (const std::out_of_range&) {
    std::printf("vector::at\n");
  }
  try {
    std::map<int, int>().at(1) = 1;
  } catch (const std::out_of_range&) {
    std::printf("map::at\n");
  }
  try {
    std::function<void()>()();
  } catch (const std::bad_function_call&) {
    std::printf("an empty function\n");
  }
  try {
    Base base;
    (void)dynamic_cast<Derived&>(base);
  } catch (const std::exception&) {
    std::printf("dynamic_cast\n");
  }

  std::exception_ptr kept;
  try {
    throw_kind(3);
  } catch (...) {
    kept = std::current_exception();
  }
  for (int i = 0; i < 2; ++i) {
    try {
      std::rethrow_exception(kept);
    } catch (const std::exception& outer) {
      try {
        std::rethrow_exception(kept);
      } catch (const std::out_of_range& inner) {
        std::printf("twice at a time: %d %s\n", &outer == &inner, inner.what());
      }
    }
  }
  kept = nullptr;
  const auto made = std::make_exception_ptr(std::runtime_error("made"));
  try {
    std::rethrow_exception(made);
  } catch (const std::runtime_error& e) {
    std::printf("%s, current: %d\n", e.what(), std::current_exception() != nullptr);
  }

  try {
    Counter counter;
    throw 1;
  } catch (int) {
    std::printf("uncaught in handler: %d\n", std::uncaught_exceptions());
  }

  const std::function<int(int)> callback = [&](int n) -> int {
    if (n == 0) throw std::string("through callbacks");
    return callback(n - 1) + 1;
  };
  try {
    callback(100);
  } catch (const std::string& s) {
    std::printf("%s\n", s.c_str());
  }

  long long sum = 0;
  for (int i = 0; i < 20000; ++i) {
    try {
      throw_kind(i % 3);
    } catch (int n) {
      sum += n;
    } catch (double d) {
      sum += static_cast<long long>(d * 2);
    } catch (const Other& o) {
      sum += o.number;
    }
  }
  std::printf("%lld\n", sum);

  std::set_terminate([] {
    std::printf("terminate\n");
    std::fflush(stdout);
    std::_Exit(3);
  });
  []() noexcept { throw_kind(0); }();
}
