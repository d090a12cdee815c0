// Progress for people: one bar per epoch on a terminal, plain lines elsewhere.
#pragma once

#include <chrono>
#include <string>

#include "train/observer.hpp"

namespace lockstep {

// The bar, without colours, at most `width` columns wide:
// "epoch 2/10 [=====>     ] 120/391  loss 1.2345  top1 55.1%  1234 images/s  0:12 left"
std::string progress_bar(const Record& step, const Place& place, double seconds_left, int width);
// "epoch 2/10 step 511  loss 1.2345  top1 55.1%  lr 0.1  1234 images/s"
std::string step_line(const Record& step, const Place& place);
// "epoch 2/10  loss 1.2345  top1 55.12%  1234 images/s  12.3 s"
std::string epoch_line(const Record& epoch, const Place& place);
// "test: loss 0.4321  top1 86.12%  top5 99.10%  10,000 samples  1.2 s"
std::string evaluation_line(const Record& evaluation);

class Terminal final : public Observer {
 public:
  explicit Terminal(bool quiet);
  ~Terminal() override;

  void on_step(const Record& record, const Place& place, bool logged) override;
  void on_epoch(const Record& record, const Place& place) override;
  void on_evaluation(const Record& record) override;
  void on_checkpoint(const Record& record) override;

 private:
  using Clock = std::chrono::steady_clock;
  void draw(const Record& record, const Place& place);
  void erase();

  bool quiet_;
  bool bar_;  // stdout is a terminal that can redraw a line
  bool colors_;
  bool drawn_ = false;
  Clock::time_point last_{};
  double seconds_per_step_ = 0;  // smoothed over steps
};

}  // namespace lockstep
