// metrics.jsonl and metrics.csv of a run folder: an object, or a row, per event.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "train/observer.hpp"

namespace lockstep {

// One object on one line, without the newline. Floats are the shortest text that reads back as the
// same number.
std::string to_json(const Record& record);
// Throws Error{other} on what is not such a line.
Record record_from_json(std::string_view line);
std::string csv_header();
std::string to_csv(const Record& record);

// Rewrites both files with the lines that a checkpoint at `step` has seen, and returns those.
// `epoch` is the epoch under way in it, whose line is still to come. Lines that do not read (torn
// by a crash) are dropped.
std::vector<Record> cut_metrics(const std::filesystem::path& folder, int64_t step, int64_t epoch);

class MetricsFiles final : public Observer {
 public:
  // Appends to the files in the run folder; throws Error{other} where they cannot be opened.
  explicit MetricsFiles(const std::filesystem::path& folder);

  void on_step(const Record& record, const Place&, bool logged) override {
    if (logged) write(record);
  }
  void on_epoch(const Record& record, const Place&) override { write(record); }
  void on_evaluation(const Record& record) override { write(record); }
  void on_checkpoint(const Record& record) override { write(record); }

 private:
  void write(const Record& record);

  std::ofstream json_;
  std::ofstream csv_;
  bool warned_ = false;
};

}  // namespace lockstep
