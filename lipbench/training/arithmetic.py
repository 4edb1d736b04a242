"""What torch computes with in this process, as every run has it; set by whoever starts runs."""

from __future__ import annotations

import torch

from lipbench import machine


def exact_float32() -> None:
    """Let float32 mean float32: by default cuDNN's convolutions compute in TF32."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def limit_threads() -> None:
    """Compute on no more cores than a container's quota has: torch counts all of them."""
    if torch.get_num_threads() > machine.cores():
        torch.set_num_threads(machine.cores())
