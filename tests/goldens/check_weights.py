"""Compares `lockstep predict --weights FILE.pth` with torchvision, model by model and format by format.

    python3 tests/goldens/check_weights.py --build build PICTURE …      (with torch, torchvision)

torchvision draws weights at random and writes them in torch's zip and legacy formats. Both programs
predict every class of every picture from them; printed is the largest difference of the logits, up
to their common shift, relative to the largest logit. Classes that are too unlikely for a float32
probability would be passed over. Run by hand; the figures go into closing notes.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile

import numpy
import torch
import torchvision
from PIL import Image
from torchvision import transforms

IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
HALF = ([0.5] * 3, [0.5] * 3)
WITHOUT_TRANSFORM = {"transform_input": False, "init_weights": True}
MODELS = {
    "resnet18": ("resnet", {"depth": 18}), "resnet50": ("resnet", {"depth": 50}),
    "resnext50_32x4d": ("resnet", {"depth": 50, "groups": 32, "width_per_group": 4}),
    "wide_resnet50_2": ("resnet", {"depth": 50, "width_per_group": 128}),
    "alexnet": ("alexnet", {}), "vgg11": ("vgg", {"depth": 11}),
    "vgg11_bn": ("vgg", {"depth": 11, "batch_norm": "true"}),
    "googlenet": ("googlenet", {}), "inception_v3": ("inception_v3", {}),
}


def torch_logits(name, model, pictures):
    mean, std = HALF if name in ("googlenet", "inception_v3") else IMAGENET
    resize, crop = (342, 299) if name == "inception_v3" else (256, 224)
    prepare = transforms.Compose([transforms.Resize(resize), transforms.CenterCrop(crop),
                                  transforms.ToTensor(), transforms.Normalize(mean, std)])
    with torch.no_grad():
        batch = torch.stack([prepare(Image.open(p).convert("RGB")) for p in pictures])
        return model.eval()(batch).double().numpy()


def lockstep_probabilities(build, weights, name, pictures):
    model, options = MODELS[name]
    sets = [part for key, value in options.items() for part in ("--set", f"model.{key}={value}")]
    command = [os.path.join(build, "bin/lockstep"), "predict", "--weights", weights, "--model", model,
               *sets, "--top", "1000", "--json", *pictures]
    predictions = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    probabilities = numpy.zeros((len(pictures), 1000))
    for row, prediction in zip(probabilities, predictions):
        for guess in prediction["predictions"]:
            row[guess["index"]] = guess["probability"]
    return probabilities


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("pictures", nargs="+")
    arguments = parser.parse_args()
    worst = 0
    for name in MODELS:
        torch.manual_seed(1)
        options = WITHOUT_TRANSFORM if name in ("googlenet", "inception_v3") else {}
        model = getattr(torchvision.models, name)(weights=None, **options)
        for module in model.modules():  # moments that are not those of a fresh network
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.uniform_(-0.1, 0.1)
                module.running_var.uniform_(0.8, 1.2)
        # Logits of some size, so that all classes are likely enough to be compared.
        head = [module for module in model.modules() if isinstance(module, torch.nn.Linear)][-1]
        head.weight.data *= 5 / numpy.abs(torch_logits(name, model, arguments.pictures)).max()
        expected = torch_logits(name, model, arguments.pictures)
        largest = numpy.abs(expected).max()
        expected -= expected.max(1, keepdims=True)
        expected -= numpy.log(numpy.exp(expected).sum(1, keepdims=True))
        for zip_format in (True, False):
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, name + ".pth")
                torch.save(model.state_dict(), path, _use_new_zipfile_serialization=zip_format)
                actual = lockstep_probabilities(arguments.build, path, name, arguments.pictures)
            likely = actual > 1e-30
            error = numpy.abs(numpy.log(actual[likely]) - expected[likely]).max() / largest
            worst = max(worst, error)
            print(f"{name:18} {'zip' if zip_format else 'legacy':8} {error:.2e}", flush=True)
    sys.exit(0 if worst < 1e-4 else 1)


if __name__ == "__main__":
    main()
