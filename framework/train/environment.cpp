#include "train/environment.hpp"

#include <nlohmann/json.hpp>

#include "base/host.hpp"
#include "base/versions.hpp"
#include "runtime/guard.hpp"

namespace lockstep {
namespace {

using Json = nlohmann::ordered_json;

}  // namespace

std::string environment_json(Session& session, const Sharding& sharding) {
  const Json mine{{"host", host_name()},
                  {"processor", processor_name()},
                  {"device", session.device->description()},
                  {"threads", session.device->threads()},
                  {"loader_workers", loader_workers(session.recipe, *session.device)}};
  Json ranks = Json::array();
  for (const std::string& text : session.communication->gather(mine.dump(), "environment")) {
    Json rank{{"rank", ranks.size()}};
    rank.update(Json::parse(text));
    ranks.push_back(std::move(rank));
  }
  Json versions = Json::object();
  for (const Version& library : library_versions()) versions[library.name] = library.version;
  const Json environment{{"lockstep", lockstep_version()},
                         {"libraries", std::move(versions)},
                         {"communicator", communicator_name(session.recipe, session.registry)},
                         {"world_size", session.communication->world_size()},
                         {"gradient_accumulation", sharding.per_rank},
                         {"ranks", std::move(ranks)}};
  return environment.dump(2) + "\n";
}

}  // namespace lockstep
