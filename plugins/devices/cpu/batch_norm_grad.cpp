// The gradients of batch normalisation: Ioffe and Szegedy, arXiv:1502.03167, section 3. With g the
// gradient behind the ReLU, x_hat the normalised x and n the values per channel:
//   db = sum g,  dw = sum g * x_hat,  dx = w / sqrt(variance + epsilon) * (g - db / n - x_hat * dw
//   / n)
#include <cmath>

#include "batch_norm_passes.hpp"
#include "kernels.hpp"
#include "ops/attributes.hpp"

namespace lockstep::cpu {
namespace {

// dx of a task, from the sums over the whole batch (of all ranks) and the number of values in it.
struct InputGradient {
  const float* x;
  const float* dy;
  const float* y;  // null: no ReLU, or dy has it behind it already
  float* dx;
  const float* mean;
  const float* variance;
  const float* w;
  double epsilon;
  double count;

  // sums(channel) gives GradSums
  template <class Sums>
  void run(const ImageView& view, const Division& division, int64_t block, int64_t slice,
           Sums&& sums) const {
    const double per_value = count > 0 ? 1 / count : 0;
    const auto inverse = [&](int64_t c) { return 1 / std::sqrt(variance[c] + epsilon); };
    const Lanes means = lanes_of(view, block, [&](int64_t c) { return mean[c]; });
    const Lanes scales = lanes_of(view, block, [&](int64_t c) { return w[c] * inverse(c); });
    const Lanes offsets = lanes_of(view, block, [&](int64_t c) { return sums(c).g * per_value; });
    const Lanes slopes = lanes_of(view, block, [&](int64_t c) {
      return sums(c).g_deviation * per_value * inverse(c) * inverse(c);
    });
    for_whole_slice(view, division, block, slice, [&](int64_t offset, Rows rows) {
      grad_rows(x + offset, dy + offset, y == nullptr ? nullptr : y + offset, dx + offset, rows,
                means, scales, offsets, slopes);
    });
  }
};

// x, dy, mean, variance, w, [y] -> dx, dw, db, [dresidual]
std::unique_ptr<Kernel> make_batch_norm_grad(const KernelRequest& request, HostDevice& host) {
  require_one_layout(request);
  require_no_mask(request);
  CpuDevice& device = as_cpu(host);
  const auto attributes = request.attributes.as<BatchNormAttributes>();
  const auto view = ImageView::of(request.inputs[0]);
  const auto division = Division::of(view, device.threads());
  const auto launch = [=, &device](const KernelArguments& arguments) {
    const float* y = attributes.relu ? input(arguments, 5) : nullptr;
    float* dw = output(arguments, 1);
    float* db = output(arguments, 2);
    const GradPass sums_pass{.x = input(arguments, 0),
                             .dy = input(arguments, 1),
                             .y = y,
                             .kept = attributes.residual ? output(arguments, 3) : nullptr,
                             .mean = input(arguments, 2)};
    // The residual's gradient is g: the second pass reads it instead of dy and y.
    const InputGradient gradient{.x = sums_pass.x,
                                 .dy = attributes.residual ? sums_pass.kept : sums_pass.dy,
                                 .y = attributes.residual ? nullptr : y,
                                 .dx = output(arguments, 0),
                                 .mean = sums_pass.mean,
                                 .variance = input(arguments, 3),
                                 .w = input(arguments, 4),
                                 .epsilon = attributes.epsilon,
                                 .count = static_cast<double>(view.batch * view.pixels())};
    const Partials<GradSums> partials{static_cast<GradSums*>(arguments.workspace), view.block,
                                      division.slices};
    run_passes(
        device, view, division,
        [&](int64_t block, int64_t slice) {
          find_grad_sums(sums_pass, view, division, block, slice, partials.at(block, slice));
        },
        [&](int64_t block, int64_t slice) {
          std::array<GradSums, 16> sums{};
          for (int64_t k = 0; k < channels_of(view, block); ++k) {
            GradSums& all = sums[static_cast<size_t>(k)];
            for (int64_t s = 0; s < division.slices; ++s) {
              all.g += partials.at(block, s)[k].g;
              all.g_deviation += partials.at(block, s)[k].g_deviation;
            }
            if (slice > 0) continue;
            const int64_t c = block * view.block + k;
            db[c] = static_cast<float>(all.g);
            dw[c] = static_cast<float>(all.g_deviation /
                                       std::sqrt(gradient.variance[c] + attributes.epsilon));
          }
          gradient.run(view, division, block, slice, [&](int64_t c) {
            return sums[static_cast<size_t>(c - block * view.block)];
          });
        });
  };
  return make_kernel(launch, "loops", Partials<GradSums>::bytes(view, division));
}

// x, dy, mean, variance -> f64 (2C): sums of dy, of dy * x_hat; dw, db: this rank's
std::unique_ptr<Kernel> make_batch_norm_grad_sums(const KernelRequest& request, HostDevice& host) {
  require_one_layout(request);
  CpuDevice& device = as_cpu(host);
  const double epsilon = request.attributes.as<BatchNormAttributes>().epsilon;
  const auto view = ImageView::of(request.inputs[0]);
  const auto division = Division::of(view, device.threads());
  const auto launch = [=, &device](const KernelArguments& arguments) {
    const float* variance = input(arguments, 3);
    double* sums = output<double>(arguments, 0);
    const GradPass pass{.x = input(arguments, 0),
                        .dy = input(arguments, 1),
                        .y = nullptr,
                        .kept = nullptr,
                        .mean = input(arguments, 2)};
    const Partials<GradSums> partials{static_cast<GradSums*>(arguments.workspace), view.block,
                                      division.slices};
    run_passes(
        device, view, division,
        [&](int64_t block, int64_t slice) {
          find_grad_sums(pass, view, division, block, slice, partials.at(block, slice));
        },
        [&](int64_t block, int64_t slice) {
          if (slice > 0) return;
          for (int64_t k = 0; k < channels_of(view, block); ++k) {
            GradSums all;
            for (int64_t s = 0; s < division.slices; ++s) {
              all.g += partials.at(block, s)[k].g;
              all.g_deviation += partials.at(block, s)[k].g_deviation;
            }
            const int64_t c = block * view.block + k;
            sums[c] = all.g;
            sums[view.channels + c] = all.g_deviation / std::sqrt(variance[c] + epsilon);
            output(arguments, 1)[c] = static_cast<float>(sums[view.channels + c]);
            output(arguments, 2)[c] = static_cast<float>(sums[c]);
          }
        });
  };
  return make_kernel(launch, "loops", Partials<GradSums>::bytes(view, division));
}

// x, dy, mean, variance, w, sums, moments -> dx
std::unique_ptr<Kernel> make_batch_norm_grad_apply(const KernelRequest& request, HostDevice& host) {
  require_one_layout(request);
  CpuDevice& device = as_cpu(host);
  const double epsilon = request.attributes.as<BatchNormAttributes>().epsilon;
  const auto view = ImageView::of(request.inputs[0]);
  const Division division{.slices = std::clamp<int64_t>(view.batch, 1, 8 * device.threads())};
  return make_kernel(
      [=, &device](const KernelArguments& arguments) {
        const double* sums = input<double>(arguments, 5);
        const InputGradient gradient{.x = input(arguments, 0),
                                     .dy = input(arguments, 1),
                                     .y = nullptr,
                                     .dx = output(arguments, 0),
                                     .mean = input(arguments, 2),
                                     .variance = input(arguments, 3),
                                     .w = input(arguments, 4),
                                     .epsilon = epsilon,
                                     .count = input<double>(arguments, 6)[2 * view.channels]};
        device.parallel_tasks(view.blocks * division.slices, [&](int64_t begin, int64_t end) {
          for (int64_t t = begin; t < end; ++t) {
            gradient.run(view, division, t % view.blocks, t / view.blocks, [&](int64_t c) {
              const double deviation = std::sqrt(gradient.variance[c] + epsilon);
              return GradSums{sums[c], sums[view.channels + c] * deviation};
            });
          }
        });
      },
      "loops");
}

}  // namespace

void add_batch_norm_grad_kernels(HostKernelTable& table) {
  table.set("batch_norm_grad", make_batch_norm_grad);
  table.set("batch_norm_grad_sums", make_batch_norm_grad_sums);
  table.set("batch_norm_grad_apply", make_batch_norm_grad_apply);
}

}  // namespace lockstep::cpu
