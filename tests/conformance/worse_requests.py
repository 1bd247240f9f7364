"""Generated requests that are wrong below the fields: charsets, codings, headers, nesting, and the accounts' routes."""

import gzip
import json
import zlib
from typing import Any

from hypothesis import strategies as st

from tests.conformance.bad_requests import (
    CHATTING,
    COMPLETING,
    JSON,
    KINDS,
    ODD,
    SPEAKING,
    VALUE,
    BadRequest,
    posted,
)
from tests.conformance.likely_requests import chat_bodies, completion_bodies, tokenize_bodies

# ---------------------------------------------------------------- depth

LEVELS = st.sampled_from([60, 190, 199, 200, 201, 400, 900, 980, 1000, 1020, 1024, 5000])
BRACKETS = st.sampled_from([("[", "]"), ('{"a":', "}"), ('[{"type":', "}]"), ('{"items":', "}"), ('{"anyOf":[', "]}")])
HELLO_TEXT = '{"model": "everything", "messages": [{"role": "user", "content": "a"}], '
ALLOWED = '"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [%s]}}}'
PLACES = (
    ("chat/completions", '{"model": "everything", "messages": [{"role": "user", "content": [{"type": %s}]}]}'),
    ("chat/completions", '{"model": "everything", "messages": [{"role": %s, "content": "a"}]}'),
    ("chat/completions", '{"model": "everything", "messages": [{"role": "assistant", "tool_calls": [{"id": %s}]}]}'),
    ("chat/completions", f'{HELLO_TEXT}"tools": %s}}'),
    ("chat/completions", f'{HELLO_TEXT}"response_format": {{"type": "json_object", "schema": {{"items": %s}}}}}}'),
    ("chat/completions", f'{HELLO_TEXT}"chat_template_kwargs": {{"a": %s}}}}'),
    ("chat/completions", f'{HELLO_TEXT}"structured_outputs": {{"structural_tag": {{"a": %s}}}}}}'),
    ("chat/completions", f'{HELLO_TEXT}"metadata": %s}}'),
    ("chat/completions", f'{HELLO_TEXT}"tools": [{{"type": "function", "function": {{"name": "f"}}}}], {ALLOWED}'),
    ("completions", '{"model": "everything", "prompt": %s}'),
    ("completions", '{"model": "everything", "prompt": "a", "vllm_xargs": %s}'),
    ("tokenize", '{"model": "everything", "messages": %s}'),
    ("images/generations", '{"model": "everything", "prompt": "a", "size": %s}'),
    ("audio/speech", '{"model": "everything", "input": "a", "voice": %s}'),
)


@st.composite
def deep(draw: st.DrawFn) -> BadRequest:
    path, body = draw(st.sampled_from(PLACES))
    (opening, closing), levels = draw(BRACKETS), draw(LEVELS)
    inner = draw(st.sampled_from(["1", "", "{}", '"a"']))
    return BadRequest("POST", f"/v1/{path}", JSON, (body % (opening * levels + inner + closing * levels)).encode())


# ---------------------------------------------------------------- codings and headers

CODED = st.sampled_from(
    [
        gzip.compress,
        zlib.compress,
        lambda body: zlib.compress(body)[2:-4],
        lambda body: gzip.compress(body)[:-5],
        lambda body: gzip.compress(body) * 2,
        lambda body: gzip.compress(body) + b"x",
        lambda body: body,
        lambda body: gzip.compress(body + b" " * 2**22),
        lambda body: b"\x1f\x8b" + body,
    ]
)
HEADERS = st.sampled_from(
    [
        {"content-encoding": "gzip"},
        {"content-encoding": "GZIP"},
        {"content-encoding": "deflate"},
        {"content-encoding": "gzip, gzip"},
        {"content-encoding": "x-gzip"},
        {"content-encoding": "br"},
        {"content-encoding": "\t"},
        {"expect": "100-continue"},
        {"expect": "x"},
        {"upgrade": "h2c", "connection": "upgrade"},
        {"upgrade": "websocket", "connection": "upgrade"},
        {"content-type": "application/json; charset=undefined"},
        {"content-type": "application/json;" + "x" * 4000},
        {"content-type": "application/x+json"},
        {"content-type": "multipart/form-data"},
        {"content-type": "\x80\xff"},
        {"x-quality": "ultra"},
        {"x-quality": "\xfcber"},
        {"x-request-id": "a" * 8000},
        {"x-request-id": "\r"},
        {"accept": "text/event-stream"},
        {"range": "bytes=0-0"},
        {"authorization": "Basic x"},
        {"authorization": "Bearer "},
        {"authorization": "\xff"},
        {"x-api-key": "\xff"},
        {"content-length": "abc"},
        {"content-length": "9" * 30},
        {"content-length": "-1"},
        {"origin": "null"},
        {"host": ""},
        {"host": "a b"},
        {"x-forwarded-proto": "javascript"},
        {"forwarded": 'host="'},
        {"traceparent": "00-zz"},
        {"cookie": "a" * 9000},
        {"x-stainless-retry-count": "x"},
        {"transfer-encoding": "gzip"},
    ]
)
BODIES: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [CHATTING, COMPLETING, SPEAKING, CHATTING | {"stream": True}]
)


@st.composite
def headers(draw: st.DrawFn) -> BadRequest:
    """A right body in a coding, under odd headers."""
    body = draw(BODIES)
    path = "audio/speech" if "voice" in body else "completions" if "prompt" in body else "chat/completions"
    said: dict[str, str] = {}
    for one in draw(st.lists(HEADERS, min_size=1, max_size=2)):
        said |= one
    coded = draw(CODED)(json.dumps(body).encode()) if "content-encoding" in said else json.dumps(body).encode()
    return BadRequest("POST", f"/v1/{path}", {**JSON, **said}, coded)


# ---------------------------------------------------------------- forms

CHARSETS = st.sampled_from(
    [
        "utf-8",
        "UTF8",
        "latin-1",
        "us-ascii",
        "undefined",
        "idna",
        "punycode",
        "utf-7",
        "utf-16",
        "zlib",
        "hex",
        "rot13",
        "unicode_escape",
        "mbcs",
        "cp037",
        "shift_jis",
        "iso2022_jp",
        "utf-8\0",
        "",
        '"',
        "x" * 3000,
        "\xff",
    ]
)
TYPES = st.sampled_from(
    [
        "multipart/form-data; boundary=b",
        'multipart/form-data; boundary="b"',
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary",
        "multipart/form-data; BOUNDARY=b",
        "multipart/form-data; boundary*=utf-8''b",
        "multipart/form-data; boundary*0=b",
        "multipart/form-data; boundary=b; boundary=c",
        "multipart/form-data;;;",
        "multipart/form-data; boundary=b; charset*=undefined''x",
        'multipart/form-data; boundary="b',
        "Multipart/Form-Data; boundary=b",
        "multipart/form-data; boundary=\xff",
        "multipart/form-data; boundary=b\0",
    ]
)
DISPOSITIONS = st.sampled_from(
    [
        'form-data; name="%s"',
        "form-data; name=%s",
        'form-data; name="%s"; name="x"',
        "form-data; name*=undefined''%s",
        "form-data; name*=utf-8''%ff%s",
        "form-data; name*0=%s; name*1=x",
        'form-data; name="%s[]"',
        'form-data; name="%s[][]"',
        'form-data; name="%s"; filename=""',
        "form-data; name=\"%s\"; filename*=idna''a",
        'form-data; name="%s"; filename="../a\\"b"',
        'form-data; filename="a"; name="%s"',
        'form-data; name="\xff%s"',
        "form-data",
        "%s",
        'form-data; name="%s\0"',
        'form-data; name="%s"; filename="' + "a" * 3000 + '"',
        'form-data; name="[%s]"',
        'form-data; name=""; x="%s"',
    ]
)
NAMES = st.sampled_from(["model", "file", "image", "mask", "prompt", "language", "temperature", "n", "stream", "a"])
TEXTS = st.sampled_from(
    [b"everything", b"", b"+2AA-", b"\xff\xfe", b"\\ud800", b"xn--" + b"a" * 500, b"1", b"\0", b"a" * 70000]
)


@st.composite
def charsets(draw: st.DrawFn) -> BadRequest:
    """A form whose headers, and those of its parts, are odd."""
    url = draw(st.sampled_from(["audio/transcriptions", "audio/translations", "images/edits", "images/variations"]))
    file = b"image" if url.startswith("images") else b"file"
    body = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\neverything\r\n'
    body += b'--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\na\r\n'
    body += b'--b\r\nContent-Disposition: form-data; name="%s"; filename="a.mp3"\r\n\r\nxxx\r\n' % file
    for _ in range(draw(st.integers(0, 3))):
        disposition = (
            draw(DISPOSITIONS).replace("%s", draw(NAMES)) if draw(st.booleans()) else 'form-data; name="model"'
        ).encode("latin-1")
        extra = draw(
            st.sampled_from(
                [
                    b"",
                    b"Content-Type: text/plain; charset=undefined\r\n",
                    b"Content-Type: \xff\r\n",
                    b"Content-Transfer-Encoding: base64\r\n",
                    b": x\r\n",
                    b"X\r\n",
                    b"A: " + b"b" * 9000 + b"\r\n",
                ]
            )
        )
        body += b"--b\r\nContent-Disposition: " + disposition + b"\r\n" + extra + b"\r\n" + draw(TEXTS) + b"\r\n"
    kind = draw(TYPES)
    if draw(st.booleans()):
        kind += f"; charset={draw(CHARSETS)}"
    return BadRequest("POST", f"/v1/{url}", {"content-type": kind}, body + b"--b--\r\n")


# ---------------------------------------------------------------- the accounts' routes

NUMBERS = st.sampled_from(
    [
        "1e1000000000",
        "-1e1000000000",
        "1e-1000000000",
        "NaN",
        "sNaN",
        "Infinity",
        "0",
        "-0",
        "1e9",
        "1e10",
        "0.0000000001",
        "1" * 4000,
        "١",
        " 1 ",
        "1_0",
        "",
        "0x1",
    ]
)
INSTANTS = st.sampled_from(
    [
        "9999-12-31T23:59:59.999999-14:00",
        "0001-01-01T00:00:00+14:00",
        "2999-01-01T00:00:00Z",
        "2999-01-01",
        "1e18",
        "-1",
        "9999-12-31T24:00:00Z",
        "2999-02-30T00:00:00Z",
        "99999-01-01T00:00:00Z",
        "2999-01-01T00:00:00+99:99",
        "now",
    ]
)
LIMITS = st.dictionaries(
    st.sampled_from(["requests_per_minute", "tokens_per_minute", "concurrent_requests", "x"]), ODD, max_size=2
)
WHO = st.sampled_from(["nobody", "default", "", "%0a", "a" * 300, "..", "%00", "%ff", "acct_x", "key_x", "é", "a/b"])


@st.composite
def accounts(draw: st.DrawFn) -> BadRequest:
    who = draw(WHO)
    body: Any
    match draw(st.integers(0, 5)):
        case 0:
            path, body = (
                "accounts",
                {
                    "name": draw(VALUE | st.just("team")),
                    "credits": draw(NUMBERS | VALUE),
                    "limits": draw(LIMITS | VALUE),
                },
            )
        case 1:
            path, body = (
                f"accounts/{who}/credits",
                {"credits": draw(NUMBERS | VALUE), "note": draw(VALUE | st.just("a"))},
            )
        case 2:
            path, body = (
                "keys",
                {
                    "account": draw(VALUE | st.just("default")),
                    "expires_at": draw(INSTANTS | VALUE),
                    "models": draw(VALUE),
                },
            )
        case 3:
            path, body = "keys", {"account": "default", "name": "a", "expires_at": draw(INSTANTS)}
        case 4:
            query = draw(
                st.sampled_from(
                    [
                        "by=day",
                        "by=x",
                        "since=9999-12-31",
                        "until=9999-12-31",
                        "until=0001-01-01",
                        "since=1e99",
                        "account=%00",
                        "key=%00",
                        "format=csv",
                        "limit=0",
                        "before=99999999999999999999",
                        "after=-1",
                        "before=9223372036854775807",
                        "after=9223372036854775807",
                        "by=day&since=0001-01-01",
                    ]
                )
            )
            path = draw(st.sampled_from(["usage", "ledger", "audit", "keys", "accounts"]))
            return BadRequest("GET", f"/admin/v1/{path}?{query}", {}, b"")
        case _:
            path = f"accounts/{who}"
            return BadRequest(
                draw(st.sampled_from(["GET", "PATCH", "DELETE", "HEAD"])),
                f"/admin/v1/{path}",
                JSON,
                json.dumps({"limits": draw(LIMITS | VALUE)} if who != "default" else {}).encode(),
            )
    sent = json.dumps(body).encode()
    return BadRequest("POST", f"/admin/v1/{path}", JSON, sent)


# ---------------------------------------------------------------- ids and combinations

PLACE: st.SearchStrategy[Any] = st.sampled_from(
    [0, 1, -1, 2**31 - 1, 2**31, 2**63, 10**30, 1.0, 1.5, True, None, "1", [], {}, float("nan")]
)
prompts = posted(
    "/v1/completions",
    st.builds(
        lambda prompt, echo, n: {**COMPLETING, "prompt": prompt, "echo": echo, "n": n},
        st.lists(PLACE, max_size=4)
        | st.lists(st.lists(PLACE, max_size=3), max_size=3)
        | st.lists(PLACE | st.just("a"), max_size=3),
        st.booleans(),
        st.sampled_from([1, 3, 128]),
    ),
) | posted("/v1/detokenize", st.lists(PLACE, max_size=4).map(lambda ids: {"model": "everything", "tokens": ids}))
combinations = (
    posted("/v1/chat/completions", chat_bodies)
    | posted("/v1/completions", completion_bodies)
    | posted("/v1/tokenize", tokenize_bodies)
)

ALL_KINDS = {
    **KINDS,
    "depth": deep(),
    "headers": headers(),
    "charsets": charsets(),
    "accounts": accounts(),
    "token ids": prompts,
    "combinations": combinations,
}
