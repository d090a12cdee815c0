// Operations for training, behind onednn.hpp. https://oneapi-src.github.io/oneDNN/v2.6/
//
// `convolution_auto` with pinned activation layouts lets oneDNN choose Winograd for 3x3
// convolutions where it has it (AVX-512).
#include "onednn_detail.hpp"

namespace lockstep::onednn {
namespace {

// Where the primitive's format of a weight differs from the plain one, a buffer for it in the
// workspace.
struct Weight {
  const Desc& plain;
  const Desc& chosen;
  Place outside;

  bool reordered() const { return plain != chosen; }
  Place inside(Sequence& sequence) const {
    return reordered() ? sequence.reserve(chosen) : outside;
  }
};

// forward: x, w, [b] -> y.  grad_input: dy, w -> dx.  grad_weight: x, dy -> dw, [db].
// Primitive: the type of the primitive; the names of its arguments and its descriptor say the rest.
template <class Descriptor>
std::unique_ptr<Operation> forward_sequence(const dnnl::primitive& primitive, const Descriptor& pd,
                                            const Desc& plain_weight, bool bias) {
  auto sequence = std::make_unique<Sequence>(pd.impl_info_str());
  const Desc chosen = pd.weights_desc();
  const Weight weight{plain_weight, chosen, {Place::input, 1}};
  const Place inside = weight.inside(*sequence);
  if (weight.reordered()) sequence->add_reorder(plain_weight, weight.outside, chosen, inside);
  Sequence::Bindings bindings{{DNNL_ARG_SRC, {pd.src_desc(), {Place::input, 0}}},
                              {DNNL_ARG_WEIGHTS, {chosen, inside}},
                              {DNNL_ARG_DST, {pd.dst_desc(), {Place::output, 0}}}};
  if (bias) bindings.push_back({DNNL_ARG_BIAS, {pd.bias_desc(), {Place::input, 2}}});
  sequence->add(primitive, pd.scratchpad_desc(), bindings);
  return sequence;
}

template <class Descriptor>
std::unique_ptr<Operation> grad_input_sequence(const dnnl::primitive& primitive,
                                               const Descriptor& pd, const Desc& plain_weight) {
  auto sequence = std::make_unique<Sequence>(pd.impl_info_str());
  const Desc chosen = pd.weights_desc();
  const Weight weight{plain_weight, chosen, {Place::input, 1}};
  const Place inside = weight.inside(*sequence);
  if (weight.reordered()) sequence->add_reorder(plain_weight, weight.outside, chosen, inside);
  sequence->add(primitive, pd.scratchpad_desc(),
                {{DNNL_ARG_DIFF_DST, {pd.diff_dst_desc(), {Place::input, 0}}},
                 {DNNL_ARG_WEIGHTS, {chosen, inside}},
                 {DNNL_ARG_DIFF_SRC, {pd.diff_src_desc(), {Place::output, 0}}}});
  return sequence;
}

template <class Descriptor>
std::unique_ptr<Operation> grad_weight_sequence(const dnnl::primitive& primitive,
                                                const Descriptor& pd, const Desc& plain_weight,
                                                bool bias) {
  auto sequence = std::make_unique<Sequence>(pd.impl_info_str());
  const Desc chosen = pd.diff_weights_desc();
  const Weight weight{plain_weight, chosen, {Place::output, 0}};
  const Place inside = weight.inside(*sequence);
  Sequence::Bindings bindings{{DNNL_ARG_SRC, {pd.src_desc(), {Place::input, 0}}},
                              {DNNL_ARG_DIFF_DST, {pd.diff_dst_desc(), {Place::input, 1}}},
                              {DNNL_ARG_DIFF_WEIGHTS, {chosen, inside}}};
  if (bias) {
    bindings.push_back({DNNL_ARG_DIFF_BIAS, {pd.diff_bias_desc(), {Place::output, 1}}});
  }
  sequence->add(primitive, pd.scratchpad_desc(), bindings);
  if (weight.reordered()) sequence->add_reorder(chosen, inside, plain_weight, weight.outside);
  return sequence;
}

}  // namespace

std::string ConvolutionShape::text() const {
  std::string text;
  const auto add = [&](int64_t value) { text += std::to_string(value) + ' '; };
  add(static_cast<int64_t>(dtype)), add(batch), add(groups), add(bias), add(residual), add(relu);
  for (const auto* extents : {&x, &y}) {
    for (int64_t extent : *extents) add(extent);
  }
  for (const auto* extents : {&kernel, &stride, &padding, &dilation}) {
    for (int64_t extent : *extents) add(extent);
  }
  return text;
}

std::unique_ptr<Operation> convolution(Direction direction, const ConvolutionShape& shape, Layout x,
                                       Layout y) {
  LS_ASSERT(direction != Direction::inference);
  try {
    const Convolution c(shape, x, y);
    if (direction == Direction::forward) {
      const auto pd = c.forward(c.bias);
      return forward_sequence(dnnl::convolution_forward(pd), pd, c.plain_weight, shape.bias);
    }
    if (direction == Direction::grad_input) {
      const auto pd = c.grad_input();
      return grad_input_sequence(dnnl::convolution_backward_data(pd), pd, c.plain_weight);
    }
    const auto pd = c.grad_weight();
    return grad_weight_sequence(dnnl::convolution_backward_weights(pd), pd, c.plain_weight,
                                shape.bias);
  } catch (const dnnl::error& e) {
    fail(Failure::device, "oneDNN convolution ", shape.text(), ": ", e.what(),
         "; the device should have chosen another layout");
  }
}

std::string convolution_implementation(Direction direction, const ConvolutionShape& shape, Layout x,
                                       Layout y) {
  try {
    const Convolution c(shape, x, y);
    switch (direction) {
      case Direction::forward:
        return c.forward(c.bias).impl_info_str();
      case Direction::inference:
        return c.inference().impl_info_str();
      case Direction::grad_input:
        return c.grad_input().impl_info_str();
      case Direction::grad_weight:
        return c.grad_weight().impl_info_str();
    }
    return {};
  } catch (const dnnl::error&) {
    return {};
  }
}

// Plain weights: the matrix products behind a linear layer take them as they are, and a reorder of
// a large classifier's weights would cost as much as its product.
std::unique_ptr<Operation> linear(Direction direction, const LinearShape& shape) {
  const Type type = data_type(shape.dtype);
  const Desc x({shape.batch, shape.in}, type, Tag::ab);
  const Desc y({shape.batch, shape.out}, type, Tag::ab);
  const Desc w({shape.out, shape.in}, type, Tag::ab);
  const Desc b = shape.bias ? Desc({shape.out}, kF32, Tag::a) : Desc();
  const auto forward = [&](const Desc& bias) {
    return dnnl::inner_product_forward::primitive_desc(
        dnnl::inner_product_forward::desc(dnnl::prop_kind::forward_training, x, w, bias, y),
        user_scratchpad(), engine());
  };
  try {
    if (direction == Direction::forward) {
      const auto pd = forward(b);
      return forward_sequence(dnnl::inner_product_forward(pd), pd, w, shape.bias);
    }
    if (direction == Direction::grad_input) {
      const dnnl::inner_product_backward_data::primitive_desc pd(
          dnnl::inner_product_backward_data::desc(x, w, y), user_scratchpad(), engine(),
          forward({}));
      return grad_input_sequence(dnnl::inner_product_backward_data(pd), pd, w);
    }
    const dnnl::inner_product_backward_weights::primitive_desc pd(
        dnnl::inner_product_backward_weights::desc(x, w, b, y), user_scratchpad(), engine(),
        forward(b));
    return grad_weight_sequence(dnnl::inner_product_backward_weights(pd), pd, w, shape.bias);
  } catch (const dnnl::error& e) {
    fail(Failure::device, "oneDNN linear ", shape.batch, 'x', shape.in, 'x', shape.out, ": ",
         e.what());
  }
}

std::unique_ptr<Operation> reorder(const TensorType& from, const TensorType& to) {
  const Dims dims(from.shape.begin(), from.shape.end());
  try {
    auto sequence = std::make_unique<Sequence>("reorder");
    const Type type = data_type(from.dtype);
    sequence->add_reorder(Desc(dims, type, activation_tag(from.layout)), {Place::input, 0},
                          Desc(dims, type, activation_tag(to.layout)), {Place::output, 0});
    return sequence;
  } catch (const dnnl::error& e) {
    fail(Failure::device, "oneDNN reorder ", from.text(), " to ", to.text(), ": ", e.what());
  }
}

bool is_reference(std::string_view implementation) {
  return implementation.empty() || implementation.find("ref") != std::string_view::npos;
}

std::string instruction_set() {
  switch (dnnl::get_effective_cpu_isa()) {
    case dnnl::cpu_isa::sse41:
      return "sse41";
    case dnnl::cpu_isa::avx:
      return "avx";
    case dnnl::cpu_isa::avx2:
      return "avx2";
    case dnnl::cpu_isa::avx2_vnni:
      return "avx2_vnni";
    case dnnl::cpu_isa::avx512_core:
      return "avx512_core";
    case dnnl::cpu_isa::avx512_core_vnni:
      return "avx512_core_vnni";
    case dnnl::cpu_isa::avx512_core_bf16:
      return "avx512_core_bf16";
    case dnnl::cpu_isa::avx512_core_amx:
      return "avx512_core_amx";
    default:
      return "no vector extension";
  }
}

bool computes_bf16() {
  const std::string isa = instruction_set();
  return isa == "avx512_core_bf16" || isa == "avx512_core_amx";
}

Layout activation_layout() {
  const std::string isa = instruction_set();
  if (isa.starts_with("avx512")) return Layout::nchw16c;
  if (isa.starts_with("avx2")) return Layout::nchw8c;
  return Layout::plain;
}

std::string version() {
  const auto* v = dnnl::version();
  return concat(v->major, '.', v->minor, '.', v->patch);
}

}  // namespace lockstep::onednn
