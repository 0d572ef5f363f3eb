"""Values that somebody might put into a link: 200, none of which may break a page."""

from __future__ import annotations

import base64
import json
import zlib

NUMBERS = ["0", "-1", "1", "1.5", "-0", "1e3", "1e999", "-1e999", "nan", "-nan", "inf", "-inf", "Infinity", "9" * 400]
NUMBERS += [
    "1" + "0" * 300,
    "0x10",
    "0b1",
    "1_000",
    "1,5",
    "１",
    "٣",
    "½",
    "1e-400",
    "+1",
    " 1",
    "1 ",
    "--1",
    "2**9999",
]
PLACES = [
    "0-0",
    "6-a",
    "5-",
    "-5",
    "0-99999999999",
    "99999999999-0",
    "0,1,2",
    ",",
    ",,,",
    "1,,2",
    "a,b",
    "-,-",
    "1-2-3",
]
PLACES += ["0" * 3000, "0-1." * 500, ",".join(map(str, range(2000))), "ffffffff", "zz", "1;2", "[1,2]", "0..9"]
WORDS = [
    "",
    " ",
    "\t",
    "\n",
    "\r\nSet-Cookie: a=b",
    "\x00",
    "a\x00b",
    "\u202e",
    "\u200b",
    "é",
    "😀" * 40,
    "ﷺ" * 50,
    "\ufffd",
]
WORDS += ["true", "True", "None", "null", "undefined", "NaN", "auto", "any", "*", ".", "..", "__proto__", "constructor"]
WORDS += [
    "__class__",
    "id",
    "self",
    "kind",
    "x" * 10_000,
    "A" * 200,
    "ｍnistm",
    "MNISTM",
    "mnistm ",
    "mnistm-mnist-ntl\x00",
]
PATHS = [
    "/",
    "//",
    "/etc/passwd",
    "../../../etc/passwd",
    "..\\..\\x",
    "file:///etc/passwd",
    "C:\\",
    "~root",
    "%2e%2e%2f",
]
PATHS += [
    "folder:",
    "folder:/",
    "folder:/etc",
    "folder:/proc/self",
    "folder:relative",
    "folder:~root",
    "folder:/dev/zero",
]
PATHS += ["readable:", "readable:/", "readable:/proc", "folder:/" + "a" * 5000, "folder:/\x00", "folder:folder:/etc"]
PATHS += [
    "open mnistm folder:/proc 0",
    "close mnistm mnistm",
    "backdoor mnistm x 0",
    "open mnistm fashion 99",
    "open",
    "a b c d e",
]
MARKUP = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "</style><b>",
    "javascript:alert(1)",
    "<!--",
    "&lt;",
]
MARKUP += [
    "![x](https://evil.example/x.png)",
    "[log in again](https://evil.example)",
    "https://evil.example",
    "`x`",
    "***",
]
MARKUP += [
    "$\\frac{1}{0}$",
    "$$",
    ":material/home:",
    ":red[x]",
    ":red-badge[x]",
    "# x",
    "- x",
    "| a | b |",
    "\\",
    "\\(x\\)",
]
CODE = [
    "' OR 1=1 --",
    '"; DROP TABLE runs; --',
    "'",
    '"',
    "%",
    "_",
    "${jndi:ldap://x}",
    "{{7*7}}",
    "{0.__class__}",
    "%s%n",
    "$(id)",
]
CODE += [
    "`id`",
    ";id",
    "|id",
    "eval(1)",
    "import os",
    "!!python/object:os.system",
    "&a [*a]",
    "{a: &b [*b]}",
    "- - - -",
    "{",
]
IDS = [
    "abcd2345",
    "ABCD2345",
    "abcd234",
    "abcd23456",
    "abcd2345,abcd2346",
    "abcd2345 ",
    "../abcd2345",
    "abcd2345/..",
    "iiiiiiii",
]


def token(text: str) -> str:
    """The token of a link whose settings are this text."""
    return base64.urlsafe_b64encode(zlib.compress(text.encode(), 9)).decode().rstrip("=")


def _settings(**values: object) -> str:
    return token(json.dumps(values))


TOKENS = [
    token(text) for text in ("", "{}", "[]", "null", "1", '"x"', "true", "{", "[" * 60_000, '{"a":' * 9_000, "NaN")
]
TOKENS += [
    token('{"teacher": 1e999}'),
    token('{"epochs": 1' + "0" * 4000 + "}"),
    token(" " * 1_000_000),
    token("a" * 300_000),
]
TOKENS += [
    _settings(teacher=value)
    for value in ("", "nobody", "../x", "![x](https://evil.example/x.png)", 1, None, [], {}, True)
]
TOKENS += [
    _settings(teacher="mnistm-mnist-ntl", **{name: value})
    for name in (
        "epochs",
        "seed",
        "student",
        "batch_size",
        "split",
        "escape",
        "synthesis",
        "image_side",
        "pair",
        "name",
    )
    for value in (-1, "![x](https://evil.example/x.png)", [], 10**30)
]
TOKENS += ["=" * 50, "-_-_", "AAAA", base64.urlsafe_b64encode(zlib.compress(bytes(40_000_000), 9)).decode().rstrip("=")]
VALUES = [*NUMBERS, *PLACES, *WORDS, *PATHS, *MARKUP, *CODE, *IDS, *TOKENS]
