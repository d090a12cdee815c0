// A JSON document as text for people: the same facts, read by eye.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace lockstep {

// A section: its name, then what is in it, indented. An object is a line per key; an array of
// objects a table, or for `blocks` the objects one after the other; an array of texts a line each;
// what is empty is "none". Keys end in the unit of their number ("free_bytes",
// "fsync_seconds", "write_bytes_per_second"), and the number is printed with it.
std::string section_text(std::string_view name, const nlohmann::ordered_json& json,
                         bool blocks = false);

}  // namespace lockstep
