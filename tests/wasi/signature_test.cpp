// Names, numbers and signatures against the witx of preview 1 in the test data.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "wasi/errno.h"
#include "wasi/wasi.h"

namespace tenon::wasi {
namespace {

// An s-expression: an atom or a list.
struct Sexpr {
  std::string atom;
  std::vector<Sexpr> list;
  bool is(std::string_view head) const { return !list.empty() && list[0].atom == head; }
  const Sexpr* child(std::string_view head) const {
    for (const Sexpr& s : list)
      if (s.is(head)) return &s;
    return nullptr;
  }
};

class WitxReader {
 public:
  explicit WitxReader(std::string text) : text_(std::move(text)) {}
  std::vector<Sexpr> read() {
    std::vector<Sexpr> out;
    while (skip_space(), at_ < text_.size() && text_[at_] != ')') out.push_back(one());
    return out;
  }

 private:
  Sexpr one() {
    if (text_[at_] == '(') {
      at_++;
      Sexpr s;
      s.list = read();
      at_++;
      return s;
    }
    const size_t start = at_;
    if (text_[at_] == '"') {
      at_ = text_.find('"', at_ + 1) + 1;
      return {text_.substr(start + 1, at_ - start - 2), {}};
    }
    at_ = std::min(text_.find_first_of(" \n()", at_), text_.size());
    return {text_.substr(start, at_ - start), {}};
  }
  void skip_space() {
    while (at_ < text_.size()) {
      if (std::isspace(static_cast<unsigned char>(text_[at_])))
        at_++;
      else if (text_[at_] == ';')
        at_ = std::min(text_.find('\n', at_), text_.size());
      else
        return;
    }
  }
  std::string text_;
  size_t at_ = 0;
};

std::filesystem::path witx_folder() {
  const char* env = std::getenv("TENON_TEST_DATA");
  const std::filesystem::path data =
      env ? std::filesystem::path(env) : std::filesystem::path(TENON_SOURCE_DIR) / "../shared/data";
  return data / "wit/wasi-preview1";
}
std::vector<Sexpr> read_witx(const std::string& name) {
  std::ostringstream text;
  text << std::ifstream(witx_folder() / name).rdbuf();
  return WitxReader(text.str()).read();
}

class WitxTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(witx_folder()))
      GTEST_SKIP() << "no test data (TENON_TEST_DATA): " << witx_folder();
    types_ = read_witx("typenames.witx");
  }
  const Sexpr& type(std::string_view name) const {
    for (const Sexpr& t : types_)
      if (t.is("typename") && t.list[1].atom == name) return t.list[2];
    throw std::runtime_error("no type " + std::string(name));
  }
  // The Wasm types that carry one witx value as a parameter.
  std::vector<ValType> flatten(const Sexpr& t) const {
    if (t.atom == "u64" || t.atom == "s64") return {kI64};
    if (t.atom == "string") return {kI32, kI32};
    if (t.atom.starts_with('$')) return flatten(type(t.atom));
    if (t.is("list")) return {kI32, kI32};
    if (t.is("flags")) return {t.child("@witx")->list.back().atom == "u64" ? kI64 : kI32};
    return {kI32};
  }
  // (expected T (error E)): a pointer for each value in T.
  static size_t result_pointers(const Sexpr& expected) {
    size_t n = 0;
    for (size_t i = 1; i < expected.list.size(); i++) {
      const Sexpr& s = expected.list[i];
      if (!s.is("error")) n += s.is("tuple") ? s.list.size() - 1 : 1;
    }
    return n;
  }
  std::vector<std::string> names_in(std::string_view type_name) const {
    std::vector<std::string> out;
    for (const Sexpr& s : type(type_name).list)
      if (s.atom.starts_with('$')) out.push_back(s.atom.substr(1));
    return out;
  }
  std::vector<Sexpr> types_;
};

TEST_F(WitxTest, EveryDerivedSignatureIsTheWitxs) {
  const auto file = read_witx("wasi_snapshot_preview1.witx");
  const Sexpr& module = file.back();
  size_t at = 0;
  for (const Sexpr& f : module.list) {
    if (!f.is("@interface")) continue;
    ASSERT_LT(at, wasi_functions().size());
    const HostFuncDesc& desc = wasi_functions()[at++];
    EXPECT_EQ(desc.module, "wasi_snapshot_preview1");
    EXPECT_EQ(desc.name, f.child("export")->list[1].atom);
    std::vector<ValType> params;
    size_t results = 0;
    for (const Sexpr& part : f.list) {
      if (part.is("param"))
        for (ValType v : flatten(part.list[2])) params.push_back(v);
      if (part.is("result")) {
        results = 1;
        params.insert(params.end(), result_pointers(part.list[2]), kI32);
      }
    }
    EXPECT_TRUE(std::ranges::equal(desc.params, params)) << desc.name;
    EXPECT_EQ(desc.results.size(), results) << desc.name;
    if (results) EXPECT_EQ(desc.results[0], kI32) << desc.name;
  }
  EXPECT_EQ(at, 46u);
  EXPECT_EQ(wasi_functions().size(), 46u);
}

TEST_F(WitxTest, ErrnoRowsAreInTheWitxsOrder) {
  const auto names = names_in("$errno");
  ASSERT_EQ(names.size(), static_cast<size_t>(Errno::count));
  for (size_t i = 0; i < names.size(); i++) EXPECT_EQ(errno_name(static_cast<Errno>(i)), names[i]);
}

TEST_F(WitxTest, RightsAreInTheWitxsOrder) {
  const std::vector<std::string> ours = {
#define RIGHT(id) #id,
#include "wasi/rights.def"
#undef RIGHT
  };
  EXPECT_EQ(ours, names_in("$rights"));
}

TEST(ErrnoTable, MapsEachHostErrnoOnceAndUnknownOnesToIo) {
  EXPECT_EQ(from_host_errno(0), Errno::success);
  EXPECT_EQ(from_host_errno(ENOENT), Errno::noent);
  EXPECT_EQ(from_host_errno(EWOULDBLOCK), Errno::again);
  EXPECT_EQ(from_host_errno(ENOTSUP), Errno::notsup);
  EXPECT_EQ(from_host_errno(ESTALE), Errno::stale);
  for (int e : {-1, 9999, 255, ENOMEDIUM}) EXPECT_EQ(from_host_errno(e), Errno::io) << e;
  std::set<int> seen;
  for (int host : {
#define ERRNO(id, host) host,
#include "wasi/errno.def"
#undef ERRNO
       })
    if (host) EXPECT_TRUE(seen.insert(host).second) << host << " has two rows";
}

TEST(WasiTable, OnlyFunctionsThatMayEndTheGuestLackANativeEntry) {
  for (const HostFuncDesc& d : wasi_functions())
    EXPECT_EQ(d.native == nullptr, d.name == "proc_exit" || d.name == "proc_raise") << d.name;
}

}  // namespace
}  // namespace tenon::wasi
