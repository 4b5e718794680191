"""Optimizer steps in PyTorch, one thread, timed one at a time on request.

Prints one line of JSON about the methods, then reads the name of a method per line and answers with the milliseconds
of one step of it. Between requests it rests, so that a program beside it can take its own measurements.
"""

import argparse
import json
import sys
import time

import torch

RATE, BETA1, BETA2, EPSILON, DENSITY = 1e-3, 0.9, 0.999, 1e-8, 0.25
REFRESHED = 1024


class Adam:
    """AdamW's direction for one tensor, in place on its moments."""

    def __init__(self, shape):
        self.mean = torch.zeros(shape)
        self.square = torch.zeros(shape)
        self.steps = 0

    def direction(self, g):
        self.steps += 1
        self.mean.lerp_(g, 1 - BETA1)
        self.square.mul_(BETA2).addcmul_(g, g, value=1 - BETA2)
        root = self.square.sqrt().div_((1 - BETA2**self.steps) ** 0.5).add_(EPSILON)
        return (self.mean / root).div_(1 - BETA1**self.steps)


def variables(gradients):
    parameters = [torch.nn.Parameter(torch.randn_like(g) * 0.02) for g in gradients]
    for parameter, g in zip(parameters, gradients):
        parameter.grad = g
    return parameters


def adamw(gradients, **kind):
    return torch.optim.AdamW(variables(gradients), lr=RATE, weight_decay=0, **kind).step


def copy(gradients):
    source = [g.clone() for _ in range(4) for g in gradients]
    target = [g.clone() for g in source]

    def step():
        for a, b in zip(target, source):
            a.copy_(b)

    return step


def blockwise(gradients):
    active = max(1, round(DENSITY * len(gradients)))
    full = adamw(gradients[:active], fused=True)
    rest = variables(gradients[active:])
    rest_gradients = [p.grad for p in rest]

    def step():
        full()
        if rest:
            torch._foreach_add_([p.data for p in rest], torch._foreach_sign(rest_gradients), alpha=-RATE)

    return step


def selected(gradients, dimension):
    """State for a quarter of the rows (dimension 0) or columns (1), signs for the rest."""
    parts = []
    for p in variables(gradients):
        count = p.shape[dimension]
        index = torch.randperm(count)[: max(1, round(DENSITY * count))].sort().values
        low = p.grad.index_select(dimension, index)
        parts.append((p.data, p.grad, index, Adam(low.shape)))

    def step():
        for p, g, index, adam in parts:
            update = g.sign()
            update.index_copy_(dimension, index, adam.direction(g.index_select(dimension, index)))
            p.add_(update, alpha=-RATE)

    return step


def randk(gradients):
    parts = []
    for p in variables(gradients):
        index = torch.randperm(p.numel())[: max(1, round(DENSITY * p.numel()))].sort().values
        parts.append((p.data, p.grad, index, Adam(index.shape)))

    def step():
        for p, g, index, adam in parts:
            update = g.sign()
            update.view(-1).index_copy_(0, index, adam.direction(g.view(-1).index_select(0, index)))
            p.add_(update, alpha=-RATE)

    return step


def svd(gradients):
    parts = []
    for p in variables(gradients):
        rank = max(1, round(DENSITY * p.shape[1]))
        basis = torch.linalg.qr(torch.randn(p.shape[1], rank)).Q.contiguous()
        parts.append((p.data, p.grad, basis, Adam((p.shape[0], rank))))

    def step():
        for p, g, basis, adam in parts:
            low = g @ basis
            update = torch.addmm(g, low, basis.T, alpha=-1).sign_()
            update.addmm_(adam.direction(low), basis.T)
            p.add_(update, alpha=-RATE)

    return step


def linalg_svd():
    matrix = torch.randn(REFRESHED, REFRESHED)
    return lambda: torch.linalg.svd(matrix, full_matrices=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--matrices", type=int, default=12)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    clock = time.perf_counter if options.clock == "wall" else time.process_time

    size = options.size
    params = options.matrices * size * size
    gradients = [torch.randn(size, size) for _ in range(options.matrices)]
    mixed = 12 + 16 * DENSITY
    methods = {
        "copy": (copy(gradients), 32),
        "adamW-fused": (adamw(gradients, fused=True), 28),
        "adamW-foreach": (adamw(gradients, foreach=True), 28),
        "frugal-blockwise": (blockwise(gradients), mixed),
        "frugal-rows": (selected(gradients, 0), mixed),
        "frugal-columns": (selected(gradients, 1), mixed),
        "frugal-randK": (randk(gradients), mixed + 8 * DENSITY),
        "frugal-svd": (svd(gradients), None),
    }
    about = [
        {"name": name, "params": params, "bytes": None if count is None else count * params}
        for name, (_, count) in methods.items()
    ]
    about.append({"name": "linalg-svd", "params": REFRESHED**2, "bytes": None})
    steps = {name: step for name, (step, _) in methods.items()}
    steps["linalg-svd"] = linalg_svd()
    print(json.dumps({"torch": torch.__version__, "methods": about}), flush=True)

    for line in sys.stdin:
        step = steps[line.strip()]
        with torch.no_grad():
            start = clock()
            step()
            elapsed = clock() - start
        print(1000 * elapsed, flush=True)


if __name__ == "__main__":
    main()
