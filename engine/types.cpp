// The type registry: iso-recursive canonicalisation and the subtype relation (spec: valid/conventions,
// valid/matching).
#include "engine/types.h"

#include <sys/mman.h>

#include <array>
#include <atomic>
#include <bit>
#include <unordered_map>

#include <fmt/format.h>

#include "engine/brief_lock.h"
#include "engine/errors.h"

namespace tenon {
namespace {

// The deepest chain of supertypes; each type keeps its whole chain (DefType::display).
constexpr size_t kMaxSubtypeDepth = 63;

constexpr u32 bit(AbstractHeap h) { return 1u << static_cast<u32>(h); }

// For each abstract heap type the set of its abstract supertypes, itself included.
constexpr auto kAbstractSupers = [] {
  using enum AbstractHeap;
  std::array<u32, 13> t{};
  const auto set = [&](AbstractHeap h, u32 supers) { t[static_cast<u32>(h)] = supers | bit(h); };
  set(func, 0);
  set(nofunc, bit(func));
  set(extern_, 0);
  set(noextern, bit(extern_));
  set(any, 0);
  set(eq, bit(any));
  set(i31, bit(eq) | bit(any));
  set(struct_, bit(eq) | bit(any));
  set(array, bit(eq) | bit(any));
  set(none, bit(i31) | bit(struct_) | bit(array) | bit(eq) | bit(any));
  set(exn, 0);
  set(noexn, bit(exn));
  set(bottom, (1u << 13) - 1);
  return t;
}();

bool is_abstract_subtype(AbstractHeap sub, AbstractHeap super) {
  return (kAbstractSupers[static_cast<u32>(sub)] & bit(super)) != 0;
}

// The abstract type directly above a defined type.
AbstractHeap abstract_of(const DefType& t) {
  if (t.func()) return AbstractHeap::func;
  return t.struct_() ? AbstractHeap::struct_ : AbstractHeap::array;
}

// A group as a sequence of words: equal words mean equal groups, since references to members are positions
// and references to other groups are canonical already.
class GroupKey {
 public:
  explicit GroupKey(const std::vector<SubType>& group) {
    for (const SubType& s : group) {
      word(static_cast<u32>(s.composite.index()) | (s.final_ ? 4 : 0) | (s.super ? 8 : 0));
      if (s.super) word(s.super->bits());
      std::visit([this](const auto& c) { add(c); }, s.composite);
    }
  }
  std::u32string take() { return std::move(words_); }

 private:
  void word(u32 w) { words_.push_back(static_cast<char32_t>(w)); }
  void add(const FuncType& f) {
    word(static_cast<u32>(f.params.size()));
    word(static_cast<u32>(f.results.size()));
    for (ValType t : f.params) word(t.bits());
    for (ValType t : f.results) word(t.bits());
  }
  void add(const FieldType& f) {
    word(static_cast<u32>(f.packed) | (f.mutable_ ? 4 : 0));
    word(f.type.bits());
  }
  void add(const StructType& s) {
    word(static_cast<u32>(s.fields.size()));
    for (const FieldType& f : s.fields) add(f);
  }
  void add(const ArrayType& a) { add(a.element); }

  std::u32string words_;
};

// Replaces references to members of the group by their new ids.
class Resolver {
 public:
  explicit Resolver(u32 first) : first_(first) {}
  HeapType operator()(HeapType h) const {
    return h.is_rec_member() ? HeapType(TypeId{first_ + h.rec_position()}) : h;
  }
  void apply(ValType& t) const {
    if (t.is_ref()) t = ValType::ref((*this)(t.heap()), t.nullable());
  }
  void apply(FuncType& f) const {
    for (ValType& t : f.params) apply(t);
    for (ValType& t : f.results) apply(t);
  }
  void apply(StructType& s) const {
    for (FieldType& f : s.fields) apply(f.type);
  }
  void apply(ArrayType& a) const { apply(a.element.type); }

 private:
  u32 first_;
};

void lay_out(FuncType& f) {
  f.param_slots = f.result_slots = 0;
  for (ValType t : f.params) f.param_slots += t.slots();
  for (ValType t : f.results) f.result_slots += t.slots();
}
// Fields lie in order, so that a subtype begins like its supertype; each is aligned to its size, at most 8.
void lay_out(StructType& s) {
  s.offsets.clear();
  s.size = 0;
  s.defaultable = true;
  for (const FieldType& f : s.fields) {
    const u32 align = std::min(f.size(), 8u);
    s.size = (s.size + align - 1) & ~(align - 1);
    s.offsets.push_back(s.size);
    s.size += f.size();
    s.defaultable = s.defaultable && f.type.is_defaultable();
  }
}
void lay_out(ArrayType&) {}

}  // namespace

u32 FieldType::size() const {
  switch (packed) {
    case Packed::i8: return 1;
    case Packed::i16: return 2;
    case Packed::none: break;
  }
  switch (type.kind()) {
    case ValKind::i32:
    case ValKind::f32: return 4;
    case ValKind::v128: return 16;
    default: return 8;
  }
}

// Types lie in chunks that never move, so that get() needs no lock: a chunk is published before any id in it
// is. Each is twice as large as the one before: a small program pays for a small one.
struct TypeRegistry::Impl {
  static constexpr u32 kFirstChunk = 64;
  static constexpr u32 kChunks = std::bit_width(HeapType::kMaxTypes / kFirstChunk + 1);

  std::mutex mutex;
  u32 count = 0;
  std::array<std::atomic<DefType*>, kChunks> chunks{};
  std::unordered_map<std::u32string, u32> groups;  // key → first id

  // Address space for every id there may be; pages come as ids are used.
  static constexpr u64 kDisplayBytes = u64{HeapType::kMaxTypes} * sizeof(TypeDisplay*);
  const TypeDisplay** displays = nullptr;
  std::deque<TypeDisplay> display_records;

  Impl() {
    void* p = mmap(nullptr, kDisplayBytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p != MAP_FAILED) displays = static_cast<const TypeDisplay**>(p);
  }
  ~Impl() {
    if (displays) munmap(displays, kDisplayBytes);
    for (std::atomic<DefType*>& chunk : chunks) delete[] chunk.load(std::memory_order_relaxed);
  }
  static u32 chunk_of(u32 id) { return static_cast<u32>(std::bit_width(id / kFirstChunk + 1)) - 1; }
  static u32 first_of(u32 chunk) { return kFirstChunk * ((1u << chunk) - 1); }
  DefType& at(u32 id) const {
    const u32 chunk = chunk_of(id);
    return chunks[chunk].load(std::memory_order_acquire)[id - first_of(chunk)];
  }
  DefType& append() {
    const u32 chunk = chunk_of(count);
    if (!chunks[chunk].load(std::memory_order_relaxed))
      chunks[chunk].store(new DefType[kFirstChunk << chunk], std::memory_order_release);
    return at(count++);
  }
  void add_display(const DefType& t) {
    if (!displays) return;
    TypeDisplay& d = display_records.emplace_back();
    d.kind = t.func()      ? TypeDisplay::Kind::func
             : t.struct_() ? TypeDisplay::Kind::struct_
                           : TypeDisplay::Kind::array;
    for (u32 i = 0; i < d.ids.size(); ++i)
      d.ids[i] = i < t.display.size() ? t.display[i].value : TypeDisplay::kNoType;
    displays[t.id.value] = &d;
  }
};

TypeRegistry::TypeRegistry(Identity identity) : identity_(identity), impl_(std::make_unique<Impl>()) {}
TypeRegistry::~TypeRegistry() = default;

const DefType& TypeRegistry::get(TypeId id) const { return impl_->at(id.value); }
const TypeDisplay* const* TypeRegistry::displays() const { return impl_->displays; }

Result<TypeId> TypeRegistry::add_group(std::vector<SubType> group) {
  std::u32string key;
  if (identity_ == Identity::canonical) key = GroupKey(group).take();
  const BriefLock lock(impl_->mutex);
  if (auto it = impl_->groups.find(key); it != impl_->groups.end()) return TypeId{it->second};

  const u32 first = impl_->count, size = static_cast<u32>(group.size());
  if (size > HeapType::kMaxTypes - first)
    return std::unexpected(
        make_limit_error({}, "types in one engine", u64{first} + size, HeapType::kMaxTypes));
  // Depths first, so that a refused group leaves nothing behind.
  std::vector<size_t> depths;
  for (const SubType& s : group) {
    size_t depth = 0;
    if (s.super) {
      const bool member = s.super->is_rec_member();
      if (member && s.super->rec_position() >= depths.size())
        return std::unexpected(
            make_error(Err::unknown_type, {}, "a supertype must come before its subtypes"));
      depth = 1 + (member ? depths[s.super->rec_position()]
                          : impl_->at(s.super->type_id().value).display.size() - 1);
    }
    if (depth > kMaxSubtypeDepth)
      return std::unexpected(make_limit_error({}, "supertypes of one type", depth, kMaxSubtypeDepth));
    depths.push_back(depth);
  }

  const Resolver resolve(first);
  for (u32 i = 0; i < size; ++i) {
    DefType& t = impl_->append();
    t.id = TypeId{first + i};
    t.group_first = first;
    t.group_size = size;
    t.sub = std::move(group[i]);
    if (t.sub.super) t.sub.super = resolve(*t.sub.super);
    std::visit(
        [&](auto& c) {
          resolve.apply(c);
          lay_out(c);
        },
        t.sub.composite);
    if (t.sub.super) t.display = impl_->at(t.sub.super->type_id().value).display;
    t.display.push_back(t.id);
    impl_->add_display(t);
  }
  if (identity_ == Identity::canonical) impl_->groups.emplace(std::move(key), first);
  return TypeId{first};
}

TypeId TypeRegistry::add_func_type(std::vector<ValType> params, std::vector<ValType> results) {
  std::vector<SubType> group(1);
  group[0].composite = FuncType{std::move(params), std::move(results)};
  // Fails only when the registry is full, four million distinct types on; the first type then stands in,
  // which a signature check at link time refuses.
  return add_group(std::move(group)).value_or(TypeId{0});
}

bool TypeRegistry::is_subtype(TypeId sub, TypeId super) const {
  if (sub == super) return true;
  const std::vector<TypeId>& chain = get(sub).display;
  const size_t depth = get(super).display.size() - 1;
  return chain.size() > depth && chain[depth] == super;
}

bool TypeRegistry::is_subtype(HeapType sub, HeapType super) const {
  if (sub == super) return true;
  if (sub.is_defined()) {
    if (super.is_defined()) return is_subtype(sub.type_id(), super.type_id());
    return super.is_abstract() && is_abstract_subtype(abstract_of(get(sub.type_id())), super.abstract());
  }
  if (!sub.is_abstract()) return false;
  if (super.is_abstract()) return is_abstract_subtype(sub.abstract(), super.abstract());
  return super.is_defined() && (sub.abstract() == AbstractHeap::bottom || sub == bottom_of(super));
}

bool TypeRegistry::is_subtype(ValType sub, ValType super) const {
  if (sub == super || sub.is_bottom()) return true;
  if (!sub.is_ref() || !super.is_ref()) return false;
  return (super.nullable() || !sub.nullable()) && is_subtype(sub.heap(), super.heap());
}

HeapType TypeRegistry::top_of(HeapType h) const {
  const AbstractHeap a = h.is_defined() ? abstract_of(get(h.type_id())) : h.abstract();
  using enum AbstractHeap;
  for (AbstractHeap top : {func, extern_, exn})
    if (a != bottom && is_abstract_subtype(a, top)) return top;
  return any;
}

HeapType TypeRegistry::bottom_of(HeapType h) const {
  using enum AbstractHeap;
  switch (top_of(h).abstract()) {
    case func: return nofunc;
    case extern_: return noextern;
    case exn: return noexn;
    default: return none;
  }
}

std::string to_string(HeapType h) {
  static constexpr std::string_view kNames[] = {"func", "nofunc", "extern", "noextern", "any",
                                                "eq",   "i31",    "struct", "array",    "none",
                                                "exn",  "noexn",  "bottom"};
  if (h.is_rec_member()) return fmt::format("rec.{}", h.rec_position());
  return h.is_abstract() ? std::string(kNames[static_cast<size_t>(h.abstract())])
                         : fmt::format("{}", h.type_id().value);
}

std::string to_string(ValType t) {
  static constexpr std::string_view kNames[] = {"i32", "i64", "f32", "f64", "v128", "ref", "bottom"};
  if (!t.is_ref()) return std::string(kNames[static_cast<size_t>(t.kind())]);
  return fmt::format("(ref {}{})", t.nullable() ? "null " : "", to_string(t.heap()));
}

std::string to_string(const FuncType& t) {
  const auto list = [](const std::vector<ValType>& types) {
    std::string s;
    for (ValType v : types) s += (s.empty() ? "" : " ") + to_string(v);
    return s;
  };
  return fmt::format("[{}] -> [{}]", list(t.params), list(t.results));
}

}  // namespace tenon
