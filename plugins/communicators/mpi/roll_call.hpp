// Who is there: ranks ask each other over a communicator of their own how many collectives they
// have started. Only eager messages of 8 bytes, so that nothing here waits for a rank that is gone.
#pragma once

#include <lockstep/plugin.hpp>

#include <mpi.h>
#include <unistd.h>

#include <chrono>
#include <deque>
#include <string>
#include <thread>
#include <vector>

namespace lockstep::mpi {

class RollCall {
 public:
  // Collective, as close().
  void open(MPI_Comm world) {
    MPI_Comm_dup(world, &ranks_);
    MPI_Comm_rank(ranks_, &rank_);
    MPI_Comm_size(ranks_, &size_);
    char mine[kNameBytes] = "";
    gethostname(mine, sizeof mine - 1);
    std::string all(static_cast<size_t>(size_) * kNameBytes, '\0');
    MPI_Allgather(mine, kNameBytes, MPI_CHAR, all.data(), kNameBytes, MPI_CHAR, ranks_);
    for (int rank = 0; rank < size_; ++rank)
      hosts_.emplace_back(all.c_str() + static_cast<size_t>(rank) * kNameBytes);
  }
  void close() { MPI_Comm_free(&ranks_); }

  // Answers whoever has asked.
  void answer(int64_t started) {
    started_ = started;
    int64_t theirs = 0;
    for (int from = take(kQuestion, theirs); from >= 0; from = take(kQuestion, theirs))
      send(from, kAnswer);
  }
  void answer() { answer(started_); }

  // Asks all others, and answers them meanwhile.
  std::vector<Presence> call(int64_t started, double seconds) {
    started_ = started;
    std::vector<Presence> ranks;
    for (const std::string& host : hosts_) ranks.push_back({.host = host});
    ranks[static_cast<size_t>(rank_)].answers = true;
    for (int rank = 0; rank < size_; ++rank) {
      if (rank != rank_) send(rank, kQuestion);
    }
    int missing = size_ - 1;
    const auto begin = std::chrono::steady_clock::now();
    const std::chrono::duration<double> bound(seconds);
    while (missing > 0 && std::chrono::steady_clock::now() - begin < bound) {
      answer();
      int64_t theirs = 0;
      for (int from = take(kAnswer, theirs); from >= 0; from = take(kAnswer, theirs)) {
        Presence& rank = ranks[static_cast<size_t>(from)];
        if (!rank.answers) --missing;
        rank.answers = true;
        rank.started = theirs;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return ranks;
  }

 private:
  static constexpr int kQuestion = 1;
  static constexpr int kAnswer = 2;
  static constexpr int kNameBytes = 64;
  struct Outgoing {
    int64_t started;
    MPI_Request request = MPI_REQUEST_NULL;
  };

  // The rank that a message with this tag came from; -1: there is none.
  int take(int tag, int64_t& started) {
    int there = 0;
    MPI_Status status;
    if (MPI_Iprobe(MPI_ANY_SOURCE, tag, ranks_, &there, &status) != MPI_SUCCESS || !there)
      return -1;
    MPI_Recv(&started, 1, MPI_INT64_T, status.MPI_SOURCE, tag, ranks_, MPI_STATUS_IGNORE);
    return status.MPI_SOURCE;
  }

  // A send that fails is to a rank that will not answer: nothing more to be done about it.
  void send(int rank, int tag) {
    Outgoing& message = outgoing_.emplace_back(Outgoing{.started = started_});
    MPI_Isend(&message.started, 1, MPI_INT64_T, rank, tag, ranks_, &message.request);
  }

  MPI_Comm ranks_ = MPI_COMM_NULL;
  int rank_ = 0;
  int size_ = 1;
  int64_t started_ = 0;
  std::vector<std::string> hosts_;
  std::deque<Outgoing> outgoing_;  // a few in a job's life: kept to its end
};

}  // namespace lockstep::mpi
