// Photographs in folders: train/CLASS/* and val/CLASS/*, classes and files in the order of
// torchvision's ImageFolder, pixels as Pillow's convert("RGB") gives them. EXIF orientation is
// ignored, as there.
//
// Where torchvision takes the classes of val/ from val/ alone, here a class has the number that it
// has in train/: val/ may lack some of them.
#include <lockstep/plugin.hpp>

#include <algorithm>
#include <filesystem>

#include "base/log.hpp"
#include "data/decode.hpp"
#include "listing.hpp"

namespace {
using namespace lockstep;

namespace fs = std::filesystem;

struct ImageFolderOptions {
  int64_t classes = 1000;
  bool allow_empty = false;
  int64_t max_pixels = DecodeOptions{}.max_pixels;
};
void describe(Options<ImageFolderOptions>& o) {
  o("classes", &ImageFolderOptions::classes,
    "number of classes where the data is not there to count them", between(1, 1000000));
  o("allow_empty", &ImageFolderOptions::allow_empty,
    "take folders without pictures as classes without samples; false: refuse them by name");
  o("max_pixels", &ImageFolderOptions::max_pixels,
    "larger pictures are refused; a worker's memory is a few bytes for each", positive());
}

// "a, b and 3 more"
std::string some_of(const std::vector<std::string>& names) {
  constexpr size_t kShown = 5;
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), kShown); ++i)
    text += (i == 0 ? "" : ", ") + names[i];
  if (names.size() > kShown) text += concat(" and ", names.size() - kShown, " more");
  return text;
}

std::vector<std::string> without(const std::vector<std::string>& names,
                                 const std::vector<std::string>& others) {
  std::vector<std::string> result;
  std::set_difference(names.begin(), names.end(), others.begin(), others.end(),
                      std::back_inserter(result));
  return result;
}

class ImageFolder final : public Dataset {
 public:
  ImageFolder(const DatasetSource& source, const ImageFolderOptions& options)
      : decode_{.max_pixels = options.max_pixels} {
    spec_.image = {3, 0, 0};
    if (source.spec_only && !is_folder(source.path, "train") && !is_folder(source.path, "val")) {
      assume_classes(source, options.classes);
      return;
    }
    set_classes(find_classes(source.path));
    if (!source.spec_only)
      list(find_folder(source.path, name_of(source.split)), options.allow_empty);
  }

  const DatasetSpec& spec() const override { return spec_; }
  int64_t size() const override { return files_.size(); }
  int64_t read(int64_t index, Image& image) const override {
    decode_picture_file(files_.path(index), image, decode_);
    return files_.label(index);
  }
  int64_t label(int64_t index) const override { return files_.label(index); }
  std::string sample_name(int64_t index) const override { return files_.path(index); }

 private:
  static const char* name_of(Split split) { return split == Split::train ? "train" : "val"; }
  static std::string folder_of(const std::string& path, const char* name) {
    return (fs::path(path) / name).string();
  }
  static bool is_folder(const std::string& path, const char* name) {
    std::error_code ignored;
    return fs::is_directory(folder_of(path, name), ignored);
  }

  void set_classes(std::vector<std::string> names) {
    spec_.classes = static_cast<int64_t>(names.size());
    spec_.class_names = std::move(names);
  }

  void assume_classes(const DatasetSource& source, int64_t classes) {
    std::vector<std::string> names;
    for (int64_t k = 0; k < classes; ++k) names.push_back(std::to_string(k));
    set_classes(std::move(names));
    if (source.split == Split::test || source.path.empty()) return;  // said once, of a place
    log::warn(concat("image_folder: ", folder_of(source.path, "train"), " is not there; ", classes,
                     " classes are assumed (data.classes)"));
  }

  // Of train/; of val/ where that is all there is to evaluate.
  static std::vector<std::string> find_classes(const std::string& path) {
    if (path.empty()) {
      fail(Failure::data, "data.path: not given; expected a folder with train/CLASS/* and ",
           "val/CLASS/*");
    }
    const bool only_val = !is_folder(path, "train") && is_folder(path, "val");
    return class_folders(find_folder(path, only_val ? "val" : "train"));
  }

  static std::string find_folder(const std::string& path, const char* name) {
    if (is_folder(path, name)) return folder_of(path, name);
    const bool neither = !is_folder(path, "train") && !is_folder(path, "val");
    const std::vector<std::string> found = folders_in(path);
    if (neither && !found.empty()) {
      fail(Failure::data, path, ": holds ", some_of(found), ", but no folder ", name,
           "; expected train/CLASS/* and val/CLASS/*; if these are the classes, move them into ",
           (fs::path(path) / "train").string(), " and some pictures of each into val/");
    }
    fail(Failure::data, path, ": does not hold a folder ", name,
         "; expected train/CLASS/* and val/CLASS/*; set data.path to the folder above them");
  }

  // Takes the files of the classes in the folder, each with its class's number in train/.
  void list(const std::string& folder, bool allow_empty) {
    const std::vector<std::string> found = class_folders(folder);
    const std::vector<std::string> unknown = without(found, spec_.class_names);
    if (!unknown.empty()) {
      fail(Failure::data, folder, ": has classes that train/ does not have: ", some_of(unknown),
           "; expected classes of train/ alone; move or remove these folders");
    }
    std::vector<std::string> empty;
    for (size_t k = 0; k < spec_.class_names.size(); ++k) {
      const std::string& name = spec_.class_names[k];
      if (!std::binary_search(found.begin(), found.end(), name)) continue;
      const std::string path = (fs::path(folder) / name).string();
      if (files_.add(path, static_cast<int64_t>(k)) == 0) empty.push_back(name);
    }
    if (!empty.empty() && !allow_empty) refuse_empty(folder, empty);
    const std::vector<std::string> missing = without(spec_.class_names, found);
    if (missing.empty()) return;
    log::warn(concat(folder, ": lacks the ", missing.size() == 1 ? "class " : "classes ",
                     some_of(missing), " of train/: nothing is known of how well ",
                     missing.size() == 1 ? "it is" : "they are", " recognised"));
  }

  [[noreturn]] static void refuse_empty(const std::string& folder,
                                        const std::vector<std::string>& empty) {
    fail(Failure::data, folder, ": ", empty.size() == 1 ? "this class has" : "these classes have",
         " no pictures: ", some_of(empty),
         "; expected at least one .jpg, .jpeg or .png file in each; add some, remove the folder or "
         "set data.allow_empty = true");
  }

  DatasetSpec spec_;
  DecodeOptions decode_;
  FileList files_;
};

}  // namespace

LS_PLUGIN(image_folder, registry) {
  registry.dataset<ImageFolder, ImageFolderOptions>(
      "image_folder", "photographs in train/CLASS/* and val/CLASS/*: JPEG and PNG");
}
