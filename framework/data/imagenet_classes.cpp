// The names are those of torchvision's torchvision/models/_meta.py (BSD 3-Clause), the numbers
// those of the folders of ILSVRC 2012, whose order is the classes'.
#include "data/imagenet_classes.hpp"

#include <algorithm>
#include <array>

namespace lockstep {
namespace {

struct ImagenetClass {
  std::string_view wnid;
  std::string_view name;
};

constexpr ImagenetClass kClasses[] = {
#include "data/imagenet_classes.inc"
};
constexpr size_t kCount = std::size(kClasses);
static_assert(kCount == 1000);

constexpr auto column(std::string_view ImagenetClass::*member) {
  std::array<std::string_view, kCount> texts;
  for (size_t i = 0; i < kCount; ++i) texts[i] = kClasses[i].*member;
  return texts;
}
constexpr auto kNames = column(&ImagenetClass::name);
constexpr auto kWnids = column(&ImagenetClass::wnid);
static_assert(std::is_sorted(kWnids.begin(), kWnids.end()));

}  // namespace

std::span<const std::string_view> imagenet_class_names() { return kNames; }
std::span<const std::string_view> imagenet_wnids() { return kWnids; }

std::string_view imagenet_name_of(std::string_view wnid) {
  const auto at = std::lower_bound(kWnids.begin(), kWnids.end(), wnid);
  if (at == kWnids.end() || *at != wnid) return {};
  return kNames[static_cast<size_t>(at - kWnids.begin())];
}

}  // namespace lockstep
