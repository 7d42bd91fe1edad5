"""Shares of what is tried at every point: each run of the tests takes the first, and the long proofs all."""

from __future__ import annotations

import pytest

__all__ = ["first_of"]


def first_of(shares):
    """Values for parametrize, of which all but the first are long proofs.

    Parameters
    ----------
    shares : int or sequence
        How many there are, counted from 0, or the values.
    """
    first, *others = range(shares) if isinstance(shares, int) else shares
    return [first, *(pytest.param(other, marks=pytest.mark.proof) for other in others)]
