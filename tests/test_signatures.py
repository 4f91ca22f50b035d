# SPDX-License-Identifier: Apache-2.0
"""A signature that is required is required on every road by which an image can arrive, before the first write."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from threading import Event, Thread

import pytest
from pydantic import SecretStr

from agent.cli.job import by_hand
from agent.config import Settings, load
from agent.daemon import Daemon, Open
from agent.errors import SignatureMissing
from agent.host.clock import RealClock
from agent.host.fake import FakeHost, Machine
from agent.job.journal import recalled
from agent.life.sd_notify import Notifier
from agent.model.image import ImageFormat, ImageRef
from agent.model.protocol import Desired, Session
from tests.api.ironic.asked import write_image
from tests.api.ironic.served import serving
from tests.apply import chunks
from tests.apply.deploying import DISK, IMAGE, full
from tests.apply.disks import disk_of, machine, request, serve
from tests.apply.test_chunked_sign import OTHERS, OURS, PEM

SESSION = Session(session_id="s", boot_id="boot-1", mode="ramdisk", agent_version="1")
NO_KEY = "require_signature = true\n"
OUR_KEY = f'image_keys = ["{OURS}"]\n'
ANOTHERS_KEY = f'image_keys = ["{OTHERS}"]\n'
PATIENCE_S = 30.0


def arriving(config: str, image_format: ImageFormat) -> tuple[Machine, ImageRef]:
    """A machine that is configured like that, whose disk holds something, and a signed image, where there are such."""
    made = machine(DISK)
    full(made)
    made.tree.put("/etc/bms-agent/agent.toml", config.encode())
    if image_format is ImageFormat.CHUNKED:
        return made, chunks.serve(made, IMAGE, signing_pem=PEM)
    return made, serve(made, IMAGE, image_format)


REFUSED = pytest.mark.parametrize(
    ("config", "image_format"),
    [
        (NO_KEY, ImageFormat.CHUNKED),
        (NO_KEY, ImageFormat.RAW),
        (OUR_KEY, ImageFormat.QCOW2),
        (OUR_KEY, ImageFormat.RAW_ZST),
        (ANOTHERS_KEY, ImageFormat.CHUNKED),
        (NO_KEY + ANOTHERS_KEY, ImageFormat.CHUNKED),
    ],
)


def must_be_untouched(made: Machine) -> None:
    """Not a byte was written."""
    disk = disk_of(made)
    assert disk.durable.read(0, 8) == b"precious" and not disk.cached


@REFUSED
def test_by_hand(config: str, image_format: ImageFormat) -> None:
    """`bms-agent image write`, in its plan or when it reads the image."""
    made, image = arriving(config, image_format)
    operations = by_hand(FakeHost.of(made))
    wanted = request(image, drive=None).model_copy(update={"overwrite": True})
    with pytest.raises(SignatureMissing):
        for step in operations.plan(wanted).steps:
            operations.do(step, lambda *_: None)
    must_be_untouched(made)


@pytest.mark.parametrize(("config", "image_format"), [(NO_KEY, ImageFormat.RAW), (OUR_KEY, ImageFormat.QCOW2)])
def test_from_ironic(tmp_path: Path, config: str, image_format: ImageFormat) -> None:
    """Of Ironic's formats none can be signed: nothing is written where that is required."""
    made, image = arriving(config, image_format)
    with serving(FakeHost.of(made), tmp_path, images=load(config).images) as agent:
        ended = agent.ended(agent.post("deploy.execute_deploy_step", write_image(image))["id"])

    assert "IMAGE.UNSIGNED" in ended["command_error"]["details"]
    must_be_untouched(made)


@REFUSED
def test_from_a_controller(config: str, image_format: ImageFormat) -> None:
    """As the resident agent was ordered by its controller, which need not even be there any more."""
    made, image = arriving(config, image_format)
    settings = load(config)
    host = replace(FakeHost.of(made), clock=RealClock())
    wanted = request(image, drive=None).model_copy(update={"overwrite": True, "request_id": "r", "node_id": "node-1"})
    desired = Desired(node_id="node-1", generation=1, request=wanted)
    host.files.write(f"{settings.state_dir}/ledger.json", desired.model_dump_json().encode())
    stop = Event()
    opened = Open(session=SESSION, url="http://127.0.0.1:1", node_id="node-1", credential=SecretStr("c"))
    thread = Thread(target=Daemon(host, settings, opened, None).run, args=(stop, Notifier({})))
    thread.start()
    ends_s = host.clock.monotonic_s() + PATIENCE_S
    while not is_over(host, settings) and host.clock.monotonic_s() < ends_s:
        stop.wait(0.02)
    stop.set()
    thread.join()
    (job,) = recalled(host.files, str(settings.state_dir))

    assert job.fault is not None and job.fault.code == "IMAGE.UNSIGNED"
    must_be_untouched(made)


def is_over(host: FakeHost, settings: Settings) -> bool:
    """The one job there is."""
    return any(job.state.final for job in recalled(host.files, str(settings.state_dir)))
