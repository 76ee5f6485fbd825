/* Tenon's C API (C99). What it does not do: it is not wasm.h, the standard C API, which lies beside it.
 *
 * Ownership. `*_new` gives an object that the caller deletes with `*_delete` (NULL is fine there). Pointers
 * given by other functions are borrowed: each says how long they live. Objects passed in stay the caller's.
 * Names and strings passed in are copied. `tenon_name_t` and text given out are not NUL-terminated unless it
 * says so.
 *
 * Errors. Functions that can fail give NULL for success or a tenon_error_t that the caller deletes;
 * out-parameters are then unchanged. No C++ exception and no guest mistake leaves this interface in another
 * way; where there is no memory the error is of kind TENON_ERROR_LIMIT. Pointers must not be NULL where it does not say
 * that they may be.
 *
 * Threads. Engines and modules may be used by any number of threads. A store, and all that lives in it
 * (instances, functions, memories, …), by one thread at a time; only tenon_store_interrupt may be called
 * meanwhile. Configurations, linkers, WASI configurations and settings of wasi-nn: one thread at a time. Errors belong
 * to whoever has them.
 */
#ifndef TENON_H
#define TENON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define TENON_API __attribute__((visibility("default")))
#else
#define TENON_API
#endif

typedef struct tenon_config tenon_config_t;
typedef struct tenon_engine tenon_engine_t;
typedef struct tenon_module tenon_module_t;
typedef struct tenon_store tenon_store_t;
typedef struct tenon_linker tenon_linker_t;
typedef struct tenon_instance tenon_instance_t;
typedef struct tenon_error tenon_error_t;
typedef struct tenon_caller tenon_caller_t;
typedef struct tenon_wasi tenon_wasi_t;
typedef struct tenon_nn tenon_nn_t;

/* Bytes that belong to someone else. */
typedef struct {
  const char* data;
  size_t size;
} tenon_name_t;

/* Text owned by the receiver: NUL-terminated (size does not count the NUL); free with tenon_string_delete. */
typedef struct {
  char* data;
  size_t size;
} tenon_string_t;
TENON_API void tenon_string_delete(tenon_string_t* string);

/* "0.1.0"; lives for ever, NUL-terminated. */
TENON_API const char* tenon_version(void);
/* Identifies this build; plugins must have the same. Lives for ever, NUL-terminated. */
TENON_API const char* tenon_build_id(void);

/* ---- Errors ---- */

typedef enum {
  TENON_ERROR_MALFORMED,   /* the binary or text is broken */
  TENON_ERROR_INVALID,     /* decodes, but does not validate */
  TENON_ERROR_UNLINKABLE,  /* imports do not match */
  TENON_ERROR_TRAP,        /* the guest trapped; a model failed while it computed */
  TENON_ERROR_EXCEPTION,   /* a guest's exception that nobody caught */
  TENON_ERROR_EXIT,        /* the guest ended itself: tenon_error_exit_status */
  TENON_ERROR_LIMIT,       /* a limit, named in the message */
  TENON_ERROR_UNSUPPORTED, /* a feature that is off or not there */
  TENON_ERROR_NOT_FOUND,   /* a file, an export, a name */
  TENON_ERROR_IO,          /* the operating system said no */
  TENON_ERROR_USAGE        /* the call itself was wrong */
} tenon_error_kind_t;

/* One frame of the guest's stack, innermost first. */
typedef struct {
  tenon_name_t function; /* name section's or export's name, or "func[N]"; lives as long as the error */
  uint32_t function_index;
  uint64_t module_offset; /* of the instruction in the module's bytes */
} tenon_frame_t;

TENON_API void tenon_error_delete(tenon_error_t* error);
TENON_API tenon_error_kind_t tenon_error_kind(const tenon_error_t* error);
/* One line, NUL-terminated, lives as long as the error. */
TENON_API const char* tenon_error_message(const tenon_error_t* error);
/* True and the byte offset in the module, where the error has one. */
TENON_API bool tenon_error_offset(const tenon_error_t* error, uint64_t* offset);
/* TENON_ERROR_TRAP: the code (traps.def's row number); otherwise -1. */
TENON_API int tenon_error_trap_code(const tenon_error_t* error);
/* TENON_ERROR_EXIT: what the guest gave to proc_exit; otherwise 0. */
TENON_API int tenon_error_exit_status(const tenon_error_t* error);
TENON_API size_t tenon_error_frame_count(const tenon_error_t* error);
/* False when there is no such frame. */
TENON_API bool tenon_error_frame(const tenon_error_t* error, size_t index, tenon_frame_t* out);
/* The frame's source line, where the guest was compiled with debug information (`clang -g`); otherwise false. The name lives
   as long as the error. */
TENON_API bool tenon_error_frame_source(const tenon_error_t* error, size_t index, tenon_name_t* file,
                                        uint32_t* line);
/* An error of a host function's own, for tenon_callback_t: the guest traps with this message. */
TENON_API tenon_error_t* tenon_error_new(const char* message, size_t size);
/* Makes a host function end the guest as proc_exit does. */
TENON_API tenon_error_t* tenon_error_new_exit(int status);

/* ---- Configuration and engine ---- */

typedef enum {
  TENON_TIER_AUTOMATIC, /* starts at once in the interpreter; tenon-jit.so compiles what is hot in the background */
  TENON_TIER_INTERP,
  TENON_TIER_JIT, /* each module is compiled before it runs; loads tenon-jit.so for that */
  TENON_TIER_AOT  /* the same, by way of artefacts as tenon_module_compile makes them */
} tenon_tier_t;

TENON_API tenon_config_t* tenon_config_new(void);
TENON_API void tenon_config_delete(tenon_config_t* config);
TENON_API void tenon_config_set_tier(tenon_config_t* config, tenon_tier_t tier);
/* A WebAssembly feature by its command-line name ("simd", "threads", …). Errors: not_found. */
TENON_API tenon_error_t* tenon_config_set_feature(tenon_config_t* config, const char* name, bool on);
/* Count fuel: stores start with 0 and trap "all fuel consumed" below it. */
TENON_API void tenon_config_set_fuel(tenon_config_t* config, bool on);
/* Results that are NaN get the canonical bits, so that programs compute the same bits on every machine. */
TENON_API void tenon_config_set_deterministic_nans(tenon_config_t* config, bool on);
/* Relaxed SIMD instructions make the choices of the specification's deterministic profile, not the processor's. */
TENON_API void tenon_config_set_deterministic_relaxed_simd(tenon_config_t* config, bool on);
/* Make compiled code look for tenon_store_interrupt at loop heads and function entries, so that the store can
 * go on after an interrupt (the interpreter always looks). Implies tenon_config_set_cancellable. */
TENON_API void tenon_config_set_interruptible(tenon_config_t* config, bool on);
/* How hard to optimise compiled code: 0 to 3, 2 when not set. */
TENON_API void tenon_config_set_opt_level(tenon_config_t* config, int level);
/* The processor that code is compiled for: "native" (this machine's, when not set), "x86-64-v2", "x86-64-v3" or
 * "x86-64-v4". Errors: usage (no such target), unsupported (this machine lacks some of its features). */
TENON_API tenon_error_t* tenon_config_set_cpu(tenon_config_t* config, const char* cpu);
/* Keep compiled code between runs in tenon below $XDG_CACHE_HOME (else ~/.cache), a folder that must be the
 * user's own and closed to others. Off when not set. Where the folder cannot be used, stderr says so once and
 * nothing is kept. */
TENON_API void tenon_config_set_cache(tenon_config_t* config, bool on);
/* Let tenon_store_interrupt end WASI calls that block; costs each of them a poll(2). */
TENON_API void tenon_config_set_cancellable(tenon_config_t* config, bool on);
/* Make all code look at the engine's epoch at loop heads and function entries: past a store's deadline it traps
 * "interrupted". Stores start without a deadline. */
TENON_API void tenon_config_set_epochs(tenon_config_t* config, bool on);
/* Who is told about compiled code, for the whole process from now on. TENON_PROFILE_PERF writes
 * jit-PID.dump into $JITDUMPDIR or the current folder (`perf record -k mono`, then `perf inject --jit`). */
typedef enum { TENON_PROFILE_NONE, TENON_PROFILE_PERF, TENON_PROFILE_GDB } tenon_profile_t;
/* Errors: io (the file cannot be written). */
TENON_API tenon_error_t* tenon_config_set_profile(tenon_config_t* config, tenon_profile_t profile);
/* Largest size of one linear memory in bytes. */
TENON_API void tenon_config_set_max_memory(tenon_config_t* config, uint64_t bytes);
TENON_API void tenon_config_set_max_table_elements(tenon_config_t* config, uint64_t elements);
/* Of the garbage-collected heap of one store. */
TENON_API void tenon_config_set_max_gc_heap(tenon_config_t* config, uint64_t bytes);
/* How deep calls may go: bytes of the thread's stack that guests may use (1 MiB unless set, rounded up to pages, at least
 * 64 KiB; never more than the thread has). The interpreter's own stack gets eight times as much. */
TENON_API void tenon_config_set_max_stack(tenon_config_t* config, uint64_t bytes);
TENON_API void tenon_config_set_max_instances(tenon_config_t* config, uint32_t count);
/* How many memories of ended instances the engine keeps for new ones, so that making an instance needs no system call
 * (64 unless set; 0: none). They are zeroed when they are given back. */
TENON_API void tenon_config_set_pooled_memories(tenon_config_t* config, uint32_t count);
/* The options of a configuration of wasm.h, to be set before its engine is made; borrowed from it. */
struct wasm_config_t;
TENON_API tenon_config_t* tenon_wasm_config(struct wasm_config_t* config);

/* `config` may be NULL (defaults); it is copied. Never fails but for lack of memory (NULL). */
TENON_API tenon_engine_t* tenon_engine_new(const tenon_config_t* config);
/* Modules and stores made from it keep what they need: any order of deletion is fine. */
TENON_API void tenon_engine_delete(tenon_engine_t* engine);
/* From any thread and from signal handlers; see tenon_config_set_epochs. */
TENON_API void tenon_engine_increment_epoch(tenon_engine_t* engine);

/* ---- Values and types ---- */

typedef enum { TENON_I32, TENON_I64, TENON_F32, TENON_F64, TENON_V128, TENON_REF } tenon_kind_t;

/* References: 0 is null; others are only good for the store they came from, until control next returns to its
 * guest. */
typedef struct {
  uint8_t kind; /* tenon_kind_t */
  union {
    int32_t i32;
    int64_t i64;
    float f32;
    double f64;
    uint8_t v128[16]; /* little-endian */
    uint64_t ref;
  } of;
} tenon_val_t;

typedef enum {
  TENON_EXTERN_FUNC,
  TENON_EXTERN_TABLE,
  TENON_EXTERN_MEMORY,
  TENON_EXTERN_GLOBAL,
  TENON_EXTERN_TAG
} tenon_extern_kind_t;

/* ---- Modules ---- */

/* Decodes and validates a binary module. The bytes are copied. Errors: malformed, invalid, limit,
 * unsupported. */
TENON_API tenon_error_t* tenon_module_new(tenon_engine_t* engine, const void* bytes, size_t size,
                                          tenon_module_t** out);
/* The same from a file, which is read at once. Text (.wat) is recognised by its content. Errors also:
 * not_found, io. */
TENON_API tenon_error_t* tenon_module_new_from_file(tenon_engine_t* engine, const char* path,
                                                    tenon_module_t** out);
/* Instances keep what they need of it. */
TENON_API void tenon_module_delete(tenon_module_t* module);

/* What inspection gives lives as long as the module. */
typedef struct {
  tenon_name_t module; /* empty for exports */
  tenon_name_t name;
  tenon_extern_kind_t kind;
  uint32_t index;    /* in the kind's index space */
  tenon_name_t type; /* in the text format's notation */
} tenon_item_t;
TENON_API size_t tenon_module_import_count(const tenon_module_t* module);
TENON_API bool tenon_module_import(const tenon_module_t* module, size_t index, tenon_item_t* out);
TENON_API size_t tenon_module_export_count(const tenon_module_t* module);
TENON_API bool tenon_module_export(const tenon_module_t* module, size_t index, tenon_item_t* out);

typedef struct {
  uint8_t id;
  tenon_name_t name; /* "type", "code", …; of custom sections their own */
  uint64_t offset;   /* of the contents in the module's bytes */
  uint64_t size;     /* of the contents */
  uint64_t items;    /* entries, where the section is a vector */
} tenon_section_t;
TENON_API size_t tenon_module_section_count(const tenon_module_t* module);
TENON_API bool tenon_module_section(const tenon_module_t* module, size_t index, tenon_section_t* out);

/* Proposals that the module needs, by name ("simd", …). */
TENON_API size_t tenon_module_feature_count(const tenon_module_t* module);
TENON_API bool tenon_module_feature(const tenon_module_t* module, size_t index, tenon_name_t* out);

/* Defined types in the text format's notation. */
TENON_API size_t tenon_module_type_count(const tenon_module_t* module);
TENON_API bool tenon_module_type(const tenon_module_t* module, size_t index, tenon_name_t* out);
TENON_API uint64_t tenon_module_size(const tenon_module_t* module);

/* ---- Artefacts: modules with compiled code ---- */

/* Compiles the whole module to an artefact, for this engine's options. `target` is the processor: NULL (as
 * tenon_config_set_cpu says), "native", "x86-64-v2", "x86-64-v3" or "x86-64-v4", whether or not this machine has what
 * they need; `threads` compile at once (0: as many as processors). Functions
 * beyond the compiler's budget are left to the interpreter, which stderr says. Loads tenon-jit.so. Errors:
 * usage (no such target), not_found, unsupported. */
TENON_API tenon_error_t* tenon_module_compile(const tenon_engine_t* engine, const tenon_module_t* module,
                                              const char* target, uint32_t threads, tenon_string_t* out);
/* Loads an artefact; no compiler is needed. It is native code and not checked for malice: load only what comes
 * from where you would take a program from. The bytes are copied. Its options must be the engine's
 * (fuel, epochs, interruption, determinism), unless the engine only interprets. Errors: malformed (damaged),
 * unsupported (other options, another version of Tenon, a processor that lacks features), io. */
TENON_API tenon_error_t* tenon_module_load(tenon_engine_t* engine, const void* bytes, size_t size,
                                           tenon_module_t** out);
/* The same from a file. Errors also: not_found. */
TENON_API tenon_error_t* tenon_module_load_file(tenon_engine_t* engine, const char* path,
                                                tenon_module_t** out);

/* ---- Stores ---- */

/* Holds instances and all they use; they die with it. */
TENON_API tenon_error_t* tenon_store_new(tenon_engine_t* engine, tenon_store_t** out);
/* Not while a guest of it runs. */
TENON_API void tenon_store_delete(tenon_store_t* store);
/* With tenon_config_set_fuel. */
TENON_API void tenon_store_set_fuel(tenon_store_t* store, uint64_t fuel);
TENON_API uint64_t tenon_store_fuel(const tenon_store_t* store);
/* Makes the running guest, or the next one, trap with "interrupted". From any thread and from signal
 * handlers. Compiled code without checks (tenon_config_set_interruptible) is stopped by SIGURG wherever it is:
 * the store cannot run again then, and every call gives the same trap. */
TENON_API void tenon_store_interrupt(tenon_store_t* store);
/* Allows guests to run again after an interrupt. */
TENON_API void tenon_store_clear_interrupt(tenon_store_t* store);
/* Samples the calling thread, which then runs the store's guest, `hz` times for each second of its processor time, by
 * signals (SIGPROF); the kernel's clock may tick less often. Errors: usage (it is being sampled already), io,
 * unsupported (other machines than Linux on x86-64). */
TENON_API tenon_error_t* tenon_store_profile_start(tenon_store_t* store, uint32_t hz);
/* Ends that, on the same thread, and gives a table for people: each function's part of the samples, on its own (self) and
 * with what it called (total). Empty when nothing was started. */
TENON_API tenon_string_t tenon_store_profile_stop(tenon_store_t* store);
/* With tenon_config_set_epochs: the guest traps once the epoch has been incremented `ticks` times from now. */
TENON_API void tenon_store_set_epoch_deadline(tenon_store_t* store, uint64_t ticks);
/* Collects garbage now. */
TENON_API void tenon_store_collect(tenon_store_t* store);

/* ---- What lives in a store: small values, good as long as the store ---- */

typedef struct {
  tenon_extern_kind_t kind;
  tenon_store_t* store;
  void* object;
} tenon_extern_t;

/* A function's parameters and results; the arrays live as long as the engine. */
typedef struct {
  size_t param_count, result_count;
  uint8_t params[16], results[16]; /* tenon_kind_t of the first 16 */
} tenon_functype_t;
TENON_API bool tenon_func_type(const tenon_extern_t* func, tenon_functype_t* out);
/* Arguments are checked against the type. `results` has room for all. Errors: usage, trap, exception, exit.
 */
TENON_API tenon_error_t* tenon_func_call(const tenon_extern_t* func, const tenon_val_t* args,
                                         size_t arg_count, tenon_val_t* results, size_t result_count);
/* Unchecked: `slots` holds arguments and receives results as the engine has them: 8 bytes each (v128 two),
 * 32-bit values in the low half; at least max(arguments, results) of them. For typed calls that were checked
 * once. */
TENON_API tenon_error_t* tenon_func_call_slots(const tenon_extern_t* func, uint64_t* slots);

/* The bytes are valid until the memory grows or its store is deleted. */
TENON_API uint8_t* tenon_memory_data(const tenon_extern_t* memory);
TENON_API uint64_t tenon_memory_size(const tenon_extern_t* memory); /* in bytes */
/* Old size in pages, or UINT64_MAX when it can't grow. */
TENON_API uint64_t tenon_memory_grow(const tenon_extern_t* memory, uint64_t pages);
/* Errors: usage (out of bounds; nothing is copied then). */
TENON_API tenon_error_t* tenon_memory_read(const tenon_extern_t* memory, uint64_t address, void* to,
                                           size_t size);
TENON_API tenon_error_t* tenon_memory_write(const tenon_extern_t* memory, uint64_t address, const void* from,
                                            size_t size);

TENON_API void tenon_global_get(const tenon_extern_t* global, tenon_val_t* out);
/* Errors: usage (immutable, or another type; references are not accepted). */
TENON_API tenon_error_t* tenon_global_set(const tenon_extern_t* global, const tenon_val_t* value);
TENON_API uint64_t tenon_table_size(const tenon_extern_t* table);

/* Instances are borrowed from their store. */
TENON_API bool tenon_instance_get(tenon_instance_t* instance, const char* name, size_t size,
                                  tenon_extern_t* out);
TENON_API size_t tenon_instance_export_count(const tenon_instance_t* instance);
/* `name` may be NULL; it lives as long as the store. */
TENON_API bool tenon_instance_export(tenon_instance_t* instance, size_t index, tenon_name_t* name,
                                     tenon_extern_t* out);

/* ---- Host functions and linking ---- */

/* What a host function is told about its caller; valid during the call. */
TENON_API tenon_store_t* tenon_caller_store(tenon_caller_t* caller);
/* [address, address + size) of the calling instance's memory (the exported "memory", else memory 0), or NULL
 * when it does not lie inside. Valid until the memory grows. */
TENON_API uint8_t* tenon_caller_memory(tenon_caller_t* caller, uint64_t address, uint64_t size);

/* Runs on the guest's thread. `results` are zeroed with their kinds set. An error that it gives (ownership
 * goes with it) becomes a trap. Must not unwind or jump out. */
typedef tenon_error_t* (*tenon_callback_t)(void* env, tenon_caller_t* caller, const tenon_val_t* args,
                                           size_t arg_count, tenon_val_t* results, size_t result_count);

TENON_API tenon_linker_t* tenon_linker_new(tenon_engine_t* engine);
/* Stores keep what they need of it. */
TENON_API void tenon_linker_delete(tenon_linker_t* linker);
/* Defines a host function with numeric or vector parameters and results. `finalizer` (may be NULL) runs on
 * env when no linker and store needs it any more. A later definition of a name replaces the earlier. Errors:
 * usage (a kind). */
TENON_API tenon_error_t* tenon_linker_define_func(tenon_linker_t* linker, const char* module,
                                                  const char* name, const uint8_t* params, size_t param_count,
                                                  const uint8_t* results, size_t result_count,
                                                  tenon_callback_t callback, void* env,
                                                  void (*finalizer)(void*));
/* The same without boxing, for signatures that are known when the host is compiled: `slots` holds the arguments, and receives
 * the results, as in tenon_func_call_slots. */
typedef tenon_error_t* (*tenon_slots_callback_t)(void* env, tenon_caller_t* caller, uint64_t* slots);
TENON_API tenon_error_t* tenon_linker_define_func_slots(tenon_linker_t* linker, const char* module,
                                                        const char* name, const uint8_t* params,
                                                        size_t param_count, const uint8_t* results,
                                                        size_t result_count, tenon_slots_callback_t callback,
                                                        void* env, void (*finalizer)(void*));
/* Something that lives in a store; the linker then only works with that store. */
TENON_API tenon_error_t* tenon_linker_define(tenon_linker_t* linker, const char* module, const char* name,
                                             const tenon_extern_t* value);
/* Gives a definition a second name: what is defined as from_module.from_name later on does not change it. Errors:
 * not_found. */
TENON_API tenon_error_t* tenon_linker_alias(tenon_linker_t* linker, const char* from_module,
                                            const char* from_name, const char* module, const char* name);
/* All exports of an instance. */
TENON_API tenon_error_t* tenon_linker_define_instance(tenon_linker_t* linker, const char* module,
                                                      tenon_instance_t* instance);
/* wasi_snapshot_preview1. The configuration is consumed here (it can be deleted afterwards): all instances
 * made with this linker share descriptors. Errors: those of opening directories and streams. */
TENON_API tenon_error_t* tenon_linker_define_wasi(tenon_linker_t* linker, tenon_wasi_t* wasi);
/* The wasi-nn modules; each store gets handles of its own. `nn` may be deleted afterwards. */
TENON_API tenon_error_t* tenon_linker_define_nn(tenon_linker_t* linker, tenon_nn_t* nn);
/* Resolves imports, instantiates and runs the start function. Errors: unlinkable, limit, trap, exception,
 * exit, usage. */
TENON_API tenon_error_t* tenon_linker_instantiate(tenon_linker_t* linker, tenon_store_t* store,
                                                  const tenon_module_t* module, tenon_instance_t** out);

/* ---- WASI ---- */

/* Nothing is granted but the process's standard streams. */
TENON_API tenon_wasi_t* tenon_wasi_new(void);
TENON_API void tenon_wasi_delete(tenon_wasi_t* wasi);
/* The first one is the program's name. */
TENON_API void tenon_wasi_add_arg(tenon_wasi_t* wasi, const char* arg);
TENON_API void tenon_wasi_add_env(tenon_wasi_t* wasi, const char* key, const char* value);
TENON_API void tenon_wasi_add_dir(tenon_wasi_t* wasi, const char* host_path, const char* guest_path,
                                  bool read_only);
/* What the guest reads from standard input (copied). */
TENON_API void tenon_wasi_set_stdin(tenon_wasi_t* wasi, const void* bytes, size_t size);
/* Called on the guest's thread for what it reads from standard input: fills at most `size` bytes and gives how many, 0 at
 * the end, a negative number for an input error. */
typedef int64_t (*tenon_read_t)(void* env, void* bytes, size_t size);
TENON_API void tenon_wasi_set_input(tenon_wasi_t* wasi, tenon_read_t read, void* env);
/* Called with what the guest writes, on its thread; `fd` is 1 or 2. */
typedef void (*tenon_write_t)(void* env, int fd, const void* bytes, size_t size);
TENON_API void tenon_wasi_set_output(tenon_wasi_t* wasi, tenon_write_t write, void* env);

/* Is the module made for wasi-threads: does it import `wasi.thread-spawn` or a shared memory? */
TENON_API bool tenon_module_wants_threads(const tenon_module_t* module);
/* Runs such a module's _start with all its threads, each in a store of its own, and gives the exit status
 * when the last has ended. `wasi` is consumed as in tenon_linker_define_wasi; with `nn` (may be NULL) all threads
 * share one set of wasi-nn handles. Other imports are not provided.
 * Errors: not_found (_start), unlinkable, limit, trap, exception; the backtrace is that of the thread which trapped. */
TENON_API tenon_error_t* tenon_threads_run(tenon_engine_t* engine, const tenon_module_t* module,
                                           tenon_wasi_t* wasi, tenon_nn_t* nn, int* exit_status);
/* From any thread: ends all threads of the run that `wasi` was or will be given to. The run then gives the trap
 * `interrupted` with the backtrace of a thread that computed, or of one that waited when none did. */
TENON_API void tenon_threads_interrupt(tenon_wasi_t* wasi);

/* ---- wasi-nn (loads tenon-nn.so) ---- */

/* `threads`: that all computes of the process use together, 0 for as many as processors. Errors: not_found, io, unsupported (the plugin). */
TENON_API tenon_error_t* tenon_nn_new(uint32_t threads, tenon_nn_t** out);
/* Linkers and stores keep what they need. */
TENON_API void tenon_nn_delete(tenon_nn_t* nn);
/* "NAME=PATH" (a model file, or a folder that holds one) or "ENCODING::FOLDER" (the name is the folder's): guests
 * load it by that name. Errors: usage, not_found. */
TENON_API tenon_error_t* tenon_nn_add_graph(tenon_nn_t* nn, const char* spec);
/* A model in memory, not copied: `bytes` stay unchanged until `release` is called (it may be null), when nothing
 * uses them any more, also if this fails. Error: usage (the name is taken). */
TENON_API tenon_error_t* tenon_nn_add_graph_bytes(tenon_nn_t* nn, const char* name, const void* bytes,
                                                  size_t size, void (*release)(void* release_env),
                                                  void* release_env);
/* What a finder gives: a path, or bytes as for tenon_nn_add_graph_bytes. */
typedef struct tenon_nn_model {
  const char* path; /* null: bytes; copied before the next call of the finder on this thread */
  const void* bytes;
  size_t size;
  void (*release)(void* release_env);
  void* release_env;
} tenon_nn_model_t;
/* Called for names that are not registered, on the guest's thread, also on several at once; `name` is the guest's:
 * any bytes, no terminating zero. False when there is no such model. What it gives is registered under the name. */
typedef bool (*tenon_nn_find_t)(void* env, const char* name, size_t name_size, tenon_nn_model_t* model);
TENON_API void tenon_nn_set_finder(tenon_nn_t* nn, tenon_nn_find_t find, void* env);
/* Settings, made before guests load. */
typedef enum tenon_nn_setting {
  TENON_NN_MAX_MODEL_BYTES,    /* of one model that a guest passes; 2 GiB */
  TENON_NN_MAX_LOADED_BYTES,   /* of all of them that are open; 4 GiB */
  TENON_NN_MAX_TENSOR_BYTES,   /* of one tensor; 2 GiB */
  TENON_NN_MAX_CONTEXT_BYTES,  /* activations of one context; 4 GiB */
  TENON_NN_MAX_OPERATORS,      /* of one model; 2^20 */
  TENON_NN_MAX_GRAPHS,         /* open handles of one guest; 1024 */
  TENON_NN_MAX_CONTEXTS,       /* likewise; 4096 */
  TENON_NN_MAX_COMPUTE_MICROS, /* of one inference, looked at between operators; 0: no limit */
  TENON_NN_TARGET_FALLBACK,    /* 1: execution targets gpu and tpu mean the cpu; 0: they are refused */
  TENON_NN_TIMING              /* 1: statistics have times; 0: each call saves reading the clock twice */
} tenon_nn_setting_t;
TENON_API void tenon_nn_set(tenon_nn_t* nn, tenon_nn_setting_t setting, uint64_t value);
/* How guests number encodings, types and errors: "auto" (by their imports, and by size), "witx", "wit",
 * "wasmedge", "older" (u8 is 2). Error: usage. */
TENON_API tenon_error_t* tenon_nn_set_abi(tenon_nn_t* nn, const char* abi);
/* Keeps named models' weights on disk as the kernels want them, for the next process: in `folder`, which must be the
 * user's alone (mode 0700; made if missing), or in tenon/nn below $XDG_CACHE_HOME or ~/.cache when null. Without this call nothing
 * is kept. */
TENON_API void tenon_nn_set_cache(tenon_nn_t* nn, const char* folder);
/* Guests can write below this folder of the host: models there are read, not mapped, because a mapping of a
 * file that shrinks would end the process. Call it before guests load. */
TENON_API void tenon_nn_add_guest_folder(tenon_nn_t* nn, const char* path);
/* A table for people; empty when no graph was loaded. */
TENON_API tenon_string_t tenon_nn_statistics(tenon_nn_t* nn);
/* `tenon nn COMMAND ARGS…` (inspect, run, test): writes through `write` (fd 1 or 2), gives the exit status.
 * `terminal`: fd 1 is one. Errors: the plugin's. */
TENON_API tenon_error_t* tenon_nn_tool(const char* command, const char* const* args, size_t arg_count,
                                       tenon_write_t write, void* env, bool terminal, int* exit_status);

/* ---- Models without WebAssembly: tensors in the host's own memory ----
 *
 * A graph may be used by any number of threads, a context by one at a time; only tenon_nn_context_interrupt may be called
 * meanwhile. Graphs and contexts can be deleted in any order. Errors of all calls on contexts: usage (an index, a type,
 * dimensions, sizes), limit (memory, or room for an output), trap (the inference failed: an input that is not set, the
 * data, TENON_NN_MAX_COMPUTE_MICROS, an interrupt). */

typedef struct tenon_nn_graph tenon_nn_graph_t;
typedef struct tenon_nn_context tenon_nn_context_t;

/* Element types; the first six have wasi-nn's numbers. */
typedef enum tenon_nn_type {
  TENON_NN_F16,
  TENON_NN_F32,
  TENON_NN_F64,
  TENON_NN_U8,
  TENON_NN_I32,
  TENON_NN_I64,
  TENON_NN_BF16,
  TENON_NN_I8,
  TENON_NN_I16,
  TENON_NN_U16,
  TENON_NN_U32,
  TENON_NN_U64,
  TENON_NN_BOOL /* a byte: 0 is false */
} tenon_nn_type_t;

#define TENON_NN_MAX_RANK 12

/* What is known of an input or output. */
typedef struct tenon_nn_edge {
  tenon_name_t name; /* lives as long as what gave it */
  tenon_nn_type_t type;
  int32_t rank;                    /* -1: any */
  int64_t dims[TENON_NN_MAX_RANK]; /* -1: only an inference decides it */
  uint64_t size;                   /* in bytes; 0 while a dimension is open */
} tenon_nn_edge_t;

/* A tensor for an input: row-major and dense, at any address. */
typedef struct tenon_nn_tensor {
  uint32_t index; /* of the input */
  tenon_nn_type_t type;
  int32_t rank; /* -1: the dimensions follow from the size; at most one of the input's may be open then */
  const int64_t* dims;
  const void* data;
  size_t size; /* in bytes */
} tenon_nn_tensor_t;

/* Room for an output. */
typedef struct tenon_nn_output {
  uint32_t index;
  void* data;
  size_t capacity; /* in bytes */
  size_t written;  /* set by tenon_nn_context_run */
} tenon_nn_output_t;

/* Loads a model that is registered under this name (all that load it share it), a file (or a folder that holds one), or bytes
 * as in tenon_nn_add_graph_bytes. Graphs keep what they need of `nn`. Errors: not_found, invalid, unsupported (names
 * the operator; also inputs and outputs that are strings or sequences), limit. */
TENON_API tenon_error_t* tenon_nn_graph_new_named(tenon_nn_t* nn, const char* name, tenon_nn_graph_t** out);
TENON_API tenon_error_t* tenon_nn_graph_new_from_file(tenon_nn_t* nn, const char* path,
                                                      tenon_nn_graph_t** out);
TENON_API tenon_error_t* tenon_nn_graph_new(tenon_nn_t* nn, const void* bytes, size_t size,
                                            void (*release)(void* release_env), void* release_env,
                                            tenon_nn_graph_t** out);
TENON_API void tenon_nn_graph_delete(tenon_nn_graph_t* graph);
TENON_API size_t tenon_nn_graph_input_count(const tenon_nn_graph_t* graph);
TENON_API size_t tenon_nn_graph_output_count(const tenon_nn_graph_t* graph);
/* False when there is no such input or output. */
TENON_API bool tenon_nn_graph_input(const tenon_nn_graph_t* graph, size_t index, tenon_nn_edge_t* out);
TENON_API bool tenon_nn_graph_output(const tenon_nn_graph_t* graph, size_t index, tenon_nn_edge_t* out);

/* A context holds one inference: its inputs, activations and outputs. */
TENON_API tenon_error_t* tenon_nn_context_new(const tenon_nn_graph_t* graph, tenon_nn_context_t** out);
TENON_API void tenon_nn_context_delete(tenon_nn_context_t* context);
/* Reads the tensor before it returns. A failing call keeps the old value. Inputs stay set for further computes. */
TENON_API tenon_error_t* tenon_nn_context_set_input(tenon_nn_context_t* context,
                                                    const tenon_nn_tensor_t* input);
TENON_API tenon_error_t* tenon_nn_context_compute(tenon_nn_context_t* context);
/* What is known of an output by now: after a compute its dimensions and size. */
TENON_API tenon_error_t* tenon_nn_context_output(const tenon_nn_context_t* context, size_t index,
                                                 tenon_nn_edge_t* out);
/* Writes an output of the last compute to `data`; `size` (may be NULL) gets the number of bytes, also when an error of kind
 * limit says that they do not fit: nothing is written then. */
TENON_API tenon_error_t* tenon_nn_context_get_output(tenon_nn_context_t* context, size_t index, void* data,
                                                     size_t capacity, size_t* size);
/* An inference in one call on the caller's buffers: sets these inputs, computes, writes these outputs. Operators read and
 * write the buffers in place where the model allows it, so nobody else may write them meanwhile. Inputs that are not
 * given keep the value of tenon_nn_context_set_input; those that are must be given again for the next inference. */
TENON_API tenon_error_t* tenon_nn_context_run(tenon_nn_context_t* context, const tenon_nn_tensor_t* inputs,
                                              size_t input_count, tenon_nn_output_t* outputs,
                                              size_t output_count);
/* Makes the running inference, or the next one, fail between two operators, as long as `on`. From any thread and from
 * signal handlers. */
TENON_API void tenon_nn_context_interrupt(tenon_nn_context_t* context, bool on);

#ifdef __cplusplus
}
#endif
#endif /* TENON_H */
