// lockstep list [KIND]: everything that plugins register, and the framework's ops.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"
#include "cli/command.hpp"
#include "plugin/registry.hpp"

namespace lockstep {

namespace {

struct ListOptions {
  std::string kind;
  bool json = false;
};

constexpr Kind kKinds[] = {Kind::model,    Kind::dataset, Kind::transform,    Kind::optimizer,
                           Kind::schedule, Kind::device,  Kind::communicator, Kind::op};

// "model" and "models" both mean Kind::model.
Kind read_kind(const std::string& text) {
  std::vector<std::string> known;
  for (Kind kind : kKinds) {
    if (text == name(kind) || text == folder(kind)) return kind;
    known.emplace_back(name(kind));
  }
  fail(Failure::usage, "list: '", text, "' is no kind of plugin; expected ", list_words(known),
       did_you_mean(text, known));
}

std::string list_text(const std::vector<Registry::Listed>& items, bool with_ops) {
  size_t width = 0;
  for (const auto& item : items) width = std::max(width, item.name.size());
  std::string text;
  for (Kind kind : kKinds) {
    std::string lines;
    if (kind == Kind::op && !with_ops) {
      lines = "  (see lockstep list ops)\n";
    } else {
      for (const auto& item : items) {
        if (item.kind == kind) lines += fmt::format("  {:<{}}  {}\n", item.name, width, item.help);
      }
    }
    if (!lines.empty()) text += fmt::format("{}\n{}", folder(kind), lines);
  }
  return text;
}

std::string list_json(const std::vector<Registry::Listed>& items,
                      const std::vector<std::string>& refused) {
  nlohmann::ordered_json json;
  json["plugins"] = nlohmann::ordered_json::array();
  for (const auto& item : items) {
    json["plugins"].push_back({{"kind", name(item.kind)},
                               {"name", item.name},
                               {"help", item.help},
                               {"file", item.plugin}});
  }
  json["refused"] = refused;
  return json.dump(2) + '\n';
}

int list(const ListOptions& options) {
  Registry registry;
  std::vector<std::string> refused;
  std::vector<Registry::Listed> items = registry.list_all(&refused);
  if (!options.kind.empty()) {
    const Kind kind = read_kind(options.kind);
    std::erase_if(items, [kind](const auto& item) { return item.kind != kind; });
  }
  print_out(options.json ? list_json(items, refused) : list_text(items, !options.kind.empty()));
  for (const std::string& reason : refused) fmt::print(stderr, "lockstep: refused: {}\n", reason);
  return 0;
}

}  // namespace

void add_list(CLI::App& app, Context& context) {
  auto options = std::make_shared<ListOptions>();
  CLI::App* command =
      app.add_subcommand("list", "List models, datasets, optimizers and the other plugins");
  command->add_option("kind", options->kind, "Only this kind, such as models");
  command->add_flag("--json", options->json, "Print JSON");
  command->callback([options, &context] { context.run = [options] { return list(*options); }; });
}

}  // namespace lockstep
