"""The command `mynatca-sandbox`: generates a world and serves it until SIGTERM or SIGINT."""

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from mynatca_sandbox.control import WORLD_OPTIONS
from mynatca_sandbox.options import OPTIONS
from mynatca_sandbox.server import serving
from mynatca_sandbox.state import State
from mynatca_sandbox.world.generate import generate

T = TypeVar("T")


def main() -> None:
    """Run the sandbox by the command line and `SANDBOX_*` variables; flags win."""
    os.environ["SANIC_IGNORE_PRODUCTION_WARNING"] = "1"  # Sanic's word to its own developers
    parser = argparse.ArgumentParser(prog="mynatca-sandbox", description=__doc__)
    parser.add_argument("--host", default=os.environ.get("SANDBOX_HOST", "127.0.0.1"), help="address to listen on")
    parser.add_argument(
        "--port", type=int, default=os.environ.get("SANDBOX_PORT", "8080"), help="port; 0 takes a free one"
    )
    _add_flags(parser, WORLD_OPTIONS)
    _add_flags(parser, OPTIONS)
    arguments = vars(parser.parse_args())
    world_options = _read(parser, WORLD_OPTIONS, arguments)
    state = State(generate(world_options), _read(parser, OPTIONS, arguments))
    asyncio.run(_run(state, socket.create_server((arguments["host"], arguments["port"]))))


def _add_flags(parser: argparse.ArgumentParser, options: TypeAdapter[Any]) -> None:
    """Add a flag for each field of an options class."""
    for name, schema in options.json_schema()["properties"].items():
        explanation = f"{schema.get('description', '')} (default: {schema.get('default')})".strip()
        environment = os.environ.get(f"SANDBOX_{name.upper()}")
        flag = "--" + name.replace("_", "-")
        parser.add_argument(flag, default=environment, help=explanation.replace("%", "%%"))


def _read(parser: argparse.ArgumentParser, options: TypeAdapter[T], arguments: dict[str, Any]) -> T:
    names = options.json_schema()["properties"].keys()
    given = {name: arguments[name] for name in names if arguments[name] is not None}
    try:
        return options.validate_python(given)
    except ValidationError as error:
        faults = [f"--{'-'.join(map(str, each['loc'])).replace('_', '-')}: {each['msg']}" for each in error.errors()]
        parser.error("; ".join(faults))


async def _run(state: State, sock: socket.socket) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    logging.basicConfig(format="%(message)s")
    logging.getLogger("mynatca_sandbox").setLevel(logging.INFO)
    async with serving(state, sock):
        _announce(state, sock)
        await stop.wait()


def _announce(state: State, sock: socket.socket) -> None:
    host, port = sock.getsockname()[:2]
    print(  # noqa: T201  - what a command says
        f"Intercom and Supabase at http://{host}:{port}, access token {state.options.access_token}, "
        f"Supabase key {state.options.supabase_key}; {len(state.world.contacts)} contacts, "
        f"{len(state.world.tables.get('members', []))} members",
        file=sys.stderr,
        flush=True,
    )


if __name__ == "__main__":
    main()
