#include "weights/pickle_stack.hpp"

namespace lockstep {

void PickleStack::push(Ref ref) {
  if (stack_.size() >= Pickle::kMostObjects) refuse_size();
  stack_.push_back(ref);
}

void PickleStack::push_new(Pickle::Object object) {
  if (pickle_.objects.size() >= Pickle::kMostObjects) refuse_size();
  pickle_.objects.push_back(std::move(object));
  push(static_cast<Ref>(pickle_.objects.size() - 1));
}

PickleStack::Ref PickleStack::pop() {
  // What lies below a mark is not there until the mark is gone.
  if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) {
    refuse("an operation without operands; the file is damaged");
  }
  const Ref ref = stack_.back();
  stack_.pop_back();
  return ref;
}

PickleStack::Ref PickleStack::top() {
  const Ref ref = pop();
  stack_.push_back(ref);
  return ref;
}

void PickleStack::mark() {
  if (marks_.size() >= Pickle::kMostObjects) refuse_size();
  marks_.push_back(stack_.size());
}

void PickleStack::pop_object_or_mark() {
  if (!marks_.empty() && marks_.back() == stack_.size()) {
    marks_.pop_back();
  } else {
    pop();
  }
}

std::vector<PickleStack::Ref> PickleStack::pop_to_mark() {
  if (marks_.empty()) refuse("no mark on the stack; the file is damaged");
  const auto begin = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
  std::vector<Ref> items(begin, stack_.end());
  stack_.erase(begin, stack_.end());
  marks_.pop_back();
  return items;
}

void PickleStack::remember(size_t index) {
  if (index >= Pickle::kMostObjects) refuse("memo number ", index, "; the file is damaged");
  if (index >= memo_.size()) memo_.resize(index + 1);
  memo_[index] = top();
}

void PickleStack::recall(size_t index) {
  if (index >= memo_.size() || !memo_[index]) {
    refuse("memo number ", index, ", which was never set; the file is damaged");
  }
  push(*memo_[index]);
}

void PickleStack::count_items(size_t count) {
  items_ += count;
  if (items_ > 4 * Pickle::kMostObjects) refuse_size();
}

void PickleStack::refuse_size() const {
  refuse("more than ", Pickle::kMostObjects,
         " objects; expected a state dict; re-save it with torch.save(model.state_dict(), …)");
}

}  // namespace lockstep
