// lockstep selftest: whether a device computes what it should, on this machine and over its ranks.
#include "selftest/selftest.hpp"

#include "cli/command.hpp"
#include "plugin/registry.hpp"

namespace lockstep {

namespace {

struct SelftestArguments {
  SelftestOptions options;
  bool json = false;
};

int selftest(const SelftestArguments& arguments) {
  Registry registry;
  const std::unique_ptr<Session> session = selftest_session(arguments.options, registry);
  return run_on_ranks(*session, [&] {
    const SelftestReport report = run_selftest(*session, arguments.options);
    if (session->is_first()) print_out(arguments.json ? report_json(report) : report_text(report));
    session->communication->barrier("the end");
    return report.passed() ? 0 : static_cast<int>(Failure::device);
  });
}

}  // namespace

void add_selftest(CLI::App& app, Context& context) {
  auto arguments = std::make_shared<SelftestArguments>();
  CLI::App* command = app.add_subcommand(
      "selftest", "Compare a device with the reference, op by op; under mpirun on every rank");
  command->add_option("--device", arguments->options.device,
                      "The device, see `lockstep list devices`; auto: the fastest there is");
  command
      ->add_option("--threads", arguments->options.threads,
                   "Compute threads per rank; 0: its share of the cores")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--only", arguments->options.only, "Checks whose names have this in them")
      ->type_name("TEXT");
  command->add_flag("--quick", arguments->options.quick, "Leave out what takes long");
  command->add_flag("--json", arguments->json, "Print JSON");
  command->footer("Exit code 0: everything passed; 5: something failed.");
  command->callback(
      [arguments, &context] { context.run = [arguments] { return selftest(*arguments); }; });
}

}  // namespace lockstep
