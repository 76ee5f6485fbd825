// Handlers of loads, stores and atomic accesses. Bounds are checked here, always.
#include "engine/interp/steps.h"

namespace tenon::interp {
namespace {

// Where the extension of memory_handler forms has what.
constexpr u32 kOffset = 16, kDesc = 24, kLane = 32, kIs64 = 33, kSlowSize = 40;

template <Op op>
inline constexpr bool kAtomic = op_info(op).prefix == 0xfe;

template <Op op>
TENON_HANDLER memory_access(TENON_INTERP_PARAMS) {
  constexpr u32 width = op_info(op).width, operands = kOperands<op>;
  constexpr bool lane = op_info(op).imm == Imm::memarg_lane;
  const Slot* address_slot = slot_at(pc, fp, kFieldA);
  const u64 address = read<u8>(pc, kIs64) ? address_slot->u64_ : address_slot->u32_;
  const MemoryDesc* desc = read<const MemoryDesc*>(pc, kDesc);
  const u64 length = __atomic_load_n(&desc->length, __ATOMIC_RELAXED);
  u64 at;
  const bool overflow = __builtin_add_overflow(address, read<u64>(pc, kOffset), &at);
  // An atomic access is checked for alignment first (threads proposal, exec/instructions).
  if constexpr (kAtomic<op>)
    if (at % width != 0 && !overflow) [[unlikely]]
      TENON_TRAP(TrapCode::unaligned_atomic);
  if (overflow || length < width || at > length - width) [[unlikely]]
    TENON_TRAP(TrapCode::memory_out_of_bounds);
  u8* p = desc->base + at;
  const Slot* b = slot_at(pc, fp, kFieldB);
  const Slot* c = slot_at(pc, fp, kFieldC);
  constexpr bool result = op_info(op).signature.result_count != 0;
  auto access = [&] {
    if constexpr (lane)
      return kSem<op>(p, from_slot<V128>(b), read<u8>(pc, kLane));
    else if constexpr (operands == 1)
      return kSem<op>(p);
    else if constexpr (operands == 2)
      return kSem<op>(p, from_slot<Param<op, 1>>(b));
    else
      return kSem<op>(p, from_slot<Param<op, 1>>(b), from_slot<Param<op, 2>>(c));
  };
  if constexpr (result) {
    const auto value = access();
    to_slot(slot_at(pc, fp, kFieldD), value);
    to_reg(r0, x0, value);
  } else {
    access();
  }
  TENON_NEXT(kSlowSize);
}

struct MemoryForms {
  Handler fast[3][3] = {};  // loads: address × store; stores: address × value
  Handler any = nullptr;
};

template <Op op>
inline constexpr bool kLoads = op_info(op).signature.result_count != 0;

template <Op op, Src address>
constexpr void add_fast(MemoryForms& f) {
  auto& row = f.fast[static_cast<u32>(address)];
  if constexpr (kLoads<op>) {
    row[0] = &single<LoadStep<op, address, false>>;
    row[1] = &single<LoadStep<op, address, true>>;
  } else {
    using T = Param<op, 1>;
    row[0] = &single<StoreStep<op, address, Src::slot>>;
    // Address and value may both be accumulators when they are of different classes.
    if constexpr (address != Src::reg || kInX<T>) row[1] = &single<StoreStep<op, address, Src::reg>>;
    if constexpr (!std::is_same_v<T, V128>) row[2] = &single<StoreStep<op, address, Src::imm>>;
  }
}

template <Op op>
consteval MemoryForms make_memory_forms() {
  MemoryForms f;
  if constexpr (kHasSem<op> && op_info(op).width != 0) {
    f.any = &memory_access<op>;
    if constexpr (!kAtomic<op> && op_info(op).imm == Imm::memarg) {
      add_fast<op, Src::slot>(f);
      add_fast<op, Src::reg>(f);
      add_fast<op, Src::imm>(f);
    }
  }
  return f;
}
constexpr MemoryForms kForms[] = {
#define OP(id, prefix, opcode, text, imm, signature, feature, cst, width) make_memory_forms<Op::id>(),
#include "engine/opcodes.def"
};

}  // namespace

Handler load_handler(Op op, Src address, bool store) {
  return kForms[static_cast<size_t>(op)].fast[static_cast<u32>(address)][store];
}
Handler store_handler(Op op, Src address, Src value) {
  return kForms[static_cast<size_t>(op)].fast[static_cast<u32>(address)][static_cast<u32>(value)];
}
Handler memory_handler(Op op) { return kForms[static_cast<size_t>(op)].any; }

}  // namespace tenon::interp
