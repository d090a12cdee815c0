// Softmax cross-entropy with label smoothing and per-sample weights, and the counts that make up
// accuracies.
//
// Label smoothing: Szegedy et al., arXiv:1512.00567, section 7; as PyTorch, the smoothed target is
// (1 - s) * one_hot + s / K.
#include <cmath>
#include <limits>

#include "device/host_device.hpp"
#include "ops/attributes.hpp"

namespace lockstep {
namespace {

// Probabilities of one row and its loss. A label outside of the classes gives NaN rather than a
// read outside of the row.
float softmax_row(const float* logits, int64_t classes, int32_t label, double smoothing,
                  float* probabilities) {
  double most = logits[0];
  for (int64_t k = 1; k < classes; ++k) most = std::max<double>(most, logits[k]);
  double sum = 0;
  double logits_sum = 0;
  for (int64_t k = 0; k < classes; ++k) {
    sum += std::exp(logits[k] - most);
    logits_sum += logits[k] - most;
  }
  for (int64_t k = 0; k < classes; ++k) {
    probabilities[k] = static_cast<float>(std::exp(logits[k] - most) / sum);
  }
  if (label < 0 || label >= classes) return std::numeric_limits<float>::quiet_NaN();
  const double log_sum = std::log(sum);
  const double nll = log_sum - (logits[label] - most);
  const double mean_nll = log_sum - logits_sum / static_cast<double>(classes);
  return static_cast<float>((1 - smoothing) * nll + smoothing * mean_nll);
}

// logits (N, K), labels (N), weights (N) -> loss (), losses (N), probabilities (N, K)
std::unique_ptr<Kernel> make_softmax_cross_entropy(const KernelRequest& request,
                                                   HostDevice& device) {
  require_plain(request);
  const int64_t samples = request.inputs[0].shape[0];
  const int64_t classes = request.inputs[0].shape[1];
  const double smoothing = request.attributes.as<SoftmaxCrossEntropyAttributes>().label_smoothing;
  return make_kernel([=, &device](const KernelArguments& arguments) {
    const float* logits = input(arguments, 0);
    const int32_t* labels = input<int32_t>(arguments, 1);
    const float* weights = input(arguments, 2);
    float* losses = output(arguments, 1);
    float* probabilities = output(arguments, 2);
    device.parallel_for(samples, 8, [=](int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; ++n) {
        losses[n] = softmax_row(logits + n * classes, classes, labels[n], smoothing,
                                probabilities + n * classes);
      }
    });
    double loss = 0;
    for (int64_t n = 0; n < samples; ++n) {
      if (weights[n] != 0) loss += static_cast<double>(weights[n]) * losses[n];
    }
    *output(arguments, 0) = static_cast<float>(loss);
  });
}

// probabilities (N, K), labels (N), weights (N), d_loss () -> d_logits (N, K)
std::unique_ptr<Kernel> make_softmax_cross_entropy_grad(const KernelRequest& request,
                                                        HostDevice& device) {
  require_plain(request);
  const int64_t samples = request.inputs[0].shape[0];
  const int64_t classes = request.inputs[0].shape[1];
  const double smoothing = request.attributes.as<SoftmaxCrossEntropyAttributes>().label_smoothing;
  return make_kernel([=, &device](const KernelArguments& arguments) {
    const float* probabilities = input(arguments, 0);
    const int32_t* labels = input<int32_t>(arguments, 1);
    const float* weights = input(arguments, 2);
    const double d_loss = *input(arguments, 3);
    float* d_logits = output(arguments, 0);
    device.parallel_for(samples, 8, [=](int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; ++n) {
        const double factor = d_loss * weights[n];
        for (int64_t k = 0; k < classes; ++k) {
          const double target =
              (k == labels[n] ? 1 - smoothing : 0) + smoothing / static_cast<double>(classes);
          const double difference = probabilities[n * classes + k] - target;
          d_logits[n * classes + k] =
              weights[n] == 0 ? 0.0f : static_cast<float>(factor * difference);
        }
      }
    });
  });
}

// How many classes stand before the label; `classes` where the label's logit is NaN. Another
// class's NaN stands before every number, as in PyTorch's topk.
int64_t rank_of_label(const float* logits, int64_t classes, int32_t label) {
  if (label < 0 || label >= classes || std::isnan(logits[label])) return classes;
  int64_t rank = 0;
  for (int64_t k = 0; k < classes; ++k) {
    if (!(logits[k] <= logits[label]) || (logits[k] == logits[label] && k < label)) ++rank;
  }
  return rank;
}

// logits (N, K), labels (N), weights (N), losses (N) -> f64 (5): sum of weight * loss, sum of
// weights, top-1 hits, top-5 hits, samples with a weight
std::unique_ptr<Kernel> make_classification_metrics(const KernelRequest& request, HostDevice&) {
  require_plain(request);
  const int64_t samples = request.inputs[0].shape[0];
  const int64_t classes = request.inputs[0].shape[1];
  return make_kernel([=](const KernelArguments& arguments) {
    const float* logits = input(arguments, 0);
    const int32_t* labels = input<int32_t>(arguments, 1);
    const float* weights = input(arguments, 2);
    const float* losses = input(arguments, 3);
    double loss = 0, weight = 0;
    int64_t top1 = 0, top5 = 0, counted = 0;
    for (int64_t n = 0; n < samples; ++n) {
      if (weights[n] == 0) continue;
      const int64_t rank = rank_of_label(logits + n * classes, classes, labels[n]);
      loss += static_cast<double>(weights[n]) * losses[n];
      weight += weights[n];
      if (rank < std::min<int64_t>(classes, 1)) ++top1;
      if (rank < std::min<int64_t>(classes, 5)) ++top5;
      ++counted;
    }
    double* metrics = output<double>(arguments, 0);
    metrics[0] = loss;
    metrics[1] = weight;
    metrics[2] = static_cast<double>(top1);
    metrics[3] = static_cast<double>(top5);
    metrics[4] = static_cast<double>(counted);
  });
}

}  // namespace

void add_loss_kernels(HostKernelTable& table) {
  table.set("softmax_cross_entropy", make_softmax_cross_entropy);
  table.set("softmax_cross_entropy_grad", make_softmax_cross_entropy_grad);
  table.set("classification_metrics", make_classification_metrics);
}

}  // namespace lockstep
