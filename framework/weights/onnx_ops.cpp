// One small function per op of the evaluation graph. Shapes but the batch's are fixed, so what
// ONNX's runtimes have disagreed about (ceil_mode) is said by explicit padding instead.
#include <algorithm>

#include "base/error.hpp"
#include "ops/attributes.hpp"
#include "weights/onnx_graph.hpp"

namespace lockstep {
namespace {

using Names = std::vector<std::string>;

std::vector<int64_t> both(const std::array<int, 2>& values) { return {values[0], values[1]}; }

std::string conv2d(OnnxRequest& r) {
  const auto& a = r.node.attributes.as<Conv2dAttributes>();
  OnnxAttributes attributes;
  attributes.integers("kernel_shape", {r.shapes[1][2], r.shapes[1][3]})
      .integers("strides", both(a.stride))
      .integers("pads", {a.padding[0], a.padding[1], a.padding[0], a.padding[1]})
      .integers("dilations", both(a.dilation))
      .integer("group", a.groups);
  return r.onnx.node("Conv", r.inputs, attributes);
}

std::string batch_norm_inference(OnnxRequest& r) {
  const auto& a = r.node.attributes.as<BatchNormAttributes>();
  LS_ASSERT(!a.relu && !a.residual);  // the graph is as the model wrote it, before fusion
  return r.onnx.node("BatchNormalization", r.inputs, OnnxAttributes().number("epsilon", a.epsilon));
}

std::string relu(OnnxRequest& r) { return r.onnx.node("Relu", r.inputs); }
std::string sigmoid(OnnxRequest& r) { return r.onnx.node("Sigmoid", r.inputs); }
std::string tanh(OnnxRequest& r) { return r.onnx.node("Tanh", r.inputs); }
std::string add(OnnxRequest& r) { return r.onnx.node("Add", r.inputs); }
std::string concat_channels(OnnxRequest& r) {
  return r.onnx.node("Concat", r.inputs, OnnxAttributes().integer("axis", 1));
}

std::string scale(OnnxRequest& r) {
  const auto factor = static_cast<float>(r.node.attributes.as<ScaleAttributes>().factor);
  return r.onnx.node("Mul", Names{r.inputs[0], r.onnx.floats({}, {}, {&factor, 1})});
}

// How far the last window reaches past the padding, height and width: not at all without ceil_mode.
std::array<int64_t, 2> overhang(const OnnxRequest& r, const PoolAttributes& a) {
  std::array<int64_t, 2> result{};
  for (size_t axis = 0; axis < 2; ++axis) {
    const int64_t windows = r.node.outputs[0].shape[static_cast<int>(axis) + 2];
    const int64_t padded = r.shapes[0][static_cast<int>(axis) + 2] + 2 * int64_t{a.padding[axis]};
    const int64_t reach = (windows - 1) * a.stride[axis] + a.kernel[axis];
    result[axis] = std::max<int64_t>(reach - padded, 0);
  }
  return result;
}

OnnxAttributes pool_attributes(const PoolAttributes& a, const std::vector<int64_t>& pads) {
  OnnxAttributes attributes;
  attributes.integers("kernel_shape", both(a.kernel))
      .integers("strides", both(a.stride))
      .integers("pads", pads);
  return attributes;
}

std::string max_pool2d(OnnxRequest& r) {
  const auto& a = r.node.attributes.as<PoolAttributes>();
  const auto more = overhang(r, a);
  return r.onnx.node("MaxPool", r.inputs,
                     pool_attributes(a, {a.padding[0], a.padding[1], a.padding[0] + more[0],
                                         a.padding[1] + more[1]}));
}

// Zeros around channels, height and width.
std::string pad(OnnxRequest& r, const std::vector<int64_t>& before,
                const std::vector<int64_t>& after) {
  std::vector<int64_t> pads{0};
  pads.insert(pads.end(), before.begin(), before.end());
  pads.push_back(0);
  pads.insert(pads.end(), after.begin(), after.end());
  return r.onnx.node("Pad", Names{r.inputs[0], r.onnx.integers(pads)});
}

// The padding counts in a mean where the attribute says so; what lies past the padding never does.
std::string avg_pool2d(OnnxRequest& r) {
  const auto& a = r.node.attributes.as<PoolAttributes>();
  const auto more = overhang(r, a);
  const bool has_padding = a.padding[0] > 0 || a.padding[1] > 0;
  if (has_padding && a.count_include_pad) {
    const std::vector<int64_t> zeros{0, a.padding[0], a.padding[1]};
    const std::string padded = pad(r, zeros, zeros);
    return r.onnx.node("AveragePool", Names{padded}, pool_attributes(a, {0, 0, more[0], more[1]}));
  }
  return r.onnx.node("AveragePool", r.inputs,
                     pool_attributes(a, {a.padding[0], a.padding[1], a.padding[0] + more[0],
                                         a.padding[1] + more[1]}));
}

// (rows, columns): row i has the weights of bin i over an axis.
std::vector<float> bin_weights(int64_t extent, int64_t bins) {
  std::vector<float> weights(static_cast<size_t>(bins * extent), 0.0f);
  for (int64_t bin = 0; bin < bins; ++bin) {
    const int64_t begin = bin * extent / bins;
    const int64_t end = ((bin + 1) * extent + bins - 1) / bins;
    for (int64_t i = begin; i < end; ++i) {
      weights[static_cast<size_t>(bin * extent + i)] = 1.0f / static_cast<float>(end - begin);
    }
  }
  return weights;
}

// Bins that do not divide the picture are two products with matrices of means: (oh, H) x (W, ow).
std::string means_by_products(OnnxRequest& r, int64_t out_h, int64_t out_w) {
  const int64_t h = r.shapes[0][2];
  const int64_t w = r.shapes[0][3];
  const std::vector<float> columns = bin_weights(w, out_w);
  std::vector<float> transposed(columns.size());
  for (int64_t bin = 0; bin < out_w; ++bin) {
    for (int64_t i = 0; i < w; ++i) {
      transposed[static_cast<size_t>(i * out_w + bin)] = columns[static_cast<size_t>(bin * w + i)];
    }
  }
  const std::string right = r.onnx.floats({}, {w, out_w}, transposed);
  const std::string left = r.onnx.floats({}, {out_h, h}, bin_weights(h, out_h));
  const std::string product = r.onnx.node("MatMul", Names{r.inputs[0], right});
  return r.onnx.node("MatMul", Names{left, product});
}

std::string adaptive_avg_pool2d(OnnxRequest& r) {
  const auto& a = r.node.attributes.as<AdaptivePoolAttributes>();
  const std::array<int64_t, 2> extents{r.shapes[0][2], r.shapes[0][3]};
  if (a.out[0] == 1 && a.out[1] == 1) return r.onnx.node("GlobalAveragePool", r.inputs);
  if (extents[0] % a.out[0] != 0 || extents[1] % a.out[1] != 0) {
    return means_by_products(r, a.out[0], a.out[1]);
  }
  const std::vector<int64_t> bin{extents[0] / a.out[0], extents[1] / a.out[1]};
  OnnxAttributes attributes;
  attributes.integers("kernel_shape", bin).integers("strides", bin);
  return r.onnx.node("AveragePool", r.inputs, attributes);
}

std::string linear(OnnxRequest& r) {
  return r.onnx.node("Gemm", r.inputs, OnnxAttributes().integer("transB", 1));
}

std::string reshape(OnnxRequest& r) {
  std::vector<int64_t> shape = r.node.attributes.as<ReshapeAttributes>().shape;
  if (shape.empty() || shape[0] != r.shapes[0][0]) {
    fail(Failure::usage, "it moves samples between axes of the batch (", r.shapes[0], " to ",
         r.node.outputs[0].shape,
         "); ONNX files have a free batch and need the first axis to stay");
  }
  shape[0] = 0;  // as the input's
  return r.onnx.node("Reshape", Names{r.inputs[0], r.onnx.integers(shape)});
}

std::string slice(OnnxRequest& r, const std::vector<int64_t>& starts,
                  const std::vector<int64_t>& ends, const std::vector<int64_t>& axes,
                  const std::vector<int64_t>& steps) {
  return r.onnx.node("Slice", Names{r.inputs[0], r.onnx.integers(starts), r.onnx.integers(ends),
                                    r.onnx.integers(axes), r.onnx.integers(steps)});
}

std::string subsample(OnnxRequest& r) {
  const int64_t stride = r.node.attributes.as<SubsampleAttributes>().stride;
  return slice(r, {0, 0}, {r.shapes[0][2], r.shapes[0][3]}, {2, 3}, {stride, stride});
}

std::string slice_channels(OnnxRequest& r) {
  const auto& a = r.node.attributes.as<ChannelsAttributes>();
  return slice(r, {a.begin}, {a.begin + a.count}, {1}, {1});
}

std::string pad_channels(OnnxRequest& r) {
  const auto& a = r.node.attributes.as<ChannelsAttributes>();
  return pad(r, {a.begin, 0, 0}, {a.count, 0, 0});
}

struct Entry {
  std::string_view op;
  std::string (*add)(OnnxRequest&);
};
constexpr Entry kEntries[] = {
    {"conv2d", conv2d},
    {"batch_norm_inference", batch_norm_inference},
    {"relu", relu},
    {"sigmoid", sigmoid},
    {"tanh", tanh},
    {"add", add},
    {"scale", scale},
    {"concat", concat_channels},
    {"max_pool2d", max_pool2d},
    {"avg_pool2d", avg_pool2d},
    {"adaptive_avg_pool2d", adaptive_avg_pool2d},
    {"linear", linear},
    {"reshape", reshape},
    {"subsample", subsample},
    {"slice_channels", slice_channels},
    {"pad_channels", pad_channels},
};

}  // namespace

std::string add_onnx_node(OnnxRequest request) {
  const auto entry = std::ranges::find(kEntries, request.node.op, &Entry::op);
  const std::string place = concat("export: ", request.node.op,
                                   request.node.label.empty() ? "" : " " + request.node.label);
  if (entry == std::end(kEntries)) {
    fail(Failure::usage, place,
         ": ONNX has no such operator; expected a network of the framework's own ops; export it as "
         "safetensors or pth");
  }
  try {
    return entry->add(request);
  } catch (Error& error) {
    error.add_context(place);
    throw;
  }
}

}  // namespace lockstep
