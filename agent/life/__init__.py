# SPDX-License-Identifier: Apache-2.0
"""What a process that stays owes to whoever started it, be it an agent, its link or a controller: that it says that it
lives, ends when a part of it does not, and is begun later each time it has ended.

    watch      who must be heard, and how often; who was not
    loops      threads under watch: one that dies or hangs ends the process
    lives      how processes ended, one after the other: counted, told, slowed
    sd_notify  systemd's ear, and what it holds for the next process

It knows of no hardware, controller or server. Time, and where a record lies, are given to it.
"""
