// What batch normalisation does to each element: for evaluation, between the sums of synchronised
// batch normalisation, and after convolutions and products (bias, shortcut, ReLU).
#include "columns.cuh"
#include "kernels.hpp"
#include "ops/attributes.hpp"
#include "own.hpp"

namespace lockstep::cuda {
namespace {

using namespace simt;

// y = (x - mean) * scale + b for the eight channels of a thread
struct Affine {
  Floats mean, scale, b;

  __device__ Floats operator()(Floats v) const {
#pragma unroll
    for (int k = 0; k < kVector; ++k) v[k] = (v[k] - mean[k]) * scale[k] + b[k];
    return v;
  }
};

__device__ void add_to(Floats& v, const Floats& other) {
#pragma unroll
  for (int k = 0; k < kVector; ++k) v[k] += other[k];
}
// A NaN passes, so that a diverged run shows.
__device__ void apply_relu(Floats& v) {
#pragma unroll
  for (int k = 0; k < kVector; ++k) v[k] = v[k] < 0 ? 0.0f : v[k];
}

struct Parameters {
  const float *w, *b, *mean, *variance;
  float epsilon;
  bool relu;
};

// x, w, b, running_mean, running_var, [residual] -> y
template <class T>
__global__ void __launch_bounds__(kColumnThreads)
    inference_kernel(Columns columns, Parameters p, const T* x, const T* residual, T* y) {
  const int64_t channel = column_channel();
  if (channel >= columns.stored) return;
  Affine affine{load_channels(p.mean, channel, columns.channels),
                load_channels(p.w, channel, columns.channels),
                load_channels(p.b, channel, columns.channels)};
  const Floats variance = load_channels(p.variance, channel, columns.channels);
#pragma unroll
  for (int k = 0; k < kVector; ++k) affine.scale[k] /= sqrtf(variance[k] + p.epsilon);
  for_each_row(columns, channel, [&](int64_t at) {
    Floats v = affine(load(x + at));
    if (residual != nullptr) add_to(v, load(residual + at));
    if (p.relu) apply_relu(v);
      // The channels past the last have no variance: their scale is 0 / sqrt(epsilon), or NaN.
#pragma unroll
    for (int k = 0; k < kVector; ++k) {
      if (channel + k >= columns.channels) v[k] = 0;
    }
    store(y + at, v);
  });
}

std::unique_ptr<Kernel> make_inference(const KernelRequest& request, CudaDevice&) {
  const auto attributes = request.attributes.as<BatchNormAttributes>();
  const Columns columns(images_of(request, request.inputs[0]));
  if (attributes.residual) images_of(request, request.inputs[5]);
  require_dtype(request, request.outputs[0], request.inputs[0].dtype);
  return with_float_type(request, request.inputs[0], [&]<class T>(T) {
    return make_kernel(
        [=](const KernelArguments& a) {
          const Parameters p{.w = input(a, 1),
                             .b = input(a, 2),
                             .mean = input(a, 3),
                             .variance = input(a, 4),
                             .epsilon = static_cast<float>(attributes.epsilon),
                             .relu = attributes.relu};
          launch(&inference_kernel<T>, grid_of(columns), a.stream, columns, p, input<T>(a, 0),
                 attributes.residual ? input<T>(a, 5) : nullptr, output<T>(a, 0));
        },
        "own");
  });
}

// x, moments, w, b -> y, mean, variance
template <class T>
__global__ void __launch_bounds__(kColumnThreads)
    apply_kernel(Columns columns, double epsilon, const T* x, const double* moments, const float* w,
                 const float* b, T* y, float* mean, float* variance) {
  const int64_t channel = column_channel();
  if (channel >= columns.stored) return;
  const double n = moments[2 * columns.channels];
  Affine affine{{}, {}, load_channels(b, channel, columns.channels)};
#pragma unroll
  for (int k = 0; k < kVector; ++k) {
    const int64_t c = channel + k;
    if (c >= columns.channels) continue;
    const double exact_mean = moments[c] / n;
    const double spread = moments[columns.channels + c] / n - exact_mean * exact_mean;
    const double exact_variance = spread < 0 ? 0 : spread;  // NaN stays
    affine.mean[k] = static_cast<float>(exact_mean);
    affine.scale[k] = static_cast<float>(w[c] / sqrt(exact_variance + epsilon));
    if (blockIdx.y == 0 && threadIdx.y == 0) {
      mean[c] = affine.mean[k];
      variance[c] = static_cast<float>(exact_variance);
    }
  }
  for_each_row(columns, channel, [&](int64_t at) { store(y + at, affine(load(x + at))); });
}

std::unique_ptr<Kernel> make_apply(const KernelRequest& request, CudaDevice&) {
  const Columns columns(images_of(request, request.inputs[0]));
  const double epsilon = request.attributes.as<BatchNormAttributes>().epsilon;
  require_dtype(request, request.outputs[0], request.inputs[0].dtype);
  return with_float_type(request, request.inputs[0], [&]<class T>(T) {
    return make_kernel(
        [=](const KernelArguments& a) {
          launch(&apply_kernel<T>, grid_of(columns), a.stream, columns, epsilon, input<T>(a, 0),
                 input<double>(a, 1), input(a, 2), input(a, 3), output<T>(a, 0), output(a, 1),
                 output(a, 2));
        },
        "own");
  });
}

struct GradArguments {
  const float *mean, *variance, *w;
  const double *sums, *moments;
  float epsilon;
};

// dx = w / deviation * (dy - mean of dy - x_hat * mean of (dy * x_hat))
template <class T>
__global__ void __launch_bounds__(kColumnThreads)
    grad_apply_kernel(Columns columns, GradArguments g, const T* x, const T* dy, T* dx) {
  const int64_t channel = column_channel();
  if (channel >= columns.stored) return;
  const double n = g.moments[2 * columns.channels];
  const Floats mean = load_channels(g.mean, channel, columns.channels);
  const Floats w = load_channels(g.w, channel, columns.channels);
  Floats inverse = load_channels(g.variance, channel, columns.channels);
  Floats mean_dy{}, mean_product{};
#pragma unroll
  for (int k = 0; k < kVector; ++k) {
    inverse[k] = 1 / sqrtf(inverse[k] + g.epsilon);
    if (channel + k >= columns.channels) continue;
    mean_dy[k] = static_cast<float>(g.sums[channel + k] / n);
    mean_product[k] = static_cast<float>(g.sums[columns.channels + channel + k] / n);
  }
  for_each_row(columns, channel, [&](int64_t at) {
    const Floats v = load(x + at);
    Floats d = load(dy + at);
#pragma unroll
    for (int k = 0; k < kVector; ++k) {
      const float x_hat = (v[k] - mean[k]) * inverse[k];
      const float centered = d[k] - mean_dy[k] - x_hat * mean_product[k];
      d[k] = channel + k < columns.channels ? w[k] * inverse[k] * centered : 0.0f;
    }
    store(dx + at, d);
  });
}

// x, dy, mean, variance, w, sums, moments -> dx
std::unique_ptr<Kernel> make_grad_apply(const KernelRequest& request, CudaDevice&) {
  const Columns columns(images_of(request, request.inputs[0]));
  images_of(request, request.inputs[1]);
  const auto epsilon = static_cast<float>(request.attributes.as<BatchNormAttributes>().epsilon);
  for (const TensorType& type : {request.inputs[1], request.outputs[0]}) {
    require_dtype(request, type, request.inputs[0].dtype);
  }
  return with_float_type(request, request.inputs[0], [&]<class T>(T) {
    return make_kernel(
        [=](const KernelArguments& a) {
          const GradArguments g{.mean = input(a, 2),
                                .variance = input(a, 3),
                                .w = input(a, 4),
                                .sums = input<double>(a, 5),
                                .moments = input<double>(a, 6),
                                .epsilon = epsilon};
          launch(&grad_apply_kernel<T>, grid_of(columns), a.stream, columns, g, input<T>(a, 0),
                 input<T>(a, 1), output<T>(a, 0));
        },
        "own");
  });
}

// y <- relu?(y + bias + residual?)
template <class T>
__global__ void __launch_bounds__(kColumnThreads)
    epilogue_kernel(Columns columns, const float* bias, const T* residual, bool relu, T* y) {
  const int64_t channel = column_channel();
  if (channel >= columns.stored) return;
  Floats b{};
  if (bias != nullptr) b = load_channels(bias, channel, columns.channels);
  const bool aligned = columns.aligned();
  const int64_t left = columns.stored - channel;
  for_each_row(columns, channel, [&](int64_t at) {
    Floats v = load_row(y + at, aligned, left);
    add_to(v, b);
    if (residual != nullptr) add_to(v, load_row(residual + at, aligned, left));
    if (relu) apply_relu(v);
    store_row(y + at, v, aligned, left);
  });
}

}  // namespace

void add_epilogue(const Epilogue& e, DType dtype, void* y, CudaStream stream) {
  with_float_type(dtype, [&]<class T>(T) {
    const Columns columns(e.rows, e.channels, e.stored_channels);
    launch(&epilogue_kernel<T>, grid_of(columns), reinterpret_cast<Stream*>(stream), columns,
           e.bias, static_cast<const T*>(e.residual), e.relu, static_cast<T*>(y));
  });
}

void add_batch_norm_kernels(CudaKernelTable& table) {
  table.set("batch_norm_inference", make_inference);
  table.set("batch_norm_apply", make_apply);
  table.set("batch_norm_grad_apply", make_grad_apply);
}

}  // namespace lockstep::cuda
