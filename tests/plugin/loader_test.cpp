// Bad plugins are refused with a reason, and good ones are found where they lie. The plugins are
// those of bad/.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "plugin/loader.hpp"
#include "plugin/registry.hpp"

namespace {
using namespace lockstep;
namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

const std::string kPlugins = LOCKSTEP_BUILD_DIR "/tests/plugin";

class LoaderTest : public testing::Test {
 protected:
  void SetUp() override { setenv("LOCKSTEP_PLUGIN_PATH", kPlugins.c_str(), 1); }
  void TearDown() override { unsetenv("LOCKSTEP_PLUGIN_PATH"); }

  // The message with which a model of this name is refused.
  std::string refusal(std::string_view model) {
    try {
      registry_.find_model(model);
    } catch (const Error& e) {
      EXPECT_EQ(e.failure(), Failure::usage);
      return e.what();
    }
    return "not refused";
  }

  Registry registry_;
};

TEST_F(LoaderTest, RefusesAnotherAbiAndSaysWhatDiffersAndHowToRebuild) {
  EXPECT_THAT(
      refusal("wrong_abi"),
      AllOf(HasSubstr("/models/wrong_abi.so: was built for another Lockstep"),
            HasSubstr("compiler is gcc-3, not "), HasSubstr("headers is 0000000000000000, not "),
            Not(HasSubstr("cxx11_abi")), HasSubstr("rebuild it: cmake --build ")));
}

TEST_F(LoaderTest, RefusesAnEntryPointOfAnotherVersion) {
  EXPECT_THAT(refusal("old_struct"), HasSubstr("another version of Lockstep (8 bytes, expected "));
}

TEST_F(LoaderTest, RefusesAPluginWithoutItsSymbol) {
  EXPECT_THAT(refusal("missing_symbol"),
              AllOf(HasSubstr("has no symbol lockstep_plugin_missing_symbol"),
                    HasSubstr("LS_PLUGIN(missing_symbol, registry)")));
}

TEST_F(LoaderTest, RefusesAPluginWithAnotherName) {
  EXPECT_THAT(refusal("wrong_name"),
              HasSubstr("calls itself 'other'; expected the file's name, 'wrong_name'"));
}

TEST_F(LoaderTest, RefusesAFileThatIsNoLibrary) {
  EXPECT_THAT(refusal("no_library"), HasSubstr("no_library.so: cannot be opened ("));
}

TEST_F(LoaderTest, RefusesAMissingFile) {
  try {
    open_plugin(kPlugins + "/models/nowhere.so");
    FAIL() << "a file that is not there was opened";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("models/nowhere.so: there is no such file"));
  }
}

TEST_F(LoaderTest, RefusesAPluginThatThrowsWhileRegisteringAndForgetsWhatItRegistered) {
  EXPECT_THAT(refusal("throws"), HasSubstr("could not register: the answer is not 42"));
  EXPECT_THAT(refusal("throws"), HasSubstr("could not register: the answer is not 42"));
  EXPECT_EQ(registry_.find_kernel("reference", "half_registered"), nullptr);
  EXPECT_THAT(refusal("throws_anything"), HasSubstr("threw something that is no std::exception"));
}

TEST_F(LoaderTest, RefusesANameRegisteredTwice) {
  EXPECT_THAT(refusal("twice"), HasSubstr("model twice: registered twice"));
  EXPECT_EQ(registry_.find_model("first").help, "what is seen first");
  EXPECT_THAT(refusal("second"), AllOf(HasSubstr("model first: registered twice"),
                                       HasSubstr("first.so"), HasSubstr("second.so")));
  EXPECT_EQ(registry_.find_model("first").help, "what is seen first");
}

TEST_F(LoaderTest, RefusesAnOptionNamedLikeAKeyOfTheFramework) {
  EXPECT_THAT(refusal("framework_key"),
              AllOf(HasSubstr("optimizer framework_key: has an option 'lr'"),
                    HasSubstr("give the option another name")));
}

TEST_F(LoaderTest, SaysWhenAPluginLacksTheModelItIsNamedAfter) {
  EXPECT_THAT(refusal("empty"), HasSubstr("empty.so registers no model of this name"));
}

TEST_F(LoaderTest, ListsTheKnownNamesAndSuggestsTheNearest) {
  EXPECT_THAT(refusal("frist"),
              AllOf(HasSubstr("there is no such model in " + kPlugins),
                    HasSubstr("fails_later, first"), HasSubstr("did you mean 'first'?")));
}

TEST_F(LoaderTest, FindsAPluginThatLiesInTheFolderItself) {
  const fs::path folder = fs::path(testing::TempDir()) / "lockstep_loader_test";
  fs::remove_all(folder);
  fs::create_directories(folder);
  fs::copy_file(kPlugins + "/models/first.so", folder / "first.so");
  setenv("LOCKSTEP_PLUGIN_PATH", ("/nowhere::" + folder.string()).c_str(), 1);
  EXPECT_EQ(registry_.find_model("first").plugin, (folder / "first.so").string());
  EXPECT_THAT(refusal("twice"), HasSubstr("there is no such model"));
  fs::remove_all(folder);
}

TEST_F(LoaderTest, OpensEachPluginOnceAndKeepsItsEntries) {
  const ModelEntry& once = registry_.find_model("first");
  registry_.list_all(nullptr);
  EXPECT_EQ(&once, &registry_.find_model("first"));
}

TEST_F(LoaderTest, ListsWhatIsSoundAndTheReasonsOfTheRest) {
  std::vector<std::string> refused;
  std::vector<std::string> models;
  for (const Registry::Listed& item : registry_.list_all(&refused)) {
    if (item.kind == Kind::model) models.push_back(item.name);
    EXPECT_NE(item.options, nullptr) << item.name;
  }
  EXPECT_THAT(models, testing::IsSupersetOf({"first", "fails_later", "half_square"}));
  EXPECT_THAT(models, Not(testing::Contains("throws")));
  EXPECT_THAT(refused, testing::Contains(HasSubstr("wrong_abi.so")));
  EXPECT_THAT(refused, testing::Contains(HasSubstr("no_library.so")));
}

TEST_F(LoaderTest, CarriesErrorsOutOfAPluginWithTheirFailure) {
  const ModelEntry& entry = registry_.find_model("fails_later");
  Graph graph(Mode::evaluation, registry_.ops());
  try {
    entry.make(Scope(graph), graph.input("image", {DType::f32, {1, 3, 8, 8}}), 10, {});
    FAIL() << "nothing was thrown";
  } catch (const Error& e) {
    EXPECT_EQ(e.failure(), Failure::data);
    EXPECT_STREQ(e.what(), "thrown inside a plugin");
  }
}

TEST_F(LoaderTest, MakesAnOpAndItsGradientOfAPointwiseFunctor) {
  const ModelEntry& entry = registry_.find_model("half_square");
  const OpDef& forward = registry_.ops().at("half_square");
  const OpDef& backward = registry_.ops().at("half_square_grad");
  const float x[] = {4, -1, 9};
  float y[3], dx[3];
  forward.pointwise.forward(x, y, 3);
  EXPECT_THAT(y, testing::ElementsAre(2, 0, 3));
  const float dy[] = {1, 1, 6};
  backward.pointwise.backward(y, dy, dx, 3);
  EXPECT_THAT(dx, testing::ElementsAre(0.25f, 0, 1));
  Graph graph(Mode::training, registry_.ops());
  const Value image = graph.input("image", {DType::f32, {1, 3, 8, 8}});
  EXPECT_EQ(entry.make(Scope(graph), image, 10, {}).logits.shape(), image.shape());
}

TEST(AbiDifferenceTest, NamesOnlyThePartsThatDiffer) {
  EXPECT_EQ(abi_difference("headers=1 compiler=gcc-12", "headers=1 compiler=gcc-12"), "");
  EXPECT_EQ(abi_difference("headers=1 compiler=gcc-11", "headers=1 compiler=gcc-12"),
            "compiler is gcc-11, not gcc-12");
  EXPECT_EQ(abi_difference("headers=1", "headers=1 compiler=gcc-12"),
            "compiler is not stated, not gcc-12");
  EXPECT_EQ(abi_difference("", "headers=1"), "headers is not stated, not 1");
}

}  // namespace
