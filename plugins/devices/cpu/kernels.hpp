// The kernels of the cpu device, by family; and what their factories share.
#pragma once

#include "device.hpp"

namespace lockstep::cpu {

void add_convolution_kernels(HostKernelTable&);
void add_linear_kernels(HostKernelTable&);
void add_inference_kernels(HostKernelTable&);  // conv2d_inference, linear_inference
void add_reorder_kernel(HostKernelTable&);
void add_batch_norm_kernels(HostKernelTable&);
void add_batch_norm_grad_kernels(HostKernelTable&);
void add_max_pool_kernels(HostKernelTable&);
void add_avg_pool_kernels(HostKernelTable&);
void add_copy_kernels(HostKernelTable&);         // concat, slice_channels, pad_channels, subsample
void add_elementwise_kernels(HostKernelTable&);  // normalize, add, scale

// The tables of this device hold factories that are called with this device alone.
inline CpuDevice& as_cpu(HostDevice& device) { return static_cast<CpuDevice&>(device); }

struct ConvolutionProblem {
  onednn::Direction direction;
  onednn::ConvolutionShape shape;
};
ConvolutionProblem convolution_problem(const KernelRequest& request);
// Whether oneDNN has more than plain loops for it, in the request's types and layouts.
bool has_fast_convolution(const KernelRequest& request);

// A kernel that runs the operation; implementation and workspace are the operation's.
std::unique_ptr<Kernel> make_operation_kernel(std::unique_ptr<onednn::Operation> operation,
                                              CpuDevice& device);

// A kernel that fills its outputs with zeros: for gradients of a batch without samples.
std::unique_ptr<Kernel> make_zero_kernel(const KernelRequest& request);

// Calls f with an integral constant equal to the block, so that loops over a block are unrolled.
template <class F>
decltype(auto) with_block(int block, F&& f) {
  if (block == 16) return f(std::integral_constant<int, 16>());
  if (block == 8) return f(std::integral_constant<int, 8>());
  return f(std::integral_constant<int, 1>());
}

// Throws Error{device} unless all images among inputs and outputs have one layout, plain or
// blocked.
void require_one_layout(const KernelRequest& request);
// Throws Error{device} where a batch norm is to give or to read a mask.
void require_no_mask(const KernelRequest& request);

}  // namespace lockstep::cpu
