// The kernels that run once per step over whole arenas: the optimizer's update, the norm of the
// gradients, sums of arenas.
#include <array>
#include <cmath>
#include <optional>
#include <vector>

#include "device/host_device.hpp"

namespace lockstep {
namespace {

// Ranges of an arena that one thread works on begin at multiples of this many elements.
constexpr int64_t kGrain = 4096;

// Eight running sums, so that the processor need not wait for one addition after the other.
double sum_of_squares(const float* x, int64_t count) {
  std::array<double, 8> sums{};
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    for (int64_t k = 0; k < 8; ++k) {
      const double value = x[i + k];
      sums[static_cast<size_t>(k)] += value * value;
    }
  }
  for (; i < count; ++i) sums[0] += static_cast<double>(x[i]) * x[i];
  double sum = 0;
  for (double part : sums) sum += part;
  return sum;
}

// The norms of every segment: partial sums of fixed chunks, added in order, so that the result does
// not depend on the number of threads.
class SegmentNorms {
 public:
  explicit SegmentNorms(std::span<const UpdateSegment> segments) : norms_(segments.size()) {
    for (size_t i = 0; i < segments.size(); ++i) {
      for (int64_t at = 0; at < segments[i].count; at += kGrain) {
        chunks_.push_back({i, segments[i].offset + at, std::min(kGrain, segments[i].count - at)});
      }
    }
    partial_.resize(chunks_.size());
  }

  const std::vector<Norms>& compute(HostDevice& device, const float* w, const float* g,
                                    float gradient_scale) {
    device.parallel_for(static_cast<int64_t>(chunks_.size()), 1, [&](int64_t begin, int64_t end) {
      for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
        const Chunk& chunk = chunks_[i];
        partial_[i] = {sum_of_squares(w + chunk.offset, chunk.count),
                       sum_of_squares(g + chunk.offset, chunk.count)};
      }
    });
    std::fill(norms_.begin(), norms_.end(), Norms{});
    for (size_t i = 0; i < chunks_.size();) {
      const size_t segment = chunks_[i].segment;
      Squares sum{};
      for (; i < chunks_.size() && chunks_[i].segment == segment; ++i) {
        sum.weight += partial_[i].weight;
        sum.gradient += partial_[i].gradient;
      }
      norms_[segment] = {static_cast<float>(std::sqrt(sum.weight)),
                         static_cast<float>(std::sqrt(sum.gradient) * std::fabs(gradient_scale))};
    }
    return norms_;
  }

 private:
  struct Chunk {
    size_t segment;
    int64_t offset;  // in the arena
    int64_t count;
  };
  struct Squares {
    double weight = 0, gradient = 0;
  };
  std::vector<Chunk> chunks_;  // of all segments, in order
  std::vector<Squares> partial_;
  std::vector<Norms> norms_;
};

// Walks the segments as if they lay end to end, so that threads get equal shares however the sizes
// differ.
class UpdateKernel final : public Kernel {
 public:
  UpdateKernel(const UpdateRequest& request, HostDevice& device)
      : device_(device),
        name_(request.optimizer_name),
        groups_(request.groups.begin(), request.groups.end()),
        segments_(request.segments.begin(), request.segments.end()) {
    starts_.reserve(segments_.size());
    for (const UpdateSegment& segment : segments_) {
      starts_.push_back(total_);
      total_ += segment.count;
    }
    int slots = 0;
    bool needs_norms = false;
    for (const UpdateGroup& group : groups_) {
      slots = std::max(slots, group.optimizer->slots());
      needs_norms = needs_norms || group.optimizer->needs_norms();
    }
    slots_.resize(static_cast<size_t>(slots));
    norms_.resize(segments_.size());
    if (needs_norms) segment_norms_.emplace(segments_);
  }

  void launch(const KernelArguments& arguments) override {
    const float* g = input(arguments, 0);
    const StepInfo step = *input<StepInfo>(arguments, 1);
    float* w = output(arguments, 0);
    for (size_t k = 0; k < slots_.size(); ++k) slots_[k] = output(arguments, k + 1);
    if (segment_norms_) norms_ = segment_norms_->compute(device_, w, g, step.gradient_scale);
    device_.parallel_for(total_, kGrain,
                         [&](int64_t begin, int64_t end) { update_range(step, w, g, begin, end); });
  }
  std::string_view implementation() const override { return name_; }

 private:
  void update_range(const StepInfo& step, float* w, const float* g, int64_t begin,
                    int64_t end) const {
    const auto after = std::upper_bound(starts_.begin(), starts_.end(), begin);
    for (auto i = static_cast<size_t>(after - starts_.begin()) - 1; i < segments_.size(); ++i) {
      if (starts_[i] >= end) break;
      const UpdateSegment& segment = segments_[i];
      const UpdateGroup& group = groups_[static_cast<size_t>(segment.group)];
      StepInfo group_step = step;
      group_step.lr *= group.lr_multiplier;
      const int64_t first = std::max(begin - starts_[i], int64_t{0});
      const int64_t last = std::min(end - starts_[i], segment.count);
      group.optimizer->update(group_step, norms_[i], w, g, slots_.data(), segment.offset + first,
                              segment.offset + last);
    }
  }

  HostDevice& device_;
  std::string name_;
  std::vector<UpdateGroup> groups_;
  std::vector<UpdateSegment> segments_;
  std::vector<int64_t> starts_;  // of each segment, were all laid end to end
  int64_t total_ = 0;
  std::vector<float*> slots_;
  std::optional<SegmentNorms> segment_norms_;  // where the optimizer needs them
  std::vector<Norms> norms_;                   // of each segment
};

}  // namespace

std::unique_ptr<Kernel> HostDevice::prepare_update(const UpdateRequest& request) {
  return std::make_unique<UpdateKernel>(request, *this);
}

std::unique_ptr<Kernel> HostDevice::prepare_squared_norm(int64_t count) {
  // One partial sum per chunk, added in order: the result does not depend on the number of threads.
  const int64_t chunks = (count + kGrain - 1) / kGrain;
  const auto launch = [this, count, chunks](const KernelArguments& arguments) {
    const float* g = input(arguments, 0);
    auto* partial = static_cast<double*>(arguments.workspace);
    parallel_for(chunks, 1, [=](int64_t begin, int64_t end) {
      for (int64_t chunk = begin; chunk < end; ++chunk) {
        const int64_t first = chunk * kGrain;
        partial[chunk] = sum_of_squares(g + first, std::min(kGrain, count - first));
      }
    });
    double sum = 0;
    for (int64_t chunk = 0; chunk < chunks; ++chunk) sum += partial[chunk];
    *output<double>(arguments, 0) = sum;
  };
  return make_kernel(launch, "loop", chunks * size_of(DType::f64));
}

std::unique_ptr<Kernel> HostDevice::prepare_accumulate(int64_t count, double keep, double add) {
  const auto launch = [this, count, keep = static_cast<float>(keep),
                       add = static_cast<float>(add)](const KernelArguments& arguments) {
    float* a = output(arguments, 0);
    const float* b = input(arguments, 0);
    parallel_for(count, kGrain, [=](int64_t begin, int64_t end) {
      // With keep 0 the old value does not count, not even where it is infinite or no number.
      for (int64_t i = begin; i < end; ++i) a[i] = (keep == 0 ? 0 : keep * a[i]) + add * b[i];
    });
  };
  return make_kernel(launch);
}

}  // namespace lockstep
