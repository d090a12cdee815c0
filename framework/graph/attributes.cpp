// How attributes are printed and, by their text, compared.
#include "graph/attributes.hpp"

namespace lockstep {

std::string Attributes::text() const {
  std::string text;
  if (empty()) return text;
  for (const OptionSpec& spec : table_->specs()) {
    const std::string value = spec.write(value_.get()).text();
    if (value == spec.default_value.text()) continue;
    if (!text.empty()) text += ' ';
    text += spec.name + '=' + value;
  }
  return text;
}

}  // namespace lockstep
