"""The cases of the benchmark: a recipe of this tree, the images it gets, the batch, and whether its
model is trained or evaluated."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Case:
    recipe: str
    image: tuple  # channels, height, width
    classes: int
    batch_size: int
    momentum: float = 0.9
    evaluation: bool = False


CASES = {
    "c18": Case("cifar10/resnet18", (3, 32, 32), 10, 128),
    "resnet20": Case("cifar10/resnet20", (3, 32, 32), 10, 128),
    "convnet": Case("mnist/convnet", (1, 28, 28), 10, 128, momentum=0.0),
    "r18": Case("imagenet/resnet18", (3, 224, 224), 1000, 32),
    "r50": Case("imagenet/resnet50", (3, 224, 224), 1000, 16),
    "c18-evaluation": Case("cifar10/resnet18", (3, 32, 32), 10, 128, evaluation=True),
    "r18-evaluation": Case("imagenet/resnet18", (3, 224, 224), 1000, 32, evaluation=True),
    "r50-evaluation": Case("imagenet/resnet50", (3, 224, 224), 1000, 32, evaluation=True),
}
