#include "support/simulated_device.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace lockstep::testing {
std::string OrderCall::text() const {
  constexpr const char* kKinds[] = {"record", "wait", "host wait"};
  constexpr const char* kStreams[] = {"compute", "copy", "communication"};
  return concat(kKinds[kind], ' ', number, " of the ", kStreams[stream], " stream");
}

struct SimulatedDevice::Mark {
  OrderCall::On stream;
  bool is_reached = false;
  std::optional<bool> is_ignored_by_host = {};
};

struct SimulatedDevice::SimulatedStream {
  OrderCall::On on;
  uint64_t weight;     // how often its turn comes
  uint64_t stall = 0;  // how often its turn is still left out
  std::deque<Task> tasks = {};
  std::optional<std::vector<Task>> recording = {};

  static SimulatedStream& of(Stream* stream) { return *reinterpret_cast<SimulatedStream*>(stream); }
};

struct SimulatedDevice::SimulatedEvent {
  std::shared_ptr<Mark> mark;

  static SimulatedEvent& of(Event* event) { return *reinterpret_cast<SimulatedEvent*>(event); }
};

// Enqueues what the wrapped device's kernel does at once.
class SimulatedDevice::SimulatedKernel final : public Kernel {
 public:
  SimulatedKernel(SimulatedDevice& device, std::unique_ptr<Kernel> kernel, std::string label)
      : device_(device), kernel_(std::move(kernel)), label_(std::move(label)) {}

  void launch(const KernelArguments& arguments) override {
    enqueue(arguments, [](Kernel& kernel, const KernelArguments& a) { kernel.launch(a); });
  }
  void update_constants(const KernelArguments& arguments) override {
    enqueue(arguments,
            [](Kernel& kernel, const KernelArguments& a) { kernel.update_constants(a); });
  }
  int64_t workspace_bytes() const override { return kernel_->workspace_bytes(); }
  int64_t constant_bytes() const override { return kernel_->constant_bytes(); }
  std::string_view implementation() const override { return kernel_->implementation(); }

 private:
  using Call = void (*)(Kernel&, const KernelArguments&);

  void enqueue(const KernelArguments& arguments, Call call) {
    std::vector<const void*> inputs(arguments.inputs.begin(), arguments.inputs.end());
    std::vector<void*> outputs(arguments.outputs.begin(), arguments.outputs.end());
    void* const workspace = workspace_bytes() > 0 ? arguments.workspace : nullptr;
    void* const constants = constant_bytes() > 0 ? arguments.constants : nullptr;
    device_.enqueue(arguments.stream, [=, &device = device_, kernel = kernel_, label = label_] {
      std::vector<const void*> in = inputs;
      std::vector<void*> out = outputs;
      for (const void*& address : in) address = device.memory_at(address, label);
      for (void*& address : out) address = device.memory_at(address, label);
      call(*kernel, {in, out, device.memory_at(workspace, label), nullptr,
                     device.memory_at(constants, label)});
      return true;
    });
  }

  SimulatedDevice& device_;
  std::shared_ptr<Kernel> kernel_;
  std::string label_;
};

class SimulatedDevice::SimulatedRecording final : public Recording {
 public:
  SimulatedRecording(SimulatedDevice& device, std::vector<Task> tasks)
      : device_(device), tasks_(std::move(tasks)) {}
  void replay(Stream* stream) override {
    for (const Task& task : tasks_) device_.enqueue(stream, task);
    ++device_.replays_;
  }

 private:
  SimulatedDevice& device_;
  std::vector<Task> tasks_;
};

SimulatedDevice::SimulatedDevice(std::unique_ptr<Device> kernels, SimulatedOptions options)
    : kernels_(std::move(kernels)),
      options_(std::move(options)),
      random_(options_.seed),
      eagerness_(static_cast<int>(random_() % 4)),
      patience_(uint64_t{1} << (4 * (random_() % 3))),
      stalls_(random_() % 2 == 0 ? 0 : 8 + random_() % 32) {
  for (const auto on : {OrderCall::compute, OrderCall::copy, OrderCall::communication}) {
    const uint64_t weight = uint64_t{1} << (3 * (random_() % 3));
    streams_[on] = std::make_unique<SimulatedStream>(SimulatedStream{on, weight});
  }
}

SimulatedDevice::~SimulatedDevice() = default;

// --- memory

void* SimulatedDevice::allocate(int64_t bytes) {
  const std::lock_guard lock(mutex_);
  forbid_while_recording("allocate");
  return memory_.allocate(bytes);
}

void SimulatedDevice::release(void* memory) noexcept {
  const std::lock_guard lock(mutex_);
  if (!memory_.release(memory)) add_violation("release of what is not allocated");
}

void* SimulatedDevice::allocate_host(int64_t bytes) {
  const std::lock_guard lock(mutex_);
  forbid_while_recording("allocate_host");
  void* const memory = kernels_->allocate_host(bytes);
  std::memset(memory, SimulatedMemory::kPoison, static_cast<size_t>(bytes));
  host_allocations_[static_cast<std::byte*>(memory)] = bytes;
  return memory;
}

void SimulatedDevice::release_host(void* memory) noexcept {
  const std::lock_guard lock(mutex_);
  host_allocations_.erase(static_cast<std::byte*>(memory));
  kernels_->release_host(memory);
}

bool SimulatedDevice::is_host_allocation(const void* memory, int64_t bytes) const {
  const auto* const begin = static_cast<const std::byte*>(memory);
  auto found = host_allocations_.upper_bound(begin);
  if (found == host_allocations_.begin()) return false;
  --found;
  return begin + bytes <= found->first + found->second;
}

void* SimulatedDevice::memory_at(const void* address, std::string_view who) {
  using State = SimulatedMemory::State;
  if (address == nullptr) return nullptr;
  const State state = memory_.state(address);
  if (state == State::released) add_violation(concat(who, " ran on released memory"));
  if (state != State::foreign) return memory_.behind(address);
  add_violation(concat(who, " was given an address that is not the device's"));
  return const_cast<void*>(address);
}

void SimulatedDevice::copy_to_device(void* device, const void* host, int64_t bytes,
                                     Stream* stream) {
  const std::lock_guard lock(mutex_);
  const auto size = static_cast<size_t>(bytes);
  if (size == 0) return;
  if (is_host_allocation(host, bytes)) {
    return enqueue(stream, [=, this] {
      if (!is_host_allocation(host, bytes)) add_violation("copy from released host memory");
      std::memcpy(memory_at(device, "copy_to_device"), host, size);
      return true;
    });
  }
  const auto* const begin = static_cast<const std::byte*>(host);
  enqueue(stream, [=, this, values = std::vector(begin, begin + bytes)] {
    std::memcpy(memory_at(device, "copy_to_device"), values.data(), size);
    return true;
  });
}

void SimulatedDevice::copy_to_host(void* host, const void* device, int64_t bytes, Stream* stream) {
  const auto size = static_cast<size_t>(bytes);
  if (size == 0) return;
  std::unique_lock lock(mutex_);
  const bool is_under_way = is_host_allocation(host, bytes);
  enqueue(stream, [=, this] {
    if (is_under_way && !is_host_allocation(host, bytes)) {
      add_violation("copy to released host memory");
      return true;
    }
    std::memcpy(host, memory_at(device, "copy_to_host"), size);
    return true;
  });
  lock.unlock();
  if (!is_under_way) synchronize(stream);
}

void SimulatedDevice::fill_zero(void* device, int64_t bytes, Stream* stream) {
  if (bytes == 0) return;
  enqueue(stream, [=, this] {
    std::memset(memory_at(device, "fill_zero"), 0, static_cast<size_t>(bytes));
    return true;
  });
}

// --- order

Stream* SimulatedDevice::stream(OrderCall::On on) {
  return reinterpret_cast<Stream*>(streams_[on].get());
}

Event* SimulatedDevice::create_event() { return reinterpret_cast<Event*>(new SimulatedEvent); }

void SimulatedDevice::destroy_event(Event* event) noexcept {
  const std::lock_guard lock(mutex_);
  delete &SimulatedEvent::of(event);
}

void SimulatedDevice::record(Event* event, Stream* stream) {
  const std::lock_guard lock(mutex_);
  const OrderCall::On on = SimulatedStream::of(stream).on;
  forbid_while_recording("record");
  if (is_ignored(OrderCall::record, on)) return;
  auto mark = std::make_shared<Mark>(on);
  SimulatedEvent::of(event).mark = mark;
  enqueue(stream, [mark] { return mark->is_reached = true; });
}

void SimulatedDevice::wait(Stream* stream, Event* event) {
  const std::lock_guard lock(mutex_);
  forbid_while_recording("wait");
  if (is_ignored(OrderCall::wait, SimulatedStream::of(stream).on)) return;
  const std::shared_ptr<Mark> mark = SimulatedEvent::of(event).mark;
  if (mark != nullptr) enqueue(stream, [mark] { return mark->is_reached; });
}

bool SimulatedDevice::finished(Event* event) {
  const std::lock_guard lock(mutex_);
  const std::shared_ptr<Mark> mark = SimulatedEvent::of(event).mark;
  if (mark == nullptr || is_reached(*mark)) return true;
  // Communicators ask all the time, also while nobody waits: little need happen meanwhile.
  const uint64_t rarity = mark->stream == OrderCall::communication ? patience_ : 1;
  if (random_() % rarity == 0) run_some(static_cast<int>(random_() % 16));
  return is_reached(*mark);
}

void SimulatedDevice::synchronize(Event* event) {
  std::unique_lock lock(mutex_);
  forbid_while_recording("synchronize");
  const std::shared_ptr<Mark> mark = SimulatedEvent::of(event).mark;
  lock.unlock();
  if (mark != nullptr) run_until([&] { return is_reached(*mark); });
}

void SimulatedDevice::synchronize(Stream* stream) {
  auto mark = std::make_shared<Mark>(SimulatedStream::of(stream).on);
  {
    const std::lock_guard lock(mutex_);
    forbid_while_recording("synchronize");
    enqueue(stream, [mark] { return mark->is_reached = true; });
  }
  run_until([&] { return mark->is_reached; });
}

// For the host, which waits for it.
bool SimulatedDevice::is_reached(Mark& mark) {
  // What the communication stream has come to is asked by communicators.
  if (mark.stream != OrderCall::communication && !mark.is_ignored_by_host) {
    mark.is_ignored_by_host = is_ignored(OrderCall::host_wait, mark.stream);
  }
  return mark.is_reached || mark.is_ignored_by_host.value_or(false);
}

bool SimulatedDevice::is_ignored(OrderCall::Kind kind, OrderCall::On stream) {
  if (!is_numbering_) return false;
  calls_.push_back({kind, stream, numbers_[{kind, stream}]++});
  return options_.ignored == calls_.back();
}

void SimulatedDevice::enqueue(Stream* stream, Task task) {
  const std::lock_guard lock(mutex_);
  SimulatedStream& queue = SimulatedStream::of(stream);
  if (queue.recording) {
    if (recording_thread_ != std::this_thread::get_id()) add_violation("two threads record");
    queue.recording->push_back(std::move(task));
    return;
  }
  queue.tasks.push_back(std::move(task));
  if (eagerness_ > 0) run_some(static_cast<int>(random_() % static_cast<uint64_t>(eagerness_)));
}

// Runs at most so many tasks; false: none can run now.
bool SimulatedDevice::run_some(int most) {
  for (int i = 0; i < most; ++i) {
    std::vector<SimulatedStream*> candidates;
    for (const auto& stream : streams_) {
      if (!stream->tasks.empty() && !is_stalled(*stream)) candidates.push_back(stream.get());
    }
    bool ran = false;
    while (!ran && !candidates.empty()) {
      uint64_t sum = 0;
      for (const SimulatedStream* stream : candidates) sum += stream->weight;
      uint64_t draw = random_() % sum;
      auto chosen = candidates.begin();
      for (; draw >= (*chosen)->weight; ++chosen) draw -= (*chosen)->weight;
      ran = (*chosen)->tasks.front()();
      if (ran) (*chosen)->tasks.pop_front();
      candidates.erase(chosen);
    }
    if (!ran) return false;
  }
  return true;
}

// Now and then a stream stands still for a while, whatever it could do: other streams, and other
// ranks, get ahead of it.
bool SimulatedDevice::is_stalled(SimulatedStream& stream) {
  constexpr uint64_t kLongest = 24;
  if (stream.stall > 0) {
    --stream.stall;
    return true;
  }
  if (stalls_ > 0 && random_() % stalls_ == 0) stream.stall = random_() % kLongest;
  return false;
}

// The host waits; other threads come in between.
void SimulatedDevice::run_until(const std::function<bool()>& holds) {
  while (true) {
    std::unique_lock lock(mutex_);
    if (holds()) return;
    if (run_some(1)) continue;
    lock.unlock();
    std::this_thread::sleep_for(std::chrono::microseconds(20));  // for another rank
  }
}

// --- recording

void SimulatedDevice::begin_recording(Stream* stream) {
  const std::lock_guard lock(mutex_);
  forbid_while_recording("begin_recording");
  recording_thread_ = std::this_thread::get_id();
  SimulatedStream::of(stream).recording.emplace();
}

std::unique_ptr<Recording> SimulatedDevice::end_recording(Stream* stream) {
  const std::lock_guard lock(mutex_);
  SimulatedStream& queue = SimulatedStream::of(stream);
  recording_thread_ = {};
  auto recording = std::make_unique<SimulatedRecording>(*this, std::move(*queue.recording));
  queue.recording.reset();
  return recording;
}

void SimulatedDevice::forbid_while_recording(std::string_view what) {
  if (recording_thread_ == std::this_thread::get_id()) add_violation(concat(what, " is recorded"));
}

// --- kernels

bool SimulatedDevice::supports(std::string_view op, const Attributes& attributes,
                               DType dtype) const {
  return kernels_->supports(op, attributes, dtype);
}

LayoutChoice SimulatedDevice::choose_layouts(const KernelRequest& request,
                                             std::span<const Layout> available) const {
  return kernels_->choose_layouts(request, available);
}

std::unique_ptr<Kernel> SimulatedDevice::simulate(std::unique_ptr<Kernel> kernel,
                                                  std::string label) {
  return std::make_unique<SimulatedKernel>(*this, std::move(kernel), std::move(label));
}

std::unique_ptr<Kernel> SimulatedDevice::prepare(const KernelRequest& request) {
  return simulate(kernels_->prepare(request), std::string(request.label));
}

std::unique_ptr<Kernel> SimulatedDevice::prepare_update(const UpdateRequest& request) {
  return simulate(kernels_->prepare_update(request), "update");
}

std::unique_ptr<Kernel> SimulatedDevice::prepare_squared_norm(int64_t count) {
  return simulate(kernels_->prepare_squared_norm(count), "squared_norm");
}

std::unique_ptr<Kernel> SimulatedDevice::prepare_accumulate(int64_t count, double keep,
                                                            double add) {
  return simulate(kernels_->prepare_accumulate(count, keep, add), "accumulate");
}

// --- for tests

void SimulatedDevice::begin_numbering() {
  const std::lock_guard lock(mutex_);
  is_numbering_ = true;
}

std::vector<OrderCall> SimulatedDevice::numbered_calls() const {
  const std::lock_guard lock(mutex_);
  std::vector<OrderCall> calls = calls_;
  std::sort(calls.begin(), calls.end());
  return calls;
}

std::vector<std::string> SimulatedDevice::violations() const {
  const std::lock_guard lock(mutex_);
  return violations_;
}

void SimulatedDevice::add_violation(std::string text) { violations_.push_back(std::move(text)); }

}  // namespace lockstep::testing
