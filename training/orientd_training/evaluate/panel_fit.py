"""The weights and caps of a panel's witnesses, by maximum likelihood on photos that trained nothing. Pure.

What a witness says is equivariant: of the photo shown with another turn it says the same, turned. So one row of scores a photo,
its first column being the turn that is right, answers for all four, each as likely as the others.

The least that a score can count below the witness's favorite is held to a *cut*, in the witness's own units. At given cuts the
loss is convex in the weights (a conditional logit: McFadden 1974, in Frontiers in Econometrics), and the cap of a voice is its
weight times its cut. Cuts are few, so they are tried.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from orientd.judge.panel import Voice
from orientd_training.evaluate.predictions import Logits, Shown, softmax

Scores = Mapping[str, Logits]
"""By witness (N, 4): its scores, the right turn first; where it has nothing to say all four are equal."""

CUTS: Final = (0.5, 1.0, 2.0, 3.0, 4.5, 6.0, 9.0, 14.0)  # all witnesses speak in logarithms
DOUBTS: Final = {"people": 0.3}
"""Whose divided favor makes gaps smaller, and by how much: tried from 0.3 to 0.9, not fitted (benchmarks/results/panel.md)."""
_RIDGE: Final = 0.5  # in photos: a witness that was never wrong on a few must not become infinitely loud
_STEPS: Final = 50
_SWEEPS: Final = 3


def fit(scores: Scores, shares: Logits | None = None, cuts: Sequence[float] = CUTS) -> tuple[Voice, ...]:
    """The voices that make the right turns most likely, before any doubt; doubts are those of `DOUBTS`.

    Args:
        scores: of N photos.
        shares: (N,) how much each photo counts (0 or more); all alike if None.
        cuts: those to try.
    """
    names, counts = tuple(scores), np.ones(len(next(iter(scores.values())))) if shares is None else shares
    chosen = dict.fromkeys(names, cuts[len(cuts) // 2])
    weights, least = _weights(_below(scores, chosen), counts)
    for _ in range(_SWEEPS):
        before = dict(chosen)
        for name in names:
            for cut in cuts:
                tried = chosen | {name: cut}
                found, loss = _weights(_below(scores, tried), counts, weights)
                if loss < least - 1e-9:
                    chosen, weights, least = tried, found, loss
        if chosen == before:
            break
    return tuple(
        Voice(name, float(weight), float(weight) * chosen[name], DOUBTS.get(name, 0.0))
        for name, weight in zip(names, weights, strict=True)
    )


def fused(scores: Scores, voices: Sequence[Voice]) -> Logits:
    """(N, 4): `orientd.judge.panel.fuse` of every photo."""
    heard_of = [(scores[voice.witness], voice) for voice in voices if voice.witness in scores]
    if not heard_of:
        return np.full((len(next(iter(scores.values()))), 4), 0.25)
    logits: Logits = np.sum([_against(its, voice) for its, voice in heard_of], axis=0)
    shares: Logits = np.max([_doubts(its, voice) for its, voice in heard_of], axis=0)
    return softmax(_doubted(logits, shares))


def heard(seen: Shown, probabilities: Logits) -> Shown:
    """What a scan sees once a panel speaks at the second look; the views, which must agree, stay the scene's."""
    second = np.stack([np.roll(probabilities, quarters, axis=-1) for quarters in range(4)], axis=1)
    return seen._replace(second=second)


def asked(seen: Shown, second_look_below: float) -> Logits:
    """(N,) in how many of the four ways to show it each photo gets a second look."""
    return np.asarray((seen.first[..., 0] < second_look_below).sum(1), np.float64)


def rounded(voices: Sequence[Voice], digits: int = 3) -> tuple[Voice, ...]:
    """The same voices in numbers that a person can read."""
    return tuple(replace(voice, weight=round(voice.weight, digits), cap=round(voice.cap, digits)) for voice in voices)


def loss(probabilities: Logits, shares: Logits) -> float:
    """Mean of −log p of the right turn, in nats."""
    return float(-(shares * np.log(np.maximum(probabilities[:, 0], 1e-300))).sum() / max(shares.sum(), 1e-300))


def _against(scores: Logits, voice: Voice) -> Logits:
    said: Logits = np.maximum(voice.weight * (scores - scores.max(1, keepdims=True)), -voice.cap)
    return said


def _doubts(scores: Logits, voice: Voice) -> Logits:
    """(N, 4): `Voice.doubts` of every photo."""
    powers = np.exp(scores - scores.max(1, keepdims=True))
    shares = (powers - powers.min(1, keepdims=True)) / powers.sum(1, keepdims=True)
    found: Logits = 4 * (voice.doubt if voice.weight else 0.0) * shares * np.roll(shares, -1, axis=1)
    return found


def _doubted(logits: Logits, shares: Logits) -> Logits:
    """(N, 4): `orientd.judge.panel.doubted` of every photo."""
    made = logits.copy()
    for step in (-1, 1):
        other, share = np.roll(logits, step, axis=1), shares if step == -1 else np.roll(shares, 1, axis=1)
        np.maximum(made, other - (1 - share) * np.maximum(other - logits, 0), out=made)
    return made


def _below(scores: Scores, cuts: Mapping[str, float]) -> Logits:
    """(W, N, 4)."""
    return np.stack([np.maximum(its - its.max(1, keepdims=True), -cuts[name]) for name, its in scores.items()])


def _weights(said: Logits, shares: Logits, start: Logits | None = None) -> tuple[Logits, float]:
    """The weights (W,) of what witnesses say (W, N, 4), and their loss: Newton's method on those that are not held at 0.

    scipy's L-BFGS-B finds the same in nine times the time, and hundreds of fits are asked for.
    """
    weights, ridge = np.ones(len(said)) if start is None else start.copy(), _RIDGE * (said**2).mean((1, 2)) + 1e-9
    least = _loss(said, shares, weights, ridge)
    for _ in range(_STEPS):
        slope, bend = _slope(said, shares, weights, ridge)
        free = (weights > 0) | (slope < 0)
        step = np.zeros_like(weights)
        step[free] = np.linalg.solve(bend[np.ix_(free, free)], -slope[free])
        length = 1.0
        while length > 1e-6:
            tried = np.maximum(weights + length * step, 0.0)
            if (found := _loss(said, shares, tried, ridge)) < least:
                break
            length /= 2
        else:
            break
        done, weights, least = least - found < 1e-9 * max(1.0, abs(least)), tried, found
        if done:
            break
    return weights, least


def _loss(said: Logits, shares: Logits, weights: Logits, ridge: Logits) -> float:
    logits = np.tensordot(weights, said, 1)
    top = logits.max(1)
    lost = top + np.log(np.exp(logits - top[:, None]).sum(1)) - logits[:, 0]
    return float((shares * lost).sum() + (ridge * weights**2).sum())


def _slope(said: Logits, shares: Logits, weights: Logits, ridge: Logits) -> tuple[Logits, NDArray[np.float64]]:
    """The gradient (W,) and the Hessian (W, W) of the loss."""
    p = softmax(np.tensordot(weights, said, 1))
    mean = (p * said).sum(2)
    slope = (shares * (mean - said[..., 0])).sum(1) + 2 * ridge * weights
    apart = said - mean[..., None]
    bend = np.einsum("n,nt,vnt,wnt->vw", shares, p, apart, apart, optimize=True) + np.diag(2 * ridge)
    return slope, bend
