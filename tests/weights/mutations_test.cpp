// Damaged files are read or refused with an Error, and nothing else happens.
#include <gtest/gtest.h>

#include "base/random.hpp"
#include "weights/weight_files.hpp"

namespace lockstep::testing {
namespace {

// Reads every number of every tensor; a file may still be sound after the damage.
bool is_read(const std::string& bytes) {
  try {
    double sum = 0;
    for (const auto& [name, tensor] : read_bytes(bytes).tensors) {
      for (float value : tensor.floats()) sum += value;
    }
    return sum == sum || true;
  } catch (const Error& error) {
    EXPECT_EQ(error.failure(), Failure::checkpoint) << error.what();
    return false;
  }
}

TEST(MutationsTest, ATruncatedFileIsRefused) {
  for (const auto& path : all_weight_files()) {
    const std::string whole = bytes_of_file(path);
    for (size_t length = 0; length < whole.size(); ++length) {
      ASSERT_FALSE(is_read(whole.substr(0, length))) << path << " of " << length << " bytes";
    }
  }
}

TEST(MutationsTest, AChangedByteIsReadOrRefused) {
  for (const auto& path : all_weight_files()) {
    const std::string whole = bytes_of_file(path);
    RandomStream random(1, path.filename().string());
    int refused = 0;
    for (int i = 0; i < 1000; ++i) {
      std::string changed = whole;
      for (uint64_t changes = 1 + random.below(3); changes > 0; --changes) {
        changed[random.below(whole.size())] = static_cast<char>(random.below(256));
      }
      refused += is_read(changed) ? 0 : 1;
    }
    EXPECT_GT(refused, 100) << path << ": changes that nobody notices";
  }
}

TEST(MutationsTest, BytesLostOrDoubledAreReadOrRefused) {
  for (const auto& path : all_weight_files()) {
    const std::string whole = bytes_of_file(path);
    RandomStream random(2, path.filename().string());
    for (int i = 0; i < 200; ++i) {
      const size_t at = random.below(whole.size());
      const size_t count = 1 + random.below(64);
      std::string changed = whole;
      if (random.below(2) == 0) {
        changed.erase(at, count);
      } else {
        changed.insert(at, whole.substr(at, count));
      }
      is_read(changed);
    }
  }
}

}  // namespace
}  // namespace lockstep::testing
