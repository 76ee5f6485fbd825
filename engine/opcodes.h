// The instruction table (opcodes.def) and the feature table (features.def) as types: Op, Imm, Feature,
// OpInfo, and look-ups by code and by name. Nothing here knows what an instruction does.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace tenon {

// A WebAssembly proposal that can be on or off.
enum class Feature : uint8_t {
#define FEATURE(id, cli_name, default_on) id,
#include "engine/features.def"
};

inline constexpr size_t kFeatureCount = 0
#define FEATURE(id, cli_name, default_on) +1
#include "engine/features.def"
    ;

// A set of features. `defaults()` is WebAssembly 3.0 with the proposals that are on by default.
class FeatureSet {
 public:
  constexpr FeatureSet() = default;
  static constexpr FeatureSet defaults() {
    FeatureSet s;
#define FEATURE(id, cli_name, default_on) \
  if (default_on) s.set(Feature::id);
#include "engine/features.def"
    return s;
  }
  // Everything that has a flag.
  static constexpr FeatureSet all() {
    FeatureSet s;
    s.bits_ = (uint64_t{1} << kFeatureCount) - 1;
    return s;
  }
  // The first version of the specification, without any proposal.
  static constexpr FeatureSet mvp() { return FeatureSet().set(Feature::mvp); }

  constexpr bool has(Feature f) const { return (bits_ >> static_cast<unsigned>(f)) & 1; }
  constexpr FeatureSet& set(Feature f, bool on = true) {
    uint64_t bit = uint64_t{1} << static_cast<unsigned>(f);
    bits_ = on || f == Feature::mvp ? bits_ | bit : bits_ & ~bit;
    return *this;
  }
  constexpr uint64_t bits() const { return bits_; }
  friend constexpr bool operator==(FeatureSet, FeatureSet) = default;

 private:
  uint64_t bits_ = uint64_t{1} << static_cast<unsigned>(Feature::mvp);
};

// The name used on the command line, "relaxed-simd".
std::string_view feature_name(Feature f);
std::optional<Feature> feature_from_name(std::string_view name);

// What follows an opcode in the binary format. In parentheses: encoded fields, all LEB128 u32 where nothing
// is said.
enum class Imm : uint8_t {
  none,
  // One index; kept together for CodeReader::read.
  br_label,  // relative label
  func,      // function index
  type,      // type index
  local,     // local index
  global,    // global index
  elem,      // element segment
  tag,       // tag index
  // Others.
  block,        // block type (s33)
  br_table,     // vec(label), default label
  type_table,   // type index, table index
  table,        // table index
  table_table,  // destination table, source table
  elem_table,   // element segment, table
  mem,          // memory index
  mem_mem,      // destination memory, source memory
  data_mem,     // data segment, memory
  data,         // data segment
  memarg,       // alignment exponent and flags, [memory index], offset (u64)
  memarg_lane,  // memarg, lane (byte)
  lane,         // lane (byte)
  lanes16,      // 16 lanes (bytes)
  v128,         // 16 bytes
  i32,          // s32
  i64,          // s64
  f32,          // 4 bytes
  f64,          // 8 bytes
  heap_type,    // heap type (s33)
  ref_cast,     // flags (byte: 1 source nullable, 2 target nullable), label, source and target heap type
  val_types,    // vec(value type)
  type_field,   // type index, field index
  type_u32,     // type index, element count
  type_type,    // destination type, source type
  type_data,    // type index, data segment
  type_elem,    // type index, element segment
  try_table,    // block type, vec(catch clause)
  fence,        // one zero byte
};

// An instruction; the value is its row number in opcodes.def, so it is dense and ordered as the table is.
enum class Op : uint16_t {
#define OP(id, prefix, opcode, text, imm, signature, feature, cst, width) id,
#include "engine/opcodes.def"
};

inline constexpr size_t kOpCount = 0
#define OP(id, prefix, opcode, text, imm, signature, feature, cst, width) +1
#include "engine/opcodes.def"
    ;

// A signature column, taken apart. Letters as in opcodes.def: i l f d v, and a for the address type.
struct OpSignature {
  bool by_hand = false;  // "*": the validator has its own rule; the counts are then 0
  uint8_t param_count = 0;
  uint8_t result_count = 0;
  std::array<char, 4> params{};
  std::array<char, 2> results{};

  static constexpr OpSignature parse(std::string_view text) {
    OpSignature s;
    if (text == "*") {
      s.by_hand = true;
      return s;
    }
    size_t i = 0;
    for (; text[i] != ':'; ++i) s.params[s.param_count++] = text[i];
    for (++i; i < text.size(); ++i) s.results[s.result_count++] = text[i];
    return s;
  }
};

struct OpInfo {
  std::string_view text;  // keyword of the text format
  uint16_t code;          // opcode after the prefix
  uint8_t prefix;         // 0 for one-byte opcodes
  Imm imm;
  Feature feature;
  bool constant;  // may stand in a constant expression
  uint8_t width;  // bytes accessed in memory, 0 when there is no memarg
  OpSignature signature;
};

namespace detail {
inline constexpr std::array<OpInfo, kOpCount> kOpInfos = {{
#define OP(id, prefix, opcode, text, imm, signature, feature, cst, width) \
  {text, opcode, prefix, Imm::imm, Feature::feature, cst != 0, width, OpSignature::parse(signature)},
#include "engine/opcodes.def"
}};

consteval bool ops_are_sorted_and_unique() {
  for (size_t i = 1; i < kOpCount; ++i) {
    const OpInfo &a = kOpInfos[i - 1], &b = kOpInfos[i];
    if (a.prefix > b.prefix || (a.prefix == b.prefix && a.code >= b.code)) return false;
  }
  return true;
}
static_assert(ops_are_sorted_and_unique(), "opcodes.def: rows must be sorted by (prefix, opcode) and unique");

consteval bool memory_access_has_width() {
  for (const OpInfo& o : kOpInfos)
    if ((o.width != 0) != (o.imm == Imm::memarg || o.imm == Imm::memarg_lane)) return false;
  return true;
}
static_assert(memory_access_has_width(),
              "opcodes.def: width belongs to rows with a memarg, and to all of them");

inline constexpr uint16_t kNoOp = 0xffff;
inline constexpr size_t kMaxCode = 0x114;  // one more than the largest opcode after a prefix
inline constexpr uint8_t kFirstPrefix = 0xfb;

// Row number by code; one row of the array for each prefix: none, fb, fc, fd, fe.
consteval auto make_code_table() {
  std::array<std::array<uint16_t, kMaxCode>, 5> table{};
  for (auto& row : table) row.fill(kNoOp);
  for (size_t i = 0; i < kOpCount; ++i) {
    const OpInfo& o = kOpInfos[i];
    table[o.prefix == 0 ? 0 : o.prefix - kFirstPrefix + 1][o.code] = static_cast<uint16_t>(i);
  }
  return table;
}
inline constexpr auto kCodeTable = make_code_table();
}  // namespace detail

constexpr const OpInfo& op_info(Op op) { return detail::kOpInfos[static_cast<size_t>(op)]; }

// Whether results can be NaNs whose bits the specification leaves open, and of which shape.
enum class NanResult : uint8_t { none, f32, f64, f32x4, f64x2 };
constexpr NanResult nan_result(Op op) {
#define TENON_ARITHMETIC(t) \
  case Op::t##_add:         \
  case Op::t##_sub:         \
  case Op::t##_mul:         \
  case Op::t##_div:         \
  case Op::t##_min:         \
  case Op::t##_max:         \
  case Op::t##_sqrt:        \
  case Op::t##_ceil:        \
  case Op::t##_floor:       \
  case Op::t##_trunc:       \
  case Op::t##_nearest: return NanResult::t
#define TENON_RELAXED(t)      \
  case Op::t##_relaxed_madd:  \
  case Op::t##_relaxed_nmadd: \
  case Op::t##_relaxed_min:   \
  case Op::t##_relaxed_max: return NanResult::t
  switch (op) {
    TENON_ARITHMETIC(f32);
    TENON_ARITHMETIC(f64);
    TENON_ARITHMETIC(f32x4);
    TENON_ARITHMETIC(f64x2);
    TENON_RELAXED(f32x4);
    TENON_RELAXED(f64x2);
    case Op::f32_demote_f64: return NanResult::f32;
    case Op::f64_promote_f32: return NanResult::f64;
    case Op::f32x4_demote_f64x2_zero: return NanResult::f32x4;
    case Op::f64x2_promote_low_f32x4: return NanResult::f64x2;
    default: return NanResult::none;
  }
#undef TENON_ARITHMETIC
#undef TENON_RELAXED
}

// The instruction that does what this relaxed one does in the deterministic profile; other instructions are
// their own. (relaxed_madd and relaxed_nmadd have no such instruction: they round twice.)
constexpr Op deterministic_form(Op op) {
  switch (op) {
    case Op::i8x16_relaxed_swizzle: return Op::i8x16_swizzle;
    case Op::i32x4_relaxed_trunc_f32x4_s: return Op::i32x4_trunc_sat_f32x4_s;
    case Op::i32x4_relaxed_trunc_f32x4_u: return Op::i32x4_trunc_sat_f32x4_u;
    case Op::i32x4_relaxed_trunc_f64x2_s_zero: return Op::i32x4_trunc_sat_f64x2_s_zero;
    case Op::i32x4_relaxed_trunc_f64x2_u_zero: return Op::i32x4_trunc_sat_f64x2_u_zero;
    case Op::i8x16_relaxed_laneselect:
    case Op::i16x8_relaxed_laneselect:
    case Op::i32x4_relaxed_laneselect:
    case Op::i64x2_relaxed_laneselect: return Op::v128_bitselect;
    case Op::f32x4_relaxed_min: return Op::f32x4_min;
    case Op::f32x4_relaxed_max: return Op::f32x4_max;
    case Op::f64x2_relaxed_min: return Op::f64x2_min;
    case Op::f64x2_relaxed_max: return Op::f64x2_max;
    case Op::i16x8_relaxed_q15mulr_s: return Op::i16x8_q15mulr_sat_s;
    default: return op;
  }
}

// True for the bytes that announce a two-part opcode: 0xfb garbage collection, 0xfc, 0xfd SIMD, 0xfe threads.
constexpr bool is_op_prefix(uint8_t byte) { return byte >= detail::kFirstPrefix && byte <= 0xfe; }

// The instruction with this encoding (prefix 0 for one byte), or nothing; features are not looked at.
constexpr std::optional<Op> op_from_code(uint8_t prefix, uint32_t code) {
  if ((prefix != 0 && !is_op_prefix(prefix)) || code >= detail::kMaxCode) return std::nullopt;
  uint16_t row = detail::kCodeTable[prefix == 0 ? 0 : prefix - detail::kFirstPrefix + 1][code];
  if (row == detail::kNoOp) return std::nullopt;
  return static_cast<Op>(row);
}

// The instruction with this keyword. Where several rows share one (select, ref.test, ref.cast) it is the
// first, the form without a type list or `null`; the text parser picks the other by what follows.
std::optional<Op> op_from_name(std::string_view text);

}  // namespace tenon
