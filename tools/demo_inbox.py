"""The last scene of the demo: connects a webhook service to a sandbox, writes in, and tells what is seen.

    python tools/demo_inbox.py SANDBOX_URL SERVICE_URL

It does by HTTP what the sandbox's page `/_sandbox/inbox` does, and fails if what it waits for does not come.
"""

import sys
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import httpx

PATIENCE_SECONDS = 60
TAG = "mynatca-sync"
QUESTION = "Hello, I have a question about my insurance."

Json = dict[str, Any]


def main(sandbox_url: str, service_url: str) -> None:
    """Play the scene."""
    with httpx.Client(base_url=sandbox_url, timeout=30) as sandbox, httpx.Client(base_url=service_url) as service:
        _wait(lambda: _is_ready(service), "the webhook service to be ready")
        _connect(sandbox, service_url)
        people = _ask(sandbox, "GET", "/people")["people"]
        _member_writes(sandbox, people[0])
        _stranger_writes(sandbox, people[1])


def _is_ready(service: httpx.Client) -> bool:
    try:
        return service.get("/readyz").is_success
    except httpx.TransportError:
        return False


def _connect(sandbox: httpx.Client, service_url: str) -> None:
    """Do what is done once in Intercom's developer hub."""
    addresses = {
        "webhook_url": f"{service_url}/api/intercom/webhook",
        "canvas_url": f"{service_url}/api/intercom/canvas",
    }
    sandbox.patch("/_sandbox/options", json=addresses).raise_for_status()


def _member_writes(sandbox: httpx.Client, member: Json) -> None:
    print(f"  {member['name']} writes in from an email that the members' database has, not signed in: a lead.")
    talk = _ask(sandbox, "POST", "/visitors", {"email": member["email"], "body": QUESTION})
    seconds = _wait(lambda: _is_of(_look(sandbox, talk), member), "the contact to be enriched")
    print(f"    {seconds:.1f} s later the agent sees {_seen(_look(sandbox, talk))}.")
    print("    The inbox app beside it:")
    print("".join(f"      {line}\n" for line in _app(sandbox, talk)))


def _stranger_writes(sandbox: httpx.Client, member: Json) -> None:
    text = f"Hello, I write from a new address. My member number is {member['number']}."
    print(f'  Somebody writes from an email that no member has: "{text}"')
    talk = _ask(sandbox, "POST", "/visitors", {"email": "new.address@elsewhere.example.net", "body": text})
    print(f"    The agent notes the number in the conversation, and puts on the tag {TAG}.")
    path = f"/conversations/{quote(talk['id'])}"
    _ask(sandbox, "PUT", f"{path}/verification", {"value": member["number"]})
    _ask(sandbox, "POST", f"{path}/tag")
    seconds = _wait(lambda: TAG not in _look(sandbox, talk)["tags"], "the tag to be taken off")
    if not _is_of(_look(sandbox, talk), member):
        sys.exit("The tag is gone, but the contact is not the member's.")
    print(f"    {seconds:.1f} s later the tag is gone, and the agent sees {_seen(_look(sandbox, talk))}.")


def _ask(sandbox: httpx.Client, method: str, path: str, body: Json | None = None) -> Json:
    answer = sandbox.request(method, f"/_sandbox/inbox{path}", json=body)
    answer.raise_for_status()
    told: Json = answer.json()
    return told


def _look(sandbox: httpx.Client, talk: Json) -> Json:
    return _ask(sandbox, "GET", f"/conversations/{quote(talk['id'])}")


def _is_of(talk: Json, member: Json) -> bool:
    fields = talk["contact"]["fields"]
    return (fields["role"], fields["external_id"]) == ("user", member["number"])


def _seen(talk: Json) -> str:
    fields: Json = talk["contact"]["fields"]
    number, *more = (fields[name] for name in ("external_id", "member_type", "region", "facility", "positions"))
    return ", ".join([talk["contact"]["name"], f"member {number}", *filter(None, more)])


def _app(sandbox: httpx.Client, talk: Json) -> list[str]:
    """The texts of the inbox app's first canvas."""
    canvas = _ask(sandbox, "POST", f"/conversations/{quote(talk['id'])}/canvas/initialize")
    lines = []
    for component in canvas["content"]["components"]:
        if component["type"] == "text":
            lines.append(component["text"])
        elif component["type"] == "data-table":
            lines.extend(f"{item['field']:<14} {item['value']}" for item in component["items"])
        elif component["type"] == "button":
            lines.append(f"[ {component['label']} ]")
    return lines


def _wait(holds: Callable[[], bool], what: str) -> float:
    """Wait on a condition; return the seconds that it took."""
    begun = time.monotonic()
    while not holds():
        if time.monotonic() - begun > PATIENCE_SECONDS:
            sys.exit(f"Waited {PATIENCE_SECONDS} s for {what}.")
        time.sleep(0.05)
    return time.monotonic() - begun


if __name__ == "__main__":
    main(*sys.argv[1:])
