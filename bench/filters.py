"""The same mail through pass-through filters (on libmilter), behind postern
and behind Postfix: none, one, three in a row, three that each take 20 ms at
the end of the headers, which postern asks side by side."""
import os
import shutil
import statistics
import subprocess
import tempfile
import threading
import time

import postern as pt
from lib import SIZE, Postern, Postfix, Sink, cpu_seconds, measure

PAUSE = 20  # ms
RATE = 50  # mails a second, for the latencies
SENDERS = 20


class Pass:
    """One such filter."""

    def __init__(self, build, folder, number, ms=0):
        self.folder, self.name = folder, f"f{number}"
        self.spec = f"unix:{folder}/{self.name}"
        self.proc = subprocess.Popen(
            [f"{build}/bench/passmilter", self.spec, str(ms)],
            start_new_session=True)
        pt.wait_until(lambda: os.path.exists(self.spec[5:]), "passmilter")

    def stop(self):
        self.proc.kill()
        self.proc.wait()


class FilteredPostern(Postern):
    def __init__(self, build, sink, filters, beside):
        self.lines = "".join(f'milter {f.name} socket "{f.spec}"\n'
                             for f in filters)
        names = ", ".join(f.name for f in filters)
        if beside:
            names = f"{{ {names} }}"
        self.chosen = f" milters {{ {names} }}" if filters else ""
        super().__init__(build, sink)

    def gateway(self, conf, values, build):
        return pt.Gateway(
            f"{self.lines}listen on $own_address port $own_port{self.chosen}"
            f"\n{conf}", values, build=build, log_to_file=True, listen=False)


class FilteredPostfix(Postfix):
    def __init__(self, build, sink, filters, beside):
        env = {"MILTERS": " ".join(f"unix:/milters/{f.name}"
                                   for f in filters)}
        if filters:
            env["MILTER_DIR"] = filters[0].folder
        super().__init__(build, sink, env=env)


def latencies(server, seconds=10):
    """From MAIL to the last reply, of mails that come at their times."""
    data = pt.letter("t", SIZE)
    times, errors = [], []
    begin = time.monotonic() + 0.5

    def send(n):
        due = begin + n / RATE
        try:
            while due < begin + seconds:
                time.sleep(max(0, due - time.monotonic()))
                with pt.Client(server.address, server.port,
                               helo="client.example") as c:
                    start = time.monotonic()
                    got = c.mail("s@client.example", "r@example.net", data)
                    times.append((time.monotonic() - start) * 1000)
                    pt.equal(got[0], 250, "reply")
                due += SENDERS / RATE
        except (AssertionError, OSError) as e:
            errors.append(e)
    threads = [threading.Thread(target=send, args=(n,))
               for n in range(SENDERS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if errors:
        raise errors[0]
    times.sort()
    return {"p50": times[len(times) // 2],
            "p99": times[int(len(times) * 0.99)], "count": len(times)}


def one(kind, args, filters, beside, counts):
    """Medians of some runs of one server with these filters."""
    port = pt.free_port("127.0.0.1")
    sink = Sink(port)
    server = kind(args.b, port, filters, beside)
    try:
        rows = []
        measure(server, sink, 200, False)
        for _ in range(args.r):
            cpu = cpu_seconds([f.proc.pid for f in filters])
            rows.append(measure(server, sink, counts, False))
            rows[-1]["filters"] = (cpu_seconds(
                [f.proc.pid for f in filters]) - cpu) / counts * 1000
        found = {k: statistics.median(r[k] for r in rows) for k in rows[0]}
        base = sink.count
        found.update(latencies(server))
        sink.wait(base + found["count"])
        return found
    finally:
        server.stop()
        sink.stop()


def filters(args, kinds):
    """Prints the tables, and what times what."""
    kinds = [k for k in (FilteredPostern, FilteredPostfix)
             if k.__base__ in kinds]
    for title, n, ms, beside, share in (
            ("no filter", 0, 0, False, 4), ("one filter", 1, 0, False, 4),
            ("three in a row", 3, 0, False, 4),
            ("three side by side", 3, 0, True, 4),
            (f"three side by side, {PAUSE} ms each at end of headers", 3,
             PAUSE, True, 8)):
        folder = tempfile.mkdtemp(prefix="postern-bench-")
        os.chmod(folder, 0o755)
        passes = [Pass(args.b, folder, k, ms) for k in range(n)]
        rows = {}
        try:
            for k in kinds:
                count = args.n // share
                if k is FilteredPostfix:
                    count //= 6
                rows[k.name] = one(k, args, passes, beside, max(count, 200))
        finally:
            for f in passes:
                f.stop()
            shutil.rmtree(folder, ignore_errors=True)
        show(title, rows)


def show(title, rows):
    print(f"\nfilters: {title} ({SIZE} bytes, new connections)")
    print(f"{'server':10} {'accepted/s':>10} {'through/s':>10} "
          f"{'CPU ms/mail':>12} {'filters ms':>11} {'p50 ms':>8} "
          f"{'p99 ms':>8}")
    for name, r in rows.items():
        print(f"{name:10} {r['accepted']:10.0f} {r['through']:10.0f} "
              f"{r['cpu']:12.3f} {r['filters']:11.3f} {r['p50']:8.1f} "
              f"{r['p99']:8.1f}", flush=True)
    a, b = rows.get("postern"), rows.get("Postfix")
    if a and b:
        print(f"{title}: {a['through'] / b['through']:.1f} times Postfix's "
              f"rate, 1/{b['cpu'] / a['cpu']:.1f} of its CPU, "
              f"1/{b['p99'] / a['p99']:.1f} of its p99", flush=True)
