// Parses instructions of the text format, folded and flat (spec: text/instructions), straight into their
// encoding.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "engine/opcodes.h"
#include "engine/text/wat_types.h"

namespace tenon::text {

class InstrParser : public TypeParser {
 public:
  using TypeParser::TypeParser;

  struct BranchHint {
    u32 offset;  // of the hinted instruction, from the start of the instructions
    u8 likely;
  };

  // A function's instructions up to the form's closing parenthesis; the final end is written. Locals must be
  // set.
  void function_body(ByteWriter& out);
  // Instructions up to the closing parenthesis, and the final end: a constant expression.
  void expression(ByteWriter& out);
  // One folded instruction and the final end.
  void folded_expression(ByteWriter& out);

  IndexSpace locals{"local"};
  std::vector<BranchHint> hints;
  bool uses_data_index = false;  // some instruction names a data segment: a data count section is needed

 private:
  void instructions(ByteWriter& out);
  void instruction(ByteWriter& out);
  void plain(ByteWriter& out);
  void folded(ByteWriter& out);
  bool at_block_end() const;
  void branch_hint(ByteWriter& out);
  void note_hint(const ByteWriter& out, std::optional<u8> hint);

  void block_type(ByteWriter& out, const TypeUse& use);
  void open_block(ByteWriter& out, Op op);  // label, type, opcode; a catch list for try_table
  void end_label(const std::optional<std::string>& label);
  void plain_block(ByteWriter& out, Op op);
  void plain_try(ByteWriter& out);
  void folded_if(ByteWriter& out);
  void folded_try(ByteWriter& out);
  void catch_list(ByteWriter& out);

  std::optional<Op> opcode();
  void write_op(ByteWriter& out, Op op);
  void operation(ByteWriter& out, Op op);  // opcode and immediates; the keyword has been read
  void immediates(ByteWriter& out, Op op);
  void select_instr(ByteWriter& out);
  void ref_test_or_cast(ByteWriter& out, Op op);
  void br_on_cast(ByteWriter& out);
  void br_table(ByteWriter& out);
  void memarg(ByteWriter& out, u32 width, bool lane_follows);
  void mem_arg_numbers(u64& offset, u32& align, u32 width);
  void lane(ByteWriter& out);
  void v128_const(ByteWriter& out);
  void shuffle_lanes(ByteWriter& out);
  void optional_index(ByteWriter& out, const IndexSpace& space);
  void two_indices(ByteWriter& out, const IndexSpace& space);  // both or none
  void segment_and_index(ByteWriter& out, const IndexSpace& segments, const IndexSpace& space);
  u32 label();
  void int_const(ByteWriter& out, u32 bits);
  void float_const(ByteWriter& out, u32 bits);
  u64 number(u32 bits, bool is_float, std::string_view what);

  std::vector<std::optional<std::string>> labels_;
  std::optional<u8> pending_hint_;
  u32 depth_ = 0;
};

}  // namespace tenon::text
