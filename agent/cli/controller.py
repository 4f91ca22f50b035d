# SPDX-License-Identifier: Apache-2.0
"""`bms-agent controller`: the embedded controller. What its options mean: `agent.controller.options.Options`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from agent.errors import ConfigError
from agent.model.frozen import faults

CONTROLLER_EXTRA = "Install the controller's extra: pip install 'bms-agent[controller]'."
app = typer.Typer(invoke_without_command=True, help="Run the embedded controller.")
DATA = Path("/var/lib/bms-agent-controller")

Data = Annotated[Path, typer.Option(help="the controller's directory")]


@app.callback()
def controller(
    context: typer.Context,
    listen: Annotated[str | None, typer.Option(help="address and port")] = None,
    listen_tls: Annotated[str | None, typer.Option(help="address and port for agents, over TLS")] = None,
    require_certificates: Annotated[bool | None, typer.Option(help="of agents that call over TLS")] = None,
    certificate_days: Annotated[float | None, typer.Option(help="that a node's certificate is good for")] = None,
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
    quarantine: Annotated[bool | None, typer.Option(help="a disk not proven erased costs itself, not its node")] = None,
    show_hidden: Annotated[bool | None, typer.Option(help="of ATA drives, before they are erased, for good")] = None,
    require_attested: Annotated[bool | None, typer.Option(help="put no node back whose erasure is not")] = None,
    require_approval: Annotated[bool | None, typer.Option(help="of a second person, before data are destroyed")] = None,
    token_lifetime_s: Annotated[float | None, typer.Option(help="of the one-time token in a boot script")] = None,
    calls_per_s: Annotated[float | None, typer.Option(help="that one token may make; 0: any")] = None,
    strangers_per_s: Annotated[float | None, typer.Option(help="without a known token, from one address")] = None,
    imports: Annotated[str | None, typer.Option(help="who converts imported images: here, apart, or only this")] = None,
    import_from: Annotated[list[str] | None, typer.Option(help="a private network: projects import from it")] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning, error")] = None,
    log_format: Annotated[str | None, typer.Option(help="text or json")] = None,
) -> None:
    """Run the embedded controller."""
    given = {name: value for name, value in locals().items() if value is not None and name != "context"}
    if context.invoked_subcommand is not None:
        if given:
            raise ConfigError(
                f"reading the options of controller {context.invoked_subcommand}",
                f"{', '.join(given)} stands before it",
                hint=f"Options of it come after it: bms-agent controller {context.invoked_subcommand} --help.",
            )
        return
    with of_the_controller():
        from agent.controller.options import Options
        from agent.controller.serve import run
    try:
        options = Options.model_validate(given)
    except ValidationError as error:
        raise ConfigError("reading the controller's options", faults(error)) from None
    run(options)


@app.command("backup")
def backup(
    to: Annotated[Path, typer.Option(help="the file to make: keep it as safe as the keys in it")],
    data: Data = DATA,
    database: Annotated[str | None, typer.Option(help="as it was told to the controller")] = None,
    images: Annotated[bool, typer.Option(help="with the uploaded images")] = True,
    plan: Annotated[bool, typer.Option("--plan", help="only show what would be done")] = False,
) -> None:
    """Copy database, keys and images into one file, while the controller runs."""
    with of_the_controller():
        from agent.controller.backup.archive import write_backup
        from agent.controller.clock import SystemClock
        from agent.controller.options import Options
    if plan:
        typer.echo(f"would copy database and keys{' and images' if images else ''} of {data} to {to}")
        return
    made = write_backup(Options(data=data, database=database), to, SystemClock().now(), with_images=images)
    size = sum(entry.size_bytes for entry in made.files.values())
    typer.echo(f"{to}: {len(made.files)} files, {size} bytes")


@app.command("restore")
def restore(
    backup: Annotated[Path, typer.Argument(help="the file that backup made")],
    data: Data = DATA,
    plan: Annotated[bool, typer.Option("--plan", help="only check the file, and show what is in it")] = False,
) -> None:
    """Make a controller's directory of a backup. It must not hold a controller yet."""
    with of_the_controller():
        from agent.controller.backup.archive import read_backup
        from agent.controller.backup.restore import must_be_free, restore
    if plan:
        must_be_free(data)
        made = read_backup(backup, None)
        typer.echo(
            f"{backup}: sound, of {made.made_at:%Y-%m-%d %H:%M:%SZ}; would restore {len(made.files)} files to {data}"
        )
        return
    made, settled = restore(backup, data)
    typer.echo(f"restored to {data}, as of {made.made_at:%Y-%m-%d %H:%M:%SZ}:")
    typer.echo(f"  {settled.nodes} nodes are in maintenance: look at each, then bmsctl node maintenance NODE --off")
    typer.echo(
        f"  {settled.jobs} jobs were under way, and are failed; {settled.images} images have no file, and are killed"
    )
    typer.echo("  tokens that were revoked since are good again: bmsctl token list")


@contextmanager
def of_the_controller() -> Iterator[None]:
    """Raises `ConfigError` where the controller is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigError("starting the controller", str(error), hint=CONTROLLER_EXTRA) from None
