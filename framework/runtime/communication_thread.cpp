#include "runtime/communication_thread.hpp"

#include <pthread.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <iterator>
#include <mutex>
#include <thread>
#include <utility>

#include "base/error.hpp"
#include "runtime/guard.hpp"
#include "runtime/patience.hpp"
#include "runtime/roll_call.hpp"

namespace lockstep {
namespace {

using Clock = std::chrono::steady_clock;

// How often a rank looks whether others ask for it, and how long it waits for their answers.
constexpr auto kRollCallPeriod = std::chrono::milliseconds(100);
constexpr double kRollCallSeconds = 2;

// How long abort() lets the communication thread try before it ends this process alone.
constexpr auto kAbortBound = std::chrono::seconds(4);
constexpr int kNoAbort = -1;

// What its stream has come to when the event is finished. It is not a matter between ranks.
class DeviceEvent final : public Pending {
 public:
  DeviceEvent(Device& device, Event* event) : device_(device), event_(event) {}
  bool test() override { return device_.finished(event_); }

 private:
  Device& device_;
  Event* event_;
};

}  // namespace

struct CommunicationThread::Ticket::State {
  std::string label;
  std::atomic<bool> done{false};
  std::atomic<Event*> behind{nullptr};  // Pending::enqueued()
  // The communication thread's own until done. One in stream order stays: others wait for its
  // event.
  std::unique_ptr<Pending> pending;
};

bool CommunicationThread::Ticket::done() const {
  return state_ == nullptr || state_->done.load(std::memory_order_acquire);
}

class CommunicationThread::Impl {
 public:
  using State = Ticket::State;
  // Starts a collective; null: nothing to wait for.
  using Start = std::function<std::unique_ptr<Pending>(Communicator&)>;

  Impl(Make make, double timeout_seconds) : timeout_seconds_(timeout_seconds) {
    thread_ = std::thread([this, make = std::move(make)] { run(make); });
    std::unique_lock lock(mutex_);
    changed_for_callers_.wait(lock, [this] { return made_ || construction_error_; });
    if (construction_error_) {
      lock.unlock();
      thread_.join();
      std::rethrow_exception(construction_error_);
    }
  }

  ~Impl() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    changed_for_thread_.notify_one();
    thread_.join();
  }

  std::shared_ptr<State> post(Start start, Event* ready, std::string_view label,
                              bool among_ranks = true) {
    auto state = std::make_shared<State>();
    state->label = label;
    {
      const std::lock_guard lock(mutex_);
      posted_.push_back({std::move(start), ready, state, among_ranks});
    }
    changed_for_thread_.notify_one();
    return state;
  }

  std::shared_ptr<State> post_event(Event* event, std::string_view label) {
    const auto watch = [this, event](Communicator&) {
      LS_ASSERT(device_ != nullptr);
      return std::make_unique<DeviceEvent>(*device_, event);
    };
    return post(watch, nullptr, label, false);
  }

  void wait(const State& state) {
    wait_until([&] { return state.done.load(std::memory_order_acquire); });
  }
  Event* wait_in_order(const State& state) {
    const auto behind = [&] { return state.behind.load(std::memory_order_acquire); };
    wait_until([&] { return state.done.load(std::memory_order_acquire) || behind() != nullptr; });
    return behind();
  }

  void attach(Device& device) {
    const auto state = post(
        [this, &device](Communicator& communicator) {
          device_ = &device;
          communicator.attach(device);
          return nullptr;
        },
        nullptr, "attach");
    wait(*state);
  }

  [[noreturn]] void abort(int exit_code) noexcept {
    if (std::this_thread::get_id() == thread_.get_id()) abort_here(exit_code);
    {
      const std::lock_guard lock(mutex_);
      if (abort_code_ == kNoAbort) abort_code_ = exit_code;  // the first one counts
    }
    changed_for_thread_.notify_one();
    std::this_thread::sleep_for(kAbortBound);
    _exit(exit_code);
  }

  // Facts about the communicator, constant once made.
  int rank = 0;
  int world_size = 1;
  int local_rank = 0;
  int local_size = 1;
  bool stream_ordered = false;
  const int exceptions_before = std::uncaught_exceptions();

 private:
  struct Item {
    Start start;
    Event* ready;
    std::shared_ptr<State> state;
    bool among_ranks;  // else this rank's own: no other can fail it
  };
  struct InFlight {
    std::shared_ptr<State> state;
    bool among_ranks;
    int64_t number;  // how many were started up to this one
  };

  template <class Condition>
  void wait_until(const Condition& holds) {
    if (holds()) return;
    std::unique_lock lock(mutex_);
    ++waiting_callers_;
    changed_for_thread_.notify_one();
    changed_for_callers_.wait(lock, holds);
    --waiting_callers_;
  }

  void run(const Make& make) {
    pthread_setname_np(pthread_self(), "communication");
    prctl(PR_SET_TIMERSLACK, 1000UL);  // nanoseconds; the default adds 50 µs to each short sleep
    if (!construct(make)) return;
    try {
      while (collect_posted()) {
        const bool started = start_ready();
        const bool finished = test_in_flight();
        if (started || finished) {
          patience_.restart();
        } else if (!in_flight_.empty() || !queue_.empty()) {
          watch_deadline();
          rest();
        }
      }
      communicator_.reset();
    } catch (const Error& e) {
      end_all(e.what(), e.exit_code());
    } catch (const std::exception& e) {
      end_all(e.what(), static_cast<int>(Failure::other));
    } catch (...) {
      end_all("communication thread: unknown exception", static_cast<int>(Failure::other));
    }
  }

  bool construct(const Make& make) {
    std::exception_ptr error;
    try {
      communicator_ = make();
      rank = communicator_->rank();
      world_size = communicator_->world_size();
      local_rank = communicator_->local_rank();
      local_size = communicator_->local_size();
      stream_ordered = communicator_->stream_ordered();
    } catch (...) {
      error = std::current_exception();
    }
    const std::lock_guard lock(mutex_);
    construction_error_ = error;
    made_ = !error;
    changed_for_callers_.notify_all();
    return made_;
  }

  // Takes what was posted, sleeping while there is nothing to do at all; false: this is the end.
  bool collect_posted() {
    std::unique_lock lock(mutex_);
    if (queue_.empty() && in_flight_.empty()) {
      const auto is_due = [this] { return !posted_.empty() || ending_ || abort_code_ != kNoAbort; };
      while (!changed_for_thread_.wait_for(lock, kRollCallPeriod, is_due)) {
        lock.unlock();
        communicator_->answer_roll_call(started_);
        lock.lock();
      }
      patience_.restart();
    }
    if (abort_code_ != kNoAbort) {
      lock.unlock();
      abort_here(abort_code_);
    }
    std::move(posted_.begin(), posted_.end(), std::back_inserter(queue_));
    posted_.clear();
    return !(ending_ && queue_.empty() && in_flight_.empty());
  }

  // Starts collectives in the order of posting, up to the first whose data is not ready yet.
  bool start_ready() {
    bool started = false;
    while (!queue_.empty()) {
      Item& item = queue_.front();
      if (item.ready != nullptr && device_ != nullptr) {
        if (stream_ordered) {
          device_->wait(device_->communication_stream(), item.ready);
        } else if (!device_->finished(item.ready)) {
          break;
        }
      }
      add_context_on_error(*item.state, [&] {
        item.state->pending = item.start(*communicator_);
        if (item.state->pending == nullptr) return finish(*item.state);
        if (item.among_ranks) ++started_;
        in_flight_.push_back({item.state, item.among_ranks, started_});
        if (Event* behind = item.state->pending->enqueued()) announce(item.state->behind, behind);
      });
      queue_.pop_front();
      started = true;
    }
    return started;
  }

  bool test_in_flight() {
    const auto is_done = [this](InFlight& item) {
      bool done = false;
      add_context_on_error(*item.state, [&] { done = item.state->pending->test(); });
      if (done) finish(*item.state);
      return done;
    };
    return std::erase_if(in_flight_, is_done) > 0;
  }

  template <class F>
  static void add_context_on_error(const State& state, F&& action) {
    try {
      action();
    } catch (Error& e) {
      e.add_context(state.label);
      throw;
    }
  }

  void finish(State& state) {
    if (state.behind.load(std::memory_order_relaxed) == nullptr) state.pending.reset();
    announce(state.done, true);
  }

  // To all that wait for it.
  template <class T>
  void announce(std::atomic<T>& variable, T value) {
    {
      const std::lock_guard lock(mutex_);
      variable.store(value, std::memory_order_release);
    }
    changed_for_callers_.notify_all();
  }

  void watch_deadline() {
    if (const auto now = Clock::now(); now - last_answer_ > kRollCallPeriod) {
      communicator_->answer_roll_call(started_);
      last_answer_ = now;
    }
    const auto oldest = std::find_if(in_flight_.begin(), in_flight_.end(),
                                     [](const InFlight& item) { return item.among_ranks; });
    // Where there is none, what is waited for is this rank's own device.
    patience_.look(oldest != in_flight_.end());
    if (patience_.silence_seconds() <= timeout_seconds_) return;
    const std::vector<Presence> ranks = communicator_->call_roll(started_, kRollCallSeconds);
    fail(Failure::device, "'", oldest->state->label, "' has waited for other ranks for ",
         static_cast<int64_t>(timeout_seconds_),
         " s without progress: ", who_is_absent(ranks, rank, oldest->number),
         "; start again with --resume, or raise communicator.timeout_seconds");
  }

  void rest() {
    std::unique_lock lock(mutex_);
    const auto sleep = patience_.sleep(waiting_callers_ > 0);
    if (sleep == Clock::duration::zero()) {
      lock.unlock();
      std::this_thread::yield();
      return;
    }
    changed_for_thread_.wait_for(lock, sleep);
  }

  [[noreturn]] void end_all(std::string_view message, int exit_code) noexcept {
    detail::print_last_words(rank, world_size, message);
    abort_here(exit_code);
  }

  [[noreturn]] void abort_here(int exit_code) noexcept {
    if (communicator_ != nullptr) communicator_->abort(exit_code);
    _exit(exit_code);
  }

  const double timeout_seconds_;
  std::thread thread_;

  std::mutex mutex_;
  std::condition_variable changed_for_thread_;
  std::condition_variable changed_for_callers_;
  std::vector<Item> posted_;
  int waiting_callers_ = 0;
  bool ending_ = false;
  bool made_ = false;
  std::exception_ptr construction_error_;
  int abort_code_ = kNoAbort;  // set once

  // The communication thread's own.
  std::unique_ptr<Communicator> communicator_;
  Device* device_ = nullptr;
  std::deque<Item> queue_;           // posted, not started
  std::vector<InFlight> in_flight_;  // started, not done
  int64_t started_ = 0;              // so many were
  Patience patience_;
  Clock::time_point last_answer_ = Clock::now();
};

CommunicationThread::CommunicationThread(Make make, double timeout_seconds)
    : impl_(std::make_unique<Impl>(std::move(make), timeout_seconds)) {}

CommunicationThread::~CommunicationThread() {
  // While an exception passes here, the other ranks go on and would wait for this one: no orderly
  // end.
  if (world_size() > 1 && std::uncaught_exceptions() > impl_->exceptions_before) {
    detail::print_last_words(rank(), world_size(), "left by an exception, the other ranks end too");
    abort(static_cast<int>(Failure::other));
  }
}

int CommunicationThread::rank() const { return impl_->rank; }
int CommunicationThread::world_size() const { return impl_->world_size; }
int CommunicationThread::local_rank() const { return impl_->local_rank; }
int CommunicationThread::local_size() const { return impl_->local_size; }
bool CommunicationThread::stream_ordered() const { return impl_->stream_ordered; }
void CommunicationThread::attach(Device& device) { impl_->attach(device); }

CommunicationThread::Ticket CommunicationThread::post_all_reduce(void* data, int64_t count,
                                                                 DType dtype, Memory memory,
                                                                 Event* ready,
                                                                 std::string_view label) {
  Ticket ticket;
  ticket.state_ = impl_->post(
      [=](Communicator& communicator) {
        return communicator.start_all_reduce(data, count, dtype, memory);
      },
      ready, label);
  return ticket;
}

CommunicationThread::Ticket CommunicationThread::post_broadcast(void* data, int64_t bytes, int root,
                                                                Memory memory,
                                                                std::string_view label) {
  Ticket ticket;
  ticket.state_ = impl_->post(
      [=](Communicator& communicator) {
        return communicator.start_broadcast(data, bytes, root, memory);
      },
      nullptr, label);
  return ticket;
}

CommunicationThread::Ticket CommunicationThread::post_all_gather(const void* mine, void* all,
                                                                 int64_t bytes,
                                                                 std::string_view label) {
  Ticket ticket;
  ticket.state_ = impl_->post(
      [=](Communicator& communicator) { return communicator.start_all_gather(mine, all, bytes); },
      nullptr, label);
  return ticket;
}

void CommunicationThread::wait(const Ticket& ticket) {
  if (ticket.state_ != nullptr) impl_->wait(*ticket.state_);
}

CommunicationThread::Ticket CommunicationThread::post_event(Event* event, std::string_view label) {
  Ticket ticket;
  ticket.state_ = impl_->post_event(event, label);
  return ticket;
}

Event* CommunicationThread::wait_in_order(const Ticket& ticket) {
  return ticket.state_ == nullptr ? nullptr : impl_->wait_in_order(*ticket.state_);
}

void CommunicationThread::abort(int exit_code) noexcept { impl_->abort(exit_code); }

}  // namespace lockstep
