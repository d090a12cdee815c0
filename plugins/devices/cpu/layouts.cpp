// Which layout each node wants: images between convolutions stay in oneDNN's blocked layout,
// everything else is plain.
#include <array>
#include <iterator>
#include <optional>

#include "kernels.hpp"
#include "ops/attributes.hpp"

namespace lockstep::cpu {
namespace {

using onednn::Direction;

// Convolutions of this many channels and fewer read plain images: padding them to a block would
// waste most of it.
constexpr int64_t kPlainChannels = 4;

// Ops that take images in one layout for all of them, plain or blocked.
constexpr std::string_view kAnyLayout[] = {"batch_norm",
                                           "batch_norm_inference",
                                           "batch_norm_grad",
                                           "batch_moments",
                                           "batch_norm_apply",
                                           "batch_norm_grad_sums",
                                           "max_pool2d",
                                           "max_pool2d_grad",
                                           "batch_norm_grad_apply",
                                           "avg_pool2d",
                                           "avg_pool2d_grad",
                                           "adaptive_avg_pool2d",
                                           "adaptive_avg_pool2d_grad",
                                           "add",
                                           "cast",
                                           "scale",
                                           "concat",
                                           "slice_channels",
                                           "pad_channels",
                                           "subsample",
                                           "subsample_grad"};

bool takes_any_layout(const KernelRequest& request) {
  return request.definition.pointwise.forward != nullptr ||
         std::find(std::begin(kAnyLayout), std::end(kAnyLayout), request.op) !=
             std::end(kAnyLayout);
}

// Gradients whose input is smaller than their output: the layout of the output is worth more.
bool enlarges(std::string_view op) {
  return op == "avg_pool2d_grad" || op == "adaptive_avg_pool2d_grad" || op == "subsample_grad";
}

// Of the images of pooling ops: one pixel of full blocks lies in memory as it would in the plain
// layout.
Layout layout_of(const TensorType& type, Layout wanted) {
  if (type.shape.rank() != 4) return Layout::plain;
  const bool one_pixel = type.shape[2] == 1 && type.shape[3] == 1;
  if (one_pixel && type.shape[1] % channel_block(wanted) == 0) return Layout::plain;
  return wanted;
}

bool is_average_pool(std::string_view op) {
  return op.find("avg_pool2d") != std::string_view::npos;
}

}  // namespace

LayoutChoice CpuDevice::choose_layouts(const KernelRequest& request,
                                       std::span<const Layout> available) const {
  if (request.op.starts_with("conv2d")) return convolution_choice(request);
  if (!takes_any_layout(request)) return HostDevice::choose_layouts(request, available);
  const Layout wanted = wanted_layout(request, available);
  LayoutChoice choice;
  const auto add = [&](std::vector<Layout>& layouts, std::span<const TensorType> types) {
    for (const TensorType& type : types) {
      layouts.push_back(is_average_pool(request.op) ? layout_of(type, wanted)
                        : type.shape.rank() == 4    ? wanted
                                                    : Layout::plain);
    }
  };
  add(choice.inputs, request.inputs);
  add(choice.outputs, request.outputs);
  return choice;
}

// The blocked layout that an image comes in, so that it is never left for the sake of a small
// neighbour. These ops know no nhwc: what comes in it becomes blocked.
Layout CpuDevice::wanted_layout(const KernelRequest& request,
                                std::span<const Layout> available) const {
  const auto known = [&](Layout layout) {
    return layout == Layout::nhwc ? activation_layout_ : layout;
  };
  if (request.op == "max_pool2d_grad") return known(available[1]);
  if (enlarges(request.op) && request.outputs[0].shape[1] > kPlainChannels) {
    return activation_layout_;
  }
  for (size_t i = 0; i < available.size(); ++i) {
    if (request.inputs[i].shape.rank() != 4) continue;
    if (const Layout layout = known(available[i]); layout != Layout::plain) return layout;
  }
  return Layout::plain;
}

LayoutChoice CpuDevice::convolution_choice(const KernelRequest& request) const {
  ConvolutionProblem problem = convolution_problem(request);
  std::optional<ConvolutionLayouts> fast = convolution_layouts(problem.direction, problem.shape);
  if (!fast && problem.shape.dtype != DType::f32) {  // it will go through float32
    problem.shape.dtype = DType::f32;
    fast = convolution_layouts(problem.direction, problem.shape);
  }
  const ConvolutionLayouts layouts = fast.value_or(ConvolutionLayouts{});
  LayoutChoice choice;
  choice.inputs.assign(request.inputs.size(), Layout::plain);
  choice.outputs.assign(request.outputs.size(), Layout::plain);
  switch (problem.direction) {
    case Direction::inference:  // x, w, [residual], … -> y
      if (problem.shape.residual) choice.inputs[2] = layouts.y;
      [[fallthrough]];
    case Direction::forward:  // x, w, [b] -> y
      choice.inputs[0] = layouts.x;
      choice.outputs[0] = layouts.y;
      break;
    case Direction::grad_input:  // dy, w -> dx
      choice.inputs[0] = layouts.y;
      choice.outputs[0] = layouts.x;
      break;
    case Direction::grad_weight:  // x, dy -> dw, [db]
      choice.inputs[0] = layouts.x;
      choice.inputs[1] = layouts.y;
      break;
  }
  return choice;
}

// The first pair of layouts for which oneDNN has a fast kernel in all directions of training; else,
// and for inference, in this direction; none where there is no such pair.
std::optional<ConvolutionLayouts> CpuDevice::convolution_layouts(
    Direction direction, const onednn::ConvolutionShape& shape) const {
  if (activation_layout_ == Layout::plain || shape.batch == 0) return ConvolutionLayouts{};
  const std::string key = concat(static_cast<int>(direction), ' ', shape.text());
  const std::lock_guard lock(mutex_);
  if (const auto found = chosen_.find(key); found != chosen_.end()) return found->second;

  use_threads();
  const Layout blocked = activation_layout_;
  const bool few_channels = shape.x[0] <= kPlainChannels;
  // Shorter blocks and nhwc serve numbers of channels that fill no block; plain ones are always
  // there.
  constexpr auto kShort = Layout::nchw8c;
  constexpr ConvolutionLayouts kChannelsLast{Layout::nhwc, Layout::nhwc};
  using Candidates = std::array<ConvolutionLayouts, 5>;
  const Candidates candidates = few_channels ? Candidates{{{Layout::plain, blocked},
                                                           {blocked, blocked},
                                                           {kShort, kShort},
                                                           kChannelsLast,
                                                           {}}}
                                             : Candidates{{{blocked, blocked},
                                                           {Layout::plain, blocked},
                                                           {kShort, kShort},
                                                           kChannelsLast,
                                                           {}}};
  const auto is_fast = [&](Direction d, const ConvolutionLayouts& layouts) {
    return !onednn::is_reference(
        onednn::convolution_implementation(d, shape, layouts.x, layouts.y));
  };
  const auto first_where = [&](auto&& accepts) -> const ConvolutionLayouts* {
    const auto* found = std::find_if(candidates.begin(), candidates.end(), accepts);
    return found == candidates.end() ? nullptr : found;
  };
  const ConvolutionLayouts* best = first_where([&](const ConvolutionLayouts& layouts) {
    if (direction == Direction::inference) return is_fast(direction, layouts);
    return is_fast(direction, layouts) && is_fast(Direction::forward, layouts) &&
           is_fast(Direction::grad_weight, layouts) &&
           (few_channels || is_fast(Direction::grad_input, layouts));
  });
  if (best == nullptr) {
    best =
        first_where([&](const ConvolutionLayouts& layouts) { return is_fast(direction, layouts); });
  }
  return chosen_[key] = best == nullptr ? std::nullopt : std::optional(*best);
}

}  // namespace lockstep::cpu
