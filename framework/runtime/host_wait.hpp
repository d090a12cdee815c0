// How the host waits for the device. What is enqueued there may wait for a collective in stream
// order, and that for a rank which is gone: the device would wait without end. So the host waits
// through the communication thread, which watches the collectives and their deadline meanwhile.
#pragma once

#include <string_view>

#include "device/device.hpp"
#include "runtime/communication_thread.hpp"

namespace lockstep {

class HostWait {
 public:
  HostWait(Device& device, CommunicationThread& communication)
      : device_(device), communication_(communication), reached_(device.create_event()) {}
  ~HostWait() { device_.destroy_event(reached_); }
  HostWait(const HostWait&) = delete;
  HostWait& operator=(const HostWait&) = delete;

  // Until everything enqueued on the compute stream so far is done; `label` is for messages.
  void for_launches(std::string_view label) {
    device_.record(reached_, device_.compute_stream());
    for_event(reached_, label);
  }

  // Until the event's stream has come to it. Null, as events of host devices are: at once.
  void for_event(Event* event, std::string_view label) {
    if (event == nullptr) return;
    if (communication_.stream_ordered()) {
      communication_.wait(communication_.post_event(event, label));
    } else {
      device_.synchronize(event);  // no collective is in its way
    }
  }

 private:
  Device& device_;
  CommunicationThread& communication_;
  Event* reached_;
};

}  // namespace lockstep
