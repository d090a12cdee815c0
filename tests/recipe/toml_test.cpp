#include "recipe/toml.hpp"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

TEST(TomlTest, KeepsTheOrderOfTheText) {
  const Setting::Table table = parse_toml("z = 1\na = 2\n[m]\nb = 1\na = 2\n", "x");
  EXPECT_EQ((Setting{table, ""}.text()), "{ z = 1, a = 2, m = { b = 1, a = 2 } }");
}

TEST(TomlTest, KnowsThePlacesOfKeysAndValues) {
  const Setting::Table table = parse_toml("[train]\n  epochs = [1,\n   2]\n", "x.toml");
  EXPECT_EQ(table[0].where, "x.toml:1:2");
  const auto& train = std::get<Setting::Table>(table[0].value.value);
  EXPECT_EQ(train[0].where, "x.toml:2:3");
  EXPECT_EQ(train[0].value.where, "x.toml:2:12");
  EXPECT_EQ(std::get<Setting::Array>(train[0].value.value)[1].where, "x.toml:3:4");
}

TEST(TomlTest, ReadsEveryKindOfValue) {
  const Setting::Table table = parse_toml(
      "a = true\nb = -7\nc = 5e-4\nd = 'x\"y'\ne = [1, 'z']\nf = { g = 1 }\nh = 0x10\n", "x");
  EXPECT_EQ(
      (Setting{table, ""}.text()),
      "{ a = true, b = -7, c = 0.0005, d = \"x\\\"y\", e = [1, \"z\"], f = { g = 1 }, h = 16 }");
}

TEST(TomlTest, TakesWindowsLineEndsAByteOrderMarkAndNothing) {
  EXPECT_EQ(parse_toml("\xef\xbb\xbf"
                       "a = 1\r\nb = 2\r\n",
                       "x")
                .size(),
            2u);
  EXPECT_TRUE(parse_toml("", "x").empty());
  EXPECT_TRUE(parse_toml("\n# nothing\n", "x").empty());
}

Setting assigned(std::string_view assignment) {
  Setting::Table root;
  apply_assignment(root, assignment);
  return root.at(0).value;
}

TEST(AssignmentTest, ValuesAreTomlOrElseStrings) {
  EXPECT_EQ(assigned("a=3").kind(), "integer");
  EXPECT_EQ(assigned("a = 3.0").kind(), "float");
  EXPECT_EQ(assigned("a=true").kind(), "boolean");
  EXPECT_EQ(assigned("a=[1, 2]").text(), "[1, 2]");
  EXPECT_EQ(assigned("a='x'").text(), "\"x\"");
  EXPECT_EQ(assigned("a=cosine").text(), "\"cosine\"");
  EXPECT_EQ(assigned("a=x=y").text(), "\"x=y\"");
  EXPECT_EQ(assigned("a=").text(), "\"\"");
  EXPECT_EQ(assigned("a=007").text(), "\"007\"");
  EXPECT_EQ(assigned("a=2024-01-01").text(), "\"2024-01-01\"");
  EXPECT_EQ(assigned("a=1\nb = 2").text(), "\"1\\nb = 2\"");
}

TEST(AssignmentTest, ReplacesOneKeyAndKeepsTheOthers) {
  Setting::Table root = parse_toml("[train]\nepochs = 1\nmax_steps = 2\n", "x");
  apply_assignment(root, "train.epochs=5");
  apply_assignment(root, "new.key=1");
  EXPECT_EQ((Setting{root, ""}.text()),
            "{ train = { epochs = 5, max_steps = 2 }, new = { key = 1 } }");
  const auto& train = std::get<Setting::Table>(root[0].value.value);
  EXPECT_EQ(train[0].where, "--set train.epochs");
  EXPECT_EQ(train[0].value.where, "--set train.epochs");
  EXPECT_EQ(train[1].where, "x:3:1");
}

}  // namespace
}  // namespace lockstep
