#!/usr/bin/python3
"""Mails of tens of MiB: through the file, whole, in bounded memory."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403
from fakemx import *  # noqa: E402,F401,F403

CONF = '''
action out relay to "$hop"
action box maildir "$dir/mail/%{rcpt.user}"$owner
match for domain { "box.example" } action box
match for domain { "example.net" } action out
limit message-size 60M
queue retry $retry
'''
SIZE = 50 << 20


def gateway(mx, retry="1s"):
    owner = ' user "mail"' if ROOT else ""
    return Gateway(CONF, {"hop": mx.hop, "owner": owner, "retry": retry})


def body_files(gw):
    return [f for _, _, files in os.walk(f"{gw.dir}/spool/large")
            for f in files]


def peak(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"VmHWM:\s+(\d+)", f.read()).group(1)) << 10


@test
def fifty_mib():
    mx = MX(extensions=("PIPELINING", "SIZE 100000000", "8BITMIME"))
    with gateway(mx) as gw:
        ledger = Ledger()
        c = gw.client(helo="client.example")
        for n in range(2):
            got = ledger.send(c, f"big{n}", rcpts=["x@example.net",
                                                   "u@box.example"], size=SIZE)
            queued_id(got)
        mails = mx.wait(2, 5 * DEADLINE)
        gw.wait_empty()
        ledger.check(gw, sinks=[mx], maildirs=["u"])
        for m in mails:
            assert m.data.endswith(letter(token_of(m.data), SIZE))
        if not SANITIZED:
            for pid in gw.pids():
                assert peak(pid) < 100 << 20,                     f"{cmdline(pid)}: {peak(pid) >> 20} MiB"
        wait_until(lambda: not body_files(gw), "large/ to be empty")
    mx.close()


@test
def sizes_around_the_threshold():
    mx = MX()
    with gateway(mx) as gw:
        c = gw.client(helo="client.example")
        n = 0
        for size in (65535, 65536, 65537, 262000, 262144, 262145, 263000,
                     400000, 1048576, 1048577):
            data = b"X-Token: t\r\n\r\n"
            data += b"".join(b"%070d\r\n" % i for i in
                             range((size - len(data)) // 72))
            data += b"z" * (size - len(data) - 2) + b"\r\n"
            queued_id(c.mail("s@client.example", "x@example.net", data))
            n += 1
            got = mx.wait(n)[-1].data
            assert got.endswith(data), f"{size}"
        gw.wait_empty()
    mx.close()


def limit_file_size(pid, size):
    """Only the user of the process may, without further rights."""
    argv = ["prlimit", "--pid", str(pid), f"--fsize={size}:{size}"]
    if ROOT:
        with open(f"/proc/{pid}/status") as f:
            uid, gid = re.findall(r"[UG]id:\s+(\d+)", f.read())
        argv = ["setpriv", f"--reuid={uid}", f"--regid={gid}",
                "--clear-groups", *argv]
    subprocess.run(argv, check=True)


@test
def a_file_that_cannot_grow():
    """Half-written at 300 kB: 452, nothing is left, and nobody dies."""
    mx = MX()
    with gateway(mx) as gw:
        workers = gw.role_pids("smtpd")
        for pid in workers:
            limit_file_size(pid, 300000)
        c = gw.client(helo="client.example")
        match(c.mail("a@b.example", "x@example.net", letter("a", 2000000)),
              r"^\(452, '4\.3\.1", "the reply")
        queued_id(c.mail("a@b.example", "x@example.net", letter("b")))
        mx.wait(1)
        gw.wait_empty()
        equal(gw.role_pids("smtpd"), workers, "workers")
        wait_until(lambda: not body_files(gw), "the file to go")
    mx.close()


@test
def a_box_that_cannot_grow():
    mx = MX()
    with gateway(mx, retry="1h") as gw:  # nobody tries again meanwhile
        box = gw.role_pids("maildir")
        limit_file_size(box[0], 3000)
        c = gw.client(helo="client.example")
        mid = queued_id(c.mail("a@b.example", "u@box.example",
                               letter("a", 20000)))
        match(gw.wait_log(rf"deferred.*msg={mid}"), r"4\.2\.2", "the reply")
        equal(gw.maildir("u", "tmp") + gw.maildir("u"), [], "what is left")
        equal(gw.role_pids("maildir"), box, "the process")
    mx.close()


@test
def a_large_mail_survives_a_crash():
    mx = MX(faults={"connect": Reply("421 4.3.2 not now")})
    gw = gateway(mx)
    gw.start()
    ledger = Ledger()
    with gw.client(helo="client.example") as c:
        ledger.send(c, "big", size=5 << 20)
        # One that never ended leaves nothing behind.
        c.want("MAIL FROM:<a@b.example>", 250)
        c.want("RCPT TO:<x@example.net>", 250)
        c.want("DATA", 354)
        c.send(letter("half", 3 << 20))
        gw.kill()
    with mx.changed:
        mx.faults.clear()
    gw.start()
    mx.wait()
    gw.wait_empty()
    ledger.check(gw, sinks=[mx])
    equal(len(mx.mails()), 1, "mails")
    wait_until(lambda: not body_files(gw), "large/ to be empty")
    gw.remove()
    mx.close()


main()
