#include <algorithm>

#include "onednn_detail.hpp"

namespace lockstep::onednn {

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

dnnl::primitive_attr followed_by(bool sum, bool relu) {
  dnnl::post_ops post_ops;
  if (sum) post_ops.append_sum();
  if (relu) post_ops.append_eltwise(1, dnnl::algorithm::eltwise_relu, 0, 0);
  dnnl::primitive_attr attributes = user_scratchpad();
  attributes.set_post_ops(post_ops);
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
    case Layout::nhwc8c:
      break;  // never asked for here: it is the layout of GPUs
  }
  return Tag::undef;
}

Type data_type(DType dtype) {
  LS_ASSERT(dtype == DType::f32 || dtype == DType::bf16);
  return dtype == DType::bf16 ? Type::bf16 : Type::f32;
}

Place Sequence::reserve(const Desc& desc) {
  const Place place{Place::workspace, buffer_bytes_};
  buffer_bytes_ += aligned(static_cast<int64_t>(desc.get_size()));
  return place;
}

void Sequence::add(const dnnl::primitive& primitive, const Desc& scratchpad,
                   const Bindings& bindings) {
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

void Sequence::add_reorder(const Desc& from, Place from_place, const Desc& to, Place to_place) {
  const dnnl::reorder::primitive_desc reorder(engine(), from, engine(), to, user_scratchpad());
  add(dnnl::reorder(reorder), reorder.scratchpad_desc(),
      {{DNNL_ARG_FROM, {from, from_place}}, {DNNL_ARG_TO, {to, to_place}}});
}

void Sequence::run(const OperationMemory& memory) {
  try {
    for (Step& step : steps_) {
      for (size_t i = 0; i < step.places.size(); ++i) {
        auto& [argument, place] = step.places[i];
        void* const there = address(place, static_cast<int>(i) == step.scratchpad, memory);
        // Setting an address zeroes the padded channels behind it: done once, for addresses stay.
        if (argument.get_data_handle() != there) argument.set_data_handle(there, stream_);
      }
      step.primitive.execute(stream_, step.arguments);
    }
  } catch (const dnnl::error& e) {
    fail(Failure::device, "oneDNN ", implementation_, ": ", e.what(), " while running");
  }
}

void* Sequence::address(const Place& place, bool scratchpad, const OperationMemory& memory) const {
  const auto at = static_cast<size_t>(place.at);
  switch (place.kind) {
    case Place::input:
      return const_cast<void*>(memory.inputs[at]);
    case Place::output:
      return memory.outputs[at];
    case Place::workspace:
      return static_cast<char*>(memory.workspace) + (scratchpad ? buffer_bytes_ : place.at);
    case Place::constants:
      return static_cast<char*>(memory.constants) + place.at;
  }
  return nullptr;
}

}  // namespace lockstep::onednn
