// NativeTier: entries of functions, thunks of signatures, and compiling modules as a whole.
#include "engine/native/native_tier.h"

#include <fmt/format.h>

#include <cstdio>
#include <set>

#include "engine/aot/artefact.h"
#include "engine/native/raise.h"
#include "engine/native/tier_queue.h"
#include "engine/runtime/jit_plugin.h"
#include "engine/runtime/plugin.h"

namespace tenon {

NativeTier::NativeTier(Store& store, NativeOptions options)
    : store_(store),
      options_(std::move(options)),
      tiering_(store, options_.tiering, options_, options_.compile) {
  install_fault_handler();
}

NativeTier::~NativeTier() {
  if (options_.compiled) {
    for (const auto& module : tiering_.modules()) options_.compiled(*module);
    for (const auto& module : unfinished_) options_.compiled(*module);
  }
  for (auto* node : memory_nodes_) guarded_memories().remove(node);
}

// The same message (no compiler, no memory for code) once in a process.
void NativeTier::notify(const std::string& message) const {
  static std::mutex mutex;
  static std::set<std::string> said;
  constexpr size_t kMost = 256;
  if (options_.notice) return options_.notice(message);
  const std::lock_guard lock(mutex);
  if (said.size() < kMost && said.insert(message).second) fmt::print(stderr, "tenon: {}\n", message);
}

Result<void> NativeTier::compile(const std::shared_ptr<const Module>& shared, const CompileRequest& request,
                                 ModuleCode::Variant& code) {
  const Module& module = *shared;
  TRY_ASSIGN(CompiledImage compiled, options_.compile(request));
  if (!compiled.notice.empty()) notify(compiled.notice);
  TRY_ASSIGN(auto object, CodeObject::load(module, std::move(compiled.image)));
  if (options_.as_artefact) {
    const auto bytes = write_artefact(module.bytes(), {&object, 1}, {options_.cpu(), options_.opt_level});
    TRY_ASSIGN(const auto artefact, Artefact::from_bytes(bytes));
    TRY_ASSIGN(auto objects, artefact->load_code(module));
    object = std::move(objects.at(0));
  }
  code.publish(std::move(object));
  if (options_.compiled) options_.compiled(module);
  if (!options_.worker || compiled.left_out.empty()) return {};
  unfinished_.push_back(shared);
  TierQueue::of_process().add_oversized({.module = shared,
                                         .code = &code,
                                         .options = options_,
                                         .decode = request.decode,
                                         .compile = options_.compile,
                                         .functions = std::move(compiled.left_out)});
  return {};
}

// What cannot be compiled is interpreted.
void NativeTier::compile_whole(const std::shared_ptr<const Module>& module, ModuleCode::Variant& code) {
  const std::lock_guard lock(code.compile_mutex());
  if (code.compiled_whole() || code.compile_failed) return;
  const CompileRequest request{
      module.get(), code.config(), options_, store_.engine().options().decode, {}, {}, {}};
  if (auto done = compile(module, request, code); !done) {
    code.compile_failed = true;
    notify(done.error().message + ": interpreted");
  }
}

// Code is there, and the instance cannot run it: slower than whoever made an artefact expects.
void NativeTier::tell_if_unfit(ModuleCode& code, const ModuleCode::Variant& used) const {
  if (used.objects_published() != 0 || (options_.compile && !code.expected_to_fit)) return;
  for (const auto* variant : code.variants())
    if (const std::string why = variant->config().conflict(used.config());
        variant->objects_published() != 0 && !why.empty())
      return notify(fmt::format("compiled code is not used: {}", why));
}

Result<void> NativeTier::adopt(Instance& instance) {
  if (!store_.context().displays) {
    notify("no address space for the type table of compiled code: interpreted");
    return {};
  }
  const Module& module = instance.module();
  ModuleCode::Variant& code = module.code().variant(config_of(instance, options_));
  tell_if_unfit(module.code(), code);
  if (options_.compile && options_.eager) compile_whole(instance.shared_module(), code);
  for (u32 m = 0; m < module.memories.size(); ++m) {
    const MemoryDesc& desc = instance.memory(MemoryIdx{m})->desc();
    if (code.config().memories[m].guarded)
      memory_nodes_.push_back(guarded_memories().add(desc.base, desc.reserved, nullptr));
  }
  pick_up(adopted_.emplace_back(Adopted{&instance, &code}));
  if (options_.tiering.automatic) tiering_.adopt(instance, code);
  set_thunks();
  return {};
}

ArrayEntry NativeTier::sample(FuncRef& func, u64 loop) {
  if (!options_.tiering.automatic) {
    if (!unfinished_.empty()) pick_up();
    return nullptr;
  }
  if (options_.tiering.stress) tiering_.compile_now(func, loop);
  pick_up();
  return tiering_.sample(func, loop);
}

void NativeTier::pick_up() {
  bool any = false;
  for (Adopted& a : adopted_) any |= pick_up(a);
  if (any) set_thunks();
}

bool NativeTier::pick_up(Adopted& adopted) {
  const u32 published = adopted.code->objects_published();
  if (adopted.objects == published) return false;
  const u32 first = adopted.objects;
  for (u32 n = first; n < published; ++n) take_thunks(*adopted.code->object(n));
  for (u32 n = first; n < published; ++n)
    for (const CodeEntry& e : adopted.code->object(n)->entries())
      set_entry(*adopted.instance, FuncIdx{e.func}, adopted.code->entry(FuncIdx{e.func}));
  adopted.objects = published;
  return true;
}

void NativeTier::take_thunks(const CodeObject& code) {
  for (const CodeThunk& t : code.thunks())
    thunks_.try_emplace(std::string(code.key(t)),
                        ThunkAddresses{code.address(t.array_entry), code.address(t.native_entry)});
}

const ThunkAddresses* NativeTier::thunks_of(TypeId type) {
  if (auto known = thunks_of_type_.find(type.value); known != thunks_of_type_.end()) return known->second;
  auto found = thunks_.find(signature_key(*store_.types().get(type).func()));
  if (found == thunks_.end()) return nullptr;
  return thunks_of_type_[type.value] = &found->second;
}

// A compiled function: called with its instance, and by the interpreter through its signature's thunk.
void NativeTier::set_entry(Instance& instance, FuncIdx f, const void* native_entry) {
  if (instance.module().is_imported(f)) return;
  FuncRef* ref = instance.func(f);
  const ThunkAddresses* thunks = thunks_of(ref->type);
  if (!thunks) return;
  ref->native_entry = const_cast<void*>(native_entry);
  ref->native_context = instance.vm();
  ref->array_entry = reinterpret_cast<ArrayEntry>(const_cast<void*>(thunks->array_entry));
}

// Functions without code, wherever compiled code may meet them: through tables, references and imports.
void NativeTier::set_thunks() {
  auto set = [this](FuncRef& ref) {
    const ThunkAddresses* thunks = thunks_of(ref.type);
    if (!thunks) return false;
    ref.native_entry = const_cast<void*>(thunks->native_entry);
    ref.native_context = &ref;
    return true;
  };
  std::erase_if(waiting_, [&](FuncRef* ref) { return set(*ref); });
  for (const Adopted& a : adopted_) {
    const Module& module = a.instance->module();
    for (u32 f = module.imported_functions; f < module.functions.size(); ++f)
      if (FuncRef* ref = a.instance->func(FuncIdx{f}); !ref->native_entry) set(*ref);
  }
}

void NativeTier::make_callable(FuncRef& func) {
  const ThunkAddresses* thunks = thunks_of(func.type);
  if (!thunks) return waiting_.push_back(&func);
  func.native_entry = const_cast<void*>(thunks->native_entry);
  func.native_context = &func;
}

Result<CompiledImage> compile_by_plugin(const CompileRequest& request) {
  TRY_ASSIGN(const JitPlugin* jit, jit_plugin());
  return jit->compile(request);
}

Result<std::unique_ptr<Compiler>> make_jit_tier(Store& store, NativeOptions options) {
  TRY_ASSIGN(const JitPlugin* jit, jit_plugin());
  options.compile = jit->compile;
  return std::make_unique<NativeTier>(store, std::move(options));
}

}  // namespace tenon
