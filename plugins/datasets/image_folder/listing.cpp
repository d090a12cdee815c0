#include "listing.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <string_view>

#include "base/error.hpp"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

// The endings that torchvision's ImageFolder knows.
constexpr std::array<std::string_view, 9> kEndings = {".jpg", ".jpeg", ".png",  ".ppm", ".bmp",
                                                      ".pgm", ".tif",  ".tiff", ".webp"};

bool is_picture(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return std::any_of(kEndings.begin(), kEndings.end(),
                     [&](std::string_view ending) { return name.ends_with(ending); });
}

struct Content {
  std::vector<std::string> folders, files;  // names, sorted
};

Content read_folder(const std::string& path) {
  Content content;
  try {
    for (const fs::directory_entry& entry : fs::directory_iterator(path)) {
      std::error_code broken_link;
      const bool folder = entry.is_directory(broken_link);
      (folder ? content.folders : content.files).push_back(entry.path().filename().string());
    }
  } catch (const fs::filesystem_error& e) {
    fail(Failure::data, path, ": cannot be read: ", e.code().message(),
         "; expected a folder that this user may read");
  }
  std::sort(content.folders.begin(), content.folders.end());
  std::sort(content.files.begin(), content.files.end());
  return content;
}

// Collects `path` and every folder in it. `above` are the folders that lead to it, without links.
void collect_folders(const std::string& path, std::vector<fs::path>& above,
                     std::vector<std::pair<std::string, std::vector<std::string>>>& found) {
  Content content = read_folder(path);
  std::error_code error;
  above.push_back(fs::canonical(path, error));
  if (std::find(above.begin(), above.end() - 1, above.back()) != above.end() - 1) {
    fail(Failure::data, path, ": a link to a folder that it lies in; remove it");
  }
  found.emplace_back(path, std::move(content.files));
  for (const std::string& name : content.folders)
    collect_folders((fs::path(path) / name).string(), above, found);
  above.pop_back();
}

}  // namespace

std::vector<std::string> class_folders(const std::string& folder) {
  std::vector<std::string> names = read_folder(folder).folders;
  if (names.empty()) {
    fail(Failure::data, folder, ": holds no folders; expected one per class with its pictures");
  }
  return names;
}

std::vector<std::string> folders_in(const std::string& folder) {
  try {
    return read_folder(folder).folders;
  } catch (const Error&) {
    return {};
  }
}

int64_t FileList::add(const std::string& folder, int64_t label) {
  std::vector<std::pair<std::string, std::vector<std::string>>> found;
  std::vector<fs::path> above;
  collect_folders(folder, above, found);
  std::sort(found.begin(), found.end());  // by the whole path, as torchvision sorts os.walk
  const int64_t before = size();
  for (auto& [path, names] : found) {
    folders_.push_back({std::move(path), label});
    for (const std::string& name : names) {
      if (!is_picture(name)) continue;
      files_.push_back(
          {static_cast<int64_t>(names_.size()), static_cast<int32_t>(folders_.size()) - 1});
      names_.append(name).push_back('\0');
    }
  }
  return size() - before;
}

std::string FileList::path(int64_t index) const {
  const File& file = files_[static_cast<size_t>(index)];
  const char* name = names_.c_str() + file.name_begin;
  return (fs::path(folders_[static_cast<size_t>(file.folder)].path) / name).string();
}

int64_t FileList::label(int64_t index) const {
  return folders_[static_cast<size_t>(files_[static_cast<size_t>(index)].folder)].label;
}

}  // namespace lockstep
