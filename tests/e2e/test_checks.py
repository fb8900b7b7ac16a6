"""The checks that the other tests lean on can fail."""

import base64
import struct
import urllib.parse
from types import SimpleNamespace

import pytest
import secret_check
from ledger import COUNTERS, check_part
from numbered import check_all, check_earliest, check_whole, check_window
from packet_source import numbered_frame

TIMES = [(1000 * i, 1000 * i + 10) for i in range(10)]


def part(**changes):
    row = {counter: 0 for counter in COUNTERS}
    row.update(state="done", observed=9, accepted=7, delivered=6, dropped_kernel=1, matched=5, selected=5)
    row.update(captured=3, dropped_spool=1, dropped_limit=1, bytes=480, packets_stored=3)
    row.update(chunks_found=1, chunks_stored=1)
    return {**row, **changes}


def test_ledger_sees_each_wrong_number():
    """Every counter that is tied to others is missed when it is one off."""
    check_part(part())
    for name in ("accepted", "delivered", "dropped_kernel", "selected", "captured", "dropped_spool",
                 "dropped_limit", "packets_stored", "chunks_found"):  # fmt: skip
        with pytest.raises(AssertionError):
            check_part(part(**{name: part()[name] + 1}))
    for name, value in (("matched", 7), ("matched", 4), ("bytes", 481), ("state", "running")):
        with pytest.raises(AssertionError):
            check_part(part(**{name: value}))
    check_part(part(state="failed", packets_stored=1))  # what got through counts
    check_part(part(bytes=3 * 1514), snaplen=262144)  # whole packets
    check_part(part(packets_stored=0, chunks_found=0), assembled=False)  # nobody has looked for them


def test_whole_sees_one_byte():
    """A packet of a full capture is there byte for byte, once, and so are all of them."""
    source = SimpleNamespace(
        streams=[{"edge": 1, "source": "1.2.3.4", "destination": "5.6.7.8", "source_port": 123, "destination_port": 80,
                  "flows": 1, "protocol": 17, "bytes": 100}],
        sent=[TIMES[:3]],
    )  # fmt: skip
    frames = [numbered_frame(source.streams[0], 0, number) for number in range(3)]
    check_whole(pcap_of(frames), source)
    wrong = frames[1][:-1] + b"!"
    for other in (frames[:2], [*frames, frames[2]], [frames[1], frames[0], frames[2]], [frames[0], wrong, frames[2]],
                  [frames[0], frames[1][:-1], frames[2]]):  # fmt: skip
        with pytest.raises(AssertionError):
            check_whole(pcap_of(other), source)


def pcap_of(frames):
    head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)
    return head + b"".join(struct.pack("<IIII", i, 0, len(f), len(f)) + f for i, f in enumerate(frames))


@pytest.mark.parametrize("taken", [list(range(9)), [0, *range(2, 10)], [*range(10), 9], [1, 0, *range(2, 10)]])
def test_all_sees_loss_order_and_repetition(taken):
    """Everything, once, in order."""
    check_all({0: list(range(10))}, [TIMES])
    with pytest.raises(AssertionError):
        check_all({0: taken}, [TIMES])


def test_window_sees_both_ends():
    """Nothing is missing inside, nothing is there from outside; what straddles an end may be either."""
    check_window([3, 4, 5], TIMES, 2500, 5500)
    check_window([3, 4, 5], TIMES, 3005, 5500)
    check_window([4, 5], TIMES, 3005, 5500)
    for taken in ([4, 5], [3, 5], [3, 4], [2, 3, 4, 5], [3, 4, 5, 6], [3, 4, 4, 5], [4, 3, 5]):
        with pytest.raises(AssertionError):
            check_window(taken, TIMES, 2500, 5500)


def test_earliest_sees_what_was_passed_over():
    """A stream's later packets are not there while another's earlier ones are missing."""
    other = [(a + 500, b + 500) for a, b in TIMES]
    check_earliest({0: [0, 1], 1: [0]}, [TIMES, other], 3)
    for found in ({0: [0, 1, 2]}, {0: [0], 1: [0, 1]}, {0: [0, 2], 1: [0]}, {0: [0, 1], 1: [0, 1]}):
        with pytest.raises(AssertionError):
            check_earliest(found, [TIMES, other], 3)


@pytest.mark.parametrize("write", [
    bytes, lambda v: v.hex().encode(), lambda v: v.hex().upper().encode(), base64.b64encode,
    base64.urlsafe_b64encode, lambda v: urllib.parse.quote_from_bytes(v, safe="").encode(),
])  # fmt: skip
def test_logs_are_searched_for_secrets(tmp_path, write):
    """In whatever form one is written, and it is not repeated in the report."""
    log = tmp_path / "api-1.log"
    secret = b"+not/a~word%of+ours?" + tmp_path.name.encode()
    log.write_bytes(b"event=request status=200\n" * 3)
    secret_check.note("token", secret)
    secret_check.check_logs([log])
    log.write_bytes(log.read_bytes() + b'event=x text="' + write(secret) + b'"\n')
    with pytest.raises(AssertionError, match="api-1.log: token .* in line 4") as seen:
        secret_check.check_logs([log])
    assert secret.decode() not in str(seen.value)


@pytest.mark.parametrize("text", [
    "PUT /edge/v1/objects/chunks/a?expires=1&max=2&sig=" + "0a" * 32, "?X-Amz-Signature=" + "0a" * 32,
    "authorization: Bearer abcdefghijklmnop", "url=postgresql://edgecap_api:hunter2@/edgecap", "password=hunter2",
    "content=edgecap-ownership-v1.abcdefghijklmnopqrstuvwxyz", "payload ECSQ", "payload 45435351",
])  # fmt: skip
def test_logs_are_searched_for_what_nobody_has_noted(tmp_path, text):
    """Signatures, credentials and content are known by their form."""
    log = tmp_path / "api-1.log"
    for good in ("sig=none", "token:Bearer", "postgresql://edgecap_api@/edgecap", "password=***"):
        log.write_text(good + "\n")
        secret_check.check_logs([log])
    log.write_text(text + "\n")
    with pytest.raises(AssertionError, match="in line 1"):
        secret_check.check_logs([log])


def test_what_is_shown_once_is_noted():
    """Answers of edgecap-admin and of the API, and settings."""
    made = {"id": "0" * 32, "list": [{"token": "a token that is shown"}], "key": "a key that is shown", "name": "a name, no secret"}
    assert secret_check.note_answer(made) is made
    secret_check.note_settings({"EDGECAP_SIGNING_SECRET": "a secret in a setting", "EDGECAP_LISTEN": "127.0.0.1:8080",
                                "EDGECAP_DATABASE_URL": "postgresql://u:p%20ssword-of-u@/x"})  # fmt: skip
    for text in (b"a token that is shown", b"a key that is shown", b"a secret in a setting", b"p ssword-of-u"):
        assert secret_check.find(b"x " + text + b" y"), text
    assert secret_check.find(b"a name, no secret 127.0.0.1:8080 " + b"0" * 32) == []
