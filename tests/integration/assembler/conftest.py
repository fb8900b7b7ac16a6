import shutil
import tempfile

import kit
import pytest


@pytest.fixture(scope="session", autouse=True)
def database():
    kit.migrate()


@pytest.fixture
def world():
    directory = tempfile.mkdtemp(prefix="edgecap-assembler.")
    made = kit.World(directory)
    try:
        yield made
        made.close()
    finally:
        for a in made.assemblers:
            if a.process.poll() is None:
                a.kill()
        shutil.rmtree(directory, ignore_errors=True)
