import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "support"))

from api_rig import Account, Api, Database  # noqa: E402
from openapi_check import answers_are_documented  # noqa: E402, F401

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "support"))


@pytest.fixture(scope="session")
def db():
    return Database()


@pytest.fixture(scope="module")
def api(db, tmp_path_factory):
    with Api(db, tmp_path_factory.mktemp("api")) as api:
        yield api


@pytest.fixture(scope="module")
def account(db):
    """With the prefixes of the documented example, without a collect interval."""
    return Account(db, running_max=100000)


@pytest.fixture(scope="module")
def other(db):
    return Account(db)
