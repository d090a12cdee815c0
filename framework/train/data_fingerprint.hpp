// What tells the data of one host from that of another, at the price of a few samples.
#pragma once

#include "data/open.hpp"
#include "train/site.hpp"

namespace lockstep {

// "size of the training set", "classes", "names of samples of the test set", "pictures of the test
// set": names are compared for samples spread over a set, pictures for a few of these.
Facts data_fingerprint(const OpenedData& data);

}  // namespace lockstep
