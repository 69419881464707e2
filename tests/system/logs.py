#!/usr/bin/python3
"""Both formats of the log, and clients that would like to write in it."""
import os
import signal
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403

CONF = '''
action drop discard
match for domain { "example.net" } action drop
limit errors 1000
limit soft-errors 1000
'''
TEXT = re.compile(r"^\S+ \S+ posternd\[\d+\]: [a-z]+ [a-z_-]+"
                  r"( [a-z_0-9.-]+=(\"([^\"\\]|\\.)*\"|[^ \"]*))*$")
HOSTILE = (b'EHLO a"b\r\n', b"EHLO a=b\\c\r\n", b"EHLO x\x1b[31m\r\n",
           b"EHLO client=6.6.6.6\r\n", b"NOOP %s%n%x\r\n",
           b'MAIL FROM:<"a b\\" client=6.6.6.6"@x.example>\r\n', b"RSET\r\n",
           "EHLO \u2028\r\n".encode(), b"EHLO \xff\xfe\r\n",
           b"RCPT TO:<x\x07@example.net>\r\n",
           b'RCPT TO:<"x y z"@no.example>\r\n')


def session(gw):
    c = gw.client(helo="client.example")
    queued_id(c.mail("s@client.example", "x@example.net", letter("l")))
    c.want("MAIL FROM:<a@b.example>", 250)
    c.want("RCPT TO:<x@no.example>", 550)
    c.want("RSET", 250)
    for line in HOSTILE:
        if c.cmd(line)[0] == 0:
            c = gw.client(helo="client.example")
    c.cmd("QUIT")
    gw.wait_log("accepted")
    gw.wait_log("reject")
    gw.wait_log("disconnect")


# What the sanitizer says of the stacks on which handshakes wait, once a
# process: nothing that the gateway wrote.
ASIDE = re.compile(r"==\d+==WARNING: ASan is ignoring requested __asan_handle"
                   r"|False positive error reports may follow$"
                   r"|For details see https://github.com/google/sanitizers")


def logged_of(lines):
    return [x for x in lines if not (SANITIZED and ASIDE.match(x))]


def logged(gw):
    return logged_of(gw.lines)


@test
def text():
    with Gateway(CONF) as gw:
        session(gw)
        equal(gw.stop(), 0, "exit")
        for line in logged(gw):
            assert TEXT.match(line), f"not a log line: {line!r}"
        assert not gw.log_has("\x1b"), "an escape"
        for line in gw.log_has(" (connect|reject|disconnect) "):
            match(line, r"client=127\.", "whose")
            assert not re.search(r" client=6\.6\.6\.6( |$)",
                                 re.sub(r'"([^"\\]|\\.)*"', "", line)), line
        gw.remove()


@test
def json_lines():
    with Gateway("log format json\n" + CONF) as gw:
        session(gw)
        equal(gw.stop(), 0, "exit")
        events = []
        for line in logged(gw):
            try:
                events.append(json.loads(line))
            except ValueError as e:
                raise AssertionError(f"{e}: {line}") from e
        names = {e["event"] for e in events}
        # No postmaster: a warning, which is an event like all else.
        for n in ("configuration", "connect", "accepted", "reject", "disconnect"):
            assert n in names, f"no {n} in {names}"
        for e in events:
            for k in ("time", "role", "event"):
                assert k in e, f"no {k} in {e}"
            match(e["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", "time")
            if "client" in e:
                match(e["client"], r"^127\.", "client")
        acc = [e for e in events if e["event"] == "accepted"][0]
        for k in ("msg", "session", "from", "nrcpt", "size", "ms"):
            assert k in acc, f"no {k} in {acc}"
        gw.remove()


# A /dev with a log of our own, for the gateway alone.
WITH_LOG = """mount --bind "$1" /dev && shift && exec "$@" """


def own_dev(gw):
    """Where the gateway finds /dev/log; returns the socket at its end."""
    dev = f"{gw.dir}/dev"
    os.mkdir(dev)
    subprocess.run(["cp", "-a", "/dev/null", "/dev/urandom", dev], check=True)
    log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    log.bind(f"{dev}/log")
    os.chmod(f"{dev}/log", 0o666)
    log.settimeout(DEADLINE)
    plain = gw.command
    gw.command = lambda *args: [
        "unshare", "-m", "sh", "-c", WITH_LOG, "sh", dev,
        *(a for a in plain(*args) if a != "-d")]
    if subprocess.run(["unshare", "-m", "sh", "-c", WITH_LOG, "sh", dev,
                       "true"], stderr=subprocess.PIPE).returncode:
        gw.remove()
        raise Skip("no mounts here")
    return log


@test
def syslog():
    """Each process writes there from its sandbox; USR1 finds a new one."""
    if not ROOT:
        raise Skip("only root can give it a /dev")
    gw = Gateway(CONF)
    gw.conf_text = gw.conf_text.replace("log stderr", "log syslog")
    gw.write_conf()
    log = own_dev(gw)

    def wait_for(*patterns):
        """Lines of several processes have no order."""
        missing = set(patterns)
        while missing:
            line = log.recv(65536).decode()
            match(line, r"^<2[0-7]>posternd\[\d+\]: [a-z]+ [^\n]*$", "a line")
            missing = {p for p in missing if not re.search(p, line)}
    subprocess.run(gw.command(), check=True, timeout=DEADLINE,
                   stdin=subprocess.DEVNULL)
    parent = gw.json("show", "status")["pid"]
    try:
        wait_for("posternd: ready")
        c = gw.client(helo="client.example")
        queued_id(c.mail("s@client.example", "x@example.net", letter("l")))
        wait_for(": smtpd connect ", ": smtpd accepted ",
                 ": queue delivered ")
        log.close()
        os.unlink(f"{gw.dir}/dev/log")
        log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        log.bind(f"{gw.dir}/dev/log")
        os.chmod(f"{gw.dir}/dev/log", 0o666)
        log.settimeout(DEADLINE)
        os.kill(parent, signal.SIGUSR1)
        wait_for("log opened again")
    finally:
        pids = [parent, *children(parent)]
        os.kill(parent, signal.SIGTERM)
        wait_gone(pids)
    gw.remove()


@test
def journal():
    """Where systemd's journal reads: it knows what each line began with, and
    is told how bad it is."""
    gw = Gateway(CONF, log_to_file=True)
    path = f"{gw.dir}/log"
    open(path, "wb").close()
    st = os.stat(path)
    gw.env = {"JOURNAL_STREAM": f"{st.st_dev}:{st.st_ino}"}
    with gw:
        c = gw.client(helo="client.example")
        queued_id(c.mail("s@client.example", "x@example.net", letter("l")))
        c.cmd("QUIT")
        gw.proc.send_signal(signal.SIGUSR2)
        wait_until(lambda: open(path).read().count("parent ready") == 2,
                   "the restart in place")
        equal(gw.stop(), 0, "exit")
        with open(path) as f:
            lines = logged_of(f.read().splitlines())
    for line in lines:
        match(line, r"^<[467]>[a-z]+ [a-z_-]+( |$)", "a line")
    match("\n".join(lines), r"(?m)^<6>smtpd accepted ", "a mail")
    match("\n".join(lines), r"(?m)^<4>parent ", "a warning")


main()
