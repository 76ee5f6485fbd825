// The policy of --engine=auto.
#include "engine/native/tiering.h"

#include <algorithm>
#include <utility>

#include "engine/reader.h"

namespace tenon {
namespace {

// A sample stands for some 20 µs of interpretation, and compiling takes about a microsecond a byte on another
// processor. What has run about as long as that takes is expected to go on for as long again.
constexpr u64 kWarmUp = 50;  // samples before anything is compiled: short programs never load the compiler
constexpr u64 kFewest = 3, kMost = 500, kBytesPerSample = 40;
constexpr u64 kRest = 10'000;  // samples after which all of the module is compiled, behind what is hot

u64 threshold(const Module& module, FuncIdx f) {
  return std::clamp<u64>(module.functions[f.value].body.size() / kBytesPerSample, kFewest, kMost);
}

bool has_loop(const Module& module, FuncIdx f) {
  const Function& function = module.functions[f.value];
  CodeReader reader(module, function.body, function.offset);
  std::vector<LocalRun> runs;
  Instr instr;
  if (!reader.read_locals(runs)) return false;
  while (reader.next(instr))
    if (instr.op == Op::loop) return true;
  return false;
}

}  // namespace

Tiering::Tiering(Store& store, TieringOptions options, CompileOptions compile_options, CompileFn compile)
    : store_(store), options_(options), compile_options_(std::move(compile_options)), compile_(compile) {
  if (options_.stress) store.context().ticks = store.context().tick_period = 0;
}

void Tiering::adopt(Instance& instance, ModuleCode::Variant& code) {
  guests_.try_emplace(instance.vm(), Guest{instance.shared_module(), &code});
}

std::vector<std::shared_ptr<const Module>> Tiering::modules() const {
  std::vector<std::shared_ptr<const Module>> out;
  for (const auto& [vm, guest] : guests_) out.push_back(guest.module);
  return out;
}

Tiering::Guest* Tiering::guest_of(const FuncRef& func) {
  auto found = guests_.find(func.vmctx);
  return found == guests_.end() ? nullptr : &found->second;
}

TierJob Tiering::new_job(Guest& guest) const {
  return {.module = guest.module,
          .code = guest.code,
          .options = compile_options_,
          .decode = store_.engine().options().decode,
          .compile = compile_};
}

// What of the two nobody has asked for.
TierJob Tiering::job_for(Guest& guest, FuncIdx f, u64 loop) const {
  TierJob job = new_job(guest);
  if (!guest.code->entry(f) && guest.code->claim(f)) job.functions.push_back(f);
  const OsrLoop at{f, static_cast<u32>(loop)};
  if (loop != 0 && guest.code->claim(at)) job.loops.push_back(at);
  return job;
}

ArrayEntry Tiering::sample(FuncRef& func, u64 loop) {
  Guest* guest = guest_of(func);
  if (!guest) return nullptr;
  const FuncIdx f{func.index};
  if (loop != 0)
    if (ArrayEntry entry = guest->code->loop_entry({f, static_cast<u32>(loop)})) return entry;
  if (options_.stress) return nullptr;
  const auto samples = guest->code->count_sample(f);
  if (samples.all < kWarmUp || samples.function < threshold(*guest->module, f)) return nullptr;
  ask(*guest, f, loop);
  if (samples.all >= kRest && guest->code->claim_rest()) TierQueue::of_process().add_rest(new_job(*guest));
  return nullptr;
}

// A function at one of its loops first: that is where it runs now. One loop at a time: the others need none when this
// one is taken over.
void Tiering::ask(Guest& guest, FuncIdx f, u64 loop) const {
  const OsrLoop at{f, static_cast<u32>(loop)};
  if (loop != 0 && guest.code->claim_next(at)) {
    TierJob job = new_job(guest);
    job.loops.push_back(at);
    TierQueue::of_process().add(std::move(job));
  }
  if (!guest.code->entry(f) && guest.code->claim(f)) {
    TierJob job = new_job(guest);
    job.functions.push_back(f);
    TierQueue::of_process().add(std::move(job));
  }
}

// Functions with loops run their first call in the interpreter, so that it is replaced in the middle.
void Tiering::compile_now(FuncRef& func, u64 loop) {
  Guest* guest = guest_of(func);
  if (!guest) return;
  const FuncIdx f{func.index};
  if (guest->called.empty()) guest->called.resize(guest->module->functions.size());
  const bool first = !guest->called[f.value];
  guest->called[f.value] = true;
  if (loop == 0 && first && has_loop(*guest->module, f)) return;
  const TierJob job = job_for(*guest, f, loop);
  if (job.empty()) return;
  if (auto done = compile_and_publish(job, compile_); !done)
    return;  // what cannot be compiled stays interpreted
}

}  // namespace tenon
