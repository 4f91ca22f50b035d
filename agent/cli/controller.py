# SPDX-License-Identifier: Apache-2.0
"""`bms-agent controller`: the embedded controller. What its options mean: `agent.controller.options.Options`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from agent.errors import ConfigError
from agent.model.frozen import faults

CONTROLLER_EXTRA = "Install the controller's extra: pip install 'bms-agent[controller]'."


def controller(
    listen: Annotated[str | None, typer.Option(help="address and port")] = None,
    data: Annotated[Path | None, typer.Option(help="directory of database, keys and images")] = None,
    ramdisk: Annotated[Path | None, typer.Option(help="directory with vmlinuz and initrd")] = None,
    url: Annotated[str | None, typer.Option(help="under which nodes reach this controller")] = None,
    database: Annotated[str | None, typer.Option(help="SQLAlchemy URL instead of a SQLite file")] = None,
    enrolment: Annotated[str | None, typer.Option(help="auto, or manual: an operator approves each node")] = None,
    insecure_user_api: Annotated[bool | None, typer.Option(help="let anybody use the user's side")] = None,
    kernel_options: Annotated[str | None, typer.Option(help="added to the ramdisk's command line")] = None,
    boot_timeout_s: Annotated[float | None, typer.Option(help="for the installed OS to return its nonce")] = None,
    patience_s: Annotated[float | None, typer.Option(help="for a machine to react before its BMC is used")] = None,
    silence_timeout_s: Annotated[float | None, typer.Option(help="until a silent deploy has failed")] = None,
    token_lifetime_s: Annotated[float | None, typer.Option(help="of a one-time enrolment token")] = None,
    imports: Annotated[str | None, typer.Option(help="who converts imported images: here, apart, or only this")] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning, error")] = None,
    log_format: Annotated[str | None, typer.Option(help="text or json")] = None,
) -> None:
    """Run the embedded controller."""
    given = {name: value for name, value in locals().items() if value is not None}
    try:
        from agent.controller.options import Options
        from agent.controller.serve import run
    except ModuleNotFoundError as error:
        raise ConfigError("starting the controller", str(error), hint=CONTROLLER_EXTRA) from None
    try:
        options = Options.model_validate(given)
    except ValidationError as error:
        raise ConfigError("reading the controller's options", faults(error)) from None
    run(options)
