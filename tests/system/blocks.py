#!/usr/bin/python3
"""Who may not come in, or always may: the configuration's tables and the
administrator's entries."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403
from filtered import LIMITS  # noqa: E402

NET = "127.9.8"
CONF = LIMITS + '''
workers smtpd 2
action drop discard
match from any for any action drop
'''


def greeted(gw, source):
    """The code that somebody from there is greeted with."""
    with gw.client(source=source) as c:
        return c.greeting[0]


def everywhere(gw, source, want):
    """Both workers say so: connections go to either."""
    wait_until(lambda: {greeted(gw, source) for _ in range(12)} == {want},
               f"{source} is greeted with {want}")


@test
def block_and_unblock():
    with Gateway(CONF) as gw:
        equal(gw.json("show", "blocks"), [])
        everywhere(gw, f"{NET}.1", 220)
        mark = gw.mark()
        gw.ctl("block", f"{NET}.0/24", "reason", "they hammer", check=0)
        everywhere(gw, f"{NET}.1", 554)
        everywhere(gw, "127.9.9.1", 220)
        gw.wait_log(rf" queue block network={NET}\.0/24 kind=deny "
                    rf"uid={os.getuid()} .*reason=\"they hammer\"", mark)
        gw.wait_log(rf" smtpd reject .*they hammer.* client={NET}\.1 ", mark)
        row, = gw.json("show", "blocks")
        equal((row["network"], row["kind"], row["until"], row["reason"],
               row["uid"]), (f"{NET}.0/24", "deny", None, "they hammer",
                             os.getuid()))
        match(row["since"], r"^20\d\d-\d\d-\d\dT.*Z$")
        match(gw.ctl("show", "blocks", check=0)[1], r"(?m)^deny .*they hammer")
        gw.ctl("allow", f"{NET}.7", check=0)
        everywhere(gw, f"{NET}.7", 220)
        everywhere(gw, f"{NET}.8", 554)
        equal(len(gw.json("show", "blocks")), 2)
        equal(gw.json("unblock", f"{NET}.0/24"),
              {"network": f"{NET}.0/24", "changed": 1})
        everywhere(gw, f"{NET}.8", 220)
        equal(gw.ctl("unblock", f"{NET}.0/24")[0], 1, "not there")
        if not gw.stats()["smtpd.blocked"]:
            raise AssertionError("nothing was counted")


@test
def survives():
    """A restart, and the death of the queue and of a worker."""
    with Gateway(CONF) as gw:
        gw.ctl("block", f"{NET}.1", "for", "2h", check=0)
        gw.ctl("allow", f"{NET}.0/24", "reason", "ours", check=0)
        before = gw.json("show", "blocks")
        mark = gw.mark()
        os.kill(gw.role_pids("queue")[0], signal.SIGKILL)
        gw.wait_log(r" queue recovered ", mark)
        # Meanwhile, and afterwards.
        everywhere(gw, f"{NET}.1", 554)
        wait_until(lambda: gw.ctl("show", "blocks")[0] == 0, "control")
        equal(gw.json("show", "blocks"), before)
        for pid in gw.role_pids("smtpd"):
            os.kill(pid, signal.SIGKILL)
        everywhere(gw, f"{NET}.1", 554)
        gw.kill()
        gw.start()
        everywhere(gw, f"{NET}.1", 554)
        everywhere(gw, f"{NET}.2", 220)
        equal(gw.json("show", "blocks"), before)
        equal(gw.stop(), 0)
        gw.start()
        equal(gw.json("show", "blocks"), before)


@test
def expires():
    with Gateway(CONF) as gw:
        # Shortened when it is seen to hold: two seconds may be too short to
        # look.
        gw.ctl("block", f"{NET}.1", "for", "1h", check=0)
        everywhere(gw, f"{NET}.1", 554)
        gw.ctl("block", f"{NET}.1", "for", "2s", check=0)
        gw.wait_log(rf" queue block-expired network={NET}\.1/32 kind=deny")
        equal(gw.json("show", "blocks"), [])
        everywhere(gw, f"{NET}.1", 220)


@test
def the_longest_decides():
    with Gateway(f'allow from {{ "{NET}.0/28", "127.9.9.1" }}\n'
                 f'deny from {{ "{NET}.0/24", "127.9.9.0/24" }} '
                 f'"550 5.7.1 not you"\n' + CONF) as gw:
        everywhere(gw, f"{NET}.1", 220)
        with gw.client(source=f"{NET}.99") as c:
            equal(c.greeting, (550, "5.7.1 not you"))
            c.ended()
        everywhere(gw, "127.9.9.1", 220)
        # Of equal ones the administrator's; a shorter one of his is not.
        gw.ctl("block", "127.9.9.1", check=0)
        everywhere(gw, "127.9.9.1", 550)
        gw.ctl("allow", f"{NET}.0/16".replace("8.0", "0.0"), check=0)
        everywhere(gw, f"{NET}.99", 550)
        gw.ctl("allow", f"{NET}.0/24", check=0)
        everywhere(gw, f"{NET}.99", 220)


@test
def in_the_middle():
    """Who is blocked while connected does no more mail."""
    # One worker: who greets with 554 is the one that the session is with.
    with Gateway(CONF.replace("smtpd 2", "smtpd 1")) as gw:
        with gw.client(source=f"{NET}.1", helo="c.example") as c:
            equal(c.mail("a@b.example", "x@y.example", letter("1"))[0], 250)
            gw.ctl("block", f"{NET}.1", check=0)
            everywhere(gw, f"{NET}.1", 554)
            code, text = c.cmd("MAIL FROM:<a@b.example>")
            equal((code, text[:5]), (421, "4.7.0"))
            c.ended()


@test
def what_makes_no_sense():
    with Gateway(CONF) as gw:
        for args, status, words in (
                (["block", "192.0.2.7/24"], 2, r"192\.0\.2\.0/24 is the"),
                (["block", "2001:db8::1/64"], 2, r"2001:db8::/64 is the"),
                (["block", "banana"], 2, "not an address"),
                (["block", "192.0.2.0/33"], 2, "not an address"),
                (["block", "0.0.0.0/0"], 1, "-y"),
                (["block", "::/3"], 1, "-y"),
                (["block", "192.0.2.1", "for", "ever"], 2, "duration"),
                (["block", "192.0.2.1", "for"], 2, "for: a value is missing"),
                (["block", "192.0.2.1", "because", "x"], 2,
                 "what is because"),
                (["block", "192.0.2.1", "reason", "a\nb"], 1, "one line"),
                (["unblock", "192.0.2.1"], 1, "no entry"),
                (["block"], 2, "argument is missing")):
            code, _, err = gw.ctl(*args)
            equal(code, status, f"{args}: {err}")
            match(err, words, str(args))
        equal(gw.json("show", "blocks"), [])
        gw.ctl("allow", "::/0", check=0)
        gw.ctl("block", "0.0.0.0/0", "-y", check=0)
        everywhere(gw, f"{NET}.1", 554)
        # Our own users come in by another door.
        gw.ctl("send", "-f", "a@b.example", "x@far.example",
               stdin=b"Subject: x\n\nx\n", check=0)


@test
def damaged():
    """The file cannot be read: set aside, and the start goes on."""
    for text in (b"", b"banana\n", b"postern blocks 1 00000000\ndeny x\n",
                 os.urandom(3000)):
        with Gateway(CONF) as gw:
            gw.ctl("block", f"{NET}.1", check=0)
            gw.stop()
            path = f"{gw.dir}/spool/blocks"
            match(open(path, "rb").read().decode(),
                  r"^postern blocks 1 [0-9a-f]{8}\ndeny ")
            with open(path, "r+b") as f:
                f.truncate()
                f.write(text)
            mark = gw.mark()
            gw.start()
            gw.wait_log(r" queue spool blocks=damaged ", mark)
            equal(gw.json("show", "blocks"), [])
            equal(os.path.exists(path), False)
            kept, = [f for f in os.listdir(f"{gw.dir}/spool/corrupt")
                     if f.startswith("blocks.")]
            equal(open(f"{gw.dir}/spool/corrupt/{kept}", "rb").read(), text)
            gw.ctl("block", f"{NET}.1", check=0)
            everywhere(gw, f"{NET}.1", 554)


@test
def many():
    """As many as can be, told to everybody, and one more."""
    with Gateway(CONF) as gw:
        # By hand: ten thousand calls of posternctl would take their time.
        gw.ctl("block", "192.0.2.9", check=0)
        gw.stop()
        now = int(time.time() * 1000)
        lines = "".join(f"deny 10.{n >> 8}.{n & 255}.0/24 {now} 0 0 n{n}\n"
                        for n in range(9999)) + \
            f"deny {NET}.0/24 {now} {now + 7200000} 0 us\n"
        with open(f"{gw.dir}/spool/blocks", "r+b") as f:
            f.truncate()
            f.write(f"postern blocks 1 {crc32c(lines.encode()):08x}\n"
                    .encode() + lines.encode())
        gw.start()
        equal(len(gw.json("show", "blocks")), 10000)
        everywhere(gw, f"{NET}.1", 554)
        code, _, err = gw.ctl("block", "192.0.2.1")
        equal((code, "too many" in err), (1, True), err)
        gw.ctl("unblock", f"{NET}.0/24", check=0)
        everywhere(gw, f"{NET}.1", 220)
        gw.ctl("block", "192.0.2.1", check=0)


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


if __name__ == "__main__":
    main()
