// The one door to cuDNN's graphs: descriptors of its backend interface that own what they hold, and
// the graphs and plans made of them.
//
// https://docs.nvidia.com/deeplearning/cudnn/backend/latest/api/cudnn-graph-library.html. A
// descriptor's text grows with every attribute that is set, so a graph's text says all that it
// consists of: equal texts, equal graphs.
#pragma once

#include <cudnn_graph.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/dtype.hpp"

namespace lockstep::cuda {

template <class T>
constexpr cudnnBackendAttributeType_t kAttributeType = CUDNN_TYPE_INT64;
template <>
inline constexpr auto kAttributeType<bool> = CUDNN_TYPE_BOOLEAN;
template <>
inline constexpr auto kAttributeType<float> = CUDNN_TYPE_FLOAT;
template <>
inline constexpr auto kAttributeType<char> = CUDNN_TYPE_CHAR;
template <>
inline constexpr auto kAttributeType<cudnnHandle_t> = CUDNN_TYPE_HANDLE;
template <>
inline constexpr auto kAttributeType<void*> = CUDNN_TYPE_VOID_PTR;
template <>
inline constexpr auto kAttributeType<cudnnDataType_t> = CUDNN_TYPE_DATA_TYPE;
template <>
inline constexpr auto kAttributeType<cudnnBackendHeurMode_t> = CUDNN_TYPE_HEUR_MODE;
template <>
inline constexpr auto kAttributeType<cudnnConvolutionMode_t> = CUDNN_TYPE_CONVOLUTION_MODE;
template <>
inline constexpr auto kAttributeType<cudnnPointwiseMode_t> = CUDNN_TYPE_POINTWISE_MODE;
template <>
inline constexpr auto kAttributeType<cudnnBackendNormMode_t> = CUDNN_TYPE_NORM_MODE;
template <>
inline constexpr auto kAttributeType<cudnnBackendNormFwdPhase_t> = CUDNN_TYPE_NORM_FWD_PHASE;

// Deprecated, yet without it cuDNN's ReLU makes 0 of NaN, and a diverged training goes on with a
// finite loss.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
template <>
inline constexpr auto kAttributeType<cudnnNanPropagation_t> = CUDNN_TYPE_NAN_PROPOGATION;
inline constexpr auto kNanPropagation = CUDNN_ATTR_POINTWISE_NAN_PROPAGATION;
inline constexpr auto kPropagateNan = CUDNN_PROPAGATE_NAN;
#pragma GCC diagnostic pop

// A handle to a descriptor; copies are the same descriptor.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(cudnnBackendDescriptorType_t type);

  template <class T>
  Descriptor& set(cudnnBackendAttributeName_t name, const T& value) {
    return set_values(name, kAttributeType<T>, 1, &value, value_text(value));
  }
  Descriptor& set(cudnnBackendAttributeName_t name, const std::vector<int64_t>& values);
  Descriptor& set(cudnnBackendAttributeName_t name, const std::string& characters);
  Descriptor& set(cudnnBackendAttributeName_t name, std::span<const void* const> addresses);
  Descriptor& set(cudnnBackendAttributeName_t name, const Descriptor& part);
  Descriptor& set(cudnnBackendAttributeName_t name, std::span<const Descriptor> parts);
  // `what` stands in the message where cuDNN refuses.
  Descriptor& finalize(std::string_view what);

  explicit operator bool() const { return state_ != nullptr; }
  cudnnBackendDescriptor_t raw() const { return state_->raw; }
  const std::string& text() const { return state_->text; }

  int64_t integer(cudnnBackendAttributeName_t name) const;
  std::string characters(cudnnBackendAttributeName_t name) const;
  // Up to `most` of them, of the given type.
  std::vector<Descriptor> parts(cudnnBackendAttributeName_t name, cudnnBackendDescriptorType_t type,
                                int64_t most) const;
  template <class T>
  bool has(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, T value) const {
    T found[32];
    int64_t count = 0;
    if (cudnnBackendGetAttribute(raw(), name, type, 32, &count, found) != CUDNN_STATUS_SUCCESS) {
      return false;
    }
    for (int64_t i = 0; i < count; ++i) {
      if (found[i] == value) return true;
    }
    return false;
  }

 private:
  struct State {
    cudnnBackendDescriptor_t raw = nullptr;
    std::string text;
    std::vector<Descriptor> parts;  // live as long as this
    ~State();
  };
  template <class T>
  static std::string value_text(const T& value) {
    if constexpr (std::is_pointer_v<T>) {
      return "pointer";
    } else {
      return std::to_string(value);
    }
  }
  Descriptor& set_values(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                         int64_t count, const void* values, std::string_view text);

  std::shared_ptr<State> state_;
};

cudnnDataType_t cudnn_type(DType dtype);

// A tensor of a graph whose memory is given at execution, by its number.
struct GraphTensor {
  int64_t number;
  int64_t bytes;
};

// A number of a graph that is given by value at execution.
struct GraphScalar {
  int64_t number;
  float value;
};

// Operations on tensors, as one thing to plan and execute.
struct OperationGraph {
  std::string label;  // for people: "conv2d bf16 x(128, 64, 56, 56) w(64, 64, 3, 3)"
  std::vector<Descriptor> operations;
  std::vector<GraphTensor> tensors;  // those with memory
  std::vector<GraphScalar> scalars;
  bool is_f32 = false;  // its products are of float32, which may round to TF32

  std::string text() const;
  // The finalised graph, for a handle, or for none.
  Descriptor descriptor(cudnnHandle_t handle) const;
};

// Memory of the tensor of a graph with this number; for a number by value, the host's.
struct Argument {
  int64_t number;
  const void* memory;
};

}  // namespace lockstep::cuda
