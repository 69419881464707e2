#!/usr/bin/python3
"""A spool that runs full: 452, nothing half-written, deliveries go on."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403
from fakemx import *  # noqa: E402,F401,F403

CONF = '''
action out relay to "$hop"
match for domain { "example.net" } action out
queue retry 1h
queue disk-reserve 8M segment-size 1M
limit message-size 4M
limit errors 10000 soft-errors 10000 junk-commands 100000
limit rate-per-source 100000/1m
limit messages-per-connection 100000
'''


class SmallDisk:
    """A file system of its own below a gateway's folder."""

    def __init__(self, path, mib, kind):
        self.path, self.image = path, path + ".img"
        owner = os.stat(path)
        if kind == "tmpfs":
            args = ["-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", path]
        else:
            with open(self.image, "wb") as f:
                f.truncate(mib << 20)
            subprocess.run(["mkfs.ext4", "-q", "-m", "0", self.image],
                           check=True, stdout=subprocess.DEVNULL)
            args = ["-o", "loop", self.image, path]
        p = subprocess.run(["mount", *args], stderr=subprocess.PIPE)
        if p.returncode != 0:
            raise Skip(f"cannot mount: {p.stderr.decode().strip()}")
        os.chown(path, owner.st_uid, owner.st_gid)
        os.chmod(path, 0o700)

    def close(self):
        wait_until(lambda: subprocess.run(
            ["umount", self.path], stderr=subprocess.DEVNULL).returncode == 0,
            "umount")


def fill(c, ledger, name, size):
    """Sends until it is refused; returns the refusal and how many went."""
    for n in range(2000):
        got = c.cmd(f"MAIL FROM:<a@client.example> SIZE={size}")
        if got[0] != 250:
            return got, n
        c.want("RCPT TO:<r@example.net>", 250)
        got = c.cmd("DATA")
        if got[0] == 354:
            c.send(stuff(letter(f"{name}{n}", size)) + b".\r\n")
            got = c.reply()
        if got[0] != 250:
            return got, n
        ledger.ack(f"{name}{n}", got)
    raise AssertionError("the disk never ran full")


def run(kind, size):
    if not ROOT:
        raise Skip("needs root to mount")
    mx = MX(faults={"connect": Reply("421 4.3.2 not now")})
    gw = Gateway(CONF, {"hop": mx.hop})
    disk = SmallDisk(f"{gw.dir}/spool", 48, kind)
    try:
        gw.start()
        ledger = Ledger()
        c = gw.client(helo="client.example")
        got, n = fill(c, ledger, "f", size)
        match(got, r"^\(452, '4\.3\.1", "the disk is short")
        assert n > 3, f"only {n} mails"
        ledger.check(gw, sinks=[mx])
        # What is there goes out although nothing new comes in...
        with mx.changed:
            mx.faults.clear()
        gw.ctl("flush", "all", check=0)
        mx.wait(n)
        gw.wait_empty()
        ledger.check(gw, sinks=[mx])
        # ...then there is room again, and a crash has nothing to lose.
        with gw.client(helo="c.example") as c:
            wait_until(lambda: c.cmd("RSET")[0] == 250 and c.cmd(
                f"MAIL FROM:<a@b.example> SIZE={size}")[0] == 250, "room")
            c.want("RSET", 250)
            queued_id(ledger.send(c, "again", size=size))
        gw.kill()
        gw.start()
        mx.wait(n + 1)
        gw.wait_empty()
        # What was going out at the kill may come again.
        ledger.check(gw, sinks=[mx], duplicates=1)
        gw.stop()
    finally:
        gw.kill()
        disk.close()
    gw.remove()
    mx.close()


@test
def ext4_with_small_mails():
    run("ext4", 60000)


@test
def ext4_with_large_mails():
    run("ext4", 3000000)


@test
def tmpfs():
    run("tmpfs", 100000)


main()
