#include "data/class_indices.hpp"

#include <gmock/gmock.h>

#include <fstream>

#include "support/expect_error.hpp"
#include "support/temporary_folder.hpp"

namespace lockstep::testing {
namespace {

using ::testing::ElementsAre;

class ClassIndicesTest : public ::testing::Test {
 protected:
  std::filesystem::path write(const std::string& text) {
    std::ofstream(folder_ / "class_indices.json") << text;
    return folder_ / "class_indices.json";
  }
  test::TemporaryFolder folder_;
};

TEST_F(ClassIndicesTest, ReadsWhatItWrites) {
  const std::vector<std::string> names{"ants", "a \"bee\"", "c,d"};
  EXPECT_EQ(read_class_indices(write(class_indices_json(names))), names);
}

TEST_F(ClassIndicesTest, ReadsNamesBesideTheirWordNetNumbers) {
  EXPECT_THAT(read_class_indices(write(R"({"1": ["n2", "goldfish"], "0": ["n1", "tench"]})")),
              ElementsAre("tench", "goldfish"));
}

TEST_F(ClassIndicesTest, RefusesWhatNamesNoClasses) {
  const auto refused = [&](const std::string& text, std::string_view message) {
    expect_error([&] { read_class_indices(write(text)); }, Failure::data, message);
  };
  refused("[\"a\"]", "found no JSON object");
  refused("{", "found no JSON object");
  refused("{}", "found no JSON object");
  refused(R"({"0": "a", "2": "b"})", "2 entries but none for class 1");
  refused(R"({"0": 3})", "class 0: found number");
  expect_error([&] { read_class_indices(folder_ / "none.json"); }, Failure::data, "cannot be read");
}

TEST(DefaultClassNamesTest, AreImageNetsForAThousandClasses) {
  EXPECT_EQ(default_class_names(1000)[1], "goldfish");
  EXPECT_THAT(default_class_names(3), ElementsAre("0", "1", "2"));
}

}  // namespace
}  // namespace lockstep::testing
