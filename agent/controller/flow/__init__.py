# SPDX-License-Identifier: Apache-2.0
"""What happens: one module per occasion, each a short transaction over the store. Decisions are taken in `rules/`.

enrol, prove, beat, report, strangers              a machine speaks
netboot, poll                                      a machine asks
order, operate, catalogue, supervise               a user or an operator speaks
tick, power                                        nobody speaks
jobs, outcome, assign, publish, sessions, lookup   what these share
identity, rekey                                    whose word it is
"""
