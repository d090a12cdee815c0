#include "base/options.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace lockstep {
namespace {

enum class Color { red, green };

struct Inner {
  int64_t size = 3;
};
void describe(Options<Inner>& o) { o("size", &Inner::size, "a size", positive()); }

struct Everything {
  bool flag = false;
  int depth = 50;
  int64_t count = -1;
  uint8_t small = 1;
  float rate = 0.1f;
  double limit = 1;
  std::string scheme = "he";
  Color color = Color::red;
  std::vector<double> mean;
  std::array<int, 2> kernel{3, 3};
  Inner inner;
  Setting any;
};

}  // namespace

template <>
struct EnumNames<Color> {
  static constexpr std::pair<Color, std::string_view> values[] = {{Color::red, "red"},
                                                                  {Color::green, "green"}};
};

namespace {

void describe(Options<Everything>& o) {
  o("flag", &Everything::flag, "");
  o("depth", &Everything::depth, "layers", one_of(18, 34, 50));
  o("count", &Everything::count, "", at_least(0));
  o("small", &Everything::small, "");
  o("rate", &Everything::rate, "");
  o("limit", &Everything::limit, "", between(0, 2.5));
  o("scheme", &Everything::scheme, "", one_of("he", "normal"));
  o("color", &Everything::color, "");
  o("mean", &Everything::mean, "", positive());
  o("kernel", &Everything::kernel, "");
  o("inner", &Everything::inner, "");
  o("any", &Everything::any, "");
}

Everything read_one(std::string key, Setting::Value value) {
  const Setting::Table table{{std::move(key), "k:1:1", {std::move(value), "k:1:5"}}};
  return read_options<Everything>(table, "test");
}

std::string refusal(std::string key, Setting::Value value) {
  try {
    read_one(std::move(key), std::move(value));
  } catch (const Error& error) {
    EXPECT_EQ(error.failure(), Failure::usage);
    return error.what();
  }
  return "accepted";
}

Setting element(Setting::Value value) { return {std::move(value), "k:1:9"}; }

TEST(OptionsTest, ReadsEveryType) {
  EXPECT_TRUE(read_one("flag", true).flag);
  EXPECT_EQ(read_one("depth", int64_t{34}).depth, 34);
  EXPECT_EQ(read_one("rate", 0.25).rate, 0.25f);
  EXPECT_EQ(read_one("scheme", "normal").scheme, "normal");
  EXPECT_EQ(read_one("color", "green").color, Color::green);
  EXPECT_EQ(read_one("mean", Setting::Array{element(0.5), element(int64_t{1})}).mean,
            (std::vector<double>{0.5, 1}));
  EXPECT_EQ(read_one("kernel", Setting::Array{element(int64_t{1}), element(int64_t{2})}).kernel,
            (std::array<int, 2>{1, 2}));
  const Setting::Table inner{{"size", "", element(int64_t{9})}};
  EXPECT_EQ(read_one("inner", inner).inner.size, 9);
}

TEST(OptionsTest, AcceptsAnIntegerForAFloat) { EXPECT_EQ(read_one("limit", int64_t{2}).limit, 2); }

TEST(OptionsTest, RefusesWrongTypesWithPlaceAndExpectation) {
  EXPECT_EQ(refusal("flag", int64_t{1}), "k:1:5: found flag = 1; expected true or false");
  EXPECT_EQ(refusal("depth", "34"),
            "k:1:5: found depth = \"34\"; expected an integer, 18, 34 or 50");
  EXPECT_EQ(refusal("depth", 34.0), "k:1:5: found depth = 34.0; expected an integer, 18, 34 or 50");
  EXPECT_EQ(refusal("limit", "x"),
            "k:1:5: found limit = \"x\"; expected a number, between 0 and 2.5");
  EXPECT_EQ(refusal("scheme", int64_t{1}),
            "k:1:5: found scheme = 1; expected \"he\" or \"normal\"");
  EXPECT_EQ(refusal("mean", 0.5),
            "k:1:5: found mean = 0.5; expected a list, such as [1, 2], greater than 0");
  EXPECT_EQ(refusal("kernel", Setting::Array{element(int64_t{1})}),
            "k:1:5: found kernel = [1]; expected a list of 2 values");
  EXPECT_EQ(refusal("inner", int64_t{1}),
            "k:1:5: found inner = 1; expected a table, such as { key = 1 }");
}

TEST(OptionsTest, RefusesValuesOutOfRange) {
  EXPECT_EQ(refusal("depth", int64_t{35}), "k:1:5: found depth = 35; expected 18, 34 or 50");
  EXPECT_EQ(refusal("count", int64_t{-2}), "k:1:5: found count = -2; expected at least 0");
  EXPECT_EQ(refusal("small", int64_t{256}),
            "k:1:5: found small = 256; expected an integer between 0 and 255");
  EXPECT_EQ(refusal("limit", 2.6), "k:1:5: found limit = 2.6; expected between 0 and 2.5");
  EXPECT_EQ(
      refusal("scheme", "normle"),
      "k:1:5: found scheme = \"normle\"; expected \"he\" or \"normal\"; did you mean 'normal'?");
  EXPECT_EQ(refusal("color", "gren"),
            "k:1:5: found color = \"gren\"; expected \"red\" or \"green\"; did you mean 'green'?");
}

TEST(OptionsTest, NamesTheElementAtFault) {
  EXPECT_EQ(refusal("mean", Setting::Array{element(0.5), element(-1.0)}),
            "k:1:9: found -1.0 in mean; expected greater than 0");
  const Setting::Table inner{{"size", "k:1:7", element("x")}};
  EXPECT_EQ(refusal("inner", inner),
            "k:1:9: found size = \"x\"; expected an integer, greater than 0");
}

TEST(OptionsTest, NeverTakesNanOrInfinity) {
  for (const double value : {std::nan(""), HUGE_VAL, -HUGE_VAL}) {
    EXPECT_THAT(refusal("rate", value), testing::HasSubstr("expected a finite number"));
  }
}

TEST(OptionsTest, AcceptsADefaultOutsideItsRange) {
  EXPECT_EQ(read_one("count", int64_t{-1}).count, -1);
}

TEST(OptionsTest, RefusesUnknownKeysWithASuggestion) {
  EXPECT_EQ(refusal("detph", int64_t{1}),
            "k:1:1: found the unknown key \"detph\" in test; expected a known key; "
            "did you mean 'depth'?");
  EXPECT_THAT(refusal("zzzzzzzz", int64_t{1}), testing::HasSubstr("expected flag, depth, count"));
  const Setting::Table table{{"x", "", {int64_t{1}, ""}}};
  try {
    read_options<NoOptions>(table, "[model]");
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "[model]: found the unknown key \"x\" in [model]; expected no keys there");
  }
}

TEST(OptionsTest, NamesSectionAndKeyOfASettingWithoutAPlace) {
  try {
    read_options<Inner>({{"size", "", {"x", ""}}}, "optimizer");
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "optimizer.size: found size = \"x\"; expected an integer, greater than 0");
  }
}

TEST(OptionsTest, SharesATableBetweenTwoObjects) {
  Inner inner;
  Everything everything;
  const OptionTarget targets[] = {{&options_of<Inner>(), &inner},
                                  {&options_of<Everything>(), &everything}};
  read_options(targets, {{"size", "", {int64_t{5}, ""}}, {"flag", "", {true, ""}}}, "test");
  EXPECT_EQ(inner.size, 5);
  EXPECT_TRUE(everything.flag);
}

TEST(OptionsTest, WritesWhatItReads) {
  Everything object;
  object.rate = 0.9f;
  object.color = Color::green;
  object.mean = {0.5};
  object.any = {"x", ""};
  const Setting::Table table = options_of<Everything>().write(&object);
  const std::string text = Setting{table, ""}.text();
  EXPECT_EQ(text,
            "{ flag = false, depth = 50, count = -1, small = 1, rate = 0.9, limit = 1.0, "
            "scheme = \"he\", color = \"green\", mean = [0.5], kernel = [3, 3], "
            "inner = { size = 3 }, any = \"x\" }");
  const auto again = read_options<Everything>(table, "test");
  EXPECT_EQ(again.rate, object.rate);
  EXPECT_EQ((Setting{options_of<Everything>().write(&again), ""}.text()), text);
}

TEST(OptionsTest, DescribesTypesAndDefaults) {
  const OptionTable& table = options_of<Everything>();
  EXPECT_EQ(table.find("color")->type, "name (red or green)");
  EXPECT_EQ(table.find("mean")->type, "list of float");
  EXPECT_EQ(table.find("depth")->rule.text, "18, 34 or 50");
  EXPECT_EQ(table.find("rate")->default_value.text(), "0.1");
  EXPECT_EQ(table.find("none"), nullptr);
  const std::shared_ptr<void> object = table.create();
  EXPECT_EQ(static_cast<Everything*>(object.get())->depth, 50);
}

TEST(OptionsTest, RefusesAnOptionDescribedTwiceOrWithoutAFiniteDefault) {
  Options<Inner> options;
  options("size", &Inner::size, "");
  EXPECT_THROW(options("size", &Inner::size, ""), Error);
  struct Endless {
    double limit = HUGE_VAL;
  };
  Options<Endless> endless;
  EXPECT_THROW(endless("limit", &Endless::limit, ""), Error);
}

TEST(SettingTest, EscapesTextAndKeys) {
  EXPECT_EQ((Setting{"a\"b\\c\n\x01", ""}.text()), "\"a\\\"b\\\\c\\n\\u0001\"");
  const Setting::Table table{{"a b", "", {true, ""}}};
  EXPECT_EQ((Setting{table, ""}.text()), "{ \"a b\" = true }");
  EXPECT_EQ((Setting{Setting::Table{}, ""}.text()), "{}");
  EXPECT_EQ((Setting{Setting::Array{}, ""}.kind()), "array");
}

TEST(SettingTest, IsClippedInMessages) {
  const std::string message = refusal("depth", std::string(1000, 'x'));
  EXPECT_LT(message.size(), 140u);
  EXPECT_THAT(message, testing::HasSubstr("xxx …; expected"));
}

}  // namespace
}  // namespace lockstep
