// Average pooling over plain or blocked images: avg_pool2d and adaptive_avg_pool2d are both means
// over windows that a table per axis gives. Gradients gather, so that each of their elements is
// written once, by one thread.
#include <lockstep/plugin.hpp>
#include <vector>

#include "kernels.hpp"
#include "view.hpp"

namespace lockstep::cpu {
namespace {

// What an output position reads along one axis: positions [begin, end) of x, and what it
// contributes to the divisor.
struct Window {
  int begin;
  int end;
  int size;
};
// The outputs [begin, end) whose windows hold an input position.
struct Cover {
  int begin;
  int end;
};

// As PyTorch: windows reach into the padding, but not past it.
std::vector<Window> pool_windows(int64_t in, int64_t out, int axis, const PoolAttributes& pool) {
  const auto a = static_cast<size_t>(axis);
  const int extent = static_cast<int>(in), padding = pool.padding[a];
  std::vector<Window> all;
  for (int o = 0; o < out; ++o) {
    const int start = o * pool.stride[a] - padding;
    const int padded_end = std::min(start + pool.kernel[a], extent + padding);
    const int begin = std::max(start, 0), end = std::min(padded_end, extent);
    all.push_back({begin, end, pool.count_include_pad ? padded_end - start : end - begin});
  }
  return all;
}

// As PyTorch: bin o of `out` goes from floor(o * in / out) to ceil((o + 1) * in / out).
std::vector<Window> adaptive_windows(int64_t in, int64_t out) {
  std::vector<Window> all;
  for (int64_t o = 0; o < out; ++o) {
    const int begin = static_cast<int>(o * in / out);
    const int end = static_cast<int>(((o + 1) * in + out - 1) / out);
    all.push_back({begin, end, end - begin});
  }
  return all;
}

// Both ends of windows only grow, so those that hold a position are neighbours.
std::vector<Cover> covers(const std::vector<Window>& windows, int64_t in) {
  std::vector<Cover> all;
  for (int i = 0; i < in; ++i) {
    int begin = 0;
    while (begin < static_cast<int>(windows.size()) && windows[static_cast<size_t>(begin)].end <= i)
      ++begin;
    int end = begin;
    while (end < static_cast<int>(windows.size()) && windows[static_cast<size_t>(end)].begin <= i)
      ++end;
    all.push_back({begin, end});
  }
  return all;
}

// One block of one sample: x (H, W, block) -> y (H', W', block)
template <int kBlock>
LOCKSTEP_CLONES void average(const float* x, float* y, const std::vector<Window>& down,
                             const std::vector<Window>& across, int64_t in_width) {
  for (const Window& h : down) {
    for (const Window& w : across) {
      float sum[kBlock] = {};
      for (int ih = h.begin; ih < h.end; ++ih) {
        const float* from = x + (ih * in_width + w.begin) * kBlock;
        for (int iw = w.begin; iw < w.end; ++iw, from += kBlock) {
#pragma omp simd
          for (int k = 0; k < kBlock; ++k) sum[k] += from[k];
        }
      }
      const float factor = 1.0f / static_cast<float>(h.size * w.size);
#pragma omp simd
      for (int k = 0; k < kBlock; ++k) y[k] = sum[k] * factor;
      y += kBlock;
    }
  }
}

// dy (H', W', block) -> dx (H, W, block); factors (H', W'): 1 / divisor
template <int kBlock>
LOCKSTEP_CLONES void average_grad(const float* dy, float* dx, const std::vector<Cover>& down,
                                  const std::vector<Cover>& across, const float* factors,
                                  int64_t out_width) {
  for (const Cover& h : down) {
    for (const Cover& w : across) {
      float sum[kBlock] = {};
      for (int oh = h.begin; oh < h.end; ++oh) {
        for (int ow = w.begin; ow < w.end; ++ow) {
          const int64_t at = oh * out_width + ow;
#pragma omp simd
          for (int k = 0; k < kBlock; ++k) sum[k] += dy[at * kBlock + k] * factors[at];
        }
      }
#pragma omp simd
      for (int k = 0; k < kBlock; ++k) dx[k] = sum[k];
      dx += kBlock;
    }
  }
}

struct Axes {
  std::vector<Window> down;
  std::vector<Window> across;
};
Axes axes_of(const KernelRequest& request, const Shape& in, const Shape& out) {
  if (request.op.starts_with("adaptive")) {
    return {adaptive_windows(in[2], out[2]), adaptive_windows(in[3], out[3])};
  }
  const auto& pool = request.attributes.as<PoolAttributes>();
  return {pool_windows(in[2], out[2], 0, pool), pool_windows(in[3], out[3], 1, pool)};
}

// The layout of both sides. One of them may be plain where it has one pixel and full blocks, for
// then it lies in memory as if it were blocked.
Layout common_layout(const KernelRequest& request, const TensorType& image,
                     const TensorType& pooled) {
  const auto lies_in = [](const TensorType& type, Layout layout) {
    const bool one_pixel = type.shape[2] == 1 && type.shape[3] == 1;
    return type.layout == layout || (type.layout == Layout::plain && one_pixel &&
                                     type.shape[1] % channel_block(layout) == 0);
  };
  for (Layout layout : {image.layout, pooled.layout}) {
    if (layout != Layout::nhwc && lies_in(image, layout) && lies_in(pooled, layout)) return layout;
  }
  fail(Failure::device, request.label, ": the cpu kernel of the op ", request.op, " was asked for ",
       image.text(), " and ", pooled.text(), "; it needs one layout for both");
}

ImageView view_of(TensorType type, Layout layout) {
  type.layout = layout;
  return ImageView::of(type);
}

std::unique_ptr<Kernel> make_average(const KernelRequest& request, HostDevice& host) {
  CpuDevice& device = as_cpu(host);
  const TensorType& image = request.inputs[0];
  const Layout layout = common_layout(request, image, request.outputs[0]);
  const auto in = view_of(image, layout);
  const auto out = view_of(request.outputs[0], layout);
  const Axes axes = axes_of(request, image.shape, request.outputs[0].shape);
  return with_block(static_cast<int>(in.block), [&](auto block) {
    return make_kernel(
        [=, &device](const KernelArguments& arguments) {
          const float* x = input(arguments, 0);
          float* y = output(arguments, 0);
          device.parallel_tasks(in.rows(), [&](int64_t begin, int64_t end) {
            for (int64_t r = begin; r < end; ++r) {
              average<block.value>(x + r * in.row(), y + r * out.row(), axes.down, axes.across,
                                   in.width);
            }
          });
        },
        "loops");
  });
}

std::unique_ptr<Kernel> make_average_grad(const KernelRequest& request, HostDevice& host) {
  CpuDevice& device = as_cpu(host);
  const TensorType& image = request.outputs[0];
  const Layout layout = common_layout(request, image, request.inputs[0]);
  const auto in = view_of(image, layout);
  const auto out = view_of(request.inputs[0], layout);
  const Axes axes = axes_of(request, image.shape, request.inputs[0].shape);
  std::vector<float> factors;
  for (const Window& h : axes.down) {
    for (const Window& w : axes.across) {
      factors.push_back(1.0f / static_cast<float>(h.size * w.size));
    }
  }
  return with_block(static_cast<int>(in.block), [&](auto block) {
    return make_kernel(
        [=, &device, down = covers(axes.down, in.height),
         across = covers(axes.across, in.width)](const KernelArguments& arguments) {
          const float* dy = input(arguments, 0);
          float* dx = output(arguments, 0);
          device.parallel_tasks(in.rows(), [&](int64_t begin, int64_t end) {
            for (int64_t r = begin; r < end; ++r) {
              average_grad<block.value>(dy + r * out.row(), dx + r * in.row(), down, across,
                                        factors.data(), out.width);
            }
          });
        },
        "loops");
  });
}

}  // namespace

void add_avg_pool_kernels(HostKernelTable& table) {
  table.set("avg_pool2d", make_average);
  table.set("adaptive_avg_pool2d", make_average);
  table.set("avg_pool2d_grad", make_average_grad);
  table.set("adaptive_avg_pool2d_grad", make_average_grad);
}

}  // namespace lockstep::cpu
