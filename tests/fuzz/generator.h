// Random valid modules from the instruction table: bytes of entropy become functions that pick instructions
// by signature. Every program ends (loops count down, calls go to later functions only) and has one outcome:
// NaNs are replaced by zero before their bits could be seen, relaxed instructions are left out. Used to hold
// tiers against each other.
#pragma once
#include <array>
#include <span>
#include <string_view>
#include <vector>

#include "engine/base.h"
#include "engine/binary/byte_writer.h"
#include "engine/opcodes.h"

namespace tenon::test {

class Entropy {
 public:
  explicit Entropy(std::span<const u8> bytes) : bytes_(bytes) {}
  // Zero for ever when used up: what zero picks must be simple.
  u8 byte() { return pos_ < bytes_.size() ? bytes_[pos_++] : 0; }
  u32 below(u32 n) { return n <= 1 ? 0 : (byte() | (n > 256 ? byte() << 8 : 0)) % n; }
  u64 bits() {
    u64 v = 0;
    for (u32 i = below(9); i-- > 0;) v = v << 8 | byte();
    return v;
  }
  bool exhausted() const { return pos_ >= bytes_.size(); }

 private:
  std::span<const u8> bytes_;
  size_t pos_ = 0;
};

// Exports "f" (function 0, parameters i32 i64 f32 f64 v128, results as they come), "memory", globals "g0"…;
// and for hosts that have no v128: "run", which calls "f" and stores its results to memory, and "save", which
// stores the globals. WebAssembly 2.0 is always used, proposals beyond it as `features` allow.
class ModuleGenerator {
 public:
  explicit ModuleGenerator(std::span<const u8> entropy, FeatureSet features = FeatureSet::all())
      : features_(features), in_(entropy) {
    find_rows();
  }

  std::vector<u8> module() {
    // Often alike, so that tail calls are possible.
    for (u32 i = 0; i < kFunctions; ++i) {
      if (i > 0 && in_.below(3) != 0)
        results_[i] = results_[i - 1];
      else
        results_[i] = some_types(3);
    }
    ByteWriter out;
    out.append(std::to_array<u8>({0, 'a', 's', 'm', 1, 0, 0, 0}));
    section(out, 1, types());
    section(out, 3, functions());
    section(out, 4, raw({2, 0x70, 0, 4, 0x70, 1, 6, 20}));  // a table for calls, one for anything else
    section(out, 5, raw({1, 1, 1, 4}));                     // a memory of 1 to 4 pages
    if (features_.has(Feature::exceptions)) section(out, 13, raw({1, 0, kTagType}));  // a tag with an i32
    section(out, 6, globals());
    section(out, 7, exports());
    section(out, 9, elements());
    section(out, 12, raw({1}));
    section(out, 10, code());
    section(out, 11, raw({1, 1, 8, 1, 2, 3, 4, 0xff, 0x80, 0x7f, 0}));
    return std::move(out.bytes);
  }

 private:
  static constexpr u32 kFunctions = 5, kParams = 5, kExtraLocals = 9, kMaxDepth = 6, kBudget = 220;
  static constexpr u8 kTagType = kFunctions, kPlainType = kFunctions + 1, kStruct = kFunctions + 2,
                      kArray = kFunctions + 3, kRun = kFunctions, kSave = kFunctions + 1;
  static constexpr u8 kAnyTable = 1, kPassive = 1;  // the table and the element segment that nothing calls
  static constexpr std::string_view kLetters = "ilfdv";
  // Locals behind the parameters: a scratch one for each type, then loop counters.
  static constexpr u32 kScratch = kParams, kCounters = kParams + 5, kCounterCount = 4;

  static u8 code_of(char letter) { return static_cast<u8>(0x7f - kLetters.find(letter)); }
  char some_letter() { return kLetters[in_.below(5)]; }
  std::vector<char> some_types(u32 most) {
    std::vector<char> types(in_.below(most + 1));
    for (char& t : types) t = some_letter();
    return types;
  }

  static ByteWriter raw(std::initializer_list<u8> bytes) {
    ByteWriter out;
    for (u8 b : bytes) out.byte(b);
    return out;
  }
  static void section(ByteWriter& out, u8 id, const ByteWriter& content) {
    out.byte(id);
    out.sized(content);
  }

  // ---- the table's rows by what they give

  struct Row {
    Op op;
    const OpInfo* info;
  };
  bool usable(const OpInfo& info) const {
    if (info.signature.by_hand || info.feature == Feature::relaxed_simd) return false;
    if (!features_.has(info.feature)) return false;
    if (info.text.starts_with("memory.atomic.wait")) return false;
    return info.text != "nop" && !info.text.ends_with(".const");
  }
  void find_rows() {
    for (size_t i = 0; i < kOpCount; ++i) {
      const OpInfo& info = detail::kOpInfos[i];
      if (!usable(info)) continue;
      const Row row{static_cast<Op>(i), &info};
      if (info.signature.result_count == 1) {
        const char r = info.signature.results[0];
        by_result_[kLetters.find(r == 'a' ? 'i' : r)].push_back(row);
      } else {
        statements_.push_back(row);
      }
    }
  }

  // ---- sections

  ByteWriter types() {
    ByteWriter out;
    const bool gc = features_.has(Feature::gc);
    out.unsigned_leb(kFunctions + (gc ? 4 : 2));
    for (u32 i = 0; i < kFunctions; ++i) {
      out.byte(0x60);
      out.unsigned_leb(kParams);
      for (char p : kLetters) out.byte(code_of(p));
      out.unsigned_leb(results_[i].size());
      for (char r : results_[i]) out.byte(code_of(r));
    }
    out.append(std::to_array<u8>({0x60, 1, 0x7f, 0}));
    out.append(std::to_array<u8>({0x60, 0, 0}));
    if (!gc) return out;
    out.append(
        std::to_array<u8>({0x5f, 3, 0x78, 1, 0x7e, 1, 0x7b, 1}));  // struct of i8, i64, v128, all mutable
    out.append(std::to_array<u8>({0x5e, 0x77, 1}));                // array of mutable i16
    return out;
  }
  ByteWriter functions() {
    ByteWriter out;
    out.unsigned_leb(kFunctions + 2);
    for (u32 i = 0; i < kFunctions; ++i) out.unsigned_leb(i);
    out.append(std::to_array<u8>({kPlainType, kPlainType}));
    return out;
  }
  ByteWriter globals() {
    ByteWriter out;
    out.unsigned_leb(kLetters.size());
    for (char g : kLetters) {
      out.byte(code_of(g));
      out.byte(1);
      constant(out, g);
      out.byte(0x0b);
    }
    return out;
  }
  ByteWriter exports() {
    ByteWriter out;
    out.unsigned_leb(4 + kLetters.size());
    out.name("f");
    out.append(std::to_array<u8>({0, 0}));
    out.name("run");
    out.append(std::to_array<u8>({0, kRun}));
    out.name("save");
    out.append(std::to_array<u8>({0, kSave}));
    out.name("memory");
    out.append(std::to_array<u8>({2, 0}));
    for (u8 i = 0; i < kLetters.size(); ++i) {
      out.name(std::string("g") + static_cast<char>('0' + i));
      out.byte(3);
      out.byte(i);
    }
    return out;
  }
  // The first table holds the last two functions, which nothing in them calls; one element stays null. Then a
  // passive segment.
  ByteWriter elements() {
    return raw({2, 0, 0x41, 0, 0x0b, 3, kFunctions - 2, kFunctions - 1, kFunctions - 2, 1, 0, 2,
                kFunctions - 1, kFunctions - 2});
  }

  ByteWriter code() {
    ByteWriter out;
    out.unsigned_leb(kFunctions + 2);
    for (func_ = 0; func_ < kFunctions; ++func_) {
      ByteWriter body;
      body.append(std::to_array<u8>({6, 1, 0x7f, 1, 0x7e, 1, 0x7d, 1, 0x7c, 1, 0x7b, kCounterCount, 0x7f}));
      budget_ = kBudget;
      counters_ = 0;
      labels_ = {results_[func_]};
      for (u32 n = 1 + in_.below(8); n-- > 0;) statement(body, 0);
      for (char r : results_[func_]) expression(body, r, 0);
      body.byte(0x0b);
      out.sized(body);
    }
    out.sized(run_body());
    out.sized(save_body());
    return out;
  }

  static constexpr u32 kResultsAt = 0xff00, kGlobalsAt = 0xfe00;  // in memory, 16 bytes each

  void store(ByteWriter& out, char type) {
    constexpr std::array kStores = {Op::i32_store, Op::i64_store, Op::f32_store, Op::f64_store,
                                    Op::v128_store};
    op(out, kStores[kLetters.find(type)]);
    out.append(std::to_array<u8>({0, 0}));
  }
  void address(ByteWriter& out, u32 at) {
    op(out, Op::i32_const);
    out.signed_leb(static_cast<i32>(at));
  }

  // "run": no parameters; a local of each type takes the results, last first.
  ByteWriter run_body() {
    ByteWriter body;
    body.append(std::to_array<u8>({5, 1, 0x7f, 1, 0x7e, 1, 0x7d, 1, 0x7c, 1, 0x7b}));
    for (char p : kLetters) constant(body, p);
    op(body, Op::call, 0);
    const auto& results = results_[0];
    for (u32 i = static_cast<u32>(results.size()); i-- > 0;) {
      const u32 local = static_cast<u32>(kLetters.find(results[i]));
      op(body, Op::local_set, local);
      address(body, kResultsAt + 16 * i);
      op(body, Op::local_get, local);
      store(body, results[i]);
    }
    body.byte(0x0b);
    return body;
  }
  ByteWriter save_body() {
    ByteWriter body;
    body.byte(0);
    for (u32 i = 0; i < kLetters.size(); ++i) {
      address(body, kGlobalsAt + 16 * i);
      op(body, Op::global_get, i);
      store(body, kLetters[i]);
    }
    body.byte(0x0b);
    return body;
  }

  // ---- expressions: leave one value of the type

  void op(ByteWriter& out, Op o) {
    const OpInfo& info = op_info(o);
    if (info.prefix == 0) {
      out.byte(static_cast<u8>(info.code));
    } else {
      out.byte(info.prefix);
      out.unsigned_leb(info.code);
    }
  }
  void op(ByteWriter& out, Op o, u32 index) {
    op(out, o);
    out.unsigned_leb(index);
  }

  void constant(ByteWriter& out, char type) {
    const u64 bits = in_.bits();
    switch (type) {
      case 'i': op(out, Op::i32_const); return out.signed_leb(static_cast<i32>(bits));
      case 'l': op(out, Op::i64_const); return out.signed_leb(static_cast<i64>(bits));
      // Small integers and halves: any bits would mostly be NaNs or far apart.
      case 'f':
        op(out, Op::f32_const);
        return out.little_endian(std::bit_cast<u32>(static_cast<f32>(static_cast<i64>(bits)) / 2), 4);
      case 'd':
        op(out, Op::f64_const);
        return out.little_endian(std::bit_cast<u64>(static_cast<f64>(static_cast<i64>(bits)) / 2), 8);
      default:
        op(out, Op::v128_const);
        out.little_endian(bits, 8);
        return out.little_endian(in_.bits() & 0x3fff'ffff'3fff'ffff, 8);
    }
  }

  void leaf(ByteWriter& out, char type) {
    const u32 slot = static_cast<u32>(kLetters.find(type));
    switch (in_.below(4)) {
      case 1: return op(out, Op::local_get, slot);
      case 2: return op(out, Op::local_get, kScratch + slot);
      case 3: return op(out, Op::global_get, slot);
      default: return constant(out, type);
    }
  }

  void expression(ByteWriter& out, char type, u32 depth) {
    if (depth >= kMaxDepth || budget_ == 0 || in_.exhausted()) return leaf(out, type);
    --budget_;
    switch (in_.below(12)) {
      case 0:
      case 1: return leaf(out, type);
      case 2: return if_expression(out, type, depth);
      case 3: return block_expression(out, type, depth);
      case 4: return select_expression(out, type, depth);
      case 5:
        if (features_.has(Feature::gc) && (type == 'i' || type == 'l' || type == 'v'))
          return aggregate(out, type, depth);
        break;
      case 6:
        expression(out, type, depth + 1);
        return op(out, Op::local_tee, static_cast<u32>(kLetters.find(type)));
      case 7:
        if (type == 'i') {
          reference(out, depth + 1);
          return op(out, Op::ref_is_null);
        }
        break;
      default: break;
    }
    const auto& rows = by_result_[kLetters.find(type)];
    row(out, rows[in_.below(static_cast<u32>(rows.size()))], depth);
  }

  void row(ByteWriter& out, const Row& r, u32 depth) {
    const OpSignature& sig = r.info->signature;
    for (u8 i = 0; i < sig.param_count; ++i) {
      if (sig.params[i] == 'a') {
        masked(out, depth, r.info->imm == Imm::mem ? kBulkMask : kAddressMask);
      } else if (r.info->imm == Imm::data_mem) {
        masked(out, depth, 3);
      } else {
        expression(out, sig.params[i], depth + 1);
      }
    }
    avoid_trap(out, r);
    op(out, r.op);
    immediates(out, *r.info);
    if (sig.result_count == 1) without_nan(out, r);
  }

  // Traps end a program early: most of what would trap is made harmless, some is left.
  static constexpr i32 kAddressMask = 0xfff8, kBulkMask = 0x7ff8;
  bool daring() { return in_.below(64) == 63; }
  void masked(ByteWriter& out, u32 depth, i32 mask) {
    expression(out, 'i', depth + 1);
    if (daring()) return;
    op(out, Op::i32_const);
    out.signed_leb(mask);
    op(out, Op::i32_and);
  }
  void avoid_trap(ByteWriter& out, const Row& r) {
    const std::string_view text = r.info->text;
    const char type = r.info->signature.params[0];
    if (daring()) return;
    if (text.contains(".div_") || text.contains(".rem_")) {  // by an odd number
      op(out, type == 'i' ? Op::i32_const : Op::i64_const);
      out.signed_leb(1);
      op(out, type == 'i' ? Op::i32_or : Op::i64_or);
    } else if ((text.starts_with("i32.trunc_f") ||
                text.starts_with("i64.trunc_f"))) {  // of something in [0, 1]
      op(out, type == 'f' ? Op::f32_const : Op::f64_const);
      out.little_endian(0, type == 'f' ? 4 : 8);
      op(out, type == 'f' ? Op::f32_max : Op::f64_max);
      op(out, type == 'f' ? Op::f32_const : Op::f64_const);
      out.little_endian(type == 'f' ? 0x3f80'0000 : 0x3ff0'0000'0000'0000, type == 'f' ? 4 : 8);
      op(out, type == 'f' ? Op::f32_min : Op::f64_min);
    }
  }

  void immediates(ByteWriter& out, const OpInfo& info) {
    switch (info.imm) {
      case Imm::memarg:
      case Imm::memarg_lane:
        out.unsigned_leb(static_cast<u32>(std::countr_zero(info.width)));
        out.unsigned_leb(in_.below(40) / 2 * 8);
        if (info.imm == Imm::memarg_lane) out.byte(static_cast<u8>(in_.below(16u / info.width)));
        break;
      case Imm::lane: {
        const size_t x = info.text.find('x');
        const u32 lanes = info.text[x + 1] == '1' ? 16 : static_cast<u32>(info.text[x + 1] - '0');
        out.byte(static_cast<u8>(in_.below(lanes)));
        break;
      }
      case Imm::lanes16:
        for (int i = 0; i < 16; ++i) out.byte(static_cast<u8>(in_.below(32)));
        break;
      case Imm::mem:
      case Imm::table:
      case Imm::data:
      case Imm::fence: out.byte(0); break;
      case Imm::elem: out.byte(static_cast<u8>(in_.below(2))); break;
      case Imm::data_mem: out.append(std::to_array<u8>({0, 0})); break;
      default: break;
    }
  }

  // Arithmetic may give any NaN; zero takes its place.
  void without_nan(ByteWriter& out, const Row& r) {
    const std::string_view text = r.info->text;
    const bool loads = r.info->width != 0;
    const char type = r.info->signature.results[0];
    if (type == 'f' || type == 'd') {
      const u32 scratch = kScratch + static_cast<u32>(kLetters.find(type));
      op(out, Op::local_tee, scratch);
      op(out, type == 'f' ? Op::f32_const : Op::f64_const);
      out.little_endian(0, type == 'f' ? 4 : 8);
      op(out, Op::local_get, scratch);
      op(out, Op::local_get, scratch);
      op(out, type == 'f' ? Op::f32_eq : Op::f64_eq);
      op(out, Op::select);
    } else if (type == 'v' && !loads && (text.starts_with("f32x4") || text.starts_with("f64x2"))) {
      const u32 scratch = kScratch + static_cast<u32>(kLetters.find('v'));
      op(out, Op::local_tee, scratch);
      op(out, Op::local_get, scratch);
      op(out, Op::local_get, scratch);
      op(out, text.starts_with("f32x4") ? Op::f32x4_eq : Op::f64x2_eq);
      op(out, Op::v128_and);
    }
  }

  void if_expression(ByteWriter& out, char type, u32 depth) {
    expression(out, 'i', depth + 1);
    op(out, Op::if_);
    out.byte(code_of(type));
    labels_.push_back({type});
    expression(out, type, depth + 1);
    op(out, Op::else_);
    expression(out, type, depth + 1);
    labels_.pop_back();
    op(out, Op::end);
  }

  void block_expression(ByteWriter& out, char type, u32 depth) {
    op(out, Op::block);
    out.byte(code_of(type));
    labels_.push_back({type});
    for (u32 n = in_.below(3); n-- > 0;) statement(out, depth + 1);
    expression(out, type, depth + 1);
    labels_.pop_back();
    op(out, Op::end);
  }

  void select_expression(ByteWriter& out, char type, u32 depth) {
    expression(out, type, depth + 1);
    expression(out, type, depth + 1);
    expression(out, 'i', depth + 1);
    op(out, Op::select);
  }

  // Through the heap and back.
  void aggregate(ByteWriter& out, char type, u32 depth) {
    switch (type == 'i' ? in_.below(features_.has(Feature::exceptions) ? 4 : 3) : 1) {
      case 0:
        expression(out, 'i', depth + 1);
        op(out, Op::ref_i31);
        return op(out, in_.below(2) ? Op::i31_get_s : Op::i31_get_u);
      case 1: {
        const u32 field = type == 'i' ? 0 : type == 'l' ? 1 : 2;
        expression(out, 'i', depth + 1);
        expression(out, 'l', depth + 1);
        expression(out, 'v', depth + 1);
        op(out, Op::struct_new, kStruct);
        op(out, field != 0 ? Op::struct_get : in_.below(2) ? Op::struct_get_s : Op::struct_get_u, kStruct);
        return out.unsigned_leb(field);
      }
      case 2: {
        const u32 size = 1 + in_.below(4);
        for (u32 i = 0; i < size; ++i) expression(out, 'i', depth + 1);
        op(out, Op::array_new_fixed, kArray);
        out.unsigned_leb(size);
        op(out, Op::i32_const);
        out.signed_leb(in_.below(size) + (daring() ? 1 : 0));
        return op(out, in_.below(2) ? Op::array_get_s : Op::array_get_u, kArray);
      }
      default: return thrown(out, depth);
    }
  }

  // An exception's value, caught, or what the body gave without throwing.
  void thrown(ByteWriter& out, u32 depth) {
    op(out, Op::block);
    out.byte(code_of('i'));
    labels_.push_back({'i'});
    op(out, Op::try_table);
    out.append(std::to_array<u8>({0x7f, 1, 0, 0, 0}));  // (result i32) (catch tag 0 to the block)
    labels_.push_back({'i'});
    expression(out, 'i', depth + 1);
    op(out, Op::if_);
    out.byte(0x40);
    labels_.push_back({});
    expression(out, 'i', depth + 1);
    op(out, Op::throw_, 0);
    labels_.pop_back();
    op(out, Op::end);
    expression(out, 'i', depth + 1);
    labels_.pop_back();
    op(out, Op::end);
    labels_.pop_back();
    op(out, Op::end);
  }

  // ---- statements: leave the stack as it was

  void statement(ByteWriter& out, u32 depth) {
    if (depth >= kMaxDepth || budget_ == 0 || in_.exhausted()) return;
    --budget_;
    const char type = some_letter();
    const u32 slot = static_cast<u32>(kLetters.find(type));
    switch (in_.below(12)) {
      case 0: expression(out, type, depth + 1); return op(out, Op::local_set, slot);
      case 1: expression(out, type, depth + 1); return op(out, Op::global_set, slot);
      case 2: return loop(out, depth);
      case 3: return branch(out, depth);
      case 4:
      case 5: return call(out, depth);
      case 6:
        for (int i = 0; i < 3; ++i) masked(out, depth, kBulkMask);
        op(out, Op::memory_copy);
        return out.append(std::to_array<u8>({0, 0}));
      case 7: return table_statement(out, depth);
      case 8: return tail_call(out, depth);
      default: break;
    }
    const Row& r = statements_[in_.below(static_cast<u32>(statements_.size()))];
    row(out, r, depth);
    for (u8 i = r.info->signature.result_count; i-- > 0;)
      op(out, Op::local_set, static_cast<u32>(kLetters.find(r.info->signature.results[i])));
  }

  void loop(ByteWriter& out, u32 depth) {
    if (counters_ == kCounterCount) return;
    const u32 counter = kCounters + counters_++;
    op(out, Op::i32_const);
    out.signed_leb(1 + in_.below(12));
    op(out, Op::local_set, counter);
    op(out, Op::loop);
    out.byte(0x40);
    labels_.push_back({'!'});  // not a target of branches: it would not end
    for (u32 n = 1 + in_.below(3); n-- > 0;) statement(out, depth + 1);
    labels_.pop_back();
    op(out, Op::local_get, counter);
    op(out, Op::i32_const);
    out.signed_leb(1);
    op(out, Op::i32_sub);
    op(out, Op::local_tee, counter);
    op(out, Op::br_if, 0);
    op(out, Op::end);
    --counters_;
  }

  // Outwards to a block that takes at most one value, on a condition.
  void branch(ByteWriter& out, u32 depth) {
    const u32 target = in_.below(static_cast<u32>(labels_.size()));
    const std::vector<char> types = labels_[labels_.size() - 1 - target];
    if (types.size() == 1 && types[0] == '!') return;
    for (char t : types) expression(out, t, depth + 1);
    expression(out, 'i', depth + 1);
    op(out, Op::br_if, target);
    for (size_t i = 0; i < types.size(); ++i) op(out, Op::drop);
  }

  void call(ByteWriter& out, u32 depth) {
    if (func_ + 1 >= kFunctions) return;
    const bool indirect = func_ < kFunctions - 2 && in_.below(3) == 0;
    const u32 callee =
        indirect ? kFunctions - 2 + in_.below(2) : func_ + 1 + in_.below(kFunctions - 1 - func_);
    for (char p : kLetters) expression(out, p, depth + 1);
    if (indirect) {  // elements 0 and 2 are the last function but one, 1 is the last, 3 is null
      op(out, Op::i32_const);
      out.signed_leb(daring() ? in_.below(5) : callee == kFunctions - 1 ? 1 : in_.below(2) * 2);
      op(out, Op::call_indirect, callee);
      out.byte(0);
    } else {
      op(out, Op::call, callee);
    }
    for (size_t i = 0; i < results_[callee].size(); ++i) op(out, Op::drop);
  }

  // Ends the function with another one's results, on a condition.
  void tail_call(ByteWriter& out, u32 depth) {
    if (!features_.has(Feature::tail_call) || func_ + 1 >= kFunctions) return;
    const u32 callee = func_ + 1 + in_.below(kFunctions - 1 - func_);
    if (results_[callee] != results_[func_]) return;
    const bool indirect = func_ < kFunctions - 2 && callee >= kFunctions - 2 && in_.below(2) == 0;
    expression(out, 'i', depth + 1);
    op(out, Op::if_);
    out.byte(0x40);
    labels_.push_back({});
    for (char p : kLetters) expression(out, p, depth + 1);
    if (indirect) {
      op(out, Op::i32_const);
      out.signed_leb(callee == kFunctions - 1 ? 1 : 0);
      op(out, Op::return_call_indirect, callee);
      out.byte(0);
    } else {
      op(out, Op::return_call, callee);
    }
    labels_.pop_back();
    op(out, Op::end);
  }

  // ---- references to functions; they are moved about and never called

  void reference(ByteWriter& out, u32 depth) {
    switch (depth >= kMaxDepth ? 0 : in_.below(4)) {
      case 1: return op(out, Op::ref_func, kFunctions - 1 - in_.below(2));
      case 2: masked(out, depth, 3); return op(out, Op::table_get, kAnyTable);
      case 3:
        reference(out, depth + 1);
        reference(out, depth + 1);
        expression(out, 'i', depth + 1);
        op(out, Op::select_t);
        return out.append(std::to_array<u8>({1, 0x70}));
      default: op(out, Op::ref_null); return out.byte(0x70);
    }
  }

  void table_statement(ByteWriter& out, u32 depth) {
    switch (in_.below(5)) {
      case 0:
        masked(out, depth, 3);
        reference(out, depth + 1);
        return op(out, Op::table_set, kAnyTable);
      case 1:
        masked(out, depth, 3);
        reference(out, depth + 1);
        masked(out, depth, 3);
        return op(out, Op::table_fill, kAnyTable);
      case 2:
        for (i32 mask : {3, 1, 3}) masked(out, depth, mask);
        op(out, Op::table_copy, kAnyTable);
        return out.byte(static_cast<u8>(in_.below(2)));
      case 3:
        for (i32 mask : {3, 1, 1}) masked(out, depth, mask);
        op(out, Op::table_init, kPassive);
        return out.byte(kAnyTable);
      default:
        reference(out, depth + 1);
        masked(out, depth, 3);
        op(out, Op::table_grow, kAnyTable);
        return op(out, Op::local_set, 0);
    }
  }

  FeatureSet features_;
  Entropy in_;
  std::array<std::vector<Row>, 5> by_result_;  // in the order of kLetters
  std::vector<Row> statements_;
  std::array<std::vector<char>, kFunctions> results_;
  u32 func_ = 0, budget_ = 0, counters_ = 0;
  std::vector<std::vector<char>> labels_;  // types that each enclosing label takes
};

// Entropy from a number, for tests.
inline std::vector<u8> entropy_of(u64 seed, size_t size) {
  std::vector<u8> out(size);
  for (u8& b : out) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    b = static_cast<u8>(seed >> 56);
  }
  return out;
}

}  // namespace tenon::test
