"""Rows of tokens, some of which are padding: one tensor with its mask, and layers run without the padding."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

# So many rows of a batch are run together, those of about the same length.
ROWS = 16


def masked(tokens: Tensor, mask: Tensor) -> Tensor:
    """`(B, L, D)` and `(B, L)` to `(B, L, D + 1)`."""
    return torch.cat([tokens, mask.to(tokens.dtype).unsqueeze(-1)], dim=-1)


def divided(tokens: Tensor) -> tuple[Tensor, Tensor]:
    """The inverse of `masked`; the mask as 0 and 1."""
    return tokens[..., :-1].contiguous(), tokens[..., -1]


def unseen(mask: Tensor) -> Tensor:
    """`(B, L)` to what is added to attention scores, `(B, 1, 1, L)`: the lowest value where there is padding.

    Not `-inf`, so that a row of padding alone, an empty text, has weights all the same.
    """
    return ((1 - mask) * torch.finfo(mask.dtype).min)[:, None, None, :]


def in_parts(mask: Tensor, run: Callable[[Tensor, int], Tensor]) -> Tensor:
    """Run a batch in parts of rows of about the same length, each no longer than its longest row.

    All rows of an input are as long as the longest text of the data, and most texts are far shorter.

    Args:
        mask: `(B, L)`.
        run: from places of rows `(b,)` and a length l to what comes out of them, `(b, l, D)`.

    Returns:
        `(B, L, D)`, zeros behind what was run.
    """
    places = torch.arange(1, mask.shape[1] + 1, device=mask.device)
    lengths = ((mask != 0) * places).amax(1).clamp(min=1)
    order = lengths.argsort(stable=True)
    sizes = lengths[order].tolist()
    parts = []
    for start in range(0, len(sizes), ROWS):
        longest = sizes[min(start + ROWS, len(sizes)) - 1]
        out = run(order[start : start + ROWS], longest)
        parts.append(nn.functional.pad(out, (0, 0, 0, mask.shape[1] - longest)))
    return torch.cat(parts)[order.argsort()]
