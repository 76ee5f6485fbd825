// Execution with fuel. Bytes that begin like a module, binary or text, are one, and each of its exports is
// called with zeros; any other bytes are entropy for the generator of valid modules (generator.h). Every module runs twice, the
// second time with memories that move when they grow and a collection at each allocation: the same must come
// of it. Nothing may crash, and nothing may run on.
#include <cstdlib>
#include <functional>

#include "engine/text/wat.h"
#include "tests/fuzz/outcome.h"

namespace {

using namespace tenon;

constexpr i64 kFuel = 3000;

void require(bool condition) {
  if (!condition) std::abort();
}

StoreLimits limits(bool plain) {
  StoreLimits l;
  l.memory_bytes = 1 << 20;
  l.table_elements = 10'000;
  l.gc_heap_bytes = 1 << 20;
  l.value_stack_bytes = 1 << 18;
  l.memories = l.tables = l.instances = 20;
  if (!plain) l.memory_reservation = 0;
  return l;
}

bool all_defaultable(const std::vector<ValType>& types) {
  return std::ranges::all_of(types, [](ValType t) { return t.is_defaultable(); });
}

// Something of the type that an import wants; nothing when that cannot be had or waits for other threads.
std::optional<Extern> make(Store& store, const ExternType& wanted) {
  if (const auto* type = std::get_if<TypeId>(&wanted)) {
    const bool returns = all_defaultable(store.types().get(*type).func()->results);
    return store.new_host_func(*type, [returns](Store& s, std::span<Slot> slots) {
      if (!returns) return s.raise(TrapCode::host_error, "no value of this type");
      std::ranges::fill(slots, Slot{});
      return Status::ok;
    });
  }
  if (const auto* type = std::get_if<TagType>(&wanted)) return store.new_tag(type->type);
  if (const auto* type = std::get_if<GlobalType>(&wanted)) {
    if (!type->type.is_defaultable()) return std::nullopt;
    return *store.new_global(*type, {});
  }
  if (const auto* type = std::get_if<TableType>(&wanted)) {
    if (!type->element.is_defaultable()) return std::nullopt;
    const auto table = store.new_table(*type, kNullRef);
    return table ? std::optional<Extern>(*table) : std::nullopt;
  }
  const auto& type = std::get<MemoryType>(wanted);
  const auto memory = type.shared ? std::unexpected(Error{}) : store.new_memory(type);
  return memory ? std::optional<Extern>(*memory) : std::nullopt;
}

// Statuses and numbers only: references are addresses.
std::string show(Store& store, Status status, const FuncType& type, const std::vector<Slot>& slots) {
  std::string out = fmt::format("status {}", static_cast<int>(status));
  if (status == Status::trap) {
    require(!store.trap_error(status).message.empty());
    out += trap_text(store.trap().code);
  }
  if (status != Status::ok) return out;
  size_t slot = 0;
  for (const ValType t : type.results) {
    const u64 low = slots[slot].u64_;
    if (!t.is_ref()) out += fmt::format(" {:x}", t == kI32 || t == kF32 ? low & 0xffff'ffff : low);
    if (t == kV128) out += fmt::format(":{:x}", slots[slot + 1].u64_);
    slot += t.slots();
  }
  return out;
}

std::string run_module(Store& store, std::span<const u8> bytes) {
  const auto module = store.engine().compile(bytes);
  if (!module) return "invalid";
  std::vector<Extern> imports;
  for (const Import& import : (*module)->imports) {
    const auto value = make(store, import.type);
    if (!value) return "not linked";
    imports.push_back(*value);
  }
  if (std::ranges::any_of((*module)->memories, [](const MemoryType& m) { return m.shared; })) return "shared";
  const auto instance = store.instantiate(*module, imports);
  if (!instance) return fmt::format("not instantiated {}", static_cast<int>(instance.error().category));
  std::string out;
  for (const Export& e : (*module)->exports) {
    if (e.kind != ExternKind::func) continue;
    const FuncType& type = (*module)->func_type(FuncIdx{e.index});
    if (!all_defaultable(type.params)) continue;
    std::vector<Slot> slots(std::max<u32>({type.param_slots, type.result_slots, 1}));
    store.context().fuel = kFuel;
    const Status status = store.call((*instance)->func(FuncIdx{e.index}), slots.data());
    // How much fits into the heap depends on when it is collected: such a run's outcome ends here.
    if (status == Status::trap && store.trap().code == TrapCode::out_of_memory) break;
    out += show(store, status, type, slots) + "\n";
  }
  return out;
}

using Run = std::function<std::string(Store&)>;

std::string outcome(bool plain, const Run& run) {
  EngineOptions options;
  options.fuel = true;
  Store store(std::make_shared<Engine>(options), limits(plain));
  store.context().fuel = kFuel;
  store.heap().set_stress(!plain);
  return run(store);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::span<const u8> bytes(data, size);
  const auto starts_with = [&](std::string_view s) {
    return size >= s.size() && std::memcmp(data, s.data(), s.size()) == 0;
  };
  std::vector<u8> translated;
  if (starts_with("(module")) {
    auto binary = text::wat_to_wasm({reinterpret_cast<const char*>(data), size});
    if (!binary) return 0;
    translated = std::move(*binary);
    bytes = translated;
  }
  if (!translated.empty() || starts_with(std::string_view("\0asm", 4))) {
    const Run run = [&](Store& store) { return run_module(store, bytes); };
    const std::string first = outcome(true, run), second = outcome(false, run);
    const size_t common = std::min(first.size(), second.size());
    require(first.compare(0, common, second, 0, common) == 0);
    return 0;
  }
  const std::vector<u8> generated = test::ModuleGenerator(bytes).module();
  const Run run = [&](Store& store) { return test::run_generated(store, generated); };
  const std::string first = outcome(true, run);
  require(!first.starts_with("invalid"));
  require(first == outcome(false, run));
  return 0;
}
