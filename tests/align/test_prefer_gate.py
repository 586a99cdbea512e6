"""The page of comparisons keeps strangers out: whatever a request says of itself, a status and a sentence come back."""

import json
import os
import socket
import stat
import subprocess
import sys
from urllib.parse import urlsplit

import comparing
import pytest
from comparing import served

from stentor.cli import main
from stentor_align.prefer import address as addresses
from stentor_align.prefer import gate

GOOD = {"pair": "row-0", "choice": "a"}


@pytest.fixture
def page(tmp_path, capfd):
    """Address of a server and where its votes go; afterwards nothing may have been said in the terminal."""
    output = tmp_path / "out.jsonl.gz"
    with served(comparing.pairs(tmp_path / "in", 2), output) as (address, _):
        yield address, output
    said = capfd.readouterr()
    assert said.out == said.err == ""


def sent(address, head, body=b"", shut=False):
    """Status and body of what comes back for bytes as they are; `{host}` stands for the server."""
    place = urlsplit(address)
    with socket.create_connection((place.hostname, place.port), timeout=20) as line:
        line.sendall(head.replace("{host}", place.netloc).replace("\n", "\r\n").encode("latin-1") + b"\r\n\r\n" + body)
        if shut:
            line.shutdown(socket.SHUT_WR)
        answer = b""
        while b"\r\n\r\n" not in answer:
            got = line.recv(1 << 16)
            if not got:
                break
            answer += got
        head, _, content = answer.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split()[0])
        while len(content) < length and (got := line.recv(1 << 16)):
            content += got
    return int(head.split()[1]), content.decode()


ODD = {
    "no host": ("GET / HTTP/1.1", 403),
    "two hosts": ("GET / HTTP/1.1\nHost: {host}\nHost: {host}", 403),
    "empty host": ("GET / HTTP/1.1\nHost:", 403),
    "half a bracket": ("GET / HTTP/1.1\nHost: [::1", 403),
    "letters of another script": ("GET / HTTP/1.1\nHost: \xe9\xff", 403),
    "no port": ("GET / HTTP/1.1\nHost: 127.0.0.1", 403),
    "another port": ("GET / HTTP/1.1\nHost: 127.0.0.1:1", 403),
    "origin with half a bracket": ("GET /state HTTP/1.1\nHost: {host}\nOrigin: http://[", 403),
    "origin null": ("GET /state HTTP/1.1\nHost: {host}\nOrigin: null", 403),
    "empty origin": ("GET /state HTTP/1.1\nHost: {host}\nOrigin:", 403),
    "origin that ends alike": ("GET /state HTTP/1.1\nHost: {host}\nOrigin: http://evil.example@{host}", 403),
    "two origins": ("GET /state HTTP/1.1\nHost: {host}\nOrigin: http://{host}\nOrigin: http://e", 403),
    "from elsewhere": ("GET /next?tab=x HTTP/1.1\nHost: {host}\nSec-Fetch-Site: cross-site", 403),
    "from a neighbour": ("GET /next?tab=x HTTP/1.1\nHost: {host}\nSec-Fetch-Site: same-site", 403),
    "path with half a bracket": ("GET //[ HTTP/1.1\nHost: {host}", 404),
    "no length": ("POST /vote HTTP/1.1\nHost: {host}\nTransfer-Encoding: chunked", 400),
    "two lengths": ("POST /vote HTTP/1.1\nHost: {host}\nContent-Length: 0\nContent-Length: 9", 400),
    "length below 0": ("POST /vote HTTP/1.1\nHost: {host}\nContent-Length: -1", 400),
    "length of many digits": ("POST /vote HTTP/1.1\nHost: {host}\nContent-Length: " + "9" * 6000, 400),
    "length in letters": ("POST /vote HTTP/1.1\nHost: {host}\nContent-Length: \xb2", 400),
    "other verb": ("PUT /vote HTTP/1.1\nHost: {host}\nContent-Length: 0", 501),
}


@pytest.mark.parametrize("what", ODD)
def test_odd_heads_are_refused_without_a_traceback(page, what):
    head, status = ODD[what]
    found, content = sent(page[0], head)
    assert found == status
    if status != 501:
        assert "\n" not in json.loads(content)["error"]


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 60_000,
        b'{"pair": ' * 6_000 + b"1",
        b'{"pair": ' + b"9" * 60_000 + b"}",
        b"\xff\xfe",
        b'{"pair": "row-0", "choice": "a", "tab": "\\ud800"}',
        b'{"pair": "row-0", "choice": "a", "ballot": 1e999}',
        b" " * (1 << 17),
    ],
)
def test_odd_bodies_are_refused_without_a_traceback(page, body):
    address, output = page
    status, answer = comparing.ask(address, "vote", body)
    assert status == 400 and "\n" not in answer["error"]
    assert comparing.logged(output) == [] and comparing.ask(address, "vote", GOOD)[0] == 200


def test_a_body_that_breaks_off_is_no_vote(page):
    head = f"POST /vote HTTP/1.1\nHost: {{host}}\n{gate.HEADER}: {comparing.token(page[0])}\nContent-Length: 99"
    assert sent(page[0], head, json.dumps(GOOD).encode()[:-3], shut=True)[0] == 400
    assert comparing.logged(page[1]) == []


def test_a_vote_from_elsewhere_is_refused_though_it_says_no_origin(page):
    address, output = page
    for headers in (
        {gate.HEADER: ""},
        {gate.HEADER: "x" * 32},
        {gate.HEADER: "\xe9" * 32},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
    ):
        assert comparing.ask(address, "vote", GOOD, **headers)[0] == 403, headers
    body = json.dumps(GOOD).encode()
    plain = (
        f"POST /vote HTTP/1.1\nHost: {{host}}\nContent-Type: text/plain\nContent-Length: {len(body)}"  # as of a form
    )
    assert sent(address, plain, body)[0] == 403
    assert comparing.logged(output) == []
    fine = {"Origin": address.rstrip("/"), "Sec-Fetch-Site": "same-origin"}
    assert comparing.ask(address, "vote", GOOD, **fine)[0] == 200


def test_a_link_to_the_page_may_stand_anywhere(page):
    assert comparing.ask(page[0], "", None, **{"Sec-Fetch-Site": "cross-site"})[0] == 200


def test_the_page_shows_its_token_with_everything_that_it_asks(page):
    """Where the token is needed for all, a call without it would leave the page empty."""
    text = comparing.ask(page[0], "")[1].decode()
    calls = [line for line in text.splitlines() if "fetch(" in line]
    assert len(calls) == 3 and all("headers: token" in line or "fetch(path, options)" in line for line in calls)
    assert f'"{gate.HEADER}"' in text


def test_where_others_reach_it_nothing_is_told_without_the_token(tmp_path):
    output = tmp_path / "out.jsonl.gz"
    with served(comparing.pairs(tmp_path / "in", 2, heard=1), output, host="0.0.0.0") as (address, sitting):
        bare, _, secret = address.partition("?token=")
        assert len(secret) >= 32
        for path in ("", "next?tab=x", "state", "pair?pair=row-0", "sound/row-0/a", "gone", "?token=", "?token=x"):
            status, answer = comparing.ask(bare, path)
            assert status == 403 and "token" in answer["error"], path
        assert comparing.ask(bare, f"?token={secret}")[0] == 200
        shown = {gate.HEADER: secret}
        assert comparing.ask(bare, "next?tab=x", None, **shown)[1]["pair"]["id"] in sitting.questions
        assert comparing.ask(bare, "sound/row-0/a", None, **shown)[0] == 200
        assert comparing.ask(bare, "vote", GOOD, **{gate.HEADER: "no"})[0] == 403
        assert comparing.ask(bare, "vote", GOOD, **shown, Origin="http://elsewhere.example")[0] == 403
        assert comparing.ask(bare, "vote", GOOD, **shown, Host="any.name:80")[0] == 200


def test_a_token_outlives_the_server_and_is_its_owners(tmp_path):
    place = tmp_path / "out.token"
    first = gate.kept(place)
    assert gate.kept(place) == first and stat.S_IMODE(os.stat(place).st_mode) == 0o600
    place.write_bytes(first.encode()[:7] + b"\xff")  # as a broken disk would leave it
    assert gate.kept(place) != first


def test_a_page_that_outlived_a_crash_may_vote(tmp_path):
    place, output = comparing.pairs(tmp_path / "in", 2), tmp_path / "out.jsonl.gz"
    with comparing.comparing(place, "-o", output) as (process, address):
        shown = {gate.HEADER: comparing.token(address)}
        process.kill()
    with comparing.comparing(place, "-o", output) as (_, address):
        assert comparing.ask(address, "vote", GOOD, **shown)[0] == 200
    assert [vote["pair"] for vote in comparing.logged(output)] == ["row-0"]


def test_elsewhere_the_address_is_printed_with_its_token(tmp_path):
    place = comparing.pairs(tmp_path / "in", 2)
    with comparing.comparing(place, "-o", tmp_path / "out.jsonl.gz", "--host", "0.0.0.0") as (_, address):
        assert "?token=" in address and comparing.ask(address, "")[0] == 200
    told = subprocess.check_output([sys.executable, "-m", "stentor", "prefer", "--help"], text=True)
    assert "only with the token in the address that is printed" in " ".join(told.split())


def test_ipv6(tmp_path):
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        addresses.check("::1", 0)
    except Exception:
        pytest.skip("no IPv6 here")
    with served(comparing.pairs(tmp_path / "in", 2), tmp_path / "out.jsonl.gz", host="::1") as (address, _):
        assert address.startswith("http://[::1]:") and comparing.ask(address, "vote", GOOD)[0] == 200


def test_an_address_that_cannot_be_had(tmp_path, capsys, monkeypatch):
    place = comparing.pairs(tmp_path / "in", 2)
    monkeypatch.setattr("stentor_align.prefer.sources.Manifest.rows", None)  # it is told before anything is read
    with socket.create_server(("127.0.0.1", 0)) as busy:
        for words, told in (
            (("--port", busy.getsockname()[1]), "--port: cannot listen on port"),
            (("--port", "-1"), "--port: cannot listen on port -1"),
            (("--port", "70000"), "Port 0 takes a free one"),
            (("--host", "nobody.invalid"), "--host: there is no such address"),
            (("--host", "a" * 80), "--host: there is no such address"),
            (("--host", "..", "--port", "0"), "--host: there is no such address"),
            (("--host", "203.0.113.7"), "no address of this machine"),
            (("--host", ""), "--host: it must name an address"),
        ):
            output = str(tmp_path / "o.jsonl.gz")
            assert main(["prefer", str(place), "-o", output, "--no-open", *map(str, words)]) == 2, words
            error = capsys.readouterr().err
            assert told in error and error.count("\n") == 1, error


@pytest.mark.parametrize(
    ("host", "own"), [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True), ("0.0.0.0", False),
                      ("::", False), ("192.0.2.1", False), ("localhost.evil.example", False)]
)  # fmt: skip
def test_what_this_machine_alone_reaches(host, own):
    assert addresses.loopback(host) is own


def test_a_single_sample_is_no_pair(tmp_path, capsys):
    assert main(["prefer", str(tmp_path), "-o", str(tmp_path / "o.jsonl.gz"), "--port", "0", "--samples", "1"]) == 2
    assert "needs two responses" in capsys.readouterr().err
