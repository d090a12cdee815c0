#include "train/likely_model.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "plan/plan.hpp"

namespace lockstep {
namespace {

// Values worth trying for an option: both of a bool, and those of an int that accepts few.
std::vector<Setting> values_to_try(const OptionSpec& option) {
  constexpr int64_t kLargest = 200;
  constexpr size_t kFew = 8;
  if (option.type == "bool") return {{true, {}}, {false, {}}};
  std::vector<Setting> values;
  if (option.type != "int" || !option.rule.accepts) return values;
  for (int64_t number = 0; number <= kLargest; ++number) {
    const Setting value{number, {}};
    if (option.rule.accepts(value)) values.push_back(value);
  }
  return values.size() <= kFew ? values : std::vector<Setting>{};
}

// Every combination of depths and their like, each with at most one bool changed.
std::vector<Setting::Table> tables_to_try(const OptionTable& options) {
  std::vector<Setting::Table> tables{{}};
  const auto extend = [&](const OptionSpec& option, bool keep_alone) {
    std::vector<Setting::Table> extended;
    for (const Setting::Table& table : tables) {
      if (keep_alone) extended.push_back(table);
      for (const Setting& value : values_to_try(option)) {
        if (value.text() == option.default_value.text() && keep_alone) continue;
        extended.push_back(table);
        extended.back().push_back({option.name, {}, value});
      }
    }
    return extended;
  };
  for (const OptionSpec& option : options.specs()) {
    if (option.type == "int" && !values_to_try(option).empty()) tables = extend(option, false);
  }
  std::vector<Setting::Table> all = tables;
  for (const OptionSpec& option : options.specs()) {
    if (option.type != "bool") continue;
    const std::vector<Setting::Table> with = extend(option, true);
    all.insert(all.end(), with.begin(), with.end());
  }
  return all;
}

// The share of tensors that the file and the graph have in common, in their shapes. Heads do not
// count, for their classes differ.
double similarity(const Graph& graph, const Weights& weights) {
  std::set<std::string> passed_over;
  for (const std::string& name : head_parameters(graph)) passed_over.insert(name);
  int64_t common = 0, in_graph = 0, in_file = 0;
  for (const char* op : {"parameter", "buffer"}) {
    for (int32_t number : graph.find_all(op)) {
      const Node& node = graph.nodes()[static_cast<size_t>(number)];
      if (passed_over.contains(node.label)) continue;
      const auto found = weights.tensors.find(node.label);
      ++in_graph;
      common += found != weights.tensors.end() && found->second.shape == node.outputs[0].shape;
    }
  }
  for (const auto& [name, tensor] : weights.tensors) {
    in_file += !passed_over.contains(name) && !name.ends_with("num_batches_tracked");
  }
  return static_cast<double>(common) /
         static_cast<double>(std::max({in_graph, in_file, int64_t{1}}));
}

// Numbers that options of the file's model may have had: the extents of its tensors, and how many
// times more channels a convolution has than each of them sees, which is its groups. The most
// frequent ones, bounded in number and size.
std::vector<int64_t> numbers_in(const Weights& weights) {
  constexpr size_t kMost = 16;
  constexpr int64_t kLargest = 4096;
  std::map<int64_t, int64_t> times;
  for (const auto& [name, tensor] : weights.tensors) {
    const Shape& shape = tensor.shape;
    for (int64_t extent : shape) ++times[extent];
    if (shape.rank() == 4 && shape[1] > 0 && shape[0] % shape[1] == 0) ++times[shape[0] / shape[1]];
  }
  std::vector<int64_t> numbers;
  for (const auto& [number, count] : times) {
    if (number <= kLargest) numbers.push_back(number);
  }
  std::stable_sort(numbers.begin(), numbers.end(),
                   [&](int64_t a, int64_t b) { return times[a] > times[b]; });
  numbers.resize(std::min(numbers.size(), kMost));
  return numbers;
}

// A model with options, and how much of the file it takes.
struct Guess {
  std::string model;
  Setting::Table options = {};
  Shape image = {};
  double share = 0;

  std::string text() const {
    std::string text = model;
    for (size_t i = 0; i < options.size(); ++i) {
      text += concat(i == 0 ? " with model." : ", model.", options[i].key, " = ",
                     options[i].value.text());
    }
    return text;
  }
};

// One option set to a value.
struct Change {
  const OptionSpec* option;
  Setting value;

  Guess applied_to(Guess guess) const {
    const auto is_this = [&](const Setting::Entry& entry) { return entry.key == option->name; };
    std::erase_if(guess.options, is_this);
    guess.options.push_back({option->name, {}, value});
    return guess;
  }
};

class Search {
 public:
  Search(const Weights& weights, Registry& registry)
      : weights_(weights), registry_(registry), numbers_(numbers_in(weights)) {}

  // Every model with what tables_to_try says.
  void try_models() {
    std::vector<std::string> refused;
    for (const Registry::Listed& listed : registry_.list_all(&refused)) {
      if (listed.kind != Kind::model) continue;
      const ModelEntry& entry = registry_.find_model(listed.name);
      const auto& [channels, height, width] = entry.usual.image;
      for (const Setting::Table& options : tables_to_try(*entry.options)) {
        for (const Shape& image :
             {Shape{channels, height, width}, Shape{3, 32, 32}, Shape{1, 28, 28}}) {
          consider({listed.name, options, image});
        }
      }
    }
  }

  // Changes the best guess, one option at a time, as long as that makes it better. Two numbers are
  // changed at once where one alone does not help, for a convolution's groups and their width mean
  // nothing without each other.
  void refine() {
    constexpr double kWorthwhile = 0.1;  // less is chance
    if (best_.share < kWorthwhile) return;
    while (best_.share < 1 && (try_changes() || try_pairs())) {
    }
  }

  const Guess& best() const { return best_; }

 private:
  // Whether it is better than the best so far, which it then is.
  bool consider(Guess guess) {
    const ModelEntry& entry = registry_.find_model(guess.model);
    PlanRequest request;
    request.image = guess.image;
    request.model = [&](Scope scope, Value x) {
      return entry.make(std::move(scope), x, 1000, guess.options);
    };
    try {
      guess.share = similarity(build_graph(request, registry_.ops()), weights_);
    } catch (const Error&) {
      return false;  // no model of such pictures or with such options
    }
    if (guess.share <= best_.share) return false;
    best_ = std::move(guess);
    return true;
  }

  const std::vector<OptionSpec>& specs() const {
    return registry_.find_model(best_.model).options->specs();
  }

  std::vector<Change> numbers_for(const OptionSpec& option) const {
    std::vector<Change> changes;
    if (option.type != "int") return changes;
    for (int64_t number : numbers_) {
      const Setting value{number, {}};
      if (!option.rule.accepts || option.rule.accepts(value)) changes.push_back({&option, value});
    }
    return changes;
  }

  // One element changed of a list of numbers.
  std::vector<Change> elements_for(const OptionSpec& option) const {
    std::vector<Change> changes;
    if (option.type != "list of int") return changes;
    Setting now = option.default_value;
    for (const Setting::Entry& entry : best_.options) {
      if (entry.key == option.name) now = entry.value;
    }
    const size_t size = std::get<Setting::Array>(now.value).size();
    for (size_t i = 0; i < size; ++i) {
      for (int64_t number : numbers_) {
        Setting changed = now;
        Setting& element = std::get<Setting::Array>(changed.value)[i];
        element.value = number;
        if (!option.rule.accepts || option.rule.accepts(element)) {
          changes.push_back({&option, std::move(changed)});
        }
      }
    }
    return changes;
  }

  bool try_changes() {
    std::vector<Change> changes;
    const auto add = [&](std::vector<Change> more) {
      std::move(more.begin(), more.end(), std::back_inserter(changes));
    };
    for (const OptionSpec& option : specs()) {
      for (const Setting& value : values_to_try(option)) changes.push_back({&option, value});
      for (const std::string& word : option.rule.names) changes.push_back({&option, {word, {}}});
      add(numbers_for(option));
      add(elements_for(option));
    }
    const Guess from = best_;
    bool better = false;
    for (const Change& change : changes) better |= consider(change.applied_to(from));
    return better;
  }

  bool try_pairs() {
    const Guess from = best_;
    bool better = false;
    for (const OptionSpec& first : specs()) {
      for (const OptionSpec& second : specs()) {
        if (&second <= &first) continue;
        for (const Change& one : numbers_for(first)) {
          for (const Change& other : numbers_for(second)) {
            better |= consider(other.applied_to(one.applied_to(from)));
            if (best_.share == 1) return true;
          }
        }
      }
    }
    return better;
  }

  const Weights& weights_;
  Registry& registry_;
  const std::vector<int64_t> numbers_;
  Guess best_;
};

}  // namespace

std::string likely_model(const Weights& weights, Registry& registry) {
  constexpr double kLeast = 0.75;
  Search search(weights, registry);
  search.try_models();
  search.refine();
  return search.best().share >= kLeast ? search.best().text() : "";
}

}  // namespace lockstep
