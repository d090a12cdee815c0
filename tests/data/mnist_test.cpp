#include <numeric>

#include "data/dataset_files.hpp"
#include "support/expect_error.hpp"
#include "support/temporary_folder.hpp"

namespace lockstep {
namespace {

using testing::expect_error;
using testing::idx_file;
using testing::idx_images;
using testing::idx_labels;

// idx_labels({4, 2, 9}) packed with gzip.
const testing::Bytes kPackedLabels = {31, 139, 8,   0,   0,  0,  0,  0,   2,  3,   99,
                                      96, 224, 96,  100, 96, 96, 96, 102, 97, 226, 4,
                                      0,  126, 206, 163, 66, 11, 0,  0,   0};

class MnistTest : public ::testing::Test {
 protected:
  MnistTest() {
    testing::write_file(folder / kImages, idx_images(3));
    testing::write_file(folder / kLabels, idx_labels({4, 2, 9}));
  }
  std::unique_ptr<Dataset> open(Split split = Split::train) {
    return testing::open_dataset(registry, "mnist", folder.path().string(), split);
  }
  void expect_data_error(std::string_view text) {
    expect_error([&] { open(); }, Failure::data, text);
  }

  const std::string kImages = "train-images-idx3-ubyte";
  const std::string kLabels = "train-labels-idx1-ubyte";
  test::TemporaryFolder folder;
  Registry registry;
};

TEST_F(MnistTest, ReadsTheRealFiles) {
  const std::string path = testing::real_data("mnist");
  if (path.empty()) GTEST_SKIP() << "LOCKSTEP_DATA/mnist is not there";
  const auto train = testing::open_dataset(registry, "mnist", path);
  const auto test = testing::open_dataset(registry, "mnist", path, Split::test);
  EXPECT_EQ(train->size(), 60000);
  EXPECT_EQ(test->size(), 10000);
  Image image;
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < 5; ++i) labels.push_back(train->read(i, image));
  EXPECT_EQ(labels, (std::vector<int64_t>{5, 0, 4, 1, 9}));
  train->read(0, image);
  EXPECT_EQ(std::accumulate(image.data(), image.data() + image.bytes(), 0), 27525);
  EXPECT_EQ(test->read(0, image), 7);
}

TEST_F(MnistTest, ReadsPicturesAndLabels) {
  const auto dataset = open();
  ASSERT_EQ(dataset->size(), 3);
  EXPECT_EQ(dataset->spec().image, (Shape{1, 28, 28}));
  EXPECT_EQ(dataset->spec().class_names.size(), 10u);
  Image image;
  EXPECT_EQ(dataset->read(2, image), 9);
  EXPECT_EQ(image.row(0, 27)[27], 2);
}

TEST_F(MnistTest, FindsTheOtherPublishedNames) {
  std::filesystem::rename((folder / kImages), folder / "train-images.idx3-ubyte");
  EXPECT_EQ(open()->size(), 3);
}

TEST_F(MnistTest, ReadsPackedFiles) {
  std::filesystem::remove((folder / kLabels));
  testing::write_file(folder / (kLabels + ".gz"), kPackedLabels);
  Image image;
  EXPECT_EQ(open()->read(1, image), 2);
}

TEST_F(MnistTest, KnowsItsSpecWithoutFiles) {
  const auto dataset =
      registry.find_dataset("mnist").make({.path = "nowhere", .spec_only = true}, {});
  EXPECT_EQ(dataset->spec().classes, 10);
}

TEST_F(MnistTest, NamesAMissingFileAndWhereToGetIt) {
  std::filesystem::remove((folder / kLabels));
  expect_data_error(folder.path().string() +
                    ": does not hold train-labels-idx1-ubyte or train-labels-idx1-ubyte.gz; "
                    "MNIST's four files are at https://");
  expect_error([&] { open(Split::test); }, Failure::data, "does not hold t10k-images-idx3-ubyte");
  expect_error([&] { testing::open_dataset(registry, "mnist", ""); }, Failure::data,
               "data.path: not given");
}

TEST_F(MnistTest, RefusesTruncatedFiles) {
  testing::Bytes images = idx_images(3);
  images.pop_back();
  testing::write_file(folder / kImages, images);
  expect_data_error(kImages + ": truncated: 2351 bytes after the header; expected 2352");
  images.resize(7);
  testing::write_file(folder / kImages, images);
  expect_data_error(kImages + ": truncated: 7 bytes; expected a header of 16");
  testing::write_file(folder / kImages, {});
  expect_data_error(kImages + ": truncated: 0 bytes");
}

TEST_F(MnistTest, RefusesDamagedPackedFiles) {
  std::filesystem::remove((folder / kLabels));
  testing::Bytes packed = kPackedLabels;
  packed.resize(packed.size() - 10);
  testing::write_file(folder / (kLabels + ".gz"), packed);
  expect_data_error(kLabels + ".gz: ");
  packed = kPackedLabels;
  packed[packed.size() - 6] ^= 1;  // the checksum
  testing::write_file(folder / (kLabels + ".gz"), packed);
  expect_data_error(kLabels + ".gz: damaged or truncated gzip file");
}

TEST_F(MnistTest, RefusesFilesThatAreTooLong) {
  testing::Bytes images = idx_images(3);
  images.push_back(0);
  testing::write_file(folder / kImages, images);
  expect_data_error(kImages + ": too long: 2353 bytes after the header; expected 2352");
}

TEST_F(MnistTest, RefusesAnotherMagicNumber) {
  testing::write_file(folder / kImages, idx_labels({4, 2, 9, 1, 1, 1, 1, 1, 1}));
  expect_data_error(kImages +
                    ": starts with the number 2049; expected 2051, an IDX file of images");
}

TEST_F(MnistTest, RefusesPicturesOfAnotherSize) {
  testing::write_file(folder / kImages, idx_file(0x803, {3, 2, 2}, testing::Bytes(12)));
  expect_data_error(kImages + ": pictures of 2 x 2; expected 28 x 28");
  testing::write_file(folder / kImages, idx_file(0x803, {0xffffffff, 0xffffffff, 0xffffffff}, {}));
  expect_data_error(kImages + ": damaged header");
}

TEST_F(MnistTest, RefusesCountsThatDisagree) {
  testing::write_file(folder / kLabels, idx_labels({4, 2}));
  expect_data_error("3 pictures, but " + (folder / kLabels).string() + " has 2 labels");
}

TEST_F(MnistTest, RefusesALabelOutOfRange) {
  testing::write_file(folder / kLabels, idx_labels({4, 10, 9}));
  expect_data_error(kLabels + ": record 1: label 10; expected 0 to 9");
}

}  // namespace
}  // namespace lockstep
