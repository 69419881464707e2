"""Sessions that do nothing, in the clear and under TLS: what each costs, in
all processes of a server together, beside Postfix and OpenSMTPD."""
import os
import subprocess
import tempfile

import postern as pt
from certs import Ca, read
from lib import OpenSmtpd, Postern, Postfix, pss_bytes

# Postfix has a process for each session, and OpenSMTPD not more descriptors:
# what one costs is seen with fewer, too.
COUNTS = {"postern": 10000, "Postfix": 150, "OpenSMTPD": 400}
CONF = '''
limit connections 20000 connections-per-source 20000
limit rate-per-source 1000000/1s
limit handshakes 20000
workers smtpd 1 delivery 1
action drop discard
match for domain { "example.net" } action drop
'''


class IdlePostern(Postern):
    def __init__(self, build, cert):
        self.cert = cert
        super().__init__(build, 0)

    def gateway(self, conf, values, build):
        return pt.Gateway(
            f"{self.names.conf()}{CONF}pki mx {self.cert.words()}\n"
            "listen on $own_address port $own_port pki mx\n",
            build=build, log_to_file=True, listen=False)


def start(name, args, cert, pem, work):
    if name == "postern":
        return IdlePostern(args.b, cert)
    if name == "OpenSMTPD":
        return OpenSmtpd(pem)
    more = f"{work}/main.cf"
    with open(more, "w") as f:
        f.write("smtpd_tls_chain_files = /ca.pem\n"
                "smtpd_tls_security_level = may\n")
    return Postfix(args.b, 9, env={"MAIN_CF": more, "CA_FILE": pem})


class Held:
    """So many sessions that wait."""

    def __init__(self, args, server, mode, count):
        self.proc = subprocess.Popen(
            [f"{args.b}/bench/handshake", "hold", mode, server.address,
             str(server.port), str(count)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if self.proc.stdout.readline() != b"ready\n":
            raise AssertionError(self.proc.stderr.read().decode())

    def close(self):
        self.proc.stdin.close()
        self.proc.wait()


def one(name, args, cert, pem, work):
    """{mode: bytes a session}"""
    found = {}
    for mode in ("plain", "starttls"):
        server = start(name, args, cert, pem, work)
        try:
            # The first of its kind makes what all need.
            Held(args, server, mode, 2).close()
            before = pss_bytes(server.pids())
            held = Held(args, server, mode, COUNTS[name])
            found[mode] = (pss_bytes(server.pids()) - before) / COUNTS[name]
            held.close()
        finally:
            server.stop()
    return found


def sessions(args, names=tuple(COUNTS)):
    if not pt.ROOT:
        print("\nidle sessions: only root sees the memory of the roles")
        return
    cert = Ca().cert("mx.test.example", kind="rsa")
    print("\nidle sessions (EHLO said): PSS of all processes, KiB each\n"
          f"{'server':10} {'sessions':>9} {'plain':>9} {'TLS':>9}")
    with tempfile.TemporaryDirectory() as work:
        pem = f"{work}/both.pem"
        with open(pem, "w") as f:
            f.write(read(cert.key) + read(cert.chain))
        for name in names:
            if name == "OpenSMTPD" and not os.path.exists(
                    f"{pt.PEERS}/root/usr/sbin/smtpd"):
                print(f"{name:10} is not there (make bench fetches it)")
                continue
            try:
                found = one(name, args, cert, pem, work)
            except AssertionError as e:
                print(f"{name:10} could not be measured: {e}", flush=True)
                continue
            print(f"{name:10} {COUNTS[name]:9} "
                  f"{found['plain'] / 1024:9.1f} "
                  f"{found['starttls'] / 1024:9.1f}", flush=True)
