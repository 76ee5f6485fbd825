// Short names for fixed-width types, distinct index types, and TRY. No logic.
#pragma once
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace tenon {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using i8 = std::int8_t;
using i16 = std::int16_t;
using i32 = std::int32_t;
using i64 = std::int64_t;
using f32 = float;
using f64 = double;

// An index into one index space of a module (spec: syntax/modules, Indices). Spaces do not mix.
template <class Tag>
struct Index {
  u32 value = 0;
  constexpr Index() = default;
  constexpr explicit Index(u32 v) : value(v) {}
  friend constexpr auto operator<=>(Index, Index) = default;
};
using TypeIdx = Index<struct TypeTag>;
using FuncIdx = Index<struct FuncTag>;
using TableIdx = Index<struct TableTag>;
using MemoryIdx = Index<struct MemoryTag>;
using GlobalIdx = Index<struct GlobalTag>;
using TagIdx = Index<struct TagTag>;
using ElemIdx = Index<struct ElemTag>;
using DataIdx = Index<struct DataTag>;
using LocalIdx = Index<struct LocalTag>;

}  // namespace tenon

// Evaluates a Result; on error returns it from the enclosing function. `TRY_ASSIGN(auto x, f())` binds the
// value.
#define TENON_CONCAT_(a, b) a##b
#define TENON_CONCAT(a, b) TENON_CONCAT_(a, b)
#define TRY(expr)                                             \
  do {                                                        \
    if (auto try_result_ = (expr); !try_result_) [[unlikely]] \
      return std::unexpected(std::move(try_result_.error())); \
  } while (0)
#define TRY_ASSIGN_(tmp, decl, expr)                \
  auto tmp = (expr);                                \
  if (!tmp) [[unlikely]]                            \
    return std::unexpected(std::move(tmp.error())); \
  decl = std::move(*tmp)
#define TRY_ASSIGN(decl, expr) TRY_ASSIGN_(TENON_CONCAT(try_tmp_, __LINE__), decl, expr)
