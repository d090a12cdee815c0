// lockstep export CHECKPOINT --format safetensors|pth|onnx: a checkpoint's network for other
// programs.
#include <fmt/format.h>

#include <filesystem>

#include "base/text.hpp"
#include "checkpoint/checkpoint.hpp"
#include "checkpoint/writer.hpp"
#include "cli/command.hpp"
#include "data/open.hpp"
#include "recipe/recipe.hpp"
#include "train/session.hpp"
#include "weights/write.hpp"

namespace lockstep {
namespace {

struct ExportArguments {
  std::string checkpoint;
  std::string format;
  std::string output;
  std::vector<std::string> sets;
};

std::string onnx_of(const Checkpoint& checkpoint, const ExportArguments& arguments) {
  Registry registry;
  const Recipe recipe =
      parse_recipe(checkpoint.recipe, arguments.checkpoint + ":/recipe", arguments.sets, registry);
  OpenedData data = open_data(recipe, registry, DataUse::describe);
  if (!checkpoint.classes.empty()) data.classes = static_cast<int64_t>(checkpoint.classes.size());
  return onnx_bytes(plan_request(recipe, data, registry), registry.ops(), checkpoint);
}

int run_export(const ExportArguments& arguments) {
  const Checkpoint checkpoint = load_checkpoint(arguments.checkpoint);
  if (const std::string lost = find_not_finite(checkpoint); !lost.empty()) {
    fail(Failure::checkpoint, arguments.checkpoint, ": ", lost,
         " is not finite: the training had diverged; expected numbers; take an earlier checkpoint");
  }
  std::filesystem::path output = arguments.output;
  if (output.empty()) {
    output = std::filesystem::path(arguments.checkpoint).replace_extension(arguments.format);
  }
  std::string bytes;
  if (arguments.format == "onnx") {
    bytes = onnx_of(checkpoint, arguments);
  } else {
    const std::vector<NamedTensor> tensors = state_dict(checkpoint);
    bytes = arguments.format == "pth" ? torch_bytes(tensors) : safetensors_bytes(tensors);
  }
  write_file_safely(output, bytes);
  print_out(
      fmt::format("{}  {}\n", output.string(), bytes_text(static_cast<int64_t>(bytes.size()))));
  return 0;
}

}  // namespace

void add_export(CLI::App& app, Context& context) {
  auto arguments = std::make_shared<ExportArguments>();
  CLI::App* command =
      app.add_subcommand("export", "Write a checkpoint's weights or network for other programs");
  command
      ->add_option("checkpoint", arguments->checkpoint,
                   "A checkpoint, such as RUN/checkpoints/best.h5")
      ->required();
  command
      ->add_option("--format", arguments->format,
                   "safetensors or pth (weights, named as torchvision's), or onnx (the network)")
      ->required()
      ->check(CLI::IsMember({"safetensors", "pth", "onnx"}));
  command->add_option("--output", arguments->output,
                      "The file to write; without it, beside the checkpoint and named like it");
  command
      ->add_option("--set", arguments->sets,
                   "Change a key of its recipe, for onnx: --set data.eval_transforms=…")
      ->allow_extra_args(false)
      ->type_name("KEY=VALUE");
  command->callback(
      [arguments, &context] { context.run = [arguments] { return run_export(*arguments); }; });
}

}  // namespace lockstep
