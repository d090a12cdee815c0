#include "data/dataset.hpp"

namespace lockstep {

int64_t Dataset::label(int64_t index) const {
  thread_local Image image;
  return read(index, image);
}

}  // namespace lockstep
