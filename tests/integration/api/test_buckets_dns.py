"""Names that change their address, an API that stops meanwhile, and lists that stop the start."""

import json
import random
import socket
import subprocess
import threading
import time

import pytest
from api_rig import BIN, Account
from bucket_rig import SECRET, Listener, add, bucket_api, conf, entry, refused
from contract import failure

# The program's own /etc/hosts and /etc/resolv.conf: files in a folder, which the test may write anew.
OWN_NAMES = ["unshare", "--mount", "--", "sh", "-c",
             'mount --bind "$0/hosts" /etc/hosts && mount --bind "$0/resolv.conf" /etc/resolv.conf && exec "$@"']  # fmt: skip
R2 = "r2://bucket?account-id=%s&access-key-id=KEY&secret-access-key=S" % ("0" * 32)


@pytest.fixture(scope="module")
def listener():
    made = Listener()
    yield made
    made.sock.close()


@pytest.fixture(scope="module")
def silent_dns():
    """The address of a name server that never answers."""
    while True:
        address = "127.%d.%d.%d" % tuple(random.randint(1, 254) for _ in range(3))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            try:
                sock.bind((address, 53))
            except OSError:
                continue
            yield address
            return


@pytest.fixture(scope="module")
def hosts(tmp_path_factory, silent_dns):
    path = tmp_path_factory.mktemp("hosts") / "hosts"
    path.write_text("")
    (path.parent / "resolv.conf").write_text("nameserver %s\n" % silent_dns)
    return path


@pytest.fixture(scope="module")
def api(db, tmp_path_factory, listener, hosts):
    folder = tmp_path_factory.mktemp("dns")
    entries = [
        entry(folder, "http://guarded.example:%d" % listener.port, private=False),
        entry(folder, "http://private.example:%d" % listener.port, private=True),
        {"scheme": "r2", "endpoint": "https://{account-id}.r2.cloudflarestorage.com"},
    ]
    with bucket_api(db, folder, entries, wrapper=[*OWN_NAMES, str(hosts.parent)], EDGECAP_DRAIN="1s") as api:
        yield api


def guarded(listener, name="guarded"):
    return conf(endpoint="http://%s.example:%d" % (name, listener.port))


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.1", "169.254.169.254", "100.64.0.1", "fd00::1", "0.0.0.0"])
def test_a_name_with_a_private_address(api, account, listener, hosts, address):
    hosts.write_text("%s guarded.example\n" % address)
    message = refused(add(api, account, guarded(listener)), "/destination_conf", "not a public one")
    assert address not in message and "guarded" not in message
    assert listener.seen == []


def test_a_name_that_changes_its_address(api, account, listener, hosts):
    """First a public address, then ours, over and over while requests are made: no check that is made before is worth anything."""
    done = threading.Event()

    def change():
        while not done.is_set():
            for address in ("11.0.0.1", "127.0.0.1", "::1"):
                hosts.write_text("%s guarded.example\n" % address)
                time.sleep(0.003)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(4):
            refused(add(api, account, guarded(listener)), "/destination_conf", "cannot be written")
    finally:
        done.set()
        thread.join()
    hosts.write_text("11.0.0.1 guarded.example\n127.0.0.1 guarded.example\n::1 guarded.example\n")
    refused(add(api, account, guarded(listener)), "/destination_conf", "cannot be written")
    assert listener.seen == []


def test_the_operator_may_allow_private_addresses(api, account, listener, hosts):
    hosts.write_text("127.0.0.1 private.example\n")
    refused(add(api, account, guarded(listener, "private")), "/destination_conf", "connection to the store broke")
    assert len(listener.seen) == 1
    listener.seen.clear()


def test_the_loop_goes_on_while_a_name_server_is_silent(api, account):
    """Also when the look-up is given up, which is before its thread gives up."""
    longest, texts = 0.0, []
    thread = threading.Thread(
        target=lambda: texts.append(refused(add(api, account, R2), "/destination_conf", "did not answer in time"))
    )
    thread.start()
    while thread.is_alive():
        began = time.monotonic()
        assert api.call("GET", "/healthz", timeout=30).status_code == 200
        longest = max(longest, time.monotonic() - began)
        time.sleep(0.02)
    assert texts and longest < 1


def test_redirects_are_not_followed(db, account, listener, tmp_path):
    target = Listener(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    location = "http://127.0.0.1:%d/" % target.port
    sender = Listener(b"HTTP/1.1 307 Temporary Redirect\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % location.encode())
    with bucket_api(db, tmp_path, [entry(tmp_path, "http://127.0.0.1:%d" % sender.port)]) as api:
        text = "another region or at another endpoint (307)"
        refused(add(api, account, conf(endpoint="http://127.0.0.1:%d" % sender.port)), "/destination_conf", text)
    assert len(sender.seen) == 1 and target.seen == []


def test_a_stop_while_a_bucket_does_not_answer(db, tmp_path):
    silent = Listener(None)
    account = Account(db)
    with bucket_api(db, tmp_path, [entry(tmp_path, "http://127.0.0.1:%d" % silent.port)], EDGECAP_DRAIN="0s") as api:
        answers = []
        endpoint = "http://127.0.0.1:%d" % silent.port
        thread = threading.Thread(target=lambda: answers.append(add(api, account, conf(endpoint=endpoint))))
        thread.start()
        while not silent.seen:
            time.sleep(0.01)
        began = time.monotonic()
        api.stop()
        assert time.monotonic() - began < 5
        thread.join()
    failure(answers[0], 503, 1503)


@pytest.mark.parametrize("text, named", [
    ("[{}]", "entry 1: scheme must be"), ("{}", "must be a list"), ("[", "not JSON"),
    ('[{"scheme":"s3","endpoint":"http://h"}]', "entry 1: endpoint: http:// shows"),
    ('[{"scheme":"s3","endpoint":"https://h","access_key_id":"A","secret_access_key_file":"/none"}]',
     "entry 1: secret_access_key_file: cannot open"),
])  # fmt: skip
def test_a_wrong_list_stops_the_start(db, tmp_path, text, named):
    path = tmp_path / "buckets.json"
    path.write_text(text)
    flags = {"listen": "127.0.0.1:0", "database-url": db.api_url, "storage": "file://%s/store" % tmp_path, "buckets-file": path}
    done = subprocess.run([BIN / "edgecap-api", *("--%s=%s" % f for f in flags.items()), "--bucket-secret=" + SECRET],
                          capture_output=True, text=True, timeout=30, check=False)  # fmt: skip
    assert done.returncode == 2 and "EDGECAP_BUCKETS_FILE: " in done.stderr and named in done.stderr
    assert SECRET not in done.stdout + done.stderr
    path.write_text(json.dumps([]))
    done = subprocess.run([BIN / "edgecap-api", *("--%s=%s" % f for f in flags.items())],
                          capture_output=True, text=True, timeout=30, check=False)  # fmt: skip
    assert done.returncode == 2 and "EDGECAP_BUCKET_SECRET is required" in done.stderr
