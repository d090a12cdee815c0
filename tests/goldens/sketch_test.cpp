// The estimator by which whole networks are compared: it must see differences of every kind.
#include "support/sketch.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

namespace lockstep::testing {
namespace {

using Tensor = std::vector<float>;

Tensor make_tensor(std::string_view name, size_t count) {
  Tensor tensor(count);
  for (size_t i = 0; i < count; ++i) tensor[i] = golden_value(name, i);
  return tensor;
}

double dot(const Tensor& a, const Tensor& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

double true_distance(const Tensor& a, const Tensor& b) {
  return std::sqrt(dot(a, a) + dot(b, b) - 2 * dot(a, b));
}

struct Mistake {
  std::string name;
  std::function<void(Tensor&)> make;
};

const std::vector<Mistake>& mistakes() {
  static const std::vector<Mistake> mistakes = {
      {"noise of four percent",
       [](Tensor& t) {
         const Tensor noise = make_tensor("noise", t.size());
         for (size_t i = 0; i < t.size(); ++i) t[i] += 0.04f * noise[i];
       }},
      {"noise on a tenth",
       [](Tensor& t) {
         const Tensor noise = make_tensor("noise", t.size());
         for (size_t i = 0; i < t.size() / 10; ++i) t[i] += noise[i];
       }},
      {"four percent too large",
       [](Tensor& t) {
         for (float& v : t) v *= 1.04f;
       }},
      {"one element wrong", [](Tensor& t) { t[t.size() / 2] += 3; }},
      {"a filter of zeros", [](Tensor& t) { std::fill_n(t.begin(), t.size() / 16, 0.0f); }},
      {"sign lost",
       [](Tensor& t) {
         for (float& v : t) v = -v;
       }},
      {"shifted by one", [](Tensor& t) { std::rotate(t.begin(), t.begin() + 1, t.end()); }},
      {"back to front", [](Tensor& t) { std::reverse(t.begin(), t.end()); }},
      {"another tensor", [](Tensor& t) { t = make_tensor("another", t.size()); }},
  };
  return mistakes;
}

TEST(SketchTest, EstimatesTheSizeOfEveryMistake) {
  for (size_t count : {64u, 432u, 2304u, 36864u, 589824u}) {
    const Tensor right = make_tensor("right", count);
    for (const Mistake& mistake : mistakes()) {
      SCOPED_TRACE(mistake.name + " of " + std::to_string(count));
      Tensor wrong = right;
      mistake.make(wrong);
      const double truth = true_distance(wrong, right);
      const double estimate = distance(Sketch::of(wrong), Sketch::of(right));
      EXPECT_GT(estimate, truth / 2.5);
      EXPECT_LT(estimate, truth * 2.5);
    }
  }
}

TEST(SketchTest, ComparesSmallTensorsExactly) {
  const Tensor a = make_tensor("a", 8), b = make_tensor("b", 8);
  EXPECT_NEAR(distance(Sketch::of(a), Sketch::of(b)), true_distance(a, b), 1e-12);
  const double true_cosine = dot(a, b) / std::sqrt(dot(a, a) * dot(b, b));
  EXPECT_NEAR(cosine(Sketch::of(a), Sketch::of(b)), true_cosine, 1e-12);
}

TEST(SketchTest, TellsTheCosineOfSimilarTensors) {
  const Tensor a = make_tensor("a", 10000), noise = make_tensor("noise", 10000);
  Tensor b = a;
  for (size_t i = 0; i < b.size(); ++i) b[i] = 2 * (a[i] + 0.1f * noise[i]);
  const double true_cosine = dot(a, b) / std::sqrt(dot(a, a) * dot(b, b));
  const double estimate = 1 - cosine(Sketch::of(a), Sketch::of(b));
  EXPECT_GT(estimate, (1 - true_cosine) / 6);
  EXPECT_LT(estimate, (1 - true_cosine) * 6);
}

}  // namespace
}  // namespace lockstep::testing
