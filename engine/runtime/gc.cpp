// Size-classed blocks in one reservation, mark with an explicit stack, sweep at once. See gc.h for what
// counts as a root.
#include "engine/runtime/gc.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>

#include "engine/runtime/store.h"

namespace tenon {
namespace {

constexpr u64 kBlock = 16 << 10, kGranule = 16;
constexpr u64 kTagBytes = 8;  // an exception's Tag*
constexpr u64 kMinThreshold = 4 << 20;
constexpr u64 kReturnToSystem = 1 << 20;  // freed large objects from this size on give their pages back
constexpr std::array<u16, 28> kCells = {16,   32,   48,   64,   80,   96,   112,  128, 160, 192,
                                        224,  256,  320,  384,  448,  512,  640,  768, 896, 1024,
                                        1280, 1536, 1808, 2048, 2720, 4096, 5456, 8192};
constexpr u64 kMaxSmall = kCells.back();

// Size class by granules.
constexpr auto kClassOf = [] {
  std::array<u8, kMaxSmall / kGranule + 1> classes{};
  u8 c = 0;
  for (u64 g = 0; g < classes.size(); ++g) {
    if (g * kGranule > kCells[c]) ++c;
    classes[g] = c;
  }
  return classes;
}();
u32 class_of(u64 bytes) { return kClassOf[(bytes + kGranule - 1) / kGranule]; }

Object*& next_free(Object* cell) { return *reinterpret_cast<Object**>(cell->payload()); }

bool holds_object(ValType t, const TypeRegistry& types) {
  return t.is_ref() && types.top_of(t.heap()) != HeapType(AbstractHeap::func);
}

struct HostPayload {
  u64 value;
  Heap::Finalizer finalizer;
};

}  // namespace

// What tracing needs of a type.
struct Heap::TypeInfo {
  std::vector<u32> ref_offsets;  // of a struct
  bool ref_elements = false;     // of an array
};

class Heap::Tracer final : public Marker {
 public:
  explicit Tracer(Heap& heap) : heap_(heap) {}
  void mark(u64 ref) override {
    if (ref == kNullRef || is_i31(ref)) return;
    if (heap_.set_mark(as_object(ref))) heap_.pending_.push_back(as_object(ref));
  }
  // Reads other frames' memory, redzones of sanitizers included.
  __attribute__((no_sanitize("address", "thread"))) void mark_range(const void* lo, const void* hi) override {
    const u64 first = (reinterpret_cast<u64>(lo) + 7) & ~u64{7};
    for (u64 at = first; at + 8 <= reinterpret_cast<u64>(hi); at += 8)
      if (Object* o = heap_.find(*reinterpret_cast<const volatile u64*>(at)); o && heap_.set_mark(o))
        heap_.pending_.push_back(o);
  }
  void drain() {
    while (!heap_.pending_.empty()) {
      Object* o = heap_.pending_.back();
      heap_.pending_.pop_back();
      trace(o);
    }
  }

 private:
  void trace(Object* o) {
    if (o->type == kHostObject) return;
    if (o->type == kExceptionObject) return trace_exception(o);
    const TypeInfo& info = heap_.info(TypeId{o->type});
    for (const u32 offset : info.ref_offsets) mark(*reinterpret_cast<u64*>(o->payload() + offset));
    if (info.ref_elements)
      for (u32 i = 0; i < o->length; ++i) mark(*reinterpret_cast<u64*>(array_element(o, i, 8)));
  }
  void trace_exception(Object* o) {
    const Slot* slot = exception_args(o).data();
    for (const ValType t : heap_.types_.get(exception_tag(o)->type).func()->params) {
      if (holds_object(t, heap_.types_)) mark(slot->ref);
      slot += t.slots();
    }
  }
  Heap& heap_;
};

Heap::Heap(const TypeRegistry& types, u64 limit_bytes, RootVisitor roots)
    : types_(types),
      limit_(limit_bytes),
      roots_(std::move(roots)),
      threshold_(std::min(kMinThreshold, limit_bytes)) {
  free_cells_.resize(kCells.size());
}

Heap::~Heap() {
  for (u32 b = 0; b < blocks_.size(); ++b) blocks_[b].marks.fill(0);
  if (base_) {
    sweep();
    munmap(base_, reserved_);
  }
}

// Address space for all that the limit allows; halves it until the system agrees.
bool Heap::reserve() {
  if (base_) return true;
  for (u64 bytes = (std::min(limit_, u64{1} << 40) + 2 * kBlock) / kBlock * kBlock; bytes >= kBlock;
       bytes = bytes / 2 / kBlock * kBlock) {
    void* p =
        mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) continue;
    base_ = static_cast<u8*>(p);
    reserved_ = bytes;
    return true;
  }
  return false;
}

// The first of `count` neighbouring free blocks: reused ones, else new ones at the end.
std::optional<u32> Heap::take_blocks(u64 count) {
  if (count == 1 && !free_blocks_.empty()) {
    const u32 b = free_blocks_.back();
    free_blocks_.pop_back();
    return b;
  }
  if (count > 1 && free_blocks_.size() >= count) {
    u64 run = 0;
    for (u32 b = 0; b < blocks_.size(); ++b) {
      run = blocks_[b].kind == Block::Kind::free ? run + 1 : 0;
      if (run < count) continue;
      const u32 first = b + 1 - static_cast<u32>(count);
      std::erase_if(free_blocks_, [&](u32 f) { return f >= first && f <= b; });
      return first;
    }
  }
  if (!reserve() || (blocks_.size() + count) * kBlock > reserved_) return std::nullopt;
  const u32 first = static_cast<u32>(blocks_.size());
  blocks_.resize(blocks_.size() + count);
  return first;
}

// Cuts a block into free cells.
bool Heap::carve(u32 size_class) {
  const auto b = take_blocks(1);
  if (!b) return false;
  blocks_[*b].kind = Block::Kind::small;
  blocks_[*b].size_class = static_cast<u8>(size_class);
  const u64 cell = kCells[size_class];
  u8* start = base_ + *b * kBlock;
  for (u64 i = kBlock / cell; i-- > 0;) {
    auto* o = reinterpret_cast<Object*>(start + i * cell);
    o->type = kFreeCell;
    next_free(o) = free_cells_[size_class];
    free_cells_[size_class] = o;
  }
  return true;
}

// A zeroed cell for `bytes`, or null when there is no room.
Object* Heap::try_allocate(u64 bytes) {
  if (bytes <= kMaxSmall) {
    const u32 c = class_of(bytes);
    if (stats_.bytes + kCells[c] > limit_ || (!free_cells_[c] && !carve(c))) return nullptr;
    Object* o = free_cells_[c];
    free_cells_[c] = next_free(o);
    std::memset(static_cast<void*>(o), 0, kCells[c]);
    stats_.bytes += kCells[c];
    return o;
  }
  const u64 count = (bytes + kBlock - 1) / kBlock;
  if (count * kBlock > limit_ || stats_.bytes > limit_ - count * kBlock) return nullptr;
  const auto first = take_blocks(count);
  if (!first) return nullptr;
  for (u32 i = 0; i < count; ++i) {
    blocks_[*first + i].kind = i == 0 ? Block::Kind::large : Block::Kind::tail;
    blocks_[*first + i].extent = i == 0 ? static_cast<u32>(count) : i;
  }
  auto* o = reinterpret_cast<Object*>(base_ + *first * kBlock);
  std::memset(static_cast<void*>(o), 0, bytes);
  stats_.bytes += count * kBlock;
  return o;
}

Object* Heap::allocate(u64 bytes) {
  const bool too_large = bytes > limit_;
  if (too_large) return nullptr;
  if (stress_ || stats_.bytes + bytes > threshold_) collect();
  Object* o = try_allocate(bytes);
  if (!o) {
    collect();
    o = try_allocate(bytes);
  }
  if (o) ++stats_.objects;
  return o;
}

Object* Heap::new_struct(TypeId type) {
  Object* o = allocate(sizeof(Object) + types_.get(type).struct_()->size);
  if (o) o->type = type.value;
  return o;
}

Object* Heap::new_array(TypeId type, u32 length) {
  // One byte more, so that a pointer just past the last element still points into the object.
  Object* o = allocate(sizeof(Object) + u64{length} * types_.get(type).array()->element.size() + 1);
  if (o) *o = {type.value, length};
  return o;
}

Object* Heap::new_exception(Tag* tag, std::span<const Slot> args) {
  Object* o = allocate(sizeof(Object) + kTagBytes + args.size_bytes());
  if (!o) return nullptr;
  *o = {kExceptionObject, static_cast<u32>(args.size())};
  std::memcpy(o->payload(), &tag, kTagBytes);
  std::memcpy(o->payload() + kTagBytes, args.data(), args.size_bytes());
  return o;
}

Object* Heap::new_host(u64 value, Finalizer finalizer) {
  Object* o = allocate(sizeof(Object) + sizeof(HostPayload));
  if (!o) return nullptr;
  *o = {kHostObject, 0};
  const HostPayload payload{value, finalizer};
  std::memcpy(o->payload(), &payload, sizeof payload);
  return o;
}

const Heap::TypeInfo& Heap::info(TypeId type) {
  if (infos_.size() <= type.value) infos_.resize(type.value + 1);
  auto& slot = infos_[type.value];
  if (slot) return *slot;
  slot = std::make_unique<TypeInfo>();
  const DefType& def = types_.get(type);
  if (const StructType* s = def.struct_()) {
    for (size_t i = 0; i < s->fields.size(); ++i)
      if (holds_object(s->fields[i].type, types_)) slot->ref_offsets.push_back(s->offsets[i]);
  } else if (const ArrayType* a = def.array()) {
    slot->ref_elements = holds_object(a->element.type, types_);
  }
  return *slot;
}

// The live object whose cell holds this address.
Object* Heap::find(u64 address) {
  const u64 offset = address - reinterpret_cast<u64>(base_);
  if (!base_ || offset >= blocks_.size() * kBlock) return nullptr;
  const u64 b = offset / kBlock;
  switch (blocks_[b].kind) {
    case Block::Kind::free: return nullptr;
    case Block::Kind::large: return reinterpret_cast<Object*>(base_ + b * kBlock);
    case Block::Kind::tail: return reinterpret_cast<Object*>(base_ + (b - blocks_[b].extent) * kBlock);
    case Block::Kind::small: break;
  }
  const u64 cell = kCells[blocks_[b].size_class], index = offset % kBlock / cell;
  if ((index + 1) * cell > kBlock) return nullptr;  // the block's rest
  auto* o = reinterpret_cast<Object*>(base_ + b * kBlock + index * cell);
  return o->type == kFreeCell ? nullptr : o;
}

// True when it was not marked before.
bool Heap::set_mark(Object* o) {
  const u64 offset = static_cast<u64>(reinterpret_cast<u8*>(o) - base_);
  Block& block = blocks_[offset / kBlock];
  const u64 granule = offset % kBlock / kGranule, bit = u64{1} << granule % 64;
  u64& word = block.marks[granule / 64];
  if (word & bit) return false;
  word |= bit;
  return true;
}

void Heap::collect() {
  if (!base_) return;
  for (Block& b : blocks_) b.marks.fill(0);
  Tracer tracer(*this);
  for (const u64 ref : handles_) tracer.mark(ref);
  roots_(tracer);
  tracer.drain();
  sweep();
  ++stats_.collections;
  threshold_ = std::min(limit_, std::max(kMinThreshold, stats_.bytes * 2));
}

void Heap::sweep() {
  const u64 before = stats_.objects;
  stats_.objects = stats_.bytes = 0;
  std::fill(free_cells_.begin(), free_cells_.end(), nullptr);
  free_blocks_.clear();
  for (u32 b = 0; b < blocks_.size(); ++b) {
    Block& block = blocks_[b];
    if (block.kind == Block::Kind::small) {
      const u32 live = sweep_small(b);
      stats_.objects += live;
      stats_.bytes += u64{live} * kCells[block.size_class];
    } else if (block.kind == Block::Kind::large) {
      if (block.marks[0] & 1) {
        ++stats_.objects;
        stats_.bytes += block.extent * kBlock;
      } else {
        free_large(b);
      }
    }
    if (blocks_[b].kind == Block::Kind::free) free_blocks_.push_back(b);
  }
  stats_.freed += before - stats_.objects;
}

// Frees unmarked cells of a block, and the block when nothing lives in it. Gives the number of live objects.
u32 Heap::sweep_small(u32 b) {
  Block& block = blocks_[b];
  const u64 cell = kCells[block.size_class];
  u8* start = base_ + b * kBlock;
  u32 live = 0;
  Object*& head = free_cells_[block.size_class];
  Object* const head_before = head;
  for (u64 i = kBlock / cell; i-- > 0;) {
    auto* o = reinterpret_cast<Object*>(start + i * cell);
    const u64 granule = i * cell / kGranule;
    if ((block.marks[granule / 64] >> granule % 64) & 1) {
      ++live;
      continue;
    }
    if (o->type != kFreeCell) finalize(o);
    o->type = kFreeCell;
    next_free(o) = head;
    head = o;
  }
  if (live == 0) {
    head = head_before;
    block.kind = Block::Kind::free;
  }
  return live;
}

void Heap::free_large(u32 b) {
  auto* o = reinterpret_cast<Object*>(base_ + b * kBlock);
  finalize(o);
  const u32 count = blocks_[b].extent;
  if (count * kBlock >= kReturnToSystem) madvise(o, count * kBlock, MADV_DONTNEED);
  for (u32 i = 0; i < count; ++i) blocks_[b + i].kind = Block::Kind::free;
}

void Heap::finalize(Object* o) {
  if (o->type != kHostObject) return;
  HostPayload payload;
  std::memcpy(&payload, o->payload(), sizeof payload);
  if (payload.finalizer) payload.finalizer(payload.value);
}

u32 Heap::root(u64 ref) {
  if (free_handles_.empty()) {
    handles_.push_back(ref);
    return static_cast<u32>(handles_.size() - 1);
  }
  const u32 h = free_handles_.back();
  free_handles_.pop_back();
  handles_[h] = ref;
  return h;
}

void Heap::unroot(u32 handle) {
  handles_[handle] = kNullRef;
  free_handles_.push_back(handle);
}

void load_field(const u8* at, const FieldType& field, bool sign, Slot* out) {
  switch (field.packed) {
    case Packed::i8: out->u32_ = sign ? static_cast<u32>(static_cast<i8>(*at)) : *at; return;
    case Packed::i16: {
      u16 v;
      std::memcpy(&v, at, sizeof v);
      out->u32_ = sign ? static_cast<u32>(static_cast<i16>(v)) : v;
      return;
    }
    case Packed::none: std::memcpy(out, at, field.size());
  }
}

void store_field(u8* at, const FieldType& field, const Slot* in) { std::memcpy(at, in, field.size()); }

bool ref_test(const TypeRegistry& types, u64 ref, HeapType target, bool nullable) {
  if (ref == kNullRef) return nullable;
  if (target.is_defined() && types.get(target.type_id()).func())
    return types.is_subtype(reinterpret_cast<const FuncRef*>(ref)->type, target.type_id());
  const bool i31 = is_i31(ref);
  const u32 type = i31 ? kFreeCell : as_object(ref)->type;
  const bool typed = !i31 && type < kExceptionObject;
  if (target.is_defined()) return typed && types.is_subtype(TypeId{type}, target.type_id());
  switch (target.abstract()) {
    case AbstractHeap::func:
    case AbstractHeap::any:
    case AbstractHeap::extern_:
    case AbstractHeap::exn: return true;
    case AbstractHeap::i31: return i31;
    case AbstractHeap::eq: return i31 || typed;
    case AbstractHeap::struct_: return typed && types.get(TypeId{type}).struct_();
    case AbstractHeap::array: return typed && types.get(TypeId{type}).array();
    default: return false;  // the bottom types hold nothing
  }
}

}  // namespace tenon
