// MNIST and datasets in its format (Fashion-MNIST, KMNIST): IDX files, plain or packed with gzip.
// http://yann.lecun.com/exdb/mnist/: big-endian magic 0x00000803 (images) or 0x00000801 (labels),
// counts, then bytes.
#include <lockstep/plugin.hpp>

#include "data/files.hpp"

namespace {
using namespace lockstep;

constexpr int64_t kClasses = 10;
constexpr int64_t kSide = 28;

struct IdxFile {
  std::string path;
  std::vector<uint8_t> content;
  std::vector<int64_t> extents;
  size_t header_bytes = 0;

  const uint8_t* data() const { return content.data() + header_bytes; }
};

uint32_t big_endian(const uint8_t* bytes) {
  return uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 | uint32_t{bytes[2]} << 8 | bytes[3];
}

// The file's published name comes with a dash or a dot before "idx", and with or without ".gz".
std::string find_file(const std::string& folder, const std::string& stem, int rank) {
  const std::string kind = concat("idx", rank, "-ubyte");
  const std::string dash = stem + "-" + kind, dot = stem + "." + kind;
  const std::string path =
      find_data_file(folder, std::vector{dash, dash + ".gz", dot, dot + ".gz"});
  if (!path.empty()) return path;
  fail(Failure::data, folder.empty() ? "data.path" : folder, ": ",
       folder.empty() ? "not given; expected the folder of " : "does not hold ", dash, " or ", dash,
       ".gz; MNIST's four files are at https://ossci-datasets.s3.amazonaws.com/mnist/");
}

IdxFile read_idx(const std::string& path, int rank) {
  IdxFile file{.path = path, .content = read_data_file(path), .extents = {}};
  file.header_bytes = 4 + 4 * static_cast<size_t>(rank);
  if (file.content.size() < file.header_bytes) {
    fail(Failure::data, path, ": truncated: ", file.content.size(), " bytes; expected a header of ",
         file.header_bytes, "; fetch it again");
  }
  const uint32_t magic = big_endian(file.content.data()),
                 expected = 0x800 + static_cast<uint32_t>(rank);
  if (magic != expected) {
    fail(Failure::data, path, ": starts with the number ", magic, "; expected ", expected,
         rank == 3 ? ", an IDX file of images" : ", an IDX file of labels");
  }
  int64_t bytes = 1;
  for (int axis = 0; axis < rank; ++axis) {
    file.extents.push_back(big_endian(file.content.data() + 4 + 4 * axis));
    // The first extent counts samples, the others are the picture's; more than this would overflow
    // below.
    if (axis > 0 && file.extents.back() > 4096) {
      fail(Failure::data, path, ": damaged header: pictures of ", file.extents.back(),
           " pixels a side; expected at most 4096; fetch it again");
    }
    bytes *= file.extents.back();
  }
  const auto found = static_cast<int64_t>(file.content.size() - file.header_bytes);
  if (found != bytes) {
    fail(Failure::data, path, found < bytes ? ": truncated: " : ": too long: ", found,
         " bytes after the header; expected ", bytes, "; fetch it again");
  }
  return file;
}

class Mnist final : public Dataset {
 public:
  Mnist(const DatasetSource& source, const NoOptions&) {
    spec_ = {.image = {1, kSide, kSide}, .classes = kClasses, .class_names = {}};
    for (int digit = 0; digit < kClasses; ++digit)
      spec_.class_names.push_back(std::to_string(digit));
    if (source.spec_only) return;
    const std::string stem = source.split == Split::train ? "train" : "t10k";
    const std::string images = find_file(source.path, stem + "-images", 3);
    const std::string labels = find_file(source.path, stem + "-labels", 1);
    images_ = read_idx(images, 3);
    labels_ = read_idx(labels, 1);
    check();
  }

  const DatasetSpec& spec() const override { return spec_; }
  int64_t size() const override { return labels_.extents.empty() ? 0 : labels_.extents[0]; }
  int64_t read(int64_t index, Image& image) const override {
    image.resize(1, kSide, kSide);
    std::memcpy(image.data(), images_.data() + index * image.bytes(),
                static_cast<size_t>(image.bytes()));
    return label(index);
  }
  int64_t label(int64_t index) const override { return labels_.data()[index]; }

 private:
  void check() const {
    if (images_.extents[1] != kSide || images_.extents[2] != kSide) {
      fail(Failure::data, images_.path, ": pictures of ", images_.extents[1], " x ",
           images_.extents[2], "; expected ", kSide, " x ", kSide);
    }
    if (images_.extents[0] != labels_.extents[0]) {
      fail(Failure::data, images_.path, ": ", images_.extents[0], " pictures, but ", labels_.path,
           " has ", labels_.extents[0], " labels; expected as many; they are not of one set");
    }
    for (int64_t i = 0; i < size(); ++i) {
      if (labels_.data()[i] >= kClasses) {
        fail(Failure::data, labels_.path, ": record ", i, ": label ", int{labels_.data()[i]},
             "; expected 0 to ", kClasses - 1, "; fetch it again");
      }
    }
  }

  DatasetSpec spec_;
  IdxFile images_;
  IdxFile labels_;
};

}  // namespace

LS_PLUGIN(mnist, registry) {
  registry.dataset<Mnist>("mnist", "MNIST's IDX files, plain or .gz: 28x28 grey, 10 digits");
}
