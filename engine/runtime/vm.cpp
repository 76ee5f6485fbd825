// Where an instance's cells lie.
#include "engine/runtime/vm.h"

namespace tenon {

VMLayout::VMLayout(const Module& module) {
  u64 at = sizeof(VMContext);
  auto place = [&at](u32& offset, u64 count, u64 size) {
    at = (at + 15) & ~u64{15};
    offset = static_cast<u32>(at);
    at += count * size;
  };
  place(memories, module.memories.size(), sizeof(MemoryDesc*));
  place(tables, module.tables.size(), sizeof(TableDesc*));
  place(imported_globals, module.imported_globals, sizeof(GlobalCell*));
  place(globals, module.globals.size() - module.imported_globals, sizeof(GlobalCell));
  place(imported_functions, module.imported_functions, sizeof(FuncRef*));
  place(functions, module.functions.size() - module.imported_functions, sizeof(FuncRef));
  place(types, module.types.size(), sizeof(u32));
  place(tags, module.tags.size(), sizeof(Tag*));
  // ModuleLimits keep this below 200 MB.
  size = static_cast<u32>((at + 15) & ~u64{15});
}

}  // namespace tenon
