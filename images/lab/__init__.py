# SPDX-License-Identifier: Apache-2.0
"""The virtual bare-metal lab: a private network, a machine with a BMC, and a controller, on one computer.

`images/demo` and the tests of `tests/machine` stand on it. It knows the project from outside only: it runs the
commands, speaks the HTTP interfaces and looks at the disks. It must never need KVM, a host address or a host port.
"""
