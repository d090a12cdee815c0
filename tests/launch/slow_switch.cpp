// A switch between network namespaces with a limited rate and a delay, in user space, since not
// every kernel can delay packets (netem): makes an interface `slow0` in every namespace and carries
// frames between them, until it is killed.
//
//   slow_switch BITS_PER_SECOND DELAY_MICROSECONDS NAMESPACE…      (files in /run/netns)
//
// Every interface sends and receives at the given rate; a frame arrives no earlier than the delay
// after it was sent. TAP devices: https://docs.kernel.org/networking/tuntap.html
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using Nanoseconds = std::chrono::nanoseconds;
using Address = std::array<unsigned char, 6>;

constexpr size_t kLargestFrame = 65536;
constexpr auto kRoomForBursts = std::chrono::milliseconds(50);  // what waits longer is dropped

struct Frame {
  std::vector<unsigned char> bytes;
  Clock::time_point arrival;
};

struct Port {
  int descriptor;
  Clock::time_point sends_until;     // busy with frames from this interface
  Clock::time_point receives_until;  // and with those to it
  std::deque<Frame> queue;           // on the way to it
};

[[noreturn]] void give_up(const std::string& what) {
  std::fprintf(stderr, "slow_switch: %s: %s\n", what.c_str(), std::strerror(errno));
  std::exit(1);
}

// The descriptor works from any namespace; the interface stays in the one where it was made.
int open_interface(const std::string& name) {
  const std::string path = "/run/netns/" + name;
  const int space = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (space < 0 || setns(space, CLONE_NEWNET) != 0) give_up(path);
  close(space);
  const int descriptor = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (descriptor < 0) give_up("/dev/net/tun");
  ifreq request{};
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  std::strcpy(request.ifr_name, "slow0");
  if (ioctl(descriptor, TUNSETIFF, &request) != 0) give_up("slow0 in " + name);
  return descriptor;
}

class Switch {
 public:
  Switch(double bits_per_second, Nanoseconds delay, const std::vector<std::string>& names)
      : seconds_per_byte_(8 / bits_per_second), delay_(delay) {
    for (const std::string& name : names) ports_.push_back({open_interface(name), {}, {}, {}});
  }

  [[noreturn]] void run() {
    while (true) {
      wait();
      for (size_t from = 0; from < ports_.size(); ++from) take(from);
      for (Port& port : ports_) deliver(port);
    }
  }

 private:
  void wait() {
    std::vector<pollfd> descriptors;
    auto next = Clock::time_point::max();
    for (const Port& port : ports_) {
      descriptors.push_back({port.descriptor, POLLIN, 0});
      if (!port.queue.empty()) next = std::min(next, port.queue.front().arrival);
    }
    timespec bound{};
    const auto left = std::max(Nanoseconds(next - Clock::now()), Nanoseconds(0));
    bound.tv_sec = left / std::chrono::seconds(1);
    bound.tv_nsec = (left % std::chrono::seconds(1)).count();
    const bool idle = next == Clock::time_point::max();
    ppoll(descriptors.data(), descriptors.size(), idle ? nullptr : &bound, nullptr);
  }

  // What the interface has sent.
  void take(size_t from) {
    std::array<unsigned char, kLargestFrame> bytes;
    while (true) {
      const ssize_t size = read(ports_[from].descriptor, bytes.data(), bytes.size());
      if (size < 14) return;
      Address to;
      Address sender;
      std::copy_n(bytes.begin(), 6, to.begin());
      std::copy_n(bytes.begin() + 6, 6, sender.begin());
      where_[sender] = from;
      const auto sent = occupy(ports_[from].sends_until, size);
      const auto known = where_.find(to);
      for (size_t port = 0; port < ports_.size(); ++port) {
        const bool meant = known == where_.end() || known->second == port;
        if (port != from && meant) queue(ports_[port], {bytes.data(), bytes.data() + size}, sent);
      }
    }
  }

  void queue(Port& port, std::vector<unsigned char> bytes, Clock::time_point sent) {
    if (port.receives_until > sent + kRoomForBursts) return;
    port.receives_until = std::max(port.receives_until, sent);
    const auto received = occupy(port.receives_until, static_cast<ssize_t>(bytes.size()));
    port.queue.push_back({std::move(bytes), received + delay_});
  }

  // The time at which a direction has carried one more frame.
  Clock::time_point occupy(Clock::time_point& until, ssize_t bytes) const {
    const std::chrono::duration<double> takes(static_cast<double>(bytes) * seconds_per_byte_);
    until = std::max(until, Clock::now()) + std::chrono::duration_cast<Clock::duration>(takes);
    return until;
  }

  static void deliver(Port& port) {
    while (!port.queue.empty() && port.queue.front().arrival <= Clock::now()) {
      const Frame& frame = port.queue.front();
      // An interface that is down takes nothing: lost, as on a cable.
      [[maybe_unused]] const ssize_t written =
          write(port.descriptor, frame.bytes.data(), frame.bytes.size());
      port.queue.pop_front();
    }
  }

  double seconds_per_byte_;
  Nanoseconds delay_;
  std::vector<Port> ports_;
  std::map<Address, size_t> where_;
};

}  // namespace

int main(int count, char** arguments) {
  if (count < 5) {
    std::fprintf(stderr, "slow_switch BITS_PER_SECOND DELAY_MICROSECONDS NAMESPACE NAMESPACE …\n");
    return 2;
  }
  prctl(PR_SET_TIMERSLACK, 1000UL);  // nanoseconds
  const std::chrono::microseconds delay(std::atoi(arguments[2]));
  Switch(std::atof(arguments[1]), delay, {arguments + 3, arguments + count}).run();
}
