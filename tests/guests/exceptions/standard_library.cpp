// Exceptions that begin in the standard library's own compiled code: in strings, numbers, vectors, streams, allocation.
#include <cstdint>
#include <cstdio>
#include <exception>
#include <functional>
#include <ios>
#include <new>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

struct Loud {
  ~Loud() { std::printf(" (unwound)"); }
};

// What each of these is derived from is caught, the most derived first; texts differ between libraries.
void expect(const char* what, const std::function<void()>& f) {
  std::printf("%s:", what);
  try {
    const Loud loud;
    f();
    std::printf(" nothing");
  } catch (const std::bad_array_new_length&) {
    std::printf(" bad_array_new_length");
  } catch (const std::bad_alloc&) {
    std::printf(" bad_alloc");
  } catch (const std::bad_cast&) {
    std::printf(" bad_cast");
  } catch (const std::invalid_argument& e) {
    std::printf(" invalid_argument %d", e.what()[0] != 0);
  } catch (const std::length_error& e) {
    std::printf(" length_error %d", e.what()[0] != 0);
  } catch (const std::out_of_range& e) {
    std::printf(" out_of_range %d", e.what()[0] != 0);
  } catch (const std::ios_base::failure& e) {
    std::printf(" failure %d", e.what()[0] != 0);
  } catch (const std::runtime_error& e) {
    std::printf(" runtime_error %d", e.what()[0] != 0);
  }
  std::printf("\n");
}

volatile std::size_t far = 100;

}  // namespace

int main() {
  std::string text = "text";
  std::vector<int> numbers{1, 2, 3};
  std::vector<bool> bits(3);
  expect("stoi of a word", [&] { std::printf(" %d", std::stoi(text)); });
  expect("stoi of a number", [&] { std::printf(" %d", std::stoi("-42 and more")); });
  expect("stoi of a large number", [&] { std::printf(" %d", std::stoi("99999999999")); });
  expect("stod of a word", [&] { std::printf(" %f", std::stod(text)); });
  expect("string::at", [&] { std::printf(" %c", text.at(far)); });
  expect("string::substr", [&] { std::printf(" %s", text.substr(far).c_str()); });
  expect("string::insert", [&] { text.insert(far, "more"); });
  expect("string::resize", [&] { text.resize(text.max_size() + far); });
  expect("string::string", [&] { std::printf(" %s", std::string("short", far, 2).c_str()); });
  expect("vector::at", [&] { std::printf(" %d", numbers.at(far)); });
  expect("vector::reserve", [&] { numbers.reserve(numbers.max_size() + far); });
  expect("vector<bool>::at", [&] { bits.at(far) = true; });
  expect("operator new", [] {
    for (int i = 0; i < 4; ++i) static_cast<void>(::operator new(PTRDIFF_MAX - far));
  });
  expect("operator new of what is aligned", [] {
    for (int i = 0; i < 4; ++i) static_cast<void>(::operator new(PTRDIFF_MAX - far, std::align_val_t{64}));
  });
  expect("operator new[]", [] { std::printf(" %p", static_cast<void*>(new char[PTRDIFF_MAX - far])); });
  expect("operator new with nothrow",
         [] { std::printf(" %d", ::operator new(PTRDIFF_MAX - far, std::nothrow) == nullptr); });
  expect("random_device", [] { std::printf(" %u", std::random_device("no such device")()); });
  expect("a stream", [] {
    std::istringstream in("no number");
    in.exceptions(std::ios::failbit);
    int n = 0;
    in >> n;
  });
  expect("after all that", [&] { std::printf(" %s %zu %zu", text.c_str(), numbers.size(), bits.size()); });
}
