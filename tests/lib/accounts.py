"""Users and their secrets: hashes as crypt(3) makes them, the secret that
SCRAM-SHA-256 stores, and the clients' half of each mechanism of AUTH.

    users = {"luke": hashed("force"), "leia": scram_secret("alderaan")}
    with_auth(client, "PLAIN", "luke", "force")      # the last reply
"""
import base64
import hashlib
import hmac
import os
import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import crypt

# Cheap ones where the kind has a cost.
SALTS = {"yescrypt": "$y$j75$", "sha512": "$6$rounds=5000$",
         "sha256": "$5$rounds=5000$", "bcrypt": "$2b$05$",
         "md5": "$1$", "sha512-slow": "$6$rounds=2000000$"}


def hashed(password, kind="yescrypt"):
    salt = base64.b64encode(os.urandom(16), b"./")[:22].decode()
    # The last character of a salt has unused bits: keep to what all take.
    salt = {"bcrypt": salt[:21] + "u", "yescrypt": salt[:20] + "/."}.get(
        kind, salt[:8])
    found = crypt.crypt(password, SALTS[kind] + salt)
    if not found or found.startswith("*"):
        raise AssertionError(f"crypt(3) knows no {kind}")
    return found


def b64(data):
    if isinstance(data, str):
        data = data.encode()
    return base64.b64encode(data).decode()


def salted(password, salt, iterations):
    return hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)


def mac(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


def scram_secret(password, iterations=4096, salt=None):
    """{SCRAM-SHA-256}iterations,salt,StoredKey,ServerKey"""
    salt = salt or os.urandom(16)
    key = salted(password, salt, iterations)
    stored = hashlib.sha256(mac(key, b"Client Key")).digest()
    return f"{{SCRAM-SHA-256}}{iterations},{b64(salt)},{b64(stored)}," \
           f"{b64(mac(key, b'Server Key'))}"


class Scram:
    """The client's half of SCRAM-SHA-256 (RFC 5802, RFC 7677), without
    channel binding."""

    def __init__(self, user, password, nonce=None, gs2="n,,"):
        self.user = user.replace("=", "=3D").replace(",", "=2C")
        self.password, self.gs2 = password, gs2
        self.nonce = nonce or b64(os.urandom(18))
        self.server_signature = None

    def first(self):
        self.bare = f"n={self.user},r={self.nonce}"
        return (self.gs2 + self.bare).encode()

    def final(self, challenge):
        """The answer to the server's first message."""
        text = challenge.decode()
        parts = dict(p.split("=", 1) for p in text.split(","))
        if not parts["r"].startswith(self.nonce):
            raise AssertionError(f"not our nonce: {text}")
        key = salted(self.password, base64.b64decode(parts["s"]),
                     int(parts["i"]))
        client = mac(key, b"Client Key")
        bare = f"c={b64(self.gs2)},r={parts['r']}"
        message = f"{self.bare},{text},{bare}".encode()
        signature = mac(hashlib.sha256(client).digest(), message)
        proof = bytes(a ^ b for a, b in zip(client, signature))
        self.server_signature = mac(mac(key, b"Server Key"), message)
        return f"{bare},p={b64(proof)}".encode()

    def check(self, last):
        """Does the server know the secret, too?"""
        if last != f"v={b64(self.server_signature)}".encode():
            raise AssertionError(f"the server's signature: {last}")


def challenge(reply):
    if reply[0] != 334:
        raise AssertionError(f"no challenge: {reply}")
    return base64.b64decode(reply[1])


def plain(user, password, authz=""):
    return b64(f"{authz}\0{user}\0{password}")


def with_auth(c, mechanism, user, password, initial=True):
    """One whole exchange on a client of postern.py; the last reply. initial:
    PLAIN and SCRAM with their first message in the command's line."""
    if mechanism == "LOGIN":
        got = c.cmd("AUTH LOGIN")
        for answer in user, password:
            if got[0] != 334:
                return got
            got = c.cmd(b64(answer))
        return got
    scram = Scram(user, password) if mechanism == "SCRAM-SHA-256" else None
    first = b64(scram.first()) if scram else plain(user, password)
    if initial:
        got = c.cmd(f"AUTH {mechanism} {first}")
    else:
        got = c.cmd(f"AUTH {mechanism}")
        if got[0] != 334:
            return got
        got = c.cmd(first)
    if not scram or got[0] != 334:
        return got
    got = c.cmd(b64(scram.final(challenge(got))))
    if got[0] != 334:
        return got
    scram.check(challenge(got))
    return c.cmd("")
