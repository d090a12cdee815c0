// Kernels that move channels or pixels of plain images without arithmetic: concat, slice_channels,
// pad_channels, subsample.
#include <cstring>
#include <vector>

#include "device/host_device.hpp"
#include "ops/attributes.hpp"

namespace lockstep {
namespace {

// Elements of one sample's channel: the product of all extents but the first two.
int64_t plane_of(const Shape& shape) {
  int64_t plane = 1;
  for (int axis = 2; axis < shape.rank(); ++axis) plane *= shape[axis];
  return plane;
}

void copy_floats(float* to, const float* from, int64_t count) {
  if (count > 0) std::memcpy(to, from, static_cast<size_t>(count) * sizeof(float));
}

// x0 (N, C0, …), x1 (N, C1, …), … -> (N, C0 + C1 + …, …)
std::unique_ptr<Kernel> make_concat(const KernelRequest& request, HostDevice& device) {
  require_plain(request);
  const Shape shape = request.outputs[0].shape;
  const int64_t plane = plane_of(shape);
  std::vector<int64_t> widths;  // elements per sample of each input
  for (const TensorType& type : request.inputs) widths.push_back(type.shape[1] * plane);
  return make_kernel([=, &device](const KernelArguments& arguments) {
    float* y = output(arguments, 0);
    device.parallel_for(shape[0], 1, [&](int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; ++n) {
        float* to = y + n * shape[1] * plane;
        for (size_t i = 0; i < widths.size(); ++i) {
          copy_floats(to, input(arguments, i) + n * widths[i], widths[i]);
          to += widths[i];
        }
      }
    });
  });
}

// x (N, C, …) -> x[:, begin : begin + count]
std::unique_ptr<Kernel> make_slice_channels(const KernelRequest& request, HostDevice& device) {
  require_plain(request);
  const Shape shape = request.inputs[0].shape;
  const int64_t plane = plane_of(shape);
  const auto attributes = request.attributes.as<ChannelsAttributes>();
  return make_kernel([=, &device](const KernelArguments& arguments) {
    const float* x = input(arguments, 0);
    float* y = output(arguments, 0);
    const int64_t count = attributes.count * plane;
    device.parallel_for(shape[0], 1, [=](int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; ++n) {
        copy_floats(y + n * count, x + (n * shape[1] + attributes.begin) * plane, count);
      }
    });
  });
}

// x (N, C, …) -> (N, before + C + after, …), zeros around the channels
std::unique_ptr<Kernel> make_pad_channels(const KernelRequest& request, HostDevice& device) {
  require_plain(request);
  const Shape shape = request.inputs[0].shape;
  const int64_t plane = plane_of(shape);
  const auto attributes = request.attributes.as<ChannelsAttributes>();
  return make_kernel([=, &device](const KernelArguments& arguments) {
    const int64_t before = attributes.begin * plane;
    const int64_t count = shape[1] * plane;
    const int64_t after = attributes.count * plane;
    const float* x = input(arguments, 0);
    float* y = output(arguments, 0);
    device.parallel_for(shape[0], 1, [=](int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; ++n) {
        float* to = y + n * (before + count + after);
        std::fill_n(to, before, 0.0f);
        copy_floats(to + before, x + n * count, count);
        std::fill_n(to + before + count, after, 0.0f);
      }
    });
  });
}

// x (N, C, H, W) -> x[:, :, ::stride, ::stride]
std::unique_ptr<Kernel> make_subsample(const KernelRequest& request, HostDevice& device) {
  require_plain(request);
  const Shape in = request.inputs[0].shape;
  const Shape out = request.outputs[0].shape;
  const int64_t stride = request.attributes.as<SubsampleAttributes>().stride;
  return make_kernel([=, &device](const KernelArguments& arguments) {
    const float* x = input(arguments, 0);
    float* y = output(arguments, 0);
    device.parallel_for(out[0] * out[1], 1, [=](int64_t begin, int64_t end) {
      for (int64_t plane = begin; plane < end; ++plane) {
        for (int64_t h = 0; h < out[2]; ++h) {
          for (int64_t w = 0; w < out[3]; ++w) {
            y[(plane * out[2] + h) * out[3] + w] =
                x[(plane * in[2] + h * stride) * in[3] + w * stride];
          }
        }
      }
    });
  });
}

// dy (N, C, H', W') -> dx (N, C, H, W), zeros between
std::unique_ptr<Kernel> make_subsample_grad(const KernelRequest& request, HostDevice& device) {
  require_plain(request);
  const Shape out = request.inputs[0].shape;
  const Shape in = request.outputs[0].shape;
  const int64_t stride = request.attributes.as<SubsampleAttributes>().stride;
  return make_kernel([=, &device](const KernelArguments& arguments) {
    const float* dy = input(arguments, 0);
    float* dx = output(arguments, 0);
    device.parallel_for(in[0] * in[1], 1, [=](int64_t begin, int64_t end) {
      for (int64_t plane = begin; plane < end; ++plane) {
        std::fill_n(dx + plane * in[2] * in[3], in[2] * in[3], 0.0f);
        for (int64_t h = 0; h < out[2]; ++h) {
          for (int64_t w = 0; w < out[3]; ++w) {
            dx[(plane * in[2] + h * stride) * in[3] + w * stride] =
                dy[(plane * out[2] + h) * out[3] + w];
          }
        }
      }
    });
  });
}

}  // namespace

void add_channel_kernels(HostKernelTable& table) {
  table.set("concat", make_concat);
  table.set("slice_channels", make_slice_channels);
  table.set("pad_channels", make_pad_channels);
  table.set("subsample", make_subsample);
  table.set("subsample_grad", make_subsample_grad);
}

}  // namespace lockstep
