// The launches of functors on a GPU: the optimizer's update over whole arenas, y = f(x) and dx =
// g(y, dy). What the host's loops of plugin.hpp are to host devices.
#pragma once

#include "device/functor_launches.hpp"
#include "device/simt_vector.hpp"

#if defined(__CUDACC__) || defined(LOCKSTEP_SIMT_SHIM)

namespace lockstep::simt {

// --- pointwise functions

template <class F, class T>
__global__ void pointwise_forward_kernel(Elements elements, const T* x, T* y) {
  const auto f = [](Floats v) {
#pragma unroll
    for (int k = 0; k < kVector; ++k) v[k] = F::forward(v[k]);
    return v;
  };
  transform(elements, y, f, x);
}

template <class F, class T>
__global__ void pointwise_backward_kernel(Elements elements, const T* y, const T* dy, T* dx) {
  const auto g = [](const Floats& result, Floats d) {
#pragma unroll
    for (int k = 0; k < kVector; ++k) d[k] = F::backward(result[k], d[k]);
    return d;
  };
  transform(elements, dx, g, y, dy);
}

template <class F, class T>
void launch_forward(const PointwiseCall& call, const void* x, void* y, Stream* stream) {
  launch(&pointwise_forward_kernel<F, T>, grid_for((call.count + kVector - 1) / kVector), stream,
         Elements{call.count, call.channels, call.stored}, static_cast<const T*>(x),
         static_cast<T*>(y));
}
template <class F, class T>
void launch_backward(const PointwiseCall& call, const void* y, const void* dy, void* dx,
                     Stream* stream) {
  launch(&pointwise_backward_kernel<F, T>, grid_for((call.count + kVector - 1) / kVector), stream,
         Elements{call.count, call.channels, call.stored}, static_cast<const T*>(y),
         static_cast<const T*>(dy), static_cast<T*>(dx));
}

template <class F>
constexpr PointwiseLaunches pointwise_launches() {
  return {
      .forward =
          [](const PointwiseCall& call, const void* x, void* y, Stream* stream) {
            if (call.dtype == DType::f16) return launch_forward<F, F16>(call, x, y, stream);
            if (call.dtype == DType::bf16) return launch_forward<F, Bf16>(call, x, y, stream);
            launch_forward<F, float>(call, x, y, stream);
          },
      .backward =
          [](const PointwiseCall& call, const void* y, const void* dy, void* dx, Stream* stream) {
            if (call.dtype == DType::f16) return launch_backward<F, F16>(call, y, dy, dx, stream);
            if (call.dtype == DType::bf16) return launch_backward<F, Bf16>(call, y, dy, dx, stream);
            launch_backward<F, float>(call, y, dy, dx, stream);
          }};
}

// --- the optimizer's update

// Four elements of all arrays in registers, where they can be moved at once.
template <class F>
__device__ void update_four(const F& f, const StepInfo& step, const Norms& norms,
                            const UpdateCall& call, int64_t at) {
  constexpr int kArrays = F::slots > 0 ? F::slots : 1;
  using Four = Pack<float, 4>;
  Four w = *reinterpret_cast<const Four*>(call.w + at);
  const Four g = *reinterpret_cast<const Four*>(call.g + at);
  Four slots[kArrays];
  float* arrays[kArrays];
#pragma unroll
  for (int s = 0; s < F::slots; ++s) {
    slots[s] = *reinterpret_cast<const Four*>(call.slots[s] + at);
    arrays[s] = slots[s].values;
  }
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    update_element(f, step, norms, w.values[k], g.values[k] * step.gradient_scale,
                   Slots<F::slots>{arrays, k});
  }
  *reinterpret_cast<Four*>(call.w + at) = w;
#pragma unroll
  for (int s = 0; s < F::slots; ++s) *reinterpret_cast<Four*>(call.slots[s] + at) = slots[s];
}

template <class F>
__device__ void update_one(const F& f, const StepInfo& step, const Norms& norms,
                           const UpdateCall& call, int64_t at) {
  update_element(f, step, norms, call.w[at], call.g[at] * step.gradient_scale,
                 Slots<F::slots>{call.slots, at});
}

// One block per chunk.
template <class F>
__global__ void update_kernel(UpdateCall call) {
  const UpdateChunk chunk = call.chunks[blockIdx.x];
  const F f = static_cast<const F*>(call.functors)[chunk.group];
  StepInfo step = *call.step;
  step.lr *= call.lr_multipliers[chunk.group];
  Norms norms;
  if constexpr (needs_norms_of<F>()) norms = call.norms[chunk.segment];
  const int32_t fours = chunk.offset % 4 == 0 ? chunk.count / 4 : 0;
  for (int32_t i = static_cast<int32_t>(threadIdx.x); i < fours; i += blockDim.x) {
    update_four(f, step, norms, call, chunk.offset + 4 * i);
  }
  for (int32_t i = 4 * fours + static_cast<int32_t>(threadIdx.x); i < chunk.count;
       i += blockDim.x) {
    update_one(f, step, norms, call, chunk.offset + i);
  }
}

template <class F>
void launch_update(const UpdateCall& call, Stream* stream) {
  static_assert(F::slots <= UpdateCall::kMostSlots);
  launch(&update_kernel<F>, {.blocks_x = static_cast<unsigned>(call.chunk_count)}, stream, call);
}

}  // namespace lockstep::simt

#endif
