// Active data segments with constant offsets, laid out in memfds.
#include "engine/runtime/memory_image.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>

#include "engine/reader.h"

namespace tenon {
namespace {

constexpr u64 kHostPage = 4096;
// Below this, copying is faster than a mapping and its page faults.
constexpr u64 kMinBytes = u64{64} << 10;
// Pages that the segments touch, as a multiple of their bytes.
constexpr u64 kMaxSparsity = 4;
// Each image keeps a file descriptor open, which the embedding program has only so many of.
constexpr int kMaxOpen = 256;
std::atomic<int> open_images{0};

u64 page_floor(u64 n) { return n / kHostPage * kHostPage; }
u64 page_ceil(u64 n) { return page_floor(n + kHostPage - 1); }

// The value of a constant expression that is a single constant.
std::optional<u64> constant(const Module& module, const ConstExpr& expr) {
  CodeReader reader(module, expr.code, expr.offset);
  Instr value, end;
  if (!reader.next(value) || !reader.next(end) || end.op != Op::end) return std::nullopt;
  if (value.op == Op::i32_const) return static_cast<u32>(value.bits);
  if (value.op == Op::i64_const) return value.bits;
  return std::nullopt;
}

struct Piece {
  u32 memory;
  u64 at;
  std::span<const u8> bytes;
};

// Where the segment's bytes lie, when they surely are within a memory of the module's own.
std::optional<Piece> place(const Module& module, const DataSegment& segment) {
  if (segment.memory.value < module.imported_memories) return std::nullopt;
  const MemoryType& type = module.memories[segment.memory.value];
  if (type.shared) return std::nullopt;
  const auto at = constant(module, segment.memory_offset);
  const u64 min = type.limits.min > (~u64{0} >> type.page_shift) ? 0 : type.limits.min << type.page_shift;
  if (!at || segment.bytes.size() > min || *at > min - segment.bytes.size()) return std::nullopt;
  return Piece{segment.memory.value, *at, segment.bytes};
}

bool write_all(int fd, std::span<const u8> bytes, u64 at) {
  while (!bytes.empty()) {
    const ssize_t n = pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(at));
    if (n <= 0) return false;
    bytes = bytes.subspan(static_cast<size_t>(n));
    at += static_cast<u64>(n);
  }
  return true;
}

}  // namespace

const MemoryImages& MemoryImages::of(const Module& module) {
  module.images_once_.call([&] {
    std::shared_ptr<MemoryImages> images(new MemoryImages);
    if (!images->fill(module)) images->close_all();
    module.images_ = std::move(images);
  });
  return *module.images_;
}

// False when there shall be none.
bool MemoryImages::fill(const Module& module) {
  std::vector<Piece> pieces;
  u64 bytes = 0, pages = 0;
  for (const DataSegment& segment : module.data) {
    if (segment.mode == SegmentMode::active) {
      const auto piece = place(module, segment);
      if (!piece) break;
      bytes += piece->bytes.size();
      pages += page_ceil(piece->at + piece->bytes.size()) - page_floor(piece->at);
      pieces.push_back(*piece);
    }
    ++segments_;
  }
  if (bytes < kMinBytes || pages / kMaxSparsity > bytes) return false;
  for (const Piece& piece : pieces) {
    if (piece.bytes.empty()) continue;
    auto image = std::ranges::find(images_, MemoryIdx{piece.memory}, &Image::memory);
    if (image == images_.end()) {
      const int fd =
          open_images < kMaxOpen ? memfd_create("tenon-memory", MFD_CLOEXEC | MFD_ALLOW_SEALING) : -1;
      if (fd < 0) return false;
      ++open_images;
      image = images_.insert(images_.end(), Image{MemoryIdx{piece.memory}, 0, fd});
    }
    if (!write_all(image->fd, piece.bytes, piece.at)) return false;
    image->bytes = std::max(image->bytes, page_ceil(piece.at + piece.bytes.size()));
  }
  return std::ranges::all_of(images_, [](const Image& i) {
    return ftruncate(i.fd, static_cast<off_t>(i.bytes)) == 0 &&
           fcntl(i.fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) == 0;
  });
}

void MemoryImages::close_all() {
  for (const Image& image : images_) {
    close(image.fd);
    --open_images;
  }
  images_.clear();
}

MemoryImages::~MemoryImages() { close_all(); }

}  // namespace tenon
