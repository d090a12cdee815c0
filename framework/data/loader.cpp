// Workers take parts of batches, the oldest batch first, so that several fill one batch and the
// next ones follow.
//
// Batch b of an epoch lies in slot b % ring: it is filled once the batch before it in that slot was
// released. One mutex guards all bookkeeping; it is taken once per part, not per sample, and pixels
// are written outside of it.
#include "data/loader.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <new>
#include <thread>

#include "data/bad_samples.hpp"
#include "device/device.hpp"

namespace lockstep {
namespace {

constexpr int64_t kPartsPerWorker = 4;  // parts of a batch for each worker: evens out slow samples
constexpr int64_t kBad = INT64_MIN;     // in place of the class of a sample to be done without

// Places [begin, end) of batch `number`'s arrays.
struct Part {
  int64_t number;
  Slice places;
};

struct Slot {
  enum class State : uint8_t { free, filling, ready, held };

  Batch batch;
  State state = State::free;
  int64_t number = -1;  // of the batch in the epoch
  int64_t claimed = 0;  // places that a worker has taken
  int64_t filled = 0;   // places that are done
  std::exception_ptr error;
  int64_t error_place =
      0;  // the first place that failed, so that the error told is always the same
};

struct Scratch {
  Image image;
  Image other;
};

}  // namespace

class Loader::Impl {
 public:
  Impl(const Dataset& dataset, std::span<const std::unique_ptr<Transform>> transforms,
       LoaderOptions options, Device& device)
      : dataset_(dataset), transforms_(transforms), options_(std::move(options)), device_(device) {
    LS_ASSERT(options_.capacity > 0 && options_.ring > 0 && options_.workers >= 0);
    shape_ = dataset.spec().image;
    for (const auto& transform : transforms_) shape_ = transform->output(shape_);
    LS_ASSERT(shape_.rank() == 3 && shape_.numel() > 0);
    LS_ASSERT(options_.class_weights.empty() ||
              static_cast<int64_t>(options_.class_weights.size()) == dataset.spec().classes);
    const int64_t parts = std::max(options_.workers, 1) * kPartsPerWorker;
    part_places_ = std::max<int64_t>(1, options_.capacity / parts);
    slots_.resize(static_cast<size_t>(options_.ring));
    try {
      for (Slot& slot : slots_) allocate(slot.batch);
      for (int worker = 0; worker < options_.workers; ++worker) {
        workers_.emplace_back([this] { work(); });
      }
    } catch (...) {
      shut_down();
      throw;
    }
  }
  ~Impl() { shut_down(); }

  const Shape& shape() const { return shape_; }

  void start(int64_t epoch, std::vector<int64_t> order, std::vector<Slice> slices) {
    for (const Slice& slice : slices) {
      LS_ASSERT(slice.begin >= 0 && slice.size() >= 0 && slice.size() <= options_.capacity &&
                slice.end <= static_cast<int64_t>(order.size()));
    }
    stopping_ = true;
    std::unique_lock lock(mutex_);
    first_unclaimed_ = static_cast<int64_t>(slices_.size());  // nothing is left to claim
    idle_.wait(lock, [this] { return busy_ == 0; });
    stopping_ = false;
    for (Slot& slot : slots_) slot.state = Slot::State::free;
    epoch_ = epoch;
    order_ = std::move(order);
    slices_ = std::move(slices);
    first_unclaimed_ = 0;
    next_ = 0;
    work_there_.notify_all();
  }

  Batch next() {
    const auto begin = std::chrono::steady_clock::now();
    std::unique_lock lock(mutex_);
    LS_ASSERT(next_ < static_cast<int64_t>(slices_.size()));
    Slot& slot = slot_of(next_);
    LS_ASSERT(slot.state != Slot::State::held);  // more batches held than the ring has
    const auto ready = [&] { return slot.state == Slot::State::ready && slot.number == next_; };
    if (options_.workers == 0) {
      for (Part part; !ready() && claim(part);) fill_unlocked(part, own_scratch_, lock);
    }
    ready_.wait(lock, ready);
    wait_seconds_ +=
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    ++next_;
    if (slot.error) {
      slot.state = Slot::State::free;
      work_there_.notify_all();
      std::rethrow_exception(std::exchange(slot.error, nullptr));
    }
    slot.state = Slot::State::held;
    return slot.batch;
  }

  void release(const Batch& batch) {
    std::lock_guard lock(mutex_);
    for (Slot& slot : slots_) {
      if (slot.batch.images != batch.images) continue;
      if (slot.state != Slot::State::held) return;  // of an epoch that start() ended
      slot.state = Slot::State::free;
      work_there_.notify_all();
      return;
    }
    LS_ASSERT(false);  // a batch of another loader
  }

  double take_wait_seconds() {
    std::lock_guard lock(mutex_);
    return std::exchange(wait_seconds_, 0.0);
  }

 private:
  void allocate(Batch& batch) {
    const int64_t n = batch.capacity = options_.capacity;
    batch.images = static_cast<uint8_t*>(device_.allocate_host(n * shape_.numel()));
    batch.labels = static_cast<int32_t*>(device_.allocate_host(n * size_of(DType::i32)));
    batch.weights = static_cast<float*>(device_.allocate_host(n * size_of(DType::f32)));
    batch.indices = static_cast<int64_t*>(device_.allocate_host(n * size_of(DType::i64)));
  }

  void shut_down() noexcept {
    stopping_ = true;
    {
      std::lock_guard lock(mutex_);
      quit_ = true;
      work_there_.notify_all();
    }
    for (std::thread& worker : workers_) worker.join();
    for (Slot& slot : slots_) {
      for (void* memory :
           {static_cast<void*>(slot.batch.images), static_cast<void*>(slot.batch.labels),
            static_cast<void*>(slot.batch.weights), static_cast<void*>(slot.batch.indices)}) {
        if (memory != nullptr) device_.release_host(memory);
      }
    }
  }

  Slot& slot_of(int64_t number) { return slots_[static_cast<size_t>(number % options_.ring)]; }

  // Takes the next part of the first batch that has one left. Needs the mutex.
  bool claim(Part& part) {
    if (first_unclaimed_ >= static_cast<int64_t>(slices_.size())) return false;
    Slot& slot = slot_of(first_unclaimed_);
    if (slot.state == Slot::State::free) {
      slot.state = Slot::State::filling;
      slot.number = first_unclaimed_;
      slot.claimed = slot.filled = 0;
      slot.error = nullptr;
      slot.batch.samples = slices_[static_cast<size_t>(first_unclaimed_)].size();
    } else if (slot.number != first_unclaimed_ || slot.state != Slot::State::filling) {
      return false;  // the slot's batch before this one is not released yet
    }
    part.number = first_unclaimed_;
    part.places = {slot.claimed, std::min(slot.claimed + part_places_, options_.capacity)};
    slot.claimed = part.places.end;
    if (slot.claimed == options_.capacity) ++first_unclaimed_;
    return true;
  }

  void work() {
    Scratch scratch;
    std::unique_lock lock(mutex_);
    while (true) {
      Part part;
      work_there_.wait(lock, [&] { return quit_ || claim(part); });
      if (quit_) return;
      ++busy_;
      fill_unlocked(part, scratch, lock);
      if (--busy_ == 0) idle_.notify_all();
    }
  }

  // Fills the part with the mutex released, then notes that it is done.
  void fill_unlocked(const Part& part, Scratch& scratch, std::unique_lock<std::mutex>& lock) {
    Slot& slot = slot_of(part.number);
    lock.unlock();
    std::exception_ptr error;
    int64_t place = part.places.begin;
    try {
      for (; place < part.places.end && !stopping_; ++place)
        fill(slot.batch, part.number, place, scratch);
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    if (error && (!slot.error || place < slot.error_place)) {
      slot.error = error;
      slot.error_place = place;
    }
    slot.filled += part.places.size();
    if (slot.filled == options_.capacity) {
      slot.state = Slot::State::ready;
      ready_.notify_all();
    }
  }

  void fill(const Batch& batch, int64_t number, int64_t place, Scratch& scratch) {
    if (place >= batch.samples) return leave_unused(batch, place, 0);
    const Slice& slice = slices_[static_cast<size_t>(number)];
    const int64_t index = order_[static_cast<size_t>(slice.begin + place)];
    try {
      const int64_t label = read(index, scratch);
      if (label == kBad) return leave_unused(batch, place, index);
      std::memcpy(batch.images + place * shape_.numel(), scratch.image.data(),
                  static_cast<size_t>(shape_.numel()));
      batch.labels[place] = static_cast<int32_t>(label);
      batch.weights[place] = options_.class_weights.empty()
                                 ? 1.0f
                                 : options_.class_weights[static_cast<size_t>(label)];
      batch.indices[place] = index;
    } catch (Error& e) {
      e.add_context(concat("sample ", index));
      throw;
    } catch (const std::exception& e) {
      fail(Failure::other, "sample ", index, ": ", e.what());
    }
  }

  // A place that counts nowhere.
  void leave_unused(const Batch& batch, int64_t place, int64_t index) const {
    std::memset(batch.images + place * shape_.numel(), 0, static_cast<size_t>(shape_.numel()));
    batch.labels[place] = 0;
    batch.weights[place] = 0;
    batch.indices[place] = index;
  }

  // Reads and transforms a sample into scratch.image and checks what plugins gave. Returns its
  // class, or kBad for one to be done without.
  int64_t read(int64_t index, Scratch& scratch) {
    int64_t label = kBad;
    try {
      label = read_unchecked(index, scratch);
    } catch (const Error& e) {
      if (!options_.bad_samples || e.failure() != Failure::data) throw;
      options_.bad_samples->add(dataset_, index, e);
      return kBad;
    }
    if (label < 0 || label >= dataset_.spec().classes) {
      fail(Failure::data, "label ", label, "; expected 0 to ", dataset_.spec().classes - 1);
    }
    const Image& image = scratch.image;
    const Shape shape{image.channels, image.height, image.width};
    if (shape != shape_) {
      fail(Failure::data, "the picture is ", shape, " after the transforms; expected ", shape_,
           "; pictures of a batch have one size: add a transform that gives them one");
    }
    return label;
  }

  int64_t read_unchecked(int64_t index, Scratch& scratch) {
    const int64_t label = dataset_.read(index, scratch.image);
    RandomStream random(options_.seed, "augment", static_cast<uint32_t>(epoch_),
                        static_cast<uint64_t>(index));
    for (const auto& transform : transforms_) {
      transform->apply(scratch.image, scratch.other, random);
    }
    return label;
  }

  const Dataset& dataset_;
  const std::span<const std::unique_ptr<Transform>> transforms_;
  const LoaderOptions options_;
  Device& device_;
  Shape shape_;
  int64_t part_places_ = 1;
  Scratch own_scratch_;  // of the calling thread, where there are no workers

  std::mutex mutex_;
  std::condition_variable work_there_;  // a slot is free, an epoch began, or quit
  std::condition_variable ready_;       // a batch is filled
  std::condition_variable idle_;        // no worker is at a part
  std::atomic<bool> stopping_ = false;  // parts under way end early
  bool quit_ = false;
  int64_t busy_ = 0;  // workers at a part
  int64_t epoch_ = 0;
  std::vector<int64_t> order_;  // constant while a worker is at a part, as slices_ are
  std::vector<Slice> slices_;
  int64_t first_unclaimed_ = 0;  // the first batch with places that nobody has taken
  int64_t next_ = 0;             // the batch that next() gives
  double wait_seconds_ = 0;
  std::vector<Slot> slots_;
  std::vector<std::thread> workers_;
};

Loader::Loader(const Dataset& dataset, std::span<const std::unique_ptr<Transform>> transforms,
               LoaderOptions options, Device& device)
    : impl_(std::make_unique<Impl>(dataset, transforms, std::move(options), device)) {}
Loader::~Loader() = default;

const Shape& Loader::image_shape() const { return impl_->shape(); }
void Loader::start(int64_t epoch, std::vector<int64_t> order, std::vector<Slice> slices) {
  impl_->start(epoch, std::move(order), std::move(slices));
}
Batch Loader::next() { return impl_->next(); }
void Loader::release(const Batch& batch) { impl_->release(batch); }
double Loader::take_wait_seconds() { return impl_->take_wait_seconds(); }

}  // namespace lockstep
