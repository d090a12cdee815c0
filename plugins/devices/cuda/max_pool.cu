// The maximum of each window and where it lies, and its gradient. A thread takes eight channels of
// a pixel; the gradient asks, for a pixel of x, which windows chose it, so no two threads add to
// one place.
#include "kernels.hpp"
#include "own.hpp"
#include "windows.cuh"

namespace lockstep::cuda {
namespace {

using namespace simt;

// The best eight so far.
struct Maxima {
  Floats best;
  Pack<uint8_t> place;

  __device__ void start(const Floats& values, int position) {
    best = values;
#pragma unroll
    for (int k = 0; k < kVector; ++k) place.values[k] = static_cast<uint8_t>(position);
  }
  // The first of equals stays; NaN is more than any number, as in PyTorch.
  __device__ void take(const Floats& values, int position) {
#pragma unroll
    for (int k = 0; k < kVector; ++k) {
      const bool is_nan = values[k] != values[k], was_nan = best[k] != best[k];
      if (values[k] > best[k] || (is_nan && !was_nan)) {
        best[k] = values[k];
        place.values[k] = static_cast<uint8_t>(position);
      }
    }
  }
};

// x -> y, index
template <class T>
__global__ void max_pool_kernel(Pooling p, const T* x, T* y, uint8_t* index) {
  for_each_vector(
      p.outputs(), p.h.windows, p.w.windows, p.vectors, [=](int n, int oh, int ow, int vector) {
        const Range rows = p.h.cut(oh), columns = p.w.cut(ow);
        const int top = p.h.padded(oh).begin, left = p.w.padded(ow).begin;
        Maxima maxima;
        maxima.start(load(x + p.input_at(n, rows.begin, columns.begin, vector)),
                     (rows.begin - top) * p.w.kernel + columns.begin - left);
        for (int h = rows.begin; h < rows.end; ++h) {
          for (int w = columns.begin; w < columns.end; ++w) {
            maxima.take(load(x + p.input_at(n, h, w, vector)), (h - top) * p.w.kernel + w - left);
          }
        }
#pragma unroll
        for (int k = 0; k < kVector; ++k) {
          if (vector * kVector + k >= p.channels) maxima.place.values[k] = 0;
        }
        const int64_t at = p.output_at(n, oh, ow, vector);
        store(y + at, maxima.best);
        store_pack(index + at, maxima.place);
      });
}

// dy, index -> dx
template <class T>
__global__ void max_pool_grad_kernel(Pooling p, const T* dy, const uint8_t* index, T* dx) {
  for_each_vector(
      p.inputs(), p.h.extent, p.w.extent, p.vectors, [=](int n, int h, int w, int vector) {
        const Range rows = p.h.users(h), columns = p.w.users(w);
        Floats sum{};
        for (int oh = rows.begin; oh < rows.end; ++oh) {
          for (int ow = columns.begin; ow < columns.end; ++ow) {
            const int64_t at = p.output_at(n, oh, ow, vector);
            const Floats d = load(dy + at);
            const Pack<uint8_t> place = load_pack(index + at);
            const int position = (h - p.h.padded(oh).begin) * p.w.kernel + w - p.w.padded(ow).begin;
#pragma unroll
            for (int k = 0; k < kVector; ++k) {
              if (place.values[k] == position) sum[k] += d[k];
            }
          }
        }
        store(dx + p.input_at(n, h, w, vector), sum);
      });
}

std::unique_ptr<Kernel> make_max_pool2d(const KernelRequest& request, CudaDevice&) {
  const Pooling p = pooling_of(request, request.inputs[0], request.outputs[0],
                               request.attributes.as<PoolAttributes>());
  images_of(request, request.outputs[1]);
  require_dtype(request, request.outputs[0], request.inputs[0].dtype);
  return with_float_type(request, request.inputs[0], [&]<class T>(T) {
    return make_kernel(
        [p](const KernelArguments& a) {
          launch(&max_pool_kernel<T>, grid_for(p.outputs()), a.stream, p, input<T>(a, 0),
                 output<T>(a, 0), output<uint8_t>(a, 1));
        },
        "own");
  });
}

std::unique_ptr<Kernel> make_max_pool2d_grad(const KernelRequest& request, CudaDevice&) {
  const Pooling p = pooling_of(request, request.outputs[0], request.inputs[0],
                               request.attributes.as<PoolAttributes>());
  images_of(request, request.inputs[1]);
  require_dtype(request, request.outputs[0], request.inputs[0].dtype);
  return with_float_type(request, request.inputs[0], [&]<class T>(T) {
    return make_kernel(
        [p](const KernelArguments& a) {
          launch(&max_pool_grad_kernel<T>, grid_for(p.inputs()), a.stream, p, input<T>(a, 0),
                 input<uint8_t>(a, 1), output<T>(a, 0));
        },
        "own");
  });
}

}  // namespace

void add_max_pool_kernels(CudaKernelTable& table) {
  table.set("max_pool2d", make_max_pool2d);
  table.set("max_pool2d_grad", make_max_pool2d_grad);
}

}  // namespace lockstep::cuda
