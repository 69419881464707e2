"""Filters that Debian has, each started for real in a folder of its own, on
loopback or a Unix socket, without anything from the network.

Every program stays in the foreground, is our child, and ends with us: stop()
ends it by its pid, and the kernel does when this process dies.
"""
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

from fakedns import DNS
from postern import (DEADLINE, ROOT, Skip, children, free_port, own_address,
                     wait_gone, wait_until)

LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1
LISTENING = "00010000"  # a flag in /proc/net/unix
TEST_FILE = "EICAR-STANDARD-ANTIVIRUS-" + "TEST-FILE!"
EICAR = "X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + TEST_FILE + "$H+H*"
GTUBE = {k: c + "JS*C4JDBQADN1.NSBN3*2IDNEN*GT" + "UBE-STANDARD-ANTI-"
         "UBE-TEST-EMAIL*C.34X" for k, c in
         (("reject", "X"), ("add header", "Y"), ("rewrite", "Z"))}


class Real:
    """One filter with the daemons behind it. spec: where it listens."""
    programs = ()  # that must be there

    def __init__(self):
        for p in self.programs:
            if not os.path.exists(p):
                raise Skip(f"{p} is not installed (make interop does)")
        if not ROOT:
            raise Skip("real filters are started as root")
        self.procs = []
        self.dir = tempfile.mkdtemp(prefix="postern-real-")
        os.chmod(self.dir, 0o755)
        try:
            self.spec = self.start()
        except BaseException:
            self.show()
            self.close()
            raise

    def path(self, name):
        return f"{self.dir}/{name}"

    def write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text.replace("$D", self.dir))
        return self.path(name)

    def run(self, *argv, env=None):
        def ends_with_us():
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        out = open(self.path(f"{os.path.basename(argv[0])}.out"), "ab")
        proc = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            preexec_fn=ends_with_us, env=dict(os.environ, **(env or {})))
        out.close()
        self.procs.append(proc)
        return proc

    def wait_socket(self, name, proc):
        path = self.path(name)

        def there():
            if proc.poll() is not None:
                raise AssertionError(f"{proc.args[0]} ended: {proc.returncode}")
            # It is there a little before it can be connected to.
            with open("/proc/net/unix") as f:
                return any(l.split()[3] == LISTENING and l.split()[7:] ==
                           [path] for l in f)
        wait_until(there, path)
        return f"unix:{path}"

    def show(self):
        """What its programs wrote, for a test that failed."""
        if not os.path.isdir(self.dir):
            return
        for name in sorted(os.listdir(self.dir)):
            if name.endswith((".out", ".log")):
                with open(self.path(name), errors="replace") as f:
                    for line in f.read().splitlines()[-30:]:
                        print(f"  {name}: {line}")

    @staticmethod
    def end(proc):
        """With all that it started."""
        pids, todo = [], [proc.pid]
        while todo:
            pid = todo.pop()
            pids.append(pid)
            todo += children(pid)
        proc.terminate()
        try:
            proc.wait(10)
        except subprocess.TimeoutExpired:
            proc.kill()
            proc.wait()
        for pid in pids[1:]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        wait_gone(pids[1:])

    def close(self):
        for proc in reversed(self.procs):
            self.end(proc)
        self.procs = []
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, tb):
        if kind is not None:
            self.show()
        self.close()

    # tests/lib/filtered.py asks this of its own filters.
    def fair(self):
        pass


class OpenDkim(Real):
    """Signs example.org for 127.0.0.0/8 (mode s), verifies the rest (v)."""
    programs = ("/usr/sbin/opendkim", "/usr/bin/openssl")

    def __init__(self, mode="sv", key=None, more=""):
        self.mode, self.key, self.more = mode, key, more
        super().__init__()

    def start(self):
        if not self.key:
            self.key = subprocess.run(
                ["openssl", "genrsa", "2048"], stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, check=True).stdout.decode()
        private = self.write("sel.private", self.key)
        os.chmod(private, 0o600)
        pem = subprocess.run(
            ["openssl", "rsa", "-in", private, "-pubout"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            check=True).stdout.decode()
        public = "".join(l for l in pem.splitlines() if "-----" not in l)
        self.write("keys.txt", "sel._domainkey.example.org v=DKIM1; k=rsa; "
                               f"p={public}\n")
        conf = self.write("opendkim.conf", f"""\
Socket local:$D/opendkim.sock
PidFile $D/opendkim.pid
Background no
Syslog no
UMask 000
Mode {self.mode}
Domain example.org
Selector sel
KeyFile $D/sel.private
Canonicalization relaxed/simple
InternalHosts {"127.0.0.0/8" if "s" in self.mode else "192.0.2.1"}
TestPublicKeys $D/keys.txt
RequireSafeKeys no
AuthservID mx.test.example
{self.more}
""")
        proc = self.run("/usr/sbin/opendkim", "-f", "-x", conf)
        return self.wait_socket("opendkim.sock", proc)


class OpenDmarc(Real):
    """With a name server of ours where a mount namespace can be had: its
    resolver is the machine's."""
    programs = ("/usr/sbin/opendmarc",)
    # From the one address that a process may ask on port 53.
    zone = {"_dmarc.example.org": {"TXT": "v=DMARC1; p=reject"},
            "_dmarc.example.com": {"TXT": "v=DMARC1; p=quarantine"}}

    def start(self):
        self.names = None
        conf = self.write("opendmarc.conf", """\
AuthservID mx.test.example
TrustedAuthservIDs mx.test.example
PidFile $D/opendmarc.pid
Socket local:$D/opendmarc.sock
UMask 000
Syslog false
RejectFailures true
SPFSelfValidate false
SPFIgnoreResults true
SoftwareHeader true
DNSTimeout 20
HistoryFile $D/history
HoldQuarantinedMessages true
IgnoreHosts $D/ignored
""")
        self.write("ignored", "192.0.2.1\n")  # not loopback
        argv = ["/usr/sbin/opendmarc", "-f", "-c", conf]
        if can_unshare():
            self.names = DNS(self.zone, address=own_address(6), port=53)
            resolv = self.write("resolv.conf",
                                f"nameserver {self.names.address}\n")
            argv = ["unshare", "--mount", "--propagation", "private", "sh",
                    "-c", f'mount --bind {resolv} /etc/resolv.conf && '
                    'exec "$@"', "sh"] + argv
        proc = self.run(*argv)
        return self.wait_socket("opendmarc.sock", proc)

    def close(self):
        super().close()
        if self.names:
            self.names.close()
            self.names = None


def can_unshare():
    return os.path.exists("/etc/resolv.conf") and subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "mount", "--bind",
         "/etc/hosts", "/etc/resolv.conf"], stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL).returncode == 0


class ClamAv(Real):
    """clamav-milter before a clamd that knows one signature."""
    programs = ("/usr/sbin/clamd", "/usr/sbin/clamav-milter")

    def __init__(self, infected="Reject"):
        self.infected = infected
        super().__init__()

    def start(self):
        for sub in ("db", "tmp"):
            os.mkdir(self.path(sub))
        self.write("db/local.ndb",
                   f"Local.Eicar:0:*:{TEST_FILE.encode().hex()}\n")
        clamd = self.write("clamd.conf", """\
Foreground yes
LocalSocket $D/clamd.sock
LocalSocketMode 666
DatabaseDirectory $D/db
TemporaryDirectory $D/tmp
LogFile $D/clamd.log
MaxThreads 2
SelfCheck 0
User root
""")
        milter = self.write("milter.conf", f"""\
Foreground yes
MilterSocket unix:$D/clam.sock
MilterSocketMode 666
FixStaleSocket yes
ClamdSocket unix:$D/clamd.sock
LogFile $D/milter.log
OnClean Accept
OnInfected {self.infected}
OnFail Defer
AddHeader Replace
RejectMsg virus %v found
TemporaryDirectory $D/tmp
User root
""")
        self.clamd = self.run("/usr/sbin/clamd", "-c", clamd)
        self.wait_socket("clamd.sock", self.clamd)
        proc = self.run("/usr/sbin/clamav-milter", "-c", milter)
        return self.wait_socket("clam.sock", proc)


class Rspamd(Real):
    """Its proxy worker as a filter that scans by itself; every module that
    would ask the network is off."""
    programs = ("/usr/bin/rspamd",)
    OFF = ("rbl surbl dkim dkim_signing spf dmarc arc asn fuzzy_check redis "
           "greylist ratelimit history_redis neural replies url_redirector "
           "mx_check phishing once_received bayes_expiry").split()

    def start(self):
        address, port = own_address(5), free_port(own_address(5))
        for sub in ("db", "run"):
            os.mkdir(self.path(sub))
            shutil.chown(self.path(sub), "_rspamd", "_rspamd")
        shutil.copytree("/etc/rspamd", self.path("etc"))
        for sub in ("local.d", "override.d"):
            os.makedirs(self.path(f"etc/{sub}"), exist_ok=True)
        over = "etc/override.d"
        self.write(f"{over}/options.inc", """\
pidfile = "$D/run/rspamd.pid"; tempdir = "$D/run";
history_file = "$D/db/history"; hs_cache_dir = "$D/db";
stats_file = "$D/db/stats.ucl"; rrd = "$D/db/rspamd.rrd";
gtube_patterns = "all"; enable_test_patterns = true; local_addrs = [];
dns { nameserver = ["127.0.0.1:1"]; timeout = 0.1s; retransmits = 1; }
control_socket = "$D/run/control.sock mode=0600";
filters = "regexp"; disable_hyperscan = true;
""")
        self.write(f"{over}/logging.inc",
                   'type = "console"; level = "info";\n')
        for worker in ("normal", "controller", "fuzzy"):
            self.write(f"{over}/worker-{worker}.inc",
                       "enabled = false; count = 0;\n")
        self.write(f"{over}/worker-proxy.inc", f"""\
enabled = true; bind_socket = "{address}:{port}"; milter = yes;
timeout = 30s; count = 1;
upstream "local" {{ default = yes; self_scan = yes; }}
""")
        for module in self.OFF:
            self.write(f"{over}/{module}.conf", "enabled = false;\n")
        self.write("etc/local.d/milter_headers.conf", """\
use = ["x-spamd-result", "x-rspamd-queue-id", "authentication-results"];
extended_spam_headers = true; skip_local = false;
skip_authenticated = false;
""")
        proc = self.run(
            "/usr/bin/rspamd", "-f", "-u", "_rspamd", "-g", "_rspamd", "-c",
            self.path("etc/rspamd.conf"), *(
                f"--var={k}={self.path(v)}" for k, v in
                (("CONFDIR", "etc"), ("LOCAL_CONFDIR", "etc"),
                 ("DBDIR", "db"), ("RUNDIR", "run"), ("LOGDIR", "db"))))
        answers(proc, address, port)
        return f"inet:{port}@{address}"


def answers(proc, address, port):
    """Waits until there is somebody."""

    def there():
        if proc.poll() is not None:
            raise AssertionError(f"{proc.args[0]} ended: {proc.returncode}")
        try:
            socket.create_connection((address, port), DEADLINE).close()
            return True
        except OSError:
            return False
    wait_until(there, f"{proc.args[0]} to listen")


class SpamAssassin(Real):
    """spamass-milter before a spamd that asks nobody; refuses from 15 on."""
    programs = ("/usr/sbin/spamd", "/usr/sbin/spamass-milter")

    def start(self):
        for sub in ("home", "site"):
            os.mkdir(self.path(sub))
        # Without them spamd has no plugin that checks.
        for name in os.listdir("/etc/spamassassin"):
            if name.endswith(".pre"):
                shutil.copy(f"/etc/spamassassin/{name}", self.path("site"))
        self.write("site/local.cf", "use_bayes 0\nskip_rbl_checks 1\n"
                                    "dns_available no\n")
        spamd = self.run(
            "/usr/sbin/spamd", "-L", f"--socketpath={self.path('spamd.sock')}",
            "--socketmode=0666", f"--siteconfigpath={self.path('site')}",
            "-m", "1", "-x", f"--pidfile={self.path('spamd.pid')}",
            f"--syslog={self.path('spamd.log')}",
            env={"HOME": self.path("home")})
        self.wait_socket("spamd.sock", spamd)
        proc = self.run("/usr/sbin/spamass-milter", "-p",
                        self.path("spamass.sock"), "-r", "15", "--", "-U",
                        self.path("spamd.sock"))
        spec = self.wait_socket("spamass.sock", proc)
        # It runs as root here, and nobody has to reach it.
        os.chmod(self.path("spamass.sock"), 0o666)
        return spec


class PyMilter(Real):
    """tests/lib/pyfilter.py on libmilter, by Debian's own Python."""
    programs = ("/usr/bin/python3",)

    def __init__(self, *args):
        if subprocess.run(["/usr/bin/python3", "-c", "import Milter"],
                          stderr=subprocess.DEVNULL).returncode:
            raise Skip("python3-milter is not installed")
        self.args = args
        super().__init__()

    def start(self):
        here = os.path.dirname(os.path.abspath(__file__))
        proc = self.run("/usr/bin/python3", "-u", f"{here}/pyfilter.py",
                        f"unix:{self.path('py.sock')}", self.path("seen"),
                        *self.args)
        spec = self.wait_socket("py.sock", proc)
        os.chmod(self.path("py.sock"), 0o666)
        return spec

    def seen(self, what=None):
        """What it was told, a list [event, arguments, macros] each."""
        import json
        with open(self.path("seen")) as f:
            found = [json.loads(line) for line in f]
        return [e for e in found if what is None or e[0] == what]


if __name__ == "__main__":
    sys.exit("a library")
