// Measures what embedding costs: calls from host to Wasm and from Wasm to host, against a plain indirect C call, and
// making and ending an instance on one thread and on two. A client of the public API.   embed_bench [--json] [interp|jit]
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "../api.h"
#include "wasm.h"

namespace {

using tenon::bench::die;
using tenon::bench::need;
using tenon::bench::now;

constexpr const char* kGuest = R"((module
  (import "host" "add" (func $add (param i32 i32) (result i32)))
  (memory 1) (data (i32.const 100) "some data")
  (func (export "increment") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
  (func (export "call_host") (param $n i32) (result i32) (local $x i32)
    (loop $next
      (local.set $x (call $add (local.get $x) (local.get $n)))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $x))
  (func (export "count") (param $n i32) (result i32) (local $x i32)
    (loop $next
      (local.set $x (i32.add (local.get $x) (local.get $n)))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $x))))";

// Nanoseconds of one of `calls`: the best of many short runs, since what else the machine does spoils long ones.
template <class F>
double best(uint32_t calls, F f) {
  double out = 1e18;
  for (int i = 0; i < 200; ++i) {
    const double start = now();
    f(calls);
    out = std::min(out, (now() - start) * 1e9 / calls);
  }
  return out;
}

int increment(int x) { return x + 1; }
int (*volatile indirect)(int) = &increment;

class Bench {
 public:
  Bench(bool json, bool jit) : json_(json), jit_(jit) {
    char path[] = "/tmp/tenon-embed-bench-XXXXXX";
    const int fd = mkstemp(path);
    if (fd < 0 || write(fd, kGuest, std::strlen(kGuest)) < 0) die("no temporary file");
    close(fd);
    file_ = path;
    config_.tier(jit ? TENON_TIER_JIT : TENON_TIER_INTERP);
  }
  ~Bench() { unlink(file_.c_str()); }

  void run() {
    plain();
    calls();
    standard();
    instances();
  }

 private:
  void show(const char* name, double ns, const char* unit = "ns") const {
    const char* engine = jit_ ? "jit" : "interp";
    if (json_)
      std::printf("{\"name\": \"embed/%s/%s\", \"ns\": %.2f, \"ratio\": %.2f}\n", engine, name, ns,
                  ns / plain_);
    else
      std::printf("%-44s %10.1f %s %8.1f x\n", name, ns, unit, ns / plain_);
  }

  void plain() {
    plain_ = best(100'000, [](uint32_t n) {
      int x = 0;
      for (uint32_t i = 0; i < n; ++i) x = indirect(x);
      if (x == 1) die("");
    });
    show("an indirect call in C", plain_);
  }

  static void link(tenon::Linker& linker) {
    need(linker.func("host", "add", [](int32_t a, int32_t b) { return a + b; }));
  }

  void calls() {
    const tenon::Engine engine(config_);
    const auto module = need(tenon::Module::from_file(engine, file_));
    tenon::Linker linker(engine);
    link(linker);
    auto store = need(tenon::Store::make(engine));
    const auto instance = need(linker.instantiate(store, module));
    const auto f = need(instance.get<int32_t(int32_t)>("increment"));
    show("host to Wasm and back, typed", best(20'000, [&](uint32_t n) {
           int x = 0;
           for (uint32_t i = 0; i < n; ++i) x = *f(x);
         }));
    const auto boxed = *instance.func("increment");
    show("host to Wasm and back, tenon_func_call", best(20'000, [&](uint32_t n) {
           tenon_val_t arg{}, result{};
           arg.kind = TENON_I32;
           for (uint32_t i = 0; i < n; ++i)
             if (tenon_func_call(&boxed.raw(), &arg, 1, &result, 1)) die("a call failed");
         }));
    const auto call_host = need(instance.get<int32_t(int32_t)>("call_host"));
    const auto count = need(instance.get<int32_t(int32_t)>("count"));
    const double with = best(20'000, [&](uint32_t n) { static_cast<void>(*call_host(static_cast<int>(n))); });
    const double without = best(20'000, [&](uint32_t n) { static_cast<void>(*count(static_cast<int>(n))); });
    show("Wasm to a lambda of the host and back", with - without);
  }

  void standard() {
    wasm_config_t* config = wasm_config_new();
    tenon_config_set_tier(tenon_wasm_config(config), jit_ ? TENON_TIER_JIT : TENON_TIER_INTERP);
    wasm_engine_t* engine = wasm_engine_new_with_config(config);
    wasm_store_t* store = wasm_store_new(engine);
    // (module (func (export "f") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1))))
    const char bytes[] =
        "\0asm\1\0\0\0\1\6\1\x60\1\x7f\1\x7f\3\2\1\0\7\5\1\1"
        "f\0\0\x0a\x09\1\7\0\x20\0\x41\1\x6a\x0b";
    wasm_byte_vec_t binary;
    wasm_byte_vec_new(&binary, sizeof bytes - 1, bytes);
    wasm_module_t* module = wasm_module_new(store, &binary);
    wasm_byte_vec_delete(&binary);
    if (!module) die("no module");
    const wasm_extern_vec_t none = WASM_EMPTY_VEC;
    wasm_instance_t* instance = wasm_instance_new(store, module, &none, nullptr);
    wasm_extern_vec_t exports;
    wasm_instance_exports(instance, &exports);
    const wasm_func_t* f = wasm_extern_as_func(exports.data[0]);
    wasm_val_t arg[] = {WASM_I32_VAL(1)}, result[] = {WASM_INIT_VAL};
    const wasm_val_vec_t args = WASM_ARRAY_VEC(arg);
    wasm_val_vec_t results = WASM_ARRAY_VEC(result);
    show("host to Wasm and back, wasm_func_call", best(20'000, [&](uint32_t n) {
           for (uint32_t i = 0; i < n; ++i)
             if (wasm_func_call(f, &args, &results)) die("a call failed");
         }));
    wasm_extern_vec_delete(&exports);
    wasm_instance_delete(instance);
    wasm_module_delete(module);
    wasm_store_delete(store);
    wasm_engine_delete(engine);
  }

  void instances() {
    const tenon::Engine engine(config_);
    const auto module = need(tenon::Module::from_file(engine, file_));
    const auto work = [&](uint32_t n) {
      tenon::Linker linker(engine);
      link(linker);
      for (uint32_t i = 0; i < n; ++i) {
        auto store = need(tenon::Store::make(engine));
        static_cast<void>(need(linker.instantiate(store, module)));
      }
    };
    constexpr uint32_t kInstances = 2'000;
    const double one = best(kInstances, work);
    show("an instance in a store of its own", one);
    const double two = on_two_threads(kInstances, work);
    show("the same on two threads, each", two);
    // What two threads of this machine are worth at the moment, without the engine.
    const auto arithmetic = [](uint32_t n) {
      uint32_t x = n;
      for (uint32_t i = 0; i < 1'000 * n; ++i) x = x * 1664525 + i;
      if (x == 1) die("");
    };
    const double plain_one = best(kInstances, arithmetic), plain_two = on_two_threads(kInstances, arithmetic);
    if (!json_)
      std::printf("two threads give %.2f x the throughput of one, arithmetic %.2f x\n", one / two,
                  plain_one / plain_two);
  }
  template <class F>
  static double on_two_threads(uint32_t calls, F f) {
    return best(2 * calls, [&](uint32_t n) {
      std::thread other([&] { f(n / 2); });
      f(n / 2);
      other.join();
    });
  }

  bool json_, jit_;
  double plain_ = 1;
  std::string file_;
  tenon::Config config_;
};

}  // namespace

int main(int argc, char** argv) {
  bool json = false, jit = true;
  for (int i = 1; i < argc; ++i) {
    json |= std::strcmp(argv[i], "--json") == 0;
    if (std::strcmp(argv[i], "interp") == 0) jit = false;
  }
  Bench(json, jit).run();
}
