"""Damaged and forged files of every format: a short run of `benchmarks/fuzz.py`."""

import signal

import pytest

from benchmarks import fuzz
from benchmarks.fuzzing.formats import FORMATS


@pytest.mark.slow
def test_no_mutation_deceives_or_breaks_a_reader(capsys):
    assert fuzz.run(30 * len(FORMATS), list(FORMATS), seed=1, keep=None) == 0
    assert "| table 2 | right again |" in capsys.readouterr().out


def test_what_is_a_finding():
    sound = fuzz.Reading("answer", "[1]", memory=0)
    assert fuzz.judge(fuzz.Reading("answer", "[1]"), sound, sealed=False).outcome == "as the sound file"
    assert fuzz.judge(fuzz.Reading("answer", "[2]"), sound, sealed=False).outcome == "wrong"
    assert fuzz.judge(fuzz.Reading("answer", "[2]"), sound, sealed=True).outcome == "as the mutated file"
    assert fuzz.judge(fuzz.Reading("refused", "no"), sound, sealed=True).outcome == "refused"
    assert fuzz.judge(fuzz.Reading("refused", "no", memory=1 << 30), sound, sealed=True).outcome == "memory"
    assert fuzz.judge(fuzz.Reading("answer", "[1]", seconds=9.0), sound, sealed=True).outcome == "slow"


def test_a_worker_that_dies_or_hangs_is_replaced(tmp_path):
    worker = fuzz.Worker()
    try:
        assert worker.read("nothing", tmp_path, 60).outcome == "exception"
        worker.process.kill()
        worker.process.wait()
        assert worker.read("results", tmp_path, 60).outcome == "crash"
        assert worker.read("results", tmp_path / "none", 60).outcome == "refused"
        worker.process.send_signal(signal.SIGSTOP)
        assert worker.read("table 2", tmp_path / "none", 0.1).outcome == "slow"
    finally:
        worker.stop()
