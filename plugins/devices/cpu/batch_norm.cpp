// Batch normalisation, with a residual and ReLU fused: training, inference, and the two halves of
// the synchronised one. Ioffe and Szegedy, arXiv:1502.03167, algorithms 1 and 2; variance as
// PyTorch, biased in the normalisation.
#include <cmath>

#include "batch_norm_passes.hpp"
#include "kernels.hpp"
#include "ops/attributes.hpp"

namespace lockstep::cpu {
namespace {

// y = relu?((x - mean) * scale + shift + residual?) over a task.
struct Normalization {
  const float* x;
  const float* residual;  // null: none
  float* y;
  bool relu;

  void run(const ImageView& view, const Division& division, int64_t block, int64_t slice,
           const Lanes& mean, const Lanes& scale, const Lanes& shift) const {
    for_whole_slice(view, division, block, slice, [&](int64_t offset, Rows rows) {
      normalize_rows(x + offset, residual == nullptr ? nullptr : residual + offset, y + offset,
                     rows, relu, mean, scale, shift);
    });
  }
};

// x, w, b, [residual] -> y, mean, variance
std::unique_ptr<Kernel> make_batch_norm(const KernelRequest& request, HostDevice& host) {
  require_one_layout(request);
  require_no_mask(request);
  CpuDevice& device = as_cpu(host);
  const auto attributes = request.attributes.as<BatchNormAttributes>();
  const auto view = ImageView::of(request.inputs[0]);
  const auto division = Division::of(view, device.threads());
  const auto launch = [=, &device](const KernelArguments& arguments) {
    const float* w = input(arguments, 1);
    const float* b = input(arguments, 2);
    float* mean = output(arguments, 1);
    float* variance = output(arguments, 2);
    const Normalization normalization{input(arguments, 0),
                                      attributes.residual ? input(arguments, 3) : nullptr,
                                      output(arguments, 0), attributes.relu};
    const Partials<Moments> partials{static_cast<Moments*>(arguments.workspace), view.block,
                                     division.slices};
    run_passes(
        device, view, division,
        [&](int64_t block, int64_t slice) {
          find_moments(normalization.x, view, division, block, slice, partials.at(block, slice));
        },
        [&](int64_t block, int64_t slice) {
          // Every task of the block adds up the same sums in the same order; the first one tells.
          std::array<Moments, 16> moments;
          for (int64_t k = 0; k < channels_of(view, block); ++k) {
            Moments& of_channel = moments[static_cast<size_t>(k)];
            for (int64_t s = 0; s < division.slices; ++s)
              of_channel.merge(partials.at(block, s)[k]);
            if (slice > 0) continue;
            mean[block * view.block + k] = static_cast<float>(of_channel.mean);
            variance[block * view.block + k] = static_cast<float>(of_channel.variance());
          }
          const auto of = [&](int64_t c) -> const Moments& {
            return moments[static_cast<size_t>(c - block * view.block)];
          };
          normalization.run(view, division, block, slice,
                            lanes_of(view, block, [&](int64_t c) { return of(c).mean; }),
                            lanes_of(view, block,
                                     [&](int64_t c) {
                                       return w[c] /
                                              std::sqrt(of(c).variance() + attributes.epsilon);
                                     }),
                            lanes_of(view, block, [&](int64_t c) { return b[c]; }));
        });
  };
  return make_kernel(launch, "loops", Partials<Moments>::bytes(view, division));
}

// Normalises with given statistics, in tasks of one pass.
void normalize_all(CpuDevice& device, const ImageView& view, const Normalization& normalization,
                   const float* mean, const float* variance, const float* w, const float* b,
                   double epsilon) {
  Division division{.slices = std::clamp<int64_t>(view.batch, 1, 8 * device.threads())};
  device.parallel_tasks(view.blocks * division.slices, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const int64_t block = t % view.blocks;  // neighbours in memory
      normalization.run(
          view, division, block, t / view.blocks,
          lanes_of(view, block, [&](int64_t c) { return mean[c]; }),
          lanes_of(view, block, [&](int64_t c) { return w[c] / std::sqrt(variance[c] + epsilon); }),
          lanes_of(view, block, [&](int64_t c) { return b[c]; }));
    }
  });
}

// x, w, b, running_mean, running_var, [residual] -> y
std::unique_ptr<Kernel> make_batch_norm_inference(const KernelRequest& request, HostDevice& host) {
  require_one_layout(request);
  CpuDevice& device = as_cpu(host);
  const auto attributes = request.attributes.as<BatchNormAttributes>();
  const auto view = ImageView::of(request.inputs[0]);
  return make_kernel(
      [=, &device](const KernelArguments& arguments) {
        const Normalization normalization{input(arguments, 0),
                                          attributes.residual ? input(arguments, 5) : nullptr,
                                          output(arguments, 0), attributes.relu};
        normalize_all(device, view, normalization, input(arguments, 3), input(arguments, 4),
                      input(arguments, 1), input(arguments, 2), attributes.epsilon);
      },
      "loops");
}

// x -> f64 (2C + 1): sums, sums of squares, count
std::unique_ptr<Kernel> make_batch_moments(const KernelRequest& request, HostDevice& host) {
  CpuDevice& device = as_cpu(host);
  const auto view = ImageView::of(request.inputs[0]);
  const auto division = Division::of(view, device.threads());
  const auto launch = [=, &device](const KernelArguments& arguments) {
    double* moments = output<double>(arguments, 0);
    const Partials<Moments> partials{static_cast<Moments*>(arguments.workspace), view.block,
                                     division.slices};
    run_passes(
        device, view, division,
        [&](int64_t block, int64_t slice) {
          find_moments(input(arguments, 0), view, division, block, slice,
                       partials.at(block, slice));
        },
        [&](int64_t block, int64_t slice) {
          if (slice > 0) return;
          for (int64_t k = 0; k < channels_of(view, block); ++k) {
            Moments all;
            for (int64_t s = 0; s < division.slices; ++s) all.merge(partials.at(block, s)[k]);
            const int64_t c = block * view.block + k;
            moments[c] = all.mean * all.count;
            moments[view.channels + c] = all.m2 + all.mean * all.mean * all.count;
          }
        });
    moments[2 * view.channels] = static_cast<double>(view.batch * view.pixels());
  };
  return make_kernel(launch, "loops", Partials<Moments>::bytes(view, division));
}

// x, moments, w, b -> y, mean, variance
std::unique_ptr<Kernel> make_batch_norm_apply(const KernelRequest& request, HostDevice& host) {
  require_one_layout(request);
  CpuDevice& device = as_cpu(host);
  const auto attributes = request.attributes.as<BatchNormAttributes>();
  const auto view = ImageView::of(request.inputs[0]);
  return make_kernel(
      [=, &device](const KernelArguments& arguments) {
        const double* moments = input<double>(arguments, 1);
        float* mean = output(arguments, 1);
        float* variance = output(arguments, 2);
        const double count = std::max(1.0, moments[2 * view.channels]);
        for (int64_t c = 0; c < view.channels; ++c) {
          const double m = moments[c] / count;
          mean[c] = static_cast<float>(m);
          variance[c] =
              static_cast<float>(std::max(moments[view.channels + c] / count - m * m, 0.0));
        }
        const Normalization normalization{input(arguments, 0), nullptr, output(arguments, 0),
                                          attributes.relu};
        normalize_all(device, view, normalization, mean, variance, input(arguments, 2),
                      input(arguments, 3), attributes.epsilon);
      },
      "loops");
}

}  // namespace

void add_batch_norm_kernels(HostKernelTable& table) {
  table.set("batch_norm", make_batch_norm);
  table.set("batch_norm_inference", make_batch_norm_inference);
  table.set("batch_moments", make_batch_moments);
  table.set("batch_norm_apply", make_batch_norm_apply);
}

}  // namespace lockstep::cpu
