// What the files onednn*.cpp share: oneDNN's version 2 interface, sequences of its primitives, and
// descriptors. They alone include this and, with it, dnnl.hpp.
//
// Scratchpads are the caller's (mode `user`): one buffer serves all operations.
#pragma once

#include <algorithm>
#include <dnnl.hpp>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "onednn.hpp"

namespace lockstep::onednn {

using Tag = dnnl::memory::format_tag;
using Dims = dnnl::memory::dims;
using Desc = dnnl::memory::desc;
using Type = dnnl::memory::data_type;
constexpr auto kF32 = Type::f32;

dnnl::engine& engine();
dnnl::primitive_attr user_scratchpad();
Tag activation_tag(Layout layout);
Type data_type(DType dtype);  // f32, bf16
constexpr int64_t aligned(int64_t bytes) { return (bytes + 63) / 64 * 64; }

// Where an argument of a primitive lies.
struct Place {
  enum Kind : uint8_t { input, output, workspace, constants } kind;
  int64_t at;  // number of the input or output; byte offset in the workspace or the constants
};

class Sequence final : public Operation {
 public:
  using Bindings = std::vector<std::pair<int, std::pair<Desc, Place>>>;

  explicit Sequence(std::string implementation) : implementation_(std::move(implementation)) {}

  // A buffer in the workspace.
  Place reserve(const Desc& desc);
  // A primitive's scratchpad lies behind all buffers; primitives take turns in using it.
  void add(const dnnl::primitive& primitive, const Desc& scratchpad, const Bindings& bindings);
  void add_reorder(const Desc& from, Place from_place, const Desc& to, Place to_place);

  void run(const OperationMemory& memory) override;
  int64_t workspace_bytes() const override { return buffer_bytes_ + scratchpad_bytes_; }
  const std::string& implementation() const override { return implementation_; }

 private:
  struct Step {
    dnnl::primitive primitive;
    std::unordered_map<int, dnnl::memory> arguments;
    std::vector<std::pair<dnnl::memory, Place>> places;
    int scratchpad;  // its number in places, or -1
  };

  void* address(const Place& place, bool scratchpad, const OperationMemory& memory) const;

  std::string implementation_;
  dnnl::stream stream_{engine()};
  std::vector<Step> steps_;
  int64_t buffer_bytes_ = 0;
  int64_t scratchpad_bytes_ = 0;
};

// Attributes of a primitive that adds its result to what y holds, applies ReLU, or both.
dnnl::primitive_attr followed_by(bool sum, bool relu);

// The descriptors of one convolution: version 2's `desc` and `primitive_desc`.
class Convolution {
 public:
  Convolution(const ConvolutionShape& s, Layout x_layout, Layout y_layout)
      : x({s.batch, s.x[0], s.x[1], s.x[2]}, data_type(s.dtype), activation_tag(x_layout)),
        y({s.batch, s.y[0], s.y[1], s.y[2]}, data_type(s.dtype), activation_tag(y_layout)),
        stride{s.stride[0], s.stride[1]},
        padding{s.padding[0], s.padding[1]},
        dilation{s.dilation[0] - 1, s.dilation[1] - 1},
        algorithm(algorithm_for(s, kLeastForWinograd)),
        grad_weight_algorithm(algorithm_for(s, kLeastForWinogradGradWeight)),
        sum(s.residual),
        relu(s.relu) {
    const Dims dims = s.groups == 1 ? Dims{s.y[0], s.x[0], s.kernel[0], s.kernel[1]}
                                    : Dims{s.groups, s.y[0] / s.groups, s.x[0] / s.groups,
                                           s.kernel[0], s.kernel[1]};
    const Tag plain = s.groups == 1 ? Tag::oihw : Tag::goihw;
    plain_weight = Desc(dims, data_type(s.dtype), plain);
    float_weight = Desc(dims, kF32, plain);
    any_weight = Desc(dims, data_type(s.dtype), Tag::any);
    if (s.bias) bias = Desc({s.y[0]}, kF32, Tag::a);  // else a zero descriptor: none
  }

  dnnl::convolution_forward::primitive_desc forward(const Desc& b) const {
    return {dnnl::convolution_forward::desc(dnnl::prop_kind::forward_training, algorithm, x,
                                            any_weight, b, y, stride, dilation, padding, padding),
            user_scratchpad(), engine()};
  }
  // With what follows the convolution fused: the sum is with what y holds already.
  dnnl::convolution_forward::primitive_desc inference() const {
    return {
        dnnl::convolution_forward::desc(dnnl::prop_kind::forward_inference, algorithm, x,
                                        any_weight, bias, y, stride, dilation, padding, padding),
        followed_by(sum, relu), engine()};
  }
  dnnl::convolution_backward_data::primitive_desc grad_input() const {
    return {dnnl::convolution_backward_data::desc(algorithm, x, any_weight, y, stride, dilation,
                                                  padding, padding),
            user_scratchpad(), engine(), forward({})};
  }
  dnnl::convolution_backward_weights::primitive_desc grad_weight() const {
    return {dnnl::convolution_backward_weights::desc(grad_weight_algorithm, x, any_weight, bias, y,
                                                     stride, dilation, padding, padding),
            user_scratchpad(), engine(), forward(bias)};
  }

  Desc x, y, bias, plain_weight, float_weight, any_weight;

 private:
  // Winograd's transforms cost more than they save below these numbers of channels (measured on
  // ResNet-20 for CIFAR with AVX-512).
  static constexpr int64_t kLeastForWinograd = 32;
  static constexpr int64_t kLeastForWinogradGradWeight = 64;

  static dnnl::algorithm algorithm_for(const ConvolutionShape& s, int64_t least_channels) {
    return std::min(s.x[0], s.y[0]) < least_channels ? dnnl::algorithm::convolution_direct
                                                     : dnnl::algorithm::convolution_auto;
  }

  Dims stride, padding, dilation;
  dnnl::algorithm algorithm, grad_weight_algorithm;
  bool sum, relu;
};

}  // namespace lockstep::onednn
