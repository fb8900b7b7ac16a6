#!/usr/bin/python3
"""Run a program of which nothing outlives us: own_pids.py PROGRAM [ARGUMENTS], as root.

It is the first process of a pid namespace, so all that it starts ends with it, and it is killed when we end, whatever ended us: nginx's workers
do not notice the end of their master. HUP, INT, QUIT, TERM, USR1 and USR2 are handed on, and do nothing where the program has no handler (yet), as
with any first process. We end as it did. It sees itself as process 1, also in its pid file.
"""

import ctypes
import os
import select
import signal
import sys

CLONE_NEWPID, PR_SET_PDEATHSIG = 0x20000000, 1
HANDED = {signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2}
LIBC = ctypes.CDLL(None, use_errno=True)


def call(name, *arguments):
    if getattr(LIBC, name)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), "%s: %s" % (name, os.strerror(ctypes.get_errno())))


def become(argv, mask, alive):
    """The program, unless the parent has ended before it could be asked to take us along. alive: a pipe that only it can write to."""
    call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if select.select([alive], [], [], 0)[0]:
        os._exit(1)
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT):  # what Python changed
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    os.execvp(argv[0], argv)


def end_as(status):
    """End with the exit status, or by the signal, of the child."""
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        if -code not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(-code, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {-code})
        os.kill(os.getpid(), -code)
    sys.exit(code)


def main(argv):
    if not argv:
        sys.exit("Usage: own_pids.py PROGRAM [ARGUMENTS]")
    awaited = HANDED | {signal.SIGCHLD}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    alive, ours = os.pipe()
    call("unshare", CLONE_NEWPID)
    child = os.fork()
    if child == 0:
        os.close(ours)
        try:
            become(argv, mask, alive)
        except OSError as e:
            print("own_pids.py: %s: %s" % (argv[0], e), file=sys.stderr, flush=True)
        os._exit(127)
    os.close(alive)
    while True:
        number = signal.sigwait(awaited)
        if number != signal.SIGCHLD:
            os.kill(child, number)
            continue
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            end_as(status)


if __name__ == "__main__":
    main(sys.argv[1:])
