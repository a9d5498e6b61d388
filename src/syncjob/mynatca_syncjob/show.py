"""`show RUN`: the whole plan of a run on standard output, for whoever may read its folder. It shows members' data."""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mynatca_intercom.reconcile.run_folder import digest, find_run
from mynatca_intercom.settings import SettingsError


def show(runs_dir: Path, run: str, *, raw: bool) -> None:
    """Print the plan: `raw` as it stands in the file, or else in words.

    Raises:
        SettingsError: there is no such run, or it left no plan.
    """
    try:
        plan = (find_run(runs_dir, run) / "plan.jsonl").read_bytes()
    except OSError:
        raise SettingsError(f"RUN cannot be {run!r}: it left no plan.") from None
    if raw:
        sys.stdout.write(plan.decode())
    else:
        sys.stdout.writelines(f"{line}\n" for line in _in_words(run, plan))


def _in_words(run: str, plan: bytes) -> Iterator[str]:
    first, *lines = (json.loads(line) for line in plan.decode().removesuffix("\n").split("\n"))
    asked = {name: value for name, value in first.items() if value not in (None, False, [], {}) and name != "kind"}
    yield f"Plan of {run}"
    yield f"Asked for: {json.dumps(asked, ensure_ascii=False)}"
    yield f"Digest: {digest(plan)}"
    yield ""
    yield from map(_line, lines)


def _line(line: Mapping[str, Any]) -> str:
    """One action or finding on a line of its own: what, whom, former and new values, why."""
    whom = [
        f"{word} {line[key]}" for word, key in (("member", "member_number"), ("contact", "contact_id")) if line[key]
    ]
    whom += [f"into {line['into']}"] if "into" in line else []
    before, after = line.get("before", {}), line.get("after", {})
    changes = [f"{name}: {_value(before.get(name))} -> {_value(after[name])}" for name in after]
    return " | ".join(part for part in (line["kind"], ", ".join(whom), "; ".join(changes), line.get("reason")) if part)


def _value(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
