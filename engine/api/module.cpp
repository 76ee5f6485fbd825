// Modules of the C API: from bytes and files, and what inspection gives.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "engine/text/wat.h"
#include "handles.h"

using namespace tenon;

namespace {

std::unexpected<Error> file_error(ErrorCategory category, const char* path, int error) {
  return std::unexpected(Error{category, fmt::format("cannot read {}: {}", path, std::strerror(error)), {}});
}

constexpr off_t kMaxFile = off_t{4} << 30;  // bytes: no module is that large, but a file, or a device, may be

Result<std::shared_ptr<std::vector<u8>>> read_file(const char* path) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return file_error(errno == ENOENT ? ErrorCategory::not_found : ErrorCategory::io, path, errno);
  struct Closer {
    int fd;
    ~Closer() { close(fd); }
  } const closer{fd};
  struct stat st{};
  if (fstat(fd, &st) != 0) return file_error(ErrorCategory::io, path, errno);
  if (S_ISDIR(st.st_mode)) return file_error(ErrorCategory::io, path, EISDIR);
  if (st.st_size > kMaxFile) return file_error(ErrorCategory::limit, path, EFBIG);
  auto bytes = std::make_shared<std::vector<u8>>();
  size_t used = 0;
  bytes->resize(static_cast<size_t>(st.st_size) + 1);
  while (true) {
    const ssize_t n = read(fd, bytes->data() + used, bytes->size() - used);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return file_error(ErrorCategory::io, path, errno);
    if (n == 0) break;
    used += static_cast<size_t>(n);
    if (used > static_cast<size_t>(kMaxFile)) return file_error(ErrorCategory::limit, path, EFBIG);
    if (used == bytes->size()) bytes->resize(used * 2);
  }
  bytes->resize(used);
  return bytes;
}

// A module that does not begin as a binary but with a parenthesis or a comment.
bool looks_like_text(std::span<const u8> bytes) {
  for (const u8 b : bytes)
    if (b != ' ' && b != '\n' && b != '\t' && b != '\r') return b == '(' || b == ';';
  return false;
}

tenon_error_t* compile(tenon_engine_t* engine, std::span<const u8> bytes, std::shared_ptr<const void> owner,
                       tenon_module_t** out) {
  auto module = api::new_module(*engine, bytes, std::move(owner));
  if (!module) return api::make_error(module.error());
  *out = new tenon_module{std::move(*module), {}, {}};
  return nullptr;
}

}  // namespace

tenon_error_t* tenon_module_new(tenon_engine_t* engine, const void* bytes, size_t size,
                                tenon_module_t** out) try {
  auto copy =
      std::make_shared<std::vector<u8>>(static_cast<const u8*>(bytes), static_cast<const u8*>(bytes) + size);
  const std::span<const u8> view = *copy;
  return compile(engine, view, std::move(copy), out);
} catch (...) {
  return api::caught();
}

tenon_error_t* tenon_module_new_from_file(tenon_engine_t* engine, const char* path,
                                          tenon_module_t** out) try {
  auto file = read_file(path);
  if (!file) return api::make_error(file.error());
  std::shared_ptr<std::vector<u8>> bytes = std::move(*file);
  if (looks_like_text(*bytes)) {
    const std::string_view source(reinterpret_cast<const char*>(bytes->data()), bytes->size());
    auto binary = text::wat_to_wasm(source, engine->config.options.decode.features);
    if (!binary)
      return new tenon_error{std::move(binary.error())};  // with the line, which is part of the message
    *bytes = std::move(*binary);
  }
  const std::span<const u8> view = *bytes;
  return compile(engine, view, std::move(bytes), out);
} catch (...) {
  return api::caught();
}

void tenon_module_delete(tenon_module_t* module) { delete module; }

size_t tenon_module_import_count(const tenon_module_t* module) { return module->module->imports.size(); }

bool tenon_module_import(const tenon_module_t* module, size_t index, tenon_item_t* out) {
  const Module& m = *module->module;
  if (index >= m.imports.size()) return false;
  const Import& import = m.imports[index];
  u32 position = 0;  // in its index space
  for (size_t i = 0; i < index; ++i) position += m.imports[i].kind() == import.kind();
  *out = {api::name_of(import.module), api::name_of(import.name),
          static_cast<tenon_extern_kind_t>(import.kind()), position,
          api::name_of(module->inspect().import_types[index])};
  return true;
}

size_t tenon_module_export_count(const tenon_module_t* module) { return module->module->exports.size(); }

bool tenon_module_export(const tenon_module_t* module, size_t index, tenon_item_t* out) {
  if (index >= module->module->exports.size()) return false;
  const Export& e = module->module->exports[index];
  *out = {{nullptr, 0},
          api::name_of(e.name),
          static_cast<tenon_extern_kind_t>(e.kind),
          e.index,
          api::name_of(module->inspect().export_types[index])};
  return true;
}

size_t tenon_module_section_count(const tenon_module_t* module) { return module->inspect().sections.size(); }

bool tenon_module_section(const tenon_module_t* module, size_t index, tenon_section_t* out) {
  const auto& sections = module->inspect().sections;
  if (index >= sections.size()) return false;
  const auto& s = sections[index];
  *out = {s.id, api::name_of(s.name), s.offset, s.size, s.items};
  return true;
}

size_t tenon_module_feature_count(const tenon_module_t* module) { return module->inspect().features.size(); }

bool tenon_module_feature(const tenon_module_t* module, size_t index, tenon_name_t* out) {
  const auto& features = module->inspect().features;
  if (index >= features.size()) return false;
  *out = api::name_of(features[index]);
  return true;
}

size_t tenon_module_type_count(const tenon_module_t* module) { return module->inspect().types.size(); }

bool tenon_module_type(const tenon_module_t* module, size_t index, tenon_name_t* out) {
  const auto& types = module->inspect().types;
  if (index >= types.size()) return false;
  *out = api::name_of(types[index]);
  return true;
}

uint64_t tenon_module_size(const tenon_module_t* module) { return module->module->bytes().size(); }
