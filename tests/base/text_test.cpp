#include "base/text.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>

namespace lockstep {
namespace {

const std::vector<std::string> kKnown = {"epochs", "max_steps", "lr", "momentum", "name"};

TEST(NearestWordTest, FindsWordsOneEditAway) {
  EXPECT_EQ(nearest_word("epoch", kKnown), "epochs");       // one missing
  EXPECT_EQ(nearest_word("eepochs", kKnown), "epochs");     // one too many
  EXPECT_EQ(nearest_word("epachs", kKnown), "epochs");      // one changed
  EXPECT_EQ(nearest_word("momnetum", kKnown), "momentum");  // two swapped
  EXPECT_EQ(nearest_word("l", kKnown), "lr");
}

TEST(RangesTest, WriteAndReadAscendingNumbers) {
  const std::vector<int> numbers = {0, 1, 2, 5, 8, 9};
  EXPECT_EQ(ranges_text(numbers), "0-2,5,8-9");
  EXPECT_EQ(read_ranges("0-2,5,8-9"), numbers);
  EXPECT_EQ(ranges_text({}), "");
  EXPECT_EQ(read_ranges(""), std::vector<int>{});
  EXPECT_EQ(read_ranges("x,3,"), std::vector<int>{3});
}

TEST(NearestWordTest, CountsASwapOfNeighboursAsOneEdit) {
  // Two edits by Levenshtein's distance, which would prefer "abdx".
  EXPECT_EQ(nearest_word("abdc", std::vector<std::string>{"abcd", "xbdx"}), "abcd");
}

TEST(NearestWordTest, IsSilentWhenNothingIsNear) {
  EXPECT_EQ(nearest_word("weight_decay", kKnown), "");
  EXPECT_EQ(nearest_word("", kKnown), "");
  EXPECT_EQ(nearest_word("x", {}), "");
  EXPECT_EQ(did_you_mean("weight_decay", kKnown), "");
}

TEST(NearestWordTest, PrefersTheWordThatBeginsAlike) {
  EXPECT_EQ(nearest_word("top2", std::vector<std::string>{"xop2", "top1"}), "top1");
}

TEST(TextTest, SuggestsInWords) {
  EXPECT_EQ(did_you_mean("epocs", kKnown), "; did you mean 'epochs'?");
}

TEST(TextTest, ListsWords) {
  EXPECT_EQ(list_words({}), "");
  EXPECT_EQ(list_words(std::vector<std::string>{"a"}), "a");
  EXPECT_EQ(list_words(std::vector<std::string>{"a", "b", "c"}), "a, b or c");
  EXPECT_EQ(list_words(std::vector<std::string>{"a", "b"}, " and "), "a and b");
}

TEST(TextTest, WritesSizesCountsAndDurations) {
  EXPECT_EQ(bytes_text(0), "0 B");
  EXPECT_EQ(bytes_text(1023), "1023 B");
  EXPECT_EQ(bytes_text(12897484), "12.3 MiB");
  EXPECT_EQ(bytes_text((int64_t{1} << 30) - 1), "1.0 GiB");
  EXPECT_EQ(count_text(7), "7");
  EXPECT_EQ(count_text(-1234), "-1,234");
  EXPECT_EQ(count_text(11689512), "11,689,512");
  EXPECT_EQ(duration_text(4.5), "4.5 s");
  EXPECT_EQ(duration_text(59.99), "1:00");
  EXPECT_EQ(duration_text(123), "2:03");
  EXPECT_EQ(duration_text(3723), "1:02:03");
  EXPECT_EQ(duration_text(std::numeric_limits<double>::infinity()), "?");
}

TEST(TextTest, WritesFloatsThatReadBackTheSame) {
  EXPECT_EQ(float_text(0.1), "0.1");
  EXPECT_EQ(float_text(5e-4), "0.0005");
  EXPECT_EQ(float_text(30), "30.0");
  EXPECT_EQ(float_text(-0.0), "-0.0");
  for (const double value : {0.1, 1.0 / 3, 1e-300, 5e-324, 1.7976931348623157e308, 1e22,
                             123456789.0, std::nextafter(1.0, 2.0)}) {
    EXPECT_EQ(std::strtod(float_text(value).c_str(), nullptr), value);
  }
}

}  // namespace
}  // namespace lockstep
