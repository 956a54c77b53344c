"""A member that shares no code with us: Python's grpcio over mutual TLS, bytes and signatures written out by hand.

    foreign.py HUB DESK DIR

HUB and DESK are addresses. DIR holds credentials: fr (a bureau that this script acts as; it has a message from Brazil
in its mailbox), duty (an officer of the desk) and other (a bureau's of another authority). Sent is FR-1-N-1 and FR-1-N-2,
both to Brazil. It ends with an error at the first thing that is not as it should be.
"""

import base64
import pathlib
import queue
import sys
import time

import grpc

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "crates" / "trust" / "tests"))
import vectors  # noqa: E402: Ed25519 and protobuf, written out

EXCHANGE, MONITOR, DESK = ("/i247.v1.%sService/" % name for name in ("Exchange", "Monitor", "Desk"))
HEALTH = "/grpc.health.v1.Health/"
PATIENCE = 30
NORMAL, FREE_TEXT = 3, 13
Code = grpc.StatusCode
field = vectors.field


def read(data):
    """The fields of a message: numbers, and bytes where a length stands."""
    fields, at = {}, 0

    def number():
        nonlocal at
        value, shift = 0, 0
        while True:
            byte = data[at]
            at, value, shift = at + 1, value | (byte & 127) << shift, shift + 7
            if byte < 128:
                return value

    while at < len(data):
        key = number()
        value = number()
        if key & 7 == 2:
            value, at = data[at : at + value], at + value
        fields.setdefault(key >> 3, []).append(value)
    return fields


class Member:
    """Somebody with credentials, and the lane of messages that they have sent."""

    def __init__(self, folder):
        pem = {name: (folder / name).read_bytes() for name in ("tls.key.pem", "tls.crt.pem", "authority.crt.pem")}
        end = b"-----END CERTIFICATE-----\n"
        root = pem["authority.crt.pem"].split(end)[0] + end
        self.credentials = grpc.ssl_channel_credentials(root, pem["tls.key.pem"], pem["tls.crt.pem"])
        self.nobody = grpc.ssl_channel_credentials(root)
        text = (folder / "signing.key.pem").read_text()
        der = base64.b64decode("".join(text.splitlines()[1:-1]))
        start = der.index(bytes.fromhex("04220420")) + 4
        self.seed = der[start : start + 32]
        self.key_id = vectors.sha(bytes.fromhex("302a300506032b6570032100"), vectors.public(self.seed))
        self.number, self.previous = 0, b""

    def channel(self, address, credentials=None, **options):
        named = [("grpc.ssl_target_name_override", "localhost"), ("grpc.use_local_subchannel_pool", 1)]
        return grpc.secure_channel(address, credentials or self.credentials, named + list(options.items()))

    def write(self, sender="FR", number=None, body=b"Words."):
        """Header and body of the next message to Brazil."""
        clear = field(1, "Test") + field(22, field(1, body))
        salt = bytes(range(16))
        carried = field(1, salt) + field(2, clear)
        commitment = vectors.sha(b"i247.v1.Commitment", b"\0", salt, clear)
        header = b"".join([
            field(1, 1),
            field(2, "%s-1-N-%d" % (sender, number or self.number + 1)),
            field(3, self.key_id),
            field(4, self.previous) if self.previous and number != 1 else b"",
            field(5, FREE_TEXT),
            field(8, field(3, "BR")),
            field(9, int(time.time() * 1000)),
            field(19, vectors.sha(carried)),
            field(20, commitment),
        ])
        return header, carried

    def envelope(self, header, carried, bend=lambda signature: signature):
        signature = vectors.sign(self.seed, vectors.burst(1, vectors.leaf(header)))
        return field(1, header) + field(2, carried) + field(3, field(1, bend(signature)) + field(3, 1))

    def sent(self, header):
        self.number, self.previous = self.number + 1, vectors.leaf(header)


def unary(channel, path, request=b"", timeout=PATIENCE, **more):
    return channel.unary_unary(path)(request, timeout=timeout, **more)


def submit(channel, envelope):
    """The acceptance, or the name of the reason of a refusal."""
    try:
        result = read(read(unary(channel, EXCHANGE + "Submit", field(1, envelope)))[1][0])
    except grpc.RpcError as error:
        return "%s %s" % (error.code().name, error.details().split(" ")[0].rstrip(":"))
    if 3 in result:
        return read(result[3][0])[1][0].decode()
    signed = read(result[2][0])
    expect("the type of an acceptance", signed[1][0], b"i247.v1.Acceptance")
    return read(signed[2][0])


def expect(what, got, wanted):
    if got != wanted:
        sys.exit("%s: got %r, wanted %r" % (what, got, wanted))
    print("foreign: %s" % what, flush=True)


def fails(what, wanted, call, *arguments, **more):
    try:
        got = call(*arguments, **more)
    except grpc.RpcError as error:
        got = error.code()
        for word in ("src/", ".rs", "panicked", "os error"):
            if word in (error.details() or "") and got is not Code.UNAVAILABLE:
                sys.exit("%s: says too much: %s" % (what, error.details()))
    expect(what, got, wanted)


def calls(france, hub):
    """Everything that a member without a stream does."""
    channel = france.channel(hub)
    expect("health", unary(channel, HEALTH + "Check"), field(1, 1))
    header, carried = france.write()
    envelope = france.envelope(header, carried)
    accepted = submit(channel, envelope)
    expect("a message is accepted", accepted[1], [b"FR-1-N-1"])
    expect("its header is what was accepted", accepted[2], [vectors.leaf(header)])
    expect("the same bytes, the same answer", submit(channel, envelope), accepted)
    explained = read(unary(channel, EXCHANGE + "Explain", field(1, FREE_TEXT) + field(2, field(3, "BR"))))
    parties = {read(party)[1][0]: read(party).get(2) for party in explained[2]}
    expect("who receives is explained", parties[b"BR"], [1])
    statuses = read(unary(channel, EXCHANGE + "Statuses", field(1, "FR-1-N-1")))
    expect("where a message stands", read(statuses[1][0])[1], [b"FR-1-N-1"])
    france.sent(header)
    return channel


class Stream:
    """A stream to the hub, with what is to be sent in a queue."""

    def __init__(self, channel):
        self.outgoing = queue.Queue()
        self.frames = channel.stream_stream(EXCHANGE + "Connect")(iter(self.outgoing.get, None), timeout=PATIENCE)

    def say(self, tag, frame):
        self.outgoing.put(field(tag, frame))

    def hear(self, tag):
        """The next frame of this kind."""
        for frame in self.frames:
            frame = read(frame)
            if tag in frame:
                return read(frame[tag][0])
        sys.exit("the stream ended before frame %d" % tag)


def stream(france, channel):
    """Hello and Welcome, a delivery with its introduction, and a message."""
    line = Stream(channel)
    ends = field(4, field(1, NORMAL) + field(2, 1) + field(3, france.previous))
    line.say(1, field(3, 1) + ends + field(6, "foreign"))
    welcome = line.hear(1)
    lanes = {end[1][0]: end.get(2) for end in map(read, welcome[4])}
    expect("the hub knows our last number", lanes[NORMAL], [1])
    line.say(4, field(1, 16))
    introduction = line.hear(3)
    expect("the signer is introduced by a certificate", len(introduction[1]), 1)
    delivery = line.hear(4)
    header = read(read(delivery[5][0])[1][0])
    expect("Brazil's message is delivered", (delivery[2], header[2]), ([1], [b"BR-1-N-1"]))
    header, carried = france.write()
    line.say(2, france.envelope(header, carried))
    result = line.hear(2)
    expect("a message is accepted on the stream", (result[1], 2 in result), ([b"FR-1-N-2"], True))
    france.sent(header)
    line.outgoing.put(None)


def envelopes(france, channel):
    """Messages with one thing wrong."""
    header, carried = france.write()
    seal = france.envelope

    def larger(signature):
        s = int.from_bytes(signature[32:], "little") + vectors.L
        return signature[:32] + s.to_bytes(32, "little")

    cases = [
        ("another's name", seal(*france.write(sender="BR")), "PERMISSION_DENIED WRONG_SENDER"),
        ("a bit of the signature", seal(header, carried, lambda s: s[:9] + bytes([s[9] ^ 1]) + s[10:]), "UNAUTHENTICATED BAD_SIGNATURE"),
        ("a signature in another spelling", seal(header, carried, larger), "UNAUTHENTICATED BAD_SIGNATURE"),
        ("a bit of the body", seal(header, carried[:-1] + b"!"), "INVALID_ARGUMENT BODY_MISMATCH"),
        ("a field of nobody", seal(header + field(99, 1), carried), "INVALID_ARGUMENT NOT_CANONICAL"),
        ("a field twice", seal(header + field(20, header[-32:]), carried), "INVALID_ARGUMENT NOT_CANONICAL"),
        ("a default written out", seal(header + field(23, 0), carried), "INVALID_ARGUMENT NOT_CANONICAL"),
        ("a number too long", seal(b"\x08\x81\x00" + header[2:], carried), "INVALID_ARGUMENT NOT_CANONICAL"),
        ("fields in another order", seal(header[2:] + header[:2], carried), "INVALID_ARGUMENT NOT_CANONICAL"),
        ("a number used before", seal(*france.write(number=1, body=b"Other.")), "NUMBER_REUSED"),
        ("a number too early", seal(*france.write(number=9)), "OUT_OF_ORDER"),
        ("no header", field(2, carried), "INVALID_ARGUMENT MALFORMED"),
    ]
    for what, envelope, wanted in cases:
        expect("refused: " + what, submit(channel, envelope), wanted)


def watch(channel):
    """A call that goes on. Those that have ended count until the hub has noticed."""
    until = time.monotonic() + PATIENCE
    while True:
        watcher = channel.unary_stream(HEALTH + "Watch")(b"", timeout=PATIENCE)
        try:
            next(watcher)
            return watcher
        except grpc.RpcError as error:
            if error.code() != Code.RESOURCE_EXHAUSTED or time.monotonic() > until:
                raise
            time.sleep(0.05)


def refused(france, channel, hub):
    """Calls with one thing wrong."""
    statuses = EXCHANGE + "Statuses"
    fails("refused: no protobuf", Code.INTERNAL, unary, channel, EXCHANGE + "Submit", b"\xff" * 9)
    fails("refused: too large", Code.OUT_OF_RANGE, unary, channel, statuses, bytes(400 * 1024))
    fails("refused: an operator's call", Code.PERMISSION_DENIED, unary, channel, MONITOR + "Summary")
    fails("refused: a desk's call", Code.UNIMPLEMENTED, unary, channel, DESK + "Report")
    fails("refused: a call of nobody", Code.UNIMPLEMENTED, unary, channel, EXCHANGE + "Nothing")
    fails("refused: compressed", Code.UNIMPLEMENTED, unary, channel, statuses, field(1, "x" * 4096), compression=grpc.Compression.Gzip)
    two = channel.stream_unary(statuses)
    fails("refused: a second message", Code.INVALID_ARGUMENT, two, iter([b"", b""]), timeout=PATIENCE)
    fails("refused: 15 KB of metadata", Code.UNKNOWN, unary, channel, statuses, metadata=[("long", "x" * 15000)])
    never = channel.stream_unary(statuses)
    fails("ended: no message within the caller's time", Code.DEADLINE_EXCEEDED, never, iter(queue.Queue().get, None), timeout=0.3)
    silent = Stream(channel)
    silent.say(4, field(1, 1))
    expect("refused: a stream without Hello", silent.hear(6)[1], [b"MALFORMED"])
    cancelled = Stream(channel)
    cancelled.frames.cancel()
    watchers = [watch(channel) for _ in range(64)]
    fails("refused: more calls than one connection may have", Code.RESOURCE_EXHAUSTED, unary, channel, statuses)
    for watcher in watchers:
        watcher.cancel()
    bare = france.channel(hub, france.nobody)
    fails("refused: no certificate", Code.UNAVAILABLE, unary, bare, statuses, timeout=5)


def main():
    hub, desk, folder = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
    france, duty, other = (Member(folder / name) for name in ("fr", "duty", "other"))
    channel = calls(france, hub)
    stream(france, channel)
    envelopes(france, channel)
    refused(france, channel, hub)
    fails("refused: another authority", Code.UNAVAILABLE, unary, other.channel(hub), HEALTH + "Check", timeout=5)
    report = read(unary(duty.channel(desk), DESK + "Report"))
    expect("a desk reports", report[1], [b"BR"])
    fails("refused: a bureau at another's desk", Code.UNAVAILABLE, unary, france.channel(desk), DESK + "Report", timeout=5)
    begun = time.monotonic()
    statuses = read(unary(france.channel(hub), EXCHANGE + "Statuses", field(1, "FR-1-N-2")))
    expect("afterwards an honest call is answered", read(statuses[1][0])[1], [b"FR-1-N-2"])
    expect("that took no second", time.monotonic() - begun < 1, True)


if __name__ == "__main__":
    main()
