// Finds plugin files and opens them.
//
// The search path is LOCKSTEP_PLUGIN_PATH (folders separated by colons), then lockstep/plugins
// beside liblockstep.so, which is the same place in a build and in an installed tree. A folder
// holds KIND/NAME.so, and those of LOCKSTEP_PLUGIN_PATH may also hold NAME.so. The first file of a
// name hides the others.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "plugin/abi.h"

namespace lockstep {

struct PluginFolder {
  std::filesystem::path path;
  bool holds_kinds_only = false;  // NAME.so without a folder of its kind is not looked for
};
std::vector<PluginFolder> plugin_search_path();

// "a, b" of the folders searched, for messages.
std::string search_path_text();

// A file in the search path. `folder` is the kind's ("models"); empty where the file lies outside
// of such a folder.
struct PluginFile {
  std::string folder;
  std::string name;
  std::string path;
};
// All plugins in the search path, or those that may be of one kind, without the hidden ones.
std::vector<PluginFile> find_plugins(std::string_view folder = {});

// Opens the file and checks everything that can be checked before a C++ type crosses: the entry
// point, its size, the ABI id and the name (NAME of NAME.so and of its twin NAME.cuda.so). Never
// closed again. Throws Error{usage} that says what does not fit.
const lockstep_plugin& open_plugin(const std::string& path);

// How plugins are built again, for this installation or build.
std::string rebuild_command();

// The parts in which two ABI ids differ: "compiler is gcc-11, not gcc-12; …". Empty if they are
// equal.
std::string abi_difference(std::string_view plugin, std::string_view framework);

}  // namespace lockstep
