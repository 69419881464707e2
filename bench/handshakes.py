"""Handshakes: what it costs that the keys are in a process of their own."""
import statistics
import subprocess

import postern as pt
from certs import Ca
from lib import cpu_seconds

AT_ONCE = 50
COUNT = 3000
MODES = ("plain", "local", "vault")
# The whole gateway, up to its greeting, in the vault's place.
CONF = '''
limit connections 20000 connections-per-source 20000
limit rate-per-source 1000000/1s
limit handshakes 20000
workers smtpd 1 delivery 1
action drop discard
match for domain { "example.net" } action drop
'''


class Bare:
    """bench/handshake as a server."""

    def __init__(self, build, mode, cert):
        self.address, self.port = "127.0.0.1", pt.free_port("127.0.0.1")
        self.proc = subprocess.Popen(
            [f"{build}/bench/handshake", "serve", mode, self.address,
             str(self.port), cert.chain, cert.key], stdout=subprocess.PIPE)
        pt.equal(self.proc.stdout.readline(), b"ready\n", mode)

    def pids(self):
        return [self.proc.pid] + pt.children(self.proc.pid)

    def stop(self):
        pids = self.pids()
        self.proc.kill()
        self.proc.wait()
        pt.wait_gone(pids)


class Whole:
    def __init__(self, build, mode, cert):
        self.gw = pt.Gateway(
            f"{CONF}pki mx {cert.words()}\n"
            "listen on $own_address port $own_port pki mx smtps no-rdns\n",
            build=build, log_to_file=True, listen=False)
        self.gw.start()
        self.address, self.port = self.gw.address, self.gw.port

    def pids(self):
        return self.gw.pids()

    def stop(self):
        self.gw.stop()
        self.gw.remove()


def measure(build, server, count):
    """(handshakes a second, CPU ms each)"""
    cpu = cpu_seconds(server.pids())
    out = subprocess.run(
        [f"{build}/bench/handshake", "load", server.address,
         str(server.port), str(count), str(AT_ONCE)], check=True,
        stdout=subprocess.PIPE, timeout=300).stdout
    return float(out), (cpu_seconds(server.pids()) - cpu) / count * 1000


def handshakes(args):
    ca = Ca()
    print("\nTLS 1.3 handshakes up to a greeting: OpenSSL alone (plain), our "
          "TLS with the key\nin the process (local) and in the vault's, and "
          "the whole gateway; medians")
    print(f"{'key':6} {'server':8} {'a second':>9} {'CPU ms each':>12}")
    for kind in ("ecdsa", "rsa"):
        cert = ca.cert("mx.test.example", kind=kind)
        servers = {m: Bare(args.b, m, cert) for m in MODES}
        servers["gateway"] = Whole(args.b, None, cert)
        rows = {m: [] for m in servers}
        try:
            for s in servers.values():
                measure(args.b, s, 100)
            for _ in range(args.r):
                for m, s in servers.items():
                    rows[m].append(measure(args.b, s, COUNT))
        finally:
            for s in servers.values():
                s.stop()
        found = {m: [statistics.median(c) for c in zip(*r)]
                 for m, r in rows.items()}
        for m, (rate, cpu) in found.items():
            print(f"{kind:6} {m:8} {rate:9.0f} {cpu:12.3f}", flush=True)
        for than in ("local", "plain"):
            print(f"{kind}: the vault costs "
                  f"{(found['vault'][1] / found[than][1] - 1) * 100:+.0f} % "
                  f"of CPU and "
                  f"{(1 - found['vault'][0] / found[than][0]) * 100:+.0f} % "
                  f"of the rate, beside {than}", flush=True)
