"""The test vectors of signatures and headers, made a second time without our code.

    python3 crates/trust/tests/vectors.py          checks vectors.json
    python3 crates/trust/tests/vectors.py --write  writes it anew

Only the standard library: Ed25519 (RFC 8032) and protobuf are written out below.
"""

import hashlib
import json
import pathlib
import sys

FILE = pathlib.Path(__file__).with_name("vectors.json")

# --- Ed25519 -------------------------------------------------------------------------------------

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
I = pow(2, (P - 1) // 4, P)


def add(p, q):
    a = (p[1] - p[0]) * (q[1] - q[0]) % P
    b = (p[1] + p[0]) * (q[1] + q[0]) % P
    c = 2 * p[3] * q[3] * D % P
    d = 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def times(n, p):
    q = (0, 1, 1, 0)
    while n:
        if n & 1:
            q = add(q, p)
        p = add(p, p)
        n >>= 1
    return q


def encode(p):
    z = pow(p[2], P - 2, P)
    x, y = p[0] * z % P, p[1] * z % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def decode(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * I % P
    if (x * x - x2) % P:
        return None
    if x & 1 != sign:
        x = P - x
    return (x % P, y % P, 1, x * y % P)


B = decode((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def number(*parts):
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little")


def expand(seed):
    h = hashlib.sha512(seed).digest()
    a = int.from_bytes(h[:32], "little") & (1 << 254) - 8 | 1 << 254
    return a, h[32:]


def public(seed):
    return encode(times(expand(seed)[0], B))


def sign(seed, message, torsion=None):
    """RFC 8032; with a torsion point added to R, for the vector on which rules differ."""
    a, prefix = expand(seed)
    r = number(prefix, message) % L
    point = times(r, B)
    if torsion:
        point = add(point, torsion)
    k = number(encode(point), public(seed), message) % L
    return encode(point) + ((r + k * a) % L).to_bytes(32, "little")


def order_eight():
    """A point of order 8: some point of the curve, times L."""
    y = 2
    while True:
        point = decode(y.to_bytes(32, "little"))
        if point:
            torsion = times(L, point)
            if encode(times(4, torsion)) != encode((0, 1, 1, 0)):
                return torsion
        y += 1


# --- Protobuf ------------------------------------------------------------------------------------


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def field(tag, value):
    if isinstance(value, int):
        return varint(tag << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(tag << 3 | 2) + varint(len(value)) + value


# --- What is signed ------------------------------------------------------------------------------


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def pae(kind, payload):
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def leaf(header):
    return sha(b"i247.v1.Header", b"\0", header)


def node(left, right):
    return sha(b"i247.v1.Header", b"\1", left, right)


def burst(count, root):
    return pae(b"i247.v1.Burst", bytes([count]) + root)


SEED = bytes(range(32))
KEY = public(SEED)
KEY_ID = sha(bytes.fromhex("302a300506032b6570032100"), KEY)
SALT = bytes(range(0x40, 0x50))


def body():
    clear = field(1, "Test") + field(22, field(1, "Words."))
    carried = field(1, SALT) + field(2, clear)
    commitment = sha(b"i247.v1.Commitment", b"\0", SALT, clear)
    return carried, commitment


def header(number_, previous):
    carried, commitment = body()
    return b"".join([
        field(1, 1),  # version
        field(2, "FR-1-N-%d" % number_),
        field(3, KEY_ID),
        field(4, previous) if previous else b"",
        field(5, 13),  # free text
        field(8, field(3, "BR") + field(3, "JP")),  # audience: countries
        field(9, 1893456000000),  # 2030-01-01 00:00:00 UTC
        field(19, sha(carried)),
        field(20, commitment),
    ])


def exact():
    """The first header, of a sender who saw the audience explained and wants no other."""
    return header(1, b"") + field(23, 881) + field(24, 1)


def headers():
    made, previous = [], b""
    for n in (1, 2, 3):
        made.append(header(n, previous))
        previous = leaf(made[-1])
    return made


def rule():
    """Signatures over one message by the key, and whether the one verification rule takes them."""
    message = b"one rule, singly and in batches"
    good = sign(SEED, message)
    r, s = good[:32], good[32:]
    above = (int.from_bytes(s, "little") + L).to_bytes(32, "little")
    torsion = order_eight()
    small = encode(torsion)
    k = number(small, KEY, message) % L
    small_s = (k * expand(SEED)[0] % L).to_bytes(32, "little")
    identity = (1).to_bytes(32, "little")
    k = number(identity, KEY, message) % L
    identity_s = (k * expand(SEED)[0] % L).to_bytes(32, "little")
    spelled = (P + 1).to_bytes(32, "little")
    k = number(spelled, KEY, message) % L
    spelled_s = (k * expand(SEED)[0] % L).to_bytes(32, "little")
    flipped = bytes([good[0] ^ 1]) + good[1:]
    cases = [
        ("as RFC 8032 makes it", good, True),
        ("R with a part of order 8: the cofactored equation holds", sign(SEED, message, torsion), True),
        ("S plus the group order", r + above, False),
        ("S with its top bit set", r + s[:31] + bytes([s[31] | 0x80]), False),
        ("R of order 8, and the cofactored equation holds", small + small_s, False),
        ("R the identity, and the equation holds", identity + identity_s, False),
        ("R the identity in another spelling, and the equation holds", spelled + spelled_s, False),
        ("a flipped bit of R", flipped, False),
        ("a flipped bit of S", good[:40] + bytes([good[40] ^ 1]) + good[41:], False),
        ("of another message", sign(SEED, message + b"!"), False),
        ("by another key", sign(bytes(32), message), False),
        ("all zeros", bytes(64), False),
    ]
    return message, [{"about": a, "signature": s.hex(), "holds": h} for a, s, h in cases]


def keys():
    """Public keys, and whether they may be enrolled."""
    torsion = order_eight()
    prime = times(expand(SEED)[0], B)
    cases = [("of prime order", KEY, True), ("with a part of order 8", encode(add(prime, torsion)), False)]
    for n in range(8):
        cases.append(("of small order, %d times the generator" % n, encode(times(n, torsion)), False))
    cases += [
        ("the identity with a sign", (1 | 1 << 255).to_bytes(32, "little"), False),
        ("the identity in another spelling", (P + 1).to_bytes(32, "little"), False),
        ("y = p", P.to_bytes(32, "little"), False),
        ("y = 2^255 - 1", (2**255 - 1).to_bytes(32, "little"), False),
    ]
    cases.append(("not on the curve", next(
        y.to_bytes(32, "little") for y in range(2, 99) if not decode(y.to_bytes(32, "little"))), False))
    return [{"about": a, "key": k.hex(), "counts": c} for a, k, c in cases]


def vectors():
    carried, commitment = body()
    made = headers()
    leaves = [leaf(h) for h in made]
    pair = node(leaves[0], leaves[1])
    root = node(pair, leaves[2])
    paths = [[leaves[1], leaves[2]], [leaves[0], leaves[2]], [pair]]
    message, rules = rule()
    return {
        "about": "Checked by vectors.py beside this file, which is not made with our code. All bytes in hex.",
        "seed": SEED.hex(),
        "key": KEY.hex(),
        "key_id": KEY_ID.hex(),
        "salt": SALT.hex(),
        "carried": carried.hex(),
        "body_hash": sha(carried).hex(),
        "commitment": commitment.hex(),
        "headers": [h.hex() for h in made],
        "header_hashes": [h.hex() for h in leaves],
        "exact": exact().hex(),
        "exact_hash": leaf(exact()).hex(),
        "alone": sign(SEED, burst(1, leaves[0])).hex(),
        "burst_root": root.hex(),
        "burst_message": burst(3, root).hex(),
        "burst": sign(SEED, burst(3, root)).hex(),
        "burst_paths": [[h.hex() for h in path] for path in paths],
        "signed_type": "i247.v1.Receipts",
        "signed_payload": b"receipts".hex(),
        "signed": sign(SEED, pae(b"i247.v1.Receipts", b"receipts")).hex(),
        "rule_message": message.hex(),
        "rule": rules,
        "keys": keys(),
    }


if __name__ == "__main__":
    # RFC 8032, 7.1, test 1.
    SECRET = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    assert public(SECRET).hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert sign(SECRET, b"").hex().startswith("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555f")
    text = json.dumps(vectors(), indent=1) + "\n"
    if "--write" in sys.argv:
        FILE.write_text(text)
    elif FILE.read_text() != text:
        sys.exit("vectors.json differs from what this script computes")
