#include "graphs.hpp"

#include "base/error.hpp"

namespace lockstep::cuda {
namespace {

using Extents = std::vector<int64_t>;

// Arenas give each tensor 64 bytes of alignment; cuDNN's vectors take at most 16.
constexpr int64_t kAlignment = 16;
constexpr int64_t kFirstBetween = 100;  // numbers of values that never reach memory

int64_t product(const Extents& extents) {
  int64_t count = 1;
  for (int64_t extent : extents) count *= extent;
  return count;
}

Extents channels_last(const Extents& e) { return {e[1] * e[2] * e[3], 1, e[1] * e[3], e[1]}; }

// "(128, 64, 56, 56)"
std::string extents_text(const Extents& extents) {
  std::string text;
  for (int64_t extent : extents) text += concat(text.empty() ? "(" : ", ", extent);
  return text + ')';
}

std::string pair_text(const std::array<int64_t, 2>& pair) {
  return pair[0] == pair[1] ? std::to_string(pair[0]) : concat(pair[0], 'x', pair[1]);
}

class Builder {
 public:
  explicit Builder(DType dtype) : type_(cudnn_type(dtype)) { graph_.is_f32 = dtype == DType::f32; }

  Descriptor tensor(Number number, const Extents& extents, const Extents& strides) {
    const int64_t element = type_ == CUDNN_DATA_FLOAT ? 4 : 2;
    graph_.tensors.push_back({number, product(extents) * element});
    return make_tensor(number, type_, extents, strides).finalize("tensor");
  }
  Descriptor image(Number number, const Extents& extents) {
    return tensor(number, extents, channels_last(extents));
  }
  // A value per channel, or per output of a linear layer.
  Descriptor vector(Number number, const Extents& extents) {
    graph_.tensors.push_back({number, product(extents) * 4});
    return make_tensor(number, CUDNN_DATA_FLOAT, extents, strides_of_vector(extents))
        .finalize("vector");
  }
  Descriptor mask(Number number, const Extents& extents) {
    graph_.tensors.push_back({number, (product(extents) + 7) / 8});
    return make_tensor(number, CUDNN_DATA_BOOLEAN, extents, channels_last(extents))
        .finalize("mask");
  }
  Descriptor scalar(Number number, int64_t rank, float value) {
    graph_.scalars.push_back({number, value});
    const Extents ones(static_cast<size_t>(rank), 1);
    return make_tensor(number, CUDNN_DATA_FLOAT, ones, ones)
        .set(CUDNN_ATTR_TENSOR_IS_BY_VALUE, true)
        .finalize("scalar");
  }
  // A value that is read by the next operation alone.
  Descriptor between(const Extents& extents, const Extents& strides,
                     cudnnDataType_t type = CUDNN_DATA_FLOAT) {
    return make_tensor(next_++, type, extents, strides)
        .set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, true)
        .finalize("value");
  }
  cudnnDataType_t type() const { return type_; }

  Descriptor pointwise(cudnnPointwiseMode_t mode, const Descriptor& x, const Descriptor* b,
                       const Descriptor& y) {
    Descriptor kind(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    kind.set(CUDNN_ATTR_POINTWISE_MODE, mode).set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_DATA_FLOAT);
    if (mode == CUDNN_POINTWISE_RELU_FWD) kind.set(kNanPropagation, kPropagateNan);
    kind.finalize("pointwise");
    Descriptor operation(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    operation.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, kind)
        .set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x);
    if (b != nullptr) operation.set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, *b);
    add(operation.set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y), "pointwise operation");
    return y;
  }

  // Applies the followers to x, whose extents and strides y has: the last one writes y.
  void follow(const Descriptor& x, const Followers& followers, const Descriptor& y,
              const Descriptor& bias, const Descriptor& residual, const Extents& extents,
              const Extents& strides) {
    Descriptor value = x;
    const auto step = [&](cudnnPointwiseMode_t mode, const Descriptor* operand, bool last) {
      value = pointwise(mode, value, operand, last ? y : between(extents, strides));
    };
    if (followers.bias) {
      step(CUDNN_POINTWISE_ADD, &bias, !followers.residual && !followers.relu);
    }
    if (followers.residual) step(CUDNN_POINTWISE_ADD, &residual, !followers.relu);
    if (followers.relu) step(CUDNN_POINTWISE_RELU_FWD, nullptr, true);
  }

  void add(Descriptor& operation, std::string_view what) {
    graph_.operations.push_back(operation.finalize(what));
  }
  OperationGraph finish(std::string label) {
    graph_.label = std::move(label);
    return std::move(graph_);
  }

 private:
  static Descriptor make_tensor(int64_t number, cudnnDataType_t type, const Extents& extents,
                                const Extents& strides) {
    Descriptor tensor(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    tensor.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, number)
        .set(CUDNN_ATTR_TENSOR_DATA_TYPE, type)
        .set(CUDNN_ATTR_TENSOR_DIMENSIONS, extents)
        .set(CUDNN_ATTR_TENSOR_STRIDES, strides)
        .set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, kAlignment);
    return tensor;
  }
  static Extents strides_of_vector(const Extents& extents) {
    if (extents.size() == 4) return channels_last(extents);
    return {extents[2], extents[2], 1};
  }

  OperationGraph graph_;
  cudnnDataType_t type_;
  int64_t next_ = kFirstBetween;
};

bool any(const Followers& followers) {
  return followers.bias || followers.residual || followers.relu;
}

std::string followers_text(const Followers& followers) {
  return concat(followers.bias ? " +bias" : "", followers.residual ? " +residual" : "",
                followers.relu ? " +relu" : "");
}

// --- convolutions

Extents x_extents(const ConvolutionShape& s) { return {s.batch, s.x[0], s.x[1], s.x[2]}; }
Extents y_extents(const ConvolutionShape& s) { return {s.batch, s.y[0], s.y[1], s.y[2]}; }
Extents w_extents(const ConvolutionShape& s) {
  return {s.y[0], s.x[0] / s.groups, s.kernel[0], s.kernel[1]};
}

Descriptor convolution(const ConvolutionShape& s) {
  const auto extents = [](const std::array<int64_t, 2>& pair) { return Extents{pair[0], pair[1]}; };
  Descriptor convolution(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  convolution.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_FLOAT)
      .set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_CROSS_CORRELATION)
      .set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, int64_t{2})
      .set(CUDNN_ATTR_CONVOLUTION_DILATIONS, extents(s.dilation))
      .set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, extents(s.stride))
      .set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, extents(s.padding))
      .set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, extents(s.padding));
  return convolution.finalize("convolution");
}

std::string convolution_text(std::string_view op, const ConvolutionShape& s) {
  return concat(op, ' ', name(s.dtype), " x", extents_text(x_extents(s)), " w",
                extents_text(w_extents(s)), " stride ", pair_text(s.stride), " padding ",
                pair_text(s.padding), " dilation ", pair_text(s.dilation));
}

}  // namespace

int64_t ConvolutionShape::filter_bytes() const {
  return product(w_extents(*this)) * size_of(dtype);
}

OperationGraph convolution_graph(const ConvolutionShape& s, const Followers& followers) {
  Builder graph(s.dtype);
  const Extents extents = y_extents(s);
  const Descriptor x = graph.image(kX, x_extents(s)), w = graph.image(kW, w_extents(s));
  const Descriptor y = graph.image(kY, extents);
  Descriptor bias, residual;
  if (followers.bias) bias = graph.vector(kBias, {1, s.y[0], 1, 1});
  if (followers.residual) residual = graph.image(kResidual, extents);
  const Descriptor result = any(followers) ? graph.between(extents, channels_last(extents)) : y;
  Descriptor operation(CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
  operation.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, convolution(s))
      .set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, x)
      .set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, w)
      .set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, result)
      .set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, 1.0f)
      .set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, 0.0f);
  graph.add(operation, "convolution forward");
  graph.follow(result, followers, y, bias, residual, extents, channels_last(extents));
  return graph.finish(convolution_text("conv2d", s) + followers_text(followers));
}

OperationGraph convolution_grad_input_graph(const ConvolutionShape& s) {
  Builder graph(s.dtype);
  Descriptor operation(CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR);
  operation.set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, convolution(s))
      .set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY, graph.image(kDy, y_extents(s)))
      .set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, graph.image(kW, w_extents(s)))
      .set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, graph.image(kDx, x_extents(s)))
      .set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, 1.0f)
      .set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA, 0.0f);
  graph.add(operation, "convolution backward data");
  return graph.finish(convolution_text("conv2d_grad_input", s));
}

OperationGraph convolution_grad_weight_graph(const ConvolutionShape& s) {
  Builder graph(s.dtype);
  Descriptor operation(CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR);
  operation.set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, convolution(s))
      .set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY, graph.image(kDy, y_extents(s)))
      .set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, graph.image(kX, x_extents(s)))
      .set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, graph.image(kDw, w_extents(s)))
      .set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA, 1.0f)
      .set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA, 0.0f);
  graph.add(operation, "convolution backward filter");
  return graph.finish(convolution_text("conv2d_grad_weight", s));
}

// --- linear layers

namespace {

void add_matmul(Builder& graph, const Descriptor& a, const Descriptor& b, const Descriptor& c) {
  Descriptor kind(CUDNN_BACKEND_MATMUL_DESCRIPTOR);
  kind.set(CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_DATA_FLOAT).finalize("matmul");
  Descriptor operation(CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR);
  operation.set(CUDNN_ATTR_OPERATION_MATMUL_DESC, kind)
      .set(CUDNN_ATTR_OPERATION_MATMUL_ADESC, a)
      .set(CUDNN_ATTR_OPERATION_MATMUL_BDESC, b)
      .set(CUDNN_ATTR_OPERATION_MATMUL_CDESC, c);
  graph.add(operation, "matmul operation");
}

// A (rows, columns) matrix in row-major order; or its transpose, of memory (columns, rows).
Descriptor matrix(Builder& graph, Number number, int64_t rows, int64_t columns) {
  return graph.tensor(number, {1, rows, columns}, {rows * columns, columns, 1});
}
Descriptor transposed(Builder& graph, Number number, int64_t rows, int64_t columns) {
  return graph.tensor(number, {1, rows, columns}, {rows * columns, 1, rows});
}

std::string linear_text(std::string_view op, const LinearShape& s) {
  return concat(op, ' ', name(s.dtype), " x", extents_text({s.batch, s.in}), " w",
                extents_text({s.out, s.in}));
}

}  // namespace

OperationGraph linear_graph(const LinearShape& s, const Followers& followers) {
  Builder graph(s.dtype);
  const Extents extents{1, s.batch, s.out}, strides{s.batch * s.out, s.out, 1};
  const Descriptor x = matrix(graph, kX, s.batch, s.in), w = transposed(graph, kW, s.in, s.out);
  const Descriptor y = matrix(graph, kY, s.batch, s.out);
  Descriptor bias;
  if (followers.bias) bias = graph.vector(kBias, {1, 1, s.out});
  const Descriptor result = any(followers) ? graph.between(extents, strides) : y;
  add_matmul(graph, x, w, result);
  graph.follow(result, followers, y, bias, {}, extents, strides);
  return graph.finish(linear_text("linear", s) + followers_text(followers));
}

OperationGraph linear_grad_input_graph(const LinearShape& s) {
  Builder graph(s.dtype);
  add_matmul(graph, matrix(graph, kDy, s.batch, s.out), matrix(graph, kW, s.out, s.in),
             matrix(graph, kDx, s.batch, s.in));
  return graph.finish(linear_text("linear_grad_input", s));
}

OperationGraph linear_grad_weight_graph(const LinearShape& s) {
  Builder graph(s.dtype);
  add_matmul(graph, transposed(graph, kDy, s.out, s.batch), matrix(graph, kX, s.batch, s.in),
             matrix(graph, kDw, s.out, s.in));
  return graph.finish(linear_text("linear_grad_weight", s));
}

// --- batch norm

namespace {

std::string batch_norm_text(std::string_view op, const BatchNormShape& s,
                            const BatchNormFusion& fusion) {
  return concat(op, ' ', name(s.dtype), " x", extents_text({s.x.begin(), s.x.end()}),
                fusion.residual ? " +residual" : "", fusion.relu ? " +relu" : "");
}

}  // namespace

OperationGraph batch_norm_graph(const BatchNormShape& s, const BatchNormFusion& fusion) {
  Builder graph(s.dtype);
  const Extents extents(s.x.begin(), s.x.end()), channels{1, s.x[1], 1, 1};
  const Descriptor y = graph.image(kY, extents);
  const Descriptor result = fusion.relu ? graph.between(extents, channels_last(extents)) : y;
  Descriptor operation(CUDNN_BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR);
  operation.set(CUDNN_ATTR_OPERATION_NORM_FWD_MODE, CUDNN_BATCH_NORM)
      .set(CUDNN_ATTR_OPERATION_NORM_FWD_PHASE, CUDNN_NORM_FWD_TRAINING)
      .set(CUDNN_ATTR_OPERATION_NORM_FWD_XDESC, graph.image(kX, extents))
      .set(CUDNN_ATTR_OPERATION_NORM_FWD_SCALE_DESC, graph.vector(kScale, channels))
      .set(CUDNN_ATTR_OPERATION_NORM_FWD_BIAS_DESC, graph.vector(kBias, channels))
      .set(CUDNN_ATTR_OPERATION_NORM_FWD_EPSILON_DESC, graph.scalar(kEpsilon, 4, s.epsilon))
      .set(CUDNN_ATTR_OPERATION_NORM_FWD_MEAN_DESC, graph.vector(kMean, channels))
      .set(CUDNN_ATTR_OPERATION_NORM_FWD_INV_VARIANCE_DESC, graph.vector(kInvStd, channels))
      .set(CUDNN_ATTR_OPERATION_NORM_FWD_YDESC, result);
  graph.add(operation, "batch norm forward");
  Descriptor residual;
  if (fusion.residual) residual = graph.image(kResidual, extents);
  graph.follow(result, {.residual = fusion.residual, .relu = fusion.relu}, y, {}, residual, extents,
               channels_last(extents));
  if (fusion.relu) {
    const Descriptor zero = graph.scalar(kZero, 4, 0);
    graph.pointwise(CUDNN_POINTWISE_CMP_GT, y, &zero, graph.mask(kMask, extents));
  }
  return graph.finish(batch_norm_text("batch_norm", s, fusion));
}

OperationGraph batch_norm_grad_graph(const BatchNormShape& s, const BatchNormFusion& fusion) {
  Builder graph(s.dtype);
  const Extents extents(s.x.begin(), s.x.end()), channels{1, s.x[1], 1, 1};
  Descriptor dy = graph.image(kDy, extents);
  if (fusion.relu) {
    const Descriptor mask = graph.mask(kMask, extents);
    const Descriptor passed = fusion.residual
                                  ? graph.image(kDResidual, extents)
                                  : graph.between(extents, channels_last(extents), graph.type());
    dy = graph.pointwise(CUDNN_POINTWISE_MUL, dy, &mask, passed);
  }
  Descriptor operation(CUDNN_BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR);
  operation.set(CUDNN_ATTR_OPERATION_NORM_BWD_MODE, CUDNN_BATCH_NORM)
      .set(CUDNN_ATTR_OPERATION_NORM_BWD_XDESC, graph.image(kX, extents))
      .set(CUDNN_ATTR_OPERATION_NORM_BWD_DYDESC, dy)
      .set(CUDNN_ATTR_OPERATION_NORM_BWD_MEAN_DESC, graph.vector(kMean, channels))
      .set(CUDNN_ATTR_OPERATION_NORM_BWD_INV_VARIANCE_DESC, graph.vector(kInvStd, channels))
      .set(CUDNN_ATTR_OPERATION_NORM_BWD_SCALE_DESC, graph.vector(kScale, channels))
      .set(CUDNN_ATTR_OPERATION_NORM_BWD_DSCALE_DESC, graph.vector(kDScale, channels))
      .set(CUDNN_ATTR_OPERATION_NORM_BWD_DBIAS_DESC, graph.vector(kDBias, channels))
      .set(CUDNN_ATTR_OPERATION_NORM_BWD_DXDESC, graph.image(kDx, extents));
  graph.add(operation, "batch norm backward");
  return graph.finish(batch_norm_text("batch_norm_grad", s, fusion));
}

}  // namespace lockstep::cuda
