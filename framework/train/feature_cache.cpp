#include "train/feature_cache.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "base/log.hpp"
#include "base/text.hpp"
#include "data/loader.hpp"
#include "runtime/executor.hpp"
#include "train/plan_cache.hpp"

namespace lockstep {
namespace {

constexpr int64_t kBatch = 32;

// Pictures are looked at once, so nothing random may be done to them.
void require_fixed_pictures(const Recipe& recipe) {
  const auto same = [](const TransformSection& a, const TransformSection& b) {
    return a.name == b.name && Setting{a.options, {}}.text() == Setting{b.options, {}}.text();
  };
  const auto& train = recipe.data.train_transforms;
  const auto& evaluation = recipe.data.eval_transforms;
  if (std::equal(train.begin(), train.end(), evaluation.begin(), evaluation.end(), same)) return;
  fail(Failure::usage, recipe.place("data.cache_features"),
       ": data.cache_features: data.train_transforms differ from data.eval_transforms; expected "
       "the same, since each picture is looked at once; write the latter's into both");
}

}  // namespace

FeatureSet::FeatureSet(std::unique_ptr<Dataset> pictures, int64_t features)
    : pictures_(std::move(pictures)), spec_(pictures_->spec()) {
  spec_.image = {1, 1, features * size_of(DType::f32)};
  const auto size = static_cast<size_t>(pictures_->size());
  values_.resize(size * static_cast<size_t>(features));
  labels_.resize(size);
}

int64_t FeatureSet::read(int64_t index, Image& image) const {
  const int32_t label = labels_[static_cast<size_t>(index)];
  if (label < 0)
    fail(Failure::data, sample_name(index), ": has no features, for it cannot be read");
  const int64_t bytes = spec_.image.numel();
  image.resize(1, 1, static_cast<int>(bytes));
  const auto* const row = reinterpret_cast<const std::byte*>(values_.data()) + index * bytes;
  std::memcpy(image.data(), row, static_cast<size_t>(bytes));
  return label;
}

void FeatureSet::put(Slice slice, const float* rows, const int32_t* labels) {
  const auto width = static_cast<size_t>(features());
  std::copy_n(rows, static_cast<size_t>(slice.size()) * width,
              values_.begin() + slice.begin * features());
  std::copy_n(labels, slice.size(), labels_.begin() + slice.begin);
}

void FeatureSet::gather(CommunicationThread& communication) {
  if (communication.world_size() == 1) return;
  const auto part = [&](int rank) {
    return part_of({0, size()}, rank, communication.world_size());
  };
  const auto bytes_of = [&](Slice slice, const auto& all, int64_t width) {
    const auto* const data = reinterpret_cast<const char*>(all.data() + slice.begin * width);
    return std::string(data, static_cast<size_t>(slice.size() * width) * sizeof all[0]);
  };
  const Slice mine = part(communication.rank());
  const auto rows =
      communication.gather(bytes_of(mine, values_, features()), "features of a frozen network");
  const auto labels = communication.gather(bytes_of(mine, labels_, 1), "labels of features");
  for (int rank = 0; rank < communication.world_size(); ++rank) {
    const auto number = static_cast<size_t>(rank);
    put(part(rank), reinterpret_cast<const float*>(rows[number].data()),
        reinterpret_cast<const int32_t*>(labels[number].data()));
  }
}

FeatureCache::FeatureCache(Session& session, PlanRequest& request)
    : session_(session), pictures_(request) {
  if (session.bad_samples) {
    // The cache says which pictures are bad and why. The session counts those that training misses.
    bad_samples_ = std::exchange(
        session.bad_samples,
        std::make_shared<BadSamples>(session.recipe.data.max_bad_samples, BadSamples::Warn::never));
  }
  require_fixed_pictures(session.recipe);
  request.features = count_features(request, session.registry.ops());
  try {
    transform_graph(request, session.registry.ops(),
                    [](std::string_view, const Attributes&) { return false; });
  } catch (Error& error) {
    throw error.add_context(session.recipe.place("data.cache_features") + ": data.cache_features");
  }
  OpenedData& data = session.data;
  for (std::unique_ptr<Dataset>* set : {&data.train, &data.validation, &data.test}) {
    if (*set == nullptr) continue;
    auto features = std::make_unique<FeatureSet>(std::move(*set), request.features);
    sets_.push_back(features.get());
    *set = std::move(features);
  }
  transforms_ = std::move(data.eval_transforms);
  data.train_transforms.clear();
  data.eval_transforms.clear();
}

void FeatureCache::fill(State& state) {
  const auto began = std::chrono::steady_clock::now();
  PlanCache plans(pictures_, session_.registry, *session_.device, state.layout);
  Executor executor(*session_.device, state, *session_.communication,
                    executor_options(session_.recipe));
  Plan& plan = plans.get(executor, Mode::evaluation, kBatch);
  int64_t samples = 0, bytes = 0;
  for (FeatureSet* set : sets_) {
    fill_set(*set, plan, executor);
    samples += set->size();
    bytes += set->size() * set->spec().image.numel();
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  if (!session_.is_first()) return;
  log::info(fmt::format("features of {} pictures computed in {}, kept in {} per rank",
                        count_text(samples), duration_text(took.count()), bytes_text(bytes)));
}

void FeatureCache::fill_set(FeatureSet& set, Plan& plan, Executor& executor) {
  CommunicationThread& communication = *session_.communication;
  const Slice mine = part_of({0, set.size()}, communication.rank(), communication.world_size());
  const std::vector<Slice> slices = cut_into_batches(mine, kBatch);
  Loader loader(set.pictures(), transforms_,
                {.seed = session_.recipe.seed,
                 .workers = loader_workers(session_.recipe, *session_.device),
                 .capacity = kBatch,
                 .class_weights = {},
                 .bad_samples = bad_samples_},
                *session_.device);
  loader.start(0, sample_order(set.size(), false, 0, 0), slices);
  for (const Slice& slice : slices) {
    const Batch batch = loader.next();
    executor.evaluate(plan, batch);
    const std::vector<float> rows = executor.output(plan, Role::features);
    std::vector<int32_t> labels(batch.labels, batch.labels + slice.size());
    for (size_t n = 0; n < labels.size(); ++n) {
      if (batch.weights[n] == 0) labels[n] = -1;
    }
    set.put(slice, rows.data(), labels.data());
    loader.release(batch);
  }
  set.gather(communication);
}

}  // namespace lockstep
