// What a model is written with: Scope names parameters as torchvision does, nn:: applies layers to
// values.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.hpp"

namespace lockstep {

// A place in the tree of modules: s / "layer1" / 0 / "conv1" has the path "layer1.0.conv1".
class Scope {
 public:
  Scope(Graph& graph, std::string path = {}) : graph_(&graph), path_(std::move(path)) {}
  Scope operator/(std::string_view name) const;
  Scope operator/(int index) const { return *this / std::string_view(std::to_string(index)); }

  Graph& graph() const { return *graph_; }
  const std::string& path() const { return path_; }
  Mode mode() const { return graph_->mode(); }

  // A parameter or buffer named "<path>.<name>"; a name used twice is an error.
  Value parameter(std::string_view name, Shape shape, Init init,
                  ParameterKind kind = ParameterKind::weight) const;
  Value buffer(std::string_view name, Shape shape, BufferAttributes attributes) const;

 private:
  Graph* graph_;
  std::string path_;
};

// What a model returns: logits (N, classes), auxiliary logits with the weight of their loss, the
// classifier's input.
struct AuxiliaryLogits {
  Value logits;
  double weight;
};
struct ModelOutput {
  Value logits;
  std::vector<AuxiliaryLogits> auxiliary = {};
  Value features = {};
  ModelOutput(Value v) : logits(v) {}  // a plain model just returns its logits
  ModelOutput(Value v, std::vector<AuxiliaryLogits> aux, Value f)
      : logits(v), auxiliary(std::move(aux)), features(f) {}
};

namespace nn {

struct Conv2d {
  int64_t out;
  int kernel;
  int stride = 1;
  int padding = 0;
  int dilation = 1;
  int groups = 1;
  bool bias = false;
  Init init = {Init::he_normal_fan_out};
  std::optional<Init> bias_init = {};  // default: PyTorch's, as for Linear
  // For kernels that are not square: {height, width}; otherwise `kernel` and `padding` hold for
  // both.
  std::optional<std::array<int, 2>> kernel_hw = {};
  std::optional<std::array<int, 2>> padding_hw = {};
};
struct BatchNorm {
  double epsilon = 1e-5;
  double momentum = 0.1;
  bool zero_init = false;  // weight starts at 0 instead of 1
};
struct Linear {
  int64_t out;
  bool bias = true;
  std::optional<Init> init = {};       // default: PyTorch's, U(-1/sqrt(fan_in), 1/sqrt(fan_in))
  std::optional<Init> bias_init = {};  // default: the same, with the weight's fan_in
};
struct Pool2d {
  int kernel;
  int stride;
  int padding = 0;
  bool ceil_mode = false;
  bool count_include_pad = true;  // average pooling only
};

// x: (N, C, H, W) -> (N, out, H', W')
Value conv2d(const Scope& s, Value x, const Conv2d& options);
// x: (N, C, H, W) -> same; in training by the batch's moments, in evaluation by the running ones
Value batch_norm(const Scope& s, Value x, const BatchNorm& options = {});
// x: (N, K) -> (N, out)
Value linear(const Scope& s, Value x, const Linear& options);
Value relu(Value x);
Value sigmoid(Value x);
Value tanh(Value x);
Value pointwise(std::string_view op, Value x);  // any registered pointwise op
Value add(Value a, Value b);
Value concat(std::vector<Value> xs);  // along channels
Value max_pool2d(Value x, const Pool2d& options);
Value avg_pool2d(Value x, const Pool2d& options);
Value adaptive_avg_pool2d(Value x, int64_t height, int64_t width);  // x itself where it fits
Value global_avg_pool(Value x);                                     // (N, C, H, W) -> (N, C)
Value flatten(Value x);                                             // (N, …) -> (N, product)
Value dropout(const Scope& s, Value x, double probability);         // evaluation: x
Value subsample(Value x, int stride);                               // x[:, :, ::stride, ::stride]
Value pad_channels(Value x, int64_t before, int64_t after);         // zeros around the channels

}  // namespace nn

inline Value operator+(Value a, Value b) { return nn::add(a, b); }

}  // namespace lockstep
