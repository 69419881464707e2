#!/usr/bin/python3
"""A real Prometheus scrapes the gateway, and its own tool finds nothing to
object to in the names."""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403

CONF = '''
workers smtpd 2
http $own_address port $http
milter spam socket "inet:1@127.0.0.1" on-failure accept
action drop discard
match from any for any action drop
'''
SCRAPES = '''
global:
  scrape_interval: 1s
  scrape_timeout: 1s
scrape_configs:
  - job_name: postern
    static_configs:
      - targets: ["%s:%d"]
'''


class Prometheus:
    """The server of the package, in a folder and on a port of its own."""

    def __init__(self, address, port):
        self.address = own_address(2)
        self.port = free_port(self.address)
        self.dir = tempfile.mkdtemp(prefix="postern-test-")
        conf = f"{self.dir}/prometheus.yml"
        with open(conf, "w") as f:
            f.write(SCRAPES % (address, port))
        subprocess.run(["promtool", "check", "config", conf], check=True,
                       stdout=subprocess.DEVNULL)
        self.log = open(f"{self.dir}/log", "wb")
        self.proc = subprocess.Popen(
            ["prometheus", f"--config.file={conf}",
             f"--storage.tsdb.path={self.dir}/data",
             f"--web.listen-address={self.address}:{self.port}"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            cwd=self.dir, start_new_session=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.proc.send_signal(signal.SIGTERM)
        try:
            self.proc.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()
        self.log.close()
        shutil.rmtree(self.dir)

    def api(self, path):
        """None while it does not answer yet."""
        if self.proc.poll() is not None:
            with open(f"{self.dir}/log") as f:
                raise AssertionError("prometheus ended: " + f.read())
        try:
            with urllib.request.urlopen(
                    f"http://{self.address}:{self.port}/api/v1/{path}",
                    timeout=DEADLINE) as r:
                return json.load(r)["data"]
        except OSError:
            return None

    def query(self, what):
        """The values of an expression, by their labels' values."""
        data = self.api("query?query=" + urllib.parse.quote(what))
        return {tuple(v for k, v in sorted(row["metric"].items())
                      if k not in ("__name__", "instance", "job")):
                float(row["value"][1])
                for row in data["result"]} if data else {}

    def targets(self):
        """[(health, its last error)]: a scrape may come too late, for once."""
        data = self.api("targets")
        return [(t["health"], t["lastError"])
                for t in data["activeTargets"]] if data else []

    def wait(self, what, want):
        wait_until(lambda: self.query(what) == want, f"{what} is {want}")


class Watched(Gateway):
    def __init__(self):
        self.http = free_port(own_address())
        super().__init__(CONF, values={"http": self.http})

    def page(self):
        with urllib.request.urlopen(
                f"http://{self.address}:{self.http}/metrics",
                timeout=DEADLINE) as r:
            return r.read()


def send(gw, n):
    with gw.client(helo="client.example") as c:
        for i in range(n):
            c.mail("a@client.example", ["b@here.example"], letter(f"p{i}"))


@test
def names():
    """`promtool check metrics', with every metric that there is: nothing is
    said by it."""
    with Watched() as gw:
        send(gw, 3)
        r = subprocess.run(["promtool", "check", "metrics"], input=gw.page(),
                           capture_output=True, timeout=DEADLINE)
        equal((r.returncode, r.stdout, r.stderr), (0, b"", b""), "promtool")


@test
def scraped():
    with Watched() as gw, Prometheus(gw.address, gw.http) as prom:
        prom.wait("up", {(): 1})
        prom.wait("postern_up", {(): 1})
        wait_until(lambda: prom.targets() == [("up", "")], "a good target")
        send(gw, 7)
        prom.wait("sum(postern_smtpd_accepted_total)", {(): 7})
        prom.wait("postern_queue_commit_seconds_count", {(): 7})
        prom.wait('sum by (le) '
                  '(postern_smtpd_accept_seconds_bucket{le="+Inf"})',
                  {("+Inf",): 7})
        prom.wait("postern_processes{role=\"smtpd\"}", {("smtpd",): 2})
        wait_until(lambda: prom.query("postern_build_info"), "the version")
        wait_until(lambda: ("spam",) in prom.query("postern_milter_up"),
                   "the filter")
        # What a board would ask, from the histogram's buckets.
        wait_until(lambda: 0 < prom.query(
            "histogram_quantile(0.99, postern_queue_commit_seconds_bucket)"
            ).get((), 0) < DEADLINE, "a quantile")
        metadata = prom.api("metadata?metric=postern_smtpd_accepted_total")
        equal([m["type"] for m in
               metadata["postern_smtpd_accepted_total"]], ["counter"])
        kinds = {m[0]["type"] for name, m in prom.api("metadata").items()
                 if name.startswith("postern_")}
        equal(kinds, {"counter", "gauge", "histogram"}, "types")


@test
def goes_and_comes():
    """While the gateway is away its target is down; when it is back it is
    scraped as before, and a dead web is there again by itself."""
    with Watched() as gw, Prometheus(gw.address, gw.http) as prom:
        prom.wait("up", {(): 1})
        pid, = gw.role_pids("web")
        os.kill(pid, signal.SIGKILL)
        prom.wait('postern_process_restarts_total{role="web"}',
                  {("web",): 1})
        gw.stop()
        prom.wait("up", {(): 0})
        gw.start()
        prom.wait("up", {(): 1})


if __name__ == "__main__":
    main()
