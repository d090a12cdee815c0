// Reads, augments and batches samples on worker threads, ahead of training, into a bounded ring of
// batches.
//
// What a batch holds depends on (seed, epoch, sample index) alone, never on the number of workers
// or ranks.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/batch.hpp"
#include "data/dataset.hpp"

namespace lockstep {

class BadSamples;
class Device;

struct LoaderOptions {
  uint64_t seed = 0;
  int workers = 1;
  int64_t capacity = 1;              // samples per batch at most
  int64_t ring = 3;                  // batches in flight
  std::vector<float> class_weights;  // one per class; empty: all 1
  // Where there is one, a sample whose reading or transforms throw Error{data} is counted there and
  // its place filled as an unused one, but for its index. Otherwise that is an error.
  std::shared_ptr<BadSamples> bad_samples = nullptr;
};

// Order of the samples in an epoch: file order, or a permutation drawn from (seed, epoch).
std::vector<int64_t> sample_order(int64_t size, bool shuffle, uint64_t seed, int64_t epoch);

class Loader {
 public:
  // Dataset and transforms must outlive the loader. `image` is the batch's (C, H, W) after the
  // transforms. Batches live in device.allocate_host() memory.
  Loader(const Dataset& dataset, std::span<const std::unique_ptr<Transform>> transforms,
         LoaderOptions options, Device& device);
  ~Loader();  // stops the workers, also in the middle of an epoch

  const Shape& image_shape() const;

  // Begins an epoch: the batches are order[slice] for each slice, in this order. Ends whatever was
  // under way.
  void start(int64_t epoch, std::vector<int64_t> order, std::vector<Slice> slices);
  // The next batch; waits for it. An error in a worker is thrown here. The batch is valid until
  // release(). Unused places up to the capacity hold weight 0, label 0 and a copy of nothing (zero
  // pixels).
  Batch next();
  void release(const Batch& batch);
  // Seconds spent waiting in next() since the last call of this.
  double take_wait_seconds();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lockstep
