// See runner.h. Each thread of a script has a store of its own; only shared memories cross.
#include "spec-tests/runner.h"

#include <fmt/format.h>

#include <map>
#include <thread>
#include <utility>

#include "engine/text/wast.h"
#include "spec-tests/values.h"

namespace tenon::spec {
namespace {

using text::WastAction;
using text::WastCommand;
using text::WastModule;
namespace wast = text::wast;

// What a module name stands for: its exports by name. Instances of other threads lend only shared memories.
using Exports = std::map<std::string, Extern, std::less<>>;

Exports exports_of(Instance& instance) {
  Exports out;
  for (const Export& e : instance.module().exports)
    out.emplace(std::string(e.name), instance.export_at(e.kind, e.index));
  return out;
}

// The host module that every script may import (interpreter/script/spectest of the spec's repository).
Exports spectest(Store& store) {
  Exports out;
  auto print = [&](std::string_view name, std::vector<ValType> params) {
    const TypeId type = store.types().add_func_type(std::move(params), {});
    out[std::string(name)] = store.new_host_func(type, [](Store&, std::span<Slot>) { return Status::ok; });
  };
  print("print", {});
  print("print_i32", {kI32});
  print("print_i64", {kI64});
  print("print_f32", {kF32});
  print("print_f64", {kF64});
  print("print_i32_f32", {kI32, kF32});
  print("print_f64_f64", {kF64, kF64});
  auto global = [&](std::string_view name, ValType type, Slot value) {
    if (auto g = store.new_global({type, false}, {value, {}})) out[std::string(name)] = *g;
  };
  global("global_i32", kI32, {.u64_ = 666});
  global("global_i64", kI64, {.u64_ = 666});
  global("global_f32", kF32, {.f32_ = 666.6f});
  global("global_f64", kF64, {.f64_ = 666.6});
  if (auto t = store.new_table({kFuncRef, {10, 20}, false}, kNullRef)) out["table"] = *t;
  if (auto t = store.new_table({kFuncRef, {10, 20}, true}, kNullRef)) out["table64"] = *t;
  if (auto m = store.new_memory({.limits = {1, 2}})) out["memory"] = *m;
  if (auto m = store.new_memory({.limits = {1, 2}, .shared = true})) out["shared_memory"] = *m;
  return out;
}

class ScriptRunner {
 public:
  ScriptRunner(const RunOptions& options, std::shared_ptr<Engine> engine)
      : options_(options), engine_(engine), store_(std::make_unique<Store>(std::move(engine))) {
    store_->heap().set_stress(options.gc_stress);
    if (options.compiler) {
      if (auto c = options.compiler(*store_))
        store_->set_compiler(std::move(*c));
      else
        fail(c.error().message);
    }
    registered_["spectest"] = spectest(*store_);
  }
  ~ScriptRunner() {
    for (auto& [name, t] : threads_)
      if (t->thread.joinable()) t->thread.join();
  }

  void run(std::span<const WastCommand> commands) {
    for (const WastCommand& c : commands) {
      line_ = c.line;
      std::visit([this](const auto& what) { execute(what); }, c.what);
    }
  }

  ScriptResult result;

 private:
  struct ScriptThread {
    std::unique_ptr<ScriptRunner> runner;
    std::thread thread;
  };

  void fail(std::string message) {
    ++result.failed;
    result.failures.push_back({line_, std::move(message)});
  }
  void check(bool ok, auto make_message) {
    if (ok)
      ++result.passed;
    else
      fail(make_message());
  }
  void compare_message(std::string_view want, std::string_view got) {
    ++result.messages;
    if (got.starts_with(want)) {
      ++result.messages_matched;
    } else {
      result.mismatches.push_back({line_, fmt::format("{} | {}", want, got.substr(0, got.find('\n')))});
    }
  }

  Result<std::shared_ptr<const Module>> compile(const WastModule& m) {
    if (!m.bytes) return std::unexpected(m.bytes.error());
    return engine_->compile(*m.bytes);
  }

  Result<Instance*> instantiate(const std::shared_ptr<const Module>& module) {
    std::vector<Extern> imports;
    for (const Import& i : module->imports) {
      auto from = registered_.find(i.module);
      auto item = from == registered_.end() ? Exports::iterator{} : from->second.find(i.name);
      if (from == registered_.end() || item == from->second.end())
        return std::unexpected(Error{
            ErrorCategory::unlinkable, fmt::format("unknown import \"{}\" \"{}\"", i.module, i.name), {}});
      imports.push_back(item->second);
    }
    return store_->instantiate(module, imports);
  }

  const Exports* find_module(const std::optional<std::string>& id) {
    if (!id) return has_current_ ? &current_ : nullptr;
    auto it = named_.find(*id);
    return it == named_.end() ? nullptr : &it->second;
  }

  void add_instance(const std::optional<std::string>& id, Instance& instance) {
    current_ = exports_of(instance);
    has_current_ = true;
    if (id) named_[*id] = current_;
  }

  void execute(const wast::Module& m) {
    auto module = compile(m.module);
    if (!module) return fail(fmt::format("module: {}", module.error().message));
    if (m.definition_only) {
      definitions_[m.module.id.value_or("")] = *module;
      return;
    }
    auto instance = instantiate(*module);
    if (!instance) return fail(fmt::format("module: {}", instance.error().message));
    add_instance(m.module.id, **instance);
  }

  void execute(const wast::Instance& i) {
    auto definition = definitions_.find(i.definition.value_or(""));
    if (definition == definitions_.end()) return fail("no such module definition");
    auto instance = instantiate(definition->second);
    if (!instance) return fail(fmt::format("module instance: {}", instance.error().message));
    add_instance(i.id, **instance);
  }

  void execute(const wast::Register& r) {
    const Exports* e = find_module(r.module);
    if (!e) return fail(fmt::format("register {}: no such module", r.name));
    registered_[r.name] = *e;
  }

  struct Outcome {
    Status status = Status::ok;
    std::vector<ValType> types;
    std::vector<Slot> slots;
  };

  // The outcome of an action, or why it cannot be done at all.
  std::expected<Outcome, std::string> perform(const WastAction& a) {
    const Exports* e = find_module(a.module);
    if (!e) return std::unexpected("no such module");
    auto item = e->find(a.field);
    if (item == e->end()) return std::unexpected(fmt::format("no export \"{}\"", a.field));
    if (a.is_get) return get(item->second);
    if (auto* f = std::get_if<FuncRef*>(&item->second)) return call(*f, a);
    return std::unexpected(fmt::format("export \"{}\" is no function", a.field));
  }

  std::expected<Outcome, std::string> get(const Extern& item) {
    auto* g = std::get_if<Global*>(&item);
    if (!g) return std::unexpected("export is no global");
    return Outcome{Status::ok, {(*g)->type.type}, {(*g)->cell->lo, (*g)->cell->hi}};
  }

  std::expected<Outcome, std::string> call(FuncRef* f, const WastAction& a) {
    const FuncType& type = *store_->types().get(f->type).func();
    if (type.params.size() != a.args.size()) return std::unexpected("wrong number of arguments");
    Outcome out{Status::ok, type.results,
                std::vector<Slot>(std::max(type.param_slots, type.result_slots) + 1)};
    u32 at = 0;
    for (size_t i = 0; i < a.args.size(); ++i) {
      if (!text_fits(a.args[i], type.params[i])) return std::unexpected("argument of another type");
      const auto n = write_argument(*store_, a.args[i], &out.slots[at]);
      if (!n) return std::unexpected("argument is no constant");
      at += *n;
    }
    out.status = store_->call(f, out.slots.data());
    return out;
  }
  static bool text_fits(const text::WastValue& v, ValType t) { return type_fits(v, t); }

  std::string describe(Status status) { return store_->trap_error(status).message; }

  void execute(const WastAction& a) {
    auto out = perform(a);
    if (!out) return fail(out.error());
    if (out->status != Status::ok) fail(fmt::format("{}: {}", a.field, describe(out->status)));
  }

  void execute(const wast::AssertReturn& a) {
    auto out = perform(a.action);
    if (!out) return fail(out.error());
    if (out->status != Status::ok) return fail(fmt::format("{}: {}", a.action.field, describe(out->status)));
    if (out->types.size() != a.results.size())
      return fail(
          fmt::format("{}: {} results, wanted {}", a.action.field, out->types.size(), a.results.size()));
    const Slot* at = out->slots.data();
    for (size_t i = 0; i < a.results.size(); at += out->types[i++].slots()) {
      if (matches(*store_, a.results[i], out->types[i], at)) continue;
      return fail(fmt::format("{}: result {} is {}, wanted {}", a.action.field, i, show(out->types[i], at),
                              show(a.results[i][0])));
    }
    ++result.passed;
  }

  void execute(const wast::AssertTrap& a) {
    Status status;
    std::string got;
    if (auto* action = std::get_if<WastAction>(&a.what)) {
      auto out = perform(*action);
      if (!out) return fail(out.error());
      status = out->status;
      if (status == Status::ok) return fail(fmt::format("{}: no trap, wanted {}", action->field, a.text));
      got = describe(status);
    } else {
      auto module = compile(std::get<WastModule>(a.what));
      if (!module) return fail(fmt::format("module: {}", module.error().message));
      auto instance = instantiate(*module);
      if (instance) return fail(fmt::format("instantiation: no trap, wanted {}", a.text));
      if (instance.error().category != ErrorCategory::trap) return fail(instance.error().message);
      status = Status::trap;
      got = instance.error().message;
    }
    const bool exhausted = store_->trap().code == TrapCode::stack_exhausted;
    const bool right = status == Status::trap && exhausted == (a.failure == wast::Failure::exhaustion);
    check(right && got.contains(a.text),
          [&] { return fmt::format("trap is \"{}\", wanted \"{}\"", got, a.text); });
  }

  void execute(const wast::AssertException& a) {
    auto out = perform(a.action);
    if (!out) return fail(out.error());
    check(out->status == Status::exception, [&] {
      return fmt::format("{}: no exception{}", a.action.field,
                         out->status == Status::ok ? "" : ", but " + describe(out->status));
    });
  }

  void execute(const wast::AssertRejected& a) {
    auto module = compile(a.module);
    if (a.why == wast::Rejection::unlinkable) {
      if (!module) return fail(fmt::format("module: {}", module.error().message));
      auto instance = instantiate(*module);
      if (instance) return fail(fmt::format("links, wanted: {}", a.text));
      compare_message(a.text, instance.error().message);
      return check(instance.error().category == ErrorCategory::unlinkable,
                   [&] { return fmt::format("not a link error: {}", instance.error().message); });
    }
    if (module) return fail(fmt::format("accepted, wanted: {}", a.text));
    const Error& e = module.error();
    compare_message(a.text, e.message);
    const bool right = a.why == wast::Rejection::invalid     ? e.category == ErrorCategory::invalid
                       : a.why == wast::Rejection::malformed ? e.category == ErrorCategory::malformed
                                                             : true;
    check(right, [&] { return fmt::format("wanted \"{}\", but it is: {}", a.text, e.message); });
  }

  void execute(const wast::Thread& t) {
    auto thread = std::make_unique<ScriptThread>();
    thread->runner = std::make_unique<ScriptRunner>(options_, engine_);
    for (const std::string& id : t.shared) {
      const Exports* e = find_module(id);
      if (!e) return fail(fmt::format("thread: no module ${}", id));
      Exports& lent = thread->runner->named_[id];
      for (const auto& [name, item] : *e)
        if (auto* m = std::get_if<Memory*>(&item))
          if (auto shared = store_->shared_memory(*m))
            lent[name] = thread->runner->store_->share_memory(shared);
    }
    ScriptRunner* runner = thread->runner.get();
    thread->thread = std::thread([runner, &t] { runner->run(t.commands); });
    threads_[t.id] = std::move(thread);
  }

  void execute(const wast::Wait& w) {
    auto it = threads_.find(w.thread);
    if (it == threads_.end()) return fail(fmt::format("no thread ${}", w.thread));
    it->second->thread.join();
    const ScriptResult& r = it->second->runner->result;
    result.passed += r.passed;
    result.failed += r.failed;
    result.failures.insert(result.failures.end(), r.failures.begin(), r.failures.end());
    threads_.erase(it);
  }

  void execute(const wast::Unknown& u) { fail(fmt::format("unknown command {}", u.word)); }

  const RunOptions& options_;
  std::shared_ptr<Engine> engine_;
  std::unique_ptr<Store> store_;
  u32 line_ = 0;
  std::map<std::string, Exports, std::less<>> registered_;
  std::map<std::string, Exports, std::less<>> named_;
  Exports current_;
  bool has_current_ = false;
  std::map<std::string, std::shared_ptr<const Module>> definitions_;
  std::map<std::string, std::unique_ptr<ScriptThread>> threads_;
};

}  // namespace

ScriptResult run_script(std::string_view source, const RunOptions& options) {
  auto commands = text::parse_wast(source, options.features);
  if (!commands) return {0, 1, 0, 0, {{0, commands.error().message}}, {}};
  EngineOptions engine;
  engine.tier = options.compiler ? EngineOptions::Tier::jit : EngineOptions::Tier::interp;
  engine.decode.features = options.features;
  ScriptRunner runner(options, std::make_shared<Engine>(engine));
  runner.run(*commands);
  return std::move(runner.result);
}

}  // namespace tenon::spec
