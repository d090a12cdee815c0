// Registers nothing.
#include <lockstep/plugin.hpp>

LS_PLUGIN(empty, registry) {}
