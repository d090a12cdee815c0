// Pooling as PyTorch's, with gradients: each gradient asks, for a pixel of x, which windows contain
// it.
#include <cmath>
#include <limits>

#include "kernels.hpp"

namespace lockstep::reference {
namespace {

// A range of positions along one axis.
struct Range {
  int64_t begin, end;
  int64_t size() const { return end - begin; }
};

struct Window {
  Range h, w;
};

// Calls body(plane, oh, ow) for each output pixel; a plane is a channel of a sample.
template <class Body>
void for_each_pixel(const Images& images, Body body) {
  for (int64_t plane = 0; plane < images.samples * images.channels; ++plane) {
    for (int64_t h = 0; h < images.height; ++h) {
      for (int64_t w = 0; w < images.width; ++w) body(plane, h, w);
    }
  }
}

struct Pooling {
  Pooling(const TensorType& x_type, const TensorType& y_type, const PoolAttributes& a)
      : x(x_type), y(y_type), attributes(a) {}

  // The window of an output pixel before and after it is cut to the image.
  Range padded(size_t axis, int64_t out, int64_t extent) const {
    const int64_t begin = out * attributes.stride[axis] - attributes.padding[axis];
    const int64_t end =
        std::min<int64_t>(begin + attributes.kernel[axis], extent + attributes.padding[axis]);
    return {begin, end};
  }
  Range cut(size_t axis, int64_t out, int64_t extent) const {
    const Range range = padded(axis, out, extent);
    return {std::max<int64_t>(range.begin, 0), std::min(range.end, extent)};
  }
  Window window(int64_t oh, int64_t ow) const {
    return {cut(0, oh, x.height), cut(1, ow, x.width)};
  }
  // What an average divides by. With count_include_pad the padding counts, but not what ceil_mode
  // adds beyond it.
  double divisor(int64_t oh, int64_t ow) const {
    const bool all = attributes.count_include_pad;
    const Range h = all ? padded(0, oh, x.height) : cut(0, oh, x.height);
    const Range w = all ? padded(1, ow, x.width) : cut(1, ow, x.width);
    return static_cast<double>(h.size() * w.size());
  }
  // The output positions whose windows contain this input position.
  Range users(size_t axis, int64_t in, int64_t extent_out) const {
    const int64_t stride = attributes.stride[axis];
    const int64_t last = (in + attributes.padding[axis]) / stride;
    const int64_t before = in + attributes.padding[axis] - attributes.kernel[axis];
    const int64_t first = before < 0 ? 0 : before / stride + 1;
    return {first, std::min(last + 1, extent_out)};
  }
  // The number of an input pixel within a window, as max_pool2d stores it.
  int64_t position(int64_t oh, int64_t ow, int64_t h, int64_t w) const {
    return (h - padded(0, oh, x.height).begin) * attributes.kernel[1] + w -
           padded(1, ow, x.width).begin;
  }
  // Sums term(plane, oh, ow, h, w) over the windows that contain each pixel of x.
  template <class Term>
  void gather(float* dx, Term term) const {
    for_each_pixel(x, [&](int64_t plane, int64_t h, int64_t w) {
      const Range rows = users(0, h, y.height);
      const Range columns = users(1, w, y.width);
      double sum = 0;
      for (int64_t oh = rows.begin; oh < rows.end; ++oh) {
        for (int64_t ow = columns.begin; ow < columns.end; ++ow) sum += term(plane, oh, ow, h, w);
      }
      dx[x.at(0, plane, h, w)] = static_cast<float>(sum);
    });
  }

  Images x, y;
  PoolAttributes attributes;
};

// x -> y, index
std::unique_ptr<Kernel> make_max_pool2d(const KernelRequest& request, HostDevice&) {
  require_plain(request);
  const Pooling pool(request.inputs[0], request.outputs[0],
                     request.attributes.as<PoolAttributes>());
  return make_kernel([pool](const KernelArguments& arguments) {
    const float* x = input(arguments, 0);
    float* y = output(arguments, 0);
    uint8_t* index = output<uint8_t>(arguments, 1);
    for_each_pixel(pool.y, [&](int64_t plane, int64_t oh, int64_t ow) {
      const Window window = pool.window(oh, ow);
      float best = x[pool.x.at(0, plane, window.h.begin, window.w.begin)];
      int64_t place = pool.position(oh, ow, window.h.begin, window.w.begin);
      for (int64_t h = window.h.begin; h < window.h.end; ++h) {
        for (int64_t w = window.w.begin; w < window.w.end; ++w) {
          const float value = x[pool.x.at(0, plane, h, w)];
          if (value > best || (std::isnan(value) && !std::isnan(best))) {
            best = value;
            place = pool.position(oh, ow, h, w);
          }
        }
      }
      y[pool.y.at(0, plane, oh, ow)] = best;
      index[pool.y.at(0, plane, oh, ow)] = static_cast<uint8_t>(place);
    });
  });
}

// dy, index -> dx
std::unique_ptr<Kernel> make_max_pool2d_grad(const KernelRequest& request, HostDevice&) {
  require_plain(request);
  const Pooling pool(request.outputs[0], request.inputs[0],
                     request.attributes.as<PoolAttributes>());
  return make_kernel([pool](const KernelArguments& arguments) {
    const float* dy = input(arguments, 0);
    const uint8_t* index = input<uint8_t>(arguments, 1);
    pool.gather(output(arguments, 0),
                [&](int64_t plane, int64_t oh, int64_t ow, int64_t h, int64_t w) -> double {
                  const int64_t i = pool.y.at(0, plane, oh, ow);
                  return index[i] == pool.position(oh, ow, h, w) ? dy[i] : 0.0f;
                });
  });
}

// x -> y
std::unique_ptr<Kernel> make_avg_pool2d(const KernelRequest& request, HostDevice&) {
  require_plain(request);
  const Pooling pool(request.inputs[0], request.outputs[0],
                     request.attributes.as<PoolAttributes>());
  return make_kernel([pool](const KernelArguments& arguments) {
    const float* x = input(arguments, 0);
    float* y = output(arguments, 0);
    for_each_pixel(pool.y, [&](int64_t plane, int64_t oh, int64_t ow) {
      const Window window = pool.window(oh, ow);
      double sum = 0;
      for (int64_t h = window.h.begin; h < window.h.end; ++h) {
        for (int64_t w = window.w.begin; w < window.w.end; ++w) sum += x[pool.x.at(0, plane, h, w)];
      }
      y[pool.y.at(0, plane, oh, ow)] = static_cast<float>(sum / pool.divisor(oh, ow));
    });
  });
}

// dy -> dx
std::unique_ptr<Kernel> make_avg_pool2d_grad(const KernelRequest& request, HostDevice&) {
  require_plain(request);
  const Pooling pool(request.outputs[0], request.inputs[0],
                     request.attributes.as<PoolAttributes>());
  return make_kernel([pool](const KernelArguments& arguments) {
    const float* dy = input(arguments, 0);
    pool.gather(output(arguments, 0), [&](int64_t plane, int64_t oh, int64_t ow, int64_t, int64_t) {
      return dy[pool.y.at(0, plane, oh, ow)] / pool.divisor(oh, ow);
    });
  });
}

// Bin i of `out` bins over `extent` positions; bins overlap where `out` does not divide `extent`.
Range bin(int64_t i, int64_t out, int64_t extent) {
  return {i * extent / out, ((i + 1) * extent + out - 1) / out};
}

// x -> y
std::unique_ptr<Kernel> make_adaptive_avg_pool2d(const KernelRequest& request, HostDevice&) {
  require_plain(request);
  const Images in(request.inputs[0]);
  const Images out(request.outputs[0]);
  return make_kernel([in, out](const KernelArguments& arguments) {
    const float* x = input(arguments, 0);
    float* y = output(arguments, 0);
    for_each_pixel(out, [&](int64_t plane, int64_t oh, int64_t ow) {
      const Window window{bin(oh, out.height, in.height), bin(ow, out.width, in.width)};
      double sum = 0;
      for (int64_t h = window.h.begin; h < window.h.end; ++h) {
        for (int64_t w = window.w.begin; w < window.w.end; ++w) sum += x[in.at(0, plane, h, w)];
      }
      const auto size = static_cast<double>(window.h.size() * window.w.size());
      y[out.at(0, plane, oh, ow)] = static_cast<float>(sum / size);
    });
  });
}

// dy -> dx
std::unique_ptr<Kernel> make_adaptive_avg_pool2d_grad(const KernelRequest& request, HostDevice&) {
  require_plain(request);
  const Images in(request.outputs[0]);
  const Images out(request.inputs[0]);
  return make_kernel([in, out](const KernelArguments& arguments) {
    const float* dy = input(arguments, 0);
    float* dx = output(arguments, 0);
    for_each_pixel(in, [&](int64_t plane, int64_t h, int64_t w) {
      double sum = 0;
      for (int64_t oh = 0; oh < out.height; ++oh) {
        const Range rows = bin(oh, out.height, in.height);
        if (h < rows.begin || h >= rows.end) continue;
        for (int64_t ow = 0; ow < out.width; ++ow) {
          const Range columns = bin(ow, out.width, in.width);
          if (w < columns.begin || w >= columns.end) continue;
          const auto size = static_cast<double>(rows.size() * columns.size());
          sum += dy[out.at(0, plane, oh, ow)] / size;
        }
      }
      dx[in.at(0, plane, h, w)] = static_cast<float>(sum);
    });
  });
}

}  // namespace

void add_pooling_kernels(HostKernelTable& table) {
  table.set("max_pool2d", make_max_pool2d);
  table.set("max_pool2d_grad", make_max_pool2d_grad);
  table.set("avg_pool2d", make_avg_pool2d);
  table.set("avg_pool2d_grad", make_avg_pool2d_grad);
  table.set("adaptive_avg_pool2d", make_adaptive_avg_pool2d);
  table.set("adaptive_avg_pool2d_grad", make_adaptive_avg_pool2d_grad);
}

}  // namespace lockstep::reference
