# SPDX-License-Identifier: Apache-2.0
"""bms-agent: the host agent of a bare-metal cloud. A walk through the house.

One program, three uses: the **ramdisk** that a server boots over the network (`ramdisk.py`), the **service** in its
installed OS (`service.py`), and the **operator's command** (`cli/`). Data goes one way round:

    hardware ─► inventory ─► plan ─► check ─► apply ─► hardware
                   ▲        (pure)  (pure)     │
                   └──────── observe again ◄───┘ ─► report ─► controller, terminal

Where things are, from the top; a module imports only from floors below it:

    cli/                          argv: one file a noun, no logic
    ramdisk.py service.py         the two resident modes: how each opens its session with the controller
    ironic.py                     the ramdisk under OpenStack Ironic, in place of its own agent
    daemon.py                     what runs while a session is open: threads, watchdog, end
    diagnose/                     what is wrong with this machine and what to do; the bundle; the status screen
    link/                         agent → controller: heartbeats, desired state, reports; `link/relay` asks for root,
                                  `link/process` speaks HTTP and may do nothing else; `link/ironic`: the same for Ironic
    api/ironic/                   Ironic → agent: commands and steps, each a row that leads to an operation; `process`
                                  reads HTTP and may do nothing else, `desk` judges
    operations.py                 THE TABLE: every verb, who plans it, who does it, where it may run
    networking.py                 its page on the network
    job/                          ledger, journal, outbox, executor, convergence: what survives a crash
    inventory/ plan/ apply/       observe · decide · do: the same nouns in each (disk, image, network …)
    host/                         the doors: all that touches the operating system; `host/fake`: tests, recordings
    life/                         what every process owes that stays: watchdog, count of its ends, systemd's ear
    model/ errors/ config.py     values, one tree of errors, settings; `program/`: what both commands have in common

Writing an image is the heart of it. `apply/source/` fetches (ranges, mirrors, registries); `apply/chunked/` writes what
is packed in chunks, verified one by one, `apply/stream.py` with `apply/decode/` everything else; both end in
`apply/target.py`, the disk without its first MiB, which `apply/seal.py` writes last. All of that is done by a process
without rights (`apply/writer/`), which root lends the disk (`apply/lender.py`). A root filesystem goes into a
partition (`apply/partition.py`), with a table of ours and the loader that it carries (`apply/loader.py`).
`apply/capture/` goes the other way, and `apply/convert.py` from file to file.

`apply/erasing/` is what takes it away again: a drive forgets by the best means that it has, and canaries, samples and
its own log decide whether it did. What came of each disk is signed (`model/erasing/`); a node is clean by that alone.

The network is the other heart. `model/network/` has it as it shall be and as it is, in the same words;
`plan/network/` makes steps of the difference, and the files for the next boot; `host/rtnetlink/` tells them to the
kernel; `job/commit.py` proves a change or takes it back, whatever becomes of the agent; `job/convergence.py` keeps it.

Hardware is put under load by `apply/burn_in/` and judged by `apply/validation/`: the tests are rows of
`model/validation/catalogue.py`, and what is found has a code of `model/validation/codes.py`.

So: an operation is *decided* in `plan/`, judged in `plan/check.py`, and *done* in `apply/`; nothing else decides or
does. `controller/` (the embedded controller) and `bmsctl/` (its client) are other programs in the same wheel: they
import the lowest floors only (`life/` is one), and know the agent by its protocol, `model/protocol.py`, alone.

Who is believed: a node by its key (`link/key.py`; `link/sealed.py`: in the TPM) and its certificate
(`link/certificate.py`, `controller/certificates.py`), a ramdisk by the boot that the controller ordered
(`controller/flow/attest.py`), and who destroys data, by policy, with a second person (`controller/flow/approval.py`).

To add a verb: a request in `model/request.py`, a planner in `plan/`, steps in `model/plan.py` with their invariants
in `plan/check.py` and their doing in `apply/`, a row in `operations.py`, a file in `cli/`, a golden plan in `tests/`.
"""

__version__ = "0.1.0"
