"""Makes networks_classic.tsv: one training step and the logits of torchvision's networks.

    python3 tests/goldens/networks_classic.py > tests/goldens/networks_classic.tsv

Computed in float64 (with torch, torchvision). The lines are those of networks.tsv; "losses" has one
number, and "logits" has all of them, in evaluation mode before the step, with running statistics
from the formula too. Dropout is off. "smooth" networks have tanh in place of ReLU and average in
place of max pooling, so that rounding flips nothing. "float32" is the largest relative error of a
gradient of PyTorch's own in float32: what rounding does to such a network. SMALL have all of these;
of BIG there are the logits with ReLU. networks_classic_test.cpp and networks_big_test.cpp hold the
same tables.
"""

import contextlib
import sys
from unittest import mock

import numpy
import torch
import torch.nn.functional as F
from torch import nn
from torchvision import models

from golden_values import golden_hash, golden_values
from networks import CLASSES, fill_parameters, images, sketch, write

def resnet34_every_stage():
    """A variant in use: a projection in every stage's first block, and wider early stages."""
    network = models.resnet34(num_classes=CLASSES)
    stages = [(64, 128, 1), (128, 256, 2), (256, 512, 2), (512, 512, 2)]
    for (before, width, stride), blocks in zip(stages, (3, 4, 6, 3)):
        layer = []
        for i in range(blocks):
            first = i == 0
            downsample = nn.Sequential(
                nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width)
            )
            layer.append(
                models.resnet.BasicBlock(
                    before if first else width,
                    width,
                    stride if first else 1,
                    downsample if first else None,
                )
            )
        setattr(network, f"layer{stages.index((before, width, stride)) + 1}", nn.Sequential(*layer))
    network.avgpool = nn.AvgPool2d(7)
    return network


def resnet50_first_version():
    """He et al.: a block halves the picture in its first 1x1 convolution; with biases here."""
    network = models.resnet50(num_classes=CLASSES)
    for name, module in list(network.named_modules()):
        if isinstance(module, models.resnet.Bottleneck):
            module.conv1.stride, module.conv2.stride = module.conv2.stride, module.conv1.stride
        if isinstance(module, nn.Conv2d):
            module.bias = nn.Parameter(torch.zeros(module.out_channels))
    return network


def torchvision(name, **options):
    return lambda: getattr(models, name)(num_classes=CLASSES, **options)


ONE_DROPOUT = {"dropout": 0.0}
GOOGLENET = {"dropout": 0.0, "dropout_aux": 0.0, "init_weights": False}
INCEPTION = {"dropout": 0.0, "init_weights": False}
SMALL = {
    "alexnet": (torchvision("alexnet", **ONE_DROPOUT), (2, 3, 64, 64)),
    "googlenet": (torchvision("googlenet", **GOOGLENET), (4, 3, 64, 64)),
    "inception_v3": (torchvision("inception_v3", aux_logits=False, **INCEPTION), (4, 3, 139, 139)),
    "resnet34_every_stage": (resnet34_every_stage, (2, 3, 224, 224)),
    "resnet50_first_version": (resnet50_first_version, (4, 3, 64, 64)),
    "resnext50_32x4d": (torchvision("resnext50_32x4d"), (4, 3, 64, 64)),
}
BIG = {
    "resnet34": (torchvision("resnet34"), (4, 3, 64, 64)),
    "resnet50": (torchvision("resnet50"), (4, 3, 64, 64)),
    "resnet101": (torchvision("resnet101"), (4, 3, 64, 64)),
    "resnet152": (torchvision("resnet152"), (4, 3, 64, 64)),
    "resnext101_32x8d": (torchvision("resnext101_32x8d"), (4, 3, 64, 64)),
    "wide_resnet50_2": (torchvision("wide_resnet50_2"), (4, 3, 64, 64)),
    "wide_resnet101_2": (torchvision("wide_resnet101_2"), (4, 3, 64, 64)),
}
for depth in (11, 13, 16, 19):
    for norm in ("", "_bn"):
        BIG[f"vgg{depth}{norm}"] = (torchvision(f"vgg{depth}{norm}", **ONE_DROPOUT), (4, 3, 32, 32))
AUXILIARY_WEIGHT = 0.3  # GoogLeNet's


def fill_buffers(network):
    for name, buffer in network.named_buffers():
        if buffer.dim() == 0:
            continue  # num_batches_tracked
        values = golden_values(name, buffer.numel()) * numpy.float32(0.125)
        if name.endswith("running_var"):
            values = values + numpy.float32(1)
        buffer.copy_(torch.from_numpy(values))


def loss_of(outputs, labels):
    if torch.is_tensor(outputs):
        return F.cross_entropy(outputs, labels)
    logits, *auxiliary = outputs
    loss = F.cross_entropy(logits, labels)
    return loss + AUXILIARY_WEIGHT * sum(F.cross_entropy(a, labels) for a in auxiliary)


def one_step(network, x, labels):
    network.train()
    network.zero_grad()
    loss = loss_of(network(x), labels)
    loss.backward()
    gradients = [(n, parameter.grad.clone()) for n, parameter in network.named_parameters()]
    return loss.item(), gradients


def run(name, kind, make, shape, with_step):
    network = make()
    if kind == "smooth":
        make_smooth(network)
    fill_parameters(network)
    fill_buffers(network)
    x = images("images", shape)
    network.eval()
    with torch.no_grad():
        write(name, kind, "logits", network(x).flatten().tolist())
    if with_step:
        write_step(name, kind, network, x)


def write_step(name, kind, network, x):
    labels = golden_hash("labels", x.shape[0]) % numpy.uint32(CLASSES)
    labels = torch.from_numpy(labels.astype(numpy.int64))
    loss, gradients = one_step(network, x, labels)
    write(name, kind, "losses", [loss])
    largest = max(gradient.norm() for _, gradient in gradients)
    _, rounded = one_step(network.to(torch.float32), x.to(torch.float32), labels)
    errors = [
        ((exact - other).norm() / exact.norm()).item()
        for (_, exact), (_, other) in zip(gradients, rounded)
        if exact.norm() > 1e-6 * largest
    ]
    write(name, kind, "float32", [max(errors)], digits=2)
    for parameter_name, gradient in gradients:
        # Those of biases before a batch norm are zero but for rounding.
        numbers = sketch(gradient) if gradient.norm() > 1e-6 * largest else [0] * 9
        write(name, kind, f"gradient {parameter_name}", numbers, digits=6)


def make_smooth(network):
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.ReLU):
                setattr(module, name, nn.Tanh())
            elif isinstance(child, nn.MaxPool2d):
                pool = nn.AvgPool2d(child.kernel_size, child.stride, child.padding, child.ceil_mode)
                setattr(module, name, pool)


@contextlib.contextmanager
def smooth_functions():
    """For networks that call functions instead of having modules."""
    with mock.patch.object(F, "relu", lambda x, inplace=False: torch.tanh(x)):
        with mock.patch.object(F, "max_pool2d", F.avg_pool2d):
            yield


def main():
    for name, (make, shape) in SMALL.items():
        for kind in ("relu", "smooth"):
            with smooth_functions() if kind == "smooth" else contextlib.nullcontext():
                run(name, kind, make, shape, with_step=True)
    for name, (make, shape) in BIG.items():
        run(name, "relu", make, shape, with_step=False)


if __name__ == "__main__":
    sys.exit(main())
