// Every graph that the cuda device gives to cuDNN.
//
// Pooling is not among them: for images that lie channels-last cuDNN 9.19 crashes on the gradient
// of max pooling by x and y.
//
// Images lie channels-last, with the numbers of channels that memory has. What belongs to channels
// is f32, and so is all arithmetic. Filters are (O, kh, kw, C / groups), "KRSC".
#pragma once

#include <array>
#include <cstdint>

#include "cudnn.hpp"

namespace lockstep::cuda {

// By which the tensors of these graphs are known at execution.
enum Number : int64_t {
  kX = 1,
  kW,
  kY,
  kBias,
  kResidual,
  kScale,
  kMean,
  kInvStd,
  kMask,
  kDy,
  kDx,
  kDw,
  kDScale,
  kDBias,
  kDResidual,
  kEpsilon,
  kZero,
};

struct ConvolutionShape {
  DType dtype;
  int64_t batch;
  std::array<int64_t, 3> x;  // channels, height, width
  std::array<int64_t, 3> y;
  std::array<int64_t, 2> kernel;  // height, width, as are the following
  std::array<int64_t, 2> stride;
  std::array<int64_t, 2> padding;
  std::array<int64_t, 2> dilation;
  int64_t groups;

  int64_t filter_bytes() const;
};

// What comes after a product, in this order.
struct Followers {
  bool bias = false;
  bool residual = false;
  bool relu = false;
};

// kX, kW, [kBias], [kResidual] -> kY
OperationGraph convolution_graph(const ConvolutionShape& shape, const Followers& followers);
// kDy, kW -> kDx
OperationGraph convolution_grad_input_graph(const ConvolutionShape& shape);
// kX, kDy -> kDw
OperationGraph convolution_grad_weight_graph(const ConvolutionShape& shape);

// x is (N, K), y (N, O), w (O, K), all row-major.
struct LinearShape {
  DType dtype;
  int64_t batch;
  int64_t in;
  int64_t out;
};
// kX, kW, [kBias] -> kY
OperationGraph linear_graph(const LinearShape& shape, const Followers& followers);
// kDy, kW -> kDx
OperationGraph linear_grad_input_graph(const LinearShape& shape);
// kX, kDy -> kDw
OperationGraph linear_grad_weight_graph(const LinearShape& shape);

struct BatchNormShape {
  DType dtype;
  std::array<int64_t, 4> x;  // samples, channels, height, width
  float epsilon;
};
struct BatchNormFusion {
  bool relu = false;      // gives, or reads, kMask: a bit per element in the order of memory
  bool residual = false;  // only with relu; of the gradient: kDResidual is wanted
};
// kX, kScale, kBias, kEpsilon, [kResidual] -> kY, kMean, kInvStd, [kMask]
OperationGraph batch_norm_graph(const BatchNormShape& shape, const BatchNormFusion& fusion);
// kX, kDy, kScale, kMean, kInvStd, [kMask] -> kDx, kDScale, kDBias, [kDResidual]
OperationGraph batch_norm_grad_graph(const BatchNormShape& shape, const BatchNormFusion& fusion);

}  // namespace lockstep::cuda
