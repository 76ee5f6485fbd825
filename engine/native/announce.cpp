// Who hears of new code.
#include "engine/native/announce.h"

#include <atomic>

#include "engine/native/gdb_jit.h"
#include "engine/native/jitdump.h"

namespace tenon {
namespace {

std::atomic<bool> perf, gdb;

}  // namespace

Result<void> announce_to_perf() {
  if (perf) return {};
  TRY(open_jitdump());
  perf = true;
  return {};
}

void announce_to_gdb() { gdb = true; }

bool announces_code() { return perf || gdb; }

void announce_code(const CodeObject& code) {
  if (perf) write_jitdump(code);
  if (gdb) gdb_register(code);
}

void withdraw_code(const CodeObject& code) {
  if (gdb) gdb_unregister(code);
}

}  // namespace tenon
