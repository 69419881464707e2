#!/usr/bin/python3
"""Random mails through the conversion to 7 bits (the command in argv): what
Python's parser finds in both has to be the same, and no body may have an
8-bit byte."""
import email
import email.policy
import random
import struct
import subprocess
import sys

ROUNDS = 3000
rng = random.Random(6)
PIECES = (b"x" * 30, b" ", b"\t", b"=", b"=C3=A9", b"\xc3\xa9", b"\xff", b"--",
          b"--a", b"--a b", b"-", b"\r\n", b"\r\n\r\n", b".\r\n", b"From me",
          b"word", b"word " * 20, b"A: b\r\n", b"\x00", b"y" * 74, b"z" * 200)
ENCODINGS = (None, None, b"8bit", b"8BIT (really)", b"binary", b"7bit",
             b"quoted-printable", b"base64", b"utf-8")
BOUNDARIES = (b"a", b"a b", b"ab", b"=_1", b"x" * 70, b"a'()+_,-./:=?")


def text(eight):
    found = b"".join(rng.choice(PIECES) for _ in range(rng.randrange(12)))
    return found if eight else bytes(b for b in found if b < 0x80)


def fields(kind, encoding, top):
    lines = [b"Subject: caf\xc3\xa9" if rng.random() < .2 else b"Subject: x"]
    if kind:
        lines.append(b"Content-Type: " + kind)
    if encoding:
        name = rng.choice((b"Content-Transfer-Encoding",
                           b"content-transfer-encoding"))
        lines.append(name + b": " + encoding)
    if top and rng.random() < .8:
        lines.append(b"MIME-Version: 1.0")
    rng.shuffle(lines)
    return b"\r\n".join(lines) + b"\r\n\r\n"


def part(depth=0, top=True):
    what = rng.random()
    if what < .35 and depth < 5:
        bound = rng.choice(BOUNDARIES) + str(depth).encode()
        sub = rng.choice((b"mixed", b"signed", b"digest", b"alternative"))
        found = fields(b'multipart/%s; x=y;\r\n boundary="%s"' % (sub, bound),
                       rng.choice((None, b"8bit", b"7bit")), top)
        found += text(True) + b"\r\n"
        for _ in range(rng.randrange(1, 4)):
            found += b"--" + bound + rng.choice((b"", b" ")) + b"\r\n"
            inner = part(depth + 1, False)
            if sub == b"digest":  # of messages, without fields of their own
                inner = b"\r\n" + part(depth + 1)
            found += inner + (b"" if inner.endswith(b"\r\n\r\n") else b"\r\n")
        if rng.random() < .8:
            found += b"--" + bound + b"--\r\n" + text(True)
        return found
    if what < .5 and depth < 5:
        return fields(b"message/rfc822",
                      rng.choice((None, b"8bit", b"7bit")), top) + \
            part(depth + 1)
    encoding = rng.choice(ENCODINGS)
    if encoding == b"base64":
        return fields(b"application/x", encoding, top) + b"AAECAw==\r\n"
    kind = rng.choice((None, b"text/plain; charset=utf-8", b"text/html",
                       b"application/octet-stream", b"multipart/mixed"))
    body = text(rng.random() < .7)
    if encoding == b"quoted-printable":
        # An = that means nothing may mean something before one that does.
        body = body.replace(b"=", b"").replace(b"C3A9", b"=C3=A9")
    return fields(kind, encoding, top) + body


def walk(data):
    """The tree, with what each leaf says once it is decoded."""
    def of(m):
        lines = [(k.lower(), str(v)) for k, v in m.items() if k.lower() not in
                 ("content-transfer-encoding", "mime-version")]
        if m.is_multipart():
            return lines, m.get_content_type(), [of(p) for p in
                                                 m.get_payload()]
        return lines, m.get_content_type(), m.get_payload(decode=True)
    return of(email.message_from_bytes(data, policy=email.policy.compat32))


def leaves(m):
    if m.is_multipart():
        for p in m.get_payload():
            yield from leaves(p)
    else:
        yield m.get_payload()


def convert(child, data):
    child.stdin.write(struct.pack("<IB", len(data), rng.randrange(256)) + data)
    child.stdin.flush()
    n, = struct.unpack("<I", child.stdout.read(4))
    return child.stdout.read(n)


def main():
    changed = 0
    with subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as child:
        for n in range(ROUNDS):
            data = part()
            got = convert(child, data)
            changed += got != data
            if walk(got) != walk(data):
                sys.exit(f"mail {n}: not the same\n{data!r}\n{got!r}")
            m = email.message_from_bytes(got)
            if not all(leaf.isascii() for leaf in leaves(m)):
                sys.exit(f"mail {n}: not of 7 bits\n{data!r}\n{got!r}")
            if convert(child, got) != got:
                sys.exit(f"mail {n}: not stable\n{got!r}")
        child.stdin.close()
    if changed < ROUNDS // 4:
        sys.exit(f"only {changed} of {ROUNDS} were changed")


main()
