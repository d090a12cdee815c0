"""Shows that PyTorch, safetensors and onnxruntime take what `lockstep export` writes.

    python tests/goldens/check_exports.py [--build build] [CASE ...]
    needs torch, torchvision, safetensors, onnx, onnxruntime and the built command

Each case trains a network for two steps on synthetic pictures and exports it three times. Checked:
torch.load(weights_only=True) and load_file give the same tensors; torchvision's module of the same name (or one below)
takes them with strict=True; the ONNX file is valid, and its logits are those of the module for batches of 1 and 5.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy
import onnx
import onnxruntime
import torch
import torchvision
from safetensors.torch import load_file



class CifarBlock(torch.nn.Module):
    """Two 3x3 convolutions; the shortcut skips rows and columns and adds channels of zeros (option A)."""

    def __init__(self, channels, width, stride):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(width)
        self.conv2 = torch.nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = torch.nn.BatchNorm2d(width)
        self.stride, self.more = stride, (width - channels) // 2

    def forward(self, x):
        shortcut = torch.nn.functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.more, self.more))
        return torch.relu(self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x))))) + shortcut)


class CifarResNet20(torch.nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(16)
        for stage, (channels, width, stride) in enumerate([(16, 16, 1), (16, 32, 2), (32, 64, 2)], 1):
            blocks = [CifarBlock(channels if i == 0 else width, width, stride if i == 0 else 1) for i in range(3)]
            setattr(self, f"layer{stage}", torch.nn.Sequential(*blocks))
        self.linear = torch.nn.Linear(64, classes)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(torch.relu(self.bn1(self.conv1(x))))))
        return self.linear(x.mean((2, 3)))


# The command's model, options and picture; the module that takes the weights, or None.
CASES = {
    "resnet18": ("resnet", ["depth=18"], 64, lambda n: torchvision.models.resnet18(num_classes=n)),
    "resnet50": ("resnet", ["depth=50"], 64, lambda n: torchvision.models.resnet50(num_classes=n)),
    "resnext50": ("resnet", ["depth=50", "groups=32", "width_per_group=4"], 64, lambda n: torchvision.models.resnext50_32x4d(num_classes=n)),
    "alexnet": ("alexnet", [], 70, lambda n: torchvision.models.alexnet(num_classes=n)),
    "vgg11": ("vgg", ["depth=11"], 40, lambda n: torchvision.models.vgg11(num_classes=n)),
    "vgg16_bn": ("vgg", ["depth=16", "batch_norm=true"], 40, lambda n: torchvision.models.vgg16_bn(num_classes=n)),
    "googlenet": ("googlenet", [], 96, lambda n: torchvision.models.googlenet(
        num_classes=n, aux_logits=True, transform_input=False, init_weights=False)),
    "inception_v3": ("inception_v3", [], 299, lambda n: torchvision.models.inception_v3(
        num_classes=n, aux_logits=True, transform_input=False, init_weights=False)),
    "cifar_resnet": ("cifar_resnet", ["depth=20"], 32, CifarResNet20),
    "convnet": ("convnet", [], 28, None),
    "lenet5": ("lenet5", [], 28, None),
}


def recipe(model, options, size):
    options = "\n".join(options)
    return f"""
seed = 3
[model]
name = "{model}"
{options}
[data]
name = "shapes"
train_size = 8
test_size = 4
train_transforms = [ {{ name = "resize", size = {size} }} ]
eval_transforms = [ {{ name = "resize", size = {size} }} ]
mean = [0.4, 0.5, 0.6]
std = [0.2, 0.3, 0.4]
[train]
max_steps = 2
global_batch_size = 4
[optimizer]
lr = 0.001
"""


def run(*command):
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{result.stdout}{result.stderr}")
    return result.stdout


def check(name, lockstep, folder):
    model, options, size, make_module = CASES[name]
    (folder / "recipe.toml").write_text(recipe(model, options, size))
    run(lockstep, "train", folder / "recipe.toml", "--output", folder / "run", "--quiet")
    checkpoint = folder / "run" / "checkpoints" / "last.h5"
    for format in ("safetensors", "pth", "onnx"):
        run(lockstep, "export", checkpoint, "--format", format, "--output", folder / f"w.{format}")

    state = torch.load(folder / "w.pth", weights_only=True)
    same = load_file(folder / "w.safetensors")
    assert state.keys() == same.keys()
    assert all(torch.equal(state[key], same[key]) and state[key].dtype == same[key].dtype for key in state)

    file = onnx.load(folder / "w.onnx")
    onnx.checker.check_model(file, full_check=True)
    session = onnxruntime.InferenceSession(folder / "w.onnx")
    _, *chw = session.get_inputs()[0].shape
    classes = session.get_outputs()[0].shape[1]
    differences = []
    for batch in (1, 5):
        image = numpy.random.default_rng(batch).standard_normal((batch, *chw)).astype(numpy.float32)
        logits = session.run(["logits"], {"image": image})[0]
        assert logits.shape == (batch, classes)
        if make_module:
            module = make_module(classes)
            module.load_state_dict(state, strict=True)
            expected = module.eval()(torch.from_numpy(image)).detach().numpy()
            differences.append(numpy.abs(logits - expected).max() / numpy.abs(expected).max())
    compared = f"logits differ by {max(differences):.1e} of the largest" if differences else "not in torchvision"
    print(f"{name:14} {len(state):4} tensors, {len(file.graph.node):4} nodes, image {chw}: {compared}", flush=True)
    assert not differences or max(differences) < 1e-4


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("cases", nargs="*")
    arguments = parser.parse_args()
    lockstep = pathlib.Path(arguments.build) / "bin" / "lockstep"
    models = {item["name"] for item in json.loads(run(lockstep.resolve(), "list", "models", "--json"))["plugins"]}
    for name in arguments.cases or CASES:
        if CASES[name][0] not in models:
            print(f"{name:14} skipped: this build has no model {CASES[name][0]}")
            continue
        with tempfile.TemporaryDirectory() as folder:
            check(name, lockstep.resolve(), pathlib.Path(folder))


if __name__ == "__main__":
    main()
