// lockstep doctor [RECIPE]: what a run here would meet: versions, hosts, ranks, network, Slurm,
// disks, GPUs; and what is wrong with it, with the remedy. Under mpirun or srun it is about all
// ranks, and rank 0 prints.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "cli/command.hpp"
#include "cli/examination.hpp"
#include "cli/report_text.hpp"
#include "train/session.hpp"
#include "train/site.hpp"

namespace lockstep {
namespace {

using Json = nlohmann::ordered_json;

struct DoctorArguments {
  std::string recipe;
  std::vector<std::string> sets;
  std::string output = ".";
  bool json = false;
};

std::string report_text(const Json& report) {
  const auto counted = [](size_t count, const char* what) {
    return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
  };
  std::string text =
      fmt::format("lockstep {}, {} on {}\n", report["lockstep"].get<std::string>(),
                  counted(report["ranks"].size(), "rank"), counted(report["hosts"].size(), "host"));
  text += section_text("versions", report["versions"]);
  text += section_text("hosts", report["hosts"], true);
  text += section_text("ranks", report["ranks"]);
  text += section_text("network", report["network"], true);
  text += section_text("MPI components", report["mpi"]);
  text += section_text("Slurm", report["slurm"]);
  text += section_text("disks", report["disks"]);
  text += section_text("GPUs", report["gpus"], true);
  text += report["world_size"] == 1
              ? "\nall-reduce\n  one rank has nobody to share with; launch/mpirun -n N doctor\n"
              : section_text("all-reduce", report["all_reduce"]);
  if (report.contains("data")) text += section_text("data", report["data"]);
  text += "\nwhat is wrong\n";
  if (report["findings"].empty()) text += "  nothing\n";
  for (const Json& finding : report["findings"]) {
    text += fmt::format("  {}: {}\n", finding["severity"].get<std::string>(),
                        finding["text"].get<std::string>());
  }
  return text;
}

int doctor(const DoctorArguments& arguments) {
  Registry registry;
  Recipe recipe;
  if (!arguments.recipe.empty()) {
    recipe = load_recipe_on_ranks(
        [&] { return load_recipe(arguments.recipe, arguments.sets, registry); });
  }
  const ProcessPlace place = process_place();
  std::vector<Finding> findings;
  std::unique_ptr<Session> session;
  try {
    session = std::make_unique<Session>(recipe, registry, true);
  } catch (const Error& error) {
    // Processes that cannot find each other still have hosts and disks.
    findings.push_back({true, error.failure(), error.what()});
    recipe.communicator.name = "local";
    session = std::make_unique<Session>(recipe, registry, true);
  }
  return run_on_ranks(*session, [&] {
    const Json report =
        examine(*session, arguments.output, !arguments.recipe.empty(), std::move(findings));
    // Processes that do not know of each other are all rank 0; the launcher's first one speaks.
    if (session->is_first() && place.rank == 0)
      print_out(arguments.json ? report.dump(2) + "\n" : report_text(report));
    return report["findings"].empty() ? 0 : static_cast<int>(Failure::device);
  });
}

}  // namespace

void add_doctor(CLI::App& app, Context& context) {
  auto arguments = std::make_shared<DoctorArguments>();
  CLI::App* command =
      app.add_subcommand("doctor", "Say what is here, how fast it is, and what is wrong with it");
  command->add_option("recipe", arguments->recipe, "A recipe, to examine its data too");
  command->add_option("--set", arguments->sets, "Change a key of the recipe: --set data.path=…")
      ->allow_extra_args(false)
      ->type_name("KEY=VALUE");
  command
      ->add_option("--output", arguments->output,
                   "Where runs would write: its disk is measured (.)")
      ->check(CLI::ExistingDirectory)
      ->type_name("DIR");
  command->add_flag("--json", arguments->json, "Print JSON");
  command->callback(
      [arguments, &context] { context.run = [arguments] { return doctor(*arguments); }; });
}

}  // namespace lockstep
