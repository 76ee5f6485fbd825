// See values.h. NaN patterns as in the suite: canonical has only the quiet bit in its payload, arithmetic at
// least it.
#include "spec-tests/values.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace tenon::spec {

using text::NanPattern;
using text::WastType;
using text::WastValue;

namespace {

bool float_matches(u64 want, u64 got, NanPattern nan, u32 bits) {
  if (nan == NanPattern::exact) return want == got;
  const u64 magnitude = got & (bits == 32 ? 0x7fff'ffffull : 0x7fff'ffff'ffff'ffffull);
  const u64 canonical = bits == 32 ? 0x7fc0'0000ull : 0x7ff8'0000'0000'0000ull;
  return nan == NanPattern::canonical ? magnitude == canonical : (magnitude & canonical) == canonical;
}

bool vector_matches(const WastValue& want, const Slot* got) {
  u8 bytes[16];
  std::memcpy(bytes, got, 16);
  if (!want.float_lanes) return std::memcmp(bytes, want.v128.data(), 16) == 0;
  for (u32 i = 0; i < 16u / want.lane_bytes; ++i) {
    u64 a = 0, b = 0;
    std::memcpy(&a, want.v128.data() + i * want.lane_bytes, want.lane_bytes);
    std::memcpy(&b, bytes + i * want.lane_bytes, want.lane_bytes);
    if (!float_matches(a, b, want.nan[i], want.lane_bytes * 8u)) return false;
  }
  return true;
}

bool is_host(u64 ref) { return ref != kNullRef && !is_i31(ref) && as_object(ref)->type == kHostObject; }

bool reference_matches(Store& store, const WastValue& want, ValType type, u64 got) {
  auto is_a = [&](AbstractHeap heap) { return ref_test(store.types(), got, heap, false); };
  switch (want.type) {
    case WastType::ref_null: return got == kNullRef;
    case WastType::ref_host:
      return is_host(got) && (want.any_value || host_value(as_object(got)) == want.bits);
    case WastType::ref_extern:
      if (want.any_value) return got != kNullRef;
      return is_host(got) && host_value(as_object(got)) == want.bits;
    case WastType::ref_func:
      return got != kNullRef && store.types().top_of(type.heap()) == AbstractHeap::func;
    case WastType::ref_any: return got != kNullRef;
    case WastType::ref_eq: return is_a(AbstractHeap::eq);
    case WastType::ref_i31: return got != kNullRef && is_i31(got);
    case WastType::ref_struct: return is_a(AbstractHeap::struct_);
    case WastType::ref_array: return is_a(AbstractHeap::array);
    case WastType::ref_exn: return got != kNullRef && as_object(got)->type == kExceptionObject;
    default: return false;
  }
}

bool value_matches(Store& store, const WastValue& want, ValType type, const Slot* got) {
  if (!type_fits(want, type)) return false;
  switch (want.type) {
    case WastType::i32: return static_cast<u32>(want.bits) == got->u32_;
    case WastType::i64: return want.bits == got->u64_;
    case WastType::f32: return float_matches(want.bits, got->u32_, want.nan[0], 32);
    case WastType::f64: return float_matches(want.bits, got->u64_, want.nan[0], 64);
    case WastType::v128: return vector_matches(want, got);
    default: return reference_matches(store, want, type, got->ref);
  }
}

}  // namespace

bool type_fits(const WastValue& value, ValType type) {
  switch (value.type) {
    case WastType::i32: return type == kI32;
    case WastType::i64: return type == kI64;
    case WastType::f32: return type == kF32;
    case WastType::f64: return type == kF64;
    case WastType::v128: return type == kV128;
    default: return type.is_ref();
  }
}

std::optional<u32> write_argument(Store& store, const WastValue& value, Slot* out) {
  switch (value.type) {
    case WastType::i32:
    case WastType::i64:
    case WastType::f32:
    case WastType::f64: out->u64_ = value.bits; return 1;
    case WastType::v128: std::memcpy(out, value.v128.data(), 16); return 2;
    case WastType::ref_null: out->ref = kNullRef; return 1;
    case WastType::ref_extern:
    case WastType::ref_host: {
      Object* o = store.heap().new_host(value.bits);
      if (!o) return std::nullopt;
      store.heap().root(o->ref());  // the script holds its values to the end, whatever is collected
      out->ref = o->ref();
      return 1;
    }
    default: return std::nullopt;
  }
}

bool matches(Store& store, const text::WastResult& expected, ValType type, const Slot* actual) {
  return std::ranges::any_of(expected,
                             [&](const WastValue& v) { return value_matches(store, v, type, actual); });
}

std::string show(const WastValue& v) {
  switch (v.type) {
    case WastType::i32: return fmt::format("i32:{}", static_cast<i32>(v.bits));
    case WastType::i64: return fmt::format("i64:{}", static_cast<i64>(v.bits));
    case WastType::f32:
    case WastType::f64:
      if (v.nan[0] == NanPattern::canonical) return "nan:canonical";
      if (v.nan[0] == NanPattern::arithmetic) return "nan:arithmetic";
      return fmt::format("{}:{:#x}", v.type == WastType::f32 ? "f32" : "f64", v.bits);
    case WastType::v128: return fmt::format("v128:{:02x}", fmt::join(v.v128, ""));
    case WastType::ref_null: return "ref.null";
    default: return v.any_value ? "a reference" : fmt::format("ref:{}", v.bits);
  }
}

std::string show(ValType type, const Slot* s) {
  switch (type.kind()) {
    case ValKind::i32: return fmt::format("i32:{}", s->i32_);
    case ValKind::i64: return fmt::format("i64:{}", s->i64_);
    case ValKind::f32: return fmt::format("f32:{:#x} ({})", s->u32_, s->f32_);
    case ValKind::f64: return fmt::format("f64:{:#x} ({})", s->u64_, s->f64_);
    case ValKind::v128: {
      u8 bytes[16];
      std::memcpy(bytes, s, 16);
      return fmt::format("v128:{:02x}", fmt::join(bytes, ""));
    }
    default: return s->ref == kNullRef ? "ref.null" : fmt::format("{} {:#x}", to_string(type), s->ref);
  }
}

}  // namespace tenon::spec
