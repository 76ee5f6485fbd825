// Protobuf messages as plain structs that view the decoded bytes, through one table of fields for each message; protozero
// reads the wire format. Knows no message: formats declare theirs as structs, with PROTO_MESSAGE in one source file.
#pragma once

#include <cstdint>
#include <memory>
#include <protozero/pbf_reader.hpp>
#include <protozero/varint.hpp>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <vector>

#include "kernels/error.h"
#include "wasi-nn/formats/protobuf_types.h"

namespace tenon::nn::protobuf {

using protozero::pbf_reader;
using protozero::pbf_wire_type;

// A message costs up to about 300 bytes and at least 2 in the file; files that people write stay far below
// this factor.
inline constexpr size_t kBytesForEachInputByte = 48;
inline constexpr size_t kBaseBudget = size_t{1} << 20;
inline constexpr int kMaxDepth = 100;  // protobuf's own default

// protozero throws, so the decoder does too, and `decode_message` turns it into an Error.
struct Malformed {
  size_t offset;
  std::string what;
};

// The fields of a message; specialised by PROTO_MESSAGE.
template <typename M>
struct Schema;

template <auto Member>
struct Field {
  uint32_t number;
};

// PROTO_MESSAGE(struct, PROTO_FIELD(number, member)…), in namespace tenon::nn::protobuf.
#define PROTO_MESSAGE(M, ...)                                \
  template <>                                                \
  struct Schema<M> {                                         \
    static constexpr std::string_view kName = #M;            \
    static constexpr auto kFields = std::tuple{__VA_ARGS__}; \
  };
#define PROTO_FIELD(number, member) \
  Field<member> { number }

template <typename T>
concept Message = requires { Schema<T>::kName; };
template <typename T>
concept Varint = std::is_integral_v<T>;
template <typename T>
concept Fixed = std::is_floating_point_v<T>;

class Decoder {
 public:
  explicit Decoder(std::string_view bytes)
      : bytes_(bytes), budget_(kBaseBudget + kBytesForEachInputByte * bytes.size()) {}

  template <Message M>
  void message(std::string_view view, M& out) {
    if (++depth_ > kMaxDepth) fail(view.data(), fmt::format("messages nest deeper than {}", kMaxDepth));
    pbf_reader reader(view.data(), view.size());
    const char* at = view.data();
    uint32_t tag = 0;
    try {
      while (reader.next()) {
        tag = reader.tag();
        at = reader.data().data();
        if (!std::apply([&](auto... field) { return (try_field(reader, out, field) || ...); },
                        Schema<M>::kFields)) {
          if (reader.wire_type() == pbf_wire_type::length_delimited) check_length(reader);
          reader.skip();
        }
        at = reader.data().data();
      }
    } catch (const protozero::exception& e) {
      fail(at, fmt::format("{} field {}: {}", Schema<M>::kName, tag, e.what()));
    }
    --depth_;
  }

  [[noreturn]] void fail(const char* at, std::string what) const {
    throw Malformed{static_cast<size_t>(at - bytes_.data()), std::move(what)};
  }

 private:
  template <Message M, auto Member>
  bool try_field(pbf_reader& reader, M& out, Field<Member> field) {
    if (reader.tag() != field.number) return false;
    value(reader, out.*Member);
    return true;
  }

  // protozero keeps only 32 bits of a length; a longer one must not wrap round to a small, plausible one.
  void check_length(pbf_reader& reader) const {
    const char* p = reader.data().data();
    const char* end = p + reader.data().size();
    const uint64_t length = protozero::decode_varint(&p, end);
    if (length > static_cast<uint64_t>(end - p)) {
      fail(p, fmt::format("a length of {} with {} bytes left", length, end - p));
    }
  }

  void expect(pbf_reader& reader, pbf_wire_type type) const {
    if (reader.wire_type() != type) {
      fail(reader.data().data(), fmt::format("field {} has wire type {}, expected {}", reader.tag(),
                                             static_cast<int>(reader.wire_type()), static_cast<int>(type)));
    }
    if (type == pbf_wire_type::length_delimited) check_length(reader);
  }

  void charge(const pbf_reader& reader, size_t bytes) {
    if (bytes > budget_) fail(reader.data().data(), "more elements than a file of this size may hold");
    budget_ -= bytes;
  }

  std::string_view view(pbf_reader& reader) {
    expect(reader, pbf_wire_type::length_delimited);
    const auto v = reader.get_view();
    return {v.data(), v.size()};
  }

  void value(pbf_reader& reader, std::string_view& out) { out = view(reader); }

  template <Varint T>
  void value(pbf_reader& reader, T& out) {
    expect(reader, pbf_wire_type::varint);
    out = static_cast<T>(reader.get_uint64());
  }

  void value(pbf_reader& reader, Fixed32& out) {
    expect(reader, pbf_wire_type::fixed32);
    out.value = reader.get_fixed32();
  }

  template <Fixed T>
  void value(pbf_reader& reader, T& out) {
    if constexpr (sizeof(T) == 4) {
      expect(reader, pbf_wire_type::fixed32);
      out = reader.get_float();
    } else {
      expect(reader, pbf_wire_type::fixed64);
      out = reader.get_double();
    }
  }

  template <Message M>
  void value(pbf_reader& reader, M& out) {
    message(view(reader), out);
  }

  template <typename T>
  void value(pbf_reader& reader, std::unique_ptr<T>& out) {
    charge(reader, sizeof(T));
    if (!out) out = std::make_unique<T>();  // protobuf merges repeated occurrences of a message
    value(reader, *out);
  }

  template <typename T>
  void value(pbf_reader& reader, std::vector<T>& out) {
    if constexpr (Varint<T> || Fixed<T>) {
      if (reader.wire_type() == pbf_wire_type::length_delimited) return packed(reader, out);
    }
    charge(reader, sizeof(T));
    value(reader, out.emplace_back());
  }

  template <Varint T>
  void packed(pbf_reader& reader, std::vector<T>& out) {
    const std::string_view chunk = view(reader);
    const char* end = chunk.data() + chunk.size();
    for (const char* p = chunk.data(); p != end;) {
      charge(reader, sizeof(T));
      out.push_back(static_cast<T>(protozero::decode_varint(&p, end)));
    }
  }

  template <Fixed T>
  void packed(pbf_reader& reader, std::vector<T>& out) {
    const std::string_view chunk = fixed_chunk<T>(reader);
    charge(reader, chunk.size());
    const size_t old = out.size();
    out.resize(old + chunk.size() / sizeof(T));
    if (!chunk.empty()) std::memcpy(out.data() + old, chunk.data(), chunk.size());
  }

  template <Fixed T>
  void value(pbf_reader& reader, FixedList<T>& out) {
    const bool is_packed = reader.wire_type() == pbf_wire_type::length_delimited;
    if (is_packed && out.size() == 0) {
      out.packed = fixed_chunk<T>(reader);
      return;
    }
    if (out.loose.empty() && !out.packed.empty()) {
      out.loose.resize(out.packed.size() / sizeof(T));
      std::memcpy(out.loose.data(), out.packed.data(), out.packed.size());
    }
    value(reader, out.loose);
  }

  template <Fixed T>
  std::string_view fixed_chunk(pbf_reader& reader) {
    const std::string_view chunk = view(reader);
    if (chunk.size() % sizeof(T) != 0) {
      fail(chunk.data(), fmt::format("packed field of {} bytes, no multiple of {}", chunk.size(), sizeof(T)));
    }
    return chunk;
  }

  std::string_view bytes_;
  size_t budget_;
  int depth_ = 0;
};

// Decodes one message of `format`. Memory taken is at most a fixed multiple of bytes.size(); nesting is limited. Errors
// (invalid_encoding) carry message, field and byte offset. Unknown fields are skipped, as protobuf asks.
template <Message M>
kernels::Result<M> decode_message(std::span<const std::byte> bytes, std::string_view format) {
  const std::string_view view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  Decoder decoder(view);
  M out;
  try {
    decoder.message(view, out);
  } catch (const Malformed& e) {
    return kernels::fail(kernels::ErrorCode::invalid_encoding, "not a valid {} {}: at byte {}: {}", format,
                         Schema<M>::kName, e.offset, e.what);
  }
  return out;
}

}  // namespace tenon::nn::protobuf
