"""A stand-in for the three functions of torchvision that Topaz uses in training: turns and flips of images."""

import math

import torch
from torch.nn.functional import affine_grid, grid_sample


def hflip(image: torch.Tensor) -> torch.Tensor:
    """Mirror left and right."""
    return image.flip(-1)


def vflip(image: torch.Tensor) -> torch.Tensor:
    """Mirror up and down."""
    return image.flip(-2)


def rotate(image: torch.Tensor, angle: float, *_: object, **__: object) -> torch.Tensor:
    """Turn by ``angle`` degrees about the middle."""
    turn = math.radians(angle)
    cos, sin = math.cos(turn), math.sin(turn)
    flat = image.reshape(1, -1, *image.shape[-2:]).float()
    grid = affine_grid(torch.tensor([[[cos, sin, 0.0], [-sin, cos, 0.0]]]), flat.shape, align_corners=False)
    return grid_sample(flat, grid, align_corners=False).reshape(image.shape)
