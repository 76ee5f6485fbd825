// `tenon inspect`: a module's parts, for people or as JSON.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "options.h"
#include "report.h"

namespace tenon::cli {
namespace {

using Json = nlohmann::ordered_json;

Json item_json(const tenon_item_t& item, bool import) {
  Json j;
  if (import) j["module"] = view(item.module);
  j["name"] = view(item.name);
  j["type"] = view(item.type);
  j["index"] = item.index;
  return j;
}

Json module_json(const Module& module, const std::string& file) {
  Json j;
  j["file"] = file;
  j["size"] = module.size();
  Json& sections = j["sections"] = Json::array();
  for (const tenon_section_t& s : module.sections()) {
    Json row{{"id", s.id}, {"name", view(s.name)}, {"offset", s.offset}, {"size", s.size}};
    if (s.id != 0) row["items"] = s.items;
    sections.push_back(std::move(row));
  }
  j["features"] = Json::array();
  for (const tenon_name_t f : module.features()) j["features"].push_back(view(f));
  j["types"] = Json::array();
  for (const tenon_name_t t : module.types()) j["types"].push_back(view(t));
  j["imports"] = Json::array();
  for (const tenon_item_t& i : module.imports()) j["imports"].push_back(item_json(i, true));
  j["exports"] = Json::array();
  for (const tenon_item_t& e : module.exports()) j["exports"].push_back(item_json(e, false));
  return j;
}

std::string heading(std::string_view text) { return paint(Colour::bold, text, 1); }

void print_module(const Module& module, const std::string& file) {
  fmt::print("{}: {} bytes\n\n", file, module.size());
  fmt::print("{}\n", heading("sections"));
  for (const tenon_section_t& s : module.sections()) {
    const std::string name =
        s.id == 0 ? fmt::format("custom \"{}\"", view(s.name)) : std::string(view(s.name));
    const std::string items = s.items ? fmt::format("{} items", s.items) : "";
    fmt::print("  {:<28} {:>10} bytes at {:#08x}  {}\n", name, s.size, s.offset, items);
  }
  fmt::print("\n{}\n ", heading("features"));
  for (const tenon_name_t f : module.features()) fmt::print(" {}", view(f));
  fmt::print("{}\n\n{}\n", module.features().empty() ? " WebAssembly 1.0" : "", heading("types"));
  const auto types = module.types();
  for (size_t i = 0; i < types.size(); ++i) fmt::print("  {:>4}  {}\n", i, view(types[i]));
  fmt::print("\n{}\n", heading("imports"));
  for (const tenon_item_t& i : module.imports())
    fmt::print("  {} {}  {}\n", view(i.module), view(i.name), paint(Colour::dim, view(i.type), 1));
  fmt::print("\n{}\n", heading("exports"));
  for (const tenon_item_t& e : module.exports())
    fmt::print("  {}  {}\n", view(e.name), paint(Colour::dim, view(e.type), 1));
}

}  // namespace

int inspect(const Args& args) {
  std::string file;
  bool json = false;
  CLI::App app("Shows sections, types, imports, exports and needed features of a module.", "tenon inspect");
  app.add_option("FILE", file, "FILE.wasm or .wat")->required();
  app.add_flag("--json", json, "for machines");
  if (const auto status = parse(app, args)) return *status;
  const Engine engine;
  auto module = Module::from_file(engine, file);
  if (!module) return report(module.error(), file);
  if (json)
    fmt::print("{}\n", module_json(*module, file).dump(2, ' ', false, Json::error_handler_t::replace));
  else
    print_module(*module, file);
  return 0;
}

}  // namespace tenon::cli
