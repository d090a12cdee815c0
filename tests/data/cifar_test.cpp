#include <algorithm>
#include <numeric>

#include "data/dataset_files.hpp"
#include "support/expect_error.hpp"
#include "support/temporary_folder.hpp"

namespace lockstep {
namespace {

using testing::cifar_file;
using testing::expect_error;
using testing::write_file;

class CifarTest : public ::testing::Test {
 protected:
  CifarTest() {
    for (uint8_t i = 0; i < 5; ++i) write_file(folder / train_file(i), cifar_file({i, 9}, i * 2));
    write_file(folder / "test_batch.bin", cifar_file({3}));
  }
  static std::string train_file(int i) { return concat("data_batch_", i + 1, ".bin"); }
  std::unique_ptr<Dataset> open(Split split = Split::train) {
    return testing::open_dataset(registry, "cifar10", folder.path().string(), split);
  }
  void expect_data_error(std::string_view text) {
    expect_error([&] { open(); }, Failure::data, text);
  }

  test::TemporaryFolder folder;
  Registry registry;
};

TEST_F(CifarTest, ReadsTheRealFiles) {
  const std::string path = testing::real_data("cifar10");
  if (path.empty()) GTEST_SKIP() << "LOCKSTEP_DATA/cifar10 is not there";
  const auto train = testing::open_dataset(registry, "cifar10", path);
  const auto test = testing::open_dataset(registry, "cifar10", path, Split::test);
  EXPECT_EQ(train->size(), 50000);
  EXPECT_EQ(test->size(), 10000);
  EXPECT_EQ(train->spec().class_names[0], "airplane");
  Image image;
  const auto first_labels = [&](const Dataset& dataset) {
    std::vector<int64_t> labels;
    for (int64_t i = 0; i < 10; ++i) labels.push_back(dataset.read(i, image));
    return labels;
  };
  EXPECT_EQ(first_labels(*train), (std::vector<int64_t>{6, 9, 9, 4, 1, 1, 2, 7, 8, 3}));
  EXPECT_EQ(first_labels(*test), (std::vector<int64_t>{3, 8, 8, 0, 6, 6, 1, 6, 3, 1}));
  train->read(0, image);
  for (int c = 0; c < 3; ++c)
    EXPECT_EQ(image.row(c, 0)[0], (std::array{59, 62, 63}[static_cast<size_t>(c)]));
  EXPECT_EQ(std::accumulate(image.data(), image.data() + image.bytes(), 0), 317790);
  EXPECT_EQ(train->read(49999, image), 1);
  EXPECT_EQ(std::accumulate(image.data(), image.data() + image.bytes(), 0), 405136);
}

TEST_F(CifarTest, ReadsAllFilesInOrder) {
  const auto dataset = open();
  ASSERT_EQ(dataset->size(), 10);
  EXPECT_EQ(dataset->spec().image, (Shape{3, 32, 32}));
  Image image;
  for (int64_t i = 0; i < 10; ++i) {
    EXPECT_EQ(dataset->read(i, image), i % 2 == 0 ? i / 2 : 9);
    EXPECT_EQ(image.row(2, 31)[31], i);
  }
  EXPECT_EQ(open(Split::test)->size(), 1);
}

TEST_F(CifarTest, LooksIntoTheArchivesFolder) {
  test::TemporaryFolder above;
  std::filesystem::copy(folder.path(), above / "cifar-10-batches-bin");
  EXPECT_EQ(testing::open_dataset(registry, "cifar10", above.path().string())->size(), 10);
  std::filesystem::remove(above / "cifar-10-batches-bin" / "data_batch_2.bin");
  expect_error([&] { testing::open_dataset(registry, "cifar10", above.path().string()); },
               Failure::data,
               (above / "cifar-10-batches-bin").string() + ": does not hold data_batch_2.bin");
}

TEST_F(CifarTest, TakesClassNamesFromTheirFile) {
  EXPECT_EQ(open()->spec().class_names[1], "automobile");
  const std::string names = "a\r\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n";
  write_file(folder / "batches.meta.txt", {names.begin(), names.end()});
  EXPECT_EQ(open()->spec().class_names[0], "a");
  EXPECT_EQ(open()->spec().class_names[9], "j");
  write_file(folder / "batches.meta.txt", {'a', '\n'});
  expect_data_error("batches.meta.txt: 1 names; expected 10");
}

TEST_F(CifarTest, KnowsItsSpecWithoutFiles) {
  for (const auto& [name, classes] : {std::pair("cifar10", 10), std::pair("cifar100", 100)}) {
    const auto dataset =
        registry.find_dataset(name).make({.path = "nowhere", .spec_only = true}, {});
    EXPECT_EQ(dataset->spec().classes, classes);
    std::vector<std::string> names = dataset->spec().class_names;
    std::sort(names.begin(), names.end());
    EXPECT_EQ(std::unique(names.begin(), names.end()), names.end()) << "a class named twice";
  }
}

TEST_F(CifarTest, NamesAllMissingFilesAndWhereToGetThem) {
  std::filesystem::remove(folder / train_file(1));
  std::filesystem::remove(folder / train_file(3));
  expect_data_error(folder.path().string() +
                    ": does not hold data_batch_2.bin, data_batch_4.bin; the binary "
                    "version of CIFAR-10 is at https://www.cs.toronto.edu/");
  expect_error([&] { testing::open_dataset(registry, "cifar10", ""); }, Failure::data,
               "data.path: not given");
}

TEST_F(CifarTest, RefusesAFileThatIsNoWholeNumberOfRecords) {
  testing::Bytes content = cifar_file({1, 2});
  content.pop_back();
  write_file(folder / train_file(4), content);
  expect_data_error(
      (folder / train_file(4)).string() +
      ": truncated: 6145 bytes are 1 records and 3072 bytes; expected whole records of 3073");
}

TEST_F(CifarTest, RefusesALabelOutOfRange) {
  write_file(folder / train_file(2), cifar_file({1, 10}));
  expect_data_error(train_file(2) + ": record 1: label 10; expected 0 to 9");
}

TEST_F(CifarTest, RefusesAFolderInPlaceOfAFile) {
  std::filesystem::remove(folder / train_file(0));
  std::filesystem::create_directory(folder / train_file(0));
  expect_data_error(train_file(0) + ": is a folder; expected a file");
}

TEST_F(CifarTest, ReadsTheFineLabelsOfCifar100) {
  write_file(folder / "train.bin", cifar_file({99, 0, 42}, 0, true));
  const auto dataset = testing::open_dataset(registry, "cifar100", folder.path().string());
  ASSERT_EQ(dataset->size(), 3);
  Image image;
  EXPECT_EQ(dataset->read(2, image), 42);
  EXPECT_EQ(image.row(0, 0)[0], 2);
  EXPECT_EQ(dataset->spec().class_names[42], "leopard");
  write_file(folder / "train.bin", cifar_file({99, 100}, 0, true));
  expect_error([&] { testing::open_dataset(registry, "cifar100", folder.path().string()); },
               Failure::data, "train.bin: record 1: label 100; expected 0 to 99");
}

}  // namespace
}  // namespace lockstep
