"""DELETE /pcaps/{id}: who may, what it answers, and that nobody downloads the capture any more from then on."""

import re
import time

import pytest
from api_rig import Account, Api, body, finished_job, uuid7
from contract import failure, result

TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")


def view(api, account, job):
    return result(api.call("GET", account.path("/" + job), account))


def delete(api, account, job, **headers):
    return api.call("DELETE", account.path("/" + job), account, headers or None)


def test_deleted_for_all_replicas_at_once(api, db, account, tmp_path):
    job = finished_job(api, account, b"p" * 24)
    with Api(db, tmp_path, EDGECAP_STORAGE="file://%s" % api.store) as other:
        for one in (api, other):
            assert one.call("GET", account.path("/%s/download" % job), account).status_code == 200
        answer = delete(api, account, job)
        assert answer.status_code == 204 and answer.content == b""
        for one in (other, api):
            for form in ("", "?format=pcapng"):
                got = failure(one.call("GET", account.path("/%s/download%s" % (job, form)), account), 410, 1410)
                assert got["message"] == "The packet capture was deleted"
    shown = view(api, account, job)
    assert shown["status"] == "success" and TIME.match(shown["delete_requested"])
    assert "deleted" not in shown  # no assembler is there: nothing is said to be gone
    assert delete(api, account, job).status_code == 204
    assert view(api, account, job) == shown
    rows = db.sql("SELECT action, result FROM audit_events WHERE object_id = '%s' AND action = 'pcap.delete'" % job)
    assert rows == [["pcap.delete", "ok"]] * 2


def test_gone_is_shown_once_it_was_seen(api, db, account):
    job = finished_job(api, account, b"p" * 24)
    delete(api, account, job)
    db.sql("SELECT garbage_erased('%s', '%s', true, 780)" % (account.id, job))
    shown = view(api, account, job)
    assert TIME.match(shown["deleted"]) and shown["deleted"] >= shown["delete_requested"]
    listed = result(api.call("GET", account.path("?per_page=1"), account))[0]
    assert listed["deleted"] == shown["deleted"]


def test_under_way_is_409(api, account):
    job = result(api.call("POST", account.path(), account, json=body()))["id"]
    for _ in range(2):
        got = failure(delete(api, account, job), 409, 1409)
        assert "stop it" in got["message"]
        assert api.call("PUT", account.path("/%s/stop" % job), account).status_code == 204
    assert "delete_requested" not in view(api, account, job)


def test_failed_and_expired_ones_are_deleted_too(api, account):
    failed = finished_job(api, account, b"p" * 24, stage="failed", error_message="it did", pcap_key=None, pcapng_key=None)
    expired = finished_job(api, account, b"p" * 24, stage="expired")
    for job, status, download in ((failed, "failed", 409), (expired, "success", 410)):
        assert delete(api, account, job).status_code == 204
        shown = view(api, account, job)
        assert shown["status"] == status and shown["delete_requested"]
        failure(api.call("GET", account.path("/%s/download" % job), account), download)


def test_a_full_captures_file_stays_in_its_bucket(api, db, account):
    job = finished_job(api, account, b"p" * 24, type="full", byte_limit=1000, colo_name="ord02", expires=None,
                       packet_limit=None, pcapng_key=None, destination="s3://bucket/dir?region=us-east-1")  # fmt: skip
    assert delete(api, account, job).status_code == 204
    answer = api.call("GET", account.path("/" + job), account)
    assert result(answer)["status"] == "success" and result(answer)["delete_requested"]
    assert "were not deleted" in answer.json()["messages"][0]["message"]
    failure(api.call("GET", account.path("/%s/download" % job), account), 409, 1409)


def test_who_may(api, account, other):
    job = finished_job(api, account, b"p" * 24)
    for permissions, status in (("read,download", 403), ("admin", 403), ("collect", 204)):
        headers = {"Authorization": "Bearer " + account.new_token(permissions)}
        assert api.call("DELETE", account.path("/" + job), None, headers).status_code == status
    theirs = finished_job(api, other, b"p" * 24)
    failure(delete(api, account, theirs), 404, 1404)
    failure(delete(api, account, uuid7(time.time())), 404, 1404)
    failure(api.call("DELETE", other.path("/" + theirs), account), 403, 10001)
    assert "delete_requested" not in view(api, other, theirs)


@pytest.mark.parametrize("tail", ["/download", "/stop", ""])
def test_there_is_nothing_else_to_delete(api, account, tail):
    job = uuid7(time.time())
    path = account.path("/%s%s" % (job, tail)) if tail else account.path()
    failure(api.call("DELETE", path, account), 405, 10405)
