#include "selftest/selftest.hpp"

#include <chrono>

#include "selftest/checks.hpp"

namespace lockstep {

std::unique_ptr<Session> selftest_session(const SelftestOptions& options, Registry& registry) {
  Recipe recipe;
  // Products in full float32, so that one tolerance holds for every device.
  recipe.device = {.name = options.device, .threads = options.threads, .tf32 = false};
  recipe.origin = "selftest";
  return std::make_unique<Session>(std::move(recipe), registry, true);
}

SelftestReport run_selftest(Session& session, const SelftestOptions& options) {
  Registry& registry = session.registry;
  CommunicationThread& communication = *session.communication;
  const auto begin = std::chrono::steady_clock::now();
  registry.find_model("resnet");  // opens plugins that bring ops and kernels, too
  session.device =
      make_device(session.recipe, registry, communication.local_rank(), communication.local_size());
  communication.attach(*session.device);
  const std::unique_ptr<Device> reference = registry.find_device("reference").make({});
  const SelftestSubject subject{registry, *session.device, *reference, options.quick, options.only};

  SelftestReport report{.device = session.device->description(),
                        .world_size = communication.world_size(),
                        .rows = {},
                        .figures = {},
                        .failures = {}};
  check_ops(subject, report);
  check_nans(subject, report);
  check_arena_kernels(subject, report);
  check_training(subject, report);
  check_all_reduce(subject, communication, report);
  check_memory(subject, report);
  if (report.rows.empty()) {
    fail(Failure::usage, "selftest --only ", options.only,
         ": no check has this in its name; expected an op such as conv2d, or NaN, optimizer, "
         "resnet18, all-reduce, broadcast or copies");
  }
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();

  std::vector<SelftestReport> reports;
  for (const std::string& text : communication.gather(report_json(report), "self-test"))
    reports.push_back(report_from_json(text));
  return merge_reports(reports);
}

}  // namespace lockstep
