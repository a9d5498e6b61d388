"""The copy of all members in the running service: kept fresh while a source answers, used while none does."""

import sqlite3
from contextlib import closing

import httpx

from mynatca_sandbox.world.model import Contact
from support.canned import Answer, Request, canned
from support.ports import free_port
from support.webhook_service import ANN, Service, notification, wait_until


def test_when_no_source_answers_the_member_cache_does(service: Service, lead: Contact) -> None:
    """Kept by an earlier process; its age is right in the next one, which could not refresh it."""
    file, port = service.folder / "cache" / "members.db", free_port()
    service.start(MEMBER_CACHE=str(file))
    wait_until(file.exists)
    service.stop()
    with closing(sqlite3.connect(file)) as copy, copy:
        copy.execute("UPDATE listing SET listed_at = listed_at - 7200")

    service.start(MEMBER_CACHE=str(file), SUPABASE_URL="http://127.0.0.1:1", METRICS_PORT=str(port))
    service.send(notification(lead.id))
    wait_until(lambda: lead.external_id == ANN)

    exported = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    samples = dict(line.rsplit(" ", 1) for line in exported.splitlines() if not line.startswith("#"))
    assert lead.custom_attributes["region"] == "GL"
    assert 7200 <= float(samples["mynatca_intercom_member_cache_age_seconds"]) < 7300
    assert float(samples["mynatca_intercom_member_cache_answers_total"]) > 0


def test_a_failed_refresh_is_tried_again(service: Service) -> None:
    """Supabase is out of order at first; then the copy is made, and made anew as it becomes due."""
    file = service.folder / "members.db"

    def answer(request: Request) -> Answer:
        if len(supabase.requests) < 3:
            return Answer(500, b'{"code":"XX000","message":"row ann@example.com"}')
        told = httpx.get(service.sandbox.url + request.path, headers=dict(request.headers))
        return Answer(told.status_code, told.content, {"Content-Range": told.headers["Content-Range"]})

    with canned(answer) as supabase:
        service.start(
            SUPABASE_URL=supabase.url, MEMBER_CACHE=str(file), MEMBER_CACHE_REFRESH_SECONDS="0.05", LOG_LEVEL="WARNING"
        )
        wait_until(file.exists)
        first = file.stat().st_ino
        wait_until(lambda: file.stat().st_ino != first)
        assert service.stop() == 0
    assert "the member cache is not refreshed: Supabase answers with error XX000" in service.errors
    assert "ann" not in service.errors


def test_a_wrong_setting_is_told_before_the_start(service: Service) -> None:
    process = service.command("serve", MEMBER_CACHE_MAX_AGE_SECONDS="a day")
    assert "MEMBER_CACHE_MAX_AGE_SECONDS cannot be" in process.communicate(timeout=120)[1]
    assert process.returncode == 2
