"""A Debian of its own: a root made by debootstrap, in namespaces (files,
processes, network, name) of its own, so that packages can be installed and
services started without the host noticing. No init runs in it, only what
collects its dead; one with systemd is in booted.py."""
import contextlib
import ctypes
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile

from postern import DEADLINE, PEERS, ROOT, Skip, children

SUITE = "bookworm"
# What is installed in some of them, beside the package.
BESIDE = ("logrotate", "systemd")
NEEDED = ("debootstrap", "dpkg-buildpackage", "dh", "unshare", "nsenter", "ip")

# Process 1: its end is theirs all.
FIRST = '''
import os, signal, sys
def reap(*_):
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
signal.signal(signal.SIGCHLD, reap)
print("up", flush=True)
sys.stdin.read()
'''
PREPARE = '''
set -e
mount --make-rprivate /
mount -t proc proc "$1/proc"
mount -t tmpfs -o mode=755 tmpfs "$1/run"
mount -t tmpfs -o mode=1777 tmpfs "$1/tmp"
hostname box.example.org
ip link set lo up
exec python3 -c "$2"
'''
# Without an init an absent policy forbids all.
POLICY = "#!/bin/sh\nexit {}\n"
ENV = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8",
       "HOME": "/root", "DEBIAN_FRONTEND": "noninteractive"}


def check():
    if not ROOT:
        raise Skip("not root: a package can only be installed by root")
    for program in NEEDED:
        if shutil.which(program) is None:
            raise Skip(f"no {program} here: make interop installs it")


def _run(*argv, **more):
    p = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       stdin=subprocess.DEVNULL, **more)
    return p.returncode, p.stdout.decode("utf-8", "replace")


def _mirror():
    """Where the packages of this machine come from."""
    _, out = _run("apt-get", "indextargets", "--format", "$(SITE) $(RELEASE)",
                  "Created-By: Packages")
    for line in out.splitlines():
        site, release = line.split()
        if release == SUITE:
            return site
    return "http://deb.debian.org/debian"


def _depends(deb):
    _, out = _run("dpkg-deb", "-f", deb, "Pre-Depends", "Depends")
    return out


def _make_base(path, deb):
    """A tar of a minimal system, with the packages that deb and tests need
    beside it: nothing is fetched when they are installed later."""
    with tempfile.TemporaryDirectory(prefix="postern-base-") as top:
        root = f"{top}/root"
        code, out = _run("debootstrap", "--variant=minbase", SUITE, root,
                         _mirror())
        if code:
            raise Skip("debootstrap cannot make a root here: " +
                       out.strip().split("\n")[-1])
        shutil.copy(deb, f"{root}/tmp/it.deb")
        code, out = _run(
            "unshare", "--mount", "sh", "-ec",
            'cp /etc/resolv.conf "$0/etc/resolv.conf"; '
            'mount -t proc proc "$0/proc"; chroot "$0" sh -ec "'
            'rm -f /etc/apt/apt.conf.d/docker-clean; apt-get update -q; '
            'apt-get install -y -q -d --no-install-recommends /tmp/it.deb '
            f'{" ".join(BESIDE)}; rm /tmp/it.deb"', root, env=ENV)
        if code:
            raise Skip("no packages from the archive: " +
                       out.strip().split("\n")[-1])
        code, out = _run("tar", "-C", root, "-cf", path + ".new", ".")
        if code:
            raise AssertionError(out)
    os.rename(path + ".new", path)


class Machine:
    """With the base for deb; a context, gone when it ends."""

    def __init__(self, deb):
        check()
        key = hashlib.sha256((_depends(deb) + " ".join(BESIDE)).encode())
        base = f"{PEERS}/debian-{SUITE}-{key.hexdigest()[:12]}.tar"
        os.makedirs(PEERS, exist_ok=True)
        if not os.path.exists(base):
            _make_base(base, deb)
        self.top = tempfile.mkdtemp(prefix="postern-machine-")
        self.root = f"{self.top}/root"
        os.mkdir(self.root, 0o755)
        code, out = _run("tar", "-C", self.root, "-xf", base)
        if code:
            raise AssertionError(out)
        self.forbid_services(True)
        self._prepare()
        self._start()

    def _prepare(self):
        """Before anything runs in it."""

    def _start(self):
        self.proc = subprocess.Popen(
            ["unshare", "--mount", "--net", "--uts", "--ipc", "--pid",
             "--fork", "--kill-child", "sh", "-c", PREPARE, "sh", self.root,
             FIRST], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if self.proc.stdout.readline() != b"up\n":
            raise Skip("no namespaces of our own here")
        self.first = children(self.proc.pid)[0]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.proc.stdin.close()
        self.proc.wait()
        self.proc.stdout.close()
        shutil.rmtree(self.top)

    def path(self, name):
        return self.root + name

    def forbid_services(self, are_forbidden):
        """What maintainer scripts ask before they start or stop."""
        path = self.path("/usr/sbin/policy-rc.d")
        with open(path, "w") as f:
            f.write(POLICY.format(101 if are_forbidden else 0))
        os.chmod(path, 0o755)

    def _inside(self, *argv):
        return ["nsenter", f"--target={self.first}", "--mount", "--net",
                "--uts", "--ipc", "--pid", "chroot", self.root, *argv]

    def run(self, *argv, user=None, stdin=b"", code=0):
        """What it printed, on both; its exit status has to be code (None:
        any)."""
        if user:
            argv = ("setpriv", f"--reuid={user}", f"--regid={user}",
                    "--init-groups", *argv)
        # Not a pipe: a service that is started may keep it open.
        with tempfile.TemporaryFile() as f:
            p = subprocess.run(
                self._inside(*argv), input=stdin, stdout=f,
                stderr=subprocess.STDOUT, env=ENV, timeout=3 * DEADLINE)
            f.seek(0)
            out = f.read().decode("utf-8", "replace")
        if code is not None and p.returncode != code:
            raise AssertionError(f"{argv}: status {p.returncode}\n{out}")
        return out

    def install(self, *debs, code=0):
        """From files of the host; what else they need is there already."""
        for deb in debs:
            shutil.copy(deb, self.path("/root"))
        return self.run("apt-get", "install", "-y", "-q",
                        "--no-install-recommends", "--allow-downgrades",
                        *(f"/root/{os.path.basename(d)}" for d in debs),
                        code=code)

    def processes(self):
        """Programs that run in it, by their paths there."""
        found = []
        for pid in os.listdir("/proc"):
            try:
                if os.readlink(f"/proc/{pid}/root") == self.root:
                    exe = os.readlink(f"/proc/{pid}/exe")
                    found.append(exe.removeprefix(self.root))
            except OSError:
                pass
        return found

    @contextlib.contextmanager
    def network(self):
        """Sockets that this thread makes meanwhile are in there."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/proc/thread-self/ns/net") as ours, \
                open(f"/proc/{self.first}/ns/net") as theirs:
            if libc.setns(theirs.fileno(), 0x40000000) == -1:
                raise OSError(ctypes.get_errno(), "setns")
            try:
                yield
            finally:
                if libc.setns(ours.fileno(), 0x40000000) == -1:
                    os.abort()
