"""Clients and balancers that Debian has, each started for real, in a folder
of its own or (Postfix, Exim) on a copy of the root that only they see."""
import os
import re
import shutil
import socket
import subprocess
import tempfile

from postern import (DEADLINE, PEERS, ROOT, Skip, TOP, children, free_port,
                     wait_gone, wait_until, wide_port)
from realmilters import Real


def command(*argv, stdin=b"", env=None, limit=DEADLINE):
    """(exit code, all it said)"""
    p = subprocess.run(argv, input=stdin, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, timeout=limit,
                       env=dict(os.environ, **(env or {})))
    return p.returncode, p.stdout.decode("utf-8", "replace")


def listens(address, port):
    """Whether anybody does, there (the same port of another address may be
    another test's)."""
    place = f"{socket.inet_aton(address)[::-1].hex().upper()}:{port:04X}"
    with open("/proc/net/tcp") as f:
        return f" {place} 00000000:0000 0A" in f.read()


def swaks(gw, listener, *more, data=None):
    """(exit code, transcript)"""
    with tempfile.NamedTemporaryFile(suffix=".eml") as f:
        f.write(data or b"From: <a@b.example>\nTo: <x@example.net>\n"
                b"Subject: swaks\n\nhello\n")
        f.flush()
        return command("swaks", "--server", gw.address, "--port",
                       str(gw.ports[listener]), "--helo", "client.example",
                       "--from", "a@b.example", "--to", "x@example.net",
                       "--data", f"@{f.name}", "--timeout", str(DEADLINE),
                       *more)


class HaProxy(Real):
    """ways: [(version of PROXY or "", port of the gateway, more words)];
    ports: where it listens for each."""
    programs = ("/usr/sbin/haproxy",)

    def __init__(self, address, ways):
        self.address, self.ways, self.ports = address, ways, []
        super().__init__()

    def start(self):
        text = "global\n  log stdout format raw local0\n" \
            "defaults\n  mode tcp\n  log global\n  timeout connect 10s\n" \
            "  timeout client 60s\n  timeout server 60s\n"
        for n, (version, port, more) in enumerate(self.ways):
            self.ports.append(free_port(self.address))
            text += f"listen l{n}\n  bind {self.address}:{self.ports[-1]}\n" \
                f"  server s{n} {self.address}:{port} {version} {more}\n"
        proc = self.run("/usr/sbin/haproxy", "-db", "-f",
                        self.write("haproxy.cfg", text))

        def up():
            if proc.poll() is not None:
                raise AssertionError("haproxy ended")
            return all(listens(self.address, p) for p in self.ports)
        wait_until(up, "haproxy")
        return ""


class Chrooted:
    """What lies unpacked in build/peers, on a copy of the root that goes
    with it, in a mount namespace of its own."""
    needs = ""

    def __init__(self):
        if not ROOT:
            raise Skip("needs root for a namespace of its own")
        if not os.path.exists(f"{PEERS}/root/{self.needs}"):
            raise Skip(f"{self.needs} is not there (make interop fetches it)")
        self.work = tempfile.mkdtemp(prefix="postern-real-")
        os.chmod(self.work, 0o755)
        self.proc = None

    def path(self, name):
        return f"{self.work}/{name}"

    def write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)
        return self.path(name)

    def close(self):
        if self.proc:
            pids, todo = [], [self.proc.pid]
            while todo:
                pids.append(todo.pop())
                todo += children(pids[-1])
            for pid in pids:
                try:
                    os.kill(pid, 15)
                except ProcessLookupError:
                    pass
            self.proc.wait(DEADLINE)
            wait_gone(pids)
        shutil.rmtree(self.work, ignore_errors=True)

    def show(self):
        pass

    def __enter__(self):
        return self

    def __exit__(self, kind, value, tb):
        if kind is not None:
            self.show()
        self.close()


class PostfixClient(Chrooted):
    """Debian's Postfix (bench/postfix) that relays all it gets to one next
    hop. main: lines for its main.cf; ca: a PEM file that it trusts; shared:
    a folder that it sees as /shared."""
    needs = "usr/sbin/postfix"

    def __init__(self, address, port, main="", ca=None, shared=None):
        super().__init__()
        text = f"relayhost = [{address}]:{port}\n" \
            "myhostname = client.example\n" + main
        env = {"MAIN_CF": self.write("main.more", text)}
        if ca:
            env["CA_FILE"] = ca
        if shared:
            env["SHARED"] = shared
        self.address, self.port = "127.0.0.1", wide_port("127.0.0.1")
        self.out = open(self.path("out"), "wb")
        self.proc = subprocess.Popen(
            [f"{TOP}/bench/postfix", self.work, str(self.port), str(port)],
            stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.out,
            start_new_session=True, env=dict(os.environ, **env))

        def up():
            if self.proc.poll() is not None:
                self.show()
                raise AssertionError("Postfix ended")
            return listens(self.address, self.port)
        try:
            wait_until(up, "Postfix")
        except BaseException:
            self.close()
            raise

    def log(self):
        try:
            with open(self.path("spool/mail.log"), errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def wait_log(self, pattern):
        wait_until(lambda: re.search(pattern, self.log()),
                   f"{pattern} in Postfix's log")
        return re.search(pattern, self.log())

    def show(self):
        for line in self.log().splitlines()[-40:]:
            print("  postfix:", line)


EXIM = """
primary_hostname = client.example
exim_path = {program}
spool_directory = {work}/exim
log_file_path = {work}/exim/%slog
exim_user = mail
exim_group = mail
never_users =
log_selector = +all
keep_environment =
tls_advertise_hosts =
chunking_advertise_hosts = *
begin routers
all:
  driver = manualroute
  route_list = * {address}
  self = send
  transport = hop
begin transports
hop:
  driver = smtp
  port = {port}
  hosts_try_chunking = *
  hosts_try_fastopen =
  message_linelength_limit = 1000000
  {transport}
begin retry
* * F,2h,5m
"""


class EximClient(Chrooted):
    """Debian's Exim: each mail is delivered while send() waits. transport:
    more lines of its transport."""
    needs = "usr/sbin/exim4"

    def __init__(self, address, port, transport=""):
        super().__init__()
        os.mkdir(self.path("exim"), 0o755)
        shutil.chown(self.path("exim"), "mail", "mail")
        self.conf = self.write("exim.conf", EXIM.format(
            work=self.work, program=f"{PEERS}/root/usr/sbin/exim4", address=address, port=port, transport=transport))
        # It looks for its user by a name that this machine does not have.
        users = self.write("passwd", open("/etc/passwd").read() +
                           "Debian-exim:x:8:8::/:/bin/false\n")
        groups = self.write("group", open("/etc/group").read() +
                            "Debian-exim:x:8:\n")
        # It starts itself again without a word about libraries: they are
        # where it looks.
        libs = f"usr/lib/{os.uname().machine}-linux-gnu"
        self.inside = f"mount --bind {users} /etc/passwd && " \
            f"mount --bind {groups} /etc/group && " \
            f"mount -t overlay overlay -o lowerdir={PEERS}/root/{libs}:" \
            f"/{libs} /{libs} && exec \"$@\""
        self.program = f"{PEERS}/root/usr/sbin/exim4"

    def send(self, data, sender="a@b.example", rcpts=("x@example.net",)):
        """(exit code, what it said, its log)"""
        code, out = command(
            "unshare", "--mount", "--propagation", "private", "sh", "-c",
            self.inside, "sh", self.program, "-C", self.conf, "-odi",
            "-oi", "-f", sender, "-bm", "--", *rcpts,
            stdin=data.replace(b"\r\n", b"\n"))
        return code, out, self.log()

    def log(self):
        try:
            with open(self.path("exim/mainlog"), errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def show(self):
        for name in "mainlog", "paniclog":
            if os.path.exists(self.path(f"exim/{name}")):
                with open(self.path(f"exim/{name}"), errors="replace") as f:
                    print("".join(f"  exim {name}: {l}" for l in f))
