// A mapped image of compiled code: immutable, shared by all stores and threads, unmapped with its last owner.
// Finds which Wasm function and instruction a code address belongs to.
#pragma once
#include <memory>
#include <optional>
#include <vector>

#include "engine/native/code_image.h"
#include "engine/native/ranges.h"
#include "engine/runtime/trap.h"

namespace tenon {

class CodeObject {
 public:
  // Copies the code of an image into executable memory. Errors: malformed; io (no executable memory).
  static Result<std::shared_ptr<const CodeObject>> load(const Module& module, std::vector<u8> image);
  // Maps the code of an image that lies in a file at `file_offset`, a multiple of kCodeAlignment; `image` is
  // a view of the same bytes that `owner` keeps alive. Errors as above.
  static Result<std::shared_ptr<const CodeObject>> map(const Module& module, std::span<const u8> image,
                                                       std::shared_ptr<const void> owner, int fd,
                                                       u64 file_offset);
  ~CodeObject();
  CodeObject(const CodeObject&) = delete;
  CodeObject& operator=(const CodeObject&) = delete;

  const Module& module() const { return module_; }
  bool whole() const { return view_.header.whole != 0; }
  const CodeConfig& config() const { return view_.config; }
  std::span<const CodeEntry> entries() const { return view_.entries; }
  const void* address(u32 offset) const { return base_ + offset; }
  u64 code_size() const { return view_.code.size(); }
  std::span<const CodeFunction> functions() const { return view_.functions; }
  std::span<const CodeLine> lines() const { return view_.lines; }  // sorted by pc
  std::span<const CodeLoop> loops() const { return view_.loops; }
  std::span<const CodeThunk> thunks() const { return view_.thunks; }
  std::string_view key(const CodeThunk& t) const { return view_.text(t.key_offset, t.key_size); }
  // Appends the Wasm frames that execute the instruction holding `pc`, innermost first: more than one where calls were
  // inlined, none in thunks.
  void append_frames(u64 pc, std::vector<TraceFrame>& out) const;
  // Whether `pc` is in a function, not in a thunk.
  bool in_function(u64 pc) const { return function_at(pc - reinterpret_cast<u64>(base_)) != nullptr; }
  // What unwinding needs, by return address; null: no row. See code_image.h.
  const CodeFrame* frame_of(u64 return_address) const;
  const CodeLanding* landing_of(u64 return_address) const;
  // All bytes of the image, for writing it to a file.
  std::span<const u8> image() const { return image_; }

 private:
  explicit CodeObject(const Module& module) : module_(module) {}
  void announce();
  const CodeFunction* function_at(u64 offset) const;
  // Where in the Wasm module the code at `offset` comes from: `func`, which is `code` or inlined into it.
  u64 instruction_at(u64 offset, const CodeFunction& code, FuncIdx func) const;

  const Module& module_;
  std::vector<u8> owned_;              // of load()
  std::shared_ptr<const void> owner_;  // of map()
  std::span<const u8> image_;
  ImageView view_{};
  u8* base_ = nullptr;
  u64 mapped_ = 0;
  RangeSet::Node* range_ = nullptr;
};

}  // namespace tenon
