// Coroutines, ranges, templates with many instances, placement new, constant evaluation.
#include <array>
#include <coroutine>
#include <cstdint>
#include <cstdio>
#include <new>
#include <numeric>
#include <tuple>
#include <utility>
#include <vector>

template <typename T>
struct Generator {
  struct promise_type {
    T value;
    Generator get_return_object() {
      return Generator{std::coroutine_handle<promise_type>::from_promise(*this)};
    }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    std::suspend_always yield_value(T v) {
      value = v;
      return {};
    }
    void return_void() {}
    void unhandled_exception() {}
  };
  explicit Generator(std::coroutine_handle<promise_type> h) : handle(h) {}
  Generator(Generator&& other) noexcept : handle(std::exchange(other.handle, nullptr)) {}
  ~Generator() {
    if (handle) handle.destroy();
  }
  bool next() {
    handle.resume();
    return !handle.done();
  }
  T value() const { return handle.promise().value; }
  std::coroutine_handle<promise_type> handle;
};

static Generator<int> count(int from, int to) {
  for (int i = from; i < to; i++) co_yield i;
}

static Generator<long long> squares_of_odd(int limit) {
  auto numbers = count(0, limit);
  while (numbers.next())
    if (numbers.value() % 2) co_yield 1LL * numbers.value() * numbers.value();
}

// An in-order walk of a tree, one coroutine for each node.
struct Node {
  int key;
  Node *left = nullptr, *right = nullptr;
};
static Generator<int> walk(const Node* node) {
  if (!node) co_return;
  for (auto g = walk(node->left); g.next();) co_yield g.value();
  co_yield node->key;
  for (auto g = walk(node->right); g.next();) co_yield g.value();
}

template <size_t... I>
constexpr auto triangle(std::index_sequence<I...>) {
  return std::array<size_t, sizeof...(I)>{(I * (I + 1) / 2)...};
}

template <typename... T>
static double total(const std::tuple<T...>& t) {
  return std::apply([](const auto&... x) { return (0.0 + ... + static_cast<double>(x)); }, t);
}

template <unsigned N>
struct Fibonacci {
  static constexpr uint64_t value = Fibonacci<N - 1>::value + Fibonacci<N - 2>::value;
};
template <>
struct Fibonacci<0> {
  static constexpr uint64_t value = 0;
};
template <>
struct Fibonacci<1> {
  static constexpr uint64_t value = 1;
};

int main() {
  long long sum = 0;
  for (auto g = squares_of_odd(1000); g.next();) sum += g.value();
  std::printf("%lld\n", sum);

  std::vector<Node> nodes;
  nodes.reserve(200);
  unsigned state = 3;
  for (int i = 0; i < 200; i++) {
    state = state * 1664525u + 1013904223u;
    nodes.push_back({static_cast<int>(state >> 20)});
    Node** at = nullptr;
    for (Node* n = i ? &nodes[0] : nullptr; n; n = *at) at = nodes.back().key < n->key ? &n->left : &n->right;
    if (at) *at = &nodes.back();
  }
  int last = -1, ordered = 1, seen = 0;
  for (auto g = walk(&nodes[0]); g.next(); seen++) {
    ordered &= last <= g.value();
    last = g.value();
  }
  std::printf("%d %d %d\n", seen, ordered, last);

  constexpr auto numbers = triangle(std::make_index_sequence<20>());
  std::printf("%zu %zu\n", numbers[19], std::accumulate(numbers.begin(), numbers.end(), size_t{0}));
  std::printf("%.3f\n", total(std::tuple(1, 2.5, 'A', 4u, 5.25f, static_cast<short>(-6))));
  std::printf("%llu\n", static_cast<unsigned long long>(Fibonacci<90>::value));
  alignas(16) unsigned char space[64];
  auto* pair = new (space) std::pair<double, int>(0.5, 7);
  std::printf("%.1f %d\n", pair->first, pair->second);
  return 0;
}
