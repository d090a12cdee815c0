// What the operations of a pickle work on: a stack of numbers of objects, marks in it, and a memo.
// Whatever a pickle says, none grows past a bound, and what is not there is an error.
#pragma once

#include <optional>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/error.hpp"
#include "weights/pickle.hpp"

namespace lockstep {

class PickleStack {
 protected:
  using Ref = Pickle::Ref;

  // `what` names the pickle in messages.
  explicit PickleStack(std::string_view what) : what_(what) {}

  // The place that messages name.
  void begin_operation(size_t at) { op_at_ = at; }
  template <class... Parts>
  [[noreturn]] void refuse(const Parts&... parts) const {
    fail(Failure::checkpoint, what_, ", byte ", op_at_, ": ", parts...);
  }
  // Calls `read`, whose errors are this operation's.
  template <class F>
  auto at_this_place(F&& read) {
    try {
      return read();
    } catch (Error& error) {
      error.add_context(concat(what_, ", byte ", op_at_));
      throw;
    }
  }

  void push(Ref ref);
  void push_new(Pickle::Object object);
  Ref pop();
  Ref top();
  template <class T>
  T& top_as(std::string_view expected) {
    Pickle::Object& object = pickle_.objects[top()];
    T* value = std::get_if<T>(&object);
    if (value == nullptr) {
      refuse("found ", Pickle::kind(object), "; expected ", expected, "; the file is damaged");
    }
    return *value;
  }

  void mark();
  // A mark, where one is on top.
  void pop_object_or_mark();
  // Removes what lies above the last mark, and the mark.
  std::vector<Ref> pop_to_mark();

  // The memo: the top under a number, or under the next free one; and back onto the stack.
  void remember(size_t index);
  void remember_next() { remember(memo_.size()); }
  void recall(size_t index);

  // A list that is remembered can be copied into others: the copies count as well.
  void count_items(size_t count);

  Pickle pickle_;

 private:
  [[noreturn]] void refuse_size() const;

  std::string_view what_;
  size_t op_at_ = 0;
  std::vector<Ref> stack_;
  std::vector<size_t> marks_;
  size_t items_ = 0;
  std::vector<std::optional<Ref>> memo_;
};

}  // namespace lockstep
