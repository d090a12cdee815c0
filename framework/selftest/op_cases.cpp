#include "selftest/op_cases.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <sstream>

#include "ops/attributes.hpp"
#include "selftest/golden_values.hpp"

namespace lockstep {
namespace {

// "1", "0.5", "true" or "[1, 2]" without spaces.
Setting parse_setting(const std::string& text) {
  if (text == "true" || text == "false") return {text == "true", "cases.txt"};
  if (text.front() == '[') {
    Setting::Array array;
    std::stringstream items(text.substr(1, text.size() - 2));
    for (std::string item; std::getline(items, item, ',');) array.push_back(parse_setting(item));
    return {std::move(array), "cases.txt"};
  }
  if (text.find('.') != text.npos) return {std::stod(text), "cases.txt"};
  return {static_cast<int64_t>(std::stoll(text)), "cases.txt"};
}

template <class T>
Attributes read_attributes(const Setting::Table& settings) {
  return Attributes::of(read_options<T>(settings, "cases.txt"));
}

Attributes make_attributes(const std::string& op, const Setting::Table& settings) {
  using Read = Attributes (*)(const Setting::Table&);
  static const std::map<std::string, Read> kReaders = {
      {"adaptive_avg_pool2d", read_attributes<AdaptivePoolAttributes>},
      {"avg_pool2d", read_attributes<PoolAttributes>},
      {"batch_norm", read_attributes<BatchNormAttributes>},
      {"batch_norm_apply", read_attributes<BatchNormAttributes>},
      {"batch_norm_inference", read_attributes<BatchNormAttributes>},
      {"batch_statistics", read_attributes<BatchStatisticsAttributes>},
      {"conv2d", read_attributes<Conv2dAttributes>},
      {"conv2d_inference", read_attributes<Conv2dAttributes>},
      {"dropout", read_attributes<DropoutAttributes>},
      {"linear", read_attributes<LinearAttributes>},
      {"linear_inference", read_attributes<LinearAttributes>},
      {"max_pool2d", read_attributes<PoolAttributes>},
      {"normalize", read_attributes<NormalizeAttributes>},
      {"pad_channels", read_attributes<ChannelsAttributes>},
      {"reshape", read_attributes<ReshapeAttributes>},
      {"scale", read_attributes<ScaleAttributes>},
      {"slice_channels", read_attributes<ChannelsAttributes>},
      {"softmax_cross_entropy", read_attributes<SoftmaxCrossEntropyAttributes>},
      {"subsample", read_attributes<SubsampleAttributes>},
  };
  const auto found = kReaders.find(op);
  if (found != kReaders.end()) return found->second(settings);
  LS_ASSERT(settings.empty());
  return {};
}

OpCase parse_case(const std::string& line) {
  OpCase result;
  result.text = line;
  std::stringstream words(line);
  words >> result.op;
  Setting::Table settings;
  for (std::string word; words >> word;) {
    const size_t equals = word.find('=');
    if (equals != word.npos) {
      settings.push_back(
          {word.substr(0, equals), "cases.txt", parse_setting(word.substr(equals + 1))});
      continue;
    }
    const size_t open = word.find('('), close = word.find(')');
    LS_ASSERT(open != word.npos && close != word.npos);
    CaseInput input{.name = word.substr(0, open), .shape = {}, .fill = "uniform"};
    std::stringstream extents(word.substr(open + 1, close - open - 1));
    for (std::string extent; std::getline(extents, extent, ',');)
      input.shape.append(std::stoll(extent));
    if (close + 1 < word.size()) input.fill = word.substr(close + 2);
    result.inputs.push_back(std::move(input));
  }
  result.attributes = make_attributes(result.op, settings);
  return result;
}

std::vector<OpCase> read_cases() {
  std::istringstream file{std::string(op_cases_text())};
  std::vector<OpCase> cases;
  std::map<std::string, int> numbers;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line.front() == '#') continue;
    cases.push_back(parse_case(line));
    cases.back().name = cases.back().op + '_' + std::to_string(++numbers[cases.back().op]);
  }
  return cases;
}

DType dtype_of(const std::string& fill) {
  if (fill == "labels") return DType::i32;
  if (fill == "indices" || fill == "random_key") return DType::i64;
  if (fill == "pixels") return DType::u8;
  return DType::f32;
}

// One element of a float input; the fills are described in cases.txt.
float fill_value(const std::string& fill, const std::string& key, size_t i) {
  const float value = golden_value(key, i);
  if (fill == "uniform") return value;
  if (fill == "away") return value * 0.75f + (value < 0 ? -0.25f : 0.25f);
  if (fill == "distinct") return static_cast<float>(i * 97 % 251) * 0.25f - 31.0f;
  if (fill == "ties") return std::floor(value * 2);
  if (fill == "positive") return std::fabs(value) + 0.25f;
  if (fill == "far") return value < 0 ? -6.0f : 6.0f;
  constexpr float kWeights[] = {1, 0, 0.5f, 2};
  if (fill == "weights") return kWeights[i % 4];
  LS_ASSERT(false);
  return 0;
}

// Activations, and the weights of convolutions and linear layers.
bool is_halved(const OpCase& op_case, const CaseInput& input) {
  static const std::set<std::string> kFloatOps = {"batch_statistics", "classification_metrics",
                                                  "normalize", "softmax_cross_entropy"};
  if (dtype_of(input.fill) != DType::f32 || kFloatOps.contains(op_case.op)) return false;
  if (input.name == "w") return op_case.op == "conv2d" || op_case.op == "linear";
  return input.name[0] == 'x' || input.name == "a" || input.name == "residual" ||
         (input.name == "b" && op_case.op == "add");
}

// f32 values in another type, rounded.
Tensor rounded(const Tensor& values, DType dtype) {
  if (dtype == DType::f32) return values;
  Tensor tensor(dtype, values.type().shape);
  for (size_t i = 0; i < tensor.count(); ++i) {
    if (dtype == DType::bf16) {
      tensor.values<Bf16>()[i] = from_float<Bf16>(values.values()[i]);
    } else {
      tensor.values<F16>()[i] = from_float<F16>(values.values()[i]);
    }
  }
  return tensor;
}

Tensor make_input(const OpCase& op_case, size_t index) {
  const CaseInput& input = op_case.inputs[index];
  const std::string key = op_case.op + '.' + input.name;
  Tensor tensor(dtype_of(input.fill), input.shape);
  for (size_t i = 0; i < tensor.count(); ++i) {
    const uint32_t hash = golden_hash(key, i);
    if (input.fill == "labels") {
      const auto classes = static_cast<uint32_t>(op_case.inputs[0].shape[1]);
      tensor.values<int32_t>()[i] = static_cast<int32_t>(hash % classes);
    } else if (input.fill == "indices") {
      tensor.values<int64_t>()[i] = hash % 60000;
    } else if (input.fill == "random_key") {
      tensor.values<int64_t>()[i] = static_cast<int64_t>(i) + 42;
    } else if (input.fill == "pixels") {
      tensor.values<uint8_t>()[i] = static_cast<uint8_t>(hash);
    } else {
      tensor.values()[i] = fill_value(input.fill, key, i);
    }
  }
  return tensor;
}

Tensor make_feed(const OpCase& op_case, const Node& input) {
  for (size_t i = 0; i < op_case.inputs.size(); ++i) {
    if (op_case.inputs[i].name != input.label) continue;
    const DType dtype = input.outputs[0].dtype;
    const Tensor values = make_input(op_case, i);
    return is_half(dtype) ? rounded(values, dtype) : values;
  }
  LS_ASSERT(input.label == "dy");
  Tensor dy(DType::f32, input.outputs[0].shape);
  for (size_t i = 0; i < dy.count(); ++i) dy.values()[i] = golden_value(op_case.op + ".dy", i);
  return rounded(dy, input.outputs[0].dtype);
}

}  // namespace

const std::vector<OpCase>& op_cases() {
  static const std::vector<OpCase> cases = read_cases();
  return cases;
}

bool has_half_values(const OpCase& op_case) {
  return op_case.op == "normalize" ||
         std::any_of(op_case.inputs.begin(), op_case.inputs.end(),
                     [&](const CaseInput& input) { return is_halved(op_case, input); });
}

CaseGraph make_graph(const OpCase& op_case, const OpRegistry& ops, DType dtype) {
  CaseGraph result{std::make_unique<Graph>(Mode::training, ops), {}, {}, {}};
  Graph& graph = *result.graph;
  for (const CaseInput& input : op_case.inputs) {
    const TensorType type{is_halved(op_case, input) ? dtype : dtype_of(input.fill), input.shape};
    result.inputs.push_back(input.fill == "computed"
                                ? graph.apply("batch_moments", {result.inputs[0]}, {}, input.name)
                                : graph.input(input.name, type));
  }
  Attributes attributes = op_case.attributes;
  if (op_case.op == "normalize") {
    auto normalize = attributes.as<NormalizeAttributes>();
    normalize.dtype = dtype;
    attributes = Attributes::of(std::move(normalize));
  }
  result.output = graph.apply(op_case.op, result.inputs, attributes, op_case.name);
  const ValueId first = result.output.id();
  const OpDef& op = ops.at(op_case.op);
  result.d_inputs.resize(result.inputs.size());
  if (op.gradient == nullptr) return result;

  const Value dy = graph.input("dy", result.output.type());
  std::vector<Value> outputs, d_outputs;
  const Node node = graph.node(first);
  for (int32_t port = 0; port < static_cast<int32_t>(node.outputs.size()); ++port) {
    outputs.emplace_back(&graph, ValueId{first.node, port});
    d_outputs.push_back(port == 0 ? dy : Value());
  }
  std::vector<bool> needed;
  for (const Value& input : result.inputs) {
    needed.push_back(input.type().dtype == DType::f32 || is_half(input.type().dtype));
  }
  result.d_inputs =
      op.gradient(GradientContext{node, graph, result.inputs, outputs, d_outputs, needed});
  return result;
}

std::map<std::string, Tensor> make_feeds(const OpCase& op_case, const Graph& graph) {
  std::map<std::string, Tensor> feeds;
  for (const Node& node : graph.nodes()) {
    if (node.op == "input") feeds[node.label] = make_feed(op_case, node);
  }
  return feeds;
}

}  // namespace lockstep
