"""The seqnas space of paper 000."""

import itertools
import zipfile
from collections import Counter

import numpy as np
import pytest
from scipy.stats import chisquare

from nasbench_evs.errors import InvalidArchitecture, InvalidSpace
from nasbench_evs.spaces import SeqNASSpace, SequenceShape, VectorShape
from nasbench_evs.spaces.seqnas import chunks, wide_kernel
from nasbench_evs.testing.space import SpaceContract

SHAPE = SequenceShape(categorical=((20, 8), (7, 5)), numerical=3, channels=4, hidden=16, outputs=2, length=30)


class TestSeqNAS(SpaceContract):
    space = SeqNASSpace()

    def test_numbers_of_the_design(self):
        assert self.space.size == 3_425_438_016
        assert self.space.avec_bits == 122

    def test_all_encoder_variants_are_distinct(self):
        start = self.space.parse("k1.n.0.0.mean")
        layers = ["g", "c", "gc"] + [f"a{h}{rest}" for h in (1, 2, 4, 8) for rest in ("", "g", "c", "gc")]
        assert len(layers) == 19
        encoders = ["0", *(("/".join(each)) for n in (1, 2, 4) for each in itertools.product(layers, repeat=n))]
        assert len(encoders) == 130_702
        depth = self.space.column("encoder.depth")
        head = self.space.column("decoder.depth")
        block = self.space.size // (4 * 2 * 2 * 130_702)  # architectures that share everything up to the encoder
        ranks = start.rank + block * np.arange(130_702, dtype=np.uint64)
        choices = self.space.unrank_many(ranks)
        assert len(np.unique(choices[:, depth:head], axis=0)) == 130_702
        assert len(np.unique(np.packbits(self.space.encode_many(choices)[:, 6:70], axis=1), axis=0)) == 130_702
        assert {text.split(".")[2] for text in self.space.format_many(choices)} == set(encoders)

    def test_avec_bit_by_bit(self):
        avec = self.space.parse("k5d.t.a4/gc.2x8.d-max").avec
        expected = set()
        expected |= {2, 4, 5}  # kernel 5, stem dropout, time encoding
        expected |= {6, 7}  # two encoder layers
        expected |= {10 + 0, 17 + 5}  # attention; gru+conv
        expected |= {38, 39, 40, 41}  # four heads in the first layer
        expected |= {70, 72}  # one decoder layer, its first op
        expected |= {86, 87}  # two heads of self-attention
        expected |= set(range(102, 110))  # eight of cross-attention
        expected |= {118, 120}  # head dropout, max
        assert set(np.flatnonzero(avec)) == expected

    def test_hierarchical_probabilities_are_those_of_the_authors(self):
        """The 800 published random architectures come from the distribution that we sample from."""
        choices = self.space.sample_many(100_000, 0)
        depth = choices[:, self.space.column("encoder.depth")]
        assert np.allclose(np.bincount(depth) / len(depth), [1 / 2, 1 / 6, 1 / 6, 1 / 6], atol=0.01)
        decoder = choices[:, self.space.column("decoder.depth")]
        assert np.allclose(np.bincount(decoder) / len(decoder), [1 / 2, 1 / 4, 1 / 4], atol=0.01)

    @pytest.mark.parametrize(
        ("text", "position", "expected"),
        [
            ("k7.t.0.0.max", 2, "1, 3, 5 or w"),
            ("k5.x.0.0.max", 4, "t or n"),
            ("t.0.0.max", 1, "'k'"),
            ("k5.t.a4/g/a1c.0.max", 6, "0, 1, 2 or 4 encoder layers, found 3"),
            ("k5.t.a3.0.max", 7, "1, 2, 4 or 8 heads"),
            ("k5.t.ca4.0.max", 7, "'.'"),
            ("k5.t..0.max", 6, "a layer"),
            ("k5.t.0.2x8/1x1/1x1.max", 8, "0, 1 or 2 decoder layers, found 3"),
            ("k5.t.0.2.max", 9, "'x'"),
            ("k5.t.0.0.max+mean", 13, "the end"),
            ("k5.t.0.0.d-", 12, "mean, max or mean+max"),
            ("k5.t.0.0.max ", 13, "the end"),
            ("K5.t.0.0.max", 1, "'k'"),
        ],
    )
    def test_errors_point_at_the_character(self, text, position, expected):
        with pytest.raises(InvalidArchitecture) as caught:
            self.space.parse(text)
        assert f"at character {position} expected {expected}" in str(caught.value)


class TestSeqNASWithoutRealValuedFields(SpaceContract):
    space = SeqNASSpace(numerical=False)

    def test_numbers_of_the_design(self):
        assert self.space.size == 428_179_752
        assert self.space.avec_bits == 117

    def test_its_avec_is_the_end_of_the_other(self):
        short = self.space.sample_many(100, 0)
        full = TestSeqNAS.space.parse_many(["k1." + text for text in self.space.format_many(short)])
        assert np.array_equal(self.space.encode_many(short), TestSeqNAS.space.encode_many(full)[:, 5:])


def _distinct(n, seed):
    """The first n distinct architectures that hierarchical sampling draws."""
    choices = TestSeqNAS.space.sample_many(3 * n, seed)
    first = np.unique(TestSeqNAS.space.rank_many(choices), return_index=True)[1]
    return choices[np.sort(first)[:n]]


def test_published_random_architectures_follow_the_hierarchical_probabilities(release):
    """Chi-squared of the released random_sampling records (400 distinct ones each) against our sampler."""
    from nasbench_evs.tables.release import read_release

    ours = np.concatenate([_distinct(400, seed) for seed in range(100)])
    tested = 0
    for table in read_release(release):
        choices = table["choices"][table["sampler"] == b"random"]
        for column in range(choices.shape[1]) if len(choices) else ():
            counts = np.bincount(choices[:, column] + 1, minlength=9)
            expected = np.bincount(ours[:, column] + 1, minlength=9) / 100
            used = expected > 0
            assert counts[~used].sum() == 0
            p = chisquare(counts[used], expected[used]).pvalue
            assert p > 0.05 / (2 * choices.shape[1])  # Bonferroni
            tested += 1
    assert tested == 2 * 19  # ABank and RBchurn


def test_wide_kernel():
    assert [wide_kernel(length) for length in (3, 4, 8, 19, 20, 24, 1000)] == [1, 3, 5, 9, 11, 11, 11]


def test_chunks_are_nearly_equal_and_wide_ones_come_first():
    assert chunks(10, 3) == [4, 3, 3]
    assert chunks(3, 3) == [1, 1, 1]


def _by_hand(options, shape):
    """Parameters and FLOPs, counted layer by layer without the vectorised tables."""
    d, hidden, length, outputs = shape.width, shape.hidden, shape.length, shape.outputs
    params = Counter()
    flops = 0

    def linear(name, n_in, n_out, rows):
        nonlocal flops
        params[name] += n_in * n_out + n_out
        flops += 2 * rows * n_in * n_out

    def attention(name, width, heads, queries, keys):
        nonlocal flops
        inner = heads * hidden
        linear(name + ".q", width, inner, queries)
        linear(name + ".k", width, inner, keys)
        linear(name + ".v", width, inner, keys)
        flops += 2 * (2 * queries * keys * inner)  # q k^T, and the weights times v
        params[name + ".norm"] += 2 * inner
        linear(name + ".out", inner, width, queries)

    def feed_forward(name, rows):
        params[name + ".norms"] += 2 * d + 2 * hidden
        linear(name + ".up", d, hidden, rows)
        linear(name + ".down", hidden, d, rows)

    for rows, width in shape.categorical:
        params["embedding"] += rows * width
    if shape.numerical:
        kernel = options["stem.kernel"]
        kernel = wide_kernel(length) if kernel == "wide" else kernel
        channels = shape.numerical * shape.channels
        params["batch norm"] += 2 * shape.numerical
        params["stem"] += channels * kernel + channels
        flops += 2 * length * channels * kernel
    for i in range(options["encoder.depth"]):
        ops = options[f"encoder.{i}.ops"].split("+")
        params["encoder norms"] += 2 * 2 * d
        for op, width in zip(ops, np.array_split(np.arange(d), len(ops)), strict=True):
            width = len(width)
            if op == "attention":
                attention("encoder", width, options[f"encoder.{i}.heads"], length, length)
            elif op == "gru":
                params["gru"] += 3 * width * width * 2 + 2 * 3 * width
                flops += 2 * length * 3 * width * width * 2
            else:
                params["conv"] += width * width * 3 + width
                flops += 2 * length * width * width * 3
        feed_forward("encoder", length)
    if options["decoder.depth"]:
        params["query"] += outputs * d
    for i in range(options["decoder.depth"]):
        params["decoder norms"] += 4 * 2 * d
        attention("self", d, options[f"decoder.{i}.self_heads"], outputs, outputs)
        attention("cross", d, options[f"decoder.{i}.cross_heads"], outputs, length)
        feed_forward("decoder", outputs)
    linear("head", d, outputs, 1)
    return sum(params.values()), flops


@pytest.mark.parametrize("numerical", [True, False])
def test_costs_equal_a_count_layer_by_layer(numerical):
    space = SeqNASSpace(numerical)
    shape = SHAPE if numerical else SequenceShape(((20, 8), (7, 5)), 0, 0, 16, 3, 30)
    choices = np.concatenate([space.sample_many(100, 0), space.sample_many(100, 1, "uniform")])
    cost = space.cost_many(choices, shape)
    for i, architecture in enumerate(space.architectures(choices)):
        expected = _by_hand(architecture.options, shape)
        assert (cost.params[i], cost.flops[i]) == expected
        assert tuple(space.cost(architecture, shape)) == expected


def test_shapes_that_do_not_fit_are_refused():
    space = SeqNASSpace()
    architecture = space.unrank(0)
    with pytest.raises(InvalidArchitecture, match="SequenceShape"):
        space.cost(architecture, VectorShape(3, 1))
    with pytest.raises(InvalidArchitecture, match="0 real-valued fields"):
        space.cost(architecture, SequenceShape(((20, 8),), 0, 0, 16, 2, 30))
    with pytest.raises(InvalidSpace, match="width 2"):
        SequenceShape(((20, 2),), 0, 0, 16, 2, 30)
    with pytest.raises(InvalidSpace, match="length = 0"):
        SequenceShape(((20, 8),), 0, 0, 16, 2, 0)


def test_every_published_architecture_prints_and_parses(release):
    from nasbench_evs.tables.release import read_release

    with zipfile.ZipFile(release) as archive:
        assert sum(name.endswith(".json") for name in archive.namelist()) == 2397
    for table in read_release(release):
        space = table.header.space
        texts = space.format_many(table["choices"])
        assert np.array_equal(space.parse_many(texts), table["choices"])
