// Writes modules byte by byte for tests of decoder and validator: sections, LEB128, names. Checks nothing.
#pragma once
#include <gtest/gtest.h>

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/module.h"

namespace tenon::test {

using Bytes = std::vector<u8>;

inline Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

inline Bytes leb(u64 v) {
  Bytes b;
  do {
    b.push_back(static_cast<u8>((v & 0x7f) | (v > 0x7f ? 0x80 : 0)));
    v >>= 7;
  } while (v != 0);
  return b;
}

inline Bytes sized(const Bytes& content) { return leb(content.size()) + content; }
inline Bytes name(std::string_view text) { return leb(text.size()) + Bytes(text.begin(), text.end()); }
inline Bytes vec(const std::vector<Bytes>& items) {
  Bytes b = leb(items.size());
  for (const Bytes& item : items) b = b + item;
  return b;
}
inline Bytes section(u8 id, const Bytes& content) { return Bytes{id} + sized(content); }

inline const Bytes kHeader = {0, 'a', 's', 'm', 1, 0, 0, 0};

// Section ids.
inline constexpr u8 kCustom = 0, kType = 1, kImport = 2, kFunction = 3, kTable = 4, kMemory = 5, kGlobal = 6,
                    kExport = 7, kStart = 8, kElement = 9, kCode = 10, kData = 11, kDataCount = 12, kTag = 13;
// Value types.
inline constexpr u8 I32 = 0x7f, I64 = 0x7e, F32 = 0x7d, F64 = 0x7c, V128 = 0x7b, FUNCREF = 0x70,
                    EXTERNREF = 0x6f;

inline Bytes func_type(const Bytes& params, const Bytes& results) {
  return Bytes{0x60} + sized(params) + sized(results);
}
// A code entry; the closing end is added.
inline Bytes body(const Bytes& code, const Bytes& locals = {0}) { return sized(locals + code + Bytes{0x0b}); }

// A module with one function of the given type and code, after `before` (sections up to the function section
// must not be in it) and followed by the code section.
struct OneFunction {
  Bytes params = {}, results = {};
  Bytes code = {};
  Bytes locals = {0};
  std::vector<Bytes> types = {};  // further types, from index 1
  Bytes middle = {};              // sections between function and code
  Bytes after = {};               // sections after code
  Bytes bytes() const {
    std::vector<Bytes> all = {func_type(params, results)};
    all.insert(all.end(), types.begin(), types.end());
    return kHeader + section(kType, vec(all)) + section(kFunction, vec({{0}})) + middle +
           section(kCode, vec({body(code, locals)})) + after;
  }
};

inline Result<std::unique_ptr<Module>> decode(const Bytes& bytes, const DecodeOptions& options = {}) {
  auto owner = std::make_shared<const Bytes>(bytes);
  return decode_module(std::make_shared<TypeRegistry>(), *owner, owner, options);
}

// "ok", or the error's message.
inline std::string outcome(const Bytes& bytes, const DecodeOptions& options = {}) {
  auto m = decode(bytes, options);
  return m ? "ok" : m.error().message;
}

// EXPECT_OK(bytes…) and EXPECT_ERROR(text, bytes…): the bytes come last since they may hold commas.
inline void expect_error(std::string_view text, const Bytes& bytes) {
  const std::string got = outcome(bytes);
  EXPECT_TRUE(got.starts_with(text)) << "expected: " << text << "\ngot: " << got;
}
#define EXPECT_OK(...) EXPECT_EQ(::tenon::test::outcome(__VA_ARGS__), "ok")
#define EXPECT_ERROR(text, ...)                     \
  do {                                              \
    SCOPED_TRACE("here");                           \
    ::tenon::test::expect_error(text, __VA_ARGS__); \
  } while (0)

}  // namespace tenon::test
