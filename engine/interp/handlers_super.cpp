// Superinstructions: handlers that do two instructions in a row, made of the steps of both. The code stays as
// it is, only the first instruction's handler is replaced; so the second one can still be reached by
// branches, and each keeps its position for traps. Families were chosen by counting pairs in bench/engine and
// in guests (docs/interpreter.md).
#include <array>
#include <mutex>
#include <span>

#include "engine/interp/moves.h"
#include "engine/interp/steps.h"

namespace tenon::interp {
namespace {

using enum Op;
constexpr Src S = Src::slot, A = Src::reg, I = Src::imm;

template <class First, class Second>
TENON_HANDLER two(TENON_INTERP_PARAMS) {
  if (!First::exec(pc, fp, mem, vm, mem_len, r0, x0)) [[unlikely]] {
    if constexpr (First::kFail != nullptr) TENON_TAIL(First::kFail);
  }
  if (!Second::exec(pc, fp, mem, vm, mem_len, r0, x0)) [[unlikely]] {
    if constexpr (Second::kFail != nullptr) TENON_TAIL(Second::kFail);
  }
  TENON_DISPATCH();
}
template <class First, class Branch>
TENON_HANDLER two_branch(TENON_INTERP_PARAMS) {
  if (!First::exec(pc, fp, mem, vm, mem_len, r0, x0)) [[unlikely]] {
    if constexpr (First::kFail != nullptr) TENON_TAIL(First::kFail);
  }
  TENON_BRANCH(Branch);
}

// Which handler joins which two. Pairs are added when their first handler is first met: adding all of them
// would cost a short program a quarter of a millisecond. Flat: code addresses as distances, open addressing.
class Table {
 public:
  void add(Handler first, Handler second, Handler both) {
    Row* r = place(distance(first), distance(second));
    *r = {distance(first), distance(second), distance(both)};
  }
  Handler find(Handler first, Handler second) const {
    const Row* r = const_cast<Table*>(this)->place(distance(first), distance(second));
    return r->both ? reinterpret_cast<Handler>(base() + r->both) : nullptr;
  }

 private:
  struct Row {
    i32 first, second, both;  // both == 0: empty
  };
  static constexpr u32 kBits = 13;
  // A handler that joins nothing, so that its distance 0 marks empty rows.
  static u64 base() { return reinterpret_cast<u64>(&raise_trap_at); }
  static i32 distance(Handler h) { return static_cast<i32>(reinterpret_cast<u64>(h) - base()); }
  Row* place(i32 first, i32 second) {
    const u64 key = u64{static_cast<u32>(first)} << 32 | static_cast<u32>(second);
    u64 i = key * 0x9e37'79b9'7f4a'7c15 >> (64 - kBits);
    while (rows_[i].both != 0 && (rows_[i].first != first || rows_[i].second != second))
      i = (i + 1) % rows_.size();
    return &rows_[i];
  }
  std::array<Row, 1 << kBits> rows_{};
};

template <class... Steps>
struct List {};
template <class... A, class... B>
List<A..., B...> operator+(List<A...>, List<B...>);
template <class... L>
using Join = decltype((List<>{} + ... + L{}));

template <class First, class Second>
void add_pair(Table& t) {
  if constexpr (requires { Second::kBack; })
    t.add(&single<First>, &branch<Second>, &two_branch<First, Second>);
  else
    t.add(&single<First>, &single<Second>, &two<First, Second>);
}
template <class First, class... Second>
void add_pairs(Table& t, List<Second...>) {
  (add_pair<First, Second>(t), ...);
}
// All pairs with this first handler of one family.
struct Family {
  Handler first;
  void (*add)(Table&);
};
template <class First, class Seconds>
void add_family(Table& t) {
  add_pairs<First>(t, Seconds{});
}
template <class... First, class Seconds>
consteval std::array<Family, sizeof...(First)> product(List<First...>, Seconds) {
  return {Family{&single<First>, &add_family<First, Seconds>}...};
}

// A numeric step without and with store.
template <Op op, Src l, Src r>
using N = List<NumStep<op, l, r, false>, NumStep<op, l, r, true>>;
template <Src l, Src r, Op... ops>
using Ns = Join<N<ops, l, r>...>;
template <Src address, Op... ops>
using Loads = Join<List<LoadStep<ops, address, false>, LoadStep<ops, address, true>>...>;
template <Src address, Src value, Op... ops>
using Stores = List<StoreStep<ops, address, value>...>;
template <Src r, bool back, Op... ops>
using Branches = List<BranchStep<ops, A, r, true, back>...>;
template <bool back>
using IntBranches = Join<Branches<I, back, i32_eq, i32_ne, i32_lt_s, i32_lt_u, i32_gt_s, i32_gt_u, i32_le_s,
                                  i32_le_u, i32_ge_s, i32_ge_u>,
                         Branches<S, back, i32_eq, i32_ne, i32_lt_s, i32_lt_u, i32_gt_s, i32_gt_u, i32_le_s,
                                  i32_le_u, i32_ge_s, i32_ge_u>,
                         List<BranchStep<i32_eqz, A, S, true, back>, BranchStep<i32_eqz, A, S, false, back>>>;

// Addresses made right before an access.
using Address = Join<N<i32_add, S, I>, N<i32_add, S, S>, N<i32_add, A, I>, N<i32_add, A, S>, N<i32_add, S, A>,
                     N<i32_shl, S, I>, N<i32_shl, A, I>>;
using Access =
    Join<Loads<A, i32_load, i64_load, f32_load, f64_load, i32_load8_u, i32_load8_s, i32_load16_u, v128_load>,
         Stores<A, S, i32_store, i64_store, f32_store, f64_store, i32_store8, v128_store>,
         Stores<A, I, i32_store, i64_store, i32_store8>, Stores<A, A, f32_store, f64_store, v128_store>>;
constexpr auto kFamilies1 = product(Address{}, Access{});

// Counters and tests before a branch.
using Before = Join<N<i32_add, S, I>, N<i32_add, S, S>, N<i32_add, A, I>, N<i32_sub, S, I>, N<i32_and, S, I>,
                    N<i32_and, A, I>, N<i32_and, S, S>, Loads<S, i32_load, i32_load8_u>,
                    Loads<A, i32_load, i32_load8_u>>;
constexpr auto kFamilies2 = product(Before{}, Join<IntBranches<false>, IntBranches<true>>{});

// Operands from memory, and results to it.
constexpr auto kFamilies3 =
    product(Join<Loads<S, i32_load>, Loads<A, i32_load>>{},
            Join<Ns<S, A, i32_add, i32_sub, i32_mul, i32_and, i32_or, i32_xor>,
                 Ns<A, S, i32_add, i32_sub, i32_and, i32_xor>,
                 Ns<A, I, i32_add, i32_sub, i32_and, i32_shl, i32_mul, i32_rotl>, Loads<A, i32_load>>{});
constexpr auto kFamilies4 = product(
    Join<Loads<S, f64_load>, Loads<A, f64_load>, Loads<I, f64_load>>{},
    Join<Ns<S, A, f64_add, f64_sub, f64_mul>, Ns<A, S, f64_add, f64_sub, f64_mul>, Ns<A, I, f64_mul>>{});
constexpr auto kFamilies5 =
    product(Join<Loads<S, f32_load>, Loads<A, f32_load>>{},
            Join<Ns<S, A, f32_add, f32_sub, f32_mul>, Ns<A, S, f32_add, f32_sub, f32_mul>>{});
constexpr auto kFamilies6 =
    product(Join<Loads<S, v128_load>, Loads<A, v128_load>>{},
            Join<Ns<S, A, f32x4_add, f32x4_mul, f32x4_sub, f64x2_add, f64x2_mul, i32x4_add, v128_xor>>{});
constexpr auto kFamilies7 =
    product(Join<Ns<S, A, f64_add, f64_sub, f64_mul>, Ns<A, S, f64_add, f64_sub>>{},
            Join<Stores<S, A, f64_store>, Stores<A, A, f64_store>, Stores<I, A, f64_store>>{});
constexpr auto kFamilies8 = product(Join<Ns<S, A, f32_add, f32_sub, f32_mul>, Ns<A, S, f32_add, f32_sub>>{},
                                    Join<Stores<S, A, f32_store>, Stores<A, A, f32_store>>{});
constexpr auto kFamilies9 = product(Join<Ns<S, A, i32_add, i32_xor>, Ns<A, I, i32_add>, Ns<A, S, i32_add>>{},
                                    Stores<S, A, i32_store>{});

// Chains of arithmetic.
constexpr auto kFamilies10 =
    product(Join<Ns<S, S, f64_mul, f64_add, f64_sub>, Ns<A, S, f64_mul, f64_add, f64_sub>,
                 Ns<S, A, f64_mul, f64_add, f64_sub>, Ns<A, A, f64_mul>>{},
            Join<Ns<S, A, f64_add, f64_sub, f64_mul>, Ns<A, S, f64_add, f64_sub, f64_mul>, Ns<S, S, f64_mul>,
                 Ns<A, A, f64_mul>>{});
constexpr auto kFamilies11 = product(
    Join<Ns<S, I, i32_rotl, i32_shl, i32_shr_u, i32_add, i32_mul, i32_and>,
         Ns<A, I, i32_rotl, i32_shl, i32_shr_u, i32_mul, i32_add>, Ns<S, S, i32_xor, i32_and, i32_add>,
         Ns<S, A, i32_xor, i32_add, i32_and>>{},
    Join<Ns<S, A, i32_xor, i32_and, i32_or, i32_add, i32_sub>, Ns<A, S, i32_xor, i32_and, i32_add>,
         Ns<A, I, i32_shl, i32_shr_u, i32_and, i32_add, i32_mul, i32_rotl>, Ns<S, I, i32_rotl, i32_shr_u>>{});
constexpr auto kFamilies12 = product(Join<Ns<S, A, f32x4_mul, f32x4_add>, Ns<A, S, f32x4_mul, f32x4_add>>{},
                                     Join<Ns<S, A, f32x4_add, f32x4_sub, f32x4_mul>, Ns<A, S, f32x4_add>>{});

// Moves and constants in a row.
using Moves = List<MoveStep, MoveTwoStep, Const32Step>;
constexpr auto kFamilies13 = product(
    Moves{}, Join<Moves, List<SelectStep<Class::r0, false, true>, SelectStep<Class::r0, true, true>>>{});
constexpr auto kFamilies14 = product(Moves{}, Join<N<i32_add, S, I>, N<i32_add, S, S>>{});

constexpr std::span<const Family> kFamilies[] = {
    kFamilies1, kFamilies2, kFamilies3,  kFamilies4,  kFamilies5,  kFamilies6,  kFamilies7,
    kFamilies8, kFamilies9, kFamilies10, kFamilies11, kFamilies12, kFamilies13, kFamilies14};

}  // namespace

Handler super_handler(Handler first, Handler second) {
  static std::mutex mutex;
  static Table table;
  const std::lock_guard lock(mutex);
  // A row without a second handler says that the first one was met.
  if (!table.find(first, nullptr)) {
    table.add(first, nullptr, first);
    for (const std::span<const Family> families : kFamilies)
      for (const Family& f : families)
        if (f.first == first) f.add(table);
  }
  return table.find(first, second);
}

}  // namespace tenon::interp
