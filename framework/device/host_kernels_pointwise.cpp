// Kernels that treat each element alone: the registered pointwise ops, add, scale, dropout, and
// reshape.
#include <cstring>

#include "device/dropout_mask.hpp"
#include "device/host_device.hpp"
#include "device/host_reorder.hpp"
#include "ops/attributes.hpp"

namespace lockstep {
namespace {

constexpr int64_t kGrain = 4096;

// Elementwise kernels walk the memory as it lies, so all tensors must lie alike.
void require_equal_layouts(const KernelRequest& request) {
  for (const TensorType& type : request.inputs) {
    if (type.layout == request.outputs[0].layout) continue;
    fail(Failure::device, request.label, ": the kernel of the op ", request.op, " was asked for ",
         type.text(), " -> ", request.outputs[0].text(), "; it needs equal layouts");
  }
}

// add: a, b -> a + b
std::unique_ptr<Kernel> make_add(const KernelRequest& request, HostDevice& device) {
  require_equal_layouts(request);
  const int64_t count = request.outputs[0].stored_elements();
  return make_kernel([count, &device](const KernelArguments& arguments) {
    const float* a = input(arguments, 0);
    const float* b = input(arguments, 1);
    float* y = output(arguments, 0);
    device.parallel_for(count, kGrain, [=](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) y[i] = a[i] + b[i];
    });
  });
}

// scale: x -> factor * x
std::unique_ptr<Kernel> make_scale(const KernelRequest& request, HostDevice& device) {
  require_equal_layouts(request);
  const int64_t count = request.outputs[0].stored_elements();
  const auto factor = static_cast<float>(request.attributes.as<ScaleAttributes>().factor);
  return make_kernel([count, factor, &device](const KernelArguments& arguments) {
    const float* x = input(arguments, 0);
    float* y = output(arguments, 0);
    device.parallel_for(count, kGrain, [=](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) y[i] = factor * x[i];
    });
  });
}

// reshape: a copy; nothing where the planner let the output lie on the input
std::unique_ptr<Kernel> make_reshape(const KernelRequest& request, HostDevice& device) {
  require_plain(request);
  constexpr int64_t kCopyGrain = 1 << 16;
  const int64_t bytes = request.outputs[0].bytes();
  return make_kernel([bytes, &device](const KernelArguments& arguments) {
    const char* x = input<char>(arguments, 0);
    char* y = output<char>(arguments, 0);
    if (x == y) return;
    device.parallel_for(bytes, kCopyGrain, [=](int64_t begin, int64_t end) {
      std::memcpy(y + begin, x + begin, static_cast<size_t>(end - begin));
    });
  });
}

// dropout: x (N, …), random_key, indices (N) -> y
std::unique_ptr<Kernel> make_dropout(const KernelRequest& request, HostDevice& device) {
  require_plain(request);
  const auto& attributes = request.attributes.as<DropoutAttributes>();
  const Shape& shape = request.outputs[0].shape;
  const int64_t samples = shape[0];
  const int64_t elements = samples == 0 ? 0 : shape.numel() / samples;  // of one sample
  const uint64_t threshold = dropout_threshold(attributes.probability);
  const float scale = dropout_scale(attributes.probability);
  const int64_t layer = attributes.layer;
  return make_kernel([=, &device](const KernelArguments& arguments) {
    const float* x = input(arguments, 0);
    const int64_t* random_key = input<int64_t>(arguments, 1);
    const int64_t* indices = input<int64_t>(arguments, 2);
    float* y = output(arguments, 0);
    const int64_t quads = (elements + 3) / 4;
    device.parallel_for(samples * quads, kGrain / 4, [=](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t sample = i / quads;
        const int64_t quad = i % quads;
        const auto words = dropout_words(random_key, layer, indices[sample], quad);
        const int64_t first = sample * elements + 4 * quad;
        const int64_t count = std::min<int64_t>(4, elements - 4 * quad);
        for (int64_t k = 0; k < count; ++k) {
          const bool kept = words[static_cast<size_t>(k)] >= threshold;
          y[first + k] = kept ? x[first + k] * scale : 0.0f;
        }
      }
    });
  });
}

}  // namespace

std::unique_ptr<Kernel> make_pointwise_kernel(const KernelRequest& request, HostDevice& device) {
  require_equal_layouts(request);
  const PointwiseLoops loops = request.definition.pointwise;
  LS_ASSERT(loops.forward != nullptr && loops.backward != nullptr);
  const TensorType type = request.outputs[0];
  const int64_t count = type.stored_elements();
  if (request.inputs.size() == 2) {
    return make_kernel([=, &device](const KernelArguments& arguments) {
      const float* y = input(arguments, 0);
      const float* dy = input(arguments, 1);
      float* dx = output(arguments, 0);
      device.parallel_for(count, kGrain, [=](int64_t begin, int64_t end) {
        loops.backward(y + begin, dy + begin, dx + begin, end - begin);
      });
    });
  }
  return make_kernel([=, &device](const KernelArguments& arguments) {
    const float* x = input(arguments, 0);
    float* y = output(arguments, 0);
    device.parallel_for(count, kGrain, [=](int64_t begin, int64_t end) {
      loops.forward(x + begin, y + begin, end - begin);
    });
    if (!loops.keeps_zero) zero_channel_padding(type, y);
  });
}

void add_pointwise_kernels(HostKernelTable& table) {
  for (const char* op : {"relu", "relu_grad", "sigmoid", "sigmoid_grad", "tanh", "tanh_grad"}) {
    table.set(op, make_pointwise_kernel);
  }
  table.set("add", make_add);
  table.set("scale", make_scale);
  table.set("reshape", make_reshape);
  table.set("dropout", make_dropout);
}

}  // namespace lockstep
