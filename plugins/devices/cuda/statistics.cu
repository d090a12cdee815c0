// Sums per channel: the moments of synchronised batch normalisation and of its gradient, sums of
// rows; and the statistics that follow from them.
#include "kernels.hpp"
#include "ops/attributes.hpp"
#include "own.hpp"
#include "sums.cuh"

namespace lockstep::cuda {
namespace {

using namespace simt;

// x, x^2
template <class T>
struct MomentTerms {
  const T* x;

  __device__ void prepare(const Columns&, int64_t) {}
  // Squares of floats are exact in double, but not in float.
  __device__ void operator()(int64_t at, double (&terms)[2][kVector]) const {
    const Floats v = load(x + at);
#pragma unroll
    for (int k = 0; k < kVector; ++k) {
      terms[0][k] = v[k];
      terms[1][k] = static_cast<double>(v[k]) * v[k];
    }
  }
};

struct MomentSums {
  int64_t channels;
  double count;
  double* moments;

  __device__ void operator()(int which, int64_t channel, double sum) const {
    moments[which * channels + channel] = sum;
    if (which == 0 && channel == 0) moments[2 * channels] = count;
  }
};

// x -> moments f64 (2C + 1)
std::unique_ptr<Kernel> make_batch_moments(const KernelRequest& request, CudaDevice&) {
  const Images images = images_of(request, request.inputs[0]);
  const Columns columns(images);
  return with_float_type(request, request.inputs[0], [&]<class T>(T) {
    return make_kernel(
        [=](const KernelArguments& a) {
          launch_sums<2>(
              columns, MomentTerms<T>{input<T>(a, 0)},
              MomentSums{columns.channels, static_cast<double>(columns.rows), output<double>(a, 0)},
              a.workspace, a.stream);
        },
        "own", sums_workspace_bytes<2>(columns));
  });
}

// dy, dy * x_hat
template <class T>
struct GradTerms {
  const T* x;
  const T* dy;
  const float* mean;
  const float* variance;
  float epsilon;
  Floats means = {}, inverses = {};  // of the thread's channels

  __device__ void prepare(const Columns& columns, int64_t channel) {
    means = load_channels(mean, channel, columns.channels);
    inverses = load_channels(variance, channel, columns.channels);
#pragma unroll
    for (int k = 0; k < kVector; ++k) inverses[k] = 1 / sqrtf(inverses[k] + epsilon);
  }
  __device__ void operator()(int64_t at, double (&terms)[2][kVector]) const {
    const Floats v = load(x + at), d = load(dy + at);
#pragma unroll
    for (int k = 0; k < kVector; ++k) {
      terms[0][k] = d[k];
      terms[1][k] = d[k] * ((v[k] - means[k]) * inverses[k]);
    }
  }
};

struct GradSums {
  int64_t channels;
  double* sums;
  float* dw;
  float* db;

  __device__ void operator()(int which, int64_t channel, double sum) const {
    sums[which * channels + channel] = sum;
    (which == 0 ? db : dw)[channel] = static_cast<float>(sum);
  }
};

// x, dy, mean, variance -> sums f64 (2C) of dy and of dy * x_hat, dw, db
std::unique_ptr<Kernel> make_grad_sums(const KernelRequest& request, CudaDevice&) {
  const Columns columns(images_of(request, request.inputs[0]));
  images_of(request, request.inputs[1]);
  require_dtype(request, request.inputs[1], request.inputs[0].dtype);
  const auto epsilon = static_cast<float>(request.attributes.as<BatchNormAttributes>().epsilon);
  return with_float_type(request, request.inputs[0], [&]<class T>(T) {
    return make_kernel(
        [=](const KernelArguments& a) {
          const GradTerms<T> terms{.x = input<T>(a, 0),
                                   .dy = input<T>(a, 1),
                                   .mean = input(a, 2),
                                   .variance = input(a, 3),
                                   .epsilon = epsilon};
          launch_sums<2>(
              columns, terms,
              GradSums{columns.channels, output<double>(a, 0), output(a, 1), output(a, 2)},
              a.workspace, a.stream);
        },
        "own", sums_workspace_bytes<2>(columns));
  });
}

template <class T>
struct RowTerms {
  const T* x;
  bool aligned = true;
  int64_t left = kVector;  // stored channels from the thread's first one on

  __device__ void prepare(const Columns& columns, int64_t channel) {
    aligned = columns.aligned();
    left = columns.stored - channel;
  }
  __device__ void operator()(int64_t at, double (&terms)[1][kVector]) const {
    const Floats v = load_row(x + at, aligned, left);
#pragma unroll
    for (int k = 0; k < kVector; ++k) terms[0][k] = v[k];
  }
};

struct RowSums {
  float* sums;
  __device__ void operator()(int, int64_t channel, double sum) const {
    sums[channel] = static_cast<float>(sum);
  }
};

// mean (C), variance (C), fraction (), [moments] -> mean * fraction, unbiased variance * fraction
__global__ void batch_statistics_kernel(int64_t channels, double count, const double* moments,
                                        const float* mean, const float* variance,
                                        const float* fraction, float* mean_share,
                                        float* variance_share) {
  const double n = moments != nullptr ? moments[2 * channels] : count;
  const double unbiased = n > 1 ? n / (n - 1) : 1;
  for (int64_t c = thread_number(); c < channels; c += thread_count()) {
    mean_share[c] = mean[c] * *fraction;
    variance_share[c] = static_cast<float>(variance[c] * unbiased * *fraction);
  }
}

std::unique_ptr<Kernel> make_batch_statistics(const KernelRequest& request, CudaDevice&) {
  const int64_t channels = request.inputs[0].shape[0];
  const auto count = static_cast<double>(request.attributes.as<BatchStatisticsAttributes>().count);
  const bool from_moments = request.inputs.size() > 3;
  return make_kernel(
      [=](const KernelArguments& a) {
        launch(&batch_statistics_kernel, grid_for(channels), a.stream, channels, count,
               from_moments ? input<double>(a, 3) : nullptr, input(a, 0), input(a, 1), input(a, 2),
               output(a, 0), output(a, 1));
      },
      "own");
}

__global__ void pad_floats_kernel(const float* from, int64_t count, float fill, float* to,
                                  int64_t padded) {
  for (int64_t i = thread_number(); i < padded; i += thread_count()) {
    to[i] = i < count ? from[i] : fill;
  }
}

__global__ void inv_std_kernel(const float* variance, int64_t count, double epsilon,
                               float* inv_std) {
  for (int64_t i = thread_number(); i < count; i += thread_count()) {
    inv_std[i] = static_cast<float>(1 / sqrt(variance[i] + epsilon));
  }
}

__global__ void variance_kernel(const float* inv_std, int64_t count, double epsilon,
                                float* variance) {
  for (int64_t i = thread_number(); i < count; i += thread_count()) {
    const double inverse = inv_std[i];
    const double v = 1 / (inverse * inverse) - epsilon;
    variance[i] = static_cast<float>(v < 0 ? 0 : v);
  }
}

Stream* stream_of(CudaStream stream) { return reinterpret_cast<Stream*>(stream); }

}  // namespace

void sum_rows(int64_t rows, int64_t channels, int64_t stored_channels, DType dtype, const void* x,
              float* sums, void* workspace, CudaStream stream) {
  with_float_type(dtype, [&]<class T>(T) {
    launch_sums<1>(Columns(rows, channels, stored_channels), RowTerms<T>{static_cast<const T*>(x)},
                   RowSums{sums}, workspace, stream_of(stream));
  });
}

int64_t sum_rows_workspace_bytes(int64_t rows, int64_t channels) {
  return sums_workspace_bytes<1>(Columns(rows, channels, rounded_up(channels, kVector)));
}

void pad_floats(const float* from, int64_t count, float fill, float* to, int64_t padded,
                CudaStream stream) {
  launch(&pad_floats_kernel, grid_for(padded), stream_of(stream), from, count, fill, to, padded);
}
void inv_std_of_variance(const float* variance, int64_t count, double epsilon, float* inv_std,
                         CudaStream stream) {
  launch(&inv_std_kernel, grid_for(count), stream_of(stream), variance, count, epsilon, inv_std);
}
void variance_of_inv_std(const float* inv_std, int64_t count, double epsilon, float* variance,
                         CudaStream stream) {
  launch(&variance_kernel, grid_for(count), stream_of(stream), inv_std, count, epsilon, variance);
}

void add_statistics_kernels(CudaKernelTable& table) {
  table.set("batch_moments", make_batch_moments);
  table.set("batch_norm_grad_sums", make_grad_sums);
  table.set("batch_statistics", make_batch_statistics);
}

}  // namespace lockstep::cuda
