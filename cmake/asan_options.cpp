// In every program of the asan preset. AddressSanitizer would keep locals of host functions on a stack of its own,
// where the collector's conservative scan (engine/runtime/gc.h) does not look.
extern "C" const char* __asan_default_options() { return "detect_stack_use_after_return=0"; }
