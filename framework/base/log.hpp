// Lines for people: into a log file per rank and, from rank 0, to the terminal.
//
// On the terminal information goes to stdout, warnings and errors to stderr, in colour unless
// NO_COLOR is set. Any thread may log; setting up is for the main thread, before others log.
#pragma once

#include <filesystem>
#include <string>

namespace lockstep::log {

// Who logs. Without this call everything goes to the terminal, as from rank 0. `quiet`: warnings
// and errors alone.
void set_up(int rank, bool quiet);

// Appends to `folder`/log/rank-0000.log from now on, each line at once. Throws Error{other} where
// it cannot be made.
void open_file(const std::filesystem::path& folder);
void close_file();

// How something was chosen: goes to the rank's file alone, or to nobody.
void debug(const std::string& line);
void info(const std::string& line);
void warn(const std::string& line);
void error(const std::string& line);

// Columns of the terminal that stdout is; 0 where there is none or it cannot redraw (TERM is
// "dumb").
int terminal_width();

// Whether to print colours: stdout is such a terminal and NO_COLOR is unset or empty.
bool terminal_has_colors();

}  // namespace lockstep::log
