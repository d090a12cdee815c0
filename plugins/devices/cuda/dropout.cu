// Dropout: which elements are kept is the same on all devices; see device/dropout_mask.hpp.
#include "device/dropout_mask.hpp"
#include "device/simt_vector.hpp"
#include "kernels.hpp"
#include "ops/attributes.hpp"
#include "own.hpp"
#include "requests.hpp"

namespace lockstep::cuda {
namespace {

using namespace simt;

struct Mask {
  int64_t layer;
  uint64_t threshold;
  float scale;
  int64_t elements;  // of a sample
};

// Four elements of a sample per thread: x (N, …), random_key (2), indices (N) -> y
template <class T>
__global__ void dropout_kernel(int64_t samples, Mask mask, const T* x, const int64_t* random_key,
                               const int64_t* indices, T* y) {
  const int64_t quads = (mask.elements + 3) / 4;
  for (int64_t i = thread_number(); i < samples * quads; i += thread_count()) {
    const int64_t sample = i / quads;
    const int64_t quad = i % quads;
    const auto words = dropout_words(random_key, mask.layer, indices[sample], quad);
    const int64_t first = sample * mask.elements + 4 * quad;
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      if (4 * quad + k >= mask.elements) break;
      const bool kept = words[static_cast<size_t>(k)] >= mask.threshold;
      y[first + k] = from_float<T>(kept ? to_float(x[first + k]) * mask.scale : 0.0f);
    }
  }
}

// x, random_key, indices -> y
std::unique_ptr<Kernel> make_dropout(const KernelRequest& request, CudaDevice&) {
  const TensorType& type = request.outputs[0];
  for (const TensorType& t : {request.inputs[0], type}) {
    if (t.layout != Layout::plain) refuse(request, t, "a plain tensor");
  }
  const auto& attributes = request.attributes.as<DropoutAttributes>();
  const int64_t samples = type.shape[0];
  const Mask mask{.layer = attributes.layer,
                  .threshold = dropout_threshold(attributes.probability),
                  .scale = dropout_scale(attributes.probability),
                  .elements = samples == 0 ? 0 : type.shape.numel() / samples};
  return with_float_type(request, type, [&]<class T>(T) {
    return make_kernel(
        [=](const KernelArguments& a) {
          launch(&dropout_kernel<T>, grid_for(samples * ((mask.elements + 3) / 4)), a.stream,
                 samples, mask, input<T>(a, 0), input<int64_t>(a, 1), input<int64_t>(a, 2),
                 output<T>(a, 0));
        },
        "own");
  });
}

}  // namespace

void add_dropout_kernels(CudaKernelTable& table) { table.set("dropout", make_dropout); }

}  // namespace lockstep::cuda
