// The mean of each window or adaptive bin, and the gradients: a pixel of x asks which windows
// contain it. A thread takes eight channels of a pixel.
#include "kernels.hpp"
#include "own.hpp"
#include "windows.cuh"

namespace lockstep::cuda {
namespace {

using namespace simt;

// What an average divides by. With count_include_pad the padding counts, but not what ceil_mode
// adds beyond it.
struct WindowMeans {
  bool count_include_pad;

  __device__ Range range(const Axis& axis, int window) const { return axis.cut(window); }
  __device__ Range users(const Axis& axis, int position) const { return axis.users(position); }
  __device__ int divisor(const Axis& axis, int window) const {
    return count_include_pad ? axis.padded(window).size() : axis.cut(window).size();
  }
};

// PyTorch's bins; they overlap where their number does not divide the extent.
struct BinMeans {
  __device__ Range range(const Axis& axis, int bin) const {
    const int64_t extent = axis.extent, bins = axis.windows;
    return {static_cast<int>(bin * extent / bins),
            static_cast<int>(((bin + 1) * extent + bins - 1) / bins)};
  }
  __device__ Range users(const Axis& axis, int position) const {
    const int64_t extent = axis.extent, bins = axis.windows;
    return {static_cast<int>(position * bins / extent),
            static_cast<int>(((position + 1) * bins + extent - 1) / extent)};
  }
  __device__ int divisor(const Axis& axis, int bin) const { return range(axis, bin).size(); }
};

template <class T, class Means>
__global__ void avg_pool_kernel(Pooling p, Means means, const T* x, T* y) {
  for_each_vector(
      p.outputs(), p.h.windows, p.w.windows, p.vectors, [=](int n, int oh, int ow, int vector) {
        const Range rows = means.range(p.h, oh), columns = means.range(p.w, ow);
        Floats sum{};
        for (int h = rows.begin; h < rows.end; ++h) {
          for (int w = columns.begin; w < columns.end; ++w) {
            const Floats v = load(x + p.input_at(n, h, w, vector));
#pragma unroll
            for (int k = 0; k < kVector; ++k) sum[k] += v[k];
          }
        }
        const auto size = static_cast<float>(means.divisor(p.h, oh) * means.divisor(p.w, ow));
#pragma unroll
        for (int k = 0; k < kVector; ++k) sum[k] /= size;
        store(y + p.output_at(n, oh, ow, vector), sum);
      });
}

template <class T, class Means>
__global__ void avg_pool_grad_kernel(Pooling p, Means means, const T* dy, T* dx) {
  for_each_vector(
      p.inputs(), p.h.extent, p.w.extent, p.vectors, [=](int n, int h, int w, int vector) {
        const Range rows = means.users(p.h, h), columns = means.users(p.w, w);
        Floats sum{};
        for (int oh = rows.begin; oh < rows.end; ++oh) {
          for (int ow = columns.begin; ow < columns.end; ++ow) {
            const Floats d = load(dy + p.output_at(n, oh, ow, vector));
            const auto size = static_cast<float>(means.divisor(p.h, oh) * means.divisor(p.w, ow));
#pragma unroll
            for (int k = 0; k < kVector; ++k) sum[k] += d[k] / size;
          }
        }
        store(dx + p.input_at(n, h, w, vector), sum);
      });
}

template <class Means>
std::unique_ptr<Kernel> make_forward(const KernelRequest& request, const Pooling& p, Means means) {
  require_dtype(request, request.outputs[0], request.inputs[0].dtype);
  return with_float_type(request, request.inputs[0], [&]<class T>(T) {
    return make_kernel(
        [=](const KernelArguments& a) {
          launch(&avg_pool_kernel<T, Means>, grid_for(p.outputs()), a.stream, p, means,
                 input<T>(a, 0), output<T>(a, 0));
        },
        "own");
  });
}

template <class Means>
std::unique_ptr<Kernel> make_backward(const KernelRequest& request, const Pooling& p, Means means) {
  require_dtype(request, request.outputs[0], request.inputs[0].dtype);
  return with_float_type(request, request.inputs[0], [&]<class T>(T) {
    return make_kernel(
        [=](const KernelArguments& a) {
          launch(&avg_pool_grad_kernel<T, Means>, grid_for(p.inputs()), a.stream, p, means,
                 input<T>(a, 0), output<T>(a, 0));
        },
        "own");
  });
}

std::unique_ptr<Kernel> make_avg_pool2d(const KernelRequest& request, CudaDevice&) {
  const auto& a = request.attributes.as<PoolAttributes>();
  return make_forward(request, pooling_of(request, request.inputs[0], request.outputs[0], a),
                      WindowMeans{a.count_include_pad});
}
std::unique_ptr<Kernel> make_avg_pool2d_grad(const KernelRequest& request, CudaDevice&) {
  const auto& a = request.attributes.as<PoolAttributes>();
  return make_backward(request, pooling_of(request, request.outputs[0], request.inputs[0], a),
                       WindowMeans{a.count_include_pad});
}
std::unique_ptr<Kernel> make_adaptive_avg_pool2d(const KernelRequest& request, CudaDevice&) {
  return make_forward(request, pooling_of(request, request.inputs[0], request.outputs[0], {}),
                      BinMeans{});
}
std::unique_ptr<Kernel> make_adaptive_avg_pool2d_grad(const KernelRequest& request, CudaDevice&) {
  return make_backward(request, pooling_of(request, request.outputs[0], request.inputs[0], {}),
                       BinMeans{});
}

}  // namespace

void add_avg_pool_kernels(CudaKernelTable& table) {
  table.set("avg_pool2d", make_avg_pool2d);
  table.set("avg_pool2d_grad", make_avg_pool2d_grad);
  table.set("adaptive_avg_pool2d", make_adaptive_avg_pool2d);
  table.set("adaptive_avg_pool2d_grad", make_adaptive_avg_pool2d_grad);
}

}  // namespace lockstep::cuda
