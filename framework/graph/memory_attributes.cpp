// Descriptions of the attributes of parameters and buffers.
#include "graph/graph.hpp"

namespace lockstep {

template <>
struct EnumNames<Init::Kind> {
  static constexpr std::pair<Init::Kind, std::string_view> values[] = {
      {Init::constant, "constant"},
      {Init::normal, "normal"},
      {Init::he_normal_fan_out, "he_normal_fan_out"},
      {Init::he_normal_fan_in, "he_normal_fan_in"},
      {Init::uniform_fan_in, "uniform_fan_in"}};
};
template <>
struct EnumNames<ParameterKind> {
  static constexpr std::pair<ParameterKind, std::string_view> values[] = {
      {ParameterKind::weight, "weight"},
      {ParameterKind::bias, "bias"},
      {ParameterKind::norm, "norm"}};
};

static void describe(Options<Init>& o) {
  o("kind", &Init::kind, "how values are drawn");
  o("value", &Init::value, "the constant, deviation or fan_in (0: the parameter's own)");
}

void describe(Options<ParameterAttributes>& o) {
  o("init", &ParameterAttributes::init, "how it begins");
  o("kind", &ParameterAttributes::kind, "what it is to the optimizer");
}

void describe(Options<BufferAttributes>& o) {
  o("initial", &BufferAttributes::initial, "its first value");
  o("momentum", &BufferAttributes::momentum, "the share of the batch in an update");
}

}  // namespace lockstep
