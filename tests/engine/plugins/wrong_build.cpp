// A plugin of another build.
#include "engine/runtime/plugin.h"

extern "C" __attribute__((visibility("default"))) const tenon::PluginTable* tenon_plugin_exchange() {
  static const int nothing = 0;
  static const tenon::PluginTable table{"0.0.1-somewhere-else", "jit", &nothing};
  return &table;
}
