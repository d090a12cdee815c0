// Whether srun and the MPI library can meet.
#pragma once

namespace lockstep::mpi {

// Open MPI 4 ends a process that srun has started by a PMI that it has no component for in the
// middle of MPI_Init, with words about how it was built. This throws Error{device} before that.
void require_pmi();

}  // namespace lockstep::mpi
