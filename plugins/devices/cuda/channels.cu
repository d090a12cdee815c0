// Kernels that move channels or pixels of images without arithmetic: concat, slice_channels,
// pad_channels, subsample. Element types are told apart by their size alone.
#include <algorithm>
#include <vector>

#include "device/simt_vector.hpp"
#include "kernels.hpp"
#include "ops/attributes.hpp"
#include "own.hpp"
#include "requests.hpp"

namespace lockstep::cuda {
namespace {

using namespace simt;

// Channels [begin, end) of every row of the destination: channel c becomes the source's c - shift
// where the source has that, else zero. In elements, or in units of 16 bytes.
struct Placement {
  int64_t rows;
  int64_t stored, begin, end;
  int64_t source_stored, source_channels, shift;

  // Whether whole units move.
  bool divides(int64_t unit) const {
    for (int64_t extent : {stored, begin, end, source_stored, source_channels, shift}) {
      if (extent % unit != 0) return false;
    }
    return true;
  }
  Placement in_units(int64_t unit) const {
    return {rows,        stored / unit,        begin / unit,
            end / unit,  source_stored / unit, source_channels / unit,
            shift / unit};
  }
};

template <class Unit>
__global__ void place_channels_kernel(Placement p, const Unit* from, Unit* to) {
  const int64_t width = p.end - p.begin;
  for (int64_t i = thread_number(); i < p.rows * width; i += thread_count()) {
    const int64_t row = i / width;
    const int64_t channel = p.begin + i % width;
    const int64_t source = channel - p.shift;
    const bool exists = source >= 0 && source < p.source_channels;
    to[row * p.stored + channel] = exists ? from[row * p.source_stored + source] : Unit{};
  }
}

template <class Unit>
void launch_placement(const Placement& p, const void* from, void* to, Stream* stream) {
  launch(&place_channels_kernel<Unit>, grid_for(p.rows * (p.end - p.begin)), stream, p,
         static_cast<const Unit*>(from), static_cast<Unit*>(to));
}

void place_channels(const Placement& p, int64_t element_size, const void* from, void* to,
                    Stream* stream) {
  const int64_t unit = 16 / element_size;
  if (p.divides(unit)) {
    launch_placement<Bytes16>(p.in_units(unit), from, to, stream);
  } else if (element_size == 4) {
    launch_placement<uint32_t>(p, from, to, stream);
  } else {
    launch_placement<uint16_t>(p, from, to, stream);
  }
}

// x0 (N, C0, …), x1 (N, C1, …), … -> (N, C0 + C1 + …, …)
std::unique_ptr<Kernel> make_concat(const KernelRequest& request, CudaDevice&) {
  const TensorType& type = request.outputs[0];
  const Images y = rows_of(request, type);
  std::vector<Placement> parts;
  int64_t offset = 0;
  for (const TensorType& in : request.inputs) {
    require_dtype(request, in, type.dtype);
    const Images x = rows_of(request, in);
    parts.push_back({.rows = y.pixels(),
                     .stored = y.stored_channels,
                     .begin = offset,
                     .end = offset + x.channels,
                     .source_stored = x.stored_channels,
                     .source_channels = x.stored_channels,  // the last ones are zeros
                     .shift = offset});
    offset += x.channels;
  }
  parts.back().end = y.stored_channels;
  return make_kernel(
      [parts, size = size_of(type.dtype)](const KernelArguments& a) {
        for (size_t i = 0; i < parts.size(); ++i) {
          place_channels(parts[i], size, a.inputs[i], a.outputs[0], a.stream);
        }
      },
      "own");
}

// One input whose channels move by `shift`, of which `channels` count.
std::unique_ptr<Kernel> make_placement(const KernelRequest& request, int64_t shift) {
  const TensorType& type = request.outputs[0];
  require_dtype(request, request.inputs[0], type.dtype);
  const Images x = rows_of(request, request.inputs[0]);
  const Images y = rows_of(request, type);
  const Placement placement{.rows = y.pixels(),
                            .stored = y.stored_channels,
                            .begin = 0,
                            .end = y.stored_channels,
                            .source_stored = x.stored_channels,
                            // Past the channels of y there are zeros, whatever x has there.
                            .source_channels = std::min(x.stored_channels, y.channels - shift),
                            .shift = shift};
  return make_kernel(
      [placement, size = size_of(type.dtype)](const KernelArguments& a) {
        place_channels(placement, size, a.inputs[0], a.outputs[0], a.stream);
      },
      "own");
}

// x (N, C, …) -> x[:, begin : begin + count]
std::unique_ptr<Kernel> make_slice_channels(const KernelRequest& request, CudaDevice&) {
  return make_placement(request, -request.attributes.as<ChannelsAttributes>().begin);
}

// x (N, C, …) -> (N, before + C + after, …), zeros around the channels
std::unique_ptr<Kernel> make_pad_channels(const KernelRequest& request, CudaDevice&) {
  return make_placement(request, request.attributes.as<ChannelsAttributes>().begin);
}

// The larger and the smaller image, in rows of `units` of 16 bytes per pixel.
struct Subsampling {
  int64_t samples, height, width, small_height, small_width, stride, units;
};

// x (N, H, W, C) -> x[:, ::stride, ::stride]
__global__ void subsample_kernel(Subsampling s, const Bytes16* x, Bytes16* y) {
  const int64_t count = s.samples * s.small_height * s.small_width * s.units;
  for (int64_t i = thread_number(); i < count; i += thread_count()) {
    const int64_t pixel = i / s.units;
    const int64_t w = pixel % s.small_width;
    const int64_t h = pixel / s.small_width % s.small_height;
    const int64_t n = pixel / s.small_width / s.small_height;
    const int64_t from = (n * s.height + h * s.stride) * s.width + w * s.stride;
    y[i] = x[from * s.units + i % s.units];
  }
}

// dy (N, H', W', C) -> dx (N, H, W, C), zeros between
__global__ void subsample_grad_kernel(Subsampling s, const Bytes16* dy, Bytes16* dx) {
  const int64_t count = s.samples * s.height * s.width * s.units;
  for (int64_t i = thread_number(); i < count; i += thread_count()) {
    const int64_t pixel = i / s.units;
    const int64_t w = pixel % s.width;
    const int64_t h = pixel / s.width % s.height;
    const int64_t n = pixel / s.width / s.height;
    const bool hit = w % s.stride == 0 && h % s.stride == 0;
    const int64_t from = (n * s.small_height + h / s.stride) * s.small_width + w / s.stride;
    dx[i] = hit ? dy[from * s.units + i % s.units] : Bytes16{};
  }
}

Subsampling subsampling(const KernelRequest& request, const TensorType& large_type,
                        const TensorType& small_type) {
  require_dtype(request, small_type, large_type.dtype);
  const Images large = images_of(request, large_type), small = images_of(request, small_type);
  return {.samples = large.samples,
          .height = large.height,
          .width = large.width,
          .small_height = small.height,
          .small_width = small.width,
          .stride = request.attributes.as<SubsampleAttributes>().stride,
          .units = large.stored_channels * size_of(large_type.dtype) / 16};
}

std::unique_ptr<Kernel> make_subsample(const KernelRequest& request, CudaDevice&) {
  const Subsampling s = subsampling(request, request.inputs[0], request.outputs[0]);
  return make_kernel(
      [s](const KernelArguments& a) {
        launch(&subsample_kernel, grid_for(s.samples * s.small_height * s.small_width * s.units),
               a.stream, s, input<Bytes16>(a, 0), output<Bytes16>(a, 0));
      },
      "own");
}

std::unique_ptr<Kernel> make_subsample_grad(const KernelRequest& request, CudaDevice&) {
  const Subsampling s = subsampling(request, request.outputs[0], request.inputs[0]);
  return make_kernel(
      [s](const KernelArguments& a) {
        launch(&subsample_grad_kernel, grid_for(s.samples * s.height * s.width * s.units), a.stream,
               s, input<Bytes16>(a, 0), output<Bytes16>(a, 0));
      },
      "own");
}

}  // namespace

void add_channel_kernels(CudaKernelTable& table) {
  table.set("concat", make_concat);
  table.set("slice_channels", make_slice_channels);
  table.set("pad_channels", make_pad_channels);
  table.set("subsample", make_subsample);
  table.set("subsample_grad", make_subsample_grad);
}

}  // namespace lockstep::cuda
