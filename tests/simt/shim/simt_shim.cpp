// Blocks of fibers: ucontext, with AddressSanitizer told of every change of stacks.
#include "simt_shim.hpp"

#include <ucontext.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <new>
#include <vector>

#include "device/simt.hpp"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#else
inline void __sanitizer_start_switch_fiber(void**, const void*, size_t) {}
inline void __sanitizer_finish_switch_fiber(void*, const void**, size_t*) {}
#endif

namespace lockstep::simt {
namespace {

constexpr size_t kStackBytes = size_t{128} << 10;
constexpr unsigned kMostThreads = 1024;

enum class State : uint8_t { ready, at_barrier, at_exchange, ended };

struct Fiber {
  ucontext_t context{};
  std::unique_ptr<char[]> stack{new char[kStackBytes]};
  void* fake_stack = nullptr;
  Index thread{};
  State state = State::ended;
  const char* where = "";
  uint64_t given[2] = {};  // to the exchanges with even and odd numbers
  unsigned exchanges = 0;
};

struct SharedMemory {
  const void* key;
  std::unique_ptr<char[]> bytes;
};

struct Machine {
  Schedule schedule = Schedule::round_robin;
  Place place{};
  std::vector<std::unique_ptr<Fiber>> fibers;
  unsigned threads = 0;  // of a block
  unsigned running = 0;
  const std::function<void()>* body = nullptr;
  std::vector<SharedMemory> shared;
  ucontext_t scheduler{};
  void* scheduler_fake_stack = nullptr;
  const void* scheduler_stack = nullptr;
  size_t scheduler_stack_bytes = 0;
};
Machine machine;

Fiber& fiber(unsigned thread) { return *machine.fibers[thread]; }

// --- changes of stacks

void switch_to_fiber(unsigned thread) {
  Fiber& next = fiber(thread);
  machine.running = thread;
  machine.place.thread = next.thread;
  __sanitizer_start_switch_fiber(&machine.scheduler_fake_stack, next.stack.get(), kStackBytes);
  swapcontext(&machine.scheduler, &next.context);
  __sanitizer_finish_switch_fiber(machine.scheduler_fake_stack, nullptr, nullptr);
}

void switch_to_scheduler(bool ends) {
  Fiber& self = fiber(machine.running);
  __sanitizer_start_switch_fiber(ends ? nullptr : &self.fake_stack, machine.scheduler_stack,
                                 machine.scheduler_stack_bytes);
  swapcontext(&self.context, &machine.scheduler);
  __sanitizer_finish_switch_fiber(self.fake_stack, &machine.scheduler_stack,
                                  &machine.scheduler_stack_bytes);
}

void fiber_main() {
  __sanitizer_finish_switch_fiber(nullptr, &machine.scheduler_stack,
                                  &machine.scheduler_stack_bytes);
  (*machine.body)();
  fiber(machine.running).state = State::ended;
  switch_to_scheduler(true);
}

void wait(State state, const char* where) {
  Fiber& self = fiber(machine.running);
  self.state = state;
  self.where = where;
  switch_to_scheduler(false);
}

// --- a block

void start_fibers(const Index& block) {
  while (machine.fibers.size() < machine.threads)
    machine.fibers.push_back(std::make_unique<Fiber>());
  for (unsigned i = 0; i < machine.threads; ++i) {
    Fiber& f = fiber(i);
    f.thread = {i % block.x, i / block.x, 0};
    f.state = State::ready;
    f.exchanges = 0;
    getcontext(&f.context);
    f.context.uc_stack.ss_sp = f.stack.get();
    f.context.uc_stack.ss_size = kStackBytes;
    f.context.uc_link = nullptr;
    makecontext(&f.context, fiber_main, 0);
  }
}

[[noreturn]] void stop(const char* what) {
  const Index& block = machine.place.block;
  std::fprintf(stderr, "simt: block (%u, %u): %s\n", block.x, block.y, what);
  for (unsigned i = 0; i < machine.threads; ++i) {
    const Fiber& f = fiber(i);
    const bool as_before = i > 0 && fiber(i - 1).state == f.state && fiber(i - 1).where == f.where;
    if (as_before) continue;
    constexpr const char* kStates[] = {"runs", "waits at the barrier", "waits at the shuffle",
                                       "has ended"};
    std::fprintf(stderr, "simt:   from thread %u on: %s %s\n", i,
                 kStates[static_cast<int>(f.state)], f.state == State::ended ? "" : f.where);
  }
  std::abort();
}

// Lets threads [begin, end) go on if all of them wait in `state`, at one place.
bool release_all(unsigned begin, unsigned end, State state) {
  for (unsigned i = begin; i < end; ++i) {
    if (fiber(i).state != state) return false;
  }
  for (unsigned i = begin; i < end; ++i) {
    if (fiber(i).where != fiber(begin).where) stop("threads wait at different places");
  }
  for (unsigned i = begin; i < end; ++i) fiber(i).state = State::ready;
  return true;
}

bool run_ready(unsigned begin, unsigned end) {
  bool progress = false;
  const bool backwards = machine.schedule == Schedule::reversed;
  for (unsigned k = begin; k < end; ++k) {
    const unsigned i = backwards ? end - 1 - (k - begin) : k;
    if (fiber(i).state != State::ready) continue;
    switch_to_fiber(i);
    progress = true;
  }
  return progress;
}

bool run_warps() {
  bool progress = false;
  const unsigned warps = (machine.threads + kWarp - 1) / kWarp;
  for (unsigned k = 0; k < warps; ++k) {
    const unsigned warp = machine.schedule == Schedule::reversed ? warps - 1 - k : k;
    const unsigned begin = warp * kWarp, end = std::min(begin + kWarp, machine.threads);
    bool again = false;
    do {
      progress = run_ready(begin, end) || progress;
      const bool released = release_all(begin, end, State::at_exchange);
      progress = progress || released;
      again = released && machine.schedule == Schedule::greedy;
    } while (again);
  }
  return progress;
}

void run_block(const Index& block) {
  machine.shared.clear();
  start_fibers(block);
  for (;;) {
    const bool progress = run_warps();
    const bool ended = std::all_of(machine.fibers.begin(), machine.fibers.begin() + machine.threads,
                                   [](const auto& f) { return f->state == State::ended; });
    if (ended) return;
    if (release_all(0, machine.threads, State::at_barrier)) continue;
    if (!progress) stop("not all threads reach the barrier or shuffle that others wait at");
  }
}

}  // namespace

void set_schedule(Schedule schedule) { machine.schedule = schedule; }

const Place& place() { return machine.place; }

void run(const Grid& grid, const std::function<void()>& body) {
  machine.body = &body;
  machine.threads = grid.threads_x * grid.threads_y;
  machine.place.block_size = {grid.threads_x, grid.threads_y, 1};
  machine.place.grid_size = {grid.blocks_x, grid.blocks_y, 1};
  LS_ASSERT(machine.threads > 0 && machine.threads <= kMostThreads);
  for (unsigned y = 0; y < grid.blocks_y; ++y) {
    for (unsigned x = 0; x < grid.blocks_x; ++x) {
      machine.place.block = {x, y, 0};
      run_block(machine.place.block_size);
    }
  }
}

void barrier(const char* where) { wait(State::at_barrier, where); }

uint64_t exchange(unsigned mask, uint64_t value, unsigned lane, const char* where) {
  if (mask != kAllLanes) stop("a shuffle without all lanes");
  const unsigned self = machine.running;
  const unsigned turn = fiber(self).exchanges++ % 2;
  fiber(self).given[turn] = value;
  wait(State::at_exchange, where);
  // No lane gives to this turn again before all have passed the next exchange.
  const unsigned from = self / kWarp * kWarp + lane % kWarp;
  return from < machine.threads ? fiber(from).given[turn] : ~uint64_t{0};
}

void* shared_memory(const void* key, size_t bytes) {
  for (const SharedMemory& memory : machine.shared) {
    if (memory.key == key) return memory.bytes.get();
  }
  machine.shared.push_back({key, std::unique_ptr<char[]>(new char[bytes])});
  std::memset(machine.shared.back().bytes.get(), 0xff, bytes);
  return machine.shared.back().bytes.get();
}

void* allocate(int64_t bytes) {
  void* memory = nullptr;
  LS_ASSERT(posix_memalign(&memory, 64, static_cast<size_t>(std::max<int64_t>(bytes, 1))) == 0);
  return memory;
}
void release(void* memory) noexcept { std::free(memory); }
void upload(void* device, const void* host, int64_t bytes) {
  std::memcpy(device, host, static_cast<size_t>(bytes));
}

}  // namespace lockstep::simt
