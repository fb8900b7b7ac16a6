"""Fixtures of the end-to-end tests. A test says what it needs: @pytest.mark.lab(edges=3, apis=2)."""

import os
import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from edgecap_lab import Lab  # noqa: E402
from openapi_check import answers_are_documented  # noqa: E402, F401


def pytest_configure(config):
    config.addinivalue_line("markers", "lab(edges, apis, assemblers, env, storage): what to start")


def pytest_addoption(parser):
    rounds = int(os.environ.get("EDGECAP_TEST_ROUNDS", 20))
    parser.addoption("--rounds", type=int, default=rounds, help="rounds of the kill tests (20)")
    parser.addoption("--seed", type=int, default=None, help="seed of random tests, as printed")


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if call.when == "call":
        item.test_failed = outcome.get_result().failed


@pytest.fixture
def lab(request):
    """A running system of the test's own; when the test passed, every job's ledger is checked."""
    marker = request.node.get_closest_marker("lab")
    with Lab(**(marker.kwargs if marker else {})) as running:
        yield running
        if getattr(request.node, "test_failed", True):
            running.failed = True


@pytest.fixture
def rng(request):
    """Random numbers of a seed that is printed when the test fails, and can be given by --seed."""
    seed = request.config.getoption("--seed")
    seed = random.SystemRandom().randrange(2**32) if seed is None else seed
    print("seed: --seed %d" % seed)
    return random.Random(seed)
