// The attributes of the framework's ops, and what each op computes: the contract between ops and
// devices' kernels.
//
// Images are (N, C, H, W). "[b]" is an optional input, present as the attribute says.
//
// Element types are f32 unless said otherwise. With mixed precision the following are `half`, that
// is bf16 or f16, all of one node alike: x, y, residual, and the results and gradients of ops that
// go from x to y (dx, dy, d_residual); w and dw of conv2d, linear and their gradients. Always f32:
// biases, the parameters and moments of batch norms, their gradients, w of the two ..._inference
// ops (for kernels to fold and round), and everything of the loss. Kernels compute in f32 or wider
// and round a result once. NaN stays NaN, through a relu too, so that a training that diverges is
// seen in its loss; the two ..._inference ops alone may make 0 of it.
//
// clang-format off
//   op                      inputs -> outputs
//   cast                    x (any shape; f32, bf16 or f16) -> x in the type of the attribute, rounded to even
//   normalize               image u8 -> y = (image / 255 - mean[c]) / std[c], in the type of the attribute
//   conv2d                  x, w (O, C/groups, kh, kw), [b (O)] -> y
//   conv2d_grad_input       dy, w -> dx
//   conv2d_grad_weight      x, dy -> dw, [db]
//   conv2d_inference        x, w, [residual], [b], [bn_w, bn_b, bn_mean, bn_var: if batch_norm]
//                           -> y = relu?(batch_norm_inference?(conv2d(x, w, b)) + residual?)
//   linear                  x (N, K), w (O, K), [b (O)] -> y (N, O)
//   linear_inference        x, w, [b] -> y = relu?(linear(x, w, b))
//                           of both: all inputs but x and residual are parameters or buffers, so that kernels may
//                           keep what follows from them (Kernel::update_constants)
//   linear_grad_input       dy, w -> dx
//   linear_grad_weight      x, dy -> dw, [db]
//   batch_norm              x, w (C), b (C), [residual] -> y, mean (C), variance (C, biased), [mask]
//                           y = relu?((x - mean) / sqrt(variance + epsilon) * w + b + residual?)
//                           mask: if mask; u8 (bytes), a bit per element of x in memory, set where y > 0; the order of
//                           bits is the device's own
//   batch_norm_grad         x, dy, mean, variance, w, [y: if relu, or mask: if mask] -> dx, dw, db, [dresidual]
//                           where relu: dy counts only where y > 0
//   batch_norm_inference    x, w, b, running_mean, running_var, [residual] -> y
//   batch_statistics        mean, variance, fraction (), [moments]
//                           -> mean * fraction, variance * n / (n - 1) * fraction
//                           n: attribute count, or the last element of moments; n = 1 leaves the variance
//   batch_moments           x -> f64 (2C + 1): sums, sums of squares, count (synchronised batch norm)
//   batch_norm_apply        x, moments, w, b -> y, mean, variance
//   batch_norm_grad_sums    x, dy, mean, variance -> f64 (2C): sums of dy, of dy * x_hat; dw (C), db (C)
//   batch_norm_grad_apply   x, dy, mean, variance, w, sums, moments -> dx
//   all_reduce              v (f32 or f64) -> v summed over all ranks
//   relu, sigmoid, tanh, …  x -> y;   NAME_grad: y, dy -> dx (registered as pointwise functors)
//   add                     a, b -> a + b
//   scale                   x -> factor * x (any shape)
//   concat                  x0, x1, … -> along channels
//   slice_channels          x -> x[:, begin : begin + count]
//   pad_channels            x -> zeros before and after the channels
//   subsample               x -> x[:, :, ::stride, ::stride];   subsample_grad: dy -> dx (zeros between)
//   max_pool2d              x -> y, index u8 (N, C, H', W'): position kh * kernel_w + kw of the first maximum
//   max_pool2d_grad         dy, index -> dx
//   avg_pool2d              x -> y;   avg_pool2d_grad: dy -> dx
//   adaptive_avg_pool2d     x -> y (PyTorch's bins);   adaptive_avg_pool2d_grad: dy -> dx
//   reshape                 x plain -> same elements, another shape
//   dropout                 x, random_key i64 (2) (plan/step_block.hpp), indices i64 (N) -> y; its own gradient
//   softmax_cross_entropy   logits (N, K), labels i32 (N), weights (N)
//                           -> loss (), losses (N), probabilities (N, K)
//                           losses are per sample, not weighted; loss = sum of weight * loss
//   softmax_cross_entropy_grad  probabilities, labels, weights, d_loss () -> d_logits
//   classification_metrics  logits, labels, weights, losses -> f64 (5): sum of weight * loss, sum of weights, and of the
//                           samples whose weight is not 0 the top-1 hits, the top-5 hits (ties go to the lower class;
//                           NaN never hits) and the number
//   reorder                 x -> x in the layout of the output type
// clang-format on
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/options.hpp"
#include "graph/graph.hpp"

namespace lockstep {

template <>
struct EnumNames<DType> {
  static constexpr std::pair<DType, std::string_view> values[] = {
      {DType::f32, "f32"}, {DType::bf16, "bf16"}, {DType::f16, "f16"}};
};

struct CastAttributes {
  DType dtype = DType::f32;  // of the result: f32, bf16 or f16
};

struct NormalizeAttributes {
  std::vector<double> mean = {};
  std::vector<double> std = {};
  DType dtype = DType::f32;  // of the result
};

// {height, width}. PyTorch's torch.nn.Conv2d; cross-correlation, zero padding.
struct Conv2dAttributes {
  std::array<int, 2> stride{1, 1};
  std::array<int, 2> padding{0, 0};
  std::array<int, 2> dilation{1, 1};
  int groups = 1;
  bool bias = false;
  // Of conv2d_inference: what follows the convolution, in this order.
  bool batch_norm = false;
  double epsilon = 1e-5;  // of batch_norm
  bool residual = false;
  bool relu = false;
  // Of the two gradients: the extents that cannot be derived from their inputs.
  std::vector<int64_t> input_shape = {};   // conv2d_grad_input: of x
  std::vector<int64_t> weight_shape = {};  // conv2d_grad_weight: of w
};

struct LinearAttributes {
  bool bias = false;
  bool relu = false;  // linear_inference
};

struct BatchNormAttributes {
  double epsilon = 1e-5;
  bool relu = false;
  bool residual = false;
  // With relu: the gradient is told where y is positive by bits instead of y.
  bool mask = false;
};

struct BatchStatisticsAttributes {
  int64_t count = 0;  // values per channel; 0: taken from moments
};

struct ScaleAttributes {
  double factor = 1;
};

// Pooling. ceil_mode as PyTorch: a window that would start in the right padding is dropped.
struct PoolAttributes {
  std::array<int, 2> kernel{1, 1};
  std::array<int, 2> stride{1, 1};
  std::array<int, 2> padding{0, 0};
  bool ceil_mode = false;
  bool count_include_pad = true;
  std::vector<int64_t> input_shape = {};  // gradients: of x
};

struct AdaptivePoolAttributes {
  std::array<int, 2> out{1, 1};
  std::vector<int64_t> input_shape = {};  // gradient: of x
};

struct ChannelsAttributes {  // slice_channels: begin, count; pad_channels: before = begin, after =
                             // count
  int64_t begin = 0;
  int64_t count = 0;
};

struct SubsampleAttributes {
  int stride = 1;
  std::vector<int64_t> input_shape = {};  // gradient: of x
};

struct ReshapeAttributes {
  std::vector<int64_t> shape = {};
};

struct DropoutAttributes {
  double probability = 0.5;  // of being zeroed; the rest is scaled by 1 / (1 - probability)
  int64_t layer = 0;         // a number of the layer's own, hash_name of its path
};

struct SoftmaxCrossEntropyAttributes {
  double label_smoothing = 0;  // Szegedy et al., arXiv:1512.00567, section 7; PyTorch's definition
};

struct ReorderAttributes {
  int layout = 0;  // static_cast<int>(Layout) of the result
};

void describe(Options<CastAttributes>&);
void describe(Options<NormalizeAttributes>&);
void describe(Options<Conv2dAttributes>&);
void describe(Options<LinearAttributes>&);
void describe(Options<BatchNormAttributes>&);
void describe(Options<BatchStatisticsAttributes>&);
void describe(Options<ScaleAttributes>&);
void describe(Options<PoolAttributes>&);
void describe(Options<AdaptivePoolAttributes>&);
void describe(Options<ChannelsAttributes>&);
void describe(Options<SubsampleAttributes>&);
void describe(Options<ReshapeAttributes>&);
void describe(Options<DropoutAttributes>&);
void describe(Options<SoftmaxCrossEntropyAttributes>&);
void describe(Options<ReorderAttributes>&);

}  // namespace lockstep
