// 2-D cross-correlation with zero padding, stride, dilation and groups, and its two gradients, as
// torch.nn.Conv2d.
//
//   y[n, o, oh, ow] = b[o] + sum over c, kh, kw of x[n, c, oh * stride - padding + kh * dilation,
//   …] * w[o, c, kh, kw]
#include <cmath>

#include "kernels.hpp"

namespace lockstep::reference {
namespace {

// The geometry that the three kernels share. Channels are counted within a group; w is (O,
// C/groups, kh, kw).
struct Convolution {
  Convolution(const TensorType& x_type, const TensorType& w_type, const TensorType& y_type,
              const Conv2dAttributes& a)
      : x(x_type),
        w(w_type),
        y(y_type),
        stride(a.stride),
        padding(a.padding),
        dilation(a.dilation),
        groups(a.groups),
        group_out(y.channels / a.groups) {}

  // The first input channel of the group that output channel o belongs to.
  int64_t first_channel(int64_t o) const { return o / group_out * w.channels; }
  // The row (or, for axis 1, column) of x that meets row `out` of y at row `k` of the kernel; may
  // lie in the padding.
  int64_t input_position(size_t axis, int64_t out, int64_t k) const {
    return out * stride[axis] - padding[axis] + k * dilation[axis];
  }
  // The other way round: the row of y, or -1 where the stride steps over it.
  int64_t output_position(size_t axis, int64_t in, int64_t k) const {
    const int64_t position = in + padding[axis] - k * dilation[axis];
    return position >= 0 && position % stride[axis] == 0 ? position / stride[axis] : -1;
  }

  Images x, w, y;
  std::array<int, 2> stride, padding, dilation;
  int64_t groups;
  int64_t group_out;  // output channels of a group
};

double dot_at(const Convolution& conv, const float* x, const float* w, int64_t n, int64_t o,
              int64_t oh, int64_t ow) {
  double sum = 0;
  for (int64_t kh = 0; kh < conv.w.height; ++kh) {
    for (int64_t kw = 0; kw < conv.w.width; ++kw) {
      const int64_t h = conv.input_position(0, oh, kh);
      const int64_t v = conv.input_position(1, ow, kw);
      if (!conv.x.inside(h, v)) continue;
      for (int64_t c = 0; c < conv.w.channels; ++c) {
        sum += static_cast<double>(x[conv.x.at(n, conv.first_channel(o) + c, h, v)]) *
               w[conv.w.at(o, c, kh, kw)];
      }
    }
  }
  return sum;
}

// y = finish(o, position in y, dot product) for every output.
template <class Finish>
void convolve(const Convolution& conv, const float* x, const float* w, float* y, Finish finish) {
  for (int64_t n = 0; n < conv.y.samples; ++n) {
    for (int64_t o = 0; o < conv.y.channels; ++o) {
      for (int64_t oh = 0; oh < conv.y.height; ++oh) {
        for (int64_t ow = 0; ow < conv.y.width; ++ow) {
          const int64_t at = conv.y.at(n, o, oh, ow);
          y[at] = static_cast<float>(finish(o, at, dot_at(conv, x, w, n, o, oh, ow)));
        }
      }
    }
  }
}

// x, w, [b] -> y
std::unique_ptr<Kernel> make_conv2d(const KernelRequest& request, HostDevice&) {
  require_plain(request);
  const auto& attributes = request.attributes.as<Conv2dAttributes>();
  const Convolution conv(request.inputs[0], request.inputs[1], request.outputs[0], attributes);
  return make_kernel([conv, bias = attributes.bias](const KernelArguments& arguments) {
    convolve(
        conv, input(arguments, 0), input(arguments, 1), output(arguments, 0),
        [&](int64_t o, int64_t, double dot) { return bias ? dot + input(arguments, 2)[o] : dot; });
  });
}

// x, w, [residual], [b], [bn_w, bn_b, bn_mean, bn_var] -> y
std::unique_ptr<Kernel> make_conv2d_inference(const KernelRequest& request, HostDevice&) {
  require_plain(request);
  const auto& a = request.attributes.as<Conv2dAttributes>();
  const Convolution conv(request.inputs[0], request.inputs[1], request.outputs[0], a);
  const size_t bias = a.residual ? 3 : 2;
  const size_t bn = a.bias ? bias + 1 : bias;
  return make_kernel([=](const KernelArguments& arguments) {
    const auto finish = [&](int64_t o, int64_t at, double value) {
      if (a.bias) value += input(arguments, bias)[o];
      if (a.batch_norm) {
        const double deviation = std::sqrt(input(arguments, bn + 3)[o] + a.epsilon);
        value = (value - input(arguments, bn + 2)[o]) / deviation * input(arguments, bn)[o] +
                input(arguments, bn + 1)[o];
      }
      if (a.residual) value += input(arguments, 2)[at];
      return a.relu && value < 0 ? 0.0 : value;
    };
    convolve(conv, input(arguments, 0), input(arguments, 1), output(arguments, 0), finish);
  });
}

double grad_input_at(const Convolution& conv, const float* dy, const float* w, int64_t n, int64_t c,
                     int64_t h, int64_t v) {
  const int64_t group = c / conv.w.channels;
  const int64_t first_out = group * conv.group_out;
  double sum = 0;
  for (int64_t kh = 0; kh < conv.w.height; ++kh) {
    for (int64_t kw = 0; kw < conv.w.width; ++kw) {
      const int64_t oh = conv.output_position(0, h, kh);
      const int64_t ow = conv.output_position(1, v, kw);
      if (!conv.y.inside(oh, ow)) continue;
      for (int64_t o = first_out; o < first_out + conv.group_out; ++o) {
        sum += static_cast<double>(dy[conv.y.at(n, o, oh, ow)]) *
               w[conv.w.at(o, c - group * conv.w.channels, kh, kw)];
      }
    }
  }
  return sum;
}

// dy, w -> dx
std::unique_ptr<Kernel> make_conv2d_grad_input(const KernelRequest& request, HostDevice&) {
  require_plain(request);
  const Convolution conv(request.outputs[0], request.inputs[1], request.inputs[0],
                         request.attributes.as<Conv2dAttributes>());
  return make_kernel([conv](const KernelArguments& arguments) {
    const float* dy = input(arguments, 0);
    const float* w = input(arguments, 1);
    float* dx = output(arguments, 0);
    for (int64_t n = 0; n < conv.x.samples; ++n) {
      for (int64_t c = 0; c < conv.x.channels; ++c) {
        for (int64_t h = 0; h < conv.x.height; ++h) {
          for (int64_t v = 0; v < conv.x.width; ++v) {
            dx[conv.x.at(n, c, h, v)] = static_cast<float>(grad_input_at(conv, dy, w, n, c, h, v));
          }
        }
      }
    }
  });
}

double grad_weight_at(const Convolution& conv, const float* x, const float* dy, int64_t o,
                      int64_t c, int64_t kh, int64_t kw) {
  const int64_t channel = conv.first_channel(o) + c;
  double sum = 0;
  for (int64_t n = 0; n < conv.y.samples; ++n) {
    for (int64_t oh = 0; oh < conv.y.height; ++oh) {
      for (int64_t ow = 0; ow < conv.y.width; ++ow) {
        const int64_t h = conv.input_position(0, oh, kh);
        const int64_t v = conv.input_position(1, ow, kw);
        if (!conv.x.inside(h, v)) continue;
        sum += static_cast<double>(x[conv.x.at(n, channel, h, v)]) * dy[conv.y.at(n, o, oh, ow)];
      }
    }
  }
  return sum;
}

double sum_of_channel(const Images& y, const float* dy, int64_t channel) {
  double sum = 0;
  for (int64_t n = 0; n < y.samples; ++n) {
    for (int64_t h = 0; h < y.height; ++h) {
      for (int64_t w = 0; w < y.width; ++w) sum += dy[y.at(n, channel, h, w)];
    }
  }
  return sum;
}

// x, dy -> dw, [db]
std::unique_ptr<Kernel> make_conv2d_grad_weight(const KernelRequest& request, HostDevice&) {
  require_plain(request);
  const auto& attributes = request.attributes.as<Conv2dAttributes>();
  const Convolution conv(request.inputs[0], request.outputs[0], request.inputs[1], attributes);
  return make_kernel([conv, bias = attributes.bias](const KernelArguments& arguments) {
    const float* x = input(arguments, 0);
    const float* dy = input(arguments, 1);
    float* dw = output(arguments, 0);
    for (int64_t o = 0; o < conv.w.samples; ++o) {
      for (int64_t c = 0; c < conv.w.channels; ++c) {
        for (int64_t kh = 0; kh < conv.w.height; ++kh) {
          for (int64_t kw = 0; kw < conv.w.width; ++kw) {
            dw[conv.w.at(o, c, kh, kw)] =
                static_cast<float>(grad_weight_at(conv, x, dy, o, c, kh, kw));
          }
        }
      }
    }
    if (!bias) return;
    for (int64_t o = 0; o < conv.y.channels; ++o) {
      output(arguments, 1)[o] = static_cast<float>(sum_of_channel(conv.y, dy, o));
    }
  });
}

}  // namespace

void add_convolution_kernels(HostKernelTable& table) {
  table.set("conv2d", make_conv2d);
  table.set("conv2d_inference", make_conv2d_inference);
  table.set("conv2d_grad_input", make_conv2d_grad_input);
  table.set("conv2d_grad_weight", make_conv2d_grad_weight);
}

}  // namespace lockstep::reference
