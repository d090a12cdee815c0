// Collectives among GPUs over NCCL (https://docs.nvidia.com/deeplearning/nccl): enqueued on the
// device's communication stream, so that neither the host nor the compute stream waits until it
// needs the result. Which links and algorithms are used is left to NCCL and its environment.
//
// The communicator is non-blocking: calls return at once and their progress is polled, so that a
// rank that never comes ends the job by the deadline. What lies in host memory goes over the host's
// communicator, which also starts and ends the processes.
#include <lockstep/plugin.hpp>

#include <nccl.h>
#include <unistd.h>

#include <chrono>
#include <exception>
#include <future>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "joining.hpp"
#include "polling.hpp"

namespace lockstep::nccl {
namespace {

static_assert(NCCL_VERSION_CODE >= NCCL_VERSION(2, 18, 0), "NCCL 2.18 or newer is needed");

constexpr auto kAbortBound = std::chrono::seconds(1);
// How long ranks other than 0 wait before they say what rank 0 may be about to say for all.
constexpr auto kRankZeroFirst = std::chrono::seconds(1);

[[noreturn]] void fail_call(const char* call, ncclResult_t result) {
  fail(Failure::device, "communicator nccl: ", call, " failed: ", ncclGetErrorString(result), ": ",
       ncclGetLastError(nullptr),
       "; expected a working GPU per rank and links between them; NCCL_DEBUG=INFO says more; start "
       "again with --resume");
}

ncclDataType_t nccl_type(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return ncclFloat32;
    case DType::f64:
      return ncclFloat64;
    case DType::bf16:
      return ncclBfloat16;
    default:
      fail(Failure::device, "communicator nccl: an all-reduce of ", name(dtype),
           "; f32, f64 or bf16 was expected; cast before reducing");
  }
}

class NcclCommunicator final : public Communicator {
 public:
  explicit NcclCommunicator(const CommunicatorOptions& options)
      : host_(options.make_host()), polling_(*host_, options.timeout_seconds) {}

  // All ranks together; collectives that were started are finished first.
  ~NcclCommunicator() override {
    if (joined_ == nullptr) return;
    try {
      call("ncclCommFinalize", [this] { return ncclCommFinalize(joined_); });
      ncclCommDestroy(joined_);
    } catch (const std::exception& e) {
      std::fprintf(stderr, "lockstep: rank %d of %d: at the end: %s\n", rank(), world_size(),
                   e.what());
      abort(static_cast<int>(Failure::device));
    }
  }

  std::string_view name() const override { return "nccl"; }
  int rank() const override { return host_->rank(); }
  int world_size() const override { return host_->world_size(); }
  int local_rank() const override { return host_->local_rank(); }
  int local_size() const override { return host_->local_size(); }
  bool stream_ordered() const override { return true; }

  void attach(Device& device) override {
    device_ = &device;
    try {
      require_own_gpus(*host_, polling_, device.unique_id());
      const ncclUniqueId id = share_unique_id(*host_, polling_);
      // NCCL takes the GPU that is current in this thread; a device makes itself current in every
      // thread that uses it.
      device.destroy_event(device.create_event());
      ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
      config.blocking = 0;
      call("ncclCommInitRankConfig",
           [&] { return ncclCommInitRankConfig(&joined_, world_size(), id, rank(), &config); });
    } catch (const Error&) {
      if (rank() != 0) std::this_thread::sleep_for(kRankZeroFirst);
      throw;
    }
  }

  std::unique_ptr<Pending> start_all_reduce(void* data, int64_t count, DType dtype,
                                            Memory memory) override {
    if (memory == Memory::host) {
      return counted(host_->start_all_reduce(data, count, dtype, memory));
    }
    const ncclDataType_t type = nccl_type(dtype);
    call("ncclAllReduce", [&] {
      return ncclAllReduce(data, data, static_cast<size_t>(count), type, ncclSum, joined_,
                           stream());
    });
    return counted(std::make_unique<Enqueued>(*this));
  }

  std::unique_ptr<Pending> start_broadcast(void* data, int64_t bytes, int root,
                                           Memory memory) override {
    if (memory == Memory::host) {
      return counted(host_->start_broadcast(data, bytes, root, memory));
    }
    call("ncclBroadcast", [&] {
      return ncclBroadcast(data, data, static_cast<size_t>(bytes), ncclInt8, root, joined_,
                           stream());
    });
    return counted(std::make_unique<Enqueued>(*this));
  }

  std::unique_ptr<Pending> start_all_gather(const void* mine, void* all, int64_t bytes) override {
    return counted(host_->start_all_gather(mine, all, bytes));
  }

  std::vector<Presence> call_roll(int64_t started, double seconds) override {
    return host_->call_roll(started, seconds);
  }
  void answer_roll_call(int64_t started) override { host_->answer_roll_call(started); }

  // What NCCL has on the GPU may wait for a rank that is gone: that is ended first, if it lets
  // itself be ended.
  [[noreturn]] void abort(int exit_code) noexcept override {
    try {
      std::packaged_task<void()> end([joined = joined_] {
        if (joined != nullptr) ncclCommAbort(joined);
      });
      const std::future<void> ended = end.get_future();
      std::thread(std::move(end)).detach();
      ended.wait_for(kAbortBound);
    } catch (const std::exception&) {  // no thread to be had: the end of the process does it
    }
    host_->abort(exit_code);
    _exit(exit_code);
  }

 private:
  // A collective on the communication stream.
  class Enqueued final : public Pending {
   public:
    explicit Enqueued(NcclCommunicator& owner)
        : owner_(owner), device_(*owner.device_), behind_(device_.create_event()) {
      device_.record(behind_, device_.communication_stream());
    }
    ~Enqueued() override { device_.destroy_event(behind_); }

    bool test() override {
      owner_.check_state("a collective");
      return device_.finished(behind_);
    }
    Event* enqueued() const override { return behind_; }

   private:
    NcclCommunicator& owner_;
    Device& device_;
    Event* behind_;
  };

  std::unique_ptr<Pending> counted(std::unique_ptr<Pending> started) {
    polling_.count_started();
    return started;
  }

  cudaStream_t stream() const {
    return reinterpret_cast<cudaStream_t>(device_->communication_stream());
  }

  // Whether NCCL has nothing under way on the host.
  bool check_state(const char* what) const {
    ncclResult_t state = ncclSuccess;
    const ncclResult_t result = ncclCommGetAsyncError(joined_, &state);
    if (result != ncclSuccess) fail_call("ncclCommGetAsyncError", result);
    if (state != ncclSuccess && state != ncclInProgress) fail_call(what, state);
    return state == ncclSuccess;
  }

  // A call of NCCL until it has done on the host what it does there. Only then is a collective on
  // its stream.
  template <class Call>
  void call(const char* name, const Call& call) const {
    const ncclResult_t result = call();
    if (result != ncclSuccess && result != ncclInProgress) fail_call(name, result);
    polling_.until([&] { return check_state(name); }, name);
  }

  std::unique_ptr<Communicator> host_;
  Polling polling_;
  Device* device_ = nullptr;
  ncclComm_t joined_ = nullptr;
};

std::string version_text() {
  int version = 0;
  if (ncclGetVersion(&version) != ncclSuccess) return "NCCL";
  return concat("NCCL ", version / 10000, '.', version / 100 % 100, '.', version % 100);
}

}  // namespace
}  // namespace lockstep::nccl

LS_PLUGIN(nccl, registry) {
  registry.communicator(
      "nccl",
      [](const lockstep::CommunicatorOptions& options) -> std::unique_ptr<lockstep::Communicator> {
        return std::make_unique<lockstep::nccl::NcclCommunicator>(options);
      },
      "ranks with a GPU each, started by mpirun or srun; " + lockstep::nccl::version_text());
}
