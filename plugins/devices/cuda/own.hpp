// The own kernels of the cuda device, by family.
#pragma once

#include "device/functor_launches.hpp"
#include "kernels.hpp"

namespace lockstep::cuda {

void add_pointwise_kernels(CudaKernelTable&);   // relu, sigmoid, tanh, add, scale, cast, reshape
void add_dropout_kernels(CudaKernelTable&);     // dropout
void add_channel_kernels(CudaKernelTable&);     // concat, slice_channels, pad_channels, subsample
void add_max_pool_kernels(CudaKernelTable&);    // max_pool2d
void add_avg_pool_kernels(CudaKernelTable&);    // avg_pool2d, adaptive_avg_pool2d
void add_loss_kernels(CudaKernelTable&);        // softmax_cross_entropy, classification_metrics
void add_batch_norm_kernels(CudaKernelTable&);  // batch_norm_inference, synchronised batch norm
void add_statistics_kernels(CudaKernelTable&);  // batch_moments, …_grad_sums, batch_statistics
void add_transpose_kernels(CudaKernelTable&);   // reorder
void add_normalize_kernels(CudaKernelTable&);   // normalize

// y = f(x) or dx = g(y, dy) with a functor's launches.
std::unique_ptr<Kernel> make_pointwise_kernel(const KernelRequest& request,
                                              const PointwiseLaunches& launches);
// Over whole arenas, with the functor's launch.
std::unique_ptr<Kernel> make_update_kernel(const UpdateRequest& request, LaunchUpdate launch);

}  // namespace lockstep::cuda
