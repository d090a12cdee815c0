// Eight elements at once: what one thread of a GPU reads and writes, 16 bytes in the half types.
// Arithmetic is in float.
#pragma once

#include "base/half.hpp"
#include "device/simt.hpp"

#if defined(__CUDACC__) || defined(LOCKSTEP_SIMT_SHIM)

namespace lockstep::simt {

constexpr int kVector = 8;

template <class T, int N = kVector>
struct alignas(sizeof(T) * N < 16 ? sizeof(T) * N : 16) Pack {
  T values[N];
};

template <class T>
__device__ Pack<T> load_pack(const T* from) {
  return *reinterpret_cast<const Pack<T>*>(from);
}
template <class T>
__device__ void store_pack(T* to, const Pack<T>& pack) {
  *reinterpret_cast<Pack<T>*>(to) = pack;
}

// 16 bytes that are moved without a look at them.
struct alignas(16) Bytes16 {
  uint32_t words[4];
};

struct Floats {
  float values[kVector];
  __device__ float& operator[](int k) { return values[k]; }
  __device__ float operator[](int k) const { return values[k]; }
};

template <class T>
__device__ Floats load(const T* from) {
  const Pack<T> pack = load_pack(from);
  Floats floats;
#pragma unroll
  for (int k = 0; k < kVector; ++k) floats[k] = to_float(pack.values[k]);
  return floats;
}
template <class T>
__device__ void store(T* to, const Floats& floats) {
  Pack<T> pack;
#pragma unroll
  for (int k = 0; k < kVector; ++k) pack.values[k] = from_float<T>(floats[k]);
  store_pack(to, pack);
}

// Elements that lie one after the other. Those of images are (…, stored) of which `channels` exist
// and the others are zero; without padding `stored` is 0.
struct Elements {
  int64_t count = 0;
  int channels = 0, stored = 0;

  // Whether element i exists rather than fills a block of channels.
  __device__ bool exists(int64_t i) const {
    return stored == 0 || static_cast<int>(i % stored) < channels;
  }
};

// to[i] <- f(i, from[i]…) for all elements, in threads that take eight of them each. `to` may be
// one of the others.
template <class T, class F, class... From>
__device__ void transform(const Elements& elements, T* to, F f, const From*... from) {
  const int64_t vectors = elements.count / kVector;
  for (int64_t v = thread_number(); v < vectors; v += thread_count()) {
    const int64_t first = v * kVector;
    Floats result = f(load(from + first)...);
    if (elements.stored != 0) {
#pragma unroll
      for (int k = 0; k < kVector; ++k) {
        if (!elements.exists(first + k)) result[k] = 0;
      }
    }
    store(to + first, result);
  }
  for (int64_t i = vectors * kVector + thread_number(); i < elements.count; i += thread_count()) {
    Floats result = f(Floats{{to_float(from[i])}}...);
    to[i] = from_float<T>(elements.exists(i) ? result[0] : 0.0f);
  }
}

}  // namespace lockstep::simt

#endif
