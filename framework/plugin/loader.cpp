#include "plugin/loader.hpp"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>
#include <utility>

#include "base/error.hpp"
#include "plugin/abi_id.h"

namespace lockstep {
namespace fs = std::filesystem;

namespace {

// The folder of liblockstep.so.
fs::path library_folder() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<void*>(&plugin_search_path), &info) == 0 || !info.dli_fname)
    return {};
  std::error_code error;
  return fs::weakly_canonical(info.dli_fname, error).parent_path();
}

std::map<std::string, std::string, std::less<>> abi_parts(std::string_view id) {
  std::map<std::string, std::string, std::less<>> parts;
  while (!id.empty()) {
    const std::string_view part = id.substr(0, id.find(' '));
    id.remove_prefix(std::min(id.size(), part.size() + 1));
    const size_t equals = part.find('=');
    if (equals == part.npos) continue;
    parts.emplace(part.substr(0, equals), part.substr(equals + 1));
  }
  return parts;
}

void append_files(std::vector<PluginFile>& files,
                  std::set<std::pair<std::string, std::string>>& seen, const fs::path& path,
                  const std::string& folder) {
  std::vector<PluginFile> found;
  std::error_code error;
  for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    const fs::path& file = it->path();
    // NAME.cuda.so is the twin of NAME.so for a device, no plugin of its own.
    if (file.extension() != ".so" || file.stem().has_extension()) continue;
    found.push_back({folder, file.stem().string(), file.string()});
  }
  for (PluginFile& file : found) {
    if (seen.emplace(file.folder, file.name).second) files.push_back(std::move(file));
  }
}

}  // namespace

std::string rebuild_command() {
  const fs::path library = library_folder();
  std::error_code error;
  if (fs::exists(library / "cmake" / "Lockstep", error)) {
    return concat(
        "cmake -S SOURCE -B BUILD -DLockstep_DIR=", (library / "cmake" / "Lockstep").string(),
        " && cmake --build BUILD --clean-first");
  }
  for (fs::path folder = library; folder.has_relative_path(); folder = folder.parent_path()) {
    if (fs::exists(folder / "CMakeCache.txt", error))
      return concat("cmake --build ", folder.string());
  }
  return "cmake --build BUILD --clean-first";
}

std::vector<PluginFolder> plugin_search_path() {
  std::vector<PluginFolder> folders;
  const char* variable = std::getenv("LOCKSTEP_PLUGIN_PATH");
  std::string_view rest = variable ? variable : "";
  while (!rest.empty()) {
    const std::string_view entry = rest.substr(0, rest.find(':'));
    rest.remove_prefix(std::min(rest.size(), entry.size() + 1));
    if (!entry.empty()) folders.push_back({fs::path(entry), false});
  }
  folders.push_back({library_folder() / "lockstep" / "plugins", true});
  return folders;
}

std::string search_path_text() {
  std::string text;
  for (const PluginFolder& folder : plugin_search_path()) {
    if (!text.empty()) text += ", ";
    text += folder.path.string();
  }
  return text;
}

std::vector<PluginFile> find_plugins(std::string_view folder) {
  std::vector<PluginFile> files;
  std::set<std::pair<std::string, std::string>> seen;
  for (const PluginFolder& root : plugin_search_path()) {
    if (!folder.empty()) {
      append_files(files, seen, root.path / folder, std::string(folder));
    } else {
      std::error_code error;
      std::set<std::string> kinds;
      for (fs::directory_iterator it(root.path, error), end; !error && it != end;
           it.increment(error)) {
        if (it->is_directory(error)) kinds.insert(it->path().filename().string());
      }
      for (const std::string& kind : kinds) append_files(files, seen, root.path / kind, kind);
    }
    if (!root.holds_kinds_only) append_files(files, seen, root.path, "");
  }
  return files;
}

std::string abi_difference(std::string_view plugin, std::string_view framework) {
  if (plugin == framework) return {};
  const auto theirs = abi_parts(plugin);
  const auto ours = abi_parts(framework);
  std::string text;
  for (const auto& [key, value] : ours) {
    const auto it = theirs.find(key);
    const std::string found = it == theirs.end() ? "not stated" : it->second;
    if (found != value)
      text += concat(text.empty() ? "" : ", ", key, " is ", found, ", not ", value);
  }
  return text.empty() ? concat("id is '", plugin, "', not '", framework, "'") : text;
}

const lockstep_plugin& open_plugin(const std::string& path) {
  const std::string where = concat("plugin ", path, ": ");
  std::error_code error;
  if (!fs::is_regular_file(path, error)) fail(Failure::usage, where, "there is no such file");
  // dlopen takes a name without a slash for one of the system's libraries.
  void* handle = dlopen(fs::absolute(path).c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    fail(Failure::usage, where, "cannot be opened (", dlerror(),
         "); rebuild it: ", rebuild_command());
  }
  const std::string file = fs::path(path).filename().string();
  const std::string name = file.substr(0, file.find('.'));
  const std::string symbol = "lockstep_plugin_" + name;
  using EntryPoint = const lockstep_plugin* (*)();
  const auto entry_point = reinterpret_cast<EntryPoint>(dlsym(handle, symbol.c_str()));
  if (entry_point == nullptr) {
    fail(Failure::usage, where, "has no symbol ", symbol, "; its source needs LS_PLUGIN(", name,
         ", registry), the name being the file's");
  }
  const lockstep_plugin* plugin = entry_point();
  if (plugin == nullptr || plugin->struct_size < sizeof(lockstep_plugin)) {
    fail(Failure::usage, where, "its entry point is of another version of Lockstep (",
         plugin ? plugin->struct_size : 0, " bytes, expected ", sizeof(lockstep_plugin),
         "); rebuild it: ", rebuild_command());
  }
  const std::string_view abi_id = plugin->abi_id ? plugin->abi_id : "";
  if (const std::string difference = abi_difference(abi_id, LOCKSTEP_ABI_ID); !difference.empty()) {
    fail(Failure::usage, where, "was built for another Lockstep: ", difference,
         "; rebuild it: ", rebuild_command());
  }
  const std::string_view given = plugin->name ? plugin->name : "";
  if (given != name) {
    fail(Failure::usage, where, "calls itself '", given, "'; expected the file's name, '", name,
         "'");
  }
  if (plugin->register_into == nullptr) {
    fail(Failure::usage, where, "has no function that registers; write it with LS_PLUGIN");
  }
  return *plugin;
}

}  // namespace lockstep
