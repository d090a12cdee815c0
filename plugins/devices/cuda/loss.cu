// Softmax cross-entropy with label smoothing and per-sample weights, and the counts that make up
// accuracies. A block takes a sample; what is summed over samples is summed by one block, in a
// fixed order.
//
// Label smoothing: Szegedy et al., arXiv:1512.00567, section 7.
#include "kernels.hpp"
#include "ops/attributes.hpp"
#include "own.hpp"
#include "reduce.cuh"
#include "requests.hpp"

namespace lockstep::cuda {
namespace {

using namespace simt;

constexpr int kThreads = 128;
constexpr int kWarps = kThreads / static_cast<int>(kWarp);

// A row of logits -> its probabilities and its loss. A label outside of the classes gives NaN.
__global__ void softmax_kernel(int64_t classes, float smoothing, const float* logits,
                               const int32_t* labels, float* losses, float* probabilities) {
  float* const partial = shared_array<float, kWarps>([] {});
  const float* const row = logits + blockIdx.x * classes;
  float* const result = probabilities + blockIdx.x * classes;

  float most = row[0];
  for (int64_t k = threadIdx.x; k < classes; k += kThreads) most = Maximum()(most, row[k]);
  most = combine_block<kThreads>(most, partial, Maximum());

  float sum = 0, logits_sum = 0;
  for (int64_t k = threadIdx.x; k < classes; k += kThreads) {
    const float e = expf(row[k] - most);
    result[k] = e;
    sum += e;
    logits_sum += row[k] - most;
  }
  sum = combine_block<kThreads>(sum, partial, Sum());
  logits_sum = combine_block<kThreads>(logits_sum, partial, Sum());
  // Each thread divides what it wrote itself.
  for (int64_t k = threadIdx.x; k < classes; k += kThreads) result[k] /= sum;

  if (threadIdx.x != 0) return;
  const int32_t label = labels[blockIdx.x];
  if (label < 0 || label >= classes) {
    losses[blockIdx.x] = NAN;
    return;
  }
  const float log_sum = logf(sum);
  const float nll = log_sum - (row[label] - most);
  const float mean_nll = log_sum - logits_sum / static_cast<float>(classes);
  losses[blockIdx.x] = (1 - smoothing) * nll + smoothing * mean_nll;
}

// loss <- sum of weight * loss; one block. A sample without weight does not count, whatever its
// loss.
__global__ void weighted_sum_kernel(int64_t samples, const float* weights, const float* losses,
                                    float* loss) {
  double* const partial = shared_array<double, kWarps>([] {});
  double sum = 0;
  for (int64_t n = threadIdx.x; n < samples; n += kThreads) {
    if (weights[n] != 0) sum += static_cast<double>(weights[n]) * losses[n];
  }
  sum = combine_block<kThreads>(sum, partial, Sum());
  if (threadIdx.x == 0) *loss = static_cast<float>(sum);
}

// logits, labels, weights -> loss, losses, probabilities
std::unique_ptr<Kernel> make_softmax(const KernelRequest& request, CudaDevice&) {
  require_dtype(request, request.inputs[0], DType::f32);
  const int64_t samples = request.inputs[0].shape[0], classes = request.inputs[0].shape[1];
  const auto smoothing =
      static_cast<float>(request.attributes.as<SoftmaxCrossEntropyAttributes>().label_smoothing);
  return make_kernel(
      [=](const KernelArguments& a) {
        launch(&softmax_kernel, {.blocks_x = static_cast<unsigned>(samples), .threads_x = kThreads},
               a.stream, classes, smoothing, input(a, 0), input<int32_t>(a, 1), output(a, 1),
               output(a, 2));
        launch(&weighted_sum_kernel, {.threads_x = kThreads}, a.stream, samples, input(a, 2),
               output(a, 1), output(a, 0));
      },
      "own");
}

struct SmoothTargets {
  float label, others;  // the target of the label's class and of the others
};

// d_logits <- d_loss * weight * (probability - target)
__global__ void softmax_grad_kernel(int64_t samples, int64_t classes, SmoothTargets targets,
                                    const float* probabilities, const int32_t* labels,
                                    const float* weights, const float* d_loss, float* d_logits) {
  for (int64_t i = thread_number(); i < samples * classes; i += thread_count()) {
    const int64_t n = i / classes;
    const float weight = weights[n];
    const float target = i % classes == labels[n] ? targets.label : targets.others;
    d_logits[i] = weight == 0 ? 0.0f : *d_loss * weight * (probabilities[i] - target);
  }
}

// probabilities, labels, weights, d_loss -> d_logits
std::unique_ptr<Kernel> make_softmax_grad(const KernelRequest& request, CudaDevice&) {
  require_dtype(request, request.inputs[0], DType::f32);
  const int64_t samples = request.inputs[0].shape[0], classes = request.inputs[0].shape[1];
  const double smoothing = request.attributes.as<SoftmaxCrossEntropyAttributes>().label_smoothing;
  const double others = smoothing / static_cast<double>(classes);
  const SmoothTargets targets{static_cast<float>(1 - smoothing + others),
                              static_cast<float>(others)};
  return make_kernel(
      [=](const KernelArguments& a) {
        launch(&softmax_grad_kernel, grid_for(samples * classes), a.stream, samples, classes,
               targets, input(a, 0), input<int32_t>(a, 1), input(a, 2), input(a, 3), output(a, 0));
      },
      "own");
}

// ranks[n] <- how many classes stand before the label; `classes` where the label's logit is NaN.
// Another class's NaN stands before every number, as in PyTorch's topk.
__global__ void rank_kernel(int32_t classes, const float* logits, const int32_t* labels,
                            int32_t* ranks) {
  int32_t* const partial = shared_array<int32_t, kWarps>([] {});
  const float* const row = logits + static_cast<int64_t>(blockIdx.x) * classes;
  const int32_t label = labels[blockIdx.x];
  const bool inside = label >= 0 && label < classes;
  const float of_label = inside ? row[label] : NAN;
  int32_t before = 0;
  for (int32_t k = static_cast<int32_t>(threadIdx.x); k < classes; k += kThreads) {
    const bool ahead = !(row[k] <= of_label) || (row[k] == of_label && k < label);
    before += ahead ? 1 : 0;
  }
  // With NaN no comparison holds: every class stands before the label.
  before = combine_block<kThreads>(before, partial, Sum());
  if (threadIdx.x == 0) ranks[blockIdx.x] = before;
}

// The five metrics; one block.
__global__ void metrics_kernel(int64_t samples, int32_t classes, const int32_t* ranks,
                               const float* weights, const float* losses, double* metrics) {
  double* const partial = shared_array<double, kWarps>([] {});
  double sums[5] = {};
  for (int64_t n = threadIdx.x; n < samples; n += kThreads) {
    if (weights[n] == 0) continue;
    sums[0] += static_cast<double>(weights[n]) * losses[n];
    sums[1] += weights[n];
    sums[2] += ranks[n] < (classes < 1 ? classes : 1) ? 1 : 0;
    sums[3] += ranks[n] < (classes < 5 ? classes : 5) ? 1 : 0;
    sums[4] += 1;
  }
#pragma unroll
  for (int k = 0; k < 5; ++k) {
    const double sum = combine_block<kThreads>(sums[k], partial, Sum());
    if (threadIdx.x == 0) metrics[k] = sum;
  }
}

// logits, labels, weights, losses -> metrics f64 (5)
std::unique_ptr<Kernel> make_metrics(const KernelRequest& request, CudaDevice&) {
  require_dtype(request, request.inputs[0], DType::f32);
  const int64_t samples = request.inputs[0].shape[0];
  const auto classes = static_cast<int32_t>(request.inputs[0].shape[1]);
  return make_kernel(
      [=](const KernelArguments& a) {
        auto* const ranks = static_cast<int32_t*>(a.workspace);
        launch(&rank_kernel, {.blocks_x = static_cast<unsigned>(samples), .threads_x = kThreads},
               a.stream, classes, input(a, 0), input<int32_t>(a, 1), ranks);
        launch(&metrics_kernel, {.threads_x = kThreads}, a.stream, samples, classes, ranks,
               input(a, 2), input(a, 3), output<double>(a, 0));
      },
      "own", samples * static_cast<int64_t>(sizeof(int32_t)));
}

}  // namespace

void add_loss_kernels(CudaKernelTable& table) {
  table.set("softmax_cross_entropy", make_softmax);
  table.set("softmax_cross_entropy_grad", make_softmax_grad);
  table.set("classification_metrics", make_metrics);
}

}  // namespace lockstep::cuda
