#include "train/metrics_files.hpp"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <tuple>

#include "base/error.hpp"
#include "base/log.hpp"
#include "checkpoint/writer.hpp"

namespace lockstep {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array kEventNames = {"step", "epoch", "evaluation", "checkpoint"};
constexpr const char* kJsonFile = "metrics.jsonl";
constexpr const char* kCsvFile = "metrics.csv";

// Calls f(name, field) for every field but the event, in the order in which they are written.
template <class R, class F>
void for_each_field(R& record, F&& f) {
  f("epoch", record.epoch_number);
  f("step", record.step_number);
  f("loss", record.loss);
  f("top1", record.top1);
  f("top5", record.top5);
  f("samples", record.samples);
  f("lr", record.lr);
  f("loss_scale", record.loss_scale);
  f("skipped_steps", record.skipped_steps);
  f("images_per_second", record.images_per_second);
  f("data_wait_seconds", record.data_wait_seconds);
  f("seconds", record.seconds);
  f("split", record.split);
  f("path", record.path);
}

template <class T>
constexpr bool is_optional = false;
template <class T>
constexpr bool is_optional<std::optional<T>> = true;

// Whether a field applies to the event: text that is empty does not.
template <class T>
bool applies(const T& field) {
  if constexpr (is_optional<T>) return field.has_value();
  if constexpr (std::is_same_v<T, std::string>) return !field.empty();
  return true;
}
template <class T>
const auto& content(const T& field) {
  if constexpr (is_optional<T>) {
    return *field;
  } else {
    return field;
  }
}

std::ofstream open_to_append(const std::filesystem::path& path) {
  std::ofstream file(path, std::ios::app | std::ios::ate | std::ios::binary);
  if (!file) {
    fail(Failure::other, path.string(), ": cannot be opened for writing (", std::strerror(errno),
         "); the run folder must be writable");
  }
  return file;
}

// The records of a metrics.jsonl; lines that do not read are left out.
std::vector<Record> read_records(const std::filesystem::path& path) {
  std::vector<Record> records;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    try {
      records.push_back(record_from_json(line));
    } catch (const Error&) {
      log::warn(
          concat(path.string(), ": dropped a line that does not read: '", line.substr(0, 60), "'"));
    }
  }
  return records;
}

}  // namespace

const char* name(Record::Event event) { return kEventNames[event]; }

std::string to_json(const Record& record) {
  Json json{{"event", name(record.event)}};
  for_each_field(record, [&](const char* key, const auto& field) {
    if (applies(field)) json[key] = content(field);
  });
  return json.dump();
}

Record record_from_json(std::string_view line) {
  Record record;
  try {
    const Json json = Json::parse(line);
    const auto event = json.at("event").get<std::string>();
    const auto found = std::find(kEventNames.begin(), kEventNames.end(), event);
    if (found == kEventNames.end()) fail(Failure::other, "metrics: unknown event '", event, "'");
    record.event = static_cast<Record::Event>(found - kEventNames.begin());
    for_each_field(record, [&](const char* key, auto& field) {
      using Field = std::decay_t<decltype(field)>;
      using Content = std::decay_t<decltype(content(field))>;
      if constexpr (is_optional<Field> || std::is_same_v<Field, std::string>) {
        if (json.contains(key)) field = json.at(key).get<Content>();
      } else {
        field = json.at(key).get<Content>();
      }
    });
  } catch (const Json::exception& e) {
    fail(Failure::other, "metrics: ", e.what());
  }
  return record;
}

std::string csv_header() {
  std::string header = "event";
  const Record any;
  for_each_field(any, [&](const char* key, const auto&) { header += concat(",", key); });
  return header;
}

std::string to_csv(const Record& record) {
  std::string row = name(record.event);
  for_each_field(record, [&](const char*, const auto& field) {
    row += ',';
    if (applies(field)) row += fmt::format("{}", content(field));
  });
  return row;
}

std::vector<Record> cut_metrics(const std::filesystem::path& folder, int64_t step, int64_t epoch) {
  std::vector<Record> records = read_records(folder / kJsonFile);
  std::erase_if(records, [&](const Record& record) {
    return record.step_number > step ||
           (record.event == Record::epoch && record.epoch_number >= epoch);
  });
  std::string json;
  std::string csv = csv_header() + "\n";
  for (const Record& record : records) {
    json += to_json(record) + "\n";
    csv += to_csv(record) + "\n";
  }
  write_file_safely(folder / kJsonFile, json);
  write_file_safely(folder / kCsvFile, csv);
  return records;
}

MetricsFiles::MetricsFiles(const std::filesystem::path& folder)
    : json_(open_to_append(folder / kJsonFile)), csv_(open_to_append(folder / kCsvFile)) {
  if (csv_.tellp() == 0) csv_ << csv_header() << std::endl;
}

void MetricsFiles::write(const Record& record) {
  json_ << to_json(record) << std::endl;
  csv_ << to_csv(record) << std::endl;
  if ((!json_ || !csv_) && !warned_) {
    warned_ = true;
    log::warn(
        "metrics.jsonl or metrics.csv cannot be written (is the disk full?); training goes on "
        "without");
  }
  json_.clear();
  csv_.clear();
}

}  // namespace lockstep
