// Whether a run folder is one folder for all ranks, and one that keeps what is written to it.
#pragma once

#include <filesystem>
#include <vector>

#include "train/site.hpp"

namespace lockstep {

// Rank 0 writes a small file into the folder, which exists there, and takes it away again; the
// others look for it, each by the path as it is, waiting for a network file system within bounds.
// All ranks call it and get the same findings: a folder that cannot be written to or has no fsync,
// one that ranks do not share, one whose file system has another time.
std::vector<Finding> check_shared_folder(const std::filesystem::path& folder,
                                         CommunicationThread& communication);

}  // namespace lockstep
