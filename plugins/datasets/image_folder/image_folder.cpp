// Photographs in folders: train/CLASS/* and val/CLASS/*, classes and files in the order of
// torchvision's ImageFolder, pixels as Pillow's convert("RGB") gives them. EXIF orientation is
// ignored, as there.
//
// Where torchvision takes the classes of val/ from val/ alone, here they must be those of train/.
#include <lockstep/plugin.hpp>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <memory>

#include "base/log.hpp"
#include "decode.hpp"
#include "listing.hpp"

namespace {
using namespace lockstep;

namespace fs = std::filesystem;

constexpr int64_t kMaxFileBytes = int64_t{1} << 30;

struct ImageFolderOptions {
  int64_t classes = 1000;
  int64_t max_pixels = 178956970;  // Pillow's limit
};
void describe(Options<ImageFolderOptions>& o) {
  o("classes", &ImageFolderOptions::classes,
    "number of classes where the data is not there to count them", between(1, 1000000));
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

// The bytes of a file, in memory that the thread keeps.
FileBytes read_file(const std::string& path) {
  thread_local std::vector<uint8_t> content;
  const auto close = [](std::FILE* file) { std::fclose(file); };
  const std::unique_ptr<std::FILE, decltype(close)> file(std::fopen(path.c_str(), "rb"), close);
  const auto refuse = [] { fail(Failure::data, "cannot be read: ", std::strerror(errno)); };
  if (!file || std::fseek(file.get(), 0, SEEK_END) != 0) refuse();
  const int64_t bytes = std::ftell(file.get());
  if (bytes < 0 || std::fseek(file.get(), 0, SEEK_SET) != 0) refuse();
  if (bytes > kMaxFileBytes) {
    fail(Failure::data, "a file of ", bytes, " bytes; expected at most ", kMaxFileBytes);
  }
  if (content.size() < static_cast<size_t>(bytes)) content.resize(static_cast<size_t>(bytes));
  errno = 0;
  if (std::fread(content.data(), 1, static_cast<size_t>(bytes), file.get()) !=
      static_cast<size_t>(bytes)) {
    refuse();
  }
  return {content.data(), static_cast<size_t>(bytes)};
}

class ImageFolder final : public Dataset {
 public:
  ImageFolder(const DatasetSource& source, const ImageFolderOptions& options)
      : max_pixels_(options.max_pixels) {
    spec_.image = {3, 0, 0};
    if (source.spec_only && !is_folder(source.path, "train") && !is_folder(source.path, "val")) {
      assume_classes(source, options.classes);
      return;
    }
    set_classes(find_classes(source.path));
    if (!source.spec_only) list(find_folder(source.path, name_of(source.split)));
  }

  const DatasetSpec& spec() const override { return spec_; }
  int64_t size() const override { return files_.size(); }
  int64_t read(int64_t index, Image& image) const override {
    const std::string path = files_.path(index);
    try {
      decode_picture(read_file(path), max_pixels_, image);
    } catch (Error& e) {
      e.add_context(path);
      throw;
    }
    return files_.label(index);
  }

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
    if (source.split == Split::test) return;  // said once
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
    fail(Failure::data, path, ": does not hold a folder ", name,
         "; expected train/CLASS/* and val/CLASS/*; set data.path to the folder above them");
  }

  void list(const std::string& folder) {
    const std::vector<std::string> found = class_folders(folder);
    const std::vector<std::string> missing = without(spec_.class_names, found);
    const std::vector<std::string> unknown = without(found, spec_.class_names);
    if (!missing.empty() || !unknown.empty()) {
      fail(Failure::data, folder, ": ", missing.empty() ? "" : "lacks the classes ",
           some_of(missing), !missing.empty() && !unknown.empty() ? "; " : "",
           unknown.empty() ? "" : "has classes that train/ does not have: ", some_of(unknown),
           "; expected the same classes in train/ and val/");
    }
    std::vector<std::string> empty;
    for (size_t k = 0; k < found.size(); ++k) {
      const std::string path = (fs::path(folder) / found[k]).string();
      if (files_.add(path, static_cast<int64_t>(k)) == 0) empty.push_back(found[k]);
    }
    if (empty.empty()) return;
    fail(Failure::data, folder, ": ", empty.size() == 1 ? "this class has" : "these classes have",
         " no pictures: ", some_of(empty),
         "; expected at least one .jpg, .jpeg or .png file in each; add some or remove the folder");
  }

  DatasetSpec spec_;
  int64_t max_pixels_;
  FileList files_;
};

}  // namespace

LS_PLUGIN(image_folder, registry) {
  registry.dataset<ImageFolder, ImageFolderOptions>(
      "image_folder", "photographs in train/CLASS/* and val/CLASS/*: JPEG and PNG");
}
