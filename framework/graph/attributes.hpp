// An op's attributes: one described struct per op, type-erased, comparable and printable.
#pragma once

#include <memory>
#include <string>
#include <typeinfo>

#include "base/options.hpp"

namespace lockstep {

class Attributes {
 public:
  Attributes() = default;

  template <class T>
  static Attributes of(T value) {
    Attributes a;
    a.value_ = std::make_shared<const T>(std::move(value));
    a.table_ = &options_of<T>();
    a.type_ = &typeid(T);
    return a;
  }

  // The struct that was stored; asking for another type is the programmer's mistake.
  template <class T>
  const T& as() const {
    LS_ASSERT(type_ != nullptr && *type_ == typeid(T));
    return *static_cast<const T*>(value_.get());
  }

  bool empty() const { return value_ == nullptr; }
  // "stride=2 padding=1": the options that differ from their defaults, in order of description.
  std::string text() const;
  friend bool operator==(const Attributes& a, const Attributes& b) { return a.text() == b.text(); }

 private:
  std::shared_ptr<const void> value_;
  const OptionTable* table_ = nullptr;
  const std::type_info* type_ = nullptr;
};

}  // namespace lockstep
