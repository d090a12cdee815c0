"""Makes networks.tsv: what PyTorch computes in float64 for whole networks.

    python3 tests/goldens/networks.py > tests/goldens/networks.tsv     (with torch, torchvision)

A line is: the network, the activation ("relu", or "tanh" in its place), the subject, its numbers.
"losses": of some steps of SGD. "gradient NAME": a sketch of a parameter's first gradient. "logits":
a sketch of what the network says of other images in evaluation mode after those steps. A sketch is
explained in tests/support/sketch.hpp. networks_test.cpp holds the same table of networks and says
why the training differs by activation.
"""

import sys

import numpy
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from golden_values import golden_hash, golden_values

torch.set_default_dtype(torch.float64)
CLASSES, LR, SKETCH_SIZE = 10, 0.001, 8
STEPS = {"relu": 20, "tanh": 5}
MOMENTUM = {"relu": 0, "tanh": 0.9}
MEAN, STD = [0.5, 0.4375, 0.40625], [0.25, 0.3125, 0.28125]


class Shortcut(nn.Module):
    """He et al., section 4.2, option A: every other pixel, new channels of zeros on both sides."""

    def __init__(self, added):
        super().__init__()
        self.added = added

    def forward(self, x):
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.added // 2, self.added // 2))


class Block(nn.Module):
    def __init__(self, before, width):
        super().__init__()
        stride = width // before
        self.conv1 = nn.Conv2d(before, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.shortcut = nn.Identity() if stride == 1 else Shortcut(width - before)
        self.relu = nn.ReLU()

    def forward(self, x):
        y = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class CifarResNet20(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.relu = nn.ReLU()
        self.layer1 = nn.Sequential(Block(16, 16), Block(16, 16), Block(16, 16))
        self.layer2 = nn.Sequential(Block(16, 32), Block(32, 32), Block(32, 32))
        self.layer3 = nn.Sequential(Block(32, 64), Block(64, 64), Block(64, 64))
        self.linear = nn.Linear(64, CLASSES)

    def forward(self, x):
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean((2, 3)))


class ConvNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 16, 3, padding=1)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        self.fc = nn.Linear(16 * 7 * 7, CLASSES)

    def forward(self, x):
        x = self.pool(self.relu(self.conv1(x)))
        x = self.pool(self.relu(self.conv2(x)))
        return self.fc(x.flatten(1))


def resnet18():
    return torchvision.models.resnet18(num_classes=CLASSES)


def resnet18_small():
    network = resnet18()
    network.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
    network.maxpool = nn.Identity()
    return network


NETWORKS = {
    "resnet18": (resnet18, (8, 3, 96, 96)),
    "resnet18_small": (resnet18_small, (8, 3, 32, 32)),
    "cifar_resnet20": (CifarResNet20, (16, 3, 32, 32)),
    "convnet": (ConvNet, (16, 1, 28, 28)),
}


def use_tanh(network):
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.ReLU):
                setattr(module, name, nn.Tanh())


def fill_parameters(network):
    """Weights like He's, norms about 1, biases about 0; all are float32 exactly."""
    for name, parameter in network.named_parameters():
        values = golden_values(name, parameter.numel())
        if parameter.dim() > 1:
            values = values * numpy.float32((6 / parameter[0].numel()) ** 0.5)
        elif name.endswith("bias"):
            values = values * numpy.float32(0.125)
        else:
            values = values * numpy.float32(0.125) + numpy.float32(1)
        assert values.dtype == numpy.float32
        with torch.no_grad():
            parameter.copy_(torch.from_numpy(values).reshape(parameter.shape))


def images(name, shape):
    pixels = golden_hash(name, int(numpy.prod(shape))).astype(numpy.uint8)
    scaled = torch.from_numpy(pixels.astype(numpy.float64)).reshape(shape) / 255
    channels = shape[1]
    mean, std = torch.tensor(MEAN[:channels]), torch.tensor(STD[:channels])
    return (scaled - mean.reshape(-1, 1, 1)) / std.reshape(-1, 1, 1)


def sketch(tensor):
    values = tensor.detach().flatten().numpy()
    odd = golden_hash("sketch", values.size) & numpy.uint32(1)
    signed = numpy.where(odd == 1, -values, values)
    return [numpy.linalg.norm(values), *(signed[k::SKETCH_SIZE].sum() for k in range(SKETCH_SIZE))]


def write(name, activation, subject, numbers, digits=9):
    texts = (f"{number:.{digits}g}" for number in numbers)
    print(name, activation, subject, *texts, sep="\t", flush=True)


def run(name, activation):
    make, shape = NETWORKS[name]
    network = make()
    if activation == "tanh":
        use_tanh(network)
    fill_parameters(network)
    network.train()
    x = images("images", shape)
    labels = golden_hash("labels", shape[0]) % numpy.uint32(CLASSES)
    labels = torch.from_numpy(labels.astype(numpy.int64))
    optimizer = torch.optim.SGD(network.parameters(), lr=LR, momentum=MOMENTUM[activation])
    losses = []
    for step in range(STEPS[activation]):
        optimizer.zero_grad()
        loss = F.cross_entropy(network(x), labels)
        loss.backward()
        losses.append(loss.item())
        if step == 0:
            for parameter_name, parameter in network.named_parameters():
                write(name, activation, f"gradient {parameter_name}", sketch(parameter.grad))
        optimizer.step()
    write(name, activation, "losses", losses)
    network.eval()
    with torch.no_grad():
        write(name, activation, "logits", sketch(network(images("other images", shape))))


def main():
    for name in NETWORKS:
        for activation in ("relu", "tanh"):
            run(name, activation)


if __name__ == "__main__":
    sys.exit(main())
