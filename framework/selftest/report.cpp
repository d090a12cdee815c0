#include "selftest/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/text.hpp"

namespace lockstep {
namespace {

using Json = nlohmann::ordered_json;
using Outcome = CheckRow::Outcome;

// How far an error is on the way to its tolerance; above 1: beyond it.
double severity(double error, double tolerance) {
  if (std::isnan(error)) return INFINITY;
  if (error == 0) return 0;
  return tolerance == 0 ? INFINITY : error / tolerance;
}

bool is_worse(const CheckRow& a, const CheckRow& b) {
  const auto rank = [](Outcome outcome) { return outcome == Outcome::fail ? 1 : 0; };
  if (a.outcome != b.outcome && rank(a.outcome) != rank(b.outcome))
    return rank(a.outcome) > rank(b.outcome);
  return severity(a.error, a.tolerance) > severity(b.error, b.tolerance);
}

// JSON knows no infinity: what is no finite number is null.
Json number(double value) { return std::isfinite(value) ? Json(value) : Json(); }
double number(const Json& json) { return json.is_null() ? INFINITY : json.get<double>(); }

Outcome outcome_of(const std::string& text) {
  for (Outcome outcome : {Outcome::pass, Outcome::fail}) {
    if (text == name(outcome)) return outcome;
  }
  return Outcome::not_supported;
}

std::string row_text(const CheckRow& row, size_t width) {
  const bool compared = row.cases > 0;
  const std::string error = compared ? fmt::format("{:.1e}", row.error) : "-";
  const std::string tolerance = !compared            ? "-"
                                : row.tolerance == 0 ? "equal"
                                                     : fmt::format("{:.0e}", row.tolerance);
  std::string text = fmt::format("{:<{}}  {:<5} {:>6}  {:>11}  {:>9}  {}", row.name, width,
                                 row.dtype, row.cases, error, tolerance, name(row.outcome));
  if (!row.note.empty()) text += ": " + row.note;
  return text + "\n";
}

}  // namespace

void CheckRow::add(double case_error, double case_tolerance) {
  const double found = severity(case_error, case_tolerance);
  if (cases == 0 || found > severity(error, tolerance)) {
    error = case_error;
    tolerance = case_tolerance;
  }
  ++cases;
  if (found > 1) outcome = Outcome::fail;
}

std::string_view name(Outcome outcome) {
  constexpr std::string_view kNames[] = {"PASS", "FAIL", "not supported"};
  return kNames[static_cast<int>(outcome)];
}

bool SelftestReport::passed() const {
  const bool failed = std::any_of(rows.begin(), rows.end(),
                                  [](const CheckRow& row) { return row.outcome == Outcome::fail; });
  return !failed && failures.empty();
}

std::string report_json(const SelftestReport& report) {
  Json json{{"device", report.device},  {"ranks", report.world_size}, {"passed", report.passed()},
            {"checks", Json::array()},  {"figures", Json::array()},   {"failures", report.failures},
            {"seconds", report.seconds}};
  for (const CheckRow& row : report.rows) {
    json["checks"].push_back({{"name", row.name},
                              {"dtype", row.dtype},
                              {"cases", row.cases},
                              {"error", number(row.error)},
                              {"tolerance", row.tolerance},
                              {"outcome", name(row.outcome)},
                              {"note", row.note}});
  }
  for (const Figure& figure : report.figures) {
    json["figures"].push_back(
        {{"name", figure.name}, {"value", figure.value}, {"unit", figure.unit}});
  }
  return json.dump(2) + "\n";
}

SelftestReport report_from_json(const std::string& text) {
  const Json json = Json::parse(text);
  SelftestReport report;
  report.device = json.at("device");
  report.world_size = json.at("ranks");
  report.seconds = json.at("seconds");
  report.failures = json.at("failures").get<std::vector<std::string>>();
  for (const Json& row : json.at("checks")) {
    report.rows.push_back({.name = row.at("name"),
                           .dtype = row.at("dtype"),
                           .cases = row.at("cases"),
                           .error = number(row.at("error")),
                           .tolerance = row.at("tolerance"),
                           .outcome = outcome_of(row.at("outcome")),
                           .note = row.at("note")});
  }
  for (const Json& figure : json.at("figures")) {
    report.figures.push_back({figure.at("name"), figure.at("value"), figure.at("unit")});
  }
  return report;
}

std::string report_text(const SelftestReport& report) {
  std::string text = fmt::format(
      "{}{}\n\n", report.device,
      report.world_size == 1 ? std::string() : fmt::format("; {} ranks", report.world_size));
  size_t width = 5;
  for (const CheckRow& row : report.rows) width = std::max(width, row.name.size());
  text += fmt::format("{:<{}}  {:<5} {:>6}  {:>11}  {:>9}  {}\n", "check", width, "dtype", "cases",
                      "worst error", "tolerance", "result");
  int64_t cases = 0;
  for (const CheckRow& row : report.rows) {
    text += row_text(row, width);
    cases += row.cases;
  }
  text += "\n";
  for (const Figure& figure : report.figures) {
    text += fmt::format("{:<{}}  {:.1f} {}\n", figure.name, width, figure.value, figure.unit);
  }
  constexpr size_t kMostLines = 20;
  for (size_t i = 0; i < std::min(kMostLines, report.failures.size()); ++i) {
    text += (i == 0 ? "\n" : "") + report.failures[i] + "\n";
  }
  if (report.failures.size() > kMostLines) {
    text += fmt::format("and {} more; --json lists all\n", report.failures.size() - kMostLines);
  }
  text += fmt::format("\n{}: {} cases in {}", report.passed() ? "PASS" : "FAIL", count_text(cases),
                      duration_text(report.seconds));
  if (!report.failures.empty()) text += fmt::format(", {} wrong", report.failures.size());
  return text + "\n";
}

SelftestReport merge_reports(const std::vector<SelftestReport>& reports) {
  SelftestReport merged = reports.at(0);
  merged.failures.clear();
  for (size_t rank = 0; rank < reports.size(); ++rank) {
    const SelftestReport& report = reports[rank];
    LS_ASSERT(report.rows.size() == merged.rows.size());
    for (size_t i = 0; i < merged.rows.size(); ++i) {
      CheckRow& row = merged.rows[i];
      const int64_t cases = rank == 0 ? row.cases : row.cases + report.rows[i].cases;
      if (is_worse(report.rows[i], row)) row = report.rows[i];
      row.cases = cases;
    }
    for (const std::string& failure : report.failures) {
      merged.failures.push_back(reports.size() == 1 ? failure
                                                    : fmt::format("rank {}: {}", rank, failure));
    }
    merged.seconds = std::max(merged.seconds, report.seconds);
  }
  return merged;
}

}  // namespace lockstep
