"""Makes lars.tsv: three steps of LARS in float64, written down from the paper's algorithm 1.

    python3 tests/goldens/lars.py > tests/goldens/lars.tsv       (needs numpy)

You, Gitman and Ginsburg, arXiv:1708.03888: the local rate of a tensor is
eta * |w| / (|g| + beta * |w|), the velocity v = m * v + lr * local * (g + beta * w), and w = w - v.
A line is: whether norms and biases decay and adapt, the tensor, the weights' norm after the steps,
and their products with the vectors "projection0" to "projection2" of golden_values. lars_test.cpp
has the same tensors.
"""

import numpy

from golden_values import golden_values

MOMENTUM, DECAY, ETA = 0.9, 0.01, 0.02
RATES = [0.5, 0.25, 1.0]
GRADIENT_SCALE = 0.5
# name, elements, factor of the first values, whether it is a weight, multipliers of rate and decay
TENSORS = [
    ("fc.weight", 5000, 0.125, True, 1, 1),
    ("bn.weight", 10, 1, False, 1, 1),
    ("head.weight", 4097, 0.5, True, 0.5, 2),
    ("fc.bias", 7, 1, False, 1, 1),
    ("zero.weight", 33, 0, True, 1, 1),
]


def train(name, count, factor, multiplier, decay, adaptive):
    w = golden_values(name, count).astype(numpy.float64) * factor
    v = numpy.zeros(count)
    for step, rate in enumerate(RATES):
        g = golden_values(f"{name}.gradient{step}", count).astype(numpy.float64) * GRADIENT_SCALE
        local = 1.0
        if adaptive:
            weight_norm = numpy.linalg.norm(w)
            gradient_norm = numpy.linalg.norm(g)
            if weight_norm > 0 and gradient_norm > 0:
                local = ETA * weight_norm / (gradient_norm + decay * weight_norm)
        v = MOMENTUM * v + rate * multiplier * local * (g + decay * w)
        w = w - v
    return w


for exempt in [False, True]:
    for name, count, factor, is_weight, rate_multiplier, decay_multiplier in TENSORS:
        whole = is_weight or not exempt
        decay = DECAY * decay_multiplier if whole else 0.0
        w = train(name, count, factor, rate_multiplier, decay, whole)
        numbers = [numpy.linalg.norm(w)]
        for k in range(3):
            numbers.append(w @ golden_values(f"projection{k}", count).astype(numpy.float64))
        print("exempt" if exempt else "all", name, *(f"{n:.12g}" for n in numbers), sep="\t")
