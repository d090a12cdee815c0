// The one door to oneDNN (https://github.com/oneapi-src/oneDNN): convolutions, linear layers and
// reorders as operations on Lockstep's tensors. Nothing but onednn*.cpp includes dnnl.hpp, so that
// a change of its interface (the `desc` types of version 2 are gone in 3) stays there.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/layout.hpp"

namespace lockstep::onednn {

// inference: forward with what follows fused in, weights packed once.
enum class Direction : uint8_t { forward, grad_input, grad_weight, inference };

struct ConvolutionShape {
  DType dtype = DType::f32;  // of x, y and, but for inference, w: f32 or bf16; biases are f32
  int64_t batch = 0;
  int64_t groups = 1;
  std::array<int64_t, 3> x{};  // channels, height, width
  std::array<int64_t, 3> y{};
  std::array<int64_t, 2> kernel{};  // height, width, as are the following
  std::array<int64_t, 2> stride{};
  std::array<int64_t, 2> padding{};
  std::array<int64_t, 2> dilation{};
  bool bias = false;
  bool residual = false;  // of inference: adds the result to what y holds
  bool relu = false;      // of inference: comes last

  std::string text() const;  // a key for caches: equal texts, equal shapes
};

// x is (N, K), y is (N, O), the weight (O, K).
struct LinearShape {
  DType dtype = DType::f32;  // as of a convolution
  int64_t batch = 0;
  int64_t in = 0;
  int64_t out = 0;
  bool bias = false;
  bool relu = false;  // of inference
};

// What an operation works on; all but inputs and outputs is 64-byte aligned.
struct OperationMemory {
  std::span<const void* const> inputs;
  std::span<void* const> outputs;
  void* workspace = nullptr;  // Operation::workspace_bytes()
  void* constants = nullptr;  // of PackedOperation
};

// Primitives that run one after another. Their arguments are Lockstep's inputs and outputs, in the
// order of the op contract (ops/attributes.hpp); weights and their gradients are plain outside and
// in the wanted format inside.
class Operation {
 public:
  virtual ~Operation() = default;
  virtual void run(const OperationMemory& memory) = 0;
  virtual int64_t workspace_bytes() const = 0;
  virtual const std::string& implementation() const = 0;  // "jit_wino_4x3:avx512_core"
};

// All of these use as many threads as OpenMP offers the calling thread, now and when the operation
// runs.
std::unique_ptr<Operation> convolution(Direction direction, const ConvolutionShape& shape, Layout x,
                                       Layout y);
std::unique_ptr<Operation> linear(Direction direction, const LinearShape& shape);

// A layer for evaluation. Its constants are the packed weight, in the layer's type, and, from
// `bias_offset` (in bytes) on, the bias as it is.
struct PackedOperation {
  std::unique_ptr<Operation> pack;  // input w, f32 and plain -> constants
  std::unique_ptr<Operation> run;   // input x, constants -> output y, added to what y holds where
                                    // the shape has a residual
  int64_t bias_offset = 0;
};
PackedOperation packed_convolution(const ConvolutionShape& shape, Layout x, Layout y);
PackedOperation packed_linear(const LinearShape& shape);

std::unique_ptr<Operation> reorder(const TensorType& from, const TensorType& to);

// The implementation that convolution() would take; empty where oneDNN has none.
std::string convolution_implementation(Direction direction, const ConvolutionShape& shape, Layout x,
                                       Layout y);

// Whether the implementation is one of oneDNN's plain loops, which are too slow to use.
bool is_reference(std::string_view implementation);

// The instruction set oneDNN uses (it can be capped with ONEDNN_MAX_CPU_ISA): "avx512_core".
std::string instruction_set();
// Whether this processor multiplies bf16 numbers by itself; else oneDNN would only pretend to.
bool computes_bf16();
// The layout its fast kernels want for activations: nchw16c, nchw8c or, below AVX2, plain.
Layout activation_layout();
std::string version();  // "2.6.3"

}  // namespace lockstep::onednn
