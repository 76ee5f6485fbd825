// The interpreter's face: array entry, its state in a store, unwinding of an activation. Handlers are in
// handlers*.cpp, translation in translator*.cpp.
#include "engine/interp/control.h"
#include "engine/interp/state.h"
#include "engine/interp/translator.h"

namespace tenon {
namespace interp {
namespace {

const Handler kLeaveActivation[] = {&ctl::leave_activation};
const Handler kFarReturn[] = {&ctl::far_return};
const Handler kTranslateFirst[] = {&ctl::translate_first};

const u8* code_of(const Handler* stub) { return reinterpret_cast<const u8*>(stub); }

}  // namespace

const u8* leave_activation_code() { return code_of(kLeaveActivation); }
const u8* far_return_code() { return code_of(kFarReturn); }

State& State::of(Store& store) {
  std::shared_ptr<void>& state = store.interpreter_state();
  if (!state) state = std::make_shared<State>();
  return *static_cast<State*>(state.get());
}

Function& State::function(FuncRef* ref) {
  if (ref->code) return *static_cast<Function*>(ref->code);
  const FuncType& type = ref->vmctx->module->func_type(FuncIdx{ref->index});
  Function& f = functions_.emplace_back();
  f.entry = code_of(kTranslateFirst);
  f.param_slots = type.param_slots;
  f.result_slots = type.result_slots;
  f.link = std::max(type.param_slots, type.result_slots);
  f.frame_slots = f.link + kLinkSlots + 2;
  f.ref = ref;
  ref->code = &f;
  return f;
}

void State::add_code(Function& f) { by_code_[reinterpret_cast<const u8*>(f.code.data())] = &f; }

Function* State::find(const u8* pc) {
  auto it = by_code_.upper_bound(pc);
  if (it == by_code_.begin()) return nullptr;
  Function* f = std::prev(it)->second;
  const u8* begin = reinterpret_cast<const u8*>(f->code.data());
  return pc < begin + f->code.size() * sizeof(u64) ? f : nullptr;
}

Status translate_now(State& state, Function& f) {
  if (Result<void> r = translate(state, f); !r) {
    const bool too_large = r.error().category == ErrorCategory::limit;
    return f.ref->vmctx->store->store->raise(too_large ? TrapCode::stack_exhausted : TrapCode::host_error,
                                             r.error().message);
  }
  state.add_code(f);
  return Status::ok;
}

bool Position::outwards(State& state) {
  const Link& link = *reinterpret_cast<const Link*>(fp + function->link);
  if (link.pc == leave_activation_code()) return false;
  const bool far = link.pc == far_return_code();
  if (far) vm = link.far_vm;
  pc = (far ? link.far_pc : link.pc) - 1;
  fp = far ? link.far_fp : link.fp;
  function = state.find(pc);
  return function != nullptr;
}

namespace {

u32 code_offset(const Function& f, const u8* pc) {
  return static_cast<u32>(pc - reinterpret_cast<const u8*>(f.code.data()));
}

u64 wasm_offset(const Function& f, const u8* pc) {
  const Module& module = *f.ref->vmctx->module;
  const u64 body = module.functions[f.ref->index].offset;
  auto it = std::upper_bound(f.marks.begin(), f.marks.end(), code_offset(f, pc),
                             [](u32 code, const CodeMark& m) { return code < m.code; });
  return it == f.marks.begin() ? body : body + std::prev(it)->wasm;
}

// Deep recursion would make traces of a size that nobody reads.
constexpr size_t kMaxTraceFrames = 100;

const CatchTarget* match(const Function& f, u32 at, Object* exception) {
  u32 depth_limit = ~0u;
  for (const TryRegion& region : f.tries) {
    if (at < region.begin || at >= region.end || region.depth > depth_limit) continue;
    for (const CatchTarget& c : region.catches) {
      if (c.kind == CatchTarget::Kind::delegate) {
        depth_limit = c.code;
        break;
      }
      if (c.kind == CatchTarget::Kind::all || c.tag == exception_tag(exception)) return &c;
    }
  }
  return nullptr;
}

void store_caught(const CatchTarget& c, Object* exception, Slot* fp) {
  Slot* to = fp + c.slot;
  if (c.ref_first) (to++)->ref = exception->ref();
  if (c.kind == CatchTarget::Kind::tag)
    for (const Slot& s : exception_args(exception)) *to++ = s;
  if (c.with_ref && !c.ref_first) to->ref = exception->ref();
}

}  // namespace

void append_trace(State& state, Position at) {
  std::vector<TraceFrame>& frames = at.vm->store->store->trap().frames;
  if (!at.function) return;
  do {
    if (frames.size() >= kMaxTraceFrames) return;
    frames.push_back({at.vm->module, FuncIdx{at.function->ref->index}, wasm_offset(*at.function, at.pc)});
  } while (at.outwards(state));
}

bool catch_exception(State& state, Position& at) {
  StoreContext& context = *at.vm->store;
  Object* exception = as_object(context.exception);
  const Position thrown = at;
  do {
    if (!at.function) break;
    if (const CatchTarget* c = match(*at.function, code_offset(*at.function, at.pc), exception)) {
      store_caught(*c, exception, at.fp);
      context.exception = kNullRef;
      at.pc = reinterpret_cast<const u8*>(at.function->code.data()) + c->code;
      return true;
    }
  } while (at.outwards(state));
  append_trace(state, thrown);
  return false;
}

}  // namespace interp

Status interpret(FuncRef* self, Slot* slots) {
  using namespace interp;
  VMContext* vm = self->vmctx;
  StoreContext& context = *vm->store;
  Store& store = *context.store;
  if (--context.ticks < 0) [[unlikely]] {
    if (!tick_at_entry(context, self)) return store.raise(TrapCode::interrupted);
    --context.ticks;
    if (self->array_entry != &interpret) return self->array_entry(self, slots);
  }
  const interp::Function& f = State::of(store).function(self);
  if (static_cast<u8*>(__builtin_frame_address(0)) < context.stack_limit)
    return store.raise(TrapCode::stack_exhausted);
  Slot* const frame = context.value_top;
  if (static_cast<u64>(context.value_limit - frame) < f.frame_slots)
    return store.raise(TrapCode::stack_exhausted);
  std::copy_n(slots, f.param_slots, frame);  // `slots` may be null where there are none
  reinterpret_cast<Link*>(frame + f.link)->pc = leave_activation_code();
  u8* mem = nullptr;
  u64 mem_len = 0;
  load_memory(vm, mem, mem_len);
  const Handler first = *reinterpret_cast<const Handler*>(f.entry);
  const Status status = first(f.entry, frame, mem, vm, mem_len, reinterpret_cast<u64>(self), V128{});
  if (status == Status::ok) std::copy_n(frame, f.result_slots, slots);
  context.value_top = frame;
  return status;
}

}  // namespace tenon
