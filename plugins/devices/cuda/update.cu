// Over whole arenas, once per step: the optimizer's update in one launch, the norm of the
// gradients, sums of arenas.
#include <algorithm>
#include <cstring>
#include <vector>

#include "device/functor_launches.hpp"
#include "device/simt_vector.hpp"
#include "kernels.hpp"
#include "own.hpp"
#include "plugin/twin.hpp"
#include "reduce.cuh"

namespace lockstep::cuda {
namespace {

using namespace simt;

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / static_cast<int>(kWarp);

// A segment's chunks follow each other.
std::vector<UpdateChunk> chunks_of(std::span<const UpdateSegment> segments) {
  std::vector<UpdateChunk> chunks;
  for (size_t i = 0; i < segments.size(); ++i) {
    const UpdateSegment& segment = segments[i];
    for (int64_t done = 0; done < segment.count; done += UpdateChunk::kMost) {
      const int64_t count = std::min<int64_t>(segment.count - done, UpdateChunk::kMost);
      chunks.push_back({segment.offset + done, static_cast<int32_t>(count), segment.group,
                        static_cast<int32_t>(i)});
    }
  }
  return chunks;
}

// The functors of all groups, one behind the other.
std::vector<std::byte> functors_of(std::span<const UpdateGroup> groups) {
  std::vector<std::byte> bytes;
  for (const UpdateGroup& group : groups) {
    const auto* const first = static_cast<const std::byte*>(group.optimizer->functor());
    bytes.insert(bytes.end(), first, first + group.optimizer->functor_bytes());
  }
  return bytes;
}

std::vector<float> multipliers_of(std::span<const UpdateGroup> groups) {
  std::vector<float> multipliers;
  for (const UpdateGroup& group : groups) multipliers.push_back(group.lr_multiplier);
  return multipliers;
}

// --- the norms of tensors, for optimizers that need them

struct Squares {
  double weight, gradient;
};

// A block per chunk.
__global__ void chunk_squares_kernel(const UpdateChunk* chunks, const float* w, const float* g,
                                     Squares* partial) {
  double* const warps = shared_array<double, kWarps>([] {});
  const UpdateChunk chunk = chunks[blockIdx.x];
  Squares sum{};
  for (int64_t i = threadIdx.x; i < chunk.count; i += kThreads) {
    const double weight = w[chunk.offset + i], gradient = g[chunk.offset + i];
    sum.weight += weight * weight;
    sum.gradient += gradient * gradient;
  }
  sum.weight = combine_block<kThreads>(sum.weight, warps, Sum());
  sum.gradient = combine_block<kThreads>(sum.gradient, warps, Sum());
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

// A warp per segment, whose chunks are [first[segment], first[segment + 1]).
__global__ void segment_norms_kernel(int64_t segments, const int32_t* first, const Squares* partial,
                                     const StepInfo* step, Norms* norms) {
  const int64_t segment = thread_number() / kWarp;
  const auto lane = static_cast<int32_t>(threadIdx.x % kWarp);
  if (segment >= segments) return;  // the whole warp
  Squares sum{};
  for (int32_t i = first[segment] + lane; i < first[segment + 1]; i += kWarp) {
    sum.weight += partial[i].weight;
    sum.gradient += partial[i].gradient;
  }
  sum.weight = combine_warp(sum.weight, Sum());
  sum.gradient = combine_warp(sum.gradient, Sum());
  if (lane != 0) return;
  norms[segment].weight = static_cast<float>(sqrt(sum.weight));
  norms[segment].gradient =
      static_cast<float>(sqrt(sum.gradient) * fabs(static_cast<double>(step->gradient_scale)));
}

std::vector<int32_t> first_chunks_of(std::span<const UpdateChunk> chunks, size_t segments) {
  std::vector<int32_t> first(segments + 1, 0);
  for (const UpdateChunk& chunk : chunks) ++first[static_cast<size_t>(chunk.segment) + 1];
  for (size_t i = 0; i < segments; ++i) first[i + 1] += first[i];
  return first;
}

// --- the update

bool any_needs_norms(std::span<const UpdateGroup> groups) {
  return std::any_of(groups.begin(), groups.end(),
                     [](const UpdateGroup& group) { return group.optimizer->needs_norms(); });
}

class UpdateKernel final : public Kernel {
 public:
  UpdateKernel(const UpdateRequest& request, LaunchUpdate launch_update)
      : name_(request.optimizer_name),
        launch_(launch_update),
        needs_norms_(any_needs_norms(request.groups)),
        segments_(static_cast<int64_t>(request.segments.size())),
        chunks_(chunks_of(request.segments)),
        device_chunks_(chunks_),
        first_chunks_(first_chunks_of(chunks_, request.segments.size())),
        functors_(functors_of(request.groups)),
        multipliers_(multipliers_of(request.groups)) {}

  void launch(const KernelArguments& arguments) override {
    UpdateCall call{.chunk_count = static_cast<int64_t>(chunks_.size()),
                    .chunks = device_chunks_.data(),
                    .functors = functors_.data(),
                    .lr_multipliers = multipliers_.data(),
                    .step = input<StepInfo>(arguments, 1),
                    .g = input(arguments, 0),
                    .w = output(arguments, 0)};
    for (size_t k = 1; k < arguments.outputs.size(); ++k) call.slots[k - 1] = output(arguments, k);
    if (needs_norms_) call.norms = launch_norms(call, arguments);
    launch_(call, arguments.stream);
  }
  int64_t workspace_bytes() const override {
    return needs_norms_ ? partial_bytes() + segments_ * static_cast<int64_t>(sizeof(Norms)) : 0;
  }
  std::string_view implementation() const override { return name_; }

 private:
  int64_t partial_bytes() const { return static_cast<int64_t>(chunks_.size() * sizeof(Squares)); }

  const Norms* launch_norms(const UpdateCall& call, const KernelArguments& arguments) {
    auto* const partial = static_cast<Squares*>(arguments.workspace);
    auto* const norms =
        reinterpret_cast<Norms*>(static_cast<std::byte*>(arguments.workspace) + partial_bytes());
    simt::launch(&chunk_squares_kernel,
                 {.blocks_x = static_cast<unsigned>(call.chunk_count), .threads_x = kThreads},
                 arguments.stream, call.chunks, static_cast<const float*>(call.w), call.g, partial);
    simt::launch(&segment_norms_kernel, grid_of_warps(segments_), arguments.stream, segments_,
                 first_chunks_.data(), static_cast<const Squares*>(partial), call.step, norms);
    return norms;
  }

  std::string name_;
  LaunchUpdate launch_;
  bool needs_norms_;
  int64_t segments_;
  std::vector<UpdateChunk> chunks_;
  Table<UpdateChunk> device_chunks_;
  Table<int32_t> first_chunks_;
  Table<std::byte> functors_;
  Table<float> multipliers_;
};

// --- the squared norm: a sum per block, then one block adds those

constexpr int64_t kMostPartialSums = 1024;

__global__ void squares_kernel(int64_t count, const float* x, double* partial) {
  double* const warps = shared_array<double, kWarps>([] {});
  double sum = 0;
  const int64_t fours = count / 4;
  for (int64_t i = thread_number(); i < fours; i += thread_count()) {
    const auto four = reinterpret_cast<const Pack<float, 4>*>(x)[i];
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      const double value = four.values[k];
      sum += value * value;
    }
  }
  for (int64_t i = 4 * fours + thread_number(); i < count; i += thread_count()) {
    const double value = x[i];
    sum += value * value;
  }
  sum = combine_block<kThreads>(sum, warps, Sum());
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

__global__ void add_partial_kernel(int64_t count, const double* partial, double* result) {
  double* const warps = shared_array<double, kWarps>([] {});
  double sum = 0;
  for (int64_t i = threadIdx.x; i < count; i += kThreads) sum += partial[i];
  sum = combine_block<kThreads>(sum, warps, Sum());
  if (threadIdx.x == 0) *result = sum;
}

template <bool keeps>
__global__ void accumulate_kernel(Elements elements, float keep, float add, const float* b,
                                  float* a) {
  if constexpr (keeps) {
    transform(
        elements, a,
        [=](Floats old, const Floats& other) {
#pragma unroll
          for (int k = 0; k < kVector; ++k) old[k] = keep * old[k] + add * other[k];
          return old;
        },
        static_cast<const float*>(a), b);
  } else {
    // The old value does not count, not even where it is infinite or no number.
    transform(
        elements, a,
        [=](Floats other) {
#pragma unroll
          for (int k = 0; k < kVector; ++k) other[k] *= add;
          return other;
        },
        b);
  }
}

}  // namespace

std::unique_ptr<Kernel> make_update_kernel(const UpdateRequest& request, LaunchUpdate launch) {
  return std::make_unique<UpdateKernel>(request, launch);
}

std::unique_ptr<Kernel> make_update_kernel(const UpdateRequest& request) {
  return make_update_kernel(
      request, find_update_launch(std::string(request.optimizer_plugin), request.optimizer_name));
}

std::unique_ptr<Kernel> make_squared_norm_kernel(int64_t count) {
  const int64_t wanted = (count + 16 * kThreads - 1) / (16 * kThreads);
  const int64_t blocks = std::clamp<int64_t>(wanted, 1, kMostPartialSums);
  return make_kernel(
      [count, blocks](const KernelArguments& a) {
        auto* const partial = static_cast<double*>(a.workspace);
        launch(&squares_kernel, {.blocks_x = static_cast<unsigned>(blocks), .threads_x = kThreads},
               a.stream, count, input(a, 0), partial);
        launch(&add_partial_kernel, {.threads_x = kThreads}, a.stream, blocks, partial,
               output<double>(a, 0));
      },
      "own", blocks * size_of(DType::f64));
}

std::unique_ptr<Kernel> make_accumulate_kernel(int64_t count, double keep, double add) {
  return make_kernel(
      [=](const KernelArguments& a) {
        launch(keep == 0 ? &accumulate_kernel<false> : &accumulate_kernel<true>,
               grid_for((count + kVector - 1) / kVector), a.stream, Elements{count},
               static_cast<float>(keep), static_cast<float>(add), input(a, 0), output(a, 0));
      },
      "own");
}

}  // namespace lockstep::cuda
