// Parses types of the text format (spec: text/types) and keeps the module's index spaces. Types stay as they
// will be encoded: indices are the module's own, nothing is made canonical and nothing is validated.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "engine/binary/byte_writer.h"
#include "engine/text/cursor.h"

namespace tenon::text {

// A heap type as its binary encoding: negative for abstract ones, else a type index.
using HeapCode = i64;

struct TextValType {
  u8 code = 0x40;     // 0x7f…0x7b numbers and vectors, 0x78/0x77 packed, 0x64 (ref ht), 0x63 (ref null ht)
  HeapCode heap = 0;  // references only
  bool is_ref() const { return code == 0x63 || code == 0x64; }
  void encode(ByteWriter& out) const;
  friend auto operator<=>(const TextValType&, const TextValType&) = default;
};

struct TextFuncType {
  std::vector<TextValType> params, results;
  friend auto operator<=>(const TextFuncType&, const TextFuncType&) = default;
};

// A use of a function type: `(type x)? (param …)* (result …)*`.
struct TypeUse {
  std::optional<u32> index;
  bool has_inline = false;
  TextFuncType inline_type;
  std::vector<std::pair<u32, std::string>> param_ids;  // position, identifier
};

// One index space: identifiers, and names for the name section.
struct IndexSpace {
  std::string_view what;  // "func", for messages
  u32 count = 0;
  std::map<std::string, u32, std::less<>> ids = {};
  std::map<u32, std::string> names = {};
};

class TypeParser : public Cursor {
 public:
  TypeParser(const TokenStream& stream, u32 position) : Cursor(stream, position) {}

  IndexSpace types{"type"}, funcs{"func"}, tables{"table"}, memories{"memory"}, globals{"global"},
      tags{"tag"}, elems{"elem"}, data{"data"};

  // Gives the next index of the space, under the id if there is one.
  u32 declare(IndexSpace& space, const std::optional<std::string>& id);
  // An identifier or a number. Fails with "unknown func $f".
  u32 index(const IndexSpace& space);
  bool at_index() const { return is(TokenKind::id) || is(TokenKind::number); }
  // A struct field's index: by its id in that type, or a number.
  u32 field_index(u32 type);

  bool at_ref_type() const;
  TextValType val_type();
  TextValType ref_type();
  HeapCode heap_type();
  // In a block's type use, parameters have no ids.
  TypeUse type_use(bool allow_ids);
  // The index of the type that a use stands for; an implicit type is appended where there is none.
  u32 resolve(const TypeUse& use);
  // Its signature, for parameters and matching.
  TextFuncType signature(const TypeUse& use);

  // `(type …)` or `(rec …)`, the cursor behind the opening parenthesis and keyword. Ids are declared already.
  void type_definition();
  void rec_group();
  // The type section's content.
  ByteWriter encode_types() const;
  const std::vector<std::map<std::string, u32, std::less<>>>& field_ids() const { return field_ids_; }

 private:
  void add_entry(std::optional<TextFuncType> func, bool plain);
  void definition_body(ByteWriter& out, bool alone);
  std::optional<TextFuncType> composite_type(ByteWriter& out);
  void field_type(ByteWriter& out);
  void struct_fields(ByteWriter& out);
  void params(TextFuncType& type, std::vector<std::pair<u32, std::string>>* ids, bool& any);
  void results(TextFuncType& type, bool& any);

  std::vector<std::optional<TextFuncType>>
      func_types_;  // by type index; nothing where it is no function type
  // What a type use without an index may stand for: final function types without supertypes, alone in their
  // group.
  std::map<TextFuncType, u32> plain_;
  std::vector<ByteWriter> groups_;
  std::vector<std::map<std::string, u32, std::less<>>> field_ids_;
};

}  // namespace tenon::text
