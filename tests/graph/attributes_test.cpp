#include "graph/attributes.hpp"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

struct Window {
  std::array<int, 2> kernel{1, 1};
  int stride = 1;
  double slope = 0.1;
};
void describe(Options<Window>& o) {
  o("kernel", &Window::kernel, "");
  o("stride", &Window::stride, "");
  o("slope", &Window::slope, "");
}

TEST(AttributesTest, PrintWhatDiffersFromTheDefaults) {
  EXPECT_EQ(Attributes().text(), "");
  EXPECT_EQ(Attributes::of(Window{}).text(), "");
  EXPECT_EQ(Attributes::of(Window{.kernel = {3, 3}, .slope = 0.25}).text(),
            "kernel=[3, 3] slope=0.25");
}

TEST(AttributesTest, AreEqualWhenTheirValuesAre) {
  EXPECT_EQ(Attributes::of(Window{.stride = 2}), Attributes::of(Window{.stride = 2}));
  EXPECT_FALSE(Attributes::of(Window{.stride = 2}) == Attributes::of(Window{.slope = 0.1000001}));
}

TEST(AttributesTest, GiveBackWhatWasStored) {
  EXPECT_EQ(Attributes::of(Window{.stride = 2}).as<Window>().stride, 2);
  EXPECT_FALSE(Attributes::of(Window{}).empty());
}

}  // namespace
}  // namespace lockstep
