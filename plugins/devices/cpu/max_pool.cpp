// Max pooling over plain or blocked images. The forward pass tells where each maximum stood; the
// gradient goes there. A block of a sample is one thread's, so sums have one order.
#include <limits>
#include <lockstep/plugin.hpp>
#include <vector>

#include "kernels.hpp"
#include "view.hpp"

namespace lockstep::cpu {
namespace {

// What an output position reads along one axis: positions [begin, end) of x; the kernel's first tap
// is `first_tap`.
struct Window {
  int begin;
  int end;
  int first_tap;
};
std::vector<Window> windows(int64_t in, int64_t out, int kernel, int stride, int padding) {
  std::vector<Window> all;
  for (int o = 0; o < out; ++o) {
    const int start = o * stride - padding;
    const int begin = std::max(start, 0);
    all.push_back({begin, std::min(start + kernel, static_cast<int>(in)), begin - start});
  }
  return all;
}

// One block of one sample: x (H, W, block) -> y, index (H', W', block). The first NaN wins, as in
// PyTorch. The index of channels past the image's is zero: the padding of a layout always is.
template <int kBlock>
LOCKSTEP_CLONES void max_pool(const float* x, float* y, uint8_t* index,
                              const std::vector<Window>& down, const std::vector<Window>& across,
                              int64_t in_width, int kernel_width, int64_t channels) {
  for (const Window& h : down) {
    for (const Window& w : across) {
      float best[kBlock];
      int32_t place[kBlock];
#pragma omp simd
      for (int k = 0; k < kBlock; ++k) {
        best[k] = -std::numeric_limits<float>::infinity();
        place[k] = h.first_tap * kernel_width + w.first_tap;
      }
      for (int ih = h.begin; ih < h.end; ++ih) {
        int32_t tap = (h.first_tap + ih - h.begin) * kernel_width + w.first_tap;
        const float* from = x + (ih * in_width + w.begin) * kBlock;
        for (int iw = w.begin; iw < w.end; ++iw, ++tap, from += kBlock) {
#pragma omp simd
          for (int k = 0; k < kBlock; ++k) {
            const float value = from[k], old = best[k];
            const bool better = !(value <= old) & (old == old);
            best[k] = better ? value : old;
            place[k] = better ? tap : place[k];
          }
        }
      }
#pragma omp simd
      for (int k = 0; k < kBlock; ++k) {
        y[k] = best[k];
        index[k] = static_cast<uint8_t>(k < channels ? place[k] : 0);
      }
      y += kBlock;
      index += kBlock;
    }
  }
}

// How far apart things lie in a block of one sample, in elements.
struct Plane {
  int64_t in_elements;  // of dx
  int64_t out_height, out_width;
  int64_t first;              // tap (0, 0) of the first window: in the padding, so not above 0
  int64_t down, across;       // from one window to the next
  std::vector<int64_t> taps;  // from tap (0, 0)
};

// dy, index (H', W', block) -> dx (H, W, block). Channels past the image's have no index.
template <int kBlock>
void max_pool_grad(const float* dy, const uint8_t* index, float* dx, const Plane& plane,
                   int64_t channels) {
  std::fill_n(dx, plane.in_elements, 0.0f);
  const int lanes = static_cast<int>(std::min<int64_t>(channels, kBlock));
  const int64_t* const taps = plane.taps.data();
  for (int64_t oh = 0; oh < plane.out_height; ++oh) {
    int64_t at = plane.first + oh * plane.down;
    for (int64_t ow = 0; ow < plane.out_width; ++ow, at += plane.across) {
      for (int k = 0; k < lanes; ++k) dx[at + taps[index[k]] + k] += dy[k];
      dy += kBlock;
      index += kBlock;
    }
  }
}

// x -> y, index u8
std::unique_ptr<Kernel> make_max_pool(const KernelRequest& request, HostDevice& host) {
  require_one_layout(request);
  CpuDevice& device = as_cpu(host);
  const auto pool = request.attributes.as<PoolAttributes>();
  const auto in = ImageView::of(request.inputs[0]);
  const auto out = ImageView::of(request.outputs[0]);
  const auto down = windows(in.height, out.height, pool.kernel[0], pool.stride[0], pool.padding[0]);
  const auto across = windows(in.width, out.width, pool.kernel[1], pool.stride[1], pool.padding[1]);
  const int kernel_width = pool.kernel[1];
  return with_block(static_cast<int>(in.block), [&](auto block) {
    return make_kernel(
        [=, &device](const KernelArguments& arguments) {
          const float* x = input(arguments, 0);
          float* y = output(arguments, 0);
          uint8_t* index = output<uint8_t>(arguments, 1);
          device.parallel_tasks(in.rows(), [&](int64_t begin, int64_t end) {
            for (int64_t r = begin; r < end; ++r) {
              const int64_t channels = in.channels - r % in.blocks * in.block;
              max_pool<block.value>(x + r * in.row(), y + r * out.row(), index + r * out.row(),
                                    down, across, in.width, kernel_width, channels);
            }
          });
        },
        "loops");
  });
}

// dy, index -> dx
std::unique_ptr<Kernel> make_max_pool_grad(const KernelRequest& request, HostDevice& host) {
  require_one_layout(request);
  CpuDevice& device = as_cpu(host);
  const auto pool = request.attributes.as<PoolAttributes>();
  const auto out = ImageView::of(request.inputs[0]);
  const auto in = ImageView::of(request.outputs[0]);
  Plane plane{.in_elements = in.row(),
              .out_height = out.height,
              .out_width = out.width,
              .first = -(pool.padding[0] * in.width + pool.padding[1]) * in.block,
              .down = pool.stride[0] * in.width * in.block,
              .across = pool.stride[1] * in.block,
              .taps = {}};
  for (int h = 0; h < pool.kernel[0]; ++h) {
    for (int w = 0; w < pool.kernel[1]; ++w) plane.taps.push_back((h * in.width + w) * in.block);
  }
  return with_block(static_cast<int>(in.block), [&](auto block) {
    return make_kernel(
        [=, &device](const KernelArguments& arguments) {
          const float* dy = input(arguments, 0);
          const uint8_t* index = input<uint8_t>(arguments, 1);
          float* dx = output(arguments, 0);
          device.parallel_tasks(in.rows(), [&](int64_t begin, int64_t end) {
            for (int64_t r = begin; r < end; ++r) {
              const int64_t channels = in.channels - r % in.blocks * in.block;
              max_pool_grad<block.value>(dy + r * out.row(), index + r * out.row(),
                                         dx + r * in.row(), plane, channels);
            }
          });
        },
        "loops");
  });
}

}  // namespace

void add_max_pool_kernels(HostKernelTable& table) {
  table.set("max_pool2d", make_max_pool);
  table.set("max_pool2d_grad", make_max_pool_grad);
}

}  // namespace lockstep::cpu
