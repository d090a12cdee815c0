// The table of own kernels, and the layouts they work in.
#include <algorithm>
#include <iterator>

#include "own.hpp"
#include "requests.hpp"

namespace lockstep::cuda {
namespace {

// Ops that take no images but plain ones.
constexpr std::string_view kPlain[] = {"reshape", "dropout"};

// Elementwise ops walk the memory as it lies: they follow what comes in.
bool follows(const KernelRequest& request) {
  constexpr std::string_view kFollowing[] = {"add", "scale", "cast"};
  return request.definition.pointwise.forward != nullptr ||
         std::find(std::begin(kFollowing), std::end(kFollowing), request.op) !=
             std::end(kFollowing);
}

// One pixel of full blocks lies in memory as it would plain.
bool is_one_pixel(const TensorType& type) {
  return type.shape.rank() == 4 && type.shape[2] == 1 && type.shape[3] == 1 &&
         type.shape[1] % 8 == 0;
}

// Averages of whole images go to ops that want them plain: they become so, and their gradients are
// taken as they come.
bool is_average_pool(std::string_view op) {
  return op.find("avg_pool2d") != std::string_view::npos;
}

}  // namespace

LayoutChoice own_layouts(const KernelRequest& request, std::span<const Layout> available) {
  const bool plain =
      std::find(std::begin(kPlain), std::end(kPlain), request.op) != std::end(kPlain);
  const bool follow = follows(request);
  // Mixed inputs become nhwc8c.
  const bool stays_plain =
      plain || (follow && std::all_of(available.begin(), available.end(),
                                      [](Layout l) { return l == Layout::plain; }));
  const auto wanted = [&](const TensorType& type) {
    return type.shape.rank() != 4 || stays_plain ? Layout::plain : Layout::nhwc8c;
  };
  LayoutChoice choice;
  for (const TensorType& type : request.inputs) choice.inputs.push_back(wanted(type));
  for (const TensorType& type : request.outputs) choice.outputs.push_back(wanted(type));
  if (is_average_pool(request.op)) {
    if (is_one_pixel(request.inputs[0])) choice.inputs[0] = available[0];
    if (is_one_pixel(request.outputs[0])) choice.outputs[0] = Layout::plain;
  }
  if (request.op == "normalize") choice.inputs[0] = Layout::plain;  // bytes of pictures
  if (request.op == "reorder") {
    choice.inputs[0] = request.inputs[0].layout;
    choice.outputs[0] = request.outputs[0].layout;
  }
  return choice;
}

void add_own_kernels(CudaKernelTable& table) {
  add_pointwise_kernels(table);
  add_dropout_kernels(table);
  add_channel_kernels(table);
  add_max_pool_kernels(table);
  add_avg_pool_kernels(table);
  add_loss_kernels(table);
  add_batch_norm_kernels(table);
  add_statistics_kernels(table);
  add_transpose_kernels(table);
  add_normalize_kernels(table);
}

}  // namespace lockstep::cuda
