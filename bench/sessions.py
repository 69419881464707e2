"""Sessions that do nothing, in the clear and under TLS: what each costs, in
all processes of a server together, beside Postfix and OpenSMTPD."""
import os
import select
import subprocess
import tempfile

import postern as pt
from certs import Ca, read
from lib import OpenSmtpd, Postern, Postfix, pss_bytes

# Postfix has a process for each session, and OpenSMTPD not more descriptors:
# what one costs is seen with fewer, too.
COUNTS = {"postern": 10000, "Postfix": 150, "OpenSMTPD": 150}
LIMIT = 120  # seconds
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
        ready = select.select([self.proc.stdout], [], [], LIMIT)[0]
        if not ready or self.proc.stdout.readline() != b"ready\n":
            self.proc.kill()
            said = self.proc.stderr.read().decode().strip()
            raise AssertionError(said or f"not within {LIMIT} s")

    def close(self):
        self.proc.stdin.close()
        self.proc.wait()


def one(mode, name, args, pki):
    """KiB a session, as text; or why not."""
    try:
        server = start(name, args, *pki)
    except AssertionError:
        return "not up"
    try:
        # The first of its kind makes what all need.
        Held(args, server, mode, 2).close()
        before = pss_bytes(server.pids())
        held = Held(args, server, mode, COUNTS[name])
        each = (pss_bytes(server.pids()) - before) / COUNTS[name]
        held.close()
        return f"{each / 1024:.1f}"
    except AssertionError as e:
        return str(e)
    finally:
        server.stop()


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
            found = [one(m, name, args, (cert, pem, work))
                     for m in ("plain", "starttls")]
            print(f"{name:10} {COUNTS[name]:9} {found[0]:>9} {found[1]:>9}",
                  flush=True)
