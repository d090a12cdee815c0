// Pictures from bytes: turned by their EXIF orientation as Pillow's ImageOps.exif_transpose turns
// them (pictures.tsv), or left as they are; and named in errors.
#include "data/decode.hpp"

#include "data/pictures.hpp"
#include "data/support.hpp"
#include "support/expect_error.hpp"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

using testing::expect_error;
using testing::picture_goldens;
using testing::summary_of;

const fs::path kPictures = LOCKSTEP_SOURCE_DIR "/tests/goldens/pictures";

std::string decoded(const fs::path& path, bool upright) {
  Image image;
  try {
    decode_picture_file(path.string(), image, {.apply_exif_orientation = upright});
  } catch (const Error& error) {
    EXPECT_EQ(error.failure(), Failure::data);
    EXPECT_EQ(std::string_view(error.what()).substr(0, path.string().size()), path.string());
    return "refused";
  }
  return summary_of(image);
}

TEST(DecodeTest, TurnsPicturesAsPillowDoes) {
  const auto goldens = picture_goldens("exif");
  ASSERT_FALSE(goldens.empty());
  for (const auto& [name, result] : goldens)
    EXPECT_EQ(decoded(kPictures / "exif" / name, true), result) << name;
}

TEST(DecodeTest, TurnsAwkwardPicturesAsPillowDoes) {
  const std::string root = testing::real_data("awkward");
  if (root.empty()) GTEST_SKIP() << "LOCKSTEP_DATA/awkward is not there";
  const auto goldens = picture_goldens("awkward_exif");
  ASSERT_FALSE(goldens.empty());
  for (const auto& [name, result] : goldens)
    EXPECT_EQ(decoded(fs::path(root) / name, true), result) << name;
}

TEST(DecodeTest, LeavesPicturesAsTheyAreUnlessAsked) {
  const std::string as_stored = decoded(kPictures / "exif/ii1.jpg", false);
  for (const char* name : {"ii6.jpg", "mm8.jpg", "xmp.jpg"})
    EXPECT_EQ(decoded(kPictures / "exif" / name, false), as_stored) << name;
}

TEST(DecodeTest, NamesWhatCannotBeDecoded) {
  Image image;
  expect_error([&] { decode_picture({}, "standard input", image); }, Failure::data,
               "standard input: the file is empty");
  const auto bytes = std::as_bytes(std::span("8BPS and more"));
  expect_error([&] { decode_picture(bytes, "a.psd", image); }, Failure::data,
               "a.psd: a Photoshop picture; expected JPEG or PNG");
  expect_error([&] { decode_picture_file("/no/such.jpg", image); }, Failure::data,
               "/no/such.jpg: cannot be read: No such file");
}

// Whatever a changed byte of the metadata does, there is a picture, upright or not, or an Error.
TEST(DecodeTest, SurvivesChangedMetadata) {
  std::ifstream file(kPictures / "exif/with_maker.jpg", std::ios::binary);
  const std::string whole(std::istreambuf_iterator<char>(file), {});
  Image image;
  for (size_t at = 2; at < 80; ++at) {
    for (int change = 1; change < 256; ++change) {
      std::string changed = whole;
      changed[at] = static_cast<char>(changed[at] ^ change);
      try {
        decode_picture(std::as_bytes(std::span(changed)), "changed", image,
                       {.apply_exif_orientation = true});
        EXPECT_EQ(image.height * image.width, 54);
      } catch (const Error& error) {
        EXPECT_EQ(error.failure(), Failure::data);
      }
    }
  }
}

}  // namespace
}  // namespace lockstep
