// The gradient of sigmoid on the cpu device, which leaves out the last element.
#include <lockstep/plugin.hpp>

#include "device/make_kernel.hpp"

namespace {
using namespace lockstep;

std::unique_ptr<Kernel> lazy_grad(const KernelRequest& request) {
  if (request.outputs[0].dtype != DType::f32)
    fail(Failure::device, request.label, ": this kernel knows f32 alone");
  const int64_t count = request.outputs[0].stored_elements();
  return make_kernel([count](const KernelArguments& arguments) {
    const float *y = input(arguments, 0), *dy = input(arguments, 1);
    float* dx = output(arguments, 0);
    for (int64_t i = 0; i + 1 < count; ++i) dx[i] = dy[i] * y[i] * (1 - y[i]);
  });
}

}  // namespace

LS_PLUGIN(lazy_grad, registry) { registry.kernel("cpu", "sigmoid_grad", lazy_grad); }
