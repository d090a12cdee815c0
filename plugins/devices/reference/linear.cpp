// y = x w^T + b, and its gradients.
#include "kernels.hpp"

namespace lockstep::reference {
namespace {

// x (N, K), w (O, K), [b (O)] -> y (N, O); linear and linear_inference
std::unique_ptr<Kernel> make_linear(const KernelRequest& request, HostDevice&) {
  const int64_t samples = request.inputs[0].shape[0];
  const int64_t in = request.inputs[0].shape[1];
  const int64_t out = request.inputs[1].shape[0];
  const auto [bias, relu] = request.attributes.as<LinearAttributes>();
  return make_kernel([=, bias = bias, relu = relu](const KernelArguments& arguments) {
    const float* x = input(arguments, 0);
    const float* w = input(arguments, 1);
    for (int64_t n = 0; n < samples; ++n) {
      for (int64_t o = 0; o < out; ++o) {
        double sum = bias ? input(arguments, 2)[o] : 0.0;
        for (int64_t k = 0; k < in; ++k) sum += static_cast<double>(x[n * in + k]) * w[o * in + k];
        output(arguments, 0)[n * out + o] = static_cast<float>(relu && sum < 0 ? 0 : sum);
      }
    }
  });
}

// dy (N, O), w (O, K) -> dx (N, K)
std::unique_ptr<Kernel> make_linear_grad_input(const KernelRequest& request, HostDevice&) {
  const int64_t samples = request.inputs[0].shape[0];
  const int64_t out = request.inputs[1].shape[0];
  const int64_t in = request.inputs[1].shape[1];
  return make_kernel([=](const KernelArguments& arguments) {
    const float* dy = input(arguments, 0);
    const float* w = input(arguments, 1);
    for (int64_t n = 0; n < samples; ++n) {
      for (int64_t k = 0; k < in; ++k) {
        double sum = 0;
        for (int64_t o = 0; o < out; ++o)
          sum += static_cast<double>(dy[n * out + o]) * w[o * in + k];
        output(arguments, 0)[n * in + k] = static_cast<float>(sum);
      }
    }
  });
}

// x (N, K), dy (N, O) -> dw (O, K), [db (O)]
std::unique_ptr<Kernel> make_linear_grad_weight(const KernelRequest& request, HostDevice&) {
  const int64_t samples = request.inputs[0].shape[0];
  const int64_t in = request.inputs[0].shape[1];
  const int64_t out = request.inputs[1].shape[1];
  const bool bias = request.attributes.as<LinearAttributes>().bias;
  return make_kernel([=](const KernelArguments& arguments) {
    const float* x = input(arguments, 0);
    const float* dy = input(arguments, 1);
    for (int64_t o = 0; o < out; ++o) {
      for (int64_t k = 0; k < in; ++k) {
        double sum = 0;
        for (int64_t n = 0; n < samples; ++n) {
          sum += static_cast<double>(x[n * in + k]) * dy[n * out + o];
        }
        output(arguments, 0)[o * in + k] = static_cast<float>(sum);
      }
      if (!bias) continue;
      double sum = 0;
      for (int64_t n = 0; n < samples; ++n) sum += dy[n * out + o];
      output(arguments, 1)[o] = static_cast<float>(sum);
    }
  });
}

}  // namespace

void add_linear_kernels(HostKernelTable& table) {
  table.set("linear", make_linear);
  table.set("linear_inference", make_linear);
  table.set("linear_grad_input", make_linear_grad_input);
  table.set("linear_grad_weight", make_linear_grad_weight);
}

}  // namespace lockstep::reference
