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


@pytest.fixture
def bucket(world):
    """A tenant's; for tests that run beside with-s3."""
    from bucket_kit import Bucket

    made = Bucket(world)
    yield made
    made.gate.close()
    if made.client.request("HEAD", "/" + made.name).status_code == 200:
        made.remove()
