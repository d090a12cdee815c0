// Collectives over MPI (MPI 3.1, https://www.mpi-forum.org/docs/mpi-3.1): nonblocking ones that the
// communication thread polls, since a blocking collective burns a core while it waits and cannot be
// bounded in time.
//
// All of MPI, from MPI_Init_thread to MPI_Finalize, is called by that one thread
// (MPI_THREAD_FUNNELED).
#include <lockstep/plugin.hpp>

#include <mpi.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <climits>
#include <cstdio>
#include <exception>
#include <string>
#include <thread>
#include <vector>

#include "base/half.hpp"
#include "pmi.hpp"
#include "roll_call.hpp"

namespace {
using namespace lockstep;

// Pieces are in flight together, so that one is reduced while the next travels.
constexpr int64_t kReducePieceBytes = int64_t{1} << 20;
constexpr int64_t kBroadcastPieceBytes = int64_t{1} << 24;
constexpr auto kAbortBound = std::chrono::seconds(2);

void check(int code, const char* call) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  MPI_Error_string(code, text, &length);
  fail(Failure::device, "communicator mpi: ", call, " failed: ", std::string(text),
       "; see the MPI library's own messages above; start the job again with --resume");
}

// MPI has no bfloat16: an element is two bytes, and the sum of two is rounded to one.
void add_bf16(void* from, void* to, int* count, MPI_Datatype*) {
  const auto* const a = static_cast<const Bf16*>(from);
  auto* const b = static_cast<Bf16*>(to);
  for (int i = 0; i < *count; ++i) b[i] = from_float<Bf16>(to_float(a[i]) + to_float(b[i]));
}

class MpiPending final : public Pending {
 public:
  explicit MpiPending(std::vector<MPI_Request> requests)
      : requests_(std::move(requests)), statuses_(requests_.size()) {}

  bool test() override {
    if (requests_.empty()) return true;
    int done = 0;
    const int code =
        MPI_Testall(static_cast<int>(requests_.size()), requests_.data(), &done, statuses_.data());
    if (code == MPI_ERR_IN_STATUS) {
      for (const MPI_Status& status : statuses_) {
        if (status.MPI_ERROR != MPI_ERR_PENDING) check(status.MPI_ERROR, "MPI_Testall");
      }
    }
    check(code, "MPI_Testall");
    return done != 0;
  }

 private:
  std::vector<MPI_Request> requests_;
  std::vector<MPI_Status> statuses_;
};

class MpiCommunicator final : public Communicator {
 public:
  explicit MpiCommunicator(const CommunicatorOptions& options) : options_(options) {
    int initialized = 0;
    check(MPI_Initialized(&initialized), "MPI_Initialized");
    if (initialized) {
      fail(Failure::device,
           "communicator mpi: MPI was started before in this process; MPI starts once only; make "
           "one "
           "communicator and keep it");
    }
    mpi::require_pmi();
    int provided = MPI_THREAD_SINGLE;
    check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread");
    if (provided < MPI_THREAD_FUNNELED) {
      fail(Failure::device,
           "communicator mpi: the MPI library allows no threads beside its own; "
           "MPI_THREAD_FUNNELED is "
           "needed; use an MPI library built with thread support");
    }
    // Open MPI tells errors of nonblocking collectives to MPI_COMM_WORLD; the duplicates inherit
    // the handler.
    check(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
    check(MPI_Comm_dup(MPI_COMM_WORLD, &world_), "MPI_Comm_dup");
    check(MPI_Comm_dup(MPI_COMM_WORLD, &at_end_), "MPI_Comm_dup");
    roll_call_.open(MPI_COMM_WORLD);
    check(MPI_Comm_rank(world_, &rank_), "MPI_Comm_rank");
    check(MPI_Comm_size(world_, &world_size_), "MPI_Comm_size");

    check(MPI_Type_contiguous(size_of(DType::bf16), MPI_BYTE, &bf16_), "MPI_Type_contiguous");
    check(MPI_Type_commit(&bf16_), "MPI_Type_commit");
    check(MPI_Op_create(add_bf16, true, &add_bf16_), "MPI_Op_create");

    MPI_Comm host = MPI_COMM_NULL;
    check(MPI_Comm_split_type(world_, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &host),
          "MPI_Comm_split_type");
    check(MPI_Comm_rank(host, &local_rank_), "MPI_Comm_rank");
    check(MPI_Comm_size(host, &local_size_), "MPI_Comm_size");
    check(MPI_Comm_free(&host), "MPI_Comm_free");
  }

  // mpirun kills the other ranks a second or two after the first has left: all leave together.
  ~MpiCommunicator() override {
    try {
      wait_for_all();
      check(MPI_Op_free(&add_bf16_), "MPI_Op_free");
      check(MPI_Type_free(&bf16_), "MPI_Type_free");
      roll_call_.close();
      check(MPI_Comm_free(&world_), "MPI_Comm_free");
      check(MPI_Comm_free(&at_end_), "MPI_Comm_free");
      check(MPI_Finalize(), "MPI_Finalize");
    } catch (const std::exception& e) {
      std::fprintf(stderr, "lockstep: rank %d of %d: at the end: %s\n", rank_, world_size_,
                   e.what());
      abort(static_cast<int>(Failure::device));
    }
  }

  std::string_view name() const override { return "mpi"; }
  int rank() const override { return rank_; }
  int world_size() const override { return world_size_; }
  int local_rank() const override { return local_rank_; }
  int local_size() const override { return local_size_; }

  std::unique_ptr<Pending> start_all_reduce(void* data, int64_t count, DType dtype,
                                            Memory) override {
    const MPI_Datatype type = dtype == DType::f32   ? MPI_FLOAT
                              : dtype == DType::f64 ? MPI_DOUBLE
                                                    : bf16_;
    if (type == bf16_ && dtype != DType::bf16) {
      fail(Failure::device, "communicator mpi: an all-reduce of ", lockstep::name(dtype),
           "; f32, f64 or bf16 was expected; cast before reducing");
    }
    const int64_t piece = kReducePieceBytes / size_of(dtype);
    std::vector<MPI_Request> requests;
    for (int64_t begin = 0; begin < count; begin += piece) {
      requests.push_back(MPI_REQUEST_NULL);
      check(MPI_Iallreduce(MPI_IN_PLACE, static_cast<char*>(data) + begin * size_of(dtype),
                           static_cast<int>(std::min(piece, count - begin)), type,
                           dtype == DType::bf16 ? add_bf16_ : MPI_SUM, world_, &requests.back()),
            "MPI_Iallreduce");
    }
    return std::make_unique<MpiPending>(std::move(requests));
  }

  std::unique_ptr<Pending> start_broadcast(void* data, int64_t bytes, int root, Memory) override {
    std::vector<MPI_Request> requests;
    for (int64_t begin = 0; begin < bytes; begin += kBroadcastPieceBytes) {
      requests.push_back(MPI_REQUEST_NULL);
      check(MPI_Ibcast(static_cast<char*>(data) + begin,
                       static_cast<int>(std::min(kBroadcastPieceBytes, bytes - begin)), MPI_BYTE,
                       root, world_, &requests.back()),
            "MPI_Ibcast");
    }
    return std::make_unique<MpiPending>(std::move(requests));
  }

  std::unique_ptr<Pending> start_all_gather(const void* mine, void* all, int64_t bytes) override {
    if (bytes > INT_MAX) {
      fail(Failure::device, "communicator mpi: an all-gather of ", bytes,
           " bytes per rank; at most 2 GiB was expected; gather it in parts");
    }
    std::vector<MPI_Request> requests(1, MPI_REQUEST_NULL);
    check(MPI_Iallgather(mine, static_cast<int>(bytes), MPI_BYTE, all, static_cast<int>(bytes),
                         MPI_BYTE, world_, requests.data()),
          "MPI_Iallgather");
    return std::make_unique<MpiPending>(std::move(requests));
  }

  std::vector<Presence> call_roll(int64_t started, double seconds) override {
    return roll_call_.call(started, seconds);
  }
  void answer_roll_call(int64_t started) override { roll_call_.answer(started); }

  [[noreturn]] void abort(int exit_code) noexcept override {
    try {
      std::thread([exit_code] {
        std::this_thread::sleep_for(kAbortBound);
        _exit(exit_code);
      }).detach();
    } catch (const std::exception&) {
      _exit(exit_code);  // without the thread nothing would bound what follows
    }
    std::fflush(nullptr);
    MPI_Abort(MPI_COMM_WORLD, exit_code);
    _exit(exit_code);
  }

 private:
  void wait_for_all() {
    std::vector<MPI_Request> requests(1, MPI_REQUEST_NULL);
    check(MPI_Ibarrier(at_end_, requests.data()), "MPI_Ibarrier");
    MpiPending barrier(std::move(requests));
    double waited_seconds = 0;
    constexpr double kSleepSeconds = 0.0005;
    while (!barrier.test()) {
      if (waited_seconds > options_.timeout_seconds) {
        fail(Failure::device, "communicator mpi: another rank did not come to the end within ",
             options_.timeout_seconds, " s; all ranks must end together");
      }
      roll_call_.answer();
      std::this_thread::sleep_for(std::chrono::duration<double>(kSleepSeconds));
      waited_seconds += kSleepSeconds;
    }
  }

  CommunicatorOptions options_;
  MPI_Comm world_ = MPI_COMM_NULL;   // a duplicate: nobody else's traffic
  MPI_Comm at_end_ = MPI_COMM_NULL;  // one more, so that a rank at its end meets no collective of
                                     // another that goes on
  MPI_Datatype bf16_ = MPI_DATATYPE_NULL;
  MPI_Op add_bf16_ = MPI_OP_NULL;
  mpi::RollCall roll_call_;
  int rank_ = 0;
  int world_size_ = 1;
  int local_rank_ = 0;
  int local_size_ = 1;
};

// "Open MPI v4.1.4": what stands before the details of its build. MPI need not be initialised for
// this.
std::string library_version() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = {};
  int length = 0;
  MPI_Get_library_version(text, &length);
  const std::string_view version(text);
  return std::string(version.substr(0, version.find(',')));
}

}  // namespace

LS_PLUGIN(mpi, registry) {
  registry.communicator(
      "mpi",
      [](const CommunicatorOptions& options) -> std::unique_ptr<Communicator> {
        return std::make_unique<MpiCommunicator>(options);
      },
      "ranks started by mpirun or srun; " + library_version());
}
