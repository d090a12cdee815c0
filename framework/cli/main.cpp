// The command `lockstep`. Exit codes: see Failure in base/error.hpp; 75 after a signal was
// honoured.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <new>

#include "base/error.hpp"
#include "base/text.hpp"
#include "base/versions.hpp"
#include "cli/command.hpp"
#include "plugin/registry.hpp"

namespace {
using namespace lockstep;

constexpr int kExitUsage = static_cast<int>(Failure::usage);
constexpr int kExitOther = static_cast<int>(Failure::other);

// Devices and communicators say in their help which libraries they use.
std::string versions() {
  std::string text = fmt::format("lockstep {}\n", lockstep_version());
  for (const Version& library : library_versions()) {
    text += fmt::format("  {:<14} {}\n", library.name, library.version);
  }
  text += fmt::format("  {:<14} {}\n", "CLI11", CLI11_VERSION);
  Registry registry;
  std::vector<std::string> refused;
  for (const Registry::Listed& item : registry.list_all(&refused)) {
    if (item.kind != Kind::device && item.kind != Kind::communicator) continue;
    text += fmt::format("  {} {}: {}\n", name(item.kind), item.name, item.help);
  }
  text.pop_back();
  return text;
}

int run(int argc, char** argv) {
  CLI::App app{"Trains image classifiers data-parallel, as a recipe describes"};
  app.name("lockstep");
  app.set_version_flag("--version", versions, "Print the versions of Lockstep and its libraries");
  app.footer(
      "Exit codes: 0 done; 2 usage or recipe; 3 data; 4 checkpoint or weights; 5 device or "
      "communicator;\n75 stopped by a signal after saving; 1 anything else.");
  Context context;
  add_commands(app, context);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    // --help and --version come here too; the codes of what is wrong are 100 and more.
    if (e.get_exit_code() == 0) return app.exit(e);
    std::vector<std::string> known;
    for (const CLI::App* command : app.get_subcommands({})) known.push_back(command->get_name());
    const bool given = argc > 1 && argv[1][0] != '-' && app.get_subcommands().empty();
    fmt::print(stderr, "lockstep: {}{}; see --help\n", e.what(),
               given ? did_you_mean(argv[1], known) : "");
    return kExitUsage;
  }
  if (!context.run) {
    fmt::print(stderr, "{}", app.help());
    return kExitUsage;
  }
  return context.run();
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const Error& e) {
    fmt::print(stderr, "lockstep: {}\n", e.what());
    return e.exit_code();
  } catch (const std::bad_alloc&) {
    std::fputs(
        "lockstep: out of memory; take a smaller batch or model, or a host with more memory\n",
        stderr);
  } catch (const std::exception& e) {
    fmt::print(stderr, "lockstep: {}\n", e.what());
  }
  return kExitOther;
}
