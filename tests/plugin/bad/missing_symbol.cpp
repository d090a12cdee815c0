// LS_PLUGIN names another plugin than the file does.
#include <lockstep/plugin.hpp>

LS_PLUGIN(another, registry) {}
