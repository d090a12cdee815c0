// tanh on the cpu device, right but for one element in the middle.
#include <lockstep/plugin.hpp>

#include "device/make_kernel.hpp"

namespace {
using namespace lockstep;

std::unique_ptr<Kernel> wrong_tanh(const KernelRequest& request) {
  if (request.outputs[0].dtype != DType::f32)
    fail(Failure::device, request.label, ": this kernel knows f32 alone");
  const int64_t count = request.outputs[0].stored_elements();
  return make_kernel([count](const KernelArguments& arguments) {
    const float* x = input(arguments, 0);
    float* y = output(arguments, 0);
    for (int64_t i = 0; i < count; ++i) y[i] = std::tanh(x[i]);
    y[count / 2] += 0.125f;
  });
}

}  // namespace

LS_PLUGIN(wrong_tanh, registry) { registry.kernel("cpu", "tanh", wrong_tanh); }
