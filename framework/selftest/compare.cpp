#include "selftest/compare.hpp"

#include <cmath>

#include "base/error.hpp"
#include "base/text.hpp"

namespace lockstep {

std::string Difference::text() const {
  return concat("element ", element, ": found ", float_text(found), "; expected ",
                float_text(expected));
}

Difference compare(const Tensor& found, const Tensor& expected) {
  LS_ASSERT(found.type() == expected.type());
  const std::vector<double> a = found.numbers(), b = expected.numbers();
  const DType dtype = expected.type().dtype;
  const bool exact = dtype == DType::i64 || dtype == DType::i32 || dtype == DType::u8;
  Difference result;
  double squares = 0, norm = 0, largest = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const bool equal_bits = a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i]));
    const double difference = equal_bits ? 0 : std::fabs(a[i] - b[i]);
    const double counted = std::isfinite(difference) ? difference : INFINITY;
    squares += counted * counted;
    norm += std::isfinite(b[i]) ? b[i] * b[i] : 0;
    if (counted > largest) {
      largest = counted;
      result.element = i;
      result.found = a[i];
      result.expected = b[i];
    }
  }
  // Where all should be zero, what is not counts as it is.
  if (largest > 0) result.error = exact ? INFINITY : std::sqrt(squares / (norm > 0 ? norm : 1));
  return result;
}

}  // namespace lockstep
