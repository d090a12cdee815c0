// What a self-test found: a table of checks, figures, and a line for every failure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lockstep {

struct CheckRow {
  enum class Outcome : uint8_t { pass, fail, not_supported };

  std::string name;   // "conv2d"
  std::string dtype;  // "f32"
  int64_t cases = 0;
  double error = 0;      // of the case nearest to its tolerance, or farthest beyond it
  double tolerance = 0;  // that one's; 0: everything must be equal
  Outcome outcome = Outcome::pass;
  std::string note;  // why it is not supported

  // Takes a case into account. An error that is no number is beyond every tolerance.
  void add(double case_error, double case_tolerance);
};

struct Figure {
  std::string name;  // "host to device"
  double value;
  std::string unit;  // "GB/s"
};

struct SelftestReport {
  std::string device;  // its description
  int world_size = 1;
  std::vector<CheckRow> rows;
  std::vector<Figure> figures;        // of rank 0
  std::vector<std::string> failures;  // a line each; begins with the check's name
  double seconds = 0;

  bool passed() const;
};

std::string_view name(CheckRow::Outcome outcome);  // "PASS"

// For sending a rank's report to rank 0, and for people's programs.
std::string report_json(const SelftestReport& report);
SelftestReport report_from_json(const std::string& text);
// The table on the screen; its last line begins with PASS or FAIL.
std::string report_text(const SelftestReport& report);

// The reports of all ranks in one: a check passes where it passes on every rank.
SelftestReport merge_reports(const std::vector<SelftestReport>& reports);

}  // namespace lockstep
