// Containers and algorithms of the standard library, strings, lambdas, variant and optional.
#include <algorithm>
#include <array>
#include <cstdio>
#include <deque>
#include <functional>
#include <map>
#include <numeric>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

static std::optional<int> parse(std::string_view text) {
  int value = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  return text.empty() ? std::nullopt : std::optional(value);
}

int main() {
  std::vector<int> numbers(1000);
  std::iota(numbers.begin(), numbers.end(), -500);
  std::sort(numbers.begin(), numbers.end(), [](int a, int b) {
    return a * 37 % 101 < b * 37 % 101 || (a * 37 % 101 == b * 37 % 101 && a < b);
  });
  long long check = 0;
  for (size_t i = 0; i < numbers.size(); i++) check = (check * 31 + numbers[i]) % 1000000007;
  std::printf("%lld %d %d\n", check, numbers.front(), numbers.back());

  std::map<std::string, std::vector<int>> index;
  std::unordered_map<std::string, int> counts;
  std::string text = "it was the best of times it was the worst of times";
  int at = 0;
  for (size_t from = 0; from != std::string::npos && from < text.size(); at++) {
    size_t to = text.find(' ', from);
    std::string word = text.substr(from, to == std::string::npos ? to : to - from);
    index[word].push_back(at);
    counts[word]++;
    from = to == std::string::npos ? to : to + 1;
  }
  for (const auto& [word, places] : index) {
    std::printf("%s x%d:", word.c_str(), counts[word]);
    for (int p : places) std::printf(" %d", p);
    std::printf("\n");
  }

  std::deque<int> queue;
  for (int i = 0; i < 300; i++) i % 3 ? queue.push_back(i) : queue.push_front(-i);
  std::printf("%d %d %zu\n", queue.front(), queue.back(), queue.size());
  std::set<int> unique(numbers.begin(), numbers.end());
  std::printf("%zu %d\n", unique.size(), *unique.lower_bound(17));

  std::vector<std::function<int(int)>> steps;
  for (int k = 1; k <= 4; k++) steps.emplace_back([k](int x) { return x * k + k; });
  std::printf("%d\n",
              std::accumulate(steps.begin(), steps.end(), 1, [](int x, const auto& f) { return f(x); }));

  std::array<std::variant<int, double, std::string>, 3> mixed{
      42, 2.5, std::string("a text that is longer than the small buffer")};
  for (const auto& v : mixed)
    std::visit(
        [](const auto& x) {
          if constexpr (std::is_same_v<std::decay_t<decltype(x)>, std::string>)
            std::printf("text of %zu\n", x.size());
          else
            std::printf("number %g\n", static_cast<double>(x));
        },
        v);
  for (const char* t : {"123", "12x", ""}) std::printf("%s -> %d\n", t, parse(t).value_or(-1));
  std::string long_text;
  for (int i = 0; i < 1000; i++) long_text += std::to_string(i);
  std::printf("%zu %s\n", long_text.size(), long_text.substr(1500, 12).c_str());
  return 0;
}
