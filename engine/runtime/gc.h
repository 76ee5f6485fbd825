// The heap of a store: structs, arrays, host values and exceptions behind 64-bit references (vm.h), a
// non-moving mark and sweep collector, and what reads and writes fields. It does not know the tiers: roots
// come through RootVisitor.
#pragma once
#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/base.h"
#include "engine/runtime/vm.h"
#include "engine/types.h"

namespace tenon {

// A heap object; a reference of the any, extern or exn hierarchy is its address. Payload follows the 8-byte
// header and is 8-aligned (v128 fields are too, so they are accessed unaligned):
//   struct: fields at StructType::offsets    array: elements, FieldType::size() bytes each
//   exception: Tag*, then the arguments' slots    host value: u64, then its finalizer
struct Object {
  u32 type;    // a TypeId's value, or one of the kinds below
  u32 length;  // arrays: elements; exceptions: slots; structs and host values: 0
  u8* payload() { return reinterpret_cast<u8*>(this) + sizeof(Object); }
  u64 ref() const { return reinterpret_cast<u64>(this); }
};
static_assert(sizeof(Object) == 8);
inline constexpr u32 kFreeCell = 0xffff'ffff, kHostObject = 0xffff'fffe, kExceptionObject = 0xffff'fffd;

inline bool is_i31(u64 ref) { return (ref & 1) != 0; }
inline u64 make_i31(u32 value) { return static_cast<u32>(value << 1 | 1); }
inline i32 i31_get_s(u64 ref) { return static_cast<i32>(static_cast<u32>(ref)) >> 1; }
inline u32 i31_get_u(u64 ref) { return static_cast<u32>(ref) >> 1; }
inline Object* as_object(u64 ref) { return reinterpret_cast<Object*>(ref); }

inline Tag* exception_tag(Object* e) { return *reinterpret_cast<Tag**>(e->payload()); }
inline std::span<Slot> exception_args(Object* e) {
  return {reinterpret_cast<Slot*>(e->payload() + sizeof(Tag*)), e->length};
}
inline u64 host_value(Object* h) { return *reinterpret_cast<u64*>(h->payload()); }
inline u8* array_element(Object* a, u64 index, u32 element_size) {
  return a->payload() + index * element_size;
}

// One field or element as a value and back. Packed ones widen as `sign` says (struct.get_s, array.get_u, …).
void load_field(const u8* at, const FieldType& field, bool sign, Slot* out);
void store_field(u8* at, const FieldType& field, const Slot* in);

// Spec: exec/instructions, ref.test. Constant time: one look into the type's display.
bool ref_test(const TypeRegistry& types, u64 ref, HeapType target, bool nullable);

// Given to RootVisitor while marking.
class Marker {
 public:
  virtual void mark(u64 ref) = 0;  // a precise reference that is not a funcref
  virtual void mark_range(const void* lo,
                          const void* hi) = 0;  // whatever looks like a pointer into an object

 protected:
  ~Marker() = default;
};
using RootVisitor = std::function<void(Marker&)>;

struct HeapStats {
  u64 objects = 0, bytes = 0;      // in use after the last collection, and allocated since
  u64 collections = 0, freed = 0;  // objects freed by all of them
};

// Not thread-safe: it belongs to one store. Allocation may collect; it gives null when the limit is reached
// even so. New objects are zeroed. What native code and value stack hold counts as a root (conservatively),
// what lies only in C++ containers does not: use root().
class Heap {
 public:
  Heap(const TypeRegistry& types, u64 limit_bytes, RootVisitor roots);
  ~Heap();
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;

  Object* new_struct(TypeId type);
  Object* new_array(TypeId type, u32 length);
  Object* new_exception(Tag* tag, std::span<const Slot> args);
  // A host's value; `finalizer`, where there is one, runs when the object dies.
  using Finalizer = void (*)(u64 value);
  Object* new_host(u64 value, Finalizer finalizer = nullptr);

  void collect();
  void set_stress(bool on) { stress_ = on; }  // collect at each allocation
  const HeapStats& stats() const { return stats_; }

  // Handles: keep an object alive until unroot().
  u32 root(u64 ref);
  u64 rooted(u32 handle) const { return handles_[handle]; }
  void unroot(u32 handle);

 private:
  struct Block {
    enum class Kind : u8 { free, small, large, tail } kind = Kind::free;
    u8 size_class = 0;
    u32 extent = 0;               // large: blocks it takes; tail: its distance from the first
    std::array<u64, 16> marks{};  // a bit for each 16 bytes
  };
  struct TypeInfo;
  class Tracer;
  Object* allocate(u64 bytes);
  Object* try_allocate(u64 bytes);
  bool reserve();
  bool carve(u32 size_class);
  std::optional<u32> take_blocks(u64 count);
  void free_large(u32 block);
  void sweep();
  u32 sweep_small(u32 block);
  void finalize(Object* o);
  const TypeInfo& info(TypeId type);
  bool set_mark(Object* o);
  Object* find(u64 address);

  const TypeRegistry& types_;
  u64 limit_;
  RootVisitor roots_;
  bool stress_ = false;
  HeapStats stats_;
  u64 threshold_;       // bytes in use at which the next collection starts
  u8* base_ = nullptr;  // reserved address space
  u64 reserved_ = 0;
  std::vector<Block> blocks_;        // of the part in use
  std::vector<u32> free_blocks_;     // single ones, below blocks_.size()
  std::vector<Object*> free_cells_;  // heads of lists by size class
  std::vector<std::unique_ptr<TypeInfo>> infos_;
  std::vector<Object*> pending_;  // marked, not yet traced
  std::vector<u64> handles_;
  std::vector<u32> free_handles_;
};

}  // namespace tenon
