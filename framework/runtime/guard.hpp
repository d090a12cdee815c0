// How a rank ends when something is wrong: one line that says who and why, then all ranks together.
#pragma once

#include <string>
#include <string_view>

#include "base/error.hpp"

namespace lockstep {

class CommunicationThread;

// Prints "lockstep: rank 1 of 4 on HOST: where: message" once per process, to standard error in one
// write, and ends all ranks with the error's exit code, bounded in time. `where` may be empty and
// `communication` null (before there are ranks: "lockstep: where: message"). Callable from any
// thread.
[[noreturn]] void die(const Error& error, std::string_view where,
                      CommunicationThread* communication) noexcept;

// Every rank must have the same text (a recipe, a plan's collectives): otherwise throws
// Error{usage} on all ranks, naming the first rank that differs from rank 0 and both texts around
// the difference. All ranks call it.
void require_equal(CommunicationThread& communication, std::string_view what,
                   std::string_view text);

std::string host_name();

namespace detail {
// "lockstep: rank 1 of 4 on HOST: text", or "lockstep: text" where world_size is 0. One write, so
// that the lines of several ranks do not mix; the first call in a process alone prints.
void print_last_words(int rank, int world_size, std::string_view text) noexcept;
}  // namespace detail

}  // namespace lockstep
