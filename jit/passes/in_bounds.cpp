// InBoundsPass: proofs by ranges, loops split by a range test, and barriers around what is left (in_bounds.h).
// Checks in code are recognised by bounds_check.h.
#include "jit/passes/in_bounds.h"

#include <llvm/Analysis/LoopInfo.h>
#include <llvm/Analysis/ScalarEvolution.h>
#include <llvm/Analysis/ScalarEvolutionExpressions.h>
#include <llvm/IR/Dominators.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InlineAsm.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/IntrinsicInst.h>
#include <llvm/IR/MDBuilder.h>
#include <llvm/Transforms/Utils/BasicBlockUtils.h>
#include <llvm/Transforms/Utils/Cloning.h>
#include <llvm/Transforms/Utils/LoopUtils.h>
#include <llvm/Transforms/Utils/ScalarEvolutionExpander.h>

#include <map>
#include <set>

#include "engine/runtime/vm.h"
#include "jit/passes/bounds_check.h"
#include "jit/passes/guest_access.h"

namespace tenon::jit {
namespace {

using llvm::Instruction;
using llvm::SCEV;
using llvm::Value;

constexpr u64 kSmallEnough = u64{1} << 34;  // sums of a few such numbers do not wrap
constexpr i64 kLargestStep = i64{1} << 20;
constexpr size_t kLargestLoop = 400;  // instructions that are worth a copy
constexpr size_t kMostTests = 8;

u64 access_size(const Instruction& i) {
  return i.getDataLayout().getTypeStoreSize(llvm::getLoadStoreType(&i)).getFixedValue();
}

// A load or store of a guest that is not atomic and not volatile.
bool is_plain(const Instruction& i) {
  if (const auto* load = llvm::dyn_cast<llvm::LoadInst>(&i)) return load->isSimple();
  const auto* store = llvm::dyn_cast<llvm::StoreInst>(&i);
  return store && store->isSimple();
}

// Where an address or a checked index is: at iteration k it is zext(start + constant) + k * step + offset. With a 32-bit
// start the sum is Wasm's and may wrap.
struct Place {
  const SCEV* start;
  i64 step;
  i64 constant;
  u64 offset;
};

// Accesses of one loop, or checks of them, that differ by constants: at iteration k they touch
// [zext(start + least) + k * step + delta, ... + size).
struct Group {
  const SCEV* start;
  i64 step;
  Value* length;  // of the memory that checks are about; null: the guarded one's
  i64 least;      // constant added to start
  u64 extent = 0;
  struct Member {
    Instruction* access;  // or the branch of a check
    Place at;
    u64 size;
  };
  std::vector<Member> members = {};

  u64 delta(const Place& at) const { return static_cast<u64>(at.constant - least) + at.offset; }
};

class InBounds {
 public:
  // Without `memory` nothing faults: what may trap is checked in code.
  InBounds(llvm::Function& f, llvm::FunctionAnalysisManager& analyses, std::optional<GuestMemory> memory)
      : f_(f),
        memory_(memory),
        scev_(analyses.getResult<llvm::ScalarEvolutionAnalysis>(f)),
        loops_(analyses.getResult<llvm::LoopAnalysis>(f)),
        dominators_(analyses.getResult<llvm::DominatorTreeAnalysis>(f)) {}

  void run() {
    if (memory_)
      for (Instruction& i : llvm::instructions(f_))
        if (loops_.getLoopFor(i.getParent()) && is_guest_access(i) && is_plain(i) && below_least_length(i))
          safe_.insert(&i);
    std::vector<llvm::Loop*> innermost;
    for (llvm::Loop* loop : loops_.getLoopsInPreorder())
      if (loop->isInnermost()) innermost.push_back(loop);
    for (llvm::Loop* loop : innermost) split(*loop);
    if (memory_) place_barriers();
  }

 private:
  // The address's offset from the memory's base; null when it isn't recognised.
  const SCEV* offset_of(const Instruction& i);
  bool below_least_length(const Instruction& i);

  void split(llvm::Loop& loop);
  bool collect(llvm::Loop& loop, std::vector<Group>& groups);
  std::optional<Place> place_of(llvm::Loop& loop, const SCEV* offset, bool any_start);
  bool add_access(llvm::Loop& loop, Instruction& access, std::vector<Group>& groups);
  void add_check(llvm::Loop& loop, llvm::BasicBlock& block, std::vector<Group>& groups);
  void add(std::vector<Group>& groups, Value* length, const Group::Member& member);
  void add_checked_accesses(llvm::Loop& loop, std::vector<Group>& groups);
  const SCEV* rounds(llvm::Loop& loop, const std::vector<Group>& groups);
  Value* length_of(const Group& g, llvm::IRBuilder<>& b);
  Value* range_test(llvm::Loop& loop, std::vector<Group>& groups, std::vector<Value*>& starts);
  void make_copy(llvm::Loop& loop, Value* in_bounds, std::vector<Group>& groups);
  void make_plain(llvm::Loop& loop, const std::vector<Group>& groups, const std::vector<Value*>& starts);

  bool keeps_alive(const Value* v, int depth = 0);
  void place_barriers();
  bool is_loose(const Instruction& i) { return memory_ && is_guest_access(i) && !safe_.contains(&i); }

  llvm::Function& f_;
  std::optional<GuestMemory> memory_;
  llvm::ScalarEvolution& scev_;
  llvm::LoopInfo& loops_;
  llvm::DominatorTree& dominators_;
  llvm::SmallPtrSet<const Instruction*, 32> safe_;  // accesses that cannot trap
};

const SCEV* InBounds::offset_of(const Instruction& i) {
  const SCEV* address = scev_.getSCEV(const_cast<Value*>(llvm::getLoadStorePointerOperand(&i)));
  const auto* base = llvm::dyn_cast<llvm::SCEVUnknown>(scev_.getPointerBase(address));
  const auto* load = base ? llvm::dyn_cast<llvm::LoadInst>(base->getValue()) : nullptr;
  if (!load) return nullptr;
  llvm::APInt cell(64, 0);
  const Value* vm =
      load->getPointerOperand()->stripAndAccumulateConstantOffsets(i.getDataLayout(), cell, true);
  if (vm != f_.getArg(0) || cell != memory_->base_cell) return nullptr;
  return scev_.removePointerBase(address);
}

bool InBounds::below_least_length(const Instruction& i) {
  const SCEV* offset = offset_of(i);
  if (!offset) return false;
  const u64 last = scev_.getUnsignedRangeMax(offset).getLimitedValue();
  const u64 size = access_size(i);
  return size <= memory_->min_length && last <= memory_->min_length - size;
}

// Where `offset` is in each iteration; nothing when it moves otherwise than by a constant. `any_start`: 64-bit starts of
// unknown range too, which are no problem where a test shows them to be below a memory's length.
std::optional<Place> InBounds::place_of(llvm::Loop& loop, const SCEV* offset, bool any_start) {
  auto [outer, moving] = split_constant(scev_, offset);
  if (const auto* extended = llvm::dyn_cast<llvm::SCEVZeroExtendExpr>(moving)) {
    moving = extended->getOperand();
  } else {
    moving = offset;
    outer = 0;
  }
  i64 step = 0;
  const SCEV* start = moving;
  if (const auto* recurrence = llvm::dyn_cast<llvm::SCEVAddRecExpr>(moving)) {
    const auto* constant = llvm::dyn_cast<llvm::SCEVConstant>(recurrence->getStepRecurrence(scev_));
    if (recurrence->getLoop() == &loop) {
      if (!recurrence->isAffine() || !constant || constant->getAPInt().getSignificantBits() > 63)
        return std::nullopt;
      step = constant->getAPInt().getSExtValue();
      start = recurrence->getStart();
    }
  }
  if (!scev_.isLoopInvariant(start, &loop) || std::abs(step) > kLargestStep) return std::nullopt;
  if (start->getType()->isIntegerTy(64)) {  // a 32-bit sum that SCEV has seen not to wrap
    const auto [added, inner] = split_constant(scev_, start);
    if (const auto* extended = llvm::dyn_cast<llvm::SCEVZeroExtendExpr>(inner); extended && added >= 0) {
      outer += added;
      start = extended->getOperand();
    }
  }
  if (outer < 0 || static_cast<u64>(outer) > kSmallEnough) return std::nullopt;
  const auto [constant, rest] = split_constant(scev_, start);
  const u32 bits = rest->getType()->getIntegerBitWidth();
  if (bits != 32 && (bits != 64 || (!any_start && scev_.getUnsignedRangeMax(rest).ugt(kSmallEnough))))
    return std::nullopt;
  constexpr auto kLargest = static_cast<i64>(kSmallEnough);
  if (constant > kLargest || constant < -kLargest) return std::nullopt;
  return Place{rest, step, constant, static_cast<u64>(outer)};
}

void InBounds::add(std::vector<Group>& groups, Value* length, const Group::Member& member) {
  const Place& at = member.at;
  auto group = std::ranges::find_if(
      groups, [&](const Group& g) { return g.start == at.start && g.step == at.step && g.length == length; });
  if (group == groups.end())
    group = groups.insert(groups.end(), Group{at.start, at.step, length, at.constant});
  group->least = std::min(group->least, at.constant);
  group->members.push_back(member);
}

// Notes an access whose address moves by a constant in each iteration, or not at all.
bool InBounds::add_access(llvm::Loop& loop, Instruction& access, std::vector<Group>& groups) {
  const SCEV* offset = offset_of(access);
  const auto at = offset ? place_of(loop, offset, false) : std::nullopt;
  if (at) add(groups, nullptr, {&access, *at, access_size(access)});
  return at.has_value();
}

// Notes the check at the block's end, if it is one whose index moves so. Others stay where they are.
void InBounds::add_check(llvm::Loop& loop, llvm::BasicBlock& block, std::vector<Group>& groups) {
  const auto check = find_bounds_check(block, scev_);
  if (!check || !loop.isLoopInvariant(check->length) || check->extent > kSmallEnough) return;
  const auto at = place_of(loop, check->index, true);
  if (at) add(groups, check->length, {check->branch, *at, check->extent});
}

// Accesses that lie in what a group of checks is about.
void InBounds::add_checked_accesses(llvm::Loop& loop, std::vector<Group>& groups) {
  for (llvm::BasicBlock* block : loop.blocks())
    for (Instruction& i : *block) {
      if (!is_guest_access(i) || !is_plain(i)) continue;
      const SCEV* address = scev_.getSCEV(llvm::getLoadStorePointerOperand(&i));
      const auto* base = llvm::dyn_cast<llvm::SCEVUnknown>(scev_.getPointerBase(address));
      if (!base || !scev_.isLoopInvariant(base, &loop)) continue;
      const auto at = place_of(loop, scev_.removePointerBase(address), true);
      if (!at) continue;
      const u64 size = access_size(i);
      for (Group& g : groups)
        if (g.length && g.start == at->start && g.step == at->step && g.extent >= size &&
            g.delta(*at) <= g.extent - size) {
          g.members.push_back({&i, *at, size});
          break;
        }
    }
}

// All accesses of the loop that may trap, in groups. False when the loop is none to split.
bool InBounds::collect(llvm::Loop& loop, std::vector<Group>& groups) {
  size_t size = 0;
  for (llvm::BasicBlock* block : loop.blocks()) {
    size += block->size();
    if (size > kLargestLoop) return false;
    for (Instruction& i : *block) {
      if (is_barrier(i)) continue;
      const auto* call = llvm::dyn_cast<llvm::CallBase>(&i);
      if (call && !call->doesNotAccessMemory()) return false;
      if (i.isAtomic() || i.isVolatile()) return false;
      if (is_loose(i) && !add_access(loop, i, groups)) return false;
    }
    if (!memory_) add_check(loop, *block, groups);
  }
  for (Group& g : groups)
    for (const Group::Member& m : g.members) g.extent = std::max(g.extent, g.delta(m.at) + m.size);
  if (!memory_) add_checked_accesses(loop, groups);
  return !groups.empty() && groups.size() <= kMostTests;
}

// How often the loop is repeated, at most; exactly where vectors depend on it. Null: unknown.
const SCEV* InBounds::rounds(llvm::Loop& loop, const std::vector<Group>& groups) {
  if (memory_) return scev_.getBackedgeTakenCount(&loop);
  std::set<const llvm::BasicBlock*> checks;
  for (const Group& g : groups)
    for (const Group::Member& m : g.members)
      if (m.access->isTerminator()) checks.insert(m.access->getParent());
  llvm::SmallVector<llvm::BasicBlock*, 8> exits;
  loop.getExitingBlocks(exits);
  llvm::SmallVector<const SCEV*, 4> counts;
  for (llvm::BasicBlock* exit : exits) {
    if (checks.contains(exit)) continue;
    const SCEV* count = scev_.getExitCount(&loop, exit);
    if (!llvm::isa<llvm::SCEVCouldNotCompute>(count)) counts.push_back(count);
  }
  return counts.empty() ? scev_.getCouldNotCompute() : scev_.getUMinFromMismatchedTypes(counts, true);
}

Value* InBounds::length_of(const Group& g, llvm::IRBuilder<>& b) {
  if (g.length) return g.length;
  auto load = [&](llvm::Type* type, Value* base, u64 offset) {
    return b.CreateAlignedLoad(type, b.CreateInBoundsGEP(b.getInt8Ty(), base, b.getInt64(offset)),
                               llvm::Align(8));
  };
  return load(b.getInt64Ty(), load(b.getPtrTy(), f_.getArg(0), memory_->desc_cell),
              offsetof(MemoryDesc, length));
}

// Computes, in the preheader, whether the loop's last addresses are within the memory; fills each group's first
// address. All sums are 64-bit and of numbers small enough not to wrap.
Value* InBounds::range_test(llvm::Loop& loop, std::vector<Group>& groups, std::vector<Value*>& starts) {
  const SCEV* count = rounds(loop, groups);
  if (llvm::isa<llvm::SCEVCouldNotCompute>(count) || count->getType()->getIntegerBitWidth() > 64)
    return nullptr;
  Instruction* at = loop.getLoopPreheader()->getTerminator();
  llvm::SCEVExpander expander(scev_, "range");
  auto* word = llvm::Type::getInt64Ty(f_.getContext());
  std::vector<const SCEV*> firsts;
  count = scev_.getNoopOrZeroExtend(count, word);
  if (!expander.isSafeToExpandAt(count, at)) return nullptr;
  for (const Group& g : groups) {
    const SCEV* least = scev_.getConstant(g.start->getType(), static_cast<u64>(g.least), true);
    firsts.push_back(scev_.getNoopOrZeroExtend(scev_.getAddExpr(g.start, least), word));
    if (!expander.isSafeToExpandAt(firsts.back(), at)) return nullptr;
  }
  llvm::IRBuilder<> b(at);
  Value* rounds = expander.expandCodeFor(count, word, at);
  Value* fits = b.CreateICmpULT(rounds, b.getInt64(u64{1} << 33));
  std::map<Value*, Value*> lengths;
  for (size_t i = 0; i < groups.size(); ++i) {
    const Group& g = groups[i];
    Value*& length = lengths[g.length];
    if (!length) length = length_of(g, b);
    Value* first = expander.expandCodeFor(firsts[i], word, at);
    starts.push_back(first);
    Value* span = b.CreateMul(rounds, b.getInt64(static_cast<u64>(std::abs(g.step))));
    Value* last = g.step < 0 ? first : b.CreateAdd(first, span);
    if (g.step < 0) fits = b.CreateAnd(fits, b.CreateICmpUGE(first, span));
    // A start of 64 bits may be negative: then it is beyond the length by itself.
    if (g.start->getType() == word) fits = b.CreateAnd(fits, b.CreateICmpULE(first, length));
    fits = b.CreateAnd(fits, b.CreateICmpULE(b.CreateAdd(last, b.getInt64(g.extent)), length));
  }
  return fits;
}

// The loop runs when `in_bounds`, without the checks of the groups; a copy of it otherwise.
void InBounds::make_copy(llvm::Loop& loop, Value* in_bounds, std::vector<Group>& groups) {
  llvm::BasicBlock* test = loop.getLoopPreheader();
  llvm::SmallVector<llvm::BasicBlock*, 4> exits;
  loop.getUniqueExitBlocks(exits);
  llvm::BasicBlock* plain =
      llvm::SplitBlock(test, test->getTerminator(), &dominators_, &loops_, nullptr, "in_bounds");
  llvm::SmallVector<llvm::BasicBlock*, 8> copies;
  llvm::ValueToValueMapTy map;
  llvm::Loop* copy =
      llvm::cloneLoopWithPreheader(plain, test, &loop, map, ".checked", &loops_, &dominators_, copies);
  llvm::remapInstructionsInBlocks(copies, map);
  auto mapped = [&](Value* v) -> Value* {
    auto found = map.find(v);
    return found == map.end() ? v : static_cast<Value*>(found->second);
  };
  for (llvm::BasicBlock* exit : exits)
    for (llvm::PHINode& phi : exit->phis())
      for (unsigned i = 0, n = phi.getNumIncomingValues(); i < n; ++i)
        if (loop.contains(phi.getIncomingBlock(i)))
          phi.addIncoming(mapped(phi.getIncomingValue(i)),
                          llvm::cast<llvm::BasicBlock>(mapped(phi.getIncomingBlock(i))));
  test->getTerminator()->eraseFromParent();
  llvm::IRBuilder<> b(test);
  b.CreateCondBr(in_bounds, plain, llvm::cast<llvm::BasicBlock>(mapped(plain)),
                 llvm::MDBuilder(f_.getContext()).createBranchWeights(100'000, 1));
  for (Group& g : groups)
    std::erase_if(g.members, [](const Group::Member& m) {
      auto* check = llvm::dyn_cast<llvm::BranchInst>(m.access);
      if (check) drop_check(*check);
      return check != nullptr;
    });
  dominators_.recalculate(f_);
  llvm::formDedicatedExitBlocks(&loop, &dominators_, &loops_, nullptr, true);
  llvm::formDedicatedExitBlocks(copy, &dominators_, &loops_, nullptr, true);
  llvm::addStringMetadataToLoop(copy, "llvm.loop.unroll.disable");
  llvm::addStringMetadataToLoop(copy, "llvm.loop.isvectorized", 1);
}

// Accesses of the copy that is in bounds, with 64-bit addresses that LLVM sees not to wrap.
void InBounds::make_plain(llvm::Loop& loop, const std::vector<Group>& groups,
                          const std::vector<Value*>& starts) {
  llvm::IRBuilder<> b(f_.getContext());
  for (size_t i = 0; i < groups.size(); ++i) {
    Value* first = starts[i];
    if (groups[i].step != 0) {
      b.SetInsertPoint(loop.getHeader(), loop.getHeader()->begin());
      auto* at = b.CreatePHI(b.getInt64Ty(), 2, "at");
      b.SetInsertPoint(loop.getLoopLatch()->getTerminator());
      at->addIncoming(first, loop.getLoopPreheader());
      at->addIncoming(
          b.CreateAdd(at, b.getInt64(static_cast<u64>(groups[i].step)), "", groups[i].step > 0, true),
          loop.getLoopLatch());
      first = at;
    }
    for (const Group::Member& m : groups[i].members) {
      b.SetInsertPoint(m.access);
      const auto* address = scev_.getSCEV(llvm::getLoadStorePointerOperand(m.access));
      Value* base = llvm::cast<llvm::SCEVUnknown>(scev_.getPointerBase(address))->getValue();
      const auto flags = llvm::GEPNoWrapFlags::inBounds() | llvm::GEPNoWrapFlags::noUnsignedWrap();
      Value* p = b.CreateGEP(b.getInt8Ty(), base, first, "", flags);
      const u64 delta = groups[i].delta(m.at);
      if (delta != 0) p = b.CreateGEP(b.getInt8Ty(), p, b.getInt64(delta), "", flags);
      m.access->setOperand(llvm::isa<llvm::StoreInst>(m.access) ? 1 : 0, p);
      safe_.insert(m.access);
    }
  }
}

void InBounds::split(llvm::Loop& loop) {
  if (!loop.isLoopSimplifyForm() || !loop.isLCSSAForm(dominators_)) return;
  std::vector<Group> groups;
  if (!collect(loop, groups)) return;
  std::vector<Value*> starts;
  Value* in_bounds = range_test(loop, groups, starts);
  if (!in_bounds) return;
  make_copy(loop, in_bounds, groups);
  make_plain(loop, groups, starts);
  scev_.forgetAllLoops();
}

// Whether a barrier with this operand is there for an access that may trap.
bool InBounds::keeps_alive(const Value* v, int depth) {
  if (depth > 4) return true;
  if (llvm::isa<llvm::Constant, llvm::Argument>(v)) return false;
  if (const auto* cast = llvm::dyn_cast<llvm::CastInst>(v))
    return keeps_alive(cast->getOperand(0), depth + 1);
  if (const auto* phi = llvm::dyn_cast<llvm::PHINode>(v))
    return llvm::any_of(phi->incoming_values(),
                        [&](const llvm::Use& u) { return keeps_alive(u, depth + 1); });
  const auto* i = llvm::cast<Instruction>(v);
  return !i->mayReadFromMemory() || is_loose(*i);
}

// Barriers move from stores to the accesses that may trap: one before each, and one behind each, which is the one
// that keeps the value alive when it is a load. Between an access that may trap and a store that may not there is
// then still one, and none between accesses that may not trap.
void InBounds::place_barriers() {
  auto* nothing = llvm::Type::getVoidTy(f_.getContext());
  auto* assembly = llvm::InlineAsm::get(llvm::FunctionType::get(nothing, false), "", "", true, false,
                                        llvm::InlineAsm::AD_ATT, true);
  auto insert = [&](Instruction* before) {
    auto* call = llvm::CallInst::Create(assembly, "", before->getIterator());
    call->setMemoryEffects(llvm::MemoryEffects::none());
  };
  for (llvm::BasicBlock& block : f_) {
    for (Instruction& i : llvm::make_early_inc_range(block)) {
      if (!is_barrier(i)) continue;
      const auto& call = llvm::cast<llvm::CallInst>(i);
      if (call.arg_empty() || !keeps_alive(call.getArgOperand(0))) i.eraseFromParent();
    }
    bool guarded = false;  // a barrier came since the last write
    for (Instruction& i : llvm::make_early_inc_range(block)) {
      if (is_loose(i)) {
        if (!guarded) insert(&i);
        guarded = false;
        Instruction* next = i.getNextNode();
        if (i.mayWriteToMemory() && !is_barrier(*next)) {
          insert(next);
          guarded = true;
        }
      } else if (is_barrier(i)) {
        guarded = true;
      } else if (i.mayWriteToMemory()) {
        guarded = false;
      }
    }
  }
}

}  // namespace

llvm::PreservedAnalyses InBoundsPass::run(llvm::Function& f, llvm::FunctionAnalysisManager& analyses) {
  if (f.arg_empty()) return llvm::PreservedAnalyses::all();
  InBounds(f, analyses, guest_memory(*f.getParent())).run();
  return llvm::PreservedAnalyses::none();
}

}  // namespace tenon::jit
