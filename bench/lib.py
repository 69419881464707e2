"""Servers, load and measures for bench/run."""
import glob
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TOP, "tests", "lib"))
import postern as pt  # noqa: E402

TICK = os.sysconf("SC_CLK_TCK")
SIZE = 10240
SESSIONS = 20
CONF = '''
action out relay to "smtp://127.0.0.1:$sink"
match for domain { "example.net" } action out
limit rate-per-source 1000000/1s
limit connections-per-source 100000
limit messages-per-connection 1000000
deliver concurrency 20 messages-per-connection 1000000
workers smtpd 1 delivery 1
'''


def peer(name):
    return f"{pt.PEERS}/bin/{name}"


class Postern:
    name = "postern"

    def __init__(self, build, sink, shim=None):
        self.copy = None
        if shim:
            build = self.copy = with_shim(build, shim)
        # Who calls is found out, as Postfix does from /etc/hosts.
        self.names = pt.DNS(pt.hosts({"localhost": "127.0.0.1"}))
        self.gw = self.gateway(self.names.conf() + CONF, {"sink": sink},
                               build)
        self.gw.start()
        self.address, self.port = self.gw.address, self.gw.port

    def gateway(self, conf, values, build):
        return pt.Gateway(conf, values, build=build, log_to_file=True)

    def pids(self):
        return self.gw.pids()

    def roles(self):
        return {r: self.gw.role_pids(r)
                for r in ("smtpd", "resolver", "queue", "delivery")}

    def stop(self):
        self.gw.stop()
        self.gw.remove()
        self.names.close()
        if self.copy:
            shutil.rmtree(self.copy)


def with_shim(build, shim):
    """A copy of the programs whose queue has the shim preloaded: the parent
    scrubs the environment, so the role itself is wrapped."""
    copy = tempfile.mkdtemp(prefix="postern-bench-")
    os.chmod(copy, 0o755)
    os.makedirs(f"{copy}/libexec/postern")
    for program in ("posternd", "posternctl"):
        shutil.copy2(f"{build}/{program}", copy)
    for role in glob.glob(f"{build}/libexec/postern/*"):
        if os.path.isfile(role):
            shutil.copy2(role, f"{copy}/libexec/postern")
    here = f"{copy}/libexec/postern"
    shutil.copy2(shim, f"{here}/syncdelay.so")
    os.rename(f"{here}/queue", f"{here}/queue.real")
    with open(f"{here}/queue", "w") as f:
        f.write(f"#!/bin/sh\nLD_PRELOAD={here}/syncdelay.so\n"
                f"export LD_PRELOAD\nexec {here}/queue.real \"$@\"\n")
    os.chmod(f"{here}/queue", 0o755)
    return copy


class Postfix:
    name = "Postfix"

    def __init__(self, build, sink, shim=None, env=None):
        # On the same file system as ours, so that a sync is a sync.
        self.work = tempfile.mkdtemp(prefix="postern-bench-")
        os.chmod(self.work, 0o755)
        self.address, self.port = "127.0.0.1", pt.free_port("127.0.0.1")
        self.proc = subprocess.Popen(
            [f"{TOP}/bench/postfix", self.work, str(self.port), str(sink)] +
            ([shim] if shim else []), stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,
            env=dict(os.environ, **(env or {})))
        pt.wait_until(self._answers, "Postfix")

    def _answers(self):
        try:
            with socket.create_connection((self.address, self.port), 5) as s:
                return s.recv(4) == b"220 "
        except OSError:
            return False

    def pids(self):
        found, todo = [], [self.proc.pid]
        while todo:
            pid = todo.pop()
            found.append(pid)
            todo += pt.children(pid)
        return found

    def roles(self):
        return {}

    def stop(self):
        pids = self.pids()
        self.proc.terminate()
        self.proc.wait(60)
        for pid in pids:
            try:
                os.kill(pid, signal.SIGTERM)
            except ProcessLookupError:
                pass
        pt.wait_gone(pids)
        shutil.rmtree(self.work, ignore_errors=True)


class OpenSmtpd(Postfix):
    name = "OpenSMTPD"

    def __init__(self, pem):
        self.work = tempfile.mkdtemp(prefix="postern-bench-")
        os.chmod(self.work, 0o755)
        self.address, self.port = "127.0.0.1", pt.free_port("127.0.0.1")
        self.proc = subprocess.Popen(
            [f"{TOP}/bench/opensmtpd", self.work, str(self.port), pem],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True)
        pt.wait_until(self._answers, "OpenSMTPD")


class Sink:
    """smtp-sink, and how many mails it has."""

    def __init__(self, port):
        self.count = 0
        self.changed = threading.Condition()
        args = ["-u", "nobody"] if pt.ROOT else []
        self.proc = subprocess.Popen(
            [peer("smtp-sink"), *args, "-c", f"127.0.0.1:{port}", "1000"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            start_new_session=True)
        threading.Thread(target=self._read, daemon=True).start()

        def up():
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return True
            except OSError:
                return False
        pt.wait_until(up, "smtp-sink")

    def _read(self):
        tail = b""
        while True:
            data = os.read(self.proc.stdout.fileno(), 65536)
            if not data:
                return
            tail = (tail + data)[-200:]
            found = re.findall(rb"mesg=(\d+)", tail)
            if found:
                with self.changed:
                    self.count = int(found[-1])
                    self.changed.notify_all()

    def wait(self, count, limit=300):
        with self.changed:
            if not self.changed.wait_for(lambda: self.count >= count, limit):
                raise AssertionError(f"{self.count} of {count} came")

    def stop(self):
        os.killpg(self.proc.pid, signal.SIGKILL)
        self.proc.wait()


def cpu_seconds(pids):
    """User and system time of these, and of the dead they waited for."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat") as f:
                fields = f.read().rsplit(")", 1)[1].split()
            total += sum(int(x) for x in fields[11:15])
        except (FileNotFoundError, ProcessLookupError):
            pass
    return total / TICK


def pss_bytes(pids):
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup") as f:
                total += int(re.search(r"(?m)^Pss:\s+(\d+)",
                                       f.read()).group(1)) << 10
        except (FileNotFoundError, ProcessLookupError, AttributeError):
            pass
    return total


class PeakPss:
    """Samples the memory of a server twice a second."""

    def __init__(self, server):
        self.server, self.peak = server, 0
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while True:
            self.peak = max(self.peak, pss_bytes(self.server.pids()))
            if self.done.wait(0.5):
                return

    def stop(self):
        self.done.set()
        self.thread.join()
        return self.peak


def load(server, count, reuse, sessions=SESSIONS, size=SIZE):
    """smtp-source; returns when all was accepted."""
    p = subprocess.run(
        [peer("smtp-source"), *(["-d"] if reuse else []), "-s", str(sessions),
         "-m", str(count), "-l", str(size), "-f", "s@client.example", "-t",
         "r@example.net", f"{server.address}:{server.port}"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600)
    if p.returncode != 0 or p.stdout:
        raise AssertionError("smtp-source: " + p.stdout.decode()[:500])


def measure(server, sink, count, reuse):
    """One run: rates, CPU a mail, memory."""
    base = sink.count
    peak = PeakPss(server)
    cpu = cpu_seconds(server.pids())
    start = time.monotonic()
    load(server, count, reuse)
    accepted = time.monotonic()
    sink.wait(base + count)
    end = time.monotonic()
    cpu = cpu_seconds(server.pids()) - cpu
    return {"accepted": count / (accepted - start),
            "through": count / (end - start),
            "cpu": cpu / count * 1000, "pss": peak.stop() / (1 << 20)}


SYNCS = ("fsync", "fdatasync")


def strace_counts(pids, calls, work):
    """Runs work() with strace counting; {call: count} and the total."""
    with tempfile.NamedTemporaryFile("r", suffix=".strace") as out:
        args = ["strace", "-f", "-c", "-U", "calls,name", "-o", out.name]
        if calls:
            args += ["-e", "trace=" + ",".join(calls)]
        for pid in pids:
            args += ["-p", str(pid)]
        p = subprocess.Popen(args, stderr=subprocess.PIPE)
        attached = 0
        for line in p.stderr:
            attached += b"attached" in line
            if attached >= len(pids):
                break
        threading.Thread(target=p.stderr.read, daemon=True).start()
        try:
            work()
        finally:
            p.send_signal(signal.SIGINT)
            p.wait()
        found = {}
        for line in out:
            m = re.match(r"\s*(\d+)\s+(\w+)\s*$", line)
            if m and m.group(2) != "total":
                found[m.group(2)] = int(m.group(1))
        return found
