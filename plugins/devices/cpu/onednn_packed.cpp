// Operations for evaluation, behind onednn.hpp: forward_inference primitives that choose their
// weight's format, which is filled once and not with every launch.
#include "onednn_detail.hpp"

namespace lockstep::onednn {
namespace {

template <class Primitive>
PackedOperation packed(const typename Primitive::primitive_desc& pd, const Desc& plain_weight,
                       bool bias) {
  const Desc chosen = pd.weights_desc();
  const Place weight{Place::constants, 0};
  PackedOperation operation;
  operation.bias_offset = aligned(static_cast<int64_t>(chosen.get_size()));

  auto pack = std::make_unique<Sequence>("reorder");
  pack->add_reorder(plain_weight, {Place::input, 0}, chosen, weight);
  operation.pack = std::move(pack);

  auto run = std::make_unique<Sequence>(pd.impl_info_str());
  Sequence::Bindings bindings{{DNNL_ARG_SRC, {pd.src_desc(), {Place::input, 0}}},
                              {DNNL_ARG_WEIGHTS, {chosen, weight}},
                              {DNNL_ARG_DST, {pd.dst_desc(), {Place::output, 0}}}};
  if (bias) {
    bindings.push_back(
        {DNNL_ARG_BIAS, {pd.bias_desc(), {Place::constants, operation.bias_offset}}});
  }
  run->add(Primitive(pd), pd.scratchpad_desc(), bindings);
  operation.run = std::move(run);
  return operation;
}

}  // namespace

PackedOperation packed_convolution(const ConvolutionShape& shape, Layout x, Layout y) {
  try {
    const Convolution c(shape, x, y);
    return packed<dnnl::convolution_forward>(c.inference(), c.float_weight, shape.bias);
  } catch (const dnnl::error& e) {
    fail(Failure::device, "oneDNN convolution ", shape.text(), ": ", e.what(),
         "; the device should have chosen another layout");
  }
}

PackedOperation packed_linear(const LinearShape& shape) {
  const Type type = data_type(shape.dtype);
  const Desc x({shape.batch, shape.in}, type, Tag::ab);
  const Desc y({shape.batch, shape.out}, type, Tag::ab);
  const Desc any_weight({shape.out, shape.in}, type, Tag::any);
  const Desc plain_weight({shape.out, shape.in}, kF32, Tag::ab);
  const Desc bias = shape.bias ? Desc({shape.out}, kF32, Tag::a) : Desc();
  try {
    const dnnl::inner_product_forward::primitive_desc pd(
        dnnl::inner_product_forward::desc(dnnl::prop_kind::forward_inference, x, any_weight, bias,
                                          y),
        followed_by(false, shape.relu), engine());
    return packed<dnnl::inner_product_forward>(pd, plain_weight, shape.bias);
  } catch (const dnnl::error& e) {
    fail(Failure::device, "oneDNN linear ", shape.batch, 'x', shape.in, 'x', shape.out, ": ",
         e.what());
  }
}

}  // namespace lockstep::onednn
