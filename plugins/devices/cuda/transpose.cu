// Between channels first and channels last: reorder of images, and filters for cuDNN, whose KRSC is
// to (O, I, kh, kw) what (N, H, W, C) is to (N, C, H, W). Tiles go through shared memory, so that
// both sides are read and written in rows.
#include "device/simt_vector.hpp"
#include "kernels.hpp"
#include "own.hpp"
#include "requests.hpp"

namespace lockstep::cuda {
namespace {

using namespace simt;

constexpr int kTile = 32;
constexpr int kThreads = 256;

// (samples, channels, pixels) on the plain side, (stored samples, pixels, stored channels) on the
// other, where the channels of each group of samples lie behind those of the one before; what is
// stored beyond the existing is zero.
struct Transposition {
  int64_t samples, channels, pixels;
  int64_t stored_samples, stored_channels;
  int64_t groups = 1;

  // The stored channel in which the first one of a sample lies.
  LS_HD int64_t first_channel(int64_t sample) const { return sample * groups / samples * channels; }

  // A tile is of 32 channels and as many pixels, or all where there are fewer: then its plain side
  // is one row.
  LS_HD int tile_pixels() const { return pixels < kTile ? static_cast<int>(pixels) : kTile; }
  LS_HD int64_t channel_tiles() const { return (stored_channels + kTile - 1) / kTile; }
  LS_HD int64_t pixel_tiles() const {
    return pixels == 0 ? 0 : (pixels + tile_pixels() - 1) / tile_pixels();
  }
  int64_t tiles() const { return stored_samples * channel_tiles() * pixel_tiles(); }
};

// The tile's values lie in rows of channels that are one longer than a tile, against conflicts of
// shared memory's banks.
constexpr int kRow = kTile + 1;

// Calls body(place in shared memory, place in memory or -1) for the plain side of a tile.
template <class Body>
__device__ void for_each_plain(const Transposition& t, int64_t sample, int64_t channel,
                               int64_t pixel, Body body) {
  const int pixels = t.tile_pixels();
  const int64_t first = channel - t.first_channel(sample);
  for (int i = static_cast<int>(threadIdx.x); i < kTile * pixels; i += kThreads) {
    const int c = i / pixels, p = i % pixels;
    const int64_t own = first + c;
    const bool exists = sample < t.samples && own >= 0 && own < t.channels && pixel + p < t.pixels;
    const int64_t at = (sample * t.channels + own) * t.pixels + pixel + p;
    body(c * kRow + p, exists ? at : -1);
  }
}
// The same for the side whose channels are last.
template <class Body>
__device__ void for_each_last(const Transposition& t, int64_t sample, int64_t channel,
                              int64_t pixel, Body body) {
  const int pixels = t.tile_pixels();
  for (int i = static_cast<int>(threadIdx.x); i < kTile * pixels; i += kThreads) {
    const int p = i / kTile, c = i % kTile;
    const bool exists = channel + c < t.stored_channels && pixel + p < t.pixels;
    const int64_t at = (sample * t.pixels + pixel + p) * t.stored_channels + channel + c;
    body(c * kRow + p, exists ? at : -1);
  }
}

// to_last: plain -> channels last; else back.
template <class T, bool to_last>
__global__ void __launch_bounds__(kThreads)
    transpose_kernel(Transposition t, const T* from, T* to) {
  T* const tile = shared_array<T, kTile * kRow>([] {});
  const int64_t sample = blockIdx.x / (t.channel_tiles() * t.pixel_tiles());
  const int64_t channel = blockIdx.x / t.pixel_tiles() % t.channel_tiles() * kTile;
  const int64_t pixel = blockIdx.x % t.pixel_tiles() * t.tile_pixels();
  const auto read = [=](int place, int64_t at) { tile[place] = at < 0 ? T{} : from[at]; };
  const auto write = [=](int place, int64_t at) {
    if (at >= 0) to[at] = tile[place];
  };
  if constexpr (to_last) {
    for_each_plain(t, sample, channel, pixel, read);
    __syncthreads();
    for_each_last(t, sample, channel, pixel, write);
  } else {
    for_each_last(t, sample, channel, pixel, read);
    __syncthreads();
    for_each_plain(t, sample, channel, pixel, write);
  }
}

template <class T>
void launch_transpose(const Transposition& t, bool to_last, const void* from, void* to,
                      Stream* stream) {
  LS_ASSERT(t.tiles() <= INT32_MAX);
  const Grid grid{.blocks_x = static_cast<unsigned>(t.tiles()), .threads_x = kThreads};
  launch(to_last ? &transpose_kernel<T, true> : &transpose_kernel<T, false>, grid, stream, t,
         static_cast<const T*>(from), static_cast<T*>(to));
}

void transpose(const Transposition& t, bool to_last, int64_t element_size, const void* from,
               void* to, Stream* stream) {
  if (element_size == 1) return launch_transpose<uint8_t>(t, to_last, from, to, stream);
  if (element_size == 2) return launch_transpose<uint16_t>(t, to_last, from, to, stream);
  LS_ASSERT(element_size == 4);
  launch_transpose<uint32_t>(t, to_last, from, to, stream);
}

// x -> x in the layout of the output, plain or nhwc8c
std::unique_ptr<Kernel> make_reorder(const KernelRequest& request, CudaDevice&) {
  const TensorType from = request.inputs[0], to = request.outputs[0];
  const bool to_last = to.layout == Layout::nhwc8c;
  const TensorType& plain = to_last ? from : to;
  const TensorType& last = to_last ? to : from;
  if (plain.layout != Layout::plain || last.layout != Layout::nhwc8c || size_of(from.dtype) > 4 ||
      from.dtype != to.dtype || from.shape != to.shape || from.shape.rank() != 4) {
    refuse(request, from, concat("images, plain or nhwc8c, to become the other, not ", to.text()));
  }
  const Shape& shape = from.shape;
  const Transposition t{.samples = shape[0],
                        .channels = shape[1],
                        .pixels = shape[2] * shape[3],
                        .stored_samples = shape[0],
                        .stored_channels = rounded_up(shape[1], 8)};
  if (t.tiles() > INT32_MAX) refuse(request, from, "fewer elements; use a smaller batch");
  return make_kernel(
      [t, to_last, size = size_of(from.dtype)](const KernelArguments& a) {
        transpose(t, to_last, size, a.inputs[0], a.outputs[0], a.stream);
      },
      "own");
}

Transposition of_filter(const FilterShape& shape) {
  return {.samples = shape.out,
          .channels = shape.in,
          .pixels = shape.height * shape.width,
          .stored_samples = shape.stored_out,
          .stored_channels = shape.stored_in,
          .groups = shape.groups};
}

// KRSC <- w * scale[o], bias[o] <- shift, of a batch norm that follows; a block per output channel
template <class From, class To>
__global__ void fold_kernel(Transposition t, const From* w, FoldedBatchNorm f, To* krsc,
                            float* bias) {
  const int64_t o = blockIdx.x;
  float scale = 1, shift = 0;
  if (o < t.samples) {
    if (f.b != nullptr) shift = f.b[o];
    if (f.weight != nullptr) {
      scale = static_cast<float>(f.weight[o] / sqrt(f.variance[o] + f.epsilon));
      shift = (shift - f.mean[o]) * scale + f.bias[o];
    }
  }
  if (threadIdx.x == 0 && bias != nullptr) bias[o] = shift;
  const int64_t count = t.pixels * t.stored_channels;
  for (int64_t i = threadIdx.x; i < count; i += blockDim.x) {
    const int64_t pixel = i / t.stored_channels;
    const int64_t own = i % t.stored_channels - t.first_channel(o);
    const bool exists = o < t.samples && own >= 0 && own < t.channels;
    const int64_t at = (o * t.channels + own) * t.pixels + pixel;
    krsc[o * count + i] = from_float<To>(exists ? to_float(w[at]) * scale : 0.0f);
  }
}

}  // namespace

void pack_filter(const FilterShape& shape, DType dtype, const void* w, void* krsc,
                 CudaStream stream) {
  transpose(of_filter(shape), true, size_of(dtype), w, krsc, reinterpret_cast<Stream*>(stream));
}

void unpack_filter(const FilterShape& shape, DType dtype, const void* krsc, void* w,
                   CudaStream stream) {
  Transposition t = of_filter(shape);
  t.stored_samples = t.samples;  // the zeros behind the last filter are not wanted
  transpose(t, false, size_of(dtype), krsc, w, reinterpret_cast<Stream*>(stream));
}

void fold_filter(const FilterShape& shape, DType dtype, const void* w, DType w_dtype,
                 const FoldedBatchNorm& folded, void* krsc, float* bias, CudaStream stream) {
  const Transposition t = of_filter(shape);
  const Grid grid{.blocks_x = static_cast<unsigned>(shape.stored_out), .threads_x = kThreads};
  with_float_type(w_dtype, [&]<class From>(From) {
    with_float_type(dtype, [&]<class To>(To) {
      launch(&fold_kernel<From, To>, grid, reinterpret_cast<Stream*>(stream), t,
             static_cast<const From*>(w), folded, static_cast<To*>(krsc), bias);
    });
  });
}

void add_transpose_kernels(CudaKernelTable& table) { table.set("reorder", make_reorder); }

}  // namespace lockstep::cuda
