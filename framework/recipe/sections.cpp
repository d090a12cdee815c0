// What each key of a recipe means and which values it takes: the only place where this is written.
#include "recipe/sections.hpp"

#include <algorithm>

#include "recipe/keys.hpp"

namespace lockstep {
namespace detail {

// A transform is a table whose keys, but for the name, are its plugin's.
template <>
struct OptionCodec<TransformSection> {
  static std::string type() { return "{ name = …, options }"; }

  static void read(TransformSection& out, const Setting& setting) {
    out = {};
    out.where = setting.where;
    bool named = false;
    for (const Setting::Entry& entry : read_table(setting)) {
      if (entry.key == "name") {
        out.name = read_string(entry.value);
        named = true;
      } else {
        out.options.push_back(entry);
      }
    }
    if (!named) {
      fail(Failure::usage, setting.where,
           ": found a transform without a name; expected one such as "
           "{ name = \"horizontal_flip\" }");
    }
  }

  static Setting write(const TransformSection& transform) {
    Setting::Table table{{"name", {}, {transform.name, {}}}};
    table.insert(table.end(), transform.options.begin(), transform.options.end());
    return {std::move(table), transform.where};
  }
};

}  // namespace detail

namespace {

Rule fraction_below_1() {
  return {"at least 0 and less than 1",
          [in_range = between(0, 1)](const Setting& s) {
            const bool is_one = s.text() == "1" || s.text() == "1.0";
            return in_range.accepts(s) && !is_one;
          },
          {}};
}

}  // namespace

static void describe(Options<Recipe>& o) {
  o("seed", &Recipe::seed, "of everything random: initialisation, order, augmentation, dropout");
}

static void describe(Options<ModelSection>& o) {
  o("name", &ModelSection::name, "the model, see `lockstep list models`; required");
}

static void describe(Options<InitSection>& o) {
  using S = InitSection;
  o("weights", &S::weights, "a .pth, .safetensors or checkpoint file to begin with");
  o("strict", &S::strict, "weights must fit in every tensor; false: take those that do");
  o("replace_head", &S::replace_head,
    "draw the classifier anew; done in any case where weights are for other classes");
  o("scheme", &S::scheme, "how weights are drawn", one_of("he", "normal"));
  o("std", &S::std, "standard deviation of the scheme \"normal\"", positive());
}

static void describe(Options<DataSection>& o) {
  using S = DataSection;
  o("name", &S::name, "the dataset, see `lockstep list datasets`; required");
  o("path", &S::path, "its files: as given, else under $LOCKSTEP_DATA without a leading data/");
  o("shuffle", &S::shuffle, "a new order each epoch; false: file order");
  o("drop_last", &S::drop_last, "leave out an epoch's last step where it is smaller");
  o("workers", &S::workers, "threads per rank that read and augment; -1: chosen", at_least(0));
  o("train_transforms", &S::train_transforms, "changes of training pictures, in order");
  o("eval_transforms", &S::eval_transforms, "changes of pictures in evaluation, in order");
  o("mean", &S::mean, "per channel, subtracted from pixels scaled to [0, 1]; empty: 0");
  o("std", &S::std, "per channel, divides after the mean is subtracted; empty: 1", positive());
  o("validation_fraction", &S::validation_fraction,
    "part of the training split, fixed by the seed, that is evaluated on in place of the test "
    "split",
    fraction_below_1());
  o("cache_features", &S::cache_features,
    "compute what a frozen network makes of each picture once and keep it in memory");
  o("on_bad_sample", &S::on_bad_sample,
    "where a sample cannot be decoded: fail, or skip it with a warning: it counts neither in the "
    "loss, which is still divided by the whole batch, nor in metrics",
    one_of("fail", "skip"));
  o("max_bad_samples", &S::max_bad_samples,
    "different samples that may be skipped, counted by each rank; more end the run", at_least(0));
  o("class_weights", &S::class_weights,
    "weights in the training loss; balanced: samples / (classes * samples of the class)",
    one_of("none", "balanced"));
}

static void describe(Options<TrainSection>& o) {
  using S = TrainSection;
  o("epochs", &S::epochs, "passes over the training data; -1: not set", at_least(1));
  o("max_steps", &S::max_steps,
    "end after so many steps; 0: save the initial parameters; -1: not set", at_least(0));
  o("max_seconds", &S::max_seconds, "end after so much training time; -1: not set", positive());
  o("global_batch_size", &S::global_batch_size, "samples per step over all ranks", at_least(1));
  o("gradient_accumulation", &S::gradient_accumulation,
    "shards that each rank computes one after the other in a step", at_least(1));
  o("auto_accumulate", &S::auto_accumulate,
    "more of them where the device's memory asks for it; all ranks take the same number");
  o("label_smoothing", &S::label_smoothing, "part of the target spread over all classes",
    fraction_below_1());
  o("clip_grad_norm", &S::clip_grad_norm, "largest norm of the whole gradient; 0: off",
    at_least(0));
  o("sync_batch_norm", &S::sync_batch_norm, "batch norm over all ranks' samples");
  o("precision", &S::precision,
    "what convolutions, linear layers and activations are computed in; parameters, moments and the "
    "loss are fp32 always",
    one_of("fp32", "bf16", "fp16"));
  o("loss_scale", &S::loss_scale,
    "fp16: the loss times this keeps small gradients; 0: found while training", at_least(0));
  o("freeze", &S::freeze,
    "parameters that are not trained: \"layer1\" with all below it, \"*\", \"!fc\" for not fc");
  o("early_stopping_patience", &S::early_stopping_patience,
    "end after so many evaluations without a better checkpoint.best_metric; 0: off", at_least(0));
  o("log_every_steps", &S::log_every_steps, "steps per line of metrics.jsonl", at_least(1));
  o("profile", &S::profile, "time every launch and print a table at the end");
}

static void describe(Options<EvaluationSection>& o) {
  o("every_epochs", &EvaluationSection::every_epochs,
    "epochs between evaluations; 0: at the end alone", at_least(0));
}

static void describe(Options<DeviceSection>& o) {
  o("name", &DeviceSection::name,
    "the device, see `lockstep list devices`; auto: cuda where there is a GPU, else cpu");
  o("threads", &DeviceSection::threads, "compute threads per rank; 0: its share of the cores",
    at_least(0));
  o("deterministic", &DeviceSection::deterministic,
    "cuda: only algorithms that give equal bits for equal inputs");
  o("tf32", &DeviceSection::tf32,
    "cuda: products of float32 in TF32, with 10 bits of mantissa on tensor cores");
  o("autotune", &DeviceSection::autotune, "cuda: measure several algorithms and take the fastest");
  o("capture", &DeviceSection::capture,
    "where the device can, record what it runs between sums over ranks and replay it");
}

static void describe(Options<CommunicatorSection>& o) {
  using S = CommunicatorSection;
  o("name", &S::name,
    "how ranks talk; auto: local, or when started by mpirun or srun mpi, on cuda nccl");
  o("bucket_mib", &S::bucket_mib, "gradients that are reduced together, in MiB", positive());
  o("timeout_seconds", &S::timeout_seconds, "without progress for so long, the run ends",
    positive());
  o("compression", &S::compression,
    "of gradients on their way between ranks; bf16: half the bytes, sums rounded to 8 bits",
    one_of("none", "bf16"));
}

static void describe(Options<CheckpointSection>& o) {
  using S = CheckpointSection;
  o("every_epochs", &S::every_epochs, "epochs between checkpoints; 0: not by epochs", at_least(0));
  o("every_steps", &S::every_steps, "steps between checkpoints; 0: not by steps", at_least(0));
  o("keep", &S::keep, "newest checkpoints to keep beside the best; 0: all", at_least(0));
  o("best_metric", &S::best_metric, "what best.h5 and early stopping go by",
    one_of("top1", "top5", "loss"));
}

static void describe(Options<OptimizerGroup>& o) {
  using S = OptimizerGroup;
  o("parameters", &S::parameters, "patterns of names, as in train.freeze");
  o("lr_multiplier", &S::lr_multiplier, "of the learning rate", at_least(0));
  o("weight_decay_multiplier", &S::weight_decay_multiplier, "of optimizer.weight_decay",
    at_least(0));
}

static void describe(Options<OptimizerSection>& o) {
  using S = OptimizerSection;
  o("name", &S::name, "the optimizer, see `lockstep list optimizers`");
  o("lr", &S::lr, "learning rate: the peak, which the schedule shapes", at_least(0));
  o("lr_reference_batch", &S::lr_reference_batch,
    "lr is for this batch and grows with the global batch; 0: lr as it is", at_least(0));
  o("decay_norm_and_bias", &S::decay_norm_and_bias, "weight decay on norms and biases too");
  o("groups", &S::groups, "parameters with multipliers of their own; the first that fits holds");
}

static void describe(Options<ScheduleSection>& o) {
  o("name", &ScheduleSection::name, "the schedule, see `lockstep list schedules`");
}

void describe(Options<ScheduleSettings>& o) {
  using S = ScheduleSettings;
  o("warmup_epochs", &S::warmup_epochs, "epochs in which the rate rises linearly", at_least(0));
  o("step_epochs", &S::step_epochs, "step: epochs between multiplications by gamma", positive());
  o("milestones", &S::milestones, "multi_step: epochs after which to multiply by gamma",
    at_least(0));
  o("gamma", &S::gamma, "step and multi_step: the factor", positive());
  o("final_lr", &S::final_lr, "cosine, one_cycle and polynomial: where the rate ends", at_least(0));
}

std::vector<Section> sections_of(Recipe& r) {
  const auto target = []<class S>(S& section) { return OptionTarget{&options_of<S>(), &section}; };
  using Names = std::string_view;
  return {
      {"", {target(r)}},
      {"model",
       {target(r.model)},
       &r.model.name,
       &r.model.options,
       [](Registry& g, Names n) -> const OptionTable& { return *g.find_model(n).options; }},
      {"init", {target(r.init)}},
      {"data",
       {target(r.data)},
       &r.data.name,
       &r.data.options,
       [](Registry& g, Names n) -> const OptionTable& { return *g.find_dataset(n).options; }},
      {"train", {target(r.train)}},
      {"optimizer",
       {target(r.optimizer)},
       &r.optimizer.name,
       &r.optimizer.options,
       [](Registry& g, Names n) -> const OptionTable& { return *g.find_optimizer(n).options; }},
      {"schedule",
       {target(r.schedule), target(static_cast<ScheduleSettings&>(r.schedule))},
       &r.schedule.name,
       &r.schedule.options,
       [](Registry& g, Names n) -> const OptionTable& { return *g.find_schedule(n).options; }},
      {"evaluation", {target(r.evaluation)}},
      {"checkpoint", {target(r.checkpoint)}},
      {"device", {target(r.device)}},
      {"communicator", {target(r.communicator)}},
  };
}

Setting::Table complete_options(const OptionTable& table, const Setting::Table& given,
                                std::string_view section) {
  const std::shared_ptr<void> object = table.create();
  const OptionTarget target{&table, object.get()};
  read_options(std::span(&target, 1), given, section);
  return table.write(object.get());
}

const std::vector<SectionKeys>& recipe_sections() {
  static const std::vector<SectionKeys> sections = [] {
    Recipe recipe;
    std::vector<SectionKeys> result;
    for (const Section& section : sections_of(recipe)) {
      SectionKeys keys{std::string(section.name), {}};
      for (const OptionTarget& target : section.targets) keys.tables.push_back(target.table);
      result.push_back(std::move(keys));
    }
    return result;
  }();
  return sections;
}

std::vector<std::string> framework_keys(std::string_view section) {
  if (section == "transform") return {"name"};
  std::vector<std::string> keys;
  for (const SectionKeys& candidate : recipe_sections()) {
    if (candidate.name != section) continue;
    for (const OptionTable* table : candidate.tables) {
      for (const OptionSpec& spec : table->specs()) keys.push_back(spec.name);
    }
  }
  return keys;
}

}  // namespace lockstep
