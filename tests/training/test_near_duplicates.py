"""Difference hashes that know every turn, what hangs together by them, and splits that tear nothing apart."""

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from orientd_training.data import near_duplicates
from orientd_training.data.near_duplicates import Split
from support.blobs import scene

from orientd import orientation


@given(st.integers(0, 2**32), st.integers(1, 8), st.sampled_from([17, 32, 45]))
def test_the_hashes_of_a_turned_square_are_those_of_the_square(seed, value, side):
    square = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    shown = orientation.apply(square, value)
    before, after = near_duplicates.difference_hashes(np.stack([square, shown]))
    for further in range(1, 9):
        assert np.array_equal(after[further - 1], before[orientation.then(value, further) - 1])


def test_a_hash_is_what_its_definition_says():
    ramp = np.repeat(np.arange(0, 256, 8, dtype=np.uint8)[None, :, None], 32, axis=0).repeat(3, axis=2)
    hashes = near_duplicates.difference_hashes(ramp[None])[0]
    assert (hashes[0] == 255).all()
    assert (hashes[orientation.from_turn(180) - 1] == 0).all()


def test_a_flat_picture_is_like_no_other():
    flat = np.full((2, 32, 32, 3), 200, np.uint8)
    flat[1, 0] += 1
    hashes = near_duplicates.difference_hashes(flat)
    assert not hashes.any()
    assert list(near_duplicates.links(hashes)) == []


def by_hand(hashes, others, radius):
    """Every pair compared with every other."""
    found = set()
    for one in range(len(hashes)):
        for other in range(len(others)):
            for value in range(1, 9):
                down = orientation.then(value, 6)
                pairs = [(hashes[one, value - 1], others[other, 0]), (hashes[one, down - 1], others[other, 5])]
                if max(int(np.unpackbits(a ^ b).sum()) for a, b in pairs) <= radius:
                    found.add((one, other, value))
    return found


def flipped(hashes, random, most):
    noisy = np.unpackbits(hashes, axis=2)
    for photo in noisy:
        for bits in photo:
            bits[random.choice(256, random.integers(0, most), replace=False)] ^= 1
    return np.packbits(noisy, axis=2)


@settings(max_examples=25)
@given(st.integers(0, 2**32), st.sampled_from([0, 3, 15, 40]), st.booleans())
def test_every_pair_within_the_radius_is_found(seed, radius, within):
    random = np.random.default_rng(seed)
    hashes = near_duplicates.difference_hashes(random.integers(0, 256, (6, 32, 32, 3), np.uint8))
    others = flipped(hashes[random.permutation(6)], random, 2 * radius + 2)
    if within:
        hashes = others = np.concatenate([hashes, others])
    expected = {pair for pair in by_hand(hashes, others, radius) if not within or pair[0] < pair[1]}
    portions = near_duplicates.links(hashes, None if within else others, radius)
    found = {t for links in portions for t in zip(links.one, links.other, links.orientation, strict=True)}
    assert found == expected


def test_many_candidates_come_in_portions(monkeypatch):
    hashes = np.repeat(near_duplicates.difference_hashes(scene(1)[None]), 40, axis=0)
    whole = near_duplicates.relate(hashes, [])
    monkeypatch.setattr(near_duplicates, "_CHUNK", 7)
    in_portions = near_duplicates.relate(hashes, [])
    assert (in_portions[0] == whole[0]).all()
    assert (whole[0] == 0).all()


@settings(max_examples=60)
@given(st.data())
def test_what_hangs_together_is_one_group(data):
    number = data.draw(st.integers(1, 30))
    pairs = st.lists(st.integers(0, 5) | st.none(), min_size=number, max_size=number)
    kin = [data.draw(pairs), data.draw(pairs)]
    found, _ = near_duplicates.relate(np.zeros((number, 8, 32), np.uint8), kin)
    expected = list(range(number))
    for _ in range(number):
        for names in kin:
            for i in range(number):
                for j in range(i):
                    if names[i] is not None and names[i] == names[j]:
                        expected[i] = expected[j] = min(expected[i], expected[j])
    assert len(set(zip(found, expected, strict=True))) == len(set(found)) == len(set(expected))
    assert list(dict.fromkeys(found.tolist())) == list(range(len(set(found)))), "a split draws them by number"


@settings(max_examples=60)
@given(st.lists(st.integers(0, 12), min_size=10, max_size=60), st.floats(0, 0.5), st.integers(0, 9))
def test_no_group_crosses_the_split(ids, share, seed):
    clusters = np.unique(np.array(ids), return_inverse=True)[1]
    largest = Counter(ids).most_common(1)[0][1]
    if largest > share * len(ids):
        share = 0.0  # what cannot be split has a test of its own
    apart = near_duplicates.validation(clusters, ["a"] * len(ids), Split(share, (), seed))
    for cluster in set(clusters):
        assert len(set(apart[clusters == cluster])) == 1
    assert abs(apart.sum() - share * len(ids)) < largest + 1
    assert (apart == near_duplicates.validation(clusters, ["a"] * len(ids), Split(share, (), seed))).all()


def test_albums_stay_together_and_collections_do_not(monkeypatch):
    monkeypatch.setattr(near_duplicates, "ALBUM_MOST", 2)
    assert near_duplicates.albums(["x/a", "x/a", "x/b", "x/c", "x/c", "x/c"]) == ["x/a", "x/a", "x/b", None, None, None]
    assert near_duplicates.albums(["x", "x"]) == [None, None]
    assert near_duplicates.albums([]) == []
