#include "base/log.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <thread>

#include "base/error.hpp"

namespace lockstep {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class LogTest : public testing::Test {
 protected:
  void TearDown() override {
    log::close_file();
    log::set_up(0, false);
    fs::remove_all(folder_);
  }

  std::string file_text(const std::string& name) const {
    std::ifstream file(folder_ / "log" / name);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  }

  const fs::path folder_ =
      fs::path(testing::TempDir()) / ("lockstep-log-test-" + std::to_string(getpid()));
};

TEST_F(LogTest, Rank0WritesToItsFileAndTheTerminal) {
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  log::set_up(0, false);
  log::open_file(folder_);
  log::info("{} is no format");
  log::warn("low");
  log::error("bad");
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "{} is no format\n");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "warning: low\nerror: bad\n");
  const std::string text = file_text("rank-0000.log");
  EXPECT_THAT(text, HasSubstr(" info: {} is no format\n"));
  EXPECT_THAT(text, HasSubstr(" warning: low\n"));
  EXPECT_THAT(text, HasSubstr(" error: bad\n"));
}

TEST_F(LogTest, OtherRanksWriteToTheirFilesAlone) {
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  log::set_up(12, false);
  log::open_file(folder_);
  log::info("hello");
  log::error("bad");
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  EXPECT_THAT(file_text("rank-0012.log"), HasSubstr("hello"));
}

TEST_F(LogTest, QuietLeavesWarningsAndErrorsOnTheTerminalAndAllInTheFile) {
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  log::set_up(0, true);
  log::open_file(folder_);
  log::info("chatter");
  log::warn("low");
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "warning: low\n");
  EXPECT_THAT(file_text("rank-0000.log"), HasSubstr("chatter"));
}

TEST_F(LogTest, AResumedRunAppends) {
  log::set_up(1, false);
  log::open_file(folder_);
  log::info("first");
  log::open_file(folder_);
  log::info("second");
  const std::string text = file_text("rank-0001.log");
  EXPECT_THAT(text, HasSubstr("first\n"));
  EXPECT_THAT(text, HasSubstr("second\n"));
}

TEST_F(LogTest, LinesOfSeveralThreadsStayWhole) {
  log::set_up(1, false);
  log::open_file(folder_);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([] {
      for (int i = 0; i < 100; ++i) log::info(std::string(50, 'x') + ".");
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::istringstream lines(file_text("rank-0001.log"));
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    EXPECT_TRUE(line.ends_with(": " + std::string(50, 'x') + ".")) << line;
  }
  EXPECT_EQ(count, 400);
}

TEST_F(LogTest, SaysWhereAFileCannotBeMade) {
  std::ofstream(folder_.string()) << "a file where the run folder should be";
  try {
    log::open_file(folder_);
    FAIL() << "opened";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("rank-0000.log: found that it cannot be written"));
  }
}

}  // namespace
}  // namespace lockstep
