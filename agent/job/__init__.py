# SPDX-License-Identifier: Apache-2.0
"""Floor 3, jobs: what was asked, what was begun, what came of it, and that it is told. Durable, each in one file.

    ledger   what the node shall be (generations)        ledger.json, replaced whole
    journal  what was begun and what came of it          journal.log, appended before acting
    outbox   what the controller has not yet confirmed   outbox.log, appended, sequence numbers

`executor` runs one request through plan, check, steps and report; `convergence` keeps the network as desired. Neither
knows a verb: what to do is given to them (`Doer`), by the table of `agent.operations`.
"""
