# SPDX-License-Identifier: Apache-2.0
"""The crash laboratory: what the power takes when it goes, and where else bad luck is tried.

Here, on a disk that QEMU serves to this machine's kernel, and that keeps its write cache in this process' memory
(`cache`, `nbd`, `device`): the power goes at points drawn by lot, and of what was not flushed any part is lost.

    power cut in a deploy, disk errors, a disk pulled out    test_deploy
    power cut in a wipe                                      test_wipe
    power cut in a journal write and a network change        test_files
    a whole machine, its controller beside: power cuts in a
      wipe and a deploy, the agent killed for its memory,
      a clock that jumps by years                            test_power (the long run)
    a whole machine whose disk fails under a deploy, and is
      gone in the middle of a wipe                           test_errors (the long run)

Each of these is tried elsewhere, closer to the code that has to bear it:

    every verb, every door call fails or is the last, and
      draws of several of these, in several lives            tests/operations
    machine or agent killed, with firmware and controller    tests/machine/test_bad_luck, tests/ironic/test_deaths
    the writer killed at any byte, on a real block device    tests/apply/test_real_disk, test_resume_real
    a torn first MiB; a cache of which one write survives    tests/apply/test_seal, test_resume
    EIO, ENOSPC, a short write, a lie, at every write        tests/apply/test_property_stream
    a drive that vanishes, or stands still, while erased     tests/apply/test_erasing_drives
    a sanitize that goes on across a reboot                  tests/apply/test_erasing_drives
    a full /run and /var                                     tests/job/test_full
    a journal cut at every byte, a bit turned                tests/job/test_log
    a network change killed and cut off at every step        tests/network/test_dead_man
    a clock that jumps by years                              tests/controller/test_clock_jumps
    an image server that stalls, drips, breaks, sends 5xx    tests/apply/test_source, test_deploy_faults
      … ignores ranges, or changes the file midway           tests/apply/test_source, test_real_disk, test_nginx
      … redirects elsewhere                                  tests/apply/test_hostile
    a controller that is down for an hour, or two of them    tests/link/test_mad_controllers
    a loop that hangs or dies, crash loops                   tests/test_watchdog, tests/life/test_loops, test_lives
"""
