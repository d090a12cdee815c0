// The operations of pickles, on the stack of pickle_stack.hpp.
#include "weights/pickle.hpp"

#include <algorithm>
#include <cstring>

#include "base/error.hpp"
#include "weights/bytes.hpp"
#include "weights/pickle_globals.hpp"
#include "weights/pickle_opcodes.hpp"
#include "weights/pickle_stack.hpp"

namespace lockstep {
namespace {

using namespace pickle_opcodes;
using Ref = Pickle::Ref;
using Sequence = Pickle::Sequence;

class Unpickler : private PickleStack {
 public:
  Unpickler(std::string_view bytes, std::string_view what) : PickleStack(what), in_(bytes, what) {}

  Pickle run() {
    while (step()) {
    }
    pickle_.root_number = pop();
    pickle_.length = in_.at();
    return std::move(pickle_);
  }

 private:
  // Does one operation; false at the end.
  bool step() {
    begin_operation(in_.at());
    const uint8_t op = in_.u8();
    if (op == kStop) return false;
    if (push_literal(op) || push_text(op) || change_stack(op) || change_container(op) ||
        use_memo(op) || call(op)) {
      return true;
    }
    refuse("unknown opcode ", static_cast<int>(op),
           "; expected a pickle as torch.save writes it; the file is damaged, or re-save it with "
           "torch.save(model.state_dict(), …)");
  }

  // --- operations: each group returns false for an opcode that is not its own

  bool push_literal(uint8_t op) {
    switch (op) {
      case kNone:
        return push_new(Pickle::None{}), true;
      case kNewTrue:
      case kNewFalse:
        return push_new(op == kNewTrue), true;
      case kBinInt:
        return push_new(int64_t{static_cast<int32_t>(in_.u32())}), true;
      case kBinInt1:
        return push_new(int64_t{in_.u8()}), true;
      case kBinInt2:
        return push_new(int64_t{in_.u16()}), true;
      case kLong1:
        return push_long(in_.take(in_.u8())), true;
      case kLong4:
        return push_long(in_.take(in_.u32())), true;
      case kBinFloat: {
        const uint64_t bits = __builtin_bswap64(in_.u64());  // big-endian, alone of all
        double value;
        std::memcpy(&value, &bits, sizeof value);
        return push_new(value), true;
      }
      default:
        return false;
    }
  }

  void push_long(std::string_view digits) {
    if (digits.size() > 8) return push_new(Pickle::Bytes{digits});
    uint64_t value = 0;
    for (size_t i = digits.size(); i-- > 0;) value = value << 8 | static_cast<uint8_t>(digits[i]);
    const bool negative = !digits.empty() && static_cast<int8_t>(digits.back()) < 0;
    if (negative && digits.size() < 8) value |= ~uint64_t{0} << (8 * digits.size());
    push_new(static_cast<int64_t>(value));
  }

  bool push_text(uint8_t op) {
    switch (op) {
      case kBinUnicode:
      case kBinString:  // Python 2's str: names and keys
        return push_new(Pickle::Text{in_.take(in_.u32())}), true;
      case kShortBinUnicode:
      case kShortBinString:
        return push_new(Pickle::Text{in_.take(in_.u8())}), true;
      case kBinUnicode8:
        return push_new(Pickle::Text{in_.take(in_.u64())}), true;
      case kBinBytes:
        return push_new(Pickle::Bytes{in_.take(in_.u32())}), true;
      case kShortBinBytes:
        return push_new(Pickle::Bytes{in_.take(in_.u8())}), true;
      case kBinBytes8:
      case kByteArray8:
        return push_new(Pickle::Bytes{in_.take(in_.u64())}), true;
      default:
        return false;
    }
  }

  bool change_stack(uint8_t op) {
    switch (op) {
      case kProto:
        if (const int version = in_.u8(); version < 2 || version > 5) {
          refuse("pickle protocol ", version,
                 "; expected 2 to 5; re-save the file with torch.save");
        }
        return true;
      case kFrame:
        return in_.skip(8), true;  // says how much a reader may read ahead
      case kMark:
        return mark(), true;
      case kPop:
        return pop_object_or_mark(), true;
      case kPopMark:
        return pop_to_mark(), true;
      case kDup:
        return push(top()), true;
      default:
        return false;
    }
  }

  void push_tuple(size_t count) {
    std::vector<Ref> items(count);
    for (size_t i = count; i-- > 0;) items[i] = pop();
    push_new(Sequence{Sequence::tuple, std::move(items)});
  }

  void append(Sequence::Kind kind, const std::vector<Ref>& items) {
    auto& sequence = top_as<Sequence>("a list or set");
    if (sequence.kind != kind) refuse("found another container; the file is damaged");
    sequence.items.insert(sequence.items.end(), items.begin(), items.end());
  }

  void set_items(const std::vector<Ref>& items) {
    if (items.size() % 2 != 0) refuse("a key without value; the file is damaged");
    auto& dict = top_as<Pickle::Dict>("a dictionary");
    for (size_t i = 0; i < items.size(); i += 2) dict.items.emplace_back(items[i], items[i + 1]);
  }

  bool change_container(uint8_t op) {
    switch (op) {
      case kEmptyTuple:
      case kTuple1:
      case kTuple2:
      case kTuple3:
        return push_tuple(op == kEmptyTuple ? 0 : size_t{op} - kTuple1 + 1), true;
      case kTuple:
        return push_new(Sequence{Sequence::tuple, pop_to_mark()}), true;
      case kEmptyList:
        return push_new(Sequence{Sequence::list, {}}), true;
      case kEmptySet:
        return push_new(Sequence{Sequence::set, {}}), true;
      case kFrozenSet:
        return push_new(Sequence{Sequence::set, pop_to_mark()}), true;
      case kEmptyDict:
        return push_new(Pickle::Dict{}), true;
      case kAppend:
        return append(Sequence::list, {pop()}), true;
      case kAppends:
        return append(Sequence::list, pop_to_mark()), true;
      case kAddItems:
        return append(Sequence::set, pop_to_mark()), true;
      case kSetItem: {
        const Ref value = pop();
        const Ref key = pop();
        return set_items({key, value}), true;
      }
      case kSetItems:
        return set_items(pop_to_mark()), true;
      default:
        return false;
    }
  }

  bool use_memo(uint8_t op) {
    switch (op) {
      case kBinPut:
        return remember(in_.u8()), true;
      case kLongBinPut:
        return remember(in_.u32()), true;
      case kMemoize:
        return remember_next(), true;
      case kBinGet:
        return recall(in_.u8()), true;
      case kLongBinGet:
        return recall(in_.u32()), true;
      default:
        return false;
    }
  }

  bool call(uint8_t op) {
    switch (op) {
      case kGlobal: {
        const std::string_view module = take_line();
        return push_global(module, take_line()), true;
      }
      case kStackGlobal: {
        const auto name = top_as<Pickle::Text>("a name").text;
        pop();
        const auto module = top_as<Pickle::Text>("a module").text;
        pop();
        return push_global(module, name), true;
      }
      case kBinPersId:
        return push_storage(), true;
      case kReduce:
      case kNewObj:
        return reduce(), true;
      case kBuild:
        return build(), true;
      default:
        return false;
    }
  }

  std::string_view take_line() {
    constexpr size_t kMost = 256;
    ByteReader ahead = in_;
    const std::string_view rest = ahead.take(std::min(kMost, in_.left()));
    const size_t length = rest.find('\n');
    if (length == std::string_view::npos)
      refuse("a global's name without end; the file is damaged");
    in_.skip(length + 1);
    return rest.substr(0, length);
  }

  void push_global(std::string_view module, std::string_view name) {
    if (const auto global = find_pickle_global(module, name)) return push_new(*global);
    refuse("wants ", shown(module), '.', shown(name),
           "; expected tensors, numbers, texts and containers alone, for nothing in a file is ever "
           "executed; re-save it in PyTorch with torch.save(model.state_dict(), …)");
  }

  void push_storage() {
    const Pickle::Object& id = pickle_[pop()];
    pickle_.storages.push_back(at_this_place([&] { return persistent_storage(pickle_, id); }));
    push_new(Pickle::StorageNumber{pickle_.storages.size() - 1});
  }

  // REDUCE: the value of a global, called with a tuple.
  void reduce() {
    const std::vector<Ref>& arguments = top_as<Sequence>("a tuple of arguments").items;
    pop();
    const auto what = static_cast<PickleGlobal>(top_as<Pickle::Global>("a function").what);
    pop();
    switch (what) {
      case PickleGlobal::ordered_dict:
        return push_new(pairs_of(arguments));
      case PickleGlobal::sequence:
        return arguments.empty() ? push_new(Sequence{Sequence::tuple, {}}) : push(arguments[0]);
      case PickleGlobal::bytes:
        return push_new(Pickle::Bytes{});
      case PickleGlobal::nothing:
        return push_new(Pickle::None{});
      case PickleGlobal::rebuild_tensor:
        pickle_.tensors.push_back(
            at_this_place([&] { return rebuild_tensor(pickle_, arguments); }));
        return push_new(Pickle::TensorNumber{pickle_.tensors.size() - 1});
      case PickleGlobal::parameter:
        if (arguments.empty() ||
            !std::holds_alternative<Pickle::TensorNumber>(pickle_[arguments[0]])) {
          refuse("a Parameter without a tensor; the file is damaged");
        }
        return push(arguments[0]);
      case PickleGlobal::storage_type:
        refuse("a storage's type is called; expected tensors; the file is damaged");
    }
  }

  // OrderedDict([[key, value], …]), as Python 2 writes it; OrderedDict() is empty.
  Pickle::Dict pairs_of(const std::vector<Ref>& arguments) {
    Pickle::Dict dict;
    if (arguments.empty()) return dict;
    const auto* list = std::get_if<Sequence>(&pickle_[arguments[0]]);
    if (list == nullptr) {
      refuse("an OrderedDict of ", Pickle::kind(pickle_[arguments[0]]),
             "; expected a list of pairs; the file is damaged");
    }
    count_items(2 * list->items.size());
    for (Ref item : list->items) {
      const auto* pair = std::get_if<Sequence>(&pickle_[item]);
      if (pair == nullptr || pair->items.size() != 2) {
        refuse("an OrderedDict's item is no pair; the file is damaged");
      }
      dict.items.emplace_back(pair->items[0], pair->items[1]);
    }
    return dict;
  }

  // BUILD: attributes of an OrderedDict (_metadata) or a Parameter, which say nothing of its
  // values.
  void build() {
    pop();
    const Pickle::Object& object = pickle_[top()];
    if (!std::holds_alternative<Pickle::Dict>(object) &&
        !std::holds_alternative<Pickle::TensorNumber>(object)) {
      refuse("attributes of ", Pickle::kind(object), "; expected a dictionary or a tensor");
    }
  }

  ByteReader in_;
};

}  // namespace

const Pickle::Object* Pickle::find(const Dict& dict, std::string_view key) const {
  for (auto item = dict.items.rbegin(); item != dict.items.rend(); ++item) {
    const auto* text = std::get_if<Text>(&objects[item->first]);
    if (text != nullptr && text->text == key) return &objects[item->second];
  }
  return nullptr;
}

std::string_view Pickle::kind(const Object& object) {
  constexpr std::string_view kNames[] = {
      "None",        "a truth value", "an integer", "a number", "a text",    "bytes",
      "a container", "a dictionary",  "a storage",  "a tensor", "a function"};
  static_assert(std::size(kNames) == std::variant_size_v<Object>);
  return kNames[object.index()];
}

Pickle read_pickle(std::string_view bytes, std::string_view what) {
  return Unpickler(bytes, what).run();
}

}  // namespace lockstep
