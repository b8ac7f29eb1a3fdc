"""The command `zerotune ui`."""

import os
import sys
from typing import Annotated

import typer

from ..errors import BadInput
from .options import StoredStudy, takes_options
from .terminal import console, print_lines

LOCALHOST = "127.0.0.1"


@takes_options
def ui(
    stored: StoredStudy,
    port: Annotated[int, typer.Option(min=1, max=65535, metavar="PORT", help="Port to listen on.")] = 5000,
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Address to listen on. Other addresses expose the UI to everyone who can reach them.",
        ),
    ] = LOCALHOST,
) -> None:
    """Open the MLflow UI on a study's store, and print links to the study's runs."""
    from ..addresses import is_loopback
    from ..store import is_server, ui_command, ui_links

    uri, name = stored.locate()
    has_own_ui = is_server(uri)
    if not has_own_ui:
        _check_can_listen(host, port)
    links = ui_links(uri, name, port, host=host, journal=stored.find_journal(name))
    print_lines(f"{label}: {url}" for label, url in links)
    if has_own_ui:
        return
    if not is_loopback(host):
        console.print(
            f"Everyone who can reach {host}:{port} can read, change and delete what this store holds: MLflow asks for "
            "no password.",
            style="yellow",
        )
    arguments, environment = ui_command(uri, port, host)
    console.print("Press Ctrl-C to stop the server.")
    sys.stdout.flush()
    os.execvpe(arguments[0], arguments, environment)


def _check_can_listen(host: str, port: int) -> None:
    """Raise BadInput where the server could not listen."""
    import socket

    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does: ignore old connections
            probe.bind(address)
    except (OSError, UnicodeError) as error:
        where = f"--port {port}" if host == LOCALHOST else f"--host {host} --port {port}"
        reason = getattr(error, "strerror", None) or "no such address"
        raise BadInput(f"{where}: cannot be used ({reason}): choose another") from None
