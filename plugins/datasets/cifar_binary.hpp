// The binary version of CIFAR-10 and CIFAR-100: records of one or two label bytes and 3072 pixels,
// planes of (3, 32, 32). https://www.cs.toronto.edu/~kriz/cifar.html
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/dataset.hpp"
#include "data/files.hpp"

namespace lockstep {

struct CifarLayout {
  std::string name;       // "CIFAR-10"
  std::string subfolder;  // of the archive
  std::vector<std::string> train_files;
  std::vector<std::string> test_files;
  int label_bytes = 1;  // the last of them is the class
  std::string names_file;
  std::vector<std::string> class_names;  // where names_file is missing
};

class CifarBinary : public Dataset {
 public:
  CifarBinary(const DatasetSource& source, const CifarLayout& layout)
      : label_bytes_(layout.label_bytes) {
    spec_ = {.image = {3, 32, 32},
             .classes = static_cast<int64_t>(layout.class_names.size()),
             .class_names = layout.class_names};
    if (source.spec_only) return;
    const auto& names = source.split == Split::train ? layout.train_files : layout.test_files;
    const std::string folder = find_folder(source.path, layout, names);
    read_class_names(folder, layout);
    for (const std::string& name : names) add_file((std::filesystem::path(folder) / name).string());
  }

  const DatasetSpec& spec() const override { return spec_; }
  int64_t size() const override { return files_.empty() ? 0 : files_.back().end; }
  int64_t read(int64_t index, Image& image) const override {
    const File* file = files_.data();
    while (index >= file->end) ++file;
    const uint8_t* record = file->content.data() + (index - file->begin) * record_bytes();
    image.resize(3, 32, 32);
    std::memcpy(image.data(), record + label_bytes_, kPixels);
    return record[label_bytes_ - 1];
  }

 private:
  static constexpr int64_t kPixels = 3072;

  struct File {
    int64_t begin, end;  // its records in the dataset
    std::vector<uint8_t> content;
  };

  int64_t record_bytes() const { return label_bytes_ + kPixels; }

  // The folder itself or the archive's folder in it: the first with all files.
  static std::string find_folder(const std::string& path, const CifarLayout& layout,
                                 const std::vector<std::string>& names) {
    const std::string help = concat("; the binary version of ", layout.name,
                                    " is at https://www.cs.toronto.edu/~kriz/cifar.html");
    if (path.empty())
      fail(Failure::data, "data.path: not given; expected the folder of ", names[0], help);
    std::string missing_in_path, missing_in_subfolder;
    const std::string subfolder = (std::filesystem::path(path) / layout.subfolder).string();
    if (has_all(path, names, missing_in_path)) return path;
    if (has_all(subfolder, names, missing_in_subfolder)) return subfolder;
    std::error_code ignored;
    const bool inside = std::filesystem::is_directory(subfolder, ignored);
    fail(Failure::data, inside ? subfolder : path, ": does not hold ",
         inside ? missing_in_subfolder : missing_in_path, help);
  }

  static bool has_all(const std::string& folder, const std::vector<std::string>& names,
                      std::string& missing) {
    for (const std::string& name : names) {
      if (!find_data_file(folder, std::vector{name}).empty()) continue;
      missing += (missing.empty() ? "" : ", ") + name;
    }
    return missing.empty();
  }

  void read_class_names(const std::string& folder, const CifarLayout& layout) {
    const std::string path = find_data_file(folder, std::vector{layout.names_file});
    if (path.empty()) return;
    spec_.class_names = read_lines(path);
    if (spec_.class_names.size() != layout.class_names.size()) {
      fail(Failure::data, path, ": ", spec_.class_names.size(), " names; expected ",
           layout.class_names.size(), "; remove the file to use the usual ones");
    }
  }

  void add_file(const std::string& path) {
    File file{.begin = size(), .end = 0, .content = read_data_file(path)};
    const auto bytes = static_cast<int64_t>(file.content.size());
    if (bytes % record_bytes() != 0) {
      fail(Failure::data, path, ": truncated: ", bytes, " bytes are ", bytes / record_bytes(),
           " records and ", bytes % record_bytes(), " bytes; expected whole records of ",
           record_bytes(), "; fetch it again");
    }
    for (int64_t i = 0; i < bytes / record_bytes(); ++i) {
      const int label = file.content[static_cast<size_t>(i * record_bytes() + label_bytes_ - 1)];
      if (label < spec_.classes) continue;
      fail(Failure::data, path, ": record ", i, ": label ", label, "; expected 0 to ",
           spec_.classes - 1, "; fetch it again");
    }
    file.end = file.begin + bytes / record_bytes();
    files_.push_back(std::move(file));
  }

  DatasetSpec spec_;
  int label_bytes_;
  std::vector<File> files_;
};

}  // namespace lockstep
