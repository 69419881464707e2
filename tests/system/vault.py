#!/usr/bin/python3
"""Secrets are in their vault and nowhere else.

The memory of every process of a running gateway is read and searched for each
private number of its keys, in every form it could have, and for the hashes of
its users; they have to be found where they belong, else the search is no good.
Then the vaults are killed, stopped, and asked by a thousand at once.
"""
import os
import re
import select
import signal
import socket
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403
from secured import *  # noqa: E402,F401,F403
from secured import default_cert, hello, shared_ca  # noqa: E402

KEYS, PASSWORDS = 0, 1
# What one session has sent is read before the later words of another.
ONE_WORKER = "workers smtpd 1 delivery 1\n"
SKIPPED = ("[vvar]", "[vsyscall]", "[vdso]", "[vvar_vclock]")


# --- what to look for ---

def numbers_of(key):
    """{name: bytes, big-endian} of a private key's secret numbers."""
    text = openssl("pkey", "-in", key, "-noout", "-text").decode()
    found = {}
    for name in ("priv", "privateExponent", "prime1", "prime2", "exponent1",
                 "exponent2", "coefficient"):
        m = re.search(rf"^{name}:\n((?: +[0-9a-f:]+\n)+)", text, re.M)
        if m:
            digits = re.sub(r"[^0-9a-f]", "", m.group(1))
            found[name] = bytes.fromhex(digits).lstrip(b"\0")
    return found


def forms_of(key):
    """{name: bytes}: of each number the ends of it, in the order of a file
    and in that of the machine's words; of the file some of its lines."""
    forms = {}
    for name, number in numbers_of(key).items():
        assert len(number) >= 24, name
        forms[f"{name} big-endian"] = number[:24]
        forms[f"{name} its end"] = number[-24:]
        forms[f"{name} little-endian"] = number[::-1][:24]
    lines = [l for l in open(key).read().split("\n")
             if l and not l.startswith("-")]
    # Of the file the lines that lie behind the public numbers; of an ECDSA
    # key the scalar comes before them.
    parts = [l[20:52] for l in lines[8:-1]] or [lines[0][48:], lines[1][:24]]
    for i, part in enumerate(parts):
        forms[f"line {i}"] = part.encode()
    return forms


SHADOW = 1 << 30  # no mapping of ours is as large


def maps_of(pid):
    with open(f"/proc/{pid}/maps") as f:
        for line in f:
            words = line.split(None, 5)
            name = words[5].strip() if len(words) > 5 else ""
            if "r" in words[1] and name not in SKIPPED:
                low, high = (int(x, 16) for x in words[0].split("-"))
                if high - low > SHADOW and SANITIZED:
                    continue  # it says which bytes are in use, and has none
                yield low, high


def found_in(pid, forms):
    """Names of the forms that are anywhere in its memory."""
    found = set()
    total = 0
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
        for low, high in maps_of(pid):
            mem.seek(low)
            try:
                data = mem.read(high - low)
            except OSError:
                continue  # behind the end of a mapped file
            total += len(data)
            found |= {n for n, bytes_ in forms.items() if bytes_ in data}
    assert total > 500000, f"{pid}: only {total} bytes could be read"
    return found


def whose(gw, forms):
    """{process: names of what was found in it}, for who has any."""
    vaults = gw.vaults()
    names = {vaults[KEYS]: "keys", vaults[PASSWORDS]: "passwords"}
    found = {}
    for pid in gw.pids():
        here = found_in(pid, forms)
        if here:
            found[names.get(pid) or " ".join(cmdline(pid))] = here
    return found


class Vaults(Secured):
    def __init__(self, conf="", pkis=None, **kw):
        super().__init__(conf, pkis=pkis or {"mx": pair()}, **kw)

    def rows(self):
        return {r["instance"]: r for r in
                self.json("show", "status")["processes"]
                if r["role"] == "vault"}

    def vaults(self):
        """Pids, by instance."""
        pids = {i: r["pid"] for i, r in self.rows().items()}
        equal(sorted(pids), [KEYS, PASSWORDS], "vaults")
        return pids

    def kill_vault(self, instance):
        """And waits for the successor."""
        since = self.mark()
        pid = self.vaults()[instance]
        os.kill(pid, signal.SIGKILL)
        self.wait_log(f"died process=vault instance={instance}", since)
        self.wait_successor(instance, pid)

    def wait_successor(self, instance, pid):
        def there():
            row = self.rows().get(instance, {"pid": 0})
            return row["pid"] not in (0, pid) and "seccomp" in row["sandbox"]
        wait_until(there, "a new vault")


def pair():
    return [default_cert("ecdsa"), default_cert("rsa")]


def use_all(gw):
    """Each key signs, in both versions; each user logs in."""
    for ciphers in ("ECDHE-ECDSA-AES128-GCM-SHA256",
                    "ECDHE-RSA-AES128-GCM-SHA256"):
        with gw.tls(ctx=context(gw.ca, high="TLSv1_2", ciphers=ciphers),
                    name="mx.test.example") as c:
            equal(c.sock.cipher()[0], ciphers, "cipher")
    with gw.tls(ctx=context(gw.ca), name="mx.test.example") as c:
        equal(c.sock.version(), "TLSv1.3", "version")
    for user in gw.users:
        with gw.tls("smtps", auth=user):
            pass
    with gw.tls("smtps", auth="yoda", mechanism="SCRAM-SHA-256"):
        pass


def only_in_their_vault(gw):
    forms = {}
    for cert in pair():
        forms.update({f"{cert.key} {n}": b
                      for n, b in forms_of(cert.key).items()})
    found = whose(gw, forms)
    equal(set(found), {"keys"}, f"private keys are in: {found}")
    for cert in pair():
        assert any(cert.key in n and "endian" in n for n in found["keys"]), \
            f"{cert.key} was not found where it is"
    hashes = {u: v.rsplit("$", 1)[-1].rsplit(",", 1)[-1][:40].encode()
              for u, (_, v) in gw.users.items()}
    found = whose(gw, hashes)
    equal(set(found), {"passwords"}, f"hashes are in: {found}")
    equal(found["passwords"], set(hashes), "hashes in the vault")


@test
def secrets_are_in_their_vault_alone():
    """As whoever runs it: with users and chroot when that is root."""
    with Vaults() as gw:
        only_in_their_vault(gw)
        use_all(gw)
        only_in_their_vault(gw)
        equal(gw.ctl("reload")[0], 0, "reload")
        use_all(gw)
        only_in_their_vault(gw)


@test
def secrets_of_an_ordinary_user():
    if os.geteuid() != 0:
        raise Skip("the test before did that")
    certs = pair()
    with Vaults(user="nobody",
                pkis={"mx": [own_copy(c) for c in certs]}) as gw:
        use_all(gw)
        only_in_their_vault(gw)


@test
def the_password_of_a_smart_host():
    """In the vault of passwords, and with delivery for as long as it says
    it."""
    mx = MX(tls=shared_ca().cert(own_address()),
            auth={"luke": os.urandom(20).hex()})
    password = mx.auth["luke"]
    hop = f"smtp+tls://{mx.address}:{mx.port}"
    forms = {"password": password.encode(),
             "PLAIN": b64(f"\0luke\0{password}")[8:].encode(),
             "LOGIN": b64(password).encode()}
    gw = Vaults(f'action hub relay to "{hop}" auth creds label "hub"\n'
                'match for domain { "hub.example" } action hub\n',
                before=f'ca "{shared_ca().root}"\n'
                'table creds file "$dir/creds"\n')
    with open(f"{gw.dir}/creds", "w") as f:
        f.write(f"hub luke:{password}\n")
    os.chmod(f"{gw.dir}/creds", 0o600)
    with gw:
        for n, words in enumerate(("PLAIN", "LOGIN"), 1):
            equal(whose(gw, forms), {"passwords": {"password"}}, words)
            mx.auth_words = words
            with gw.tls() as c:
                queued_id(c.mail("a@client.example", "x@hub.example",
                                 letter("s")))
            equal(mx.wait(n)[n - 1].auth, "luke", words)
            gw.wait_empty()
            equal(whose(gw, forms), {"passwords": {"password"}}, words)
        equal(gw.ctl("reload")[0], 0, "reload")
        equal(whose(gw, forms), {"passwords": {"password"}}, "reload")
    mx.close()


def own_copy(cert):
    """Of a key that belongs to nobody, too."""
    import pwd
    who = pwd.getpwnam("nobody")
    copy = cert.copy_to(os.path.dirname(cert.key), f"own-{cert.name}-" +
                        os.path.basename(cert.key))
    os.chown(copy.key, who.pw_uid, who.pw_gid)
    os.chown(copy.chain, who.pw_uid, who.pw_gid)
    return copy


def locked(pid):
    """(bytes locked, bytes there are) of its memory."""
    with open(f"/proc/{pid}/status") as f:
        text = f.read()
    return tuple(int(re.search(rf"{n}:\s+(\d+) kB", text).group(1)) << 10
                 for n in ("VmLck", "VmRSS"))


@test
def nothing_gets_to_the_swap():
    """All of it when the bound may be lifted; else the keys."""
    with Vaults() as gw:
        use_all(gw)
        for instance, pid in gw.vaults().items():
            bytes_, there = locked(pid)
            with open(f"/proc/{pid}/limits") as f:
                bound = re.search(r"locked memory +(\S+)", f.read()).group(1)
            if bound == "unlimited":
                assert bytes_ >= there, f"{bytes_} of {there} are locked"
            elif instance == KEYS:
                assert bytes_ >= 1 << 20, f"{bytes_} are locked"


@test
def keys_die():
    """A session goes on, mail and all; the successor has the keys again."""
    with Vaults() as gw:
        with gw.tls() as going:
            gw.kill_vault(KEYS)
            queued_id(going.mail("s@client.example", "x@example.net",
                                 letter("a")))
        use_all(gw)
        gw.delivered(1)


@test
def keys_die_in_a_handshake():
    """Who waits for a signature is sent away; nobody else is."""
    with Vaults(ONE_WORKER) as gw:
        with gw.plain() as waiting, gw.tls() as going:
            pid = gw.vaults()[KEYS]
            os.kill(pid, signal.SIGSTOP)
            waiting.want("STARTTLS", 220)
            waiting.sock.sendall(hello())
            # The session beside is served meanwhile.
            going.want("NOOP", 250)
            queued_id(going.mail("s@client.example", "x@example.net",
                                 letter("b")))
            os.kill(pid, signal.SIGKILL)
            while waiting.sock.recv(4096):
                pass
            going.want("NOOP", 250)
        gw.wait_successor(KEYS, pid)
        use_all(gw)


@test
def passwords_die():
    with Vaults(ONE_WORKER) as gw:
        with gw.tls("smtps") as waiting:
            pid = gw.vaults()[PASSWORDS]
            os.kill(pid, signal.SIGSTOP)
            waiting.send("AUTH PLAIN " + plain("luke", "force") + "\r\n")
            with gw.tls() as c:  # signatures are somebody else's
                c.want("NOOP", 250)
            os.kill(pid, signal.SIGKILL)
            equal(waiting.reply()[0], 454, "AUTH without a vault")
            gw.wait_successor(PASSWORDS, pid)
            equal(with_auth(waiting, "PLAIN", "luke", "force")[0], 235,
                  "AUTH of the successor")
        use_all(gw)


@test
def passwords_are_bounded():
    """While the vault does nothing more than 64 can wait: the rest hears 454
    at once when it does."""
    with Vaults(ONE_WORKER) as gw:
        pid = gw.vaults()[PASSWORDS]
        clients = [gw.tls("smtps") for _ in range(80)]
        os.kill(pid, signal.SIGSTOP)
        for c in clients:
            c.send("AUTH PLAIN " + plain("luke", "force") + "\r\n")
        # All of them have been read: each is in order with its NOOP.
        with gw.tls() as other:
            other.want("NOOP", 250)
        os.kill(pid, signal.SIGCONT)
        codes = [c.reply()[0] for c in clients]
        equal(set(codes) <= {235, 454}, True, f"replies {codes}")
        assert codes.count(235) >= 1, codes
        busy = gw.stats()["vault.busy"]
        equal(codes.count(454), busy, "turned away")
        for c in clients:
            c.close()


def crowd_at_the_door(gw, going):
    """A thousand handshakes that wait for the key, and then have it. Returns
    how often the session that goes on was served meanwhile."""
    os.kill(gw.vaults()[KEYS], signal.SIGSTOP)
    crowd = {}
    poll = select.poll()
    for _ in range(1000):
        s = socket.create_connection((gw.address, gw.ports["smtps"]))
        s.sendall(hello())
        s.setblocking(False)
        crowd[s.fileno()] = s
        poll.register(s, select.POLLIN)
    for i in range(20):
        going.want("NOOP", 250)
    equal(poll.poll(0), [], "answered without a key")
    os.kill(gw.vaults()[KEYS], signal.SIGCONT)
    served = 0
    left = set(crowd)
    while left:
        ready = poll.poll(DEADLINE * 1000)
        assert ready, f"{len(left)} handshakes have no answer"
        for fd, _ in ready:
            assert crowd[fd].recv(65536), "a handshake was ended"
            poll.unregister(fd)
            left.discard(fd)
        if served == 0:
            queued_id(going.mail("s@client.example", "x@example.net",
                                 letter("c")))
        elif served < 40:  # more of them are too many
            going.want("NOOP", 250)
        served += 1
    for s in crowd.values():
        s.close()
    return served


@test
def thousand_handshakes():
    """A session in progress is served between them: its replies come before
    the last handshake has got its own. (Who looks too late sees nothing of
    it, and looks again.)"""
    with Vaults("limit connections 4000\n"
                "limit handshakes 4000 handshake-timeout 5m\n"
                "workers smtpd 1\n",
                pkis={"mx": default_cert("rsa")}) as gw:
        with gw.tls() as going:
            assert any(crowd_at_the_door(gw, going) > 1 for _ in range(5)), \
                "all came in one go, each time"



@test
def oracle_says_what_it_did():
    with Vaults() as gw:
        before = gw.stats()
        with gw.tls("smtps", auth="luke"):
            pass
        after = gw.stats()
        equal(after["vault.signatures"] - before["vault.signatures"], 1,
              "signatures")
        equal(after["vault.passwords"] - before["vault.passwords"], 1,
              "passwords")
        equal(after["vault.failures"], 0, "failures")


if __name__ == "__main__":
    main()
