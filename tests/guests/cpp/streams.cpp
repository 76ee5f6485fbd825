// iostreams: static constructors, formatting, parsing, and a destructor of a global object at exit.
#include <iomanip>
#include <iostream>
#include <sstream>
#include <string>

struct Global {
  explicit Global(const char* n) : name(n) { std::cout << "construct " << name << "\n"; }
  ~Global() { std::cout << "destroy " << name << std::endl; }
  std::string name;
};
static Global one("one");
static Global two("two");

int main() {
  std::cout << std::fixed << std::setprecision(3) << 3.14159 << ' ' << std::scientific << 12345.678 << ' '
            << std::defaultfloat << 1e-10 << '\n';
  std::cout << std::hex << 255 << ' ' << std::oct << 8 << ' ' << std::dec << std::setw(8) << std::setfill('*')
            << 42 << '\n';
  std::istringstream in("17 2.5 word rest of line");
  int i;
  double d;
  std::string word, rest;
  in >> i >> d >> word;
  std::getline(in, rest);
  std::cout << i << '|' << d << '|' << word << '|' << rest << '\n';
  std::ostringstream out;
  for (int k = 0; k < 5; k++) out << k * k << (k < 4 ? "," : "");
  std::cout << out.str() << ' ' << std::boolalpha << (out.str().size() == 11) << '\n';
  return 0;
}
