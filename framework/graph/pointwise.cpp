#include "graph/pointwise.hpp"

#include "ops/check.hpp"

namespace lockstep {

OpDef pointwise_op(const std::string& name, const PointwiseLoops& loops, std::string help) {
  OpDef op;
  op.name = name;
  op.help = std::move(help);
  op.infer = [](std::span<const TensorType> inputs, const Attributes&) {
    check_inputs(inputs, 1);
    check_real(inputs[0], "x");
    return std::vector{inputs[0]};
  };
  op.gradient = [grad = name + "_grad"](const GradientContext& c) -> std::vector<Value> {
    return {c.apply(grad, {c.outputs[0], c.d_outputs[0]}, {}, "grad")};
  };
  op.in_place = {{.input = 0, .output = 0}};
  op.pointwise = loops;
  return op;
}

OpDef pointwise_grad_op(const std::string& name, const PointwiseLoops& loops) {
  OpDef op;
  op.name = name + "_grad";
  op.help = "gradient of " + name;
  op.infer = [](std::span<const TensorType> inputs, const Attributes&) {
    check_inputs(inputs, 2);
    check_real(inputs[0], "y");
    check_type(inputs[1], "dy", inputs[0]);
    return std::vector{inputs[0]};
  };
  op.in_place = {{.input = 1, .output = 0}, {.input = 0, .output = 0}};
  op.pointwise = loops;
  return op;
}

}  // namespace lockstep
