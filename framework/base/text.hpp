// Small things about text: suggestions for mistyped words, lists, sizes and durations for people.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep {

// The known word nearest to `word` by edit distance (a swap of neighbours counts one); empty if
// none is near.
std::string nearest_word(std::string_view word, std::span<const std::string> known);

// "; did you mean 'epochs'?" or nothing.
std::string did_you_mean(std::string_view word, std::span<const std::string> known);

// "a, b or c"
std::string list_words(std::span<const std::string> words, std::string_view last = " or ");

// Ascending numbers as Linux and Slurm write them: "0-3,8"; and back, passing over what is none.
std::string ranges_text(std::span<const int> numbers);
std::vector<int> read_ranges(std::string_view text);

// A field of a CSV line, quoted where need be (RFC 4180).
std::string csv_field(std::string_view text);

std::string bytes_text(int64_t bytes);      // "12.3 MiB"
std::string count_text(int64_t count);      // "11,689,512"
std::string duration_text(double seconds);  // "1:02:03", "2:03", "4.5 s"
// The shortest decimal text that reads back as the same number; with ".0" where it would look like
// an integer.
std::string float_text(double value);

}  // namespace lockstep
