// Throws what is no std::exception.
#include <lockstep/plugin.hpp>

LS_PLUGIN(throws_anything, registry) { throw 42; }
