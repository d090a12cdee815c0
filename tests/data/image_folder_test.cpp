// Photographs in folders: pixels equal to Pillow's (pictures.tsv), order equal to torchvision's,
// and every bad file, class or folder named.
#include <unistd.h>

#include <sstream>
#include <thread>

#include "data/class_weights.hpp"
#include "data/dataset_files.hpp"
#include "data/open.hpp"
#include "data/pictures.hpp"
#include "support/expect_error.hpp"
#include "support/temporary_folder.hpp"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

using testing::Bytes;
using testing::expect_error;
using testing::picture_goldens;
using testing::PictureGolden;
using testing::write_file;

const fs::path kPictures = LOCKSTEP_SOURCE_DIR "/tests/goldens/pictures";

Bytes bytes_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(file), {});
}

class ImageFolderTest : public ::testing::Test {
 protected:
  // A picture of one pixel.
  void add(const std::string& file) { write_file(folder / file, bytes_of(kPictures / "1x1.jpg")); }
  void add(const std::string& file, const Bytes& content) { write_file(folder / file, content); }

  std::unique_ptr<Dataset> open(Split split = Split::train) {
    return testing::open_dataset(registry, "image_folder", folder.path().string(), split);
  }
  void expect_data_error(std::string_view text, Split split = Split::train) {
    expect_error([&] { open(split); }, Failure::data, text);
  }
  // A dataset of these files in this order, of one class.
  std::unique_ptr<Dataset> open_files(const std::vector<fs::path>& files) {
    fs::create_directories(folder / "train/one");
    for (size_t i = 0; i < files.size(); ++i) {
      const std::string number = std::to_string(10000 + i);
      fs::create_symlink(files[i], folder / ("train/one/" + number + ".jpg"));
    }
    return open();
  }
  // Reads the file and expects this error.
  void expect_refused(const Bytes& content, std::string_view text) {
    add("train/one/bad.jpg", content);
    const auto dataset = open();
    Image image;
    const std::string path = (folder / "train/one/bad.jpg").string();
    expect_error([&] { dataset->read(0, image); }, Failure::data, path + ": " + std::string(text));
  }

  test::TemporaryFolder folder;
  Registry registry;
};

// Expects Pillow's verdict and pixels for each file; `then` may turn the picture into another text.
template <class Then>
void expect_goldens(const Dataset& dataset, const std::vector<PictureGolden>& goldens, Then then) {
  Image image;
  for (size_t i = 0; i < goldens.size(); ++i) {
    const auto& [input, result] = goldens[i];
    try {
      EXPECT_EQ(dataset.read(static_cast<int64_t>(i), image), 0);
      EXPECT_EQ(then(image), result) << input;
    } catch (const Error& error) {
      EXPECT_EQ(result, "refused") << input << ": " << error.what();
      EXPECT_EQ(error.failure(), Failure::data);
    }
  }
}

TEST_F(ImageFolderTest, DecodesEveryFormatAsPillowDoes) {
  const auto goldens = picture_goldens("file");
  ASSERT_FALSE(goldens.empty());
  std::vector<fs::path> files;
  for (const auto& golden : goldens) files.push_back(kPictures / golden.input);
  expect_goldens(*open_files(files), goldens, testing::summary_of);
}

TEST_F(ImageFolderTest, DecodesOrRefusesAwkwardFilesAsPillowDoes) {
  const std::string root = testing::real_data("awkward");
  if (root.empty()) GTEST_SKIP() << "LOCKSTEP_DATA/awkward is not there";
  const auto goldens = picture_goldens("awkward");
  ASSERT_FALSE(goldens.empty());
  std::vector<fs::path> files;
  for (const auto& golden : goldens) files.push_back(fs::path(root) / golden.input);
  expect_goldens(*open_files(files), goldens, testing::summary_of);
}

TEST_F(ImageFolderTest, PreparesPhotographsForEvaluationAsTorchvisionDoes) {
  const std::string root = testing::real_data("imagenet_sample");
  if (root.empty()) GTEST_SKIP() << "LOCKSTEP_DATA/imagenet_sample is not there";
  const auto goldens = picture_goldens("imagenet_sample");
  ASSERT_GE(goldens.size(), 100u);
  std::vector<fs::path> files;
  for (const auto& golden : goldens) files.push_back(fs::path(root) / golden.input);
  const auto resize = registry.find_transform("resize").make({});
  const auto crop = registry.find_transform("center_crop").make({});
  expect_goldens(*open_files(files), goldens, [&](Image& image) {
    std::string text = testing::summary_of(image);
    Image scratch;
    RandomStream random(1, "unused");
    resize->apply(image, scratch, random);
    crop->apply(image, scratch, random);
    return text + " " + testing::crc_of(image);
  });
}

TEST_F(ImageFolderTest, ReadsOnSeveralThreadsAtOnce) {
  const auto goldens = picture_goldens("file");
  std::vector<fs::path> files;
  for (const auto& golden : goldens) files.push_back(kPictures / golden.input);
  const auto dataset = open_files(files);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] { expect_goldens(*dataset, goldens, testing::summary_of); });
  for (std::thread& thread : threads) thread.join();
}

TEST_F(ImageFolderTest, OrdersClassesAndFilesAsTorchvisionDoes) {
  for (const char* file : {"b/2.PNG", "b/1.jpg", "b/10.jpg", "b/deeper/0.jpeg", "B/x.JPEG",
                           "a/x.webp", "10/x.bmp", "9/x.tif", "9/notes.txt", "9/x.gif"})
    add(concat("train/", file));
  add("train/a file beside the classes.jpg");
  const auto dataset = open();
  const std::vector<std::string> classes = {"10", "9", "B", "a", "b"};
  EXPECT_EQ(dataset->spec().class_names, classes);
  EXPECT_EQ(dataset->spec().classes, 5);
  EXPECT_EQ(dataset->spec().image, (Shape{3, 0, 0}));
  ASSERT_EQ(dataset->size(), 8);
  Image image;
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < dataset->size(); ++i) labels.push_back(dataset->read(i, image));
  EXPECT_EQ(labels, (std::vector<int64_t>{0, 1, 2, 3, 4, 4, 4, 4}));
}

TEST_F(ImageFolderTest, OrdersTheFilesOfAClassByFolderAndName) {
  // All are damaged: the error tells which one was read.
  for (const char* file : {"2.jpg", "10.jpg", "z/0.jpg", "sub/1.jpg", "sub/deeper/1.jpg", "Z.jpg"})
    add(concat("train/one/", file), {'x'});
  const auto dataset = open();
  ASSERT_EQ(dataset->size(), 6);
  Image image;
  int64_t index = 0;
  for (const char* file : {"10.jpg", "2.jpg", "Z.jpg", "sub/1.jpg", "sub/deeper/1.jpg", "z/0.jpg"})
    expect_error([&] { dataset->read(index++, image); }, Failure::data, concat("one/", file, ": "));
}

TEST_F(ImageFolderTest, FollowsLinksButNotInCircles) {
  add("elsewhere/1.jpg");
  fs::create_directories(folder / "train/one");
  fs::create_symlink(folder / "elsewhere", folder / "train/one/link");
  EXPECT_EQ(open()->size(), 1);
  fs::create_symlink(folder / "train", folder / "train/one/circle");
  expect_data_error("train/one/circle/one: a link to a folder that it lies in");
}

TEST_F(ImageFolderTest, NamesEmptyClasses) {
  add("train/full/1.jpg");
  for (int i = 0; i < 7; ++i) add(concat("train/empty", i, "/1.txt"), {});
  expect_data_error(
      "these classes have no pictures: empty0, empty1, empty2, empty3, empty4 and 2 more");
}

TEST_F(ImageFolderTest, TakesEmptyClassesWhereAllowed) {
  add("train/ant/1.jpg");
  add("train/bee/1.txt");
  add("train/cat/1.jpg");
  const DatasetSource source{.path = folder.path().string()};
  const auto dataset =
      registry.find_dataset("image_folder").make(source, {{"allow_empty", "", {true, ""}}});
  EXPECT_EQ(dataset->spec().class_names, (std::vector<std::string>{"ant", "bee", "cat"}));
  EXPECT_EQ(class_counts(*dataset), (std::vector<int64_t>{1, 0, 1}));
}

TEST_F(ImageFolderTest, NamesClassesThatTrainDoesNotHave) {
  for (const char* file : {"train/cat/1.jpg", "train/dog/1.jpg", "val/cat/1.jpg", "val/ant/1.jpg"})
    add(file);
  expect_data_error("val: has classes that train/ does not have: ant; expected classes of train/",
                    Split::test);
}

TEST_F(ImageFolderTest, ClassesOfValHaveTheirNumbersInTrain) {
  for (const char* file :
       {"train/10/1.jpg", "train/2/1.jpg", "train/30/1.jpg", "val/2/1.jpg", "val/2/2.jpg"})
    add(file);
  ::testing::internal::CaptureStderr();
  const auto dataset = open(Split::test);
  EXPECT_NE(::testing::internal::GetCapturedStderr().find("lacks the classes 10, 30 of train/"),
            std::string::npos);
  EXPECT_EQ(dataset->spec().class_names, (std::vector<std::string>{"10", "2", "30"}));
  ASSERT_EQ(dataset->size(), 2);
  Image image;
  EXPECT_EQ(dataset->read(0, image), 1);
  EXPECT_EQ(dataset->label(1), 1);
  EXPECT_EQ(dataset->sample_name(1), (folder / "val/2/2.jpg").string());
}

TEST_F(ImageFolderTest, SaysWhereClassesBelongThatLieWithoutTrainAndVal) {
  add("cat/1.jpg");
  add("dog/1.jpg");
  const std::string found = folder.path().string() + ": holds cat, dog, but no folder train; ";
  expect_data_error(found + "expected train/CLASS/* and val/CLASS/*; if these are the classes");
}

// No picture is read: these are none.
TEST_F(ImageFolderTest, CountsClassesWithoutDecoding) {
  for (const char* file : {"train/a/1.jpg", "train/b/1.jpg", "train/b/2.jpg"}) add(file, {'x'});
  EXPECT_EQ(class_counts(*open()), (std::vector<int64_t>{1, 2}));
}

TEST_F(ImageFolderTest, ValAloneIsEnoughToEvaluate) {
  add("val/cat/1.jpg");
  EXPECT_EQ(open(Split::test)->size(), 1);
  expect_data_error("does not hold a folder train");
}

TEST_F(ImageFolderTest, SaysWhichFolderIsMissing) {
  expect_data_error("does not hold a folder train; expected train/CLASS/* and val/CLASS/*");
  fs::create_directories(folder / "train");
  expect_data_error("train: holds no folders; expected one per class");
  add("train/one/1.jpg");
  expect_data_error("does not hold a folder val", Split::test);
  expect_error([&] { testing::open_dataset(registry, "image_folder", ""); }, Failure::data,
               "data.path: not given");
}

TEST_F(ImageFolderTest, NamesAFolderThatMayNotBeRead) {
  if (geteuid() == 0) GTEST_SKIP() << "root may read every folder";
  add("train/one/1.jpg");
  fs::permissions(folder / "train/one", fs::perms::none);
  expect_data_error("train/one: cannot be read: Permission denied");
  fs::permissions(folder / "train/one", fs::perms::owner_all);
}

TEST_F(ImageFolderTest, NamesFilesThatAreNoPictures) {
  expect_refused({}, "the file is empty");
  expect_refused({'G', 'I', 'F', '8', '9', 'a'}, "a GIF picture; expected JPEG or PNG");
  expect_refused({'h', 'e', 'l', 'l', 'o'}, "not a picture that can be read");
  fs::create_symlink("nowhere", folder / "train/one/aaa.jpg");
  Image image;
  expect_error([&] { open()->read(0, image); }, Failure::data, "aaa.jpg: cannot be read: No such");
}

TEST_F(ImageFolderTest, RefusesPicturesLargerThanTheLimit) {
  Bytes huge = bytes_of(kPictures / "rgb8.png");
  write_file(folder / "train/one/small.png", huge);
  const DatasetSource source{.split = Split::train, .path = folder.path().string()};
  const auto dataset =
      registry.find_dataset("image_folder").make(source, {{"max_pixels", "", {int64_t{246}, ""}}});
  Image image;
  expect_error([&] { dataset->read(0, image); }, Failure::data,
               "small.png: the picture is 13 x 19 pixels; expected 1 to 246");
  // A JPEG that says it has 65,500 x 65,500 pixels.
  huge = bytes_of(kPictures / "420.jpg");
  const Bytes frame = {0xFF, 0xC0, 0x00, 0x11, 0x08};
  const auto start = std::search(huge.begin(), huge.end(), frame.begin(), frame.end());
  ASSERT_NE(start, huge.end());
  for (int i = 0; i < 4; i += 2) start[5 + i] = 0xFF, start[6 + i] = 0xDC;
  expect_refused(huge, "the picture is 65500 x 65500 pixels; expected 1 to 178956970");
}

TEST_F(ImageFolderTest, RefusesEveryTruncatedPicture) {
  for (const char* name : {"420.jpg", "progressive.jpg", "restarts.jpg", "cmyk.jpg", "rgb8.png",
                           "rgb_interlaced.png", "palette4.png"}) {
    const Bytes whole = bytes_of(kPictures / name);
    add("train/one/1.jpg", whole);
    const auto dataset = open();
    Image image;
    // The last 16 bytes hold what Pillow does not miss either.
    for (size_t size = whole.size() - 16; size-- > 0;) {
      fs::resize_file(folder / "train/one/1.jpg", size);
      EXPECT_THROW(dataset->read(0, image), Error) << name << ", " << size << " bytes";
    }
  }
}

// Whatever a changed byte does, it ends in a picture or in an Error.
TEST_F(ImageFolderTest, SurvivesChangedBytes) {
  for (const char* name : {"420.jpg", "progressive.jpg", "palette4.png", "rgb_interlaced.png"}) {
    const Bytes whole = bytes_of(kPictures / name);
    add("train/one/1.jpg", whole);
    const DatasetSource source{.split = Split::train, .path = folder.path().string()};
    const auto dataset = registry.find_dataset("image_folder")
                             .make(source, {{"max_pixels", "", {int64_t{1} << 20, ""}}});
    Image image;
    for (size_t i = 0; i < whole.size(); i += 3) {
      Bytes changed = whole;
      changed[i] ^= static_cast<uint8_t>(i % 2 == 0 ? 0xFF : 1 << i % 8);
      add("train/one/1.jpg", changed);
      try {
        dataset->read(0, image);
      } catch (const Error& error) {
        EXPECT_EQ(error.failure(), Failure::data);
      }
    }
  }
}

class ImageFolderSpecTest : public ImageFolderTest {
 protected:
  DatasetSpec describe(const Setting::Table& settings = {}) {
    const DatasetSource source{.path = folder.path().string(), .spec_only = true};
    return registry.find_dataset("image_folder").make(source, settings)->spec();
  }
};

TEST_F(ImageFolderSpecTest, AssumesClassesWhereTheDataIsNotThereAndSaysSo) {
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(describe().classes, 1000);
  EXPECT_NE(::testing::internal::GetCapturedStderr().find("1000 classes are assumed"),
            std::string::npos);
  EXPECT_EQ(describe({{"classes", "", {int64_t{5}, ""}}}).classes, 5);
  EXPECT_EQ(describe().image, (Shape{3, 0, 0}));
}

TEST_F(ImageFolderSpecTest, CountsTheClassesThatAreThere) {
  add("train/cat/1.jpg");
  add("train/dog/1.jpg");
  EXPECT_EQ(describe().class_names, (std::vector<std::string>{"cat", "dog"}));
}

}  // namespace
}  // namespace lockstep
