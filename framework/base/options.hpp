// Options are described once, with meaning and range; reading, checking, printing and `describe`
// all follow from it.
//
//   struct ResNetOptions { int depth = 50; };
//   void describe(Options<ResNetOptions>& o) {
//     o("depth", &ResNetOptions::depth, "number of layers", one_of(18, 34, 50, 101, 152));
//   }
//
// Types: bool, int, int64_t, float, double, std::string, enums with names, std::vector and
// std::array of these, described structs, and Setting (kept as it is). Defaults are the member
// initialisers.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "base/error.hpp"

namespace lockstep {

// A value from a recipe or the command line, and the place it came from ("quickstart.toml:12:9",
// "--set seed").
class Setting {
 public:
  struct Entry;
  using Array = std::vector<Setting>;
  using Table = std::vector<Entry>;  // in the order of the source
  using Value = std::variant<bool, int64_t, double, std::string, Array, Table>;

  Value value;
  std::string where;

  std::string text() const;       // as TOML, on one line
  std::string_view kind() const;  // "boolean", "integer", "float", "string", "array" or "table"
};

struct Setting::Entry {
  std::string key;
  std::string where;  // of the key
  Setting value;
};

// What values an option accepts, and how to say so. Empty: any value of its type.
struct Rule {
  std::string text;                             // "at least 1", "18, 34 or 50"
  std::function<bool(const Setting&)> accepts;  // for arrays, asked for each element
  std::vector<std::string> names;               // the accepted words, if it is a choice of words
};
Rule at_least(double least);
Rule between(double least, double most);  // both ends included
Rule positive();
Rule one_of_numbers(std::vector<int64_t> numbers);
Rule one_of_names(std::vector<std::string> names);
template <class... T>
Rule one_of(const T&... choices) {
  if constexpr ((std::is_integral_v<T> && ...)) {
    return one_of_numbers({static_cast<int64_t>(choices)...});
  } else {
    return one_of_names({std::string(choices)...});
  }
}

// Names of an enum's values; specialise with `static constexpr std::pair<E, std::string_view>
// values[]`.
template <class E>
struct EnumNames;

// One option of a described struct, with the struct's type erased.
struct OptionSpec {
  std::string name;
  std::string type;  // "int", "float", "list of int", …
  std::string help;
  Rule rule;
  std::function<void(void* object, const Setting&)>
      read;  // throws Error{usage}: where, found, expected
  std::function<Setting(const void* object)> write;
  Setting default_value;
};

class OptionTable {
 public:
  const std::vector<OptionSpec>& specs() const { return specs_; }
  const OptionSpec* find(std::string_view name) const;
  // All options of an object as a table, in the order of description.
  Setting::Table write(const void* object) const;
  // A new object of the described type, with its defaults.
  std::shared_ptr<void> create() const { return create_(); }

 protected:
  void add(OptionSpec spec);  // throws Error{usage} for a name twice, or a default that is no
                              // finite number

  std::function<std::shared_ptr<void>()> create_;

 private:
  std::vector<OptionSpec> specs_;
};

// Reads a table into one or several described objects that share it (the framework's keys and a
// plugin's). An unknown key, a wrong type or a value out of range throws Error{usage} with its
// place and, for a key, the nearest known one. An option's own default is accepted even outside its
// range: that is how "not set" is written.
struct OptionTarget {
  const OptionTable* table;
  void* object;
};
void read_options(std::span<const OptionTarget> targets, const Setting::Table& settings,
                  std::string_view section);

namespace detail {
// How a C++ type is read from and written as a Setting. The primary template covers described
// structs and enums.
template <class M, class = void>
struct OptionCodec;

bool read_bool(const Setting&);
int64_t read_integer(const Setting&, int64_t least, int64_t most);
double read_number(const Setting&);  // integers too; never NaN or infinity
std::string read_string(const Setting&);
const Setting::Array& read_array(const Setting&, size_t expected_size);  // 0: any size
const Setting::Table& read_table(const Setting&);
size_t read_name(const Setting&, std::span<const std::string_view> names);
std::string choice_type(std::span<const std::string_view> names);  // "name (he or normal)"
double shortest_decimal(float value);  // 0.1f as 0.1, not as 0.10000000149011612
inline double shortest_decimal(double value) { return value; }
}  // namespace detail

template <class T>
class Options : public OptionTable {
 public:
  Options() {
    create_ = [] { return std::make_shared<T>(); };
  }

  template <class M>
  Options& operator()(std::string name, M T::*member, std::string help, Rule rule = {}) {
    using Codec = detail::OptionCodec<M>;
    OptionSpec spec;
    spec.name = std::move(name);
    spec.type = Codec::type();
    spec.help = std::move(help);
    spec.rule = std::move(rule);
    spec.read = [member](void* object, const Setting& setting) {
      Codec::read(static_cast<T*>(object)->*member, setting);
    };
    spec.write = [member](const void* object) {
      return Codec::write(static_cast<const T*>(object)->*member);
    };
    const T defaults{};
    spec.default_value = spec.write(&defaults);
    add(std::move(spec));
    return *this;
  }
};

// For structs without options.
struct NoOptions {};
inline void describe(Options<NoOptions>&) {}

// The description of T, made once by calling its describe().
template <class T>
const OptionTable& options_of() {
  static const Options<T> table = [] {
    Options<T> options;
    describe(options);
    return options;
  }();
  return table;
}

template <class T>
T read_options(const Setting::Table& settings, std::string_view section) {
  T object{};
  const OptionTarget target{&options_of<T>(), &object};
  read_options(std::span(&target, 1), settings, section);
  return object;
}

namespace detail {

template <>
struct OptionCodec<bool> {
  static std::string type() { return "bool"; }
  static void read(bool& out, const Setting& s) { out = read_bool(s); }
  static Setting write(bool value) { return {value, {}}; }
};

template <class M>
struct OptionCodec<M, std::enable_if_t<std::is_integral_v<M> && !std::is_same_v<M, bool>>> {
  static std::string type() { return "int"; }
  static void read(M& out, const Setting& s) {
    using Limits = std::numeric_limits<M>;
    constexpr auto kMost = sizeof(M) < 8 ? static_cast<int64_t>(Limits::max()) : INT64_MAX;
    out = static_cast<M>(read_integer(s, static_cast<int64_t>(Limits::min()), kMost));
  }
  static Setting write(M value) { return {static_cast<int64_t>(value), {}}; }
};

template <class M>
struct OptionCodec<M, std::enable_if_t<std::is_floating_point_v<M>>> {
  static std::string type() { return "float"; }
  static void read(M& out, const Setting& s) { out = static_cast<M>(read_number(s)); }
  static Setting write(M value) { return {shortest_decimal(value), {}}; }
};

template <>
struct OptionCodec<std::string> {
  static std::string type() { return "string"; }
  static void read(std::string& out, const Setting& s) { out = read_string(s); }
  static Setting write(const std::string& value) { return {value, {}}; }
};

template <>
struct OptionCodec<Setting> {
  static std::string type() { return "any"; }
  static void read(Setting& out, const Setting& s) { out = s; }
  static Setting write(const Setting& value) { return value; }
};

template <class E>
struct OptionCodec<E, std::enable_if_t<std::is_enum_v<E>>> {
  static constexpr size_t kCount = std::size(EnumNames<E>::values);
  static std::array<std::string_view, kCount> names() {
    std::array<std::string_view, kCount> names;
    for (size_t i = 0; i < kCount; ++i) names[i] = EnumNames<E>::values[i].second;
    return names;
  }
  static std::string type() { return choice_type(names()); }
  static void read(E& out, const Setting& s) {
    out = EnumNames<E>::values[read_name(s, names())].first;
  }
  static Setting write(E value) {
    for (const auto& [candidate, name] : EnumNames<E>::values) {
      if (candidate == value) return {std::string(name), {}};
    }
    LS_ASSERT(false);
    return {};
  }
};

template <class M, class List>
struct ListCodec {
  static std::string type() { return "list of " + OptionCodec<M>::type(); }
  static Setting write(const List& values) {
    Setting::Array array;
    for (const M& value : values) array.push_back(OptionCodec<M>::write(value));
    return {std::move(array), {}};
  }
};

template <class M>
struct OptionCodec<std::vector<M>> : ListCodec<M, std::vector<M>> {
  static void read(std::vector<M>& out, const Setting& s) {
    const Setting::Array& array = read_array(s, 0);
    out.assign(array.size(), M{});
    for (size_t i = 0; i < array.size(); ++i) OptionCodec<M>::read(out[i], array[i]);
  }
};

template <class M, size_t N>
struct OptionCodec<std::array<M, N>> : ListCodec<M, std::array<M, N>> {
  static void read(std::array<M, N>& out, const Setting& s) {
    const Setting::Array& array = read_array(s, N);
    for (size_t i = 0; i < N; ++i) OptionCodec<M>::read(out[i], array[i]);
  }
};

template <class T>
concept Described = std::is_class_v<T> && requires(Options<T>& options) {
  describe(options);
};

template <Described T>
struct OptionCodec<T> {
  static std::string type() { return "table"; }
  static void read(T& out, const Setting& s) {
    const OptionTarget target{&options_of<T>(), &out};
    read_options(std::span(&target, 1), read_table(s), "this table");
  }
  static Setting write(const T& value) { return {options_of<T>().write(&value), {}}; }
};

}  // namespace detail
}  // namespace lockstep
