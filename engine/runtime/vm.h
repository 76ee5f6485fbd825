// What compiled code, interpreter and host functions share: slots, statuses, and the C structs whose layout
// the JIT and artefacts rely on (docs/design/0001-abi.md). Only plain data; behaviour is in the other files
// of this folder.
#pragma once
#include <cstddef>

#include "engine/base.h"
#include "engine/module.h"
#include "engine/runtime/trap.h"

namespace tenon {

class Store;
class Instance;
class Memory;
class Table;
struct Tag;
struct FuncRef;
struct VMContext;
struct StoreContext;

// An 8-byte value cell; v128 takes two consecutive ones, the low half first. 32-bit values leave the upper
// half undefined.
union Slot {
  u32 u32_;
  i32 i32_;
  u64 u64_;
  i64 i64_;
  f32 f32_;
  f64 f64_;
  u64 ref;
  void* ptr;
};
static_assert(sizeof(Slot) == 8);

// References are 64 bits: 0 is null; an odd value is an i31 (value << 1 | 1, zero-extended from 32 bits);
// otherwise the func hierarchy holds FuncRef*, and any, extern and exn hold Object* (engine/runtime/gc.h; a
// host value is an Object too, so any.convert_extern and extern.convert_any are the identity).
inline constexpr u64 kNullRef = 0;

// What an array entry returns. Nothing unwinds through host or interpreter frames: each caller looks at the
// status.
enum class Status : u32 {
  ok,
  trap,       // Store::trap() says which
  exception,  // StoreContext::exception holds the exnref
  tail_call,  // "pending call": StoreContext::pending_callee with arguments in transfer; the boundary makes
              // the call
  exit,       // the guest asked to end (proc_exit); travels like a trap
};

// Called by the interpreter and by hosts. Arguments lie in `slots`, results replace them from slots[0]; the
// caller provides max(param_slots, result_slots). `self` is the callee's own FuncRef.
using ArrayEntry = Status (*)(FuncRef* self, Slot* slots);

// A callable function. Lives as long as its Store; a funcref value is its address.
struct FuncRef {
  // Compiled callers: C convention (native_context, args…). Until the function itself is compiled this is the
  // signature's native→array thunk, and native_context is this FuncRef; afterwards it is the VMContext. Both
  // change together, on the Store's own thread only. Null while the Store has no compiler.
  void* native_entry;
  void* native_context;
  ArrayEntry array_entry;
  VMContext* vmctx;  // the defining instance; null for host functions
  TypeId type;       // canonical
  u32 index;         // FuncIdx in the defining instance; host functions: 0
  void* code;        // the tier's own: interpreter code, or HostFunc*
};
static_assert(sizeof(FuncRef) == 48);

// What a 32-bit memory with 64 KiB pages reserves: any index plus any offset plus any access width.
inline constexpr u64 kGuardedReservation = (u64{8} << 30) + (u64{64} << 10);
struct MemoryDesc {
  u8* base;      // never moves while the Memory lives when `reserved`
  u64 length;    // bytes that can be accessed; shared memories: read and written atomically
  u64 reserved;  // address space behind base, guard included, 0 when the memory moves on growth;
                 // ≥ kGuardedReservation: an access past length faults, no 32-bit access needs a check
};
struct TableDesc {
  u64* elements;  // references; moves on growth
  u64 size;
};
// A global's cell; 16 bytes so that v128 fits.
struct alignas(16) GlobalCell {
  Slot lo, hi;
};

// One per Store; instances point to it. Fields that compiled code reads come first.
struct StoreContext {
  u8* stack_limit;    // native stack pointer must stay above
  Slot* value_limit;  // end of the interpreter's value stack
  Slot* value_top;    // first free slot of it, while anything else than the interpreter's own code runs
  u64* epoch;         // read by compiled code and interpreter when epochs are on
  u64 epoch_deadline;
  i64 fuel;                 // counts down when fuel is on
  volatile u32 interrupt;   // set from other threads or signal handlers: trap `interrupted` at the next check
  u32 flags;                // StoreFlag
  u64 exception;            // the exnref in flight with Status::exception
  FuncRef* pending_callee;  // with Status::tail_call
  Slot* transfer;           // argument buffer of pending calls, grown by Store::transfer()
  u64 transfer_slots;
  void* activation;            // innermost entry into compiled code (jit/)
  const void* const* helpers;  // functions that compiled code may call (engine/runtime/helpers.def)
  Store* store;
  Slot* value_base;  // start of the interpreter's value stack; the collector scans [value_base, value_top)
  u8* native_base;   // where the outermost entry's native frames begin; the collector scans from the stack
                     // pointer
  i32 ticks;  // the interpreter counts it down at calls and backward branches; below 0 it asks what is due
  i32 tick_period;                     // what ticks starts with again
  const TypeDisplay* const* displays;  // TypeRegistry::displays()
};

enum StoreFlag : u32 {
  kPoisoned = 1,  // compiled code was interrupted at an arbitrary instruction: nothing may run again
};

// One per instance. The header is fixed; cells follow at offsets that VMLayout computes from the module
// alone.
struct VMContext {
  StoreContext* store;
  Instance* instance;
  const Module* module;
  u8* memory0_base;  // base of memory 0 where it can never move, else null
  // Trailing, each 16-aligned, see VMLayout:
  //   MemoryDesc* memories[]      all memories, imported ones too
  //   TableDesc*  tables[]
  //   GlobalCell* imported_globals[]
  //   GlobalCell  globals[]       own ones, in place
  //   FuncRef*    imported_functions[]
  //   FuncRef     functions[]     own ones, in place
  //   u32         types[]         canonical TypeId of each type index
  //   void*       tags[]          identity of each tag (Tag*)
};

// Offsets in bytes from the VMContext.
struct VMLayout {
  u32 memories, tables, imported_globals, globals, imported_functions, functions, types, tags, size;
  explicit VMLayout(const Module& module);
};

template <class T>
T* vm_at(VMContext* vm, u32 offset) {
  return reinterpret_cast<T*>(reinterpret_cast<u8*>(vm) + offset);
}

}  // namespace tenon
