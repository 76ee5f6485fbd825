// Artefacts (.tna): a module with its compiled code in one file, mapped and run without LLVM and without
// relocations. An artefact is native code: whoever opens one trusts where it comes from. The checks here find
// damage and artefacts that do not fit, not malice.
#pragma once
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/aot/cpu.h"
#include "engine/base.h"
#include "engine/error.h"
#include "engine/native/code_object.h"

namespace tenon {

enum class ArtefactSection : u32 { module, image };  // one module, any number of images of its code

// The start of the file; little-endian. Section rows follow, then sections: the module's bytes, and images at
// multiples of kCodeAlignment.
struct ArtefactHeader {
  static constexpr char kMagic[8] = {'\0', 't', 'e', 'n', 'o', 'n', '\r', '\n'};
  static constexpr u32 kVersion = 1;
  char magic[8];
  u32 version;
  u32 section_count;
  u64 file_size;
  u64 cpu_features;  // CpuFeatures that the code needs
  u64 module_hash;
  u64 checksum;  // of the whole file, with this field zero
  u32 opt_level;
  u32 reserved;
  char build_id[72];  // of the engine whose structs the code knows; padded with zeros
};
static_assert(sizeof(ArtefactHeader) == 128);
struct ArtefactRow {
  u32 kind;  // ArtefactSection
  u32 reserved;
  u64 offset, size;
};

struct ArtefactInfo {
  CpuFeatures cpu;
  u8 opt_level = 2;
};

bool looks_like_artefact(std::span<const u8> bytes);

std::vector<u8> write_artefact(std::span<const u8> module,
                               std::span<const std::shared_ptr<const CodeObject>> code,
                               const ArtefactInfo& info);

class Engine;

class Artefact : public std::enable_shared_from_this<Artefact> {
 public:
  // Copies into memory that nobody else can change, so that the file may. Errors: malformed (damaged, with
  // what is wrong), unsupported (another build, another processor), io.
  static Result<std::shared_ptr<const Artefact>> from_bytes(std::span<const u8> bytes);
  // The same from an open file, read from its start.
  static Result<std::shared_ptr<const Artefact>> read(int fd, u64 size);
  // Maps an open file that nobody changes while it is mapped: one of the cache.
  static Result<std::shared_ptr<const Artefact>> map(int fd, u64 size);
  ~Artefact();
  Artefact(const Artefact&) = delete;
  Artefact& operator=(const Artefact&) = delete;

  std::span<const u8> module_bytes() const { return module_; }
  const ArtefactInfo& info() const { return info_; }
  u64 size() const { return size_; }
  // The code, for `module`, decoded from module_bytes() or equal bytes. Errors: malformed; io.
  Result<std::vector<std::shared_ptr<const CodeObject>>> load_code(const Module& module) const;
  // Gives `module`, decoded from module_bytes() or equal bytes, its code. Errors: malformed; io.
  Result<void> add_code_to(const Module& module) const;

 private:
  Artefact() = default;
  static Result<std::shared_ptr<const Artefact>> open(int fd, u64 size);
  Result<void> check();
  Result<void> check_fit(const ArtefactHeader& header) const;
  Result<void> read_rows(const ArtefactHeader& header);
  std::span<const u8> bytes() const { return {bytes_, size_}; }

  int fd_ = -1;
  const u8* bytes_ = nullptr;
  u64 size_ = 0;
  ArtefactInfo info_;
  std::span<const u8> module_;
  std::vector<std::span<const u8>> images_;
};

// A module with its code, decoded as the engine's options say; it was validated when it was compiled. Errors:
// malformed; io.
Result<std::shared_ptr<const Module>> load_module(Engine& engine,
                                                  const std::shared_ptr<const Artefact>& artefact);

}  // namespace tenon
