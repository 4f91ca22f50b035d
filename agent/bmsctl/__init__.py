# SPDX-License-Identifier: Apache-2.0
"""`bmsctl`: the client of the embedded controller, for its users and its operators. One file a noun.

It knows the controller by its HTTP alone. Everything that reads or writes has `--json`, which prints the answer as it
came.
"""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from agent.bmsctl import (
    approval,
    audit,
    eip,
    enrolment_token,
    flavor,
    group,
    image,
    job,
    keypair,
    node,
    server,
    subnet,
    token,
    user,
    vpc,
)
from agent.bmsctl.answers import Whoami
from agent.bmsctl.client import SAY_WHO, Client, Refused, exit_status_of, read
from agent.bmsctl.show import Json, client_of, show
from agent.errors import AgentError, ConfigError
from agent.program.streams import streams, tell

PROGRAM, COMPLETE = "bmsctl", "_BMSCTL_COMPLETE"
STATUSES = {
    "1": "anything that is not below",
    "2": "the request was refused",
    "3, 4": "the disk is not the one, or not as it must be",
    "5": "the image",
    "6": "the operating system or the hardware",
    "7": "nobody was reached",
    "8, 9": "node validate, node validation and flavor check found something broken or amiss",
    "130": "interrupted at the keyboard",
}
DESCRIPTION = (
    "bmsctl is the client of a bms-agent controller: nodes, images and servers, for the cloud's users and its "
    "operators. Every command that asks the controller has --json, which prints the answer as it came."
)
ENVIRONMENT = {
    "BMSCTL_TOKEN": "The token to call with, before --token-file.",
    "NO_COLOR": "If it is set, nothing is coloured.",
}
app = typer.Typer(
    name=PROGRAM,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Nodes, images and servers of a bms-agent controller.",
    epilog="Exit status: that of what went wrong. " + "; ".join(map(": ".join, STATUSES.items())) + ".",
)
for noun, commands in (
    ("node", node.app),
    ("flavor", flavor.app),
    ("image", image.app),
    ("vpc", vpc.app),
    ("subnet", subnet.app),
    ("security-group", group.app),
    ("eip", eip.app),
    ("keypair", keypair.app),
    ("server", server.app),
    ("job", job.app),
    ("user", user.app),
    ("token", token.app),
    ("approval", approval.app),
    ("audit", audit.app),
    ("enrolment-token", enrolment_token.app),
):
    app.add_typer(commands, name=noun)


def without_colours(asked: bool) -> None:
    """NO_COLOR (no-color.org) is what everything that draws asks for."""
    if asked:
        os.environ["NO_COLOR"] = "1"


@app.callback()
def connect(
    context: typer.Context,
    url: Annotated[str, typer.Option(envvar="BMSCTL_URL", help="the controller")] = "http://127.0.0.1:8480",
    token_file: Annotated[
        Path | None,
        typer.Option(
            envvar="BMSCTL_TOKEN_FILE",
            help="a file with the token that you call with, such as the controller's admin-token; or the token itself "
            "in $BMSCTL_TOKEN: never as a word of a command, which everybody on this machine can read",
        ),
    ] = None,
    ca_file: Annotated[
        Path | None,
        typer.Option(
            envvar="BMSCTL_CA",
            help="who certifies the controller, and nobody else: a copy of its /boot/ca.pem, for an https URL",
        ),
    ] = None,
    no_color: Annotated[
        bool,
        typer.Option(
            "--no-color",
            is_eager=True,
            callback=without_colours,
            help="plain text; so does NO_COLOR in the environment",
        ),
    ] = False,
    project: Annotated[
        str | None,
        typer.Option(envvar="BMSCTL_PROJECT", help="act as one of this project, if you are of the whole cloud"),
    ] = None,
) -> None:
    """Nodes, images and servers of a bms-agent controller."""
    if context.obj is not None:
        return
    try:
        token = os.environ.get("BMSCTL_TOKEN") or (
            token_file.read_text(encoding="utf-8").strip() if token_file else None
        )
    except OSError as error:
        raise ConfigError(f"reading the token in {token_file}", error.strerror or "", hint=SAY_WHO) from None
    except UnicodeDecodeError:
        raise ConfigError(f"reading the token in {token_file}", "it holds no text", hint=SAY_WHO) from None
    context.obj = Client(url, token, project=project, ca=ca_file)


@app.command("whoami")
def whoami(context: typer.Context, json: Json = False) -> None:
    """What the token is good for."""
    answer = client_of(context).get("/v1/whoami")
    who = read(Whoami, answer)
    show(answer, json, f"{who.name}: {who.role} of {who.whereabouts}")


class Shell(StrEnum):
    """Those that Typer has a script for."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


@app.command("completion")
def completion(shell: Annotated[Shell, typer.Argument(help="for this shell")]) -> None:
    """Print what completes this command in a shell: bmsctl completion bash > /etc/bash_completion.d/bmsctl"""
    from typer.completion import get_completion_inspect_parameters, shell_complete

    get_completion_inspect_parameters()
    raise typer.Exit(shell_complete(typer.main.get_command(app), {}, PROGRAM, COMPLETE, f"source_{shell}"))


@app.command("man")
def man() -> None:
    """Print the manual page. To read it at once: bmsctl man | man -l -"""
    from agent import __version__
    from agent.program.manual import About, page

    about = About(PROGRAM, "the client of a bms-agent controller", DESCRIPTION, STATUSES, ENVIRONMENT)
    typer.echo("\n".join(page(typer.main.get_command(app), about, __version__)))


def main() -> None:
    """Run, and turn an error into its text and its exit status."""
    if COMPLETE in os.environ:
        from typer.completion import get_completion_inspect_parameters

        get_completion_inspect_parameters()  # teaches Typer the shells
    try:
        with streams():
            app(prog_name=PROGRAM)
    except AgentError as error:
        tell(said(error))
        sys.exit(exit_status_of(error))
    except KeyboardInterrupt:  # before Typer sees to it
        sys.exit(130)


def said(error: AgentError) -> str:
    """An error as its reader wants it: code, what failed, why, and what to do."""
    code = error.fault.code if isinstance(error, Refused) else error.code
    text = str(error).replace("\n", "\n  ")
    because = error.fault.details if isinstance(error, Refused) else error.causes()
    lines = [f"{code}: {text}", *([f"  because: {because}"] if because else []), f"  to do:   {error.hint}"]
    return "\n".join(lines) + "\n"
