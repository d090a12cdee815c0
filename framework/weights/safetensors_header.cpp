#include "weights/safetensors_header.hpp"

#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.hpp"
#include "weights/bytes.hpp"

namespace lockstep {
namespace {

std::optional<DType> dtype_of(std::string_view name) {
  constexpr std::pair<std::string_view, DType> kNames[] = {
      {"F32", DType::f32}, {"F64", DType::f64}, {"F16", DType::f16}, {"BF16", DType::bf16},
      {"I64", DType::i64}, {"I32", DType::i32}, {"U8", DType::u8},   {"BOOL", DType::u8}};
  for (const auto& [known, dtype] : kNames) {
    if (known == name) return dtype;
  }
  return std::nullopt;
}

// Takes nlohmann's events. Where they may come:
//   depth 1: the names; depth 2: dtype, shape and data_offsets of one, or texts of __metadata__;
//   depth 3: the numbers of an array.
class HeaderReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  std::map<std::string, SafetensorsEntry, std::less<>> entries;

  bool start_object(size_t) override {
    if (depth_ >= 2) refuse("an object within a tensor's description; expected numbers and texts");
    if (++depth_ == 2) {
      entry_ = {};
      seen_ = {};
      offsets_ = 0;
    }
    return true;
  }

  bool key(string_t& text) override {
    if (depth_ == 1) {
      name_ = text;
      in_metadata_ = text == "__metadata__";
      if (entries.contains(text) || (in_metadata_ && has_metadata_)) refuse("it is there twice");
      has_metadata_ = has_metadata_ || in_metadata_;
    } else if (!in_metadata_) {
      field_ = text;
      bool& seen = text == "dtype"          ? seen_.dtype
                   : text == "shape"        ? seen_.shape
                   : text == "data_offsets" ? seen_.offsets
                                            : unknown_field(text);
      if (seen) refuse(shown(text), " is there twice");
      seen = true;
    }
    return true;
  }

  bool end_object() override {
    if (depth_-- == 2 && !in_metadata_) {
      if (!seen_.dtype || !seen_.shape || !seen_.offsets || offsets_ != 2) {
        refuse("its description is incomplete; expected dtype, shape and two data_offsets");
      }
      entries.emplace(name_, entry_);
    }
    return true;
  }

  bool start_array(size_t) override {
    if (depth_ != 2 || in_metadata_ || (field_ != "shape" && field_ != "data_offsets")) {
      refuse("an array; expected arrays of shape and data_offsets alone");
    }
    ++depth_;
    return true;
  }
  bool end_array() override { return --depth_, true; }

  bool string(string_t& text) override {
    if (depth_ != 2 || (!in_metadata_ && field_ != "dtype")) refuse("a text out of place");
    if (in_metadata_) return true;
    const auto dtype = dtype_of(text);
    if (!dtype) {
      refuse("its element type is ", shown(text),
             "; expected F32, F64, F16, BF16, I64, I32, U8 or BOOL; convert it");
    }
    entry_.dtype = *dtype;
    return true;
  }

  bool number_unsigned(number_unsigned_t value) override {
    if (depth_ != 3) refuse("a number out of place");
    if (field_ == "data_offsets") {
      if (offsets_ == 2) refuse("more than two data_offsets");
      (offsets_++ == 0 ? entry_.begin : entry_.end) = value;
      return true;
    }
    if (entry_.shape.rank() == Shape::kMaxRank) {
      refuse("its shape has more than ", Shape::kMaxRank, " extents");
    }
    if (value > static_cast<uint64_t>(INT64_MAX)) refuse("an extent of ", value);
    entry_.shape.append(static_cast<int64_t>(value));
    return true;
  }

  bool null() override { refuse("a null; expected dtype, shape and data_offsets"); }
  bool boolean(bool) override { refuse("a truth value; expected dtype, shape and data_offsets"); }
  bool number_integer(number_integer_t value) override {
    refuse("the number ", value, "; expected at least 0");
  }
  bool number_float(number_float_t, const string_t& text) override {
    refuse("the number ", shown(text), "; expected an integer");
  }
  bool binary(binary_t&) override { refuse("binary data; expected JSON"); }
  bool parse_error(size_t at, const std::string&, const nlohmann::json::exception& error) override {
    fail(Failure::checkpoint, "header, byte ", at, ": is no JSON: ", shown(error.what()),
         "; the file is truncated or damaged");
  }

 private:
  template <class... Parts>
  [[noreturn]] void refuse(const Parts&... parts) const {
    fail(Failure::checkpoint, "header: ", name_.empty() ? "" : concat("'", shown(name_), "': "),
         parts..., "; the file is damaged");
  }
  [[noreturn]] bool& unknown_field(const std::string& text) const {
    refuse("has the key '", shown(text), "'; expected dtype, shape and data_offsets");
  }

  struct Seen {
    bool dtype = false, shape = false, offsets = false;
  };
  int depth_ = 0;
  std::string name_, field_;
  bool in_metadata_ = false, has_metadata_ = false;
  SafetensorsEntry entry_;
  Seen seen_;
  int offsets_ = 0;
};

}  // namespace

std::map<std::string, SafetensorsEntry, std::less<>> read_safetensors_header(
    std::string_view json) {
  HeaderReader reader;
  nlohmann::json::sax_parse(json, &reader);
  return std::move(reader.entries);
}

}  // namespace lockstep
