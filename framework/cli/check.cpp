// lockstep check RECIPE: everything that can be wrong with a recipe and its data, found without
// training.
#include <fmt/format.h>

#include <numeric>

#include "base/text.hpp"
#include "cli/command.hpp"
#include "data/loader.hpp"
#include "data/open.hpp"
#include "plan/memory_demand.hpp"
#include "plan/plan.hpp"
#include "recipe/recipe.hpp"
#include "train/session.hpp"
#include "train/snapshot.hpp"

namespace lockstep {
namespace {

struct CheckArguments {
  std::string recipe;
  std::vector<std::string> sets;
  int64_t ranks = 1;
  bool json = false;
};

struct DataCheck {
  bool there = false;
  std::string reason;  // why it is not
  int64_t train = 0, validation = 0, test = 0;
};

// Memory of a rank in bytes.
struct MemoryCheck {
  int64_t parameters = 0, gradients = 0, optimizer = 0, buffers = 0, activations = 0, workspace = 0,
          batch = 0;
  int64_t checkpoint = 0;
  int64_t parameter_count = 0;
  int64_t batch_size = 0;
  int64_t total() const {
    return parameters + gradients + optimizer + buffers + activations + workspace + batch;
  }
};

// Reads every sample once, so that damage shows now.
void scan(const Dataset& dataset, const char* set) {
  Image image;
  for (int64_t i = 0; i < dataset.size(); ++i) {
    const int64_t label = dataset.read(i, image);
    if (label < 0 || label >= dataset.spec().classes) {
      fail(Failure::data, "data: sample ", i, " of the ", set, " set has the class ", label,
           "; expected 0 to ", dataset.spec().classes - 1);
    }
  }
}

// Missing data is no error here; damaged data is.
DataCheck check_data(const Recipe& recipe, Registry& registry) {
  DataCheck check;
  try {
    resolve_data_path(recipe.data.path);
  } catch (const Error& error) {
    check.reason = error.what();
    return check;
  }
  const OpenedData data = open_data(recipe, registry, DataUse::train);
  check.there = true;
  check.train = data.train->size();
  check.test = data.test->size();
  scan(*data.train, "training");
  scan(*data.test, "test");
  if (data.validation) {
    check.validation = data.validation->size();
    scan(*data.validation, "validation");
  }
  return check;
}

MemoryCheck check_memory(const Recipe& recipe, Registry& registry, int64_t ranks) {
  const OpenedData data = open_data(recipe, registry, DataUse::describe);
  const std::unique_ptr<Device> device = make_device(recipe, registry, 0, 1);
  PlanRequest request = plan_request(recipe, data, registry);
  const int64_t shards = ranks * recipe.train.gradient_accumulation;
  request.batch_size = (recipe.train.global_batch_size + shards - 1) / shards;
  const ParameterLayout layout = parameter_layout(request, Mode::training, registry, *device);
  const Plan plan = compile(request, registry, *device, layout);
  const int slots =
      registry.find_optimizer(recipe.optimizer.name).make(recipe.optimizer.options)->slots();

  const StateDemand state = state_demand(layout, slots, recipe.train.gradient_accumulation, true);
  const PlanDemand step = plan_demand(plan, request.image);
  MemoryCheck check;
  check.parameters = state.parameters;
  check.gradients = state.gradients + state.shard_sums;
  check.optimizer = state.optimizer;
  check.buffers = state.buffers;
  check.activations = step.activations;
  check.workspace = step.workspace;
  check.batch = step.batch;
  check.checkpoint = checkpoint_bytes(layout, slots);
  check.parameter_count = layout.parameter_count();
  check.batch_size = request.batch_size;
  return check;
}

std::string check_text(const std::string& recipe, const DataCheck& data, const MemoryCheck& memory,
                       int64_t ranks) {
  std::string text = recipe + "\n";
  if (data.there) {
    text += fmt::format("data         {} training", count_text(data.train));
    if (data.validation > 0) text += fmt::format(", {} validation", count_text(data.validation));
    text += fmt::format(" and {} test samples, all read\n", count_text(data.test));
  } else {
    text += fmt::format("data         not there, not checked: {}\n", data.reason);
  }
  text += fmt::format("parameters   {}\n", count_text(memory.parameter_count));
  text += fmt::format("memory       {} per rank with {} rank{}, {} images each\n",
                      bytes_text(memory.total()), ranks, ranks == 1 ? "" : "s", memory.batch_size);
  const std::pair<const char*, int64_t> parts[] = {{"parameters", memory.parameters},
                                                   {"gradients", memory.gradients},
                                                   {"optimizer", memory.optimizer},
                                                   {"buffers", memory.buffers},
                                                   {"activations", memory.activations},
                                                   {"workspace", memory.workspace},
                                                   {"batch", memory.batch}};
  for (const auto& [name, bytes] : parts)
    text += fmt::format("  {:<12} {:>12}\n", name, bytes_text(bytes));
  text += fmt::format("checkpoint   {}\n", bytes_text(memory.checkpoint));
  return text;
}

std::string check_json(const std::string& recipe, const DataCheck& data, const MemoryCheck& memory,
                       int64_t ranks) {
  nlohmann::ordered_json json;
  json["recipe"] = recipe;
  json["data"] = {{"there", data.there}};
  if (data.there) {
    json["data"]["train"] = data.train;
    json["data"]["validation"] = data.validation;
    json["data"]["test"] = data.test;
  } else {
    json["data"]["reason"] = data.reason;
  }
  json["parameters"] = memory.parameter_count;
  json["ranks"] = ranks;
  json["batch_size"] = memory.batch_size;
  json["memory_bytes"] = {{"parameters", memory.parameters},
                          {"gradients", memory.gradients},
                          {"optimizer", memory.optimizer},
                          {"buffers", memory.buffers},
                          {"activations", memory.activations},
                          {"workspace", memory.workspace},
                          {"batch", memory.batch},
                          {"total", memory.total()}};
  json["checkpoint_bytes"] = memory.checkpoint;
  return json.dump(2) + "\n";
}

int check(const CheckArguments& arguments) {
  Registry registry;
  const Recipe recipe = load_recipe(arguments.recipe, arguments.sets, registry);
  registry.find_schedule(recipe.schedule.name).make(recipe.schedule.options);
  registry.find_communicator(communicator_name(recipe, registry));
  const MemoryCheck memory = check_memory(recipe, registry, arguments.ranks);
  const DataCheck data = check_data(recipe, registry);
  const std::string text = resolved_text(recipe, registry);
  print_out(arguments.json ? check_json(text, data, memory, arguments.ranks)
                           : check_text(text, data, memory, arguments.ranks));
  return 0;
}

}  // namespace

void add_check(CLI::App& app, Context& context) {
  auto arguments = std::make_shared<CheckArguments>();
  CLI::App* command = app.add_subcommand("check", "Check a recipe and its data; train nothing");
  command->add_option("recipe", arguments->recipe, "The recipe, a TOML file")->required();
  command->add_option("--set", arguments->sets, "Change a key of the recipe: --set train.epochs=3")
      ->allow_extra_args(false)
      ->type_name("KEY=VALUE");
  command->add_option("--ranks", arguments->ranks, "Ranks to share the global batch among")
      ->check(CLI::PositiveNumber);
  command->add_flag("--json", arguments->json, "Print JSON");
  command->callback(
      [arguments, &context] { context.run = [arguments] { return check(*arguments); }; });
}

}  // namespace lockstep
