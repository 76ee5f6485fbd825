// What a module's own memories begin with, as files that instances map copy-on-write: made once, at the first
// instantiation, and shared by every store. Knows nothing of instances (instantiate.cpp maps the images).
#pragma once
#include <memory>
#include <vector>

#include "engine/base.h"
#include "engine/module.h"

namespace tenon {

// An image starts at the memory's first byte, so that a memory has three mappings at most: the image, the
// rest that is accessible, and what is reserved. Holes take no memory.
class MemoryImages {
 public:
  struct Image {
    MemoryIdx memory;
    u64 bytes;  // a multiple of the system's page size, not beyond the memory's minimum
    int fd;     // sealed
  };

  // Those of the module. Thread-safe. Never an error: without images the segments are copied. There are none
  // for modules with little data, for data so scattered that its pages would be many times its size, for
  // imported or shared memories, and where the system has no more files.
  static const MemoryImages& of(const Module& module);

  ~MemoryImages();
  MemoryImages(const MemoryImages&) = delete;
  MemoryImages& operator=(const MemoryImages&) = delete;

  // The images hold the active ones among the data segments [0, segments()). A segment that is out of
  // bounds, or whose place is not a constant, ends them: it and those behind it are written in order.
  u32 segments() const { return images_.empty() ? 0 : segments_; }
  const std::vector<Image>& images() const { return images_; }

 private:
  MemoryImages() = default;
  bool fill(const Module& module);
  void close_all();

  u32 segments_ = 0;
  std::vector<Image> images_;
};

}  // namespace tenon
