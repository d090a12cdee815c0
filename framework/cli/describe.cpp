// lockstep describe NAME: what something does and which options it has; `describe recipe` shows the
// framework's keys.
#include <fmt/format.h>

#include "base/text.hpp"
#include "cli/command.hpp"
#include "plugin/registry.hpp"
#include "recipe/keys.hpp"

namespace lockstep {

namespace {

struct DescribeOptions {
  std::string name;
  bool json = false;
};

std::string title(const SectionKeys& section) {
  return section.name.empty() ? std::string("before all sections") : '[' + section.name + ']';
}

std::string recipe_text() {
  std::string text =
      "The keys of a recipe. [model], [data], [optimizer] and [schedule] also take the options of "
      "the "
      "plugin they name.\n";
  for (const SectionKeys& section : recipe_sections()) {
    text += '\n' + title(section) + '\n';
    text += options_text(section.tables, "  ");
  }
  return text;
}

std::string recipe_json() {
  auto json = nlohmann::ordered_json::array();
  for (const SectionKeys& section : recipe_sections()) {
    json.push_back({{"section", section.name}, {"options", options_json(section.tables)}});
  }
  return json.dump(2) + '\n';
}

std::string items_text(const std::vector<Registry::Listed>& items) {
  std::string text;
  for (const auto& item : items) {
    if (!text.empty()) text += '\n';
    text += fmt::format("{} {}", name(item.kind), item.name);
    if (!item.help.empty()) text += ": " + item.help;
    text += '\n';
    if (!item.plugin.empty()) text += fmt::format("from {}\n", item.plugin);
    if (!item.options->specs().empty())
      text += "options\n" + options_text({&item.options, 1}, "  ");
  }
  return text;
}

std::string items_json(const std::vector<Registry::Listed>& items) {
  auto json = nlohmann::ordered_json::array();
  for (const auto& item : items) {
    json.push_back({{"kind", name(item.kind)},
                    {"name", item.name},
                    {"help", item.help},
                    {"file", item.plugin},
                    {"options", options_json({&item.options, 1})}});
  }
  return json.dump(2) + '\n';
}

int describe(const DescribeOptions& options) {
  if (options.name == "recipe") {
    print_out(options.json ? recipe_json() : recipe_text());
    return 0;
  }
  Registry registry;
  std::vector<std::string> refused;
  std::vector<std::string> known{"recipe"};
  std::vector<Registry::Listed> items;
  for (Registry::Listed& item : registry.list_all(&refused)) {
    known.push_back(item.name);
    if (item.name == options.name) items.push_back(std::move(item));
  }
  for (const std::string& reason : refused) fmt::print(stderr, "lockstep: refused: {}\n", reason);
  if (items.empty()) {
    fail(Failure::usage, "describe: nothing is named '", options.name,
         "'; `lockstep list` shows what there is", did_you_mean(options.name, known));
  }
  print_out(options.json ? items_json(items) : items_text(items));
  return 0;
}

}  // namespace

void add_describe(CLI::App& app, Context& context) {
  auto options = std::make_shared<DescribeOptions>();
  CLI::App* command =
      app.add_subcommand("describe", "Print what a plugin or op does, and its options");
  command
      ->add_option("name", options->name,
                   "A name that `lockstep list` shows, or recipe for the keys of a recipe")
      ->required();
  command->add_flag("--json", options->json, "Print JSON");
  command->callback(
      [options, &context] { context.run = [options] { return describe(*options); }; });
}

}  // namespace lockstep
