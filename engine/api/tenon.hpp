// Tenon's C++ API: C++20, header-only, over tenon.h. Owners are move-only; what can fail gives a Result;
// nothing throws but what the caller's own code throws, and Result::value() of an error ends the program.
// Rules of ownership and threads are those of tenon.h.
#pragma once
#include <array>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "tenon.h"

namespace tenon {
inline namespace api {  // keeps these names apart from the library's own

inline std::string_view view(tenon_name_t name) { return {name.data, name.size}; }

// An error, see tenon_error_t.
class Error {
 public:
  explicit Error(tenon_error_t* error) : error_(error) {}
  // The error of a host function: the guest traps with this message.
  explicit Error(std::string_view message) : error_(tenon_error_new(message.data(), message.size())) {}
  static Error exit(int status) { return Error(tenon_error_new_exit(status)); }

  tenon_error_kind_t kind() const { return tenon_error_kind(error_.get()); }
  std::string_view message() const { return tenon_error_message(error_.get()); }
  std::optional<uint64_t> offset() const {
    uint64_t at = 0;
    return tenon_error_offset(error_.get(), &at) ? std::optional(at) : std::nullopt;
  }
  int trap_code() const { return tenon_error_trap_code(error_.get()); }
  int exit_status() const { return tenon_error_exit_status(error_.get()); }
  // Innermost first; names live as long as this error.
  std::vector<tenon_frame_t> backtrace() const {
    std::vector<tenon_frame_t> frames(tenon_error_frame_count(error_.get()));
    for (size_t i = 0; i < frames.size(); ++i) tenon_error_frame(error_.get(), i, &frames[i]);
    return frames;
  }
  // Of the frame at this index, where the guest has debug information; the name lives as long as this error.
  struct Source {
    std::string_view file;
    uint32_t line;
  };
  std::optional<Source> source(size_t frame) const {
    tenon_name_t file{};
    uint32_t line = 0;
    if (!tenon_error_frame_source(error_.get(), frame, &file, &line)) return std::nullopt;
    return Source{view(file), line};
  }
  tenon_error_t* release() { return error_.release(); }

 private:
  struct Delete {
    void operator()(tenon_error_t* e) const { tenon_error_delete(e); }
  };
  std::unique_ptr<tenon_error_t, Delete> error_;
};

// A value or an Error.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}
  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }
  // Ends the program with the message when there is no value.
  T& value() {
    if (!has_value()) {
      std::fprintf(stderr, "tenon: %s\n", std::string(error().message()).c_str());
      std::abort();
    }
    return *std::get_if<0>(&state_);
  }
  T& operator*() { return *std::get_if<0>(&state_); }
  T* operator->() { return std::get_if<0>(&state_); }
  Error& error() { return *std::get_if<1>(&state_); }

 private:
  std::variant<T, Error> state_;
};
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}
  explicit Result(tenon_error_t* error) {
    if (error) error_.emplace(error);
  }
  bool has_value() const { return !error_; }
  explicit operator bool() const { return has_value(); }
  Error& error() { return *error_; }

 private:
  std::optional<Error> error_;
};

namespace detail {

template <class T, void (*Delete)(T*)>
struct Deleter {
  void operator()(T* p) const { Delete(p); }
};
template <class T, void (*Delete)(T*)>
using Handle = std::unique_ptr<T, Deleter<T, Delete>>;

template <class T>
concept Number = std::is_same_v<T, int32_t> || std::is_same_v<T, uint32_t> || std::is_same_v<T, int64_t> ||
                 std::is_same_v<T, uint64_t> || std::is_same_v<T, float> || std::is_same_v<T, double>;

template <Number T>
constexpr uint8_t kind_of() {
  if constexpr (std::is_same_v<T, float>)
    return TENON_F32;
  else if constexpr (std::is_same_v<T, double>)
    return TENON_F64;
  else
    return sizeof(T) == 4 ? TENON_I32 : TENON_I64;
}
// A slot of tenon_func_call_slots.
template <Number T>
uint64_t to_slot(T value) {
  uint64_t slot = 0;
  __builtin_memcpy(&slot, &value, sizeof value);
  return slot;
}
template <Number T>
T from_slot(const uint64_t& slot) {
  T value;
  __builtin_memcpy(&value, &slot, sizeof value);
  return value;
}

}  // namespace detail

class Config {
 public:
  Config() : config_(tenon_config_new()) {}
  Config& tier(tenon_tier_t tier) { return tenon_config_set_tier(get(), tier), *this; }
  Config& fuel(bool on = true) { return tenon_config_set_fuel(get(), on), *this; }
  Config& deterministic_nans(bool on = true) { return tenon_config_set_deterministic_nans(get(), on), *this; }
  Config& deterministic_relaxed_simd(bool on = true) {
    return tenon_config_set_deterministic_relaxed_simd(get(), on), *this;
  }
  Config& interruptible(bool on = true) { return tenon_config_set_interruptible(get(), on), *this; }
  Config& opt_level(int level) { return tenon_config_set_opt_level(get(), level), *this; }
  Result<void> cpu(const std::string& name) {
    return Result<void>(tenon_config_set_cpu(get(), name.c_str()));
  }
  Config& cache(bool on = true) { return tenon_config_set_cache(get(), on), *this; }
  Config& cancellable(bool on = true) { return tenon_config_set_cancellable(get(), on), *this; }
  Config& epochs(bool on = true) { return tenon_config_set_epochs(get(), on), *this; }
  Config& max_memory(uint64_t bytes) { return tenon_config_set_max_memory(get(), bytes), *this; }
  Config& max_gc_heap(uint64_t bytes) { return tenon_config_set_max_gc_heap(get(), bytes), *this; }
  Config& max_stack(uint64_t bytes) { return tenon_config_set_max_stack(get(), bytes), *this; }
  Config& max_table_elements(uint64_t n) { return tenon_config_set_max_table_elements(get(), n), *this; }
  Config& pooled_memories(uint32_t n) { return tenon_config_set_pooled_memories(get(), n), *this; }
  Config& max_instances(uint32_t n) { return tenon_config_set_max_instances(get(), n), *this; }
  Result<void> profile(tenon_profile_t p) { return Result<void>(tenon_config_set_profile(get(), p)); }
  Result<void> feature(const std::string& name, bool on) {
    return Result<void>(tenon_config_set_feature(get(), name.c_str(), on));
  }
  tenon_config_t* get() const { return config_.get(); }

 private:
  detail::Handle<tenon_config_t, tenon_config_delete> config_;
};

class Engine {
 public:
  Engine() : engine_(tenon_engine_new(nullptr)) {}
  explicit Engine(const Config& config) : engine_(tenon_engine_new(config.get())) {}
  tenon_engine_t* get() const { return engine_.get(); }
  void increment_epoch() { tenon_engine_increment_epoch(get()); }  // any thread, signal handlers

 private:
  detail::Handle<tenon_engine_t, tenon_engine_delete> engine_;
};

// A list that is asked for item by item.
template <class Item, size_t (*Count)(const tenon_module_t*),
          bool (*Get)(const tenon_module_t*, size_t, Item*)>
std::vector<Item> list_of(const tenon_module_t* module) {
  std::vector<Item> items(Count(module));
  for (size_t i = 0; i < items.size(); ++i) Get(module, i, &items[i]);
  return items;
}

// What the lists hold lives as long as the module.
class Module {
 public:
  static Result<Module> from_bytes(const Engine& engine, std::span<const uint8_t> bytes) {
    tenon_module_t* m = nullptr;
    if (tenon_error_t* e = tenon_module_new(engine.get(), bytes.data(), bytes.size(), &m)) return Error(e);
    return Module(m);
  }
  static Result<Module> from_file(const Engine& engine, const std::string& path) {
    tenon_module_t* m = nullptr;
    if (tenon_error_t* e = tenon_module_new_from_file(engine.get(), path.c_str(), &m)) return Error(e);
    return Module(m);
  }
  // Artefacts are native code: load only what you trust (tenon_module_load).
  static Result<Module> load(const Engine& engine, std::string_view artefact) {
    tenon_module_t* m = nullptr;
    if (tenon_error_t* e = tenon_module_load(engine.get(), artefact.data(), artefact.size(), &m))
      return Error(e);
    return Module(m);
  }
  static Result<Module> load_file(const Engine& engine, const std::string& path) {
    tenon_module_t* m = nullptr;
    if (tenon_error_t* e = tenon_module_load_file(engine.get(), path.c_str(), &m)) return Error(e);
    return Module(m);
  }
  // Compiles the whole module to an artefact (tenon_module_compile).
  // Without a target for the processor that the engine's configuration names.
  Result<std::string> compile(const Engine& engine, const std::string& target = "",
                              uint32_t threads = 0) const {
    tenon_string_t s{};
    if (tenon_error_t* e =
            tenon_module_compile(engine.get(), get(), target.empty() ? nullptr : target.c_str(), threads, &s))
      return Error(e);
    std::string bytes(s.data, s.size);
    tenon_string_delete(&s);
    return bytes;
  }
  std::vector<tenon_item_t> imports() const {
    return list_of<tenon_item_t, tenon_module_import_count, tenon_module_import>(get());
  }
  std::vector<tenon_item_t> exports() const {
    return list_of<tenon_item_t, tenon_module_export_count, tenon_module_export>(get());
  }
  std::vector<tenon_section_t> sections() const {
    return list_of<tenon_section_t, tenon_module_section_count, tenon_module_section>(get());
  }
  std::vector<tenon_name_t> features() const {
    return list_of<tenon_name_t, tenon_module_feature_count, tenon_module_feature>(get());
  }
  std::vector<tenon_name_t> types() const {
    return list_of<tenon_name_t, tenon_module_type_count, tenon_module_type>(get());
  }
  uint64_t size() const { return tenon_module_size(get()); }
  bool wants_threads() const { return tenon_module_wants_threads(get()); }
  tenon_module_t* get() const { return module_.get(); }

 private:
  explicit Module(tenon_module_t* m) : module_(m) {}
  detail::Handle<tenon_module_t, tenon_module_delete> module_;
};

class Store {
 public:
  static Result<Store> make(const Engine& engine) {
    tenon_store_t* s = nullptr;
    if (tenon_error_t* e = tenon_store_new(engine.get(), &s)) return Error(e);
    return Store(s);
  }
  void set_fuel(uint64_t fuel) { tenon_store_set_fuel(get(), fuel); }
  uint64_t fuel() const { return tenon_store_fuel(get()); }
  void interrupt() { tenon_store_interrupt(get()); }  // any thread, signal handlers
  void clear_interrupt() { tenon_store_clear_interrupt(get()); }
  void set_epoch_deadline(uint64_t ticks) { tenon_store_set_epoch_deadline(get(), ticks); }
  void collect() { tenon_store_collect(get()); }
  Result<void> profile_start(uint32_t hz) { return Result<void>(tenon_store_profile_start(get(), hz)); }
  std::string profile_stop() {
    tenon_string_t s = tenon_store_profile_stop(get());
    std::string text(s.data, s.size);
    tenon_string_delete(&s);
    return text;
  }
  tenon_store_t* get() const { return store_.get(); }

 private:
  explicit Store(tenon_store_t* s) : store_(s) {}
  detail::Handle<tenon_store_t, tenon_store_delete> store_;
};

template <class Signature>
class TypedFunc;

// Lives as long as its store.
class Func {
 public:
  explicit Func(tenon_extern_t e) : extern_(e) {}
  tenon_functype_t type() const {
    tenon_functype_t t{};
    tenon_func_type(&extern_, &t);
    return t;
  }
  Result<std::vector<tenon_val_t>> call(std::span<const tenon_val_t> args = {}) const {
    std::vector<tenon_val_t> results(type().result_count);
    if (tenon_error_t* e =
            tenon_func_call(&extern_, args.data(), args.size(), results.data(), results.size()))
      return Error(e);
    return results;
  }
  const tenon_extern_t& raw() const { return extern_; }

 private:
  tenon_extern_t extern_;
};

// A function whose type was checked once: `Result<R> operator()(args…)`. R is a number, a std::tuple of them,
// or void.
template <class R, class... A>
class TypedFunc<R(A...)> {
 public:
  static bool matches(const Func& f) {
    const tenon_functype_t t = f.type();
    const std::array<uint8_t, sizeof...(A) + 1> params{detail::kind_of<A>()..., 0};
    if (t.param_count != sizeof...(A) || sizeof...(A) > std::size(t.params)) return false;
    for (size_t i = 0; i < sizeof...(A); ++i)
      if (t.params[i] != params[i]) return false;
    return results_match(t, static_cast<R*>(nullptr));
  }
  explicit TypedFunc(Func f) : func_(f.raw()) {}
  Result<R> operator()(A... args) const {
    std::array<uint64_t, std::max<size_t>({sizeof...(A), result_count(), 1})> slots{detail::to_slot(args)...};
    if (tenon_error_t* e = tenon_func_call_slots(&func_, slots.data())) return Error(e);
    if constexpr (std::is_void_v<R>)
      return {};
    else
      return read(slots.data(), static_cast<R*>(nullptr));
  }

 private:
  template <class T>
  static bool results_match(const tenon_functype_t& t, T*) {
    if constexpr (std::is_void_v<T>)
      return t.result_count == 0;
    else
      return t.result_count == 1 && t.results[0] == detail::kind_of<T>();
  }
  template <class... T>
  static bool results_match(const tenon_functype_t& t, std::tuple<T...>*) {
    const std::array<uint8_t, sizeof...(T) + 1> kinds{detail::kind_of<T>()..., 0};
    if (t.result_count != sizeof...(T) || sizeof...(T) > std::size(t.results)) return false;
    for (size_t i = 0; i < sizeof...(T); ++i)
      if (t.results[i] != kinds[i]) return false;
    return true;
  }
  template <class T>
  static constexpr size_t count_of(T*) {
    return std::is_void_v<T> ? 0 : 1;
  }
  template <class... T>
  static constexpr size_t count_of(std::tuple<T...>*) {
    return sizeof...(T);
  }
  static constexpr size_t result_count() { return count_of(static_cast<R*>(nullptr)); }
  template <class T>
  static T read(const uint64_t* slots, T*) {
    return detail::from_slot<T>(*slots);
  }
  template <class... T>
  static std::tuple<T...> read(const uint64_t* slots, std::tuple<T...>*) {
    return [&]<size_t... I>(std::index_sequence<I...>) {
      return std::tuple<T...>{detail::from_slot<T>(slots[I])...};
    }(std::index_sequence_for<T...>{});
  }

  tenon_extern_t func_;
};

// Lives as long as its store.
class Memory {
 public:
  explicit Memory(tenon_extern_t e) : extern_(e) {}
  // Valid until the memory grows.
  std::span<uint8_t> bytes() const {
    return {tenon_memory_data(&extern_), size_t(tenon_memory_size(&extern_))};
  }
  std::optional<uint64_t> grow(uint64_t pages) const {
    const uint64_t old = tenon_memory_grow(&extern_, pages);
    return old == UINT64_MAX ? std::nullopt : std::optional(old);
  }
  Result<void> read(uint64_t address, std::span<uint8_t> to) const {
    return Result<void>(tenon_memory_read(&extern_, address, to.data(), to.size()));
  }
  Result<void> write(uint64_t address, std::span<const uint8_t> from) const {
    return Result<void>(tenon_memory_write(&extern_, address, from.data(), from.size()));
  }
  const tenon_extern_t& raw() const { return extern_; }

 private:
  tenon_extern_t extern_;
};

class Global {
 public:
  explicit Global(tenon_extern_t e) : extern_(e) {}
  tenon_val_t get() const {
    tenon_val_t v{};
    tenon_global_get(&extern_, &v);
    return v;
  }
  Result<void> set(const tenon_val_t& v) const { return Result<void>(tenon_global_set(&extern_, &v)); }
  const tenon_extern_t& raw() const { return extern_; }

 private:
  tenon_extern_t extern_;
};

struct Export {
  std::string_view name;
  tenon_extern_t value;
};

// Borrowed from its store.
class Instance {
 public:
  explicit Instance(tenon_instance_t* i) : instance_(i) {}
  std::optional<tenon_extern_t> find(std::string_view name) const {
    tenon_extern_t e{};
    return tenon_instance_get(instance_, name.data(), name.size(), &e) ? std::optional(e) : std::nullopt;
  }
  std::optional<Func> func(std::string_view name) const { return find_as<Func>(name, TENON_EXTERN_FUNC); }
  std::optional<Memory> memory(std::string_view name) const {
    return find_as<Memory>(name, TENON_EXTERN_MEMORY);
  }
  std::optional<Global> global(std::string_view name) const {
    return find_as<Global>(name, TENON_EXTERN_GLOBAL);
  }
  // A function of this signature, e.g. get<int32_t(int32_t, int32_t)>("add").
  template <class Signature>
  Result<TypedFunc<Signature>> get(std::string_view name) const {
    const auto f = func(name);
    if (!f) return Error("no exported function is called \"" + std::string(name) + "\"");
    if (!TypedFunc<Signature>::matches(*f)) return Error("\"" + std::string(name) + "\" has another type");
    return TypedFunc<Signature>(*f);
  }
  std::vector<Export> exports() const {
    std::vector<Export> list(tenon_instance_export_count(instance_));
    for (size_t i = 0; i < list.size(); ++i) {
      tenon_name_t name{};
      tenon_instance_export(instance_, i, &name, &list[i].value);
      list[i].name = view(name);
    }
    return list;
  }
  tenon_instance_t* raw() const { return instance_; }

 private:
  template <class T>
  std::optional<T> find_as(std::string_view name, tenon_extern_kind_t kind) const {
    const auto e = find(name);
    return e && e->kind == kind ? std::optional<T>(T(*e)) : std::nullopt;
  }
  tenon_instance_t* instance_;
};

// What a host function may ask about its caller; take it as the first parameter. Valid during the call.
class Caller {
 public:
  explicit Caller(tenon_caller_t* c) : caller_(c) {}
  // The guest's bytes, or nothing when they don't lie inside its memory.
  std::optional<std::span<uint8_t>> memory(uint64_t address, uint64_t size) const {
    uint8_t* p = tenon_caller_memory(caller_, address, size);
    return p ? std::optional(std::span(p, size_t(size))) : std::nullopt;
  }

 private:
  tenon_caller_t* caller_;
};

class Wasi {
 public:
  Wasi() : wasi_(tenon_wasi_new()) {}
  Wasi& arg(const std::string& a) { return tenon_wasi_add_arg(get(), a.c_str()), *this; }
  Wasi& env(const std::string& k, const std::string& v) {
    return tenon_wasi_add_env(get(), k.c_str(), v.c_str()), *this;
  }
  Wasi& dir(const std::string& host, const std::string& guest, bool read_only = false) {
    return tenon_wasi_add_dir(get(), host.c_str(), guest.c_str(), read_only), *this;
  }
  Wasi& stdin_bytes(std::string_view s) { return tenon_wasi_set_stdin(get(), s.data(), s.size()), *this; }
  Wasi& input(tenon_read_t read, void* env) { return tenon_wasi_set_input(get(), read, env), *this; }
  // `env` outlives the guest, here and above.
  Wasi& output(tenon_write_t write, void* env) { return tenon_wasi_set_output(get(), write, env), *this; }
  // From any thread: ends the run of threads that this was given to.
  void interrupt_threads() const { tenon_threads_interrupt(get()); }
  tenon_wasi_t* get() const { return wasi_.get(); }

 private:
  detail::Handle<tenon_wasi_t, tenon_wasi_delete> wasi_;
};

class Nn {
 public:
  static Result<Nn> make(uint32_t threads = 0) {
    tenon_nn_t* nn = nullptr;
    if (tenon_error_t* e = tenon_nn_new(threads, &nn)) return Error(e);
    return Nn(nn);
  }
  Result<void> add_graph(const std::string& spec) {
    return Result<void>(tenon_nn_add_graph(get(), spec.c_str()));
  }
  // `bytes` stay unchanged until `release`(`env`) is called.
  Result<void> add_graph_bytes(const std::string& name, std::string_view bytes,
                               void (*release)(void*) = nullptr, void* env = nullptr) {
    return Result<void>(
        tenon_nn_add_graph_bytes(get(), name.c_str(), bytes.data(), bytes.size(), release, env));
  }
  // `env` outlives the guests.
  void finder(tenon_nn_find_t find, void* env) { tenon_nn_set_finder(get(), find, env); }
  void set(tenon_nn_setting_t setting, uint64_t value) { tenon_nn_set(get(), setting, value); }
  Result<void> abi(const std::string& name) { return Result<void>(tenon_nn_set_abi(get(), name.c_str())); }
  // The user's own cache folder unless one is named.
  void cache(const std::string& folder = {}) {
    tenon_nn_set_cache(get(), folder.empty() ? nullptr : folder.c_str());
  }
  // Models below this folder of the host are read, not mapped: guests can write there.
  void add_guest_folder(const std::string& path) { tenon_nn_add_guest_folder(get(), path.c_str()); }
  std::string statistics() const {
    tenon_string_t s = tenon_nn_statistics(get());
    std::string text(s.data, s.size);
    tenon_string_delete(&s);
    return text;
  }
  tenon_nn_t* get() const { return nn_.get(); }

 private:
  explicit Nn(tenon_nn_t* nn) : nn_(nn) {}
  detail::Handle<tenon_nn_t, tenon_nn_delete> nn_;
};

// For modules that want threads: runs _start to the end of all, gives the exit status. Without `nn` they have no wasi-nn.
inline Result<int> run_threads(const Engine& engine, const Module& module, const Wasi& wasi,
                               const Nn* nn = nullptr) {
  int status = 0;
  if (tenon_error_t* e =
          tenon_threads_run(engine.get(), module.get(), wasi.get(), nn ? nn->get() : nullptr, &status))
    return Error(e);
  return status;
}

namespace detail {

// The tensor type of an element's C++ type.
template <class T>
constexpr tenon_nn_type_t nn_type_of() {
  if constexpr (std::is_same_v<T, float>)
    return TENON_NN_F32;
  else if constexpr (std::is_same_v<T, double>)
    return TENON_NN_F64;
  else if constexpr (std::is_same_v<T, bool>)
    return TENON_NN_BOOL;
  else {
    static_assert(std::is_integral_v<T>, "give other element types by tenon_nn_tensor_t");
    constexpr tenon_nn_type_t kSigned[] = {TENON_NN_I8, TENON_NN_I16, TENON_NN_I32, TENON_NN_I64};
    constexpr tenon_nn_type_t kUnsigned[] = {TENON_NN_U8, TENON_NN_U16, TENON_NN_U32, TENON_NN_U64};
    constexpr size_t kAt = sizeof(T) == 1 ? 0 : sizeof(T) == 2 ? 1 : sizeof(T) == 4 ? 2 : 3;
    return std::is_signed_v<T> ? kSigned[kAt] : kUnsigned[kAt];
  }
}

}  // namespace detail

// The caller's elements as input `index`; without `dims` these follow from the number of elements, when at most one of the
// input's is open. Both stay the caller's.
template <class T>
tenon_nn_tensor_t nn_input(uint32_t index, std::span<const T> data, std::span<const int64_t> dims) {
  return {index,       detail::nn_type_of<T>(), static_cast<int32_t>(dims.size()), dims.data(),
          data.data(), data.size_bytes()};
}
template <class T>
tenon_nn_tensor_t nn_input(uint32_t index, std::span<const T> data) {
  return {index, detail::nn_type_of<T>(), -1, nullptr, data.data(), data.size_bytes()};
}
// The caller's room for output `index`.
template <class T>
tenon_nn_output_t nn_output(uint32_t index, std::span<T> room) {
  return {index, room.data(), room.size_bytes(), 0};
}

// One inference: its inputs, activations and outputs. One thread at a time.
class NnContext {
 public:
  // Without `dims` they follow from the number of elements.
  template <class T>
  Result<void> set_input(uint32_t index, std::span<const T> data, std::span<const int64_t> dims) {
    return set_input(nn_input(index, data, dims));
  }
  template <class T>
  Result<void> set_input(uint32_t index, std::span<const T> data) {
    return set_input(nn_input(index, data));
  }
  Result<void> set_input(const tenon_nn_tensor_t& input) {
    return Result<void>(tenon_nn_context_set_input(get(), &input));
  }
  Result<void> compute() { return Result<void>(tenon_nn_context_compute(get())); }
  // What is known of an output by now: after a compute its dimensions and size.
  Result<tenon_nn_edge_t> output(size_t index) const {
    tenon_nn_edge_t edge{};
    if (tenon_error_t* e = tenon_nn_context_output(get(), index, &edge)) return Error(e);
    return edge;
  }
  // The output as elements of T. Error usage when its type is another.
  template <class T>
  Result<std::vector<T>> get_output(size_t index) {
    static_assert(!std::is_same_v<T, bool>, "a vector of bool has no bytes: get uint8_t");
    auto edge = output(index);
    if (!edge) return std::move(edge.error());
    if (edge->type != detail::nn_type_of<T>() && !(edge->type == TENON_NN_BOOL && std::is_same_v<T, uint8_t>))
      return Error("output " + std::to_string(index) + " has another element type");
    std::vector<T> data(edge->size / sizeof(T));
    if (tenon_error_t* e =
            tenon_nn_context_get_output(get(), index, data.data(), data.size() * sizeof(T), nullptr))
      return Error(e);
    return data;
  }
  // An inference in one call on the caller's buffers, in place where the model allows it (tenon_nn_context_run):
  //   auto in = nn_input<float>(0, image);
  //   auto out = nn_output<float>(0, scores);
  //   context.run({&in, 1}, {&out, 1});
  Result<void> run(std::span<const tenon_nn_tensor_t> inputs, std::span<tenon_nn_output_t> outputs) {
    return Result<void>(
        tenon_nn_context_run(get(), inputs.data(), inputs.size(), outputs.data(), outputs.size()));
  }
  void interrupt(bool on = true) { tenon_nn_context_interrupt(get(), on); }  // any thread, signal handlers
  tenon_nn_context_t* get() const { return context_.get(); }

 private:
  friend class NnGraph;
  explicit NnContext(tenon_nn_context_t* context) : context_(context) {}
  detail::Handle<tenon_nn_context_t, tenon_nn_context_delete> context_;
};

// A model on the host's own tensors, for any number of threads.
class NnGraph {
 public:
  static Result<NnGraph> named(const Nn& nn, const std::string& name) {
    tenon_nn_graph_t* g = nullptr;
    if (tenon_error_t* e = tenon_nn_graph_new_named(nn.get(), name.c_str(), &g)) return Error(e);
    return NnGraph(g);
  }
  static Result<NnGraph> from_file(const Nn& nn, const std::string& path) {
    tenon_nn_graph_t* g = nullptr;
    if (tenon_error_t* e = tenon_nn_graph_new_from_file(nn.get(), path.c_str(), &g)) return Error(e);
    return NnGraph(g);
  }
  // `bytes` stay unchanged until `release`(`env`) is called, also when this fails.
  static Result<NnGraph> from_bytes(const Nn& nn, std::string_view bytes, void (*release)(void*) = nullptr,
                                    void* env = nullptr) {
    tenon_nn_graph_t* g = nullptr;
    if (tenon_error_t* e = tenon_nn_graph_new(nn.get(), bytes.data(), bytes.size(), release, env, &g))
      return Error(e);
    return NnGraph(g);
  }
  std::vector<tenon_nn_edge_t> inputs() const {
    return edges(tenon_nn_graph_input_count(get()), tenon_nn_graph_input);
  }
  std::vector<tenon_nn_edge_t> outputs() const {
    return edges(tenon_nn_graph_output_count(get()), tenon_nn_graph_output);
  }
  Result<NnContext> context() const {
    tenon_nn_context_t* c = nullptr;
    if (tenon_error_t* e = tenon_nn_context_new(get(), &c)) return Error(e);
    return NnContext(c);
  }
  tenon_nn_graph_t* get() const { return graph_.get(); }

 private:
  explicit NnGraph(tenon_nn_graph_t* graph) : graph_(graph) {}
  std::vector<tenon_nn_edge_t> edges(size_t count,
                                     bool (*edge)(const tenon_nn_graph_t*, size_t, tenon_nn_edge_t*)) const {
    std::vector<tenon_nn_edge_t> list(count);
    for (size_t i = 0; i < count; ++i) edge(get(), i, &list[i]);
    return list;
  }
  detail::Handle<tenon_nn_graph_t, tenon_nn_graph_delete> graph_;
};

namespace detail {

// A callable's parameters and result as a host function: R f([Caller,] numbers…), R a number, void, or Result
// of these.
template <class Function>
struct FunctionSignature;
template <class Method>
struct MethodSignature;
template <class F, class R, class... A>
struct MethodSignature<R (F::*)(A...) const> : FunctionSignature<R(A...)> {};
template <class F, class R, class... A>
struct MethodSignature<R (F::*)(A...)> : FunctionSignature<R(A...)> {};
template <class F>
struct HostSignature : MethodSignature<decltype(&F::operator())> {};
template <class R, class... A>
struct HostSignature<R (*)(A...)> : FunctionSignature<R(A...)> {};

template <class T>
struct Unwrap {
  using type = T;
};
template <class T>
struct Unwrap<Result<T>> {
  using type = T;
};

template <class R, bool WithCaller, class... A>
struct HostCall {
  using Value = typename Unwrap<R>::type;
  static constexpr std::array<uint8_t, sizeof...(A)> kParams{kind_of<A>()...};
  static constexpr std::array<uint8_t, std::is_void_v<Value> ? 0 : 1> results() {
    if constexpr (std::is_void_v<Value>)
      return {};
    else
      return {kind_of<Value>()};
  }
  template <class F>
  static tenon_error_t* call(void* env, tenon_caller_t* caller, uint64_t* slots) {
#if defined(__cpp_exceptions)
    try {
      return invoke(*static_cast<F*>(env), caller, slots, std::index_sequence_for<A...>{});
    } catch (const std::exception& e) {  // the guest's frames could not be unwound
      return Error(std::string_view(e.what())).release();
    } catch (...) {
      return Error("a host function threw what is no std::exception").release();
    }
#else
    return invoke(*static_cast<F*>(env), caller, slots, std::index_sequence_for<A...>{});
#endif
  }
  template <class F, size_t... I>
  static tenon_error_t* invoke(F& f, tenon_caller_t* caller, uint64_t* slots, std::index_sequence<I...>) {
    (void)slots, (void)caller;
    auto run = [&]() -> R {
      if constexpr (WithCaller)
        return f(Caller(caller), from_slot<A>(slots[I])...);
      else
        return f(from_slot<A>(slots[I])...);
    };
    if constexpr (std::is_void_v<R>) {
      run();
    } else if constexpr (std::is_same_v<R, Value>) {
      slots[0] = to_slot<Value>(run());
    } else {
      R result = run();
      if (!result) return result.error().release();
      if constexpr (!std::is_void_v<Value>) slots[0] = to_slot<Value>(*result);
    }
    return nullptr;
  }
};
template <class R, class... A>
struct FunctionSignature<R(A...)> : HostCall<R, false, A...> {};
template <class R, class... A>
struct FunctionSignature<R(Caller, A...)> : HostCall<R, true, A...> {};

}  // namespace detail

class Linker {
 public:
  explicit Linker(const Engine& engine) : linker_(tenon_linker_new(engine.get())) {}
  // A host function with the signature of the callable, which is kept as long as anything can call it:
  //   linker.func("env", "add", [](int32_t a, int32_t b) { return a + b; });
  //   linker.func("env", "log", [](Caller c, uint32_t p, uint32_t n) -> Result<void> { … });
  // What it throws is a trap of the guest's, with the exception's text.
  template <class F>
  Result<void> func(const std::string& module, const std::string& name, F f) {
    using Callable = std::decay_t<F>;
    using S = detail::HostSignature<Callable>;
    auto owned = std::make_unique<Callable>(std::move(f));
    static constexpr auto kResults = S::results();
    tenon_error_t* e = tenon_linker_define_func_slots(get(), module.c_str(), name.c_str(), S::kParams.data(),
                                                      S::kParams.size(), kResults.data(), kResults.size(),
                                                      &S::template call<Callable>, owned.get(),
                                                      [](void* p) { delete static_cast<Callable*>(p); });
    if (!e) owned.release();
    return Result<void>(e);
  }
  Result<void> define(const std::string& module, const std::string& name, const tenon_extern_t& value) {
    return Result<void>(tenon_linker_define(get(), module.c_str(), name.c_str(), &value));
  }
  Result<void> alias(const std::string& from_module, const std::string& from_name, const std::string& module,
                     const std::string& name) {
    return Result<void>(
        tenon_linker_alias(get(), from_module.c_str(), from_name.c_str(), module.c_str(), name.c_str()));
  }
  Result<void> instance(const std::string& module, const Instance& instance) {
    return Result<void>(tenon_linker_define_instance(get(), module.c_str(), instance.raw()));
  }
  Result<void> wasi(const Wasi& wasi) { return Result<void>(tenon_linker_define_wasi(get(), wasi.get())); }
  Result<void> nn(const Nn& nn) { return Result<void>(tenon_linker_define_nn(get(), nn.get())); }
  Result<Instance> instantiate(const Store& store, const Module& module) {
    tenon_instance_t* i = nullptr;
    if (tenon_error_t* e = tenon_linker_instantiate(get(), store.get(), module.get(), &i)) return Error(e);
    return Instance(i);
  }
  tenon_linker_t* get() const { return linker_.get(); }

 private:
  detail::Handle<tenon_linker_t, tenon_linker_delete> linker_;
};

}  // namespace api
}  // namespace tenon
