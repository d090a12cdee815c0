// Runs of the command itself on a recipe so small that a run takes a second.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "checkpoint/checkpoint.hpp"
#include "support/mpi_run.hpp"
#include "support/temporary_folder.hpp"
#include "train/metrics_files.hpp"

namespace lockstep::test {

class TinyRunTest : public ::testing::Test {
 protected:
  // 44 training samples in steps of 8: six steps per epoch, the last one of 4; two epochs.
  TinyRunTest() {
    write_recipe("tiny.toml", R"(
seed = 3
[model]
name = "convnet"
[data]
name = "shapes"
train_size = 44
test_size = 20
[train]
epochs = 2
global_batch_size = 8
[optimizer]
name = "sgd"
lr = 0.05
momentum = 0.9
[schedule]
name = "cosine"
warmup_epochs = 0.5
[device]
name = "reference"
)");
  }

  void write_recipe(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name) << text;
  }

  // "lockstep ARGUMENTS" in the test's folder, with what is to stand before it ("mpirun -n 2",
  // VARIABLE=value).
  MpiRun lockstep(const std::string& arguments, const std::string& before = "") const {
    return run_command(concat("cd ", folder_.path().string(), " && { ", before, " ",
                              LOCKSTEP_BINARY, " ", arguments, "; }"));
  }
  MpiRun shell(const std::string& script) const {
    return run_command(
        concat("cd ", folder_.path().string(), " && { L=", LOCKSTEP_BINARY, "; ", script, "; }"));
  }

  std::vector<Record> metrics(const std::string& run) const {
    std::vector<Record> records;
    std::ifstream file(folder_ / run / "metrics.jsonl");
    for (std::string line; std::getline(file, line);) records.push_back(record_from_json(line));
    return records;
  }
  std::vector<Record> metrics(const std::string& run, Record::Event event) const {
    std::vector<Record> records = metrics(run);
    std::erase_if(records, [event](const Record& record) { return record.event != event; });
    return records;
  }
  // The losses of all steps, as bits matter.
  std::vector<double> losses(const std::string& run) const {
    std::vector<double> losses;
    for (const Record& record : metrics(run, Record::step)) losses.push_back(*record.loss);
    return losses;
  }
  Checkpoint checkpoint(const std::string& run, const std::string& name = "last.h5") const {
    return load_checkpoint(folder_ / run / "checkpoints" / name);
  }
  std::string text_of(const std::string& file) const {
    std::ifstream stream(folder_ / file);
    return {std::istreambuf_iterator<char>(stream), {}};
  }

  static void expect_equal_tensors(const TensorMap& a, const TensorMap& b) {
    ASSERT_EQ(a.size(), b.size());
    for (const auto& [name, tensor] : a) {
      const auto other = b.find(name);
      ASSERT_NE(other, b.end()) << name;
      EXPECT_TRUE(tensor.values == other->second.values) << name << " differs";
    }
  }
  static void expect_equal_state(const Checkpoint& a, const Checkpoint& b) {
    expect_equal_tensors(a.parameters, b.parameters);
    expect_equal_tensors(a.buffers, b.buffers);
    ASSERT_EQ(a.optimizer.size(), b.optimizer.size());
    for (const auto& [slot, tensors] : a.optimizer)
      expect_equal_tensors(tensors, b.optimizer.at(slot));
  }

  TemporaryFolder folder_;
};

}  // namespace lockstep::test
