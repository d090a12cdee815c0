// lockstep summary MODEL|RECIPE|CHECKPOINT: the layers of a network, what they cost, and totals.
#include <fmt/format.h>

#include <charconv>
#include <filesystem>
#include <optional>

#include "base/text.hpp"
#include "checkpoint/checkpoint.hpp"
#include "cli/command.hpp"
#include "data/open.hpp"
#include "graph/op.hpp"
#include "plan/plan.hpp"
#include "recipe/recipe.hpp"
#include "recipe/toml.hpp"
#include "train/session.hpp"

namespace lockstep {
namespace {

struct SummaryArguments {
  std::string what;
  std::vector<std::string> sets;
  std::string image;
  std::optional<int64_t> classes;
  std::optional<int64_t> batch;
  bool json = false;
};

// Of a model without a recipe.
constexpr int64_t kUsualBatch = 32;

// What is summarised, for batches of one image; memory is told for `batch` of them.
struct Subject {
  PlanRequest request;
  std::string device = "cpu";
  int64_t batch = kUsualBatch;
};

struct Layer {
  std::string name;
  std::string kind;
  Shape output;
  int64_t parameters;
  int64_t multiply_adds;
};

// "3x224x224" -> (3, 224, 224)
Shape read_image(const std::string& text) {
  Shape shape;
  const char* at = text.data();
  const char* const end = at + text.size();
  for (const char* separator : {"x", "x", ""}) {
    int64_t extent = 0;
    const auto [next, error] = std::from_chars(at, end, extent);
    const bool separated = *separator == '\0' ? next == end : next != end && *next == *separator;
    if (error != std::errc() || extent < 1 || !separated) {
      fail(Failure::usage, "--image: found '", text,
           "'; expected channels, height and width, such as 3x224x224");
    }
    shape.append(extent);
    at = next + 1;
  }
  return shape;
}

// The options in --set model.depth=50, for a model without a recipe.
Setting::Table model_options(const std::vector<std::string>& sets) {
  Setting::Table root;
  for (const std::string& assignment : sets) apply_assignment(root, assignment);
  Setting::Table options;
  for (const Setting::Entry& entry : root) {
    if (entry.key != "model" || !std::holds_alternative<Setting::Table>(entry.value.value)) {
      fail(Failure::usage, "--set ", entry.key,
           ": a model alone has no such key; expected model.OPTION=VALUE");
    }
    options = std::get<Setting::Table>(entry.value.value);
  }
  return options;
}

Subject subject_of_recipe(const Recipe& recipe, Registry& registry,
                          const SummaryArguments& arguments) {
  OpenedData data = open_data(recipe, registry, DataUse::describe);
  data.classes = arguments.classes.value_or(data.classes);
  PlanRequest request = plan_request(recipe, data, registry);
  if (!arguments.image.empty()) request.image = read_image(arguments.image);
  if (request.image[0] != static_cast<int64_t>(request.mean.size()))
    request.mean = request.std = {};
  return {std::move(request), device_name(recipe, registry), recipe.train.global_batch_size};
}

Subject subject_of_model(const ModelEntry& entry, const SummaryArguments& arguments) {
  Subject subject;
  const auto& usual = entry.usual.image;
  subject.request.image =
      arguments.image.empty() ? Shape{usual[0], usual[1], usual[2]} : read_image(arguments.image);
  subject.request.model = [&entry, options = model_options(arguments.sets),
                           classes = arguments.classes.value_or(entry.usual.classes)](Scope scope,
                                                                                      Value image) {
    return entry.make(std::move(scope), image, classes, options);
  };
  return subject;
}

// The first argument is a recipe or a checkpoint if it names such a file, else a model.
Subject read_subject(const SummaryArguments& arguments, Registry& registry) {
  const std::filesystem::path path = arguments.what;
  std::error_code ignored;
  if (path.extension() == ".toml") {
    return subject_of_recipe(load_recipe(arguments.what, arguments.sets, registry), registry,
                             arguments);
  }
  if (std::filesystem::is_regular_file(path, ignored) || path.extension() == ".h5") {
    const Checkpoint header = load_checkpoint_header(path);
    return subject_of_recipe(
        parse_recipe(header.recipe, arguments.what + ":/recipe", arguments.sets, registry),
        registry, arguments);
  }
  return subject_of_model(registry.find_model(arguments.what), arguments);
}

std::vector<Layer> find_layers(const Graph& graph) {
  const ValueId logits = graph.find_output(Role::logits)->value;
  const std::vector<bool> wanted = ancestors(graph, std::span(&logits, 1));
  std::vector<Layer> layers;
  for (size_t i = 0; i < wanted.size(); ++i) {
    const Node& node = graph.nodes()[i];
    if (!wanted[i]) continue;
    if (node.op == "parameter" || node.op == "buffer" || node.op == "input") continue;
    Layer layer{node.label, node.op, node.outputs[0].shape, 0, 0};
    std::vector<TensorType> inputs;
    for (ValueId input : node.inputs) {
      inputs.push_back(graph.type(input));
      if (graph.node(input).op == "parameter") layer.parameters += graph.type(input).shape.numel();
    }
    const OpDef& op = graph.ops().at(node.op);
    if (op.multiply_adds)
      layer.multiply_adds = op.multiply_adds(inputs, node.outputs[0], node.attributes);
    layers.push_back(std::move(layer));
  }
  return layers;
}

struct Totals {
  int64_t parameters = 0;
  int64_t training_parameters = 0;  // auxiliary heads included
  int64_t multiply_adds = 0;        // per image
  int64_t batch = 0;
  int64_t training_bytes = 0;  // of the activations of a batch
  int64_t evaluation_bytes = 0;
};

Totals find_totals(const Subject& subject, Registry& registry, const Graph& graph,
                   const std::vector<Layer>& layers) {
  const std::unique_ptr<Device> device = registry.find_device(subject.device).make({});
  PlanRequest request = subject.request;
  request.batch_size = subject.batch;
  const ParameterLayout layout = parameter_layout(request, Mode::training, registry, *device);
  const auto activation_bytes = [&](Mode mode) {
    request.mode = mode;
    return compile(request, registry, *device, layout).memory.peak_bytes;
  };
  Totals totals;
  totals.parameters = layout_parameters(graph).parameter_count();
  for (const Layer& layer : layers) totals.multiply_adds += layer.multiply_adds;
  totals.training_parameters = layout.parameter_count();
  totals.batch = subject.batch;
  totals.training_bytes = activation_bytes(Mode::training);
  totals.evaluation_bytes = activation_bytes(Mode::evaluation);
  return totals;
}

std::string layers_text(const std::vector<Layer>& layers, const Totals& totals) {
  size_t name_width = 5;
  size_t kind_width = 4;
  size_t shape_width = 6;
  for (const Layer& layer : layers) {
    name_width = std::max(name_width, layer.name.size());
    kind_width = std::max(kind_width, layer.kind.size());
    shape_width = std::max(shape_width, layer.output.text().size());
  }
  const auto row = [&](const auto&... columns) {
    return fmt::format("{:<{}}  {:<{}}  {:<{}}  {:>12}  {:>16}\n", columns...);
  };
  std::string text = row("layer", name_width, "kind", kind_width, "output", shape_width,
                         "parameters", "multiply-adds");
  for (const Layer& layer : layers) {
    text += row(layer.name, name_width, layer.kind, kind_width, layer.output.text(), shape_width,
                layer.parameters == 0 ? "" : count_text(layer.parameters),
                layer.multiply_adds == 0 ? "" : count_text(layer.multiply_adds));
  }
  text += fmt::format("\nparameters     {}", count_text(totals.parameters));
  if (totals.training_parameters != totals.parameters) {
    text += fmt::format(" ({} with the auxiliary heads, while training)",
                        count_text(totals.training_parameters));
  }
  text += fmt::format("\nmultiply-adds  {} per image\n", count_text(totals.multiply_adds));
  text += fmt::format("activations    {} to train and {} to evaluate a batch of {}\n",
                      bytes_text(totals.training_bytes), bytes_text(totals.evaluation_bytes),
                      totals.batch);
  return text;
}

std::string layers_json(const std::vector<Layer>& layers, const Totals& totals) {
  nlohmann::ordered_json json;
  json["layers"] = nlohmann::ordered_json::array();
  for (const Layer& layer : layers) {
    json["layers"].push_back(
        {{"name", layer.name},
         {"kind", layer.kind},
         {"output", std::vector<int64_t>(layer.output.begin(), layer.output.end())},
         {"parameters", layer.parameters},
         {"multiply_adds", layer.multiply_adds}});
  }
  json["parameters"] = totals.parameters;
  json["training_parameters"] = totals.training_parameters;
  json["multiply_adds"] = totals.multiply_adds;
  json["batch_size"] = totals.batch;
  json["activation_bytes"] = {{"training", totals.training_bytes},
                              {"evaluation", totals.evaluation_bytes}};
  return json.dump(2) + "\n";
}

int summary(const SummaryArguments& arguments) {
  Registry registry;
  Subject subject = read_subject(arguments, registry);
  subject.batch = arguments.batch.value_or(subject.batch);
  subject.request.mode = Mode::evaluation;
  subject.request.batch_size = 1;
  const Graph graph = build_graph(subject.request, registry.ops());
  const std::vector<Layer> layers = find_layers(graph);
  const Totals totals = find_totals(subject, registry, graph, layers);
  print_out(arguments.json ? layers_json(layers, totals) : layers_text(layers, totals));
  return 0;
}

}  // namespace

void add_summary(CLI::App& app, Context& context) {
  auto arguments = std::make_shared<SummaryArguments>();
  CLI::App* command =
      app.add_subcommand("summary", "Print a network's layers, parameters, multiply-adds, memory");
  command->add_option("what", arguments->what, "A model's name, a recipe or a checkpoint")
      ->required();
  command->add_option("--set", arguments->sets, "An option: --set model.depth=50")
      ->allow_extra_args(false)
      ->type_name("KEY=VALUE");
  command
      ->add_option("--image", arguments->image,
                   "Channels, height and width (the model's usual, or the recipe's)")
      ->type_name("CxHxW");
  command
      ->add_option("--classes", arguments->classes,
                   "Number of classes (the model's usual, or the recipe's)")
      ->check(CLI::PositiveNumber);
  command
      ->add_option("--batch", arguments->batch,
                   "Images whose activations are counted (32, or the recipe's global batch)")
      ->check(CLI::PositiveNumber);
  command->add_flag("--json", arguments->json, "Print JSON");
  command->callback(
      [arguments, &context] { context.run = [arguments] { return summary(*arguments); }; });
}

}  // namespace lockstep
