// The launches of this device's own kernels that the cuDNN-based ops need around their plans, and
// the factories of the ops that are own kernels altogether.
//
// Activations lie as Layout::nhwc8c in f32, f16 or bf16 (channels past C are zero), everything else
// plain. Filters of cuDNN are (O, kh, kw, C / groups), "KRSC", with O and C / groups padded by
// zeros. All launches enqueue on the stream, allocate nothing and are deterministic.
#pragma once

#include <cstdint>

#include "device/make_kernel.hpp"

struct CUstream_st;  // cudaStream_t is CUstream_st*

namespace lockstep::cuda {

class CudaDevice;
using CudaStream = CUstream_st*;

// The two sides of a filter: w (out, in, height, width) as the framework has it, and KRSC. With
// `groups` KRSC is that of the dense convolution which does the same: the filters of each group see
// the channels of the others through zeros.
struct FilterShape {
  int64_t out, in, height, width;  // in: C / groups
  int64_t stored_out, stored_in;   // of KRSC, at least out and groups * in
  int64_t groups = 1;
};
// KRSC <- w; both of type `dtype`. What w does not have becomes zero.
void pack_filter(const FilterShape& shape, DType dtype, const void* w, void* krsc, CudaStream);
// w <- KRSC
void unpack_filter(const FilterShape& shape, DType dtype, const void* krsc, void* w, CudaStream);

// For evaluation: KRSC (dtype) <- w (f32) * scale[o], bias[o] <- shift of a folded batch norm; see
// conv2d_inference in ops/attributes.hpp. `b` and the four of the batch norm may be null.
struct FoldedBatchNorm {
  const float* b;
  const float* weight;
  const float* bias;
  const float* mean;
  const float* variance;
  double epsilon;
};
void fold_filter(const FilterShape& shape, DType dtype, const void* w, DType w_dtype,
                 const FoldedBatchNorm& folded, void* krsc, float* bias, CudaStream);

// to[i] <- i < count ? from[i] : fill, for i in [0, padded)
void pad_floats(const float* from, int64_t count, float fill, float* to, int64_t padded,
                CudaStream);
// Batch statistics between cuDNN's form and ours: inv_std = 1 / sqrt(variance + epsilon).
void inv_std_of_variance(const float* variance, int64_t count, double epsilon, float* inv_std,
                         CudaStream);
void variance_of_inv_std(const float* inv_std, int64_t count, double epsilon, float* variance,
                         CudaStream);

// y (rows, stored_channels) <- relu?(y + bias[c] + residual?), channels past `channels` stay zero
struct Epilogue {
  int64_t rows, channels, stored_channels;
  const float* bias;     // (channels), may be null
  const void* residual;  // as y, may be null
  bool relu;
};
void add_epilogue(const Epilogue& epilogue, DType dtype, void* y, CudaStream);
// sums[c] <- sum over rows of x (rows, stored_channels), in a fixed order; workspace: see below
void sum_rows(int64_t rows, int64_t channels, int64_t stored_channels, DType dtype, const void* x,
              float* sums, void* workspace, CudaStream);
int64_t sum_rows_workspace_bytes(int64_t rows, int64_t channels);

// y[i] <- x[i] in another element type, rounded to nearest even
void convert(const void* x, DType from, void* y, DType to, int64_t count, CudaStream);

using CudaKernelTable = KernelTable<CudaDevice>;
// Every op that is an own kernel: normalize, reorder, cast, add, scale, reshape, dropout, pointwise
// ops, concat, slice_channels, pad_channels, subsample, pooling, softmax_cross_entropy,
// classification_metrics, batch_statistics, batch_norm_inference, synchronised batch norm; with
// their gradients.
void add_own_kernels(CudaKernelTable& table);
// The layouts that these ops and pointwise ops of plugins wish for: images as nhwc8c, but plain for
// reshape and dropout, and where pointwise ops get them plain.
LayoutChoice own_layouts(const KernelRequest& request, std::span<const Layout> available);

// The kernel of a pointwise op that a plugin registers, from the plugin's twin.
std::unique_ptr<Kernel> make_plugin_pointwise_kernel(const KernelRequest& request);

// Over whole arenas: see Device. The update is that of the twin of the optimizer's plugin.
std::unique_ptr<Kernel> make_update_kernel(const UpdateRequest& request);
std::unique_ptr<Kernel> make_squared_norm_kernel(int64_t count);
std::unique_ptr<Kernel> make_accumulate_kernel(int64_t count, double keep, double add);

}  // namespace lockstep::cuda
