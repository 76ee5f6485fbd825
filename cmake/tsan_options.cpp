// What ThreadSanitizer may not report: oneDNN and libgomp are not built with it, so it does not see the atomics by which they
// publish what their own locks guard.
extern "C" const char* __tsan_default_suppressions() {
  return "called_from_lib:libdnnl.so\ncalled_from_lib:libgomp.so\n";
}
