// Mapping of code (never writable and executable at once) and look-ups.
#include "engine/native/code_object.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "engine/module.h"
#include "engine/native/announce.h"

namespace tenon {
namespace {

u64 whole_pages(u64 n) { return (n + kCodeAlignment - 1) / kCodeAlignment * kCodeAlignment; }

std::unexpected<Error> refused(const char* what) {
  return std::unexpected(
      Error{ErrorCategory::io, fmt::format("no {} memory for code: {}", what, std::strerror(errno)), {}});
}

}  // namespace

Result<std::shared_ptr<const CodeObject>> CodeObject::load(const Module& module, std::vector<u8> image) {
  std::shared_ptr<CodeObject> code(new CodeObject(module));
  code->owned_ = std::move(image);
  code->image_ = code->owned_;
  TRY_ASSIGN(code->view_, view_image(code->image_, static_cast<u32>(module.functions.size())));
  if (const u64 size = whole_pages(code->view_.code.size()); size != 0) {
    void* p = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return refused("free");
    code->base_ = static_cast<u8*>(p);
    code->mapped_ = size;
    std::memcpy(p, code->view_.code.data(), code->view_.code.size());
    if (mprotect(p, size, PROT_READ | PROT_EXEC) != 0) return refused("executable");
  }
  code->announce();
  return code;
}

Result<std::shared_ptr<const CodeObject>> CodeObject::map(const Module& module, std::span<const u8> image,
                                                          std::shared_ptr<const void> owner, int fd,
                                                          u64 file_offset) {
  std::shared_ptr<CodeObject> code(new CodeObject(module));
  code->owner_ = std::move(owner);
  code->image_ = image;
  TRY_ASSIGN(code->view_, view_image(image, static_cast<u32>(module.functions.size())));
  const u64 at = file_offset + code->view_.header.sections[static_cast<size_t>(ImageSection::code)].offset;
  if (const u64 size = whole_pages(code->view_.code.size()); size != 0) {
    void* p = mmap(nullptr, size, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, static_cast<off_t>(at));
    if (p == MAP_FAILED) return refused("executable");
    code->base_ = static_cast<u8*>(p);
    code->mapped_ = size;
  }
  code->announce();
  return code;
}

// Makes the code known to the fault handler.
void CodeObject::announce() {
  if (view_.code.empty()) return;
  range_ = code_ranges().add(base_, view_.code.size(), this);
  announce_code(*this);
}

CodeObject::~CodeObject() {
  if (range_) {
    withdraw_code(*this);
    code_ranges().remove(range_);
  }
  if (base_) munmap(base_, mapped_);
}

namespace {

// The row of a table sorted by `begin` that holds `offset`.
template <class Row>
const Row* find_row(std::span<const Row> rows, u64 offset) {
  auto row =
      std::upper_bound(rows.begin(), rows.end(), offset, [](u64 o, const Row& r) { return o < r.begin; });
  return row == rows.begin() || offset >= (--row)->end ? nullptr : &*row;
}

}  // namespace

const CodeFunction* CodeObject::function_at(u64 offset) const { return find_row(view_.functions, offset); }

// Instructions that neither trap nor call have no rows of their own, and an interruption may come at any: there the nearest
// row before it that is of the same function stands, else the nearest behind it, else the beginning of the function's body.
u64 CodeObject::instruction_at(u64 offset, const CodeFunction& code, FuncIdx func) const {
  auto row_from = [&](u64 o) {
    return std::ranges::lower_bound(view_.lines, o, {}, [](const CodeLine& l) { return u64{l.pc}; });
  };
  const auto begin = row_from(code.begin), at = row_from(offset + 1), end = row_from(code.end);
  if (at != begin && std::prev(at)->wasm_offset != 0) return std::prev(at)->wasm_offset;
  const Function& function = module_.functions[func.value];
  auto inside = [&](const CodeLine& l) {
    return l.wasm_offset >= function.offset && l.wasm_offset - function.offset < function.body.size();
  };
  for (auto row = at; row != begin;)
    if (inside(*--row)) return row->wasm_offset;
  const auto behind = std::find_if(at, end, inside);
  return behind != end ? behind->wasm_offset : function.offset;
}

void CodeObject::append_frames(u64 pc, std::vector<TraceFrame>& out) const {
  const u64 offset = pc - reinterpret_cast<u64>(base_);
  const CodeFunction* f = function_at(offset);
  if (!f) return;
  const size_t first = out.size();
  TraceFrame frame{&module_, FuncIdx{f->func}, 0};
  // Inlined calls that hold the address, outermost first.
  const auto inlined = view_.inlined;
  auto begins_after = [](const CodeInlined& i, u64 o) { return i.begin < o; };
  auto call = std::lower_bound(inlined.begin(), inlined.end(), u64{f->begin}, begins_after);
  for (; call != inlined.end() && call->begin <= offset; ++call) {
    if (offset >= call->end) continue;
    frame.offset = call->call_offset;
    out.push_back(frame);
    frame.function = FuncIdx{call->func};
  }
  frame.offset = instruction_at(offset, *f, frame.function);
  out.push_back(frame);
  std::reverse(out.begin() + static_cast<std::ptrdiff_t>(first), out.end());
}

const CodeFrame* CodeObject::frame_of(u64 return_address) const {
  return find_row(view_.frames, return_address - 1 - reinterpret_cast<u64>(base_));
}
const CodeLanding* CodeObject::landing_of(u64 return_address) const {
  return find_row(view_.landings, return_address - 1 - reinterpret_cast<u64>(base_));
}

}  // namespace tenon
