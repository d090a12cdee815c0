// How this process was started, as far as the environment tells; before there is a communicator.
#pragma once

#include <string>

namespace lockstep {

struct ProcessPlace {
  bool among_ranks = false;  // by mpirun or srun
  int rank = 0;
  int tasks = 0;             // how many processes there should be; 0: nobody says
  std::string said_by = {};  // the variable that says so
  bool by_srun = false;      // not by an mpirun
};
ProcessPlace process_place();

}  // namespace lockstep
