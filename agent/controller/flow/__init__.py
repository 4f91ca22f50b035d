# SPDX-License-Identifier: Apache-2.0
"""What happens: one module per occasion, each a short transaction over the store. Decisions are taken in `rules/`.

enrol, prove, beat, report      a machine speaks
netboot                         a machine's firmware asks
poll                            a machine asks what it shall be
order, operate, supervise       a user or an operator speaks
tick, power                     nobody speaks
sessions, jobs, assign, publish, outcome    what these share, lowest first
"""
