"""Training steps in PyTorch's eager mode on one fixed batch of noise, or evaluations by its frozen
TorchScript, driven through standard input.

    python3 torch_step.py CASE THREADS cpu|cuda fp32|bf16|fp16 BATCH_SIZE nchw|channels_last

Each line of input says how many steps to run; the answer is the seconds they took. A step is what
it is in step.cpp: uint8 images to standardised floats, forward, mean cross-entropy, backward,
SGD with momentum and weight decay (fused, the fastest there is), and the loss read. In bf16 and fp16
autocast chooses what is computed in half, and in fp16 a GradScaler scales the loss. On a GPU the
images come from pinned memory in every step, cuDNN measures its engines, and fp32 may use TF32: all
three are Lockstep's defaults. An evaluation, on the cpu in fp32, is uint8 images to logits, traced,
frozen and optimised for inference, which folds batch norm into the convolutions and lets oneDNN
choose its formats.
"""

import sys
import time
import warnings

import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from cases import CASES


class CifarBlock(nn.Module):
    """Two 3x3 convolutions beside a parameter-free shortcut (arXiv:1512.03385, option A)."""

    def __init__(self, width_in, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.stride = stride
        self.added = width - width_in

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        if self.added:
            half = self.added // 2
            x = x[:, :, :: self.stride, :: self.stride]
            x = F.pad(x, (0, 0, 0, 0, half, self.added - half))
        return F.relu(y + x, inplace=True)


def resnet20(classes):
    layers = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True)]
    before = 16
    for width in (16, 32, 64):
        for _ in range(3):
            layers.append(CifarBlock(before, width, 1 if before == width else 2))
            before = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, classes))


def resnet18_small_images(classes):
    model = torchvision.models.resnet18(num_classes=classes)
    model.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
    model.maxpool = nn.Identity()
    return model


def convnet(classes):
    def stage(before, channels):
        return nn.Conv2d(before, channels, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2)

    return nn.Sequential(*stage(1, 8), *stage(8, 16), nn.Flatten(), nn.Linear(784, classes))


MODELS = {
    "c18": resnet18_small_images,
    "resnet20": resnet20,
    "convnet": convnet,
    "r18": lambda classes: torchvision.models.resnet18(num_classes=classes),
    "r50": lambda classes: torchvision.models.resnet50(num_classes=classes),
}


class Standardized(nn.Module):
    """A model of uint8 images."""

    def __init__(self, model, channels):
        super().__init__()
        self.model = model
        self.register_buffer("scale", torch.full((channels, 1, 1), 1 / (255 * 0.25)))
        self.register_buffer("shift", torch.full((channels, 1, 1), -0.5 / 0.25))

    def forward(self, images):
        return self.model(images.float().mul_(self.scale).add_(self.shift))


def training_step(model, case, images, device, precision):
    model.train()
    optimizer = torch.optim.SGD(
        model.parameters(),
        lr=1e-4,
        momentum=case.momentum,
        nesterov=case.momentum > 0,
        weight_decay=5e-4,
        fused=True,
    )
    labels = torch.arange(images.shape[0]) % case.classes
    if device == "cuda":
        images, labels = images.pin_memory(), labels.pin_memory()
    half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision)
    scaler = torch.amp.GradScaler(device, enabled=precision == "fp16")

    def step():
        x = images.to(device, non_blocking=True)
        y = labels.to(device, non_blocking=True)
        with torch.autocast(device, dtype=half, enabled=half is not None):
            loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad(set_to_none=True)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        return loss.item()

    return step


def evaluation_step(model, images):
    warnings.simplefilter("ignore", FutureWarning)  # TorchScript's own, that it is deprecated
    with torch.no_grad():
        traced = torch.jit.trace(model.eval(), images)
        frozen = torch.jit.optimize_for_inference(torch.jit.freeze(traced))
        for _ in range(3):  # the first runs profile and compile
            frozen(images)

    def step():
        with torch.no_grad():
            frozen(images)

    return step


def main():
    name, threads, device, precision, batch_size, layout = sys.argv[1:]
    case = CASES[name]
    torch.set_num_threads(int(threads))
    torch.manual_seed(1)
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = True
    memory_format = torch.channels_last if layout == "channels_last" else torch.contiguous_format

    model = MODELS[name.removesuffix("-evaluation")](case.classes)
    model = Standardized(model.to(memory_format=memory_format), case.image[0]).to(device)
    images = torch.randint(0, 256, (int(batch_size), *case.image), dtype=torch.uint8)
    images = images.contiguous(memory_format=memory_format)
    if case.evaluation:
        step = evaluation_step(model, images)
    else:
        step = training_step(model, case, images, device, precision)

    for line in sys.stdin:
        started = time.perf_counter()
        for _ in range(int(line)):
            step()
        print(time.perf_counter() - started, flush=True)


if __name__ == "__main__":
    main()
