// A recipe with random damage is read or refused as a usage error, and what is read can be written
// and read again.
#include <gtest/gtest.h>

#include "base/random.hpp"
#include "recipe/fake_plugins.hpp"

namespace lockstep {
namespace {

std::string damaged(std::string text, RandomStream& random) {
  constexpr std::string_view kPieces[] = {
      "[",         "]",     "=", "\"", "'''", "\n",   "{",   "}",    ",",  ".",
      "nan",       "-",     "#", "1e", "0x",  "true", "\\u", "\xff", "\0", "99999999999999999999",
      "[[model]]", "\"\"\""};
  for (uint64_t edits = 1 + random.below(4); edits > 0; --edits) {
    const size_t at = random.below(text.size() + 1);
    if (random.below(2) == 0) {
      text.insert(at, kPieces[random.below(std::size(kPieces))]);
    } else {
      text.erase(at, random.below(12));
    }
  }
  return text;
}

TEST(DamagedRecipeTest, IsReadOrRefusedAndNothingElse) {
  Registry registry = make_fake_registry();
  const std::string whole = resolved_text(parse(kSmallest), registry);
  RandomStream random(1, "damage");
  int read = 0;
  for (int i = 0; i < 3000; ++i) {
    const std::string text = damaged(whole, random);
    try {
      const Recipe recipe = parse_recipe(text, "r.toml", {}, registry);
      const std::string resolved = resolved_text(recipe, registry);
      EXPECT_EQ(resolved_text(parse_recipe(resolved, "again", {}, registry), registry), resolved);
      ++read;
    } catch (const Error& error) {
      EXPECT_EQ(error.failure(), Failure::usage) << text;
      EXPECT_TRUE(std::string_view(error.what()).starts_with("r.toml:")) << error.what();
    }
  }
  EXPECT_GT(read, 30);
  EXPECT_LT(read, 2000);
}

TEST(DamagedSetTest, IsReadOrRefusedAndNothingElse) {
  Registry registry = make_fake_registry();
  RandomStream random(2, "damage");
  for (int i = 0; i < 3000; ++i) {
    const std::vector<std::string> sets{damaged("data.mean=[0.5, 1]", random)};
    try {
      parse_recipe(kSmallest, "r.toml", sets, registry);
    } catch (const Error& error) {
      EXPECT_EQ(error.failure(), Failure::usage) << sets[0];
    }
  }
}

}  // namespace
}  // namespace lockstep
