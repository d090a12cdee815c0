// oneDNN's version 2 interface behind onednn.hpp. https://oneapi-src.github.io/oneDNN/v2.6/
//
// Scratchpads are the caller's (mode `user`): one buffer serves all operations. `convolution_auto`
// with pinned activation layouts lets oneDNN choose Winograd for 3x3 convolutions where it has it
// (AVX-512).
#include "onednn.hpp"

#include <dnnl.hpp>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/error.hpp"

namespace lockstep::onednn {
namespace {

using Tag = dnnl::memory::format_tag;
using Dims = dnnl::memory::dims;
using Desc = dnnl::memory::desc;
constexpr auto kF32 = dnnl::memory::data_type::f32;

// Never destroyed: operations may outlive static objects of a plugin that is never closed.
dnnl::engine& engine() {
  static auto* const engine = new dnnl::engine(dnnl::engine::kind::cpu, 0);
  return *engine;
}

dnnl::primitive_attr user_scratchpad() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

Tag activation_tag(Layout layout) {
  switch (layout) {
    case Layout::plain:
      return Tag::nchw;
    case Layout::nhwc:
      return Tag::nhwc;
    case Layout::nchw8c:
      return Tag::nChw8c;
    case Layout::nchw16c:
      return Tag::nChw16c;
  }
  return Tag::undef;
}

constexpr int64_t aligned(int64_t bytes) { return (bytes + 63) / 64 * 64; }

// Where an argument of a primitive lies.
struct Place {
  enum Kind : uint8_t { input, output, workspace } kind;
  int64_t at;  // number of the input or output; byte offset in the workspace
};

class Sequence final : public Operation {
 public:
  using Bindings = std::vector<std::pair<int, std::pair<Desc, Place>>>;

  explicit Sequence(std::string implementation) : implementation_(std::move(implementation)) {}

  Place reserve(const Desc& desc) {
    const Place place{Place::workspace, buffer_bytes_};
    buffer_bytes_ += aligned(static_cast<int64_t>(desc.get_size()));
    return place;
  }

  // A primitive's scratchpad lies behind all buffers; primitives take turns in using it.
  void add(const dnnl::primitive& primitive, const Desc& scratchpad, const Bindings& bindings) {
    Step step{primitive, {}, {}, -1};
    for (const auto& [argument, binding] : bindings) {
      dnnl::memory memory(binding.first, engine(), DNNL_MEMORY_NONE);
      step.arguments.emplace(argument, memory);
      step.places.emplace_back(memory, binding.second);
    }
    if (const auto bytes = static_cast<int64_t>(scratchpad.get_size()); bytes > 0) {
      dnnl::memory memory(scratchpad, engine(), DNNL_MEMORY_NONE);
      step.arguments.emplace(DNNL_ARG_SCRATCHPAD, memory);
      step.scratchpad = static_cast<int>(step.places.size());
      step.places.emplace_back(memory, Place{Place::workspace, 0});
      scratchpad_bytes_ = std::max(scratchpad_bytes_, aligned(bytes));
    }
    steps_.push_back(std::move(step));
  }

  void add_reorder(const Desc& from, Place from_place, const Desc& to, Place to_place) {
    const dnnl::reorder::primitive_desc reorder(engine(), from, engine(), to, user_scratchpad());
    add(dnnl::reorder(reorder), reorder.scratchpad_desc(),
        {{DNNL_ARG_FROM, {from, from_place}}, {DNNL_ARG_TO, {to, to_place}}});
  }

  void run(std::span<const void* const> inputs, std::span<void* const> outputs,
           void* workspace) override {
    try {
      for (Step& step : steps_) {
        for (size_t i = 0; i < step.places.size(); ++i) {
          auto& [memory, place] = step.places[i];
          const int64_t offset = static_cast<int>(i) == step.scratchpad ? buffer_bytes_ : place.at;
          void* const address =
              place.kind == Place::input ? const_cast<void*>(inputs[static_cast<size_t>(place.at)])
              : place.kind == Place::output ? outputs[static_cast<size_t>(place.at)]
                                            : static_cast<char*>(workspace) + offset;
          // Setting an address zeroes the padded channels behind it: done once, for addresses stay.
          if (memory.get_data_handle() != address) memory.set_data_handle(address, stream_);
        }
        step.primitive.execute(stream_, step.arguments);
      }
    } catch (const dnnl::error& e) {
      fail(Failure::device, "oneDNN ", implementation_, ": ", e.what(), " while running");
    }
  }

  int64_t workspace_bytes() const override { return buffer_bytes_ + scratchpad_bytes_; }
  const std::string& implementation() const override { return implementation_; }

 private:
  struct Step {
    dnnl::primitive primitive;
    std::unordered_map<int, dnnl::memory> arguments;
    std::vector<std::pair<dnnl::memory, Place>> places;
    int scratchpad;  // its number in places, or -1
  };

  std::string implementation_;
  dnnl::stream stream_{engine()};
  std::vector<Step> steps_;
  int64_t buffer_bytes_ = 0;
  int64_t scratchpad_bytes_ = 0;
};

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

// The descriptors of one convolution: version 2's `desc` and `primitive_desc`.
class Convolution {
 public:
  Convolution(const ConvolutionShape& s, Layout x_layout, Layout y_layout)
      : x({s.batch, s.x[0], s.x[1], s.x[2]}, kF32, activation_tag(x_layout)),
        y({s.batch, s.y[0], s.y[1], s.y[2]}, kF32, activation_tag(y_layout)),
        stride{s.stride[0], s.stride[1]},
        padding{s.padding[0], s.padding[1]},
        dilation{s.dilation[0] - 1, s.dilation[1] - 1} {
    const Dims dims = s.groups == 1 ? Dims{s.y[0], s.x[0], s.kernel[0], s.kernel[1]}
                                    : Dims{s.groups, s.y[0] / s.groups, s.x[0] / s.groups,
                                           s.kernel[0], s.kernel[1]};
    plain_weight = Desc(dims, kF32, s.groups == 1 ? Tag::oihw : Tag::goihw);
    any_weight = Desc(dims, kF32, Tag::any);
    if (s.bias) bias = Desc({s.y[0]}, kF32, Tag::a);  // else a zero descriptor: none
  }

  dnnl::convolution_forward::primitive_desc forward(const Desc& b) const {
    return {dnnl::convolution_forward::desc(dnnl::prop_kind::forward_training,
                                            dnnl::algorithm::convolution_auto, x, any_weight, b, y,
                                            stride, dilation, padding, padding),
            user_scratchpad(), engine()};
  }
  dnnl::convolution_backward_data::primitive_desc grad_input() const {
    return {dnnl::convolution_backward_data::desc(dnnl::algorithm::convolution_auto, x, any_weight,
                                                  y, stride, dilation, padding, padding),
            user_scratchpad(), engine(), forward({})};
  }
  dnnl::convolution_backward_weights::primitive_desc grad_weight() const {
    return {
        dnnl::convolution_backward_weights::desc(dnnl::algorithm::convolution_auto, x, any_weight,
                                                 bias, y, stride, dilation, padding, padding),
        user_scratchpad(), engine(), forward(bias)};
  }

  Desc x, y, bias, plain_weight, any_weight;

 private:
  Dims stride, padding, dilation;
};

}  // namespace

std::string ConvolutionShape::text() const {
  std::string text;
  const auto add = [&](int64_t value) { text += std::to_string(value) + ' '; };
  add(batch), add(groups), add(bias);
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
  const Desc x({shape.batch, shape.in}, kF32, Tag::ab);
  const Desc y({shape.batch, shape.out}, kF32, Tag::ab);
  const Desc w({shape.out, shape.in}, kF32, Tag::ab);
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
    sequence->add_reorder(Desc(dims, kF32, activation_tag(from.layout)), {Place::input, 0},
                          Desc(dims, kF32, activation_tag(to.layout)), {Place::output, 0});
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
