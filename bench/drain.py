"""An outage of the next hop: mails gather in the queue, the hop comes back,
and the queue drains; then once more with a queue that was started anew and a
page cache that was dropped."""
import os
import subprocess
import time

from lib import (PeakPss, Postern, Postfix, Sink, cpu_seconds, load, pt)

MAILS = 50000
OF_POSTFIX = 10000
BYTES = 1024
GOAL = 5000


def drop_cache(folder):
    """Of the whole machine, or (not root) of the files below the folder."""
    os.sync()
    try:
        with open("/proc/sys/vm/drop_caches", "w") as f:
            f.write("3\n")
        return
    except OSError:
        pass
    for path, _, names in os.walk(folder):
        for name in names:
            fd = os.open(f"{path}/{name}", os.O_RDONLY)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(fd)


class Ours(Postern):
    def queued(self):
        return self.gw.stats()["queue.messages"]

    def folder(self):
        return f"{self.gw.dir}/spool"

    def start_anew(self):
        self.gw.stop()
        drop_cache(self.folder())
        self.gw.start()

    def flush(self):
        self.gw.ctl("flush", "all", check=0)

    def cpu(self):
        return {r: cpu_seconds(p) for r, p in self.roles().items()}


class Theirs(Postfix):
    def queued(self):
        return sum(len(names) for sub in ("deferred", "active", "incoming")
                   for _, _, names in os.walk(f"{self.work}/spool/{sub}"))

    def folder(self):
        return f"{self.work}/spool"

    def start_anew(self):
        """It reads its queue from the disk either way."""
        drop_cache(self.folder())

    def flush(self):
        subprocess.run(["nsenter", "-t", str(self.pids()[-1]), "-m",
                        f"--root=/proc/{self.pids()[-1]}/root",
                        "/usr/sbin/postqueue", "-f"], check=True,
                       stdout=subprocess.DEVNULL)

    def cpu(self):
        return {}


def one(kind, args, count, cold):
    """Mails a second, and what it took."""
    port = pt.free_port("127.0.0.1")
    server = kind(args.b, port)
    sink = None
    try:
        load(server, count, True, size=BYTES)
        pt.wait_until(lambda: server.queued() >= count, "all in the queue")
        os.sync()  # an outage is long enough for that
        start = time.monotonic()
        if cold:
            server.start_anew()
        anew = time.monotonic() - start
        sink = Sink(port)
        cpu = server.cpu()
        peak = PeakPss(server)
        start = time.monotonic()
        server.flush()
        sink.wait(1)
        first = time.monotonic() - start
        sink.wait(count)
        seconds = time.monotonic() - start
        cpu = {r: s - cpu.get(r, 0) for r, s in server.cpu().items()}
        return {"rate": count / seconds, "pss": peak.stop() / (1 << 20),
                "cpu": cpu, "anew": anew, "first": first}
    finally:
        server.stop()
        if sink:
            sink.stop()


def drain(args):
    counts = {Ours: MAILS, Theirs: OF_POSTFIX}
    if not pt.ROOT or args.only:
        counts = {k: n for k, n in counts.items()
                  if k.name == (args.only or "postern")}
    print(f"\nmails of {BYTES} bytes, queued while the next hop is down, and "
          f"then all at once\n{'server':10} {'page cache':14} {'mails':>7} "
          f"{'drained/s':>10} {'first after':>12} {'peak PSS MiB':>13}")
    rates = {}
    for cold in (False, True):
        for kind, count in counts.items():
            found = one(kind, args, count, cold)
            rates[kind.name, cold] = found["rate"]
            print(f"{kind.name:10} {'dropped' if cold else 'as it is':14} "
                  f"{count:7} {found['rate']:10.0f} {found['first']:10.2f} s "
                  f"{found['pss']:13.1f}" +
                  (f"  started anew in {found['anew']:.1f} s"
                   if cold and kind is Ours else ""))
            if found["cpu"]:
                print("  CPU ms a mail: " + ", ".join(
                    f"{r} {s / count * 1000:.4f}"
                    for r, s in found["cpu"].items()), flush=True)
    for cold in (False, True):
        ours, theirs = (rates.get((n, cold)) for n in ("postern", "Postfix"))
        if ours and theirs:
            print(f"{'dropped' if cold else 'as it is'}: "
                  f"{ours / theirs:.1f} times Postfix's rate")
    slow = [r for (name, _), r in rates.items()
            if name == "postern" and r < GOAL]
    print(f"goal {GOAL}/s: " + ("missed" if slow else "met"))
