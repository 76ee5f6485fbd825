// Writing and checking images of compiled code.
#include "engine/native/code_image.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace tenon {
namespace {

constexpr std::string_view kSectionNames[] = {"functions", "entries",  "lines",  "inlined", "loops", "thunks",
                                              "frames",    "landings", "config", "strings", "code"};
static_assert(std::size(kSectionNames) == static_cast<size_t>(ImageSection::count));

std::unexpected<Error> damaged(std::string what) {
  return std::unexpected(Error{ErrorCategory::malformed, "compiled code: " + std::move(what), {}});
}

}  // namespace

// The configuration as bytes: a byte of checks, then for memories and imports a count and a byte each.
std::vector<u8> write_config(const CodeConfig& config) {
  std::vector<u8> out;
  auto put_count = [&out](size_t n) {
    for (u32 shift = 0; shift < 32; shift += 8) out.push_back(static_cast<u8>(n >> shift));
  };
  const CodeChecks& c = config.checks;
  out.push_back(static_cast<u8>(c.fuel | c.epochs << 1 | c.interrupts << 2 | c.deterministic_nans << 3 |
                                c.deterministic_simd << 4));
  put_count(config.memories.size());
  for (const MemoryPlan& m : config.memories)
    out.push_back(static_cast<u8>(m.is64 | m.guarded << 1 | m.fixed_base << 2));
  put_count(config.native_import.size());
  for (const bool native : config.native_import) out.push_back(native);
  return out;
}

namespace {

class ConfigReader {
 public:
  explicit ConfigReader(std::span<const u8> bytes) : bytes_(bytes) {}
  bool read(CodeConfig& config) {
    u8 checks = 0;
    if (!flags(checks, 5)) return false;
    config.checks = {(checks & 1) != 0, (checks & 2) != 0, (checks & 4) != 0, (checks & 8) != 0,
                     (checks & 16) != 0};
    u32 count = 0;
    if (!read_count(count)) return false;
    for (u8 m = 0; count > 0; --count) {
      if (!flags(m, 3)) return false;
      config.memories.push_back({(m & 1) != 0, (m & 2) != 0, (m & 4) != 0});
    }
    if (!read_count(count)) return false;
    for (u8 native = 0; count > 0; --count) {
      if (!flags(native, 1)) return false;
      config.native_import.push_back(native != 0);
    }
    return bytes_.empty();
  }

 private:
  bool flags(u8& out, u32 bits) {
    if (bytes_.empty() || bytes_[0] >> bits != 0) return false;
    out = bytes_[0];
    bytes_ = bytes_.subspan(1);
    return true;
  }
  bool read_count(u32& out) {
    if (bytes_.size() < sizeof out) return false;
    std::memcpy(&out, bytes_.data(), sizeof out);
    bytes_ = bytes_.subspan(sizeof out);
    return out <= bytes_.size();
  }
  std::span<const u8> bytes_;
};

u64 aligned(u64 n, u64 to) { return (n + to - 1) / to * to; }

class Checker {
 public:
  Checker(std::span<const u8> image, u32 module_functions) : image_(image), functions_(module_functions) {}

  Result<ImageView> run() {
    TRY(check_header());
    TRY(take(ImageSection::functions, view_.functions));
    TRY(take(ImageSection::entries, view_.entries));
    TRY(take(ImageSection::lines, view_.lines));
    TRY(take(ImageSection::inlined, view_.inlined));
    TRY(take(ImageSection::loops, view_.loops));
    TRY(take(ImageSection::thunks, view_.thunks));
    TRY(take(ImageSection::frames, view_.frames));
    TRY(take(ImageSection::landings, view_.landings));
    TRY(take(ImageSection::code, view_.code));
    const auto strings = bytes_of(ImageSection::strings);
    view_.strings = {reinterpret_cast<const char*>(strings.data()), strings.size()};
    TRY_ASSIGN(view_.config, read_config(bytes_of(ImageSection::config)));
    TRY(check_functions());
    TRY(check_thunks());
    TRY(check_unwinding());
    return std::move(view_);
  }

 private:
  std::span<const u8> bytes_of(ImageSection s) const {
    const auto& range = view_.header.sections[static_cast<size_t>(s)];
    return image_.subspan(range.offset, range.size);
  }

  Result<void> check_header() {
    ImageHeader& h = view_.header;
    if (image_.size() < sizeof h) return damaged("shorter than its header");
    std::memcpy(&h, image_.data(), sizeof h);
    if (h.magic != ImageHeader::kMagic) return damaged("no image");
    if (h.functions != functions_)
      return damaged(
          fmt::format("made for a module of {} functions, this one has {}", h.functions, functions_));
    if (h.size != image_.size())
      return damaged(fmt::format("its size is {} bytes, the header says {}", image_.size(), h.size));
    u64 end = sizeof h;
    for (size_t s = 0; s < h.sections.size(); ++s) {
      const auto& range = h.sections[s];
      if (range.offset < end || range.offset > h.size || range.size > h.size - range.offset ||
          range.offset % 8 != 0)
        return damaged(fmt::format("section {} lies outside or overlaps", kSectionNames[s]));
      end = range.offset + range.size;
    }
    const auto& code = h.sections[static_cast<size_t>(ImageSection::code)];
    constexpr u64 kMost = u64{1} << 30;
    if (code.offset % kCodeAlignment != 0 || code.size > kMost)
      return damaged("the code section is misplaced or too large");
    return {};
  }

  template <class T>
  Result<void> take(ImageSection s, std::span<const T>& out) {
    const auto bytes = bytes_of(s);
    if (bytes.size() % sizeof(T) != 0)
      return damaged(fmt::format("section {} has a part of a row", kSectionNames[static_cast<size_t>(s)]));
    out = {reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T)};
    return {};
  }

  Result<void> check_functions() {
    u32 end = 0;
    for (const CodeFunction& f : view_.functions) {
      if (f.begin < end || f.end < f.begin || f.end > view_.code.size() || f.func >= functions_)
        return damaged("the table of functions is damaged");
      end = f.end;
    }
    for (size_t i = 0; i < view_.entries.size(); ++i) {
      const CodeEntry& e = view_.entries[i];
      if (e.func >= functions_ || e.native_entry >= view_.code.size() ||
          (i > 0 && e.func <= view_.entries[i - 1].func))
        return damaged("the table of entries is damaged");
    }
    for (const CodeLoop& l : view_.loops)
      if (l.func >= functions_ || l.array_entry >= view_.code.size())
        return damaged("the table of loops is damaged");
    u32 pc = 0;
    for (const CodeLine& l : view_.lines) {
      if (l.pc < pc || l.pc > view_.code.size()) return damaged("the table of lines is damaged");
      pc = l.pc;
    }
    pc = 0;
    for (const CodeInlined& i : view_.inlined) {
      if (i.begin < pc || i.end < i.begin || i.end > view_.code.size() || i.func >= functions_)
        return damaged("the table of inlined calls is damaged");
      pc = i.begin;
    }
    return {};
  }

  bool is_text(u32 offset, u32 size) const {
    return offset <= view_.strings.size() && size <= view_.strings.size() - offset;
  }
  Result<void> check_thunks() {
    for (const CodeThunk& t : view_.thunks)
      if (!is_text(t.key_offset, t.key_size) || t.array_entry >= view_.code.size() ||
          t.native_entry >= view_.code.size())
        return damaged("the table of thunks is damaged");
    return {};
  }

  Result<void> check_unwinding() {
    u32 end = 0;
    for (const CodeFrame& f : view_.frames) {
      if (f.begin < end || f.end < f.begin || f.end > view_.code.size())
        return damaged("the table of frames is damaged");
      end = f.end;
    }
    end = 0;
    for (const CodeLanding& l : view_.landings) {
      if (l.begin < end || l.end < l.begin || l.end > view_.code.size() || l.pad >= view_.code.size())
        return damaged("the table of landing pads is damaged");
      end = l.end;
    }
    return {};
  }

  std::span<const u8> image_;
  u32 functions_;
  ImageView view_;
};

}  // namespace

Result<CodeConfig> read_config(std::span<const u8> bytes) {
  CodeConfig config;
  if (!ConfigReader(bytes).read(config)) return damaged("its configuration is damaged");
  return config;
}

Result<ImageView> view_image(std::span<const u8> image, u32 module_functions) {
  return Checker(image, module_functions).run();
}

u32 ImageParts::add_string(std::string_view s) {
  const auto at = static_cast<u32>(strings.size());
  strings += s;
  return at;
}

std::vector<u8> write_image(const ImageParts& parts) {
  ImageHeader header{ImageHeader::kMagic, parts.functions_of_module, 0, parts.whole, 0, {}};
  std::vector<u8> out(sizeof header);
  auto put = [&](ImageSection s, const void* bytes, size_t size) {
    out.resize(aligned(out.size(), s == ImageSection::code ? kCodeAlignment : 8));
    header.sections[static_cast<size_t>(s)] = {out.size(), size};
    const auto* first = static_cast<const u8*>(bytes);
    out.insert(out.end(), first, first + size);
  };
  auto put_rows = [&](ImageSection s, const auto& rows) {
    put(s, rows.data(), rows.size() * sizeof(rows[0]));
  };
  put_rows(ImageSection::functions, parts.functions);
  put_rows(ImageSection::entries, parts.entries);
  put_rows(ImageSection::lines, parts.lines);
  put_rows(ImageSection::inlined, parts.inlined);
  put_rows(ImageSection::loops, parts.loops);
  put_rows(ImageSection::thunks, parts.thunks);
  put_rows(ImageSection::frames, parts.frames);
  put_rows(ImageSection::landings, parts.landings);
  put_rows(ImageSection::config, write_config(parts.config));
  put_rows(ImageSection::strings, parts.strings);
  put_rows(ImageSection::code, parts.code);
  header.size = out.size();
  std::memcpy(out.data(), &header, sizeof header);
  return out;
}

std::string signature_key(const FuncType& type) {
  static constexpr char kLetters[] = {'i', 'l', 'f', 'd', 'v', 'l', 'l'};  // by ValKind; references are i64
  std::string key;
  for (const ValType t : type.params) key += kLetters[static_cast<size_t>(t.kind())];
  key += ':';
  for (const ValType t : type.results) key += kLetters[static_cast<size_t>(t.kind())];
  return key;
}

}  // namespace tenon
