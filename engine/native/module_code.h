// The compiled code of one Module, shared by its instances in all stores and threads. Code is added while
// others run; instances take it up on their own thread (native_tier.h).
#pragma once
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/debug_lines.h"
#include "engine/native/code_object.h"
#include "engine/once.h"
#include "engine/runtime/vm.h"

namespace tenon {

struct ThunkAddresses {
  const void* array_entry = nullptr;
  const void* native_entry = nullptr;
};

class ModuleCode {
 public:
  // All code for one configuration.
  class Variant {
   public:
    Variant(const Module& module, CodeConfig config);
    const CodeConfig& config() const { return config_; }

    // From any thread: code whose configuration holds where this variant's does. Functions that have code
    // already keep it.
    void publish(std::shared_ptr<const CodeObject> code);

    // From any thread. Null: not compiled.
    const void* entry(FuncIdx f) const { return entries_[f.value].load(std::memory_order_acquire); }
    // How many objects there are; grows with each publish().
    u32 objects_published() const { return published_.load(std::memory_order_acquire); }
    // Code that takes over at a loop's head; null: none.
    ArrayEntry loop_entry(const OsrLoop& loop) const;
    // Whether this is the first time that anyone asks for the function or the loop.
    bool claim(FuncIdx f);
    bool claim(const OsrLoop& loop);
    // The same, but false while another loop of the function has been asked for and has no code yet.
    bool claim_next(const OsrLoop& loop);
    // Counts a sample of the interpreter's in this function, of all stores together: where guests come and go (a server's),
    // none of them alone runs long enough to show what is hot. From any thread.
    struct Samples {
      u32 function;  // those in the function; stays at 65,535
      u64 all;
    };
    Samples count_sample(FuncIdx f);
    // Whether this is the first time that anyone asks for all that is left.
    bool claim_rest() { return !rest_claimed_.exchange(true, std::memory_order_relaxed); }
    // Of these function types, those that no published code has thunks for.
    std::vector<TypeId> without_thunks(const std::vector<TypeId>& types) const;
    // The n-th of them.
    std::shared_ptr<const CodeObject> object(u32 n) const;
    std::vector<std::shared_ptr<const CodeObject>> objects() const;

    // Held while the module is compiled as a whole, so that it happens once.
    std::mutex& compile_mutex() { return compile_mutex_; }
    bool compile_failed = false;  // guarded by compile_mutex(): not tried again
    bool compiled_whole() const { return whole_.load(std::memory_order_acquire); }

   private:
    const Module& module_;
    CodeConfig config_;
    std::unique_ptr<std::atomic<const void*>[]> entries_;  // by function index
    std::unique_ptr<std::atomic<u16>[]> heat_;             // samples, by function index
    std::atomic<u64> samples_{0};
    std::atomic<bool> rest_claimed_{false};
    std::atomic<u32> published_{0};
    std::atomic<bool> whole_{false};
    mutable std::mutex mutex_;
    std::vector<std::shared_ptr<const CodeObject>> objects_;
    std::map<OsrLoop, ArrayEntry> loops_;  // null: asked for
    std::set<std::string, std::less<>> thunk_keys_;
    std::vector<bool> claimed_;  // by function index; as long as it needs to be
    std::mutex compile_mutex_;
  };

  explicit ModuleCode(const Module& module) : module_(module) {}

  // The variant that an instance of this configuration uses: the first whose assumptions hold there, else a
  // new one with exactly these.
  Variant& variant(const CodeConfig& config);
  // The variant with exactly the object's configuration, made when there is none; the object is published.
  Variant& add(std::shared_ptr<const CodeObject> code);
  std::vector<Variant*> variants();
  // All code that there is.
  std::vector<std::shared_ptr<const CodeObject>> objects();
  // Source lines of the module's instructions, read at the first call from any thread.
  const DebugLines& debug_lines();
  bool expected_to_fit = false;  // it came as an artefact: an instance that cannot run it is worth a word
  u32 objects_saved = 0;         // how many of all objects the code cache has; the cache's own

 private:
  const Module& module_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Variant>> variants_;
  Once debug_lines_once_;
  std::optional<DebugLines> debug_lines_;
};

}  // namespace tenon
