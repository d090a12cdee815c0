// Kernels that move channels or pixels of plain or blocked images: concat, slice_channels,
// pad_channels, subsample.
//
// Channels may move by any number of places, so a block of the result can take from two blocks of
// each source.
#include <cstring>
#include <lockstep/plugin.hpp>
#include <vector>

#include "kernels.hpp"
#include "view.hpp"

namespace lockstep::cpu {
namespace {

// Channels [first, first + count) of x become channels [to, to + count) of y.
struct Move {
  size_t input;
  ImageView x;
  int64_t first;
  int64_t count;
  int64_t to;
};

// `lanes` neighbouring channels of every pixel; pointers to the first of them.
LOCKSTEP_CLONES void copy_lanes(const float* from, float* to, int64_t pixels, int64_t block,
                                int64_t lanes) {
  if (lanes == 8) {
    for (int64_t p = 0; p < pixels; ++p) {
      for (int64_t k = 0; k < 8; ++k) to[p * block + k] = from[p * block + k];
    }
    return;
  }
  for (int64_t p = 0; p < pixels; ++p) {
    for (int64_t k = 0; k < lanes; ++k) to[p * block + k] = from[p * block + k];
  }
}

// The part of a move that falls into one block of sample n of y.
void move_into_block(const Move& move, const float* x, int64_t n, const ImageView& view,
                     int64_t block, float* y) {
  const int64_t size = view.block;
  int64_t c = std::max(move.to, block * size);
  const int64_t end = std::min(move.to + move.count, (block + 1) * size);
  while (c < end) {
    const int64_t source = c - move.to + move.first;
    const int64_t lanes = std::min(end - c, size - source % size);
    const float* from = x + move.x.offset(n, source / size) + source % size;
    float* to = y + view.offset(n, block) + c % size;
    if (lanes == size) {
      std::memcpy(to, from, static_cast<size_t>(view.row()) * sizeof(float));
    } else {
      copy_lanes(from, to, view.pixels(), size, lanes);
    }
    c += lanes;
  }
}

// All moves; channels that none of them fills become zero.
std::unique_ptr<Kernel> make_moves(const KernelRequest& request, std::vector<Move> moves,
                                   HostDevice& host) {
  require_one_layout(request);
  CpuDevice& device = as_cpu(host);
  const auto view = ImageView::of(request.outputs[0]);
  std::vector<bool> filled;  // per block: completely, by the moves
  for (int64_t b = 0; b < view.blocks; ++b) {
    int64_t channels = 0;
    for (const Move& move : moves) {
      channels += std::max<int64_t>(0, std::min(move.to + move.count, (b + 1) * view.block) -
                                           std::max(move.to, b * view.block));
    }
    filled.push_back(channels == view.block);
  }
  return make_kernel(
      [=, &device](const KernelArguments& arguments) {
        float* y = output(arguments, 0);
        device.parallel_tasks(view.rows(), [&](int64_t begin, int64_t end) {
          for (int64_t r = begin; r < end; ++r) {
            const int64_t n = r / view.blocks, block = r % view.blocks;
            if (!filled[static_cast<size_t>(block)]) {
              std::fill_n(y + view.offset(n, block), view.row(), 0.0f);
            }
            for (const Move& move : moves) {
              move_into_block(move, input(arguments, move.input), n, view, block, y);
            }
          }
        });
      },
      "loops");
}

// x0 (N, C0, …), x1 (N, C1, …), … -> (N, C0 + C1 + …, …)
std::unique_ptr<Kernel> make_concat(const KernelRequest& request, HostDevice& device) {
  std::vector<Move> moves;
  int64_t to = 0;
  for (size_t i = 0; i < request.inputs.size(); ++i) {
    const auto x = ImageView::of(request.inputs[i]);
    moves.push_back({.input = i, .x = x, .first = 0, .count = x.channels, .to = to});
    to += x.channels;
  }
  return make_moves(request, std::move(moves), device);
}

// x -> x[:, begin : begin + count]
std::unique_ptr<Kernel> make_slice_channels(const KernelRequest& request, HostDevice& device) {
  const auto& slice = request.attributes.as<ChannelsAttributes>();
  const auto x = ImageView::of(request.inputs[0]);
  return make_moves(
      request, {{.input = 0, .x = x, .first = slice.begin, .count = slice.count, .to = 0}}, device);
}

// x -> zeros before and after the channels
std::unique_ptr<Kernel> make_pad_channels(const KernelRequest& request, HostDevice& device) {
  const auto& pad = request.attributes.as<ChannelsAttributes>();
  const auto x = ImageView::of(request.inputs[0]);
  return make_moves(
      request, {{.input = 0, .x = x, .first = 0, .count = x.channels, .to = pad.begin}}, device);
}

// Every stride-th pixel, from small to large or from large to small.
template <int kBlock>
LOCKSTEP_CLONES void copy_pixels(const float* from, int64_t from_stride, float* to,
                                 int64_t to_stride, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
#pragma omp simd
    for (int64_t k = 0; k < kBlock; ++k) {
      to[i * to_stride * kBlock + k] = from[i * from_stride * kBlock + k];
    }
  }
}

// subsample: x (N, C, H, W) -> x[:, :, ::stride, ::stride]; subsample_grad: dy -> dx, zeros between
std::unique_ptr<Kernel> make_subsample(const KernelRequest& request, HostDevice& host) {
  require_one_layout(request);
  CpuDevice& device = as_cpu(host);
  const bool gradient = request.op == "subsample_grad";
  const auto from = ImageView::of(request.inputs[0]);
  const auto to = ImageView::of(request.outputs[0]);
  const auto& small = gradient ? from : to;
  const int64_t height = small.height, width = small.width;
  const int64_t stride = request.attributes.as<SubsampleAttributes>().stride;
  const int64_t from_step = gradient ? 1 : stride, to_step = gradient ? stride : 1;
  return with_block(static_cast<int>(from.block), [&](auto block) {
    return make_kernel(
        [=, &device](const KernelArguments& arguments) {
          const float* x = input(arguments, 0);
          float* y = output(arguments, 0);
          device.parallel_tasks(from.rows(), [&](int64_t begin, int64_t end) {
            for (int64_t r = begin; r < end; ++r) {
              if (gradient) std::fill_n(y + r * to.row(), to.row(), 0.0f);
              for (int64_t h = 0; h < height; ++h) {
                copy_pixels<block.value>(
                    x + r * from.row() + h * from_step * from.width * from.block, from_step,
                    y + r * to.row() + h * to_step * to.width * to.block, to_step, width);
              }
            }
          });
        },
        "loops");
  });
}

}  // namespace

void add_copy_kernels(HostKernelTable& table) {
  table.set("concat", make_concat);
  table.set("slice_channels", make_slice_channels);
  table.set("pad_channels", make_pad_channels);
  table.set("subsample", make_subsample);
  table.set("subsample_grad", make_subsample);
}

}  // namespace lockstep::cpu
