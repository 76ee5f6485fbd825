// Every row of opcodes.def, with immediates of its kind: bytes → instruction → text → bytes is the identity.
// Nothing here is valid code; typing is validate_test.cpp's business.
#include "engine/reader.h"
#include "engine/text/printer.h"
#include "engine/text/wat.h"
#include "module_bytes.h"

namespace tenon::test {
namespace {

// What follows the opcode: second items of each index space, values that no default would give.
Bytes immediates(const OpInfo& info) {
  const u8 natural = info.width == 0 ? 0 : static_cast<u8>(std::countr_zero(info.width));
  Bytes memarg = Bytes{static_cast<u8>(natural | 0x40), 1} + leb(300);  // memory 1
  switch (info.imm) {
    case Imm::none: return {};
    case Imm::br_label: return {0};
    case Imm::func:
    case Imm::local:
    case Imm::global:
    case Imm::elem:
    case Imm::tag:
    case Imm::table:
    case Imm::mem:
    case Imm::data:
    case Imm::lane: return {1};
    case Imm::type:
      return {info.text.starts_with("struct") ? u8{2} : info.text.starts_with("array") ? u8{3} : u8{1}};
    case Imm::block: return {0x7f};
    case Imm::br_table: return {2, 0, 0, 0};
    case Imm::type_table:
    case Imm::elem_table:
    case Imm::data_mem: return {1, 1};
    case Imm::table_table:
    case Imm::mem_mem: return {1, 0};
    case Imm::memarg: return memarg;
    case Imm::memarg_lane: return memarg + Bytes{1};
    case Imm::lanes16: return {31, 0, 30, 1, 29, 2, 28, 3, 27, 4, 26, 5, 25, 6, 24, 7};
    case Imm::v128: return {1, 2, 3, 4, 5, 6, 7, 8, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff, 0};
    case Imm::i32: return {0x80, 0x80, 0x80, 0x80, 0x78};                                // −2³¹
    case Imm::i64: return {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f};  // −2⁶³
    case Imm::f32: return {1, 0, 0x80, 0xff};                                            // −nan:0x1
    case Imm::f64: return {2, 0, 0, 0, 0, 0, 0xf4, 0x7f};  // nan:0x4000000000002
    case Imm::heap_type: return {0x6d};
    case Imm::ref_cast: return {3, 0, 0x6e, 0x6d};
    case Imm::val_types: return {1, 0x7e};
    case Imm::type_field: return {2, 1};
    case Imm::type_u32: return {3, 5};
    case Imm::type_type: return {3, 3};
    case Imm::type_data:
    case Imm::type_elem: return {3, 1};
    case Imm::try_table: return {0x40, 4, 0, 1, 0, 1, 1, 0, 2, 0, 3, 0};
    case Imm::fence: return {0};
  }
  return {};
}

// The instruction where it may stand, and what closes it.
Bytes in_context(Op op, const Bytes& instruction) {
  switch (op) {
    case Op::end: return {0x02, 0x40, 0x0b};
    case Op::else_: return Bytes{0x04, 0x40} + instruction + Bytes{0x0b};
    case Op::catch_:
    case Op::catch_all: return Bytes{0x06, 0x40} + instruction + Bytes{0x0b};
    case Op::delegate: return Bytes{0x06, 0x40} + instruction;
    case Op::rethrow: return Bytes{0x06, 0x40, 0x19} + instruction + Bytes{0x0b};
    default: break;
  }
  const Imm imm = op_info(op).imm;
  return imm == Imm::block || imm == Imm::try_table ? instruction + Bytes{0x0b} : instruction;
}

Bytes module_with(const Bytes& code) {
  const Bytes function = body(code, {1, 2, I32});
  return kHeader +
         section(kType,
                 vec({func_type({}, {}), func_type({I32}, {}), {0x5f, 2, I32, 1, I64, 1}, {0x5e, I32, 1}})) +
         section(kFunction, {2, 0, 0}) + section(kTable, {2, FUNCREF, 0, 1, FUNCREF, 0, 1}) +
         section(kMemory, {2, 0, 1, 0, 1}) + section(kTag, {2, 0, 1, 0, 1}) +
         section(kGlobal, {2, I32, 1, 0x41, 0, 0x0b, I32, 1, 0x41, 0, 0x0b}) +
         section(kElement, {2, 1, 0, 0, 1, 0, 0}) + section(kDataCount, {2}) +
         section(kCode, vec({function, function})) + section(kData, {2, 1, 0, 1, 0});
}

TEST(RoundTrip, EveryRowThroughDecoderAndText) {
  for (size_t i = 0; i < kOpCount; ++i) {
    const Op op = static_cast<Op>(i);
    const OpInfo& info = op_info(op);
    SCOPED_TRACE(info.text);
    Bytes instruction =
        info.prefix == 0 ? Bytes{static_cast<u8>(info.code)} : Bytes{info.prefix} + leb(info.code);
    instruction = instruction + immediates(info);
    const Bytes bytes = module_with(in_context(op, instruction));

    DecodeOptions unchecked;
    unchecked.validate = false;
    const auto module = decode(bytes, unchecked);
    ASSERT_TRUE(module) << module.error().message;
    CodeReader reader(**module, (*module)->functions[0].body, (*module)->functions[0].offset);
    std::vector<LocalRun> locals;
    ASSERT_TRUE(reader.read_locals(locals));
    bool found = false;
    for (Instr instr; reader.next(instr);) found |= instr.op == op;
    EXPECT_FALSE(reader.error()) << reader.error()->message;
    EXPECT_TRUE(found);

    const auto text = text::wasm_to_wat(bytes);
    ASSERT_TRUE(text) << text.error().message;
    const auto again = text::wat_to_wasm(*text);
    ASSERT_TRUE(again) << again.error().message << "\n" << *text;
    const auto reread = decode(*again, unchecked);
    ASSERT_TRUE(reread) << reread.error().message;
    const auto body_of = [](const auto& m) {
      return Bytes((*m)->functions[0].body.begin(), (*m)->functions[0].body.end());
    };
    EXPECT_EQ(body_of(module), body_of(reread)) << *text;
  }
}

}  // namespace
}  // namespace tenon::test
