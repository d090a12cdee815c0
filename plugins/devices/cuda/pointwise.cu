// Kernels that treat each element alone: relu, sigmoid, tanh and their gradients, add, scale, cast;
// reshape, which copies.
#include "device/simt_functors.hpp"
#include "kernels.hpp"
#include "ops/attributes.hpp"
#include "ops/pointwise_functors.hpp"
#include "own.hpp"
#include "plugin/twin.hpp"
#include "requests.hpp"

namespace lockstep::cuda {
namespace {

using namespace simt;

Grid grid_for_vectors(int64_t elements) { return grid_for((elements + kVector - 1) / kVector); }

template <class T>
__global__ void add_kernel(Elements elements, const T* a, const T* b, T* y) {
  const auto sum = [](Floats u, const Floats& v) {
#pragma unroll
    for (int k = 0; k < kVector; ++k) u[k] += v[k];
    return u;
  };
  transform(elements, y, sum, a, b);
}

template <class T>
__global__ void scale_kernel(Elements elements, float factor, const T* x, T* y) {
  const auto scaled = [factor](Floats v) {
#pragma unroll
    for (int k = 0; k < kVector; ++k) v[k] *= factor;
    return v;
  };
  transform(elements, y, scaled, x);
}

template <class From, class To>
__global__ void convert_kernel(Elements elements, const From* x, To* y) {
  transform(
      elements, y, [](const Floats& v) { return v; }, x);
}

__global__ void copy_kernel(int64_t bytes, const char* from, char* to) {
  const int64_t whole = bytes / static_cast<int64_t>(sizeof(Bytes16));
  for (int64_t i = thread_number(); i < whole; i += thread_count()) {
    reinterpret_cast<Bytes16*>(to)[i] = reinterpret_cast<const Bytes16*>(from)[i];
  }
  const int64_t rest = whole * static_cast<int64_t>(sizeof(Bytes16));
  for (int64_t i = rest + thread_number(); i < bytes; i += thread_count()) to[i] = from[i];
}

// All tensors must lie alike; then elements are walked as they lie in memory.
void require_alike(const KernelRequest& request) {
  const TensorType& first = request.outputs[0];
  if (first.layout != Layout::plain && first.layout != Layout::nhwc8c) {
    refuse(request, first, "plain or nhwc8c");
  }
  for (const TensorType& type : request.inputs) {
    if (type.layout != first.layout) refuse(request, type, concat("the layout of ", first.text()));
    if (type.dtype != first.dtype) refuse(request, type, concat("the type of ", first.text()));
  }
}

// add: a, b -> a + b
std::unique_ptr<Kernel> make_add(const KernelRequest& request, CudaDevice&) {
  require_alike(request);
  const int64_t count = request.outputs[0].stored_elements();
  return with_float_type(request, request.outputs[0], [&]<class T>(T) {
    return make_kernel(
        [count](const KernelArguments& a) {
          launch(&add_kernel<T>, grid_for_vectors(count), a.stream, Elements{count}, input<T>(a, 0),
                 input<T>(a, 1), output<T>(a, 0));
        },
        "own");
  });
}

// scale: x -> factor * x
std::unique_ptr<Kernel> make_scale(const KernelRequest& request, CudaDevice&) {
  require_alike(request);
  const int64_t count = request.outputs[0].stored_elements();
  const auto factor = static_cast<float>(request.attributes.as<ScaleAttributes>().factor);
  return with_float_type(request, request.outputs[0], [&]<class T>(T) {
    return make_kernel(
        [count, factor](const KernelArguments& a) {
          launch(&scale_kernel<T>, grid_for_vectors(count), a.stream, Elements{count}, factor,
                 input<T>(a, 0), output<T>(a, 0));
        },
        "own");
  });
}

// reshape: a copy; nothing where the output lies on the input
std::unique_ptr<Kernel> make_reshape(const KernelRequest& request, CudaDevice&) {
  for (const TensorType& type : {request.inputs[0], request.outputs[0]}) {
    if (type.layout != Layout::plain) refuse(request, type, "a plain tensor");
  }
  const int64_t bytes = request.outputs[0].bytes();
  return make_kernel(
      [bytes](const KernelArguments& a) {
        if (a.inputs[0] == a.outputs[0]) return;
        launch(&copy_kernel, grid_for((bytes + 15) / 16), a.stream, bytes, input<char>(a, 0),
               output<char>(a, 0));
      },
      "own");
}

// cast: x -> x in the output's type
std::unique_ptr<Kernel> make_cast(const KernelRequest& request, CudaDevice&) {
  const TensorType from = request.inputs[0], to = request.outputs[0];
  if (from.layout != to.layout) refuse(request, from, concat("the layout of ", to.text()));
  for (const TensorType& type : {from, to}) with_float_type(request, type, [](auto) {});
  const int64_t count = to.stored_elements();
  return make_kernel(
      [=](const KernelArguments& a) {
        convert(a.inputs[0], from.dtype, a.outputs[0], to.dtype, count,
                reinterpret_cast<CudaStream>(a.stream));
      },
      "own");
}

// relu, sigmoid, tanh: x -> y; their gradients: y, dy -> dx
template <class F>
std::unique_ptr<Kernel> make_functor(const KernelRequest& request, CudaDevice&) {
  return make_pointwise_kernel(request, pointwise_launches<F>());
}

template <class F>
void add_functor(CudaKernelTable& table, const std::string& name) {
  table.set(name, make_functor<F>);
  table.set(name + "_grad", make_functor<F>);
}

}  // namespace

std::unique_ptr<Kernel> make_pointwise_kernel(const KernelRequest& request,
                                              const PointwiseLaunches& launches) {
  require_alike(request);
  const TensorType type = request.outputs[0];
  with_float_type(request, type, [](auto) {});
  PointwiseCall call{.dtype = type.dtype, .count = type.stored_elements()};
  if (type.layout == Layout::nhwc8c && type.shape[1] % 8 != 0) {
    call.channels = static_cast<int>(type.shape[1]);
    call.stored = static_cast<int>(rounded_up(type.shape[1], 8));
  }
  if (request.inputs.size() == 2) {
    return make_kernel(
        [=](const KernelArguments& a) {
          launches.backward(call, a.inputs[0], a.inputs[1], a.outputs[0], a.stream);
        },
        "own");
  }
  return make_kernel(
      [=](const KernelArguments& a) {
        launches.forward(call, a.inputs[0], a.outputs[0], a.stream);
      },
      "own");
}

std::unique_ptr<Kernel> make_plugin_pointwise_kernel(const KernelRequest& request) {
  return make_pointwise_kernel(request,
                               find_pointwise_launches(request.definition.plugin, request.op));
}

void convert(const void* x, DType from, void* y, DType to, int64_t count, CudaStream stream) {
  with_float_type(from, [&]<class From>(From) {
    with_float_type(to, [&]<class To>(To) {
      launch(&convert_kernel<From, To>, grid_for_vectors(count), reinterpret_cast<Stream*>(stream),
             Elements{count}, static_cast<const From*>(x), static_cast<To*>(y));
    });
  });
}

void add_pointwise_kernels(CudaKernelTable& table) {
  table.set("add", make_add);
  table.set("scale", make_scale);
  table.set("reshape", make_reshape);
  table.set("cast", make_cast);
  add_functor<Relu>(table, "relu");
  add_functor<Sigmoid>(table, "sigmoid");
  add_functor<Tanh>(table, "tanh");
}

}  // namespace lockstep::cuda
