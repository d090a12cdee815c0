// Damaged files: every kind of damage is named, and none reaches HDF5.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint/hdf5_image.hpp"
#include "checkpoint/samples.hpp"
#include "support/temporary_folder.hpp"

namespace lockstep {
namespace {

using test::sample_checkpoint;
using testing::AllOf;
using testing::HasSubstr;

class CheckpointDamageTest : public testing::Test {
 protected:
  std::string refusal_of(const std::string& bytes) {
    test::write_bytes(path_, bytes);
    return test::refusal([this] { load_checkpoint(path_); });
  }

  const std::string bytes_ = to_bytes(sample_checkpoint(390));
  const test::TemporaryFolder folder_;
  const std::filesystem::path path_ = folder_ / "step-00000390.h5";
};

TEST_F(CheckpointDamageTest, LoadsTheUndamagedFile) { EXPECT_EQ(refusal_of(bytes_), ""); }

TEST_F(CheckpointDamageTest, NamesTheFileAndTheKindOfDamage) {
  std::string other_magic = bytes_;
  other_magic.replace(0, 8, "SOMETHIN");
  std::string version_2 = bytes_;
  version_2[8] = 2;
  std::string longer = bytes_ + "x";
  std::string flipped = bytes_;
  flipped.back() = static_cast<char>(flipped.back() ^ 1);
  EXPECT_THAT(refusal_of(""),
              AllOf(HasSubstr(path_.string()), HasSubstr("magic: the file is empty")));
  EXPECT_THAT(refusal_of(other_magic), AllOf(HasSubstr(path_.string()), HasSubstr("magic:")));
  EXPECT_THAT(refusal_of("\x89HDF\r\n\x1a\n"), HasSubstr("no checkpoint of Lockstep"));
  EXPECT_THAT(refusal_of(version_2),
              HasSubstr("version: the file's format is 2; this program reads 1"));
  EXPECT_THAT(refusal_of(bytes_.substr(0, bytes_.size() - 1)), HasSubstr("length:"));
  EXPECT_THAT(refusal_of(longer), HasSubstr("length:"));
  EXPECT_THAT(refusal_of(flipped), HasSubstr("checksum:"));
}

TEST_F(CheckpointDamageTest, RefusesEveryTruncation) {
  // Every length in the user block and the superblock behind it, then samples, then the last ones.
  for (size_t length = 0; length < bytes_.size(); ++length) {
    const bool sampled = length < 700 || length % 97 == 0 || length + 20 > bytes_.size();
    if (!sampled) continue;
    EXPECT_NE(refusal_of(bytes_.substr(0, length)), "") << "truncated to " << length << " bytes";
  }
}

TEST_F(CheckpointDamageTest, RefusesAFlippedBitAnywhere) {
  // Every bit of the user block's fields, one bit of every byte of the rest of it, and samples of
  // the HDF5 part.
  for (size_t bit = 0; bit < 8 * bytes_.size(); ++bit) {
    const size_t byte = bit / 8;
    const bool sampled = byte < 48 || (byte < 600 && bit % 8 == byte % 8) || bit % 211 == 0;
    if (!sampled) continue;
    std::string damaged = bytes_;
    damaged[byte] = static_cast<char>(damaged[byte] ^ (1 << bit % 8));
    EXPECT_NE(refusal_of(damaged), "") << "bit " << bit % 8 << " of byte " << byte;
  }
}

TEST_F(CheckpointDamageTest, RefusesBlocksOfZerosAsLeftByACrashedFileSystem) {
  for (size_t begin = 0; begin < bytes_.size(); begin += 512) {
    std::string damaged = bytes_;
    const size_t count = std::min<size_t>(512, bytes_.size() - begin);
    damaged.replace(begin, count, count, '\0');
    if (damaged == bytes_) continue;
    EXPECT_NE(refusal_of(damaged), "") << "zeros from byte " << begin;
  }
}

TEST_F(CheckpointDamageTest, RefusesWhatIsNoFile) {
  EXPECT_THAT(test::refusal([&] { load_checkpoint(folder_ / "missing.h5"); }),
              HasSubstr("No such file"));
  EXPECT_THAT(test::refusal([&] { load_checkpoint(folder_.path()); }),
              HasSubstr("no regular file"));
}

// Behind a right checksum stands a writer of another mind, not damage; its structure is checked all
// the same.
TEST(Hdf5ReaderTest, RefusesWhatIsMissingOrOfAnotherType) {
  Hdf5Writer writer;
  writer.add_group("/progress");
  writer.set_attribute("/progress", "epoch", int64_t{1});
  writer.add_text("/text", "words");
  writer.add_tensor("/tensor", test::ramp({2, 3}, 0));
  const Hdf5Reader reader(writer.finish());
  EXPECT_THAT(test::refusal([&] { reader.integer("/progress", "step"); }),
              HasSubstr("step of /progress"));
  EXPECT_THAT(test::refusal([&] { reader.members("/parameters"); }), HasSubstr("/parameters"));
  EXPECT_THAT(test::refusal([&] { reader.tensor("/text"); }), HasSubstr("32-bit floats"));
  EXPECT_THAT(test::refusal([&] { reader.text("/tensor"); }), HasSubstr("strings of fixed length"));
  EXPECT_THAT(test::refusal([&] { reader.tensor("/progress"); }), HasSubstr("/progress"));
  EXPECT_EQ(reader.text("/text"), "words");
}

TEST(Hdf5ReaderTest, RefusesSizesLargerThanTheFile) {
  Hdf5Writer writer;
  writer.add_tensor("/tensor", test::ramp({3}, 0));
  std::string bytes = writer.finish();
  // The extent of /tensor, 3, as the dataspace message holds it: version 1, one dimension, flags 1
  // with maximum.
  const std::string three("\x03\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0", 16);
  const size_t at = bytes.find(three);
  ASSERT_NE(at, std::string::npos);
  bytes.replace(at, 16, std::string("\0\0\0\0\0\1\0\0\0\0\0\0\0\1\0\0", 16));
  const std::string message = test::refusal([&] { Hdf5Reader(bytes).tensor("/tensor"); });
  EXPECT_THAT(message, HasSubstr("/tensor: has an extent of"));
  bytes.replace(at, 16, std::string("\x04\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\0", 16));
  EXPECT_THAT(test::refusal([&] { Hdf5Reader(bytes).tensor("/tensor"); }),
              HasSubstr("extents (4), but 12 bytes"));
}

}  // namespace
}  // namespace lockstep
