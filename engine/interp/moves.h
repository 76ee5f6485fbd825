// Steps that move values: between slots and accumulators, constants, select, globals.
#pragma once
#include "engine/interp/dispatch.h"

namespace tenon::interp {

// What an operand's class takes in an accumulator: integers and references, scalar floats, vectors.
enum class Class : u8 { r0, x64, x128 };
template <Class cls>
using ClassType = std::conditional_t<cls == Class::r0, u64, std::conditional_t<cls == Class::x64, f64, V128>>;

// [a, d]
struct MoveStep {
  static constexpr Handler kFail = nullptr;
  TENON_STEP {
    *slot_at(pc, fp, kFieldD) = *slot_at(pc, fp, kFieldA);
    pc += 16;
    return true;
  }
};
// [a to d, then b to c]
struct MoveTwoStep {
  static constexpr Handler kFail = nullptr;
  TENON_STEP {
    *slot_at(pc, fp, kFieldD) = *slot_at(pc, fp, kFieldA);
    *slot_at(pc, fp, kFieldC) = *slot_at(pc, fp, kFieldB);
    pc += 16;
    return true;
  }
};
// [imm, d], zero-extended
struct Const32Step {
  static constexpr Handler kFail = nullptr;
  TENON_STEP {
    slot_at(pc, fp, kFieldD)->u64_ = read<u32>(pc, kFieldImm);
    pc += 16;
    return true;
  }
};
// The accumulator of a class to [d].
template <Class cls>
struct StoreAccStep {
  static constexpr Handler kFail = nullptr;
  TENON_STEP {
    to_slot(slot_at(pc, fp, kFieldD), from_reg<ClassType<cls>>(r0, x0));
    pc += 16;
    return true;
  }
};
// [a, b, c condition, d]
template <Class cls, bool in_r0, bool store>
struct SelectStep {
  static constexpr Handler kFail = nullptr;
  TENON_STEP {
    using T = ClassType<cls>;
    const u32 condition = in_r0 ? static_cast<u32>(r0) : slot_at(pc, fp, kFieldC)->u32_;
    const u16 from = condition ? read<u16>(pc, kFieldA) : read<u16>(pc, kFieldB);
    const T v = from_slot<T>(fp + from);
    if constexpr (store) to_slot(slot_at(pc, fp, kFieldD), v);
    to_reg(r0, x0, v);
    pc += 16;
    return true;
  }
};
// [d] ext: GlobalCell*
template <Class cls, bool store>
struct GlobalGetStep {
  static constexpr Handler kFail = nullptr;
  TENON_STEP {
    using T = ClassType<cls>;
    const T v = from_slot<T>(&read<const GlobalCell*>(pc, kFieldExt)->lo);
    if constexpr (store) to_slot(slot_at(pc, fp, kFieldD), v);
    to_reg(r0, x0, v);
    pc += 24;
    return true;
  }
};
// [a] ext: GlobalCell*
template <Class cls, bool from_acc>
struct GlobalSetStep {
  static constexpr Handler kFail = nullptr;
  TENON_STEP {
    using T = ClassType<cls>;
    const T v = from_acc ? from_reg<T>(r0, x0) : from_slot<T>(slot_at(pc, fp, kFieldA));
    to_slot(&read<GlobalCell*>(pc, kFieldExt)->lo, v);
    pc += 24;
    return true;
  }
};

}  // namespace tenon::interp
