// Images, artefacts and the code cache without a compiler: code is written by hand, damage byte by byte.
#include "engine/aot/artefact.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "engine/aot/cache.h"
#include "engine/aot/hash.h"
#include "engine/native/native_tier.h"
#include "engine/text/wat.h"

namespace tenon {
namespace {

using ::testing::HasSubstr;

constexpr std::string_view kWat = "(module (func (export \"f\") (result i32) (i32.const 1)))";

std::vector<u8> assemble(std::string_view wat) {
  auto bytes = text::wat_to_wasm(wat);
  EXPECT_TRUE(bytes) << bytes.error().message;
  return bytes ? *bytes : std::vector<u8>{};
}

std::shared_ptr<const Module> decode(Engine& engine, std::string_view wat = kWat) {
  auto module = engine.compile(assemble(wat));
  EXPECT_TRUE(module) << module.error().message;
  return module ? *module : nullptr;
}

// Code for kWat that gives 42, so that a test sees whether it ran.
ImageParts code_by_hand(const Module& module) {
  ImageParts parts;
  parts.code = {0xb8, 42,   0,  0, 0, 0xc3,                     // native: mov eax, 42; ret
                0xc7, 0x06, 42, 0, 0, 0,    0x31, 0xc0, 0xc3};  // array: mov [rsi], 42; xor eax, eax; ret
  parts.functions = {{0, 6, 0}};
  parts.entries = {{0, 0}};
  parts.lines = {{0, 30}};
  const std::string key = signature_key(module.func_type(FuncIdx{0}));
  parts.thunks = {{parts.add_string(key), static_cast<u32>(key.size()), 6, 0}};
  parts.config = expected_config(module, {});
  parts.functions_of_module = static_cast<u32>(module.functions.size());
  parts.whole = true;
  return parts;
}

std::vector<u8> artefact_by_hand(const ArtefactInfo& info = {}) {
  Engine engine;
  const auto module = decode(engine);
  auto code = CodeObject::load(*module, write_image(code_by_hand(*module)));
  EXPECT_TRUE(code) << code.error().message;
  return write_artefact(module->bytes(), {&*code, 1}, info);
}

u32 run(Store& store, std::shared_ptr<const Module> module) {
  auto instance = store.instantiate(std::move(module), {});
  EXPECT_TRUE(instance) << instance.error().message;
  Slot slots[1] = {};
  EXPECT_EQ(store.call((*instance)->func(FuncIdx{0}), slots), Status::ok);
  return slots[0].u32_;
}

// Makes the checksum right again, so that what lies behind that check is reached.
void seal(std::vector<u8>& file) {
  ArtefactHeader h;
  std::memcpy(&h, file.data(), sizeof h);
  h.checksum = 0;
  Hasher hash;
  hash.add({reinterpret_cast<const u8*>(&h), sizeof h});
  hash.add(std::span(file).subspan(sizeof h));
  h.checksum = hash.finish();
  std::memcpy(file.data(), &h, sizeof h);
}

TEST(Artefact, RunsWithoutACompiler) {
  auto artefact = Artefact::from_bytes(artefact_by_hand());
  ASSERT_TRUE(artefact) << artefact.error().message;
  auto engine = std::make_shared<Engine>();
  auto module = load_module(*engine, *artefact);
  ASSERT_TRUE(module) << module.error().message;
  Store compiled(engine), interpreted(engine);
  compiled.set_compiler(std::make_unique<NativeTier>(compiled, NativeOptions{}));
  EXPECT_EQ(run(compiled, *module), 42u);
  EXPECT_EQ(run(interpreted, *module), 1u);
}

TEST(Artefact, CodeForOtherOptionsIsNotUsed) {
  auto artefact = Artefact::from_bytes(artefact_by_hand());
  auto engine = std::make_shared<Engine>();
  auto module = load_module(*engine, *artefact);
  ASSERT_TRUE(module);
  Store store(engine);
  NativeOptions options;
  options.fuel = true;  // the code does not count
  store.set_compiler(std::make_unique<NativeTier>(store, options));
  EXPECT_EQ(run(store, *module), 1u);
}

TEST(Artefact, EveryDamagedByteIsRefusedWithAReason) {
  const auto good = artefact_by_hand();
  for (size_t at = 0; at < good.size(); ++at) {
    for (const u8 flip : {u8{0x01}, u8{0x80}}) {
      auto bad = good;
      bad[at] ^= flip;
      auto artefact = Artefact::from_bytes(bad);
      ASSERT_FALSE(artefact) << "byte " << at;
      EXPECT_THAT(artefact.error().message, HasSubstr("artefact: "));
    }
    if (at > 2 * sizeof(ArtefactHeader) && at + 64 < good.size()) at += 16;  // mostly padding
  }
}

TEST(Artefact, EveryTruncationIsRefused) {
  const auto good = artefact_by_hand();
  for (size_t size = 0; size < good.size(); size += size < 512 ? 1 : 97) {
    auto artefact = Artefact::from_bytes(std::span(good).first(size));
    ASSERT_FALSE(artefact) << size;
  }
}

TEST(Artefact, HeadersThatLieAreRefusedThoughTheChecksumFits) {
  const auto good = artefact_by_hand();
  const size_t rows = sizeof(ArtefactHeader) + 2 * sizeof(ArtefactRow);
  const u64 image = (rows + assemble(kWat).size() + kCodeAlignment - 1) / kCodeAlignment * kCodeAlignment;
  int refused = 0;
  std::vector<size_t> places;
  for (size_t at = 0; at < rows; ++at) places.push_back(at);
  for (size_t at = 0; at < 512; ++at) places.push_back(image + at);
  for (const size_t at : places)
    for (const u8 value : {u8{0}, u8{1}, u8{0x7f}, u8{0xff}}) {
      auto bad = good;
      bad[at] = value;
      seal(bad);
      auto artefact = Artefact::from_bytes(bad);
      Engine engine;
      // Loads or says why not: no crash, no access outside.
      if (artefact && !load_module(engine, *artefact)) ++refused;
    }
  EXPECT_GT(refused, 0);
}

TEST(Artefact, OtherBuildsAndProcessorsAreNamed) {
  auto other = artefact_by_hand();
  std::memcpy(other.data() + offsetof(ArtefactHeader, build_id), "9.9.9-x", 8);
  seal(other);
  auto artefact = Artefact::from_bytes(other);
  ASSERT_FALSE(artefact);
  EXPECT_EQ(artefact.error().category, ErrorCategory::unsupported);
  EXPECT_THAT(artefact.error().message, HasSubstr("made by another build (9.9.9-x"));

  constexpr u64 kUnknown = u64{1} << 62;
  artefact = Artefact::from_bytes(artefact_by_hand({{kUnknown}, 2}));
  ASSERT_FALSE(artefact);
  EXPECT_THAT(artefact.error().message, HasSubstr("made for a processor with"));
}

TEST(CodeImage, EveryDamagedTableIsRefusedOrHarmless) {
  Engine engine;
  const auto module = decode(engine);
  const auto good = write_image(code_by_hand(*module));
  ASSERT_TRUE(view_image(good, 1));
  EXPECT_FALSE(view_image(good, 2));  // another module
  int refused = 0;
  for (size_t at = 0; at < good.size(); at += at < 600 ? 1 : 64)
    for (const u8 value : {u8{0}, u8{1}, u8{0x80}, u8{0xff}}) {
      auto bad = good;
      bad[at] = value;
      if (!view_image(bad, 1)) ++refused;
    }
  EXPECT_GT(refused, 0);
  for (size_t size = 0; size < good.size(); ++size) EXPECT_FALSE(view_image(std::span(good).first(size), 1));
}

TEST(CodeImage, EntriesOutsideOfTheCodeAreRefused) {
  Engine engine;
  const auto module = decode(engine);
  auto refused = [&](auto change) {
    ImageParts parts = code_by_hand(*module);
    change(parts);
    return !view_image(write_image(parts), 1).has_value();
  };
  EXPECT_TRUE(refused([](ImageParts& p) { p.entries[0].native_entry = 15; }));
  EXPECT_TRUE(refused([](ImageParts& p) { p.entries[0].func = 1; }));
  EXPECT_TRUE(refused([](ImageParts& p) { p.entries.push_back(p.entries[0]); }));
  EXPECT_TRUE(refused([](ImageParts& p) { p.functions[0].end = 16; }));
  EXPECT_TRUE(refused([](ImageParts& p) { p.functions.push_back({5, 9, 0}); }));
  EXPECT_TRUE(refused([](ImageParts& p) { p.lines.insert(p.lines.begin(), {7, 1}); }));
  EXPECT_TRUE(refused([](ImageParts& p) { p.thunks[0].array_entry = 4000; }));
  EXPECT_TRUE(refused([](ImageParts& p) { p.thunks[0].key_size = 1000; }));
}

struct CodeCacheTest : ::testing::Test {
  std::filesystem::path folder =
      std::filesystem::path(::testing::TempDir()) / ("cache-" + std::to_string(getpid()));
  std::vector<std::string> notices;
  std::shared_ptr<Engine> engine = std::make_shared<Engine>();
  CodeCacheTest() { std::filesystem::remove_all(folder); }
  ~CodeCacheTest() override { std::filesystem::remove_all(folder); }

  CodeCache::Options options(u64 max_bytes = 1 << 20) {
    return {folder.string(), max_bytes, [this](const std::string& n) { notices.push_back(n); }};
  }
  std::shared_ptr<const Module> compiled(std::string_view wat) {
    auto module = decode(*engine, wat);
    auto code = CodeObject::load(*module, write_image(code_by_hand(*module)));
    EXPECT_TRUE(code);
    module->code().add(*code);
    return module;
  }
  std::filesystem::path only_file() { return std::filesystem::directory_iterator(folder)->path(); }
};

TEST_F(CodeCacheTest, GivesBackWhatWasSaved) {
  const auto module = compiled(kWat);
  {
    CodeCache cache(options());
    EXPECT_EQ(cache.find(module->bytes(), {}), nullptr);
    cache.save(*module, {});
  }
  CodeCache cache(options());
  const auto artefact = cache.find(module->bytes(), {});
  ASSERT_TRUE(artefact);
  auto loaded = load_module(*engine, artefact);
  ASSERT_TRUE(loaded);
  Store store(engine);
  store.set_compiler(std::make_unique<NativeTier>(store, NativeOptions{}));
  EXPECT_EQ(run(store, *loaded), 42u);
  CodeCache::Key other;
  other.opt_level = 3;
  EXPECT_EQ(cache.find(module->bytes(), other), nullptr);
  struct stat st{};
  ASSERT_EQ(stat(folder.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0700u);
  EXPECT_EQ(*cache.clear(), 1u);
  EXPECT_TRUE(cache.entries()->empty());
  EXPECT_TRUE(notices.empty());
}

TEST_F(CodeCacheTest, DamagedAndForeignEntriesAreNotUsed) {
  CodeCache cache(options());
  const auto module = compiled(kWat);
  cache.save(*module, {});
  const auto file = only_file();
  {
    std::fstream f(file, std::ios::in | std::ios::out | std::ios::binary);
    f.seekp(5000);
    f.put('x');
  }
  EXPECT_EQ(cache.find(module->bytes(), {}), nullptr);
  EXPECT_FALSE(std::filesystem::exists(file));
  // The same name for another module: as if the hash collided.
  const auto other = compiled("(module (func (result i32) (i32.const 2)))");
  cache.save(*other, {});
  std::filesystem::rename(only_file(), file);
  EXPECT_EQ(cache.find(module->bytes(), {}), nullptr);
  // An entry that others could have written.
  std::filesystem::remove(file);
  const auto again = compiled(kWat);
  cache.save(*again, {});
  chmod(file.c_str(), 0666);
  EXPECT_EQ(cache.find(module->bytes(), {}), nullptr);
}

TEST_F(CodeCacheTest, AFolderOpenToOthersIsRefusedOnce) {
  std::filesystem::create_directories(folder);
  chmod(folder.c_str(), 0755);
  CodeCache cache(options());
  const auto module = compiled(kWat);
  cache.save(*module, {});
  EXPECT_EQ(cache.find(module->bytes(), {}), nullptr);
  ASSERT_EQ(notices.size(), 1u);
  EXPECT_THAT(notices[0], HasSubstr("closed to others"));
  EXPECT_TRUE(std::filesystem::is_empty(folder));
}

TEST_F(CodeCacheTest, TheOldestEntriesGoWhenItIsFull) {
  CodeCache cache(options(3 * 9000));
  for (int n = 0; n < 6; ++n) {
    cache.save(*compiled("(module (func (result i32) (i32.const " + std::to_string(n) + ")))"), {});
    usleep(2000);
  }
  const auto entries = cache.entries();
  ASSERT_TRUE(entries);
  u64 total = 0;
  for (const auto& e : *entries) total += e.bytes;
  EXPECT_LE(total, 3u * 9000);
  EXPECT_GE(entries->size(), 1u);
  EXPECT_LT(entries->size(), 6u);
}

}  // namespace
}  // namespace tenon
