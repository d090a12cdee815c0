// The files of an image folder, in the order of torchvision's ImageFolder.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lockstep {

// The folders in `folder`, sorted by name: the classes. Throws Error{data} where it cannot be read
// or has none.
std::vector<std::string> class_folders(const std::string& folder);
// The folders in it, sorted by name; none where it cannot be read.
std::vector<std::string> folders_in(const std::string& folder);

// The pictures of several classes, by the ending of their names. A million names take about 40 MB.
class FileList {
 public:
  // Adds the pictures in `folder` and in the folders in it, also linked ones, and returns how many
  // they are. Throws Error{data} where a folder cannot be read.
  int64_t add(const std::string& folder, int64_t label);

  int64_t size() const { return static_cast<int64_t>(files_.size()); }
  std::string path(int64_t index) const;
  int64_t label(int64_t index) const;

 private:
  struct Folder {
    std::string path;
    int64_t label;
  };
  struct File {
    int64_t name_begin;  // in names_, each name followed by a 0
    int32_t folder;
  };

  std::vector<Folder> folders_;
  std::vector<File> files_;
  std::string names_;
};

}  // namespace lockstep
