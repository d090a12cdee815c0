#include "runtime/roll_call.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace lockstep {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(RollCallTest, NamesRanksThatDoNotAnswerWithTheirHosts) {
  const std::vector<Presence> ranks{{.host = "a", .answers = true, .started = 7},
                                    {.host = "b", .answers = true, .started = 7},
                                    {.host = "c"}};
  const std::string text = who_is_absent(ranks, 0, 7);
  EXPECT_THAT(text, HasSubstr("rank 2 on c does not answer"));
  EXPECT_THAT(text, Not(HasSubstr("rank 1")));
}

TEST(RollCallTest, TellsRanksThatComputeFromThoseThatAreGone) {
  const std::vector<Presence> ranks{{.host = "a", .answers = true, .started = 7},
                                    {.host = "b", .answers = true, .started = 6},
                                    {.host = "b", .answers = true, .started = 5},
                                    {.host = "c"},
                                    {.host = "c"}};
  EXPECT_EQ(
      who_is_absent(ranks, 0, 7),
      "ranks 3 on c and 4 on c do not answer (the process is stopped, the host is down or its "
      "link is dead); ranks 1 on b and 2 on b answer but have not come so far (slow or stuck in "
      "computing or reading data)");
}

TEST(RollCallTest, ShortensALongListOfRanks) {
  std::vector<Presence> ranks(20, Presence{.host = "h"});
  EXPECT_THAT(who_is_absent(ranks, 0, 1), HasSubstr("8 on h and 11 more do not answer"));
}

TEST(RollCallTest, SaysSoWhereEverybodyIsThereOrNobodyCanBeAsked) {
  const std::vector<Presence> ranks(2, Presence{.host = "a", .answers = true, .started = 7});
  EXPECT_THAT(who_is_absent(ranks, 0, 7), HasSubstr("the network between them loses data"));
  EXPECT_THAT(who_is_absent({}, 0, 7), HasSubstr("a rank is stopped or stuck"));
}

}  // namespace
}  // namespace lockstep
