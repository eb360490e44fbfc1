"""Models of the Python libraries with random weights, and what they make of an input."""

import torch
from torch.nn.modules.batchnorm import _BatchNorm


def randomise(model, seed):
    """Random running statistics and factors too: as a fresh model has them they hide mistakes."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(tensor, low, high):
        tensor.copy_(torch.rand(tensor.shape, generator=generator) * (high - low) + low)

    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, _BatchNorm):
                uniform(module.running_mean, -0.2, 0.2)
                uniform(module.running_var, 0.5, 1.5)
                module.num_batches_tracked.fill_(7)
            if isinstance(module, (_BatchNorm, torch.nn.LayerNorm)):
                uniform(module.weight, 0.7, 1.3)
                uniform(module.bias, -0.1, 0.1)
    return model.eval()


def build(constructor, seed):
    """A model whose every value depends on the seed alone."""
    torch.manual_seed(seed)
    return randomise(constructor(), seed)


def output_of(model, *inputs, **named):
    with torch.no_grad():
        result = model(*inputs, **named)
    return getattr(result, "last_hidden_state", getattr(result, "logits", result))


def images(channels=3, size=64, seed=9):
    return torch.randn(2, channels, size, size, generator=torch.Generator().manual_seed(seed))
