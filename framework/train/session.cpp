#include "train/session.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <thread>

#include "base/host.hpp"
#include "base/log.hpp"
#include "base/patterns.hpp"
#include "base/text.hpp"
#include "ops/attributes.hpp"
#include "runtime/guard.hpp"
#include "train/data_fingerprint.hpp"
#include "train/site.hpp"

namespace lockstep {
namespace {

constexpr std::pair<std::string_view, DType> kPrecisions[] = {
    {"fp32", DType::f32}, {"bf16", DType::bf16}, {"fp16", DType::f16}};

DType precision_of(const Recipe& recipe) {
  for (const auto& [name, type] : kPrecisions) {
    if (name == recipe.train.precision) return type;
  }
  LS_ASSERT(false);  // the recipe's rule lets no other through
  return DType::f32;
}

// How long ranks other than 0 wait before they report an error, since rank 0 may be about to say
// the same and end all.
constexpr auto kRankZeroFirst = std::chrono::seconds(1);
// Before there is a communicator it is mpirun or srun that ends the others, within two seconds.
constexpr auto kLauncherFirst = std::chrono::seconds(3);

// Does what all processes do before they have a communicator. What is wrong with it is said by the
// launcher's first process, which ends the others.
template <class F>
auto first_process_speaks(const ProcessPlace& place, F&& action) {
  try {
    return action();
  } catch (const Error&) {
    if (place.rank != 0) std::this_thread::sleep_for(kLauncherFirst);
    throw;
  }
}

// Why the device cannot be made on this host, in one line; empty: it can.
std::string why_unusable(std::string_view device, Registry& registry) {
  try {
    const DeviceEntry& entry = registry.find_device(device);
    return entry.probe ? entry.probe().unusable : std::string();
  } catch (const Error& error) {  // no such plugin, or one that cannot be opened
    return error.what();
  }
}

// A network without its classifier gives features, for which there are no labels.
void require_logits(std::string_view model, Value logits, int64_t classes) {
  const Shape& shape = logits.shape();
  if (shape.rank() == 2 && shape[1] == classes) return;
  fail(Failure::usage, "model ", model, ": gives ", shape, "; the loss expects (N, ", classes,
       "), a logit per class; keep the model's classifier (model.include_top = true)");
}

bool computes_in(const Device& device, DType type) {
  return device.supports("conv2d", Attributes::of(Conv2dAttributes{}), type);
}

// Before anything starts.
void require_precision(const Recipe& recipe, const Device& device) {
  if (computes_in(device, precision_of(recipe))) return;
  std::vector<std::string> known;
  for (const auto& [name, type] : kPrecisions) {
    if (computes_in(device, type)) known.push_back(concat('"', name, '"'));
  }
  fail(Failure::usage, recipe.place("train.precision"), ": train.precision is \"",
       recipe.train.precision, "\", in which this device does not compute (", device.description(),
       "); expected ", list_words(known, " or "),
       "; change it, also with --set train.precision=fp32, or take another device.name");
}

}  // namespace

std::string communicator_name(const Recipe& recipe, Registry& registry) {
  if (recipe.communicator.name != "auto") return recipe.communicator.name;
  if (!process_place().among_ranks) return "local";
  return device_name(recipe, registry) == "cuda" ? "nccl" : "mpi";
}

std::string device_name(const Recipe& recipe, Registry& registry) {
  if (recipe.device.name != "auto") return recipe.device.name;
  const std::string reason = why_unusable("cuda", registry);
  if (reason.empty()) return "cuda";
  log::debug("device auto is cpu: " + reason);
  return "cpu";
}

std::unique_ptr<CommunicationThread> start_communication(const Recipe& recipe, Registry& registry) {
  raise_open_files();  // MPI has a connection to each rank
  const CommunicatorEntry& entry = registry.find_communicator(communicator_name(recipe, registry));
  const double timeout_seconds = recipe.communicator.timeout_seconds;
  // Called by the communication thread while this one waits for it.
  const auto make_host = [&registry, timeout_seconds] {
    return registry.find_communicator(process_place().among_ranks ? "mpi" : "local")
        .make({.timeout_seconds = timeout_seconds});
  };
  return std::make_unique<CommunicationThread>(
      [&] { return entry.make({.timeout_seconds = timeout_seconds, .make_host = make_host}); },
      timeout_seconds);
}

void require_common_memory(const Recipe& recipe, Registry& registry, const Device& device,
                           const CommunicationThread& communication) {
  const bool on_device = communication.stream_ordered();
  if (on_device != device.host_accessible()) return;
  if (communication.world_size() == 1 && !on_device) return;  // nothing is summed
  const std::string name = communicator_name(recipe, registry);
  fail(Failure::usage, recipe.place("communicator.name"), ": the communicator ", name, " sums ",
       on_device ? "on GPUs" : "in memory of the host", ", where the device ", device.name(),
       " has nothing; expected one that goes with the device; set communicator.name = \"",
       on_device ? "mpi" : "nccl", '"');
}

std::unique_ptr<Device> make_device(const Recipe& recipe, Registry& registry, int local_rank,
                                    int local_size, int threads) {
  if (recipe.device.threads > 0) threads = recipe.device.threads;
  auto device = registry.find_device(device_name(recipe, registry))
                    .make({.local_rank = local_rank,
                           .local_size = local_size,
                           .threads = threads,
                           .deterministic = recipe.device.deterministic,
                           .tf32 = recipe.device.tf32,
                           .autotune = recipe.device.autotune});
  require_precision(recipe, *device);
  return device;
}

PlanRequest plan_request(const Recipe& recipe, const OpenedData& data, Registry& registry) {
  PlanRequest request;
  request.image = data.image;
  request.mean = data.mean;
  request.std = data.std;
  const ModelEntry& entry = registry.find_model(recipe.model.name);
  const auto model_with = [&entry, classes = data.classes](Setting::Table options) {
    return [&entry, classes, options = std::move(options)](Scope scope, Value image) {
      ModelOutput output = entry.make(std::move(scope), image, classes, options);
      require_logits(entry.name, output.logits, classes);
      return output;
    };
  };
  request.model = model_with(recipe.model.options);
  if (entry.options->find("auxiliary") != nullptr) {
    Setting::Table options = recipe.model.options;
    std::erase_if(options, [](const Setting::Entry& e) { return e.key == "auxiliary"; });
    options.push_back({"auxiliary", {}, {true, {}}});
    request.model_with_auxiliary = model_with(std::move(options));
  }
  request.precision = precision_of(recipe);
  request.label_smoothing = recipe.train.label_smoothing;
  request.sync_batch_norm = recipe.train.sync_batch_norm;
  request.trainable = [frozen = NamePatterns(recipe.train.freeze)](std::string_view name) {
    return !frozen.covers(name);
  };
  request.bucket_bytes =
      std::max<int64_t>(std::llround(recipe.communicator.bucket_mib * (1 << 20)), 1);
  return request;
}

ParameterLayout parameter_layout(const PlanRequest& request, Mode mode, const Registry& registry,
                                 const Device& device) {
  PlanRequest of_mode = request;
  of_mode.mode = mode;
  // With two samples even a batch norm over single pixels has a variance.
  of_mode.batch_size = 2;
  // Of any precision the same: what it casts, and so the order of some gradients, plays no part.
  of_mode.precision = DType::f32;
  const Supports supports = [&device](std::string_view op, const Attributes& attributes) {
    return device.supports(op, attributes, DType::f32);
  };
  return layout_parameters(transform_graph(of_mode, registry.ops(), supports));
}

ExecutorOptions executor_options(const Recipe& recipe) {
  return {.record = recipe.device.capture,
          .travel_type = recipe.communicator.compression == "bf16" ? DType::bf16 : DType::f32};
}

int loader_workers(const Recipe& recipe, const Device& device) {
  if (recipe.data.workers >= 0) return recipe.data.workers;
  // Beside a GPU the rank's cores have nothing else to do but to feed it.
  if (!device.host_accessible()) return std::clamp(device.threads() - 1, 1, 32);
  constexpr int kMost = 8;
  return std::clamp(device.threads() / 4, 1, kMost);
}

Session::Session(Recipe r, Registry& all, bool quiet)
    : recipe(std::move(r)),
      registry(all),
      place(process_place()),
      communication(
          first_process_speaks(place, [&] { return start_communication(recipe, registry); })) {
  log::set_up(communication->rank(), quiet);
}

void Session::open(DataUse use) {
  const int rank = communication->rank();
  const bool with_others = use != DataUse::describe;  // otherwise a process of its own
  int threads = 0;
  if (with_others) {
    act_on(check_tasks(place, communication->world_size(), communicator_name(recipe, registry)),
           rank);
    const std::vector<Facts> ranks =
        gather_facts(site_facts(recipe, registry, *communication), *communication);
    act_on(compare_ranks(ranks), rank);
    require_equal(*communication, "recipe", resolved_text(recipe, registry));
    threads = share_of_cores(ranks, rank);
  }
  device = make_device(recipe, registry, communication->local_rank(), communication->local_size(),
                       threads);
  require_common_memory(recipe, registry, *device, *communication);
  communication->attach(*device);
  data = open_data(recipe, registry, use);
  if (with_others) {
    Facts facts = place_facts(*device);
    facts.merge(data_fingerprint(data));
    act_on(compare_ranks(gather_facts(facts, *communication)), rank);
  }
  if (recipe.data.on_bad_sample == "skip")
    bad_samples = std::make_shared<BadSamples>(recipe.data.max_bad_samples);
}

int run_on_ranks(Session& session, const std::function<int()>& work) {
  const auto end_all = [&session](const Error& error) {
    if (session.communication->world_size() == 1) {
      if (session.place.rank != 0) std::this_thread::sleep_for(kLauncherFirst);
      throw error;
    }
    if (!session.is_first()) std::this_thread::sleep_for(kRankZeroFirst);
    die(error, "", session.communication.get());
  };
  try {
    return work();
  } catch (const Error& error) {
    end_all(error);
  } catch (const std::bad_alloc&) {
    end_all(Error(Failure::other,
                  "out of memory; take a smaller batch or model, or a host with more memory"));
  } catch (const std::exception& error) {
    end_all(Error(Failure::other, error.what()));
  }
  return static_cast<int>(Failure::other);
}

Recipe load_recipe_on_ranks(const std::function<Recipe()>& load) {
  return first_process_speaks(process_place(), load);
}

}  // namespace lockstep
