// The one exception type of Lockstep: what went wrong, where, and which exit code it means.
//
// A message reads "where: what was found; what was expected; how to repair".
#pragma once

#include <exception>
#include <string>
#include <string_view>
#include <type_traits>

namespace lockstep {

// What kind of thing failed; the value is the exit code of the `lockstep` command.
enum class Failure : int {
  other = 1,
  usage = 2,       // command line or recipe
  data = 3,        // dataset files
  checkpoint = 4,  // checkpoints and weight files
  device = 5,      // device or communicator
};

// The exit code after a signal was honoured: everything is saved, start again with --resume.
inline constexpr int kExitStopped = 75;

class Error : public std::exception {
 public:
  Error(Failure failure, std::string message) : failure_(failure), message_(std::move(message)) {}

  // Puts "context: " before the message: call it while the exception passes an outer place.
  Error& add_context(std::string_view context) {
    message_ = std::string(context) + ": " + message_;
    return *this;
  }

  const char* what() const noexcept override { return message_.c_str(); }
  Failure failure() const noexcept { return failure_; }
  int exit_code() const noexcept { return static_cast<int>(failure_); }

 private:
  Failure failure_;
  std::string message_;
};

namespace detail {
template <class T>
void append_text(std::string& text, const T& part) {
  if constexpr (std::is_same_v<T, bool>) {
    text += part ? "true" : "false";
  } else if constexpr (std::is_same_v<T, char>) {
    text += part;
  } else if constexpr (std::is_arithmetic_v<T>) {
    text += std::to_string(part);
  } else if constexpr (requires { part.text(); }) {
    text += part.text();
  } else {
    text += part;
  }
}
}  // namespace detail

// Joins strings, numbers and anything with a text() method.
template <class... Parts>
std::string concat(const Parts&... parts) {
  std::string text;
  (detail::append_text(text, parts), ...);
  return text;
}

// Throws Error{failure, parts joined}.
template <class... Parts>
[[noreturn]] void fail(Failure failure, const Parts&... parts) {
  throw Error(failure, concat(parts...));
}

// For the programmer's mistakes only, unreachable from input: prints and aborts, in every build.
[[noreturn]] void assertion_failed(const char* condition, const char* file, int line) noexcept;

}  // namespace lockstep

#define LS_ASSERT(condition) \
  ((condition) ? void() : ::lockstep::assertion_failed(#condition, __FILE__, __LINE__))
