// Writing, opening and checking artefacts.
#include "engine/aot/artefact.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "engine/aot/hash.h"
#include "engine/module.h"
#include "engine/native/module_code.h"
#include "engine/runtime/plugin.h"
#include "engine/runtime/store.h"

namespace tenon {
namespace {

std::unexpected<Error> refused(ErrorCategory category, std::string why) {
  return std::unexpected(Error{category, "artefact: " + std::move(why), {}});
}
std::unexpected<Error> damaged(std::string why) { return refused(ErrorCategory::malformed, std::move(why)); }
std::unexpected<Error> system_error(const char* what) {
  return refused(ErrorCategory::io, fmt::format("{}: {}", what, std::strerror(errno)));
}

u64 aligned(u64 n, u64 to) { return (n + to - 1) / to * to; }

// Of the file with its checksum field zero.
u64 checksum_of(std::span<const u8> file) {
  ArtefactHeader header;
  std::memcpy(&header, file.data(), sizeof header);
  header.checksum = 0;
  Hasher h;
  h.add({reinterpret_cast<const u8*>(&header), sizeof header});
  h.add(file.subspan(sizeof header));
  return h.finish();
}

std::string_view id_in(const ArtefactHeader& h) {
  return {h.build_id, strnlen(h.build_id, sizeof h.build_id)};
}

}  // namespace

bool looks_like_artefact(std::span<const u8> bytes) {
  return bytes.size() >= sizeof ArtefactHeader::kMagic &&
         std::memcmp(bytes.data(), ArtefactHeader::kMagic, sizeof ArtefactHeader::kMagic) == 0;
}

std::vector<u8> write_artefact(std::span<const u8> module,
                               std::span<const std::shared_ptr<const CodeObject>> code,
                               const ArtefactInfo& info) {
  ArtefactHeader header{};
  std::memcpy(header.magic, ArtefactHeader::kMagic, sizeof header.magic);
  header.version = ArtefactHeader::kVersion;
  header.section_count = static_cast<u32>(1 + code.size());
  header.cpu_features = info.cpu.bits;
  header.opt_level = info.opt_level;
  header.module_hash = hash_of(module);
  const std::string_view id = build_id();
  std::memcpy(header.build_id, id.data(), std::min(id.size(), sizeof header.build_id));
  std::vector<ArtefactRow> rows;
  u64 end = sizeof header + header.section_count * sizeof(ArtefactRow);
  auto place = [&](ArtefactSection kind, u64 size, u64 alignment) {
    end = aligned(end, alignment);
    rows.push_back({static_cast<u32>(kind), 0, end, size});
    end += size;
  };
  place(ArtefactSection::module, module.size(), 8);
  for (const auto& object : code) place(ArtefactSection::image, object->image().size(), kCodeAlignment);
  header.file_size = end;
  std::vector<u8> out(end);
  auto put = [&out](u64 at, const void* from, u64 size) {
    if (size != 0) std::memcpy(out.data() + at, from, size);
  };
  put(sizeof header, rows.data(), rows.size() * sizeof(ArtefactRow));
  put(rows[0].offset, module.data(), module.size());
  for (size_t i = 0; i < code.size(); ++i)
    put(rows[i + 1].offset, code[i]->image().data(), code[i]->image().size());
  put(0, &header, sizeof header);
  header.checksum = checksum_of(out);
  put(0, &header, sizeof header);
  return out;
}

Result<std::shared_ptr<const Artefact>> Artefact::from_bytes(std::span<const u8> bytes) {
  const int fd = memfd_create("tenon-artefact", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) return system_error("no memory file");
  u64 written = 0;
  while (written < bytes.size()) {
    const ssize_t n = write(fd, bytes.data() + written, bytes.size() - written);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      auto error = system_error("copying it");
      close(fd);
      return error;
    }
    written += static_cast<u64>(n);
  }
  fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
  return open(fd, bytes.size());
}

Result<std::shared_ptr<const Artefact>> Artefact::read(int fd, u64 size) {
  std::vector<u8> bytes(size);
  u64 done = 0;
  while (done < size) {
    const ssize_t n = pread(fd, bytes.data() + done, size - done, static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_error("reading it");
    if (n == 0) return damaged("shorter than its file was");
    done += static_cast<u64>(n);
  }
  return from_bytes(bytes);
}

Result<std::shared_ptr<const Artefact>> Artefact::map(int fd, u64 size) {
  const int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (own < 0) return system_error("opening it");
  return open(own, size);
}

// Takes the descriptor.
Result<std::shared_ptr<const Artefact>> Artefact::open(int fd, u64 size) {
  std::shared_ptr<Artefact> a(new Artefact);
  a->fd_ = fd;
  if (size < sizeof(ArtefactHeader)) return damaged(fmt::format("{} bytes are less than its header", size));
  void* p = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (p == MAP_FAILED) return system_error("mapping it");
  a->bytes_ = static_cast<const u8*>(p);
  a->size_ = size;
  TRY(a->check());
  return a;
}

Artefact::~Artefact() {
  if (bytes_) munmap(const_cast<u8*>(bytes_), size_);
  if (fd_ >= 0) close(fd_);
}

Result<void> Artefact::check() {
  ArtefactHeader h;
  std::memcpy(&h, bytes_, sizeof h);
  if (!looks_like_artefact(bytes())) return damaged("it does not begin as one");
  if (h.version != ArtefactHeader::kVersion)
    return refused(ErrorCategory::unsupported,
                   fmt::format("its format is version {}, this program reads version {}", h.version,
                               ArtefactHeader::kVersion));
  if (h.file_size != size_)
    return damaged(fmt::format("it has {} bytes, its header says {}", size_, h.file_size));
  if (checksum_of(bytes()) != h.checksum) return damaged("its checksum does not match: it is damaged");
  TRY(check_fit(h));
  info_ = {{h.cpu_features}, static_cast<u8>(h.opt_level)};
  return read_rows(h);
}

Result<void> Artefact::check_fit(const ArtefactHeader& h) const {
  if (id_in(h) != build_id())
    return refused(ErrorCategory::unsupported,
                   fmt::format("made by another build ({}, this one is {}): compile the module again",
                               id_in(h), build_id()));
  if (const std::string missing = missing_features({h.cpu_features}, host_cpu_features()); !missing.empty())
    return refused(ErrorCategory::unsupported,
                   fmt::format("made for a processor with {}, which this one lacks", missing));
  return {};
}

Result<void> Artefact::read_rows(const ArtefactHeader& h) {
  u64 end = sizeof h;
  if (h.section_count > (size_ - end) / sizeof(ArtefactRow))
    return damaged("its table of sections is cut off");
  end += h.section_count * sizeof(ArtefactRow);
  for (u32 i = 0; i < h.section_count; ++i) {
    ArtefactRow row;
    std::memcpy(&row, bytes_ + sizeof h + i * sizeof row, sizeof row);
    if (row.offset < end || row.offset > size_ || row.size > size_ - row.offset)
      return damaged(fmt::format("section {} lies outside or overlaps", i));
    end = row.offset + row.size;
    const auto contents = bytes().subspan(row.offset, row.size);
    if (i == 0 && row.kind == static_cast<u32>(ArtefactSection::module)) {
      module_ = contents;
    } else if (i != 0 && row.kind == static_cast<u32>(ArtefactSection::image) &&
               row.offset % kCodeAlignment == 0) {
      images_.push_back(contents);
    } else {
      return damaged(fmt::format("section {} is of an unknown kind", i));
    }
  }
  if (h.section_count == 0 || hash_of(module_) != h.module_hash) return damaged("it holds another module");
  return {};
}

Result<std::vector<std::shared_ptr<const CodeObject>>> Artefact::load_code(const Module& module) const {
  std::vector<std::shared_ptr<const CodeObject>> out;
  for (const auto& image : images_) {
    TRY_ASSIGN(auto code, CodeObject::map(module, image, shared_from_this(), fd_,
                                          static_cast<u64>(image.data() - bytes_)));
    out.push_back(std::move(code));
  }
  return out;
}

Result<void> Artefact::add_code_to(const Module& module) const {
  TRY_ASSIGN(auto objects, load_code(module));
  for (auto& code : objects) module.code().add(std::move(code));
  module.code().objects_saved = static_cast<u32>(images_.size());
  return {};
}

Result<std::shared_ptr<const Module>> load_module(Engine& engine,
                                                  const std::shared_ptr<const Artefact>& artefact) {
  DecodeOptions decode = engine.options().decode;
  decode.lazy_bodies = true;
  TRY_ASSIGN(auto module, decode_module(engine.types(), artefact->module_bytes(), artefact, decode));
  TRY(artefact->add_code_to(*module));
  return std::shared_ptr<const Module>(std::move(module));
}

}  // namespace tenon
