// The list that GDB reads, and the ELF files in it.
#include "engine/native/gdb_jit.h"

#include <elf.h>

#include <array>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/module.h"
#include "engine/native/code_object.h"
#include "engine/native/code_source.h"

extern "C" {

// Names, types and layout are GDB's.
struct jit_code_entry {
  jit_code_entry* next_entry;
  jit_code_entry* prev_entry;
  const char* symfile_addr;
  uint64_t symfile_size;
};
struct jit_descriptor {
  uint32_t version;
  uint32_t action_flag;
  jit_code_entry* relevant_entry;
  jit_code_entry* first_entry;
};

// GDB sets a breakpoint here.
__attribute__((noinline, used, visibility("default"))) void __jit_debug_register_code() {
  asm volatile("" ::: "memory");
}
__attribute__((used, visibility("default"))) jit_descriptor __jit_debug_descriptor = {1, 0, nullptr, nullptr};
}

namespace tenon {
namespace {

enum : u32 { kRegister = 1, kUnregister = 2 };

struct Entry {
  jit_code_entry links{};
  std::vector<char> file;
};

struct Registry {
  std::mutex mutex;
  std::map<const CodeObject*, std::unique_ptr<Entry>> entries;
};
Registry& registry() {
  static Registry* const instance = new Registry;
  return *instance;
}

// Sections of the file, in order.
enum : u16 { kNone, kText, kSymbols, kStrings, kAbbrev, kInfo, kLine, kSections };

// Text without bytes (they are in memory already), symbols relative to it.
std::vector<char> make_elf(const CodeObject& code) {
  std::vector<Elf64_Sym> symbols(1);
  std::string strings(1, '\0');
  for (const CodeFunction& f : code.functions()) {
    Elf64_Sym s{};
    s.st_name = static_cast<u32>(strings.size());
    s.st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC);
    s.st_shndx = kText;
    s.st_value = f.begin;
    s.st_size = f.end - f.begin;
    symbols.push_back(s);
    strings += code.module().function_name(FuncIdx{f.func});
    strings += '\0';
  }
  static constexpr char kNames[] = "\0.text\0.symtab\0.strtab\0.debug_abbrev\0.debug_info\0.debug_line";
  const u64 names_at = strings.size();
  strings.append(kNames, sizeof kNames);
  std::array<Elf64_Shdr, kSections> sections{};
  std::string contents;
  // A section with these bytes; `name`: where in kNames.
  auto add = [&](u16 section, u32 name, std::string_view bytes, Elf64_Shdr form) {
    form.sh_name = static_cast<u32>(names_at) + name;
    form.sh_offset = sizeof(Elf64_Ehdr) + sizeof sections + contents.size();
    form.sh_size = bytes.size();
    sections[section] = form;
    contents += bytes;
  };
  Elf64_Shdr form{};
  form.sh_type = SHT_SYMTAB;
  form.sh_link = kStrings;
  form.sh_info = 1;
  form.sh_addralign = alignof(Elf64_Sym);
  form.sh_entsize = sizeof(Elf64_Sym);
  add(kSymbols, 7, {reinterpret_cast<const char*>(symbols.data()), symbols.size() * sizeof(Elf64_Sym)}, form);
  form = {};
  form.sh_type = SHT_STRTAB;
  form.sh_addralign = 1;
  add(kStrings, 15, strings, form);
  form.sh_type = SHT_PROGBITS;
  const CodeDwarf dwarf = code_dwarf(code);
  add(kAbbrev, 23, dwarf.abbrev, form);
  add(kInfo, 37, dwarf.info, form);
  add(kLine, 49, dwarf.line, form);
  form.sh_type = SHT_NOBITS;
  form.sh_flags = SHF_ALLOC | SHF_EXECINSTR;
  form.sh_addr = reinterpret_cast<u64>(code.address(0));
  form.sh_addralign = 16;
  add(kText, 1, {}, form);
  sections[kText].sh_size = code.code_size();

  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_REL;
  header.e_machine = EM_X86_64;
  header.e_version = EV_CURRENT;
  header.e_shoff = sizeof header;
  header.e_ehsize = sizeof header;
  header.e_shentsize = sizeof(Elf64_Shdr);
  header.e_shnum = kSections;
  header.e_shstrndx = kStrings;

  std::vector<char> file(sizeof header + sizeof sections + contents.size());
  std::memcpy(file.data(), &header, sizeof header);
  std::memcpy(file.data() + sizeof header, sections.data(), sizeof sections);
  std::memcpy(file.data() + sizeof header + sizeof sections, contents.data(), contents.size());
  return file;
}

void tell(u32 action, jit_code_entry& entry) {
  __jit_debug_descriptor.action_flag = action;
  __jit_debug_descriptor.relevant_entry = &entry;
  __jit_debug_register_code();
}

}  // namespace

void gdb_register(const CodeObject& code) {
  if (code.functions().empty()) return;
  auto entry = std::make_unique<Entry>();
  entry->file = make_elf(code);
  jit_code_entry& links = entry->links;
  links.symfile_addr = entry->file.data();
  links.symfile_size = entry->file.size();
  const std::lock_guard lock(registry().mutex);
  links.next_entry = __jit_debug_descriptor.first_entry;
  if (links.next_entry) links.next_entry->prev_entry = &links;
  __jit_debug_descriptor.first_entry = &links;
  tell(kRegister, links);
  registry().entries[&code] = std::move(entry);
}

void gdb_unregister(const CodeObject& code) {
  const std::lock_guard lock(registry().mutex);
  auto found = registry().entries.find(&code);
  if (found == registry().entries.end()) return;
  jit_code_entry& links = found->second->links;
  if (links.prev_entry)
    links.prev_entry->next_entry = links.next_entry;
  else
    __jit_debug_descriptor.first_entry = links.next_entry;
  if (links.next_entry) links.next_entry->prev_entry = links.prev_entry;
  tell(kUnregister, links);
  registry().entries.erase(found);
}

}  // namespace tenon
