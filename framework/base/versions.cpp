#include "base/versions.hpp"

#include <H5public.h>
#include <fmt/core.h>
#include <libdeflate.h>
#include <spdlog/version.h>
#include <toml++/impl/version.h>
#include <xxhash.h>

#include <boost/version.hpp>
#include <nlohmann/json.hpp>

namespace lockstep {

std::string lockstep_version() { return LOCKSTEP_VERSION; }

std::vector<Version> library_versions() {
  unsigned major = 0, minor = 0, patch = 0;
  H5get_libversion(&major, &minor, &patch);
  const unsigned xxhash = XXH_versionNumber();
  return {
#if defined(__clang__)
    {"compiler", "clang " __clang_version__},
#else
    {"compiler", "gcc " __VERSION__},
#endif
        {"HDF5", fmt::format("{}.{}.{}", major, minor, patch)},
        {"Boost", fmt::format("{}.{}.{}", BOOST_VERSION / 100000, BOOST_VERSION / 100 % 1000,
                              BOOST_VERSION % 100)},
        {"toml++", fmt::format("{}.{}.{}", TOML_LIB_MAJOR, TOML_LIB_MINOR, TOML_LIB_PATCH)},
        {"fmt",
         fmt::format("{}.{}.{}", FMT_VERSION / 10000, FMT_VERSION / 100 % 100, FMT_VERSION % 100)},
        {"spdlog", fmt::format("{}.{}.{}", SPDLOG_VER_MAJOR, SPDLOG_VER_MINOR, SPDLOG_VER_PATCH)},
        {"nlohmann-json", fmt::format("{}.{}.{}", NLOHMANN_JSON_VERSION_MAJOR,
                                      NLOHMANN_JSON_VERSION_MINOR, NLOHMANN_JSON_VERSION_PATCH)},
        {"xxHash", fmt::format("{}.{}.{}", xxhash / 10000, xxhash / 100 % 100, xxhash % 100)},
        {"libdeflate", LIBDEFLATE_VERSION_STRING},
  };
}

}  // namespace lockstep
