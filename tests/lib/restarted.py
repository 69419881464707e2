"""Gateways that restart in place, and clients that should not notice."""
import os
import shutil
import signal
import threading

from filtered import LIMITS
from load import Load
from postern import BUILD, DEADLINE, Reply, equal, token_of

__all__ = ["CONF", "Later", "Load", "arrived", "data_and_chunks", "installed",
           "refused", "replace", "restart", "retired", "smtpds"]

CONF = LIMITS + '''
queue retry 1s
action out relay to "$hop"
match from any for domain "example.net" action out
'''


def restart(gw, count=1):
    """Returns when it is ready again."""
    mark = gw.mark()
    pid = gw.proc.pid
    os.kill(pid, signal.SIGUSR2)
    gw.wait_log(r" upgrade .*restarts=", since=mark, alive=True)
    gw.wait_log(r" ready ", since=mark, alive=True)
    equal(gw.proc.poll(), None, "the parent lives on")
    return mark


def refused(gw):
    """The restart does not come about, and the log tells why."""
    mark = gw.mark()
    before = gw.pids()
    os.kill(gw.proc.pid, signal.SIGUSR2)
    gw.wait_log(r" upgrade result=refused", since=mark)
    equal(sorted(gw.pids()), sorted(before), "processes")
    return mark


def retired(gw):
    return [p for p in gw.json("show", "status")["processes"]
            if "retired" in p["sandbox"]]


def smtpds(gw):
    return [p for p in retired(gw) if p["role"] == "smtpd"]


class Later(Reply):
    """Says it when it is let."""

    def __init__(self, text):
        super().__init__(text)
        self.go = threading.Event()

    def play(self, conn):
        conn.mx.stalled.set()
        self.go.wait(DEADLINE)
        return super().play(conn)


def data_and_chunks(gw):
    """Two clients: one that has said DATA, one whose turn is BDAT."""
    clients = [gw.client(helo="client.example") for _ in range(2)]
    for c in clients:
        c.want("MAIL FROM:<a@client.example>", 250)
        c.want("RCPT TO:<r@example.net>", 250)
    clients[0].want("DATA", 354)
    return clients


def arrived(gw, ledger, hop, letters):
    """All mail did, and nothing is missing in these, by their tokens."""
    gw.wait_empty()
    ledger.check(gw, sinks=[hop])
    sent = {token_of(m.data): m.data for m in hop.mails()}
    for token, want in letters.items():
        equal(sent[token].endswith(want), True, f"all of {token}")


def installed(gw):
    """Runs it from a copy of the programs, which can be replaced."""
    gw.build = f"{gw.dir}/prefix/sbin"
    os.makedirs(gw.build)
    shutil.copytree(f"{BUILD}/libexec/postern",
                    f"{gw.dir}/prefix/libexec/postern")
    for name in ("posternd", "posternctl"):
        shutil.copy(f"{BUILD}/{name}", gw.build)
    return f"{gw.build}/posternd"


def replace(path, by):
    """As a package does it: by a rename."""
    shutil.copy(by, path + ".new") if os.path.exists(by) else \
        open(path + ".new", "w").write(by)
    os.chmod(path + ".new", 0o755)
    os.rename(path + ".new", path)
