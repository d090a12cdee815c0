#include "data/class_indices.hpp"

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.hpp"
#include "data/imagenet_classes.hpp"

namespace lockstep {
namespace {

constexpr const char* kExpected =
    "; expected {\"0\": \"name\", \"1\": \"name\", …}, as a run folder's class_indices.json has it";

std::string name_of(const nlohmann::json& value, const std::string& where) {
  if (value.is_string()) return value.get<std::string>();
  const bool is_pair = value.is_array() && value.size() == 2 && value[1].is_string();
  if (!is_pair) fail(Failure::data, where, ": found ", value.type_name(), kExpected);
  return value[1].get<std::string>();
}

}  // namespace

std::string class_indices_json(std::span<const std::string> names) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  for (size_t i = 0; i < names.size(); ++i) json[std::to_string(i)] = names[i];
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::vector<std::string> read_class_indices(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf())) {
    fail(Failure::data, path.string(), ": cannot be read", kExpected);
  }
  const auto json = nlohmann::json::parse(text.str(), nullptr, false);
  if (!json.is_object() || json.empty()) {
    fail(Failure::data, path.string(), ": found no JSON object", kExpected);
  }
  std::vector<std::string> names;
  for (size_t i = 0; i < json.size(); ++i) {
    const std::string key = std::to_string(i);
    if (!json.contains(key)) {
      fail(Failure::data, path.string(), ": found ", json.size(), " entries but none for class ",
           key, kExpected);
    }
    names.push_back(name_of(json[key], path.string() + ": class " + key));
  }
  return names;
}

std::vector<std::string> default_class_names(int64_t classes) {
  const auto imagenet = imagenet_class_names();
  if (classes == static_cast<int64_t>(imagenet.size())) return {imagenet.begin(), imagenet.end()};
  std::vector<std::string> names;
  for (int64_t i = 0; i < classes; ++i) names.push_back(std::to_string(i));
  return names;
}

}  // namespace lockstep
