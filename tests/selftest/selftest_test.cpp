// LABELS: mpi
// `lockstep selftest`: passes on sound devices, and finds out plugins that bring wrong kernels
// (tests/selftest/wrong).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "selftest/op_cases.hpp"
#include "support/mpi_run.hpp"

namespace lockstep::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

MpiRun selftest(const std::string& arguments, const std::string& before = "") {
  return run_command(concat(before, " ", LOCKSTEP_BINARY, " selftest --quick ", arguments));
}

MpiRun selftest_with(const std::string& plugin, const std::string& arguments) {
  return selftest(arguments,
                  concat("LOCKSTEP_PLUGIN_PATH=", LOCKSTEP_BUILD_DIR, "/tests/selftest/", plugin));
}

const nlohmann::json* find_check(const nlohmann::json& report, const std::string& name) {
  for (const nlohmann::json& check : report.at("checks")) {
    if (check.at("name") == name) return &check;
  }
  return nullptr;
}

TEST(SelftestTest, TheCpuDevicePassesInEveryOpWithCasesAndTolerances) {
  const MpiRun run = selftest("--device cpu --threads 2 --json");
  ASSERT_EQ(run.exit_code, 0) << run.output;
  const auto report = nlohmann::json::parse(run.output);
  EXPECT_EQ(report.at("passed"), true);
  EXPECT_TRUE(report.at("failures").empty());
  for (const OpCase& op_case : op_cases()) {
    const nlohmann::json* check = find_check(report, op_case.op);
    ASSERT_NE(check, nullptr) << op_case.op;
    EXPECT_EQ(check->at("outcome"), "PASS") << op_case.op;
    EXPECT_GT(check->at("cases"), 0) << op_case.op;
    EXPECT_GT(check->at("tolerance"), 0) << op_case.op;
  }
  for (const char* name : {"optimizer sgd", "optimizer lars", "resnet18, losses of two steps",
                           "all-reduce, device memory", "copies keep their bits"}) {
    ASSERT_NE(find_check(report, name), nullptr) << name;
    EXPECT_EQ(find_check(report, name)->at("outcome"), "PASS") << name;
  }
  ASSERT_NE(find_check(report, "recorded launches"), nullptr);
  EXPECT_EQ(find_check(report, "recorded launches")->at("outcome"), "not supported");
}

TEST(SelftestTest, TheReferenceEqualsItself) {
  const MpiRun run = selftest("--device reference --only co");
  EXPECT_EQ(run.exit_code, 0) << run.output;
  EXPECT_THAT(run.output, AllOf(HasSubstr("\nconv2d "), HasSubstr("copy host to device"),
                                HasSubstr("\nPASS: ")));
}

TEST(SelftestTest, AWrongElementFailsNamingOpCaseElementAndValues) {
  const MpiRun run = selftest_with("wrong_tanh", "--device cpu --only tanh");
  EXPECT_EQ(run.exit_code, 5) << run.output;
  EXPECT_THAT(run.output, AllOf(HasSubstr("tanh: f32, case \"tanh x(7,120)\""),
                                HasSubstr("element 420: found "), HasSubstr("; expected "),
                                HasSubstr("\nFAIL: "), Not(HasSubstr("PASS:"))));
  EXPECT_EQ(selftest_with("wrong_tanh", "--device reference --only tanh").exit_code, 0)
      << "the kernel is for another device";
}

TEST(SelftestTest, AnElementThatIsNotWrittenFails) {
  const MpiRun run = selftest_with("lazy_grad", "--device cpu --only sigmoid --json");
  EXPECT_EQ(run.exit_code, 5) << run.output;
  const auto report = nlohmann::json::parse(run.output);
  EXPECT_EQ(report.at("passed"), false);
  EXPECT_EQ(find_check(report, "sigmoid")->at("outcome"), "FAIL");
  EXPECT_EQ(find_check(report, "tanh"), nullptr);
  for (const std::string failure : report.at("failures"))
    EXPECT_THAT(failure, AllOf(HasSubstr("sigmoid: "), HasSubstr("sigmoid_grad")));
}

TEST(SelftestTest, AKernelThatCannotBePreparedFails) {
  const MpiRun run = selftest_with("throwing_add", "--device cpu --only add");
  EXPECT_EQ(run.exit_code, 5) << run.output;
  EXPECT_THAT(run.output, AllOf(HasSubstr("add: f32, case \"add a(4,10) b(4,10)\""),
                                HasSubstr("no addition today")));
}

TEST(SelftestTest, TwoRanksSumOverBoth) {
  const MpiRun run = selftest("--device cpu --threads 1 --only reduce", mpirun_command(2));
  EXPECT_EQ(run.exit_code, 0) << run.output;
  EXPECT_THAT(run.output, AllOf(HasSubstr("; 2 ranks"), HasSubstr("all-reduce, device memory"),
                                HasSubstr("\nPASS: ")));
}

TEST(SelftestTest, AFailureOnTheSecondRankFailsBoth) {
  const std::string plugin_path =
      concat("LOCKSTEP_PLUGIN_PATH=", LOCKSTEP_BUILD_DIR, "/tests/selftest/wrong_tanh");
  const MpiRun run = run_command(concat(
      mpirun_command(2), " sh -c 'test $OMPI_COMM_WORLD_RANK = 1 && export ", plugin_path,
      "; exec ", LOCKSTEP_BINARY, " selftest --quick --only tanh --device cpu --threads 1'"));
  EXPECT_EQ(run.exit_code, 5) << run.output;
  EXPECT_THAT(run.output, AllOf(HasSubstr("rank 1: tanh: f32"), Not(HasSubstr("rank 0: tanh")),
                                HasSubstr("\nFAIL: ")));
}

TEST(SelftestTest, AnUnknownCheckIsRefused) {
  const MpiRun run = selftest("--device cpu --only tnah");
  EXPECT_EQ(run.exit_code, 2) << run.output;
  EXPECT_THAT(run.output, HasSubstr("--only tnah"));
}

TEST(SelftestTest, AnUnknownDeviceIsRefusedByName) {
  const MpiRun run = selftest("--device gpu");
  EXPECT_EQ(run.exit_code, 2) << run.output;
  EXPECT_THAT(run.output, HasSubstr("'gpu'"));
}

}  // namespace
}  // namespace lockstep::test
