"""Keys, values and patterns that break real stores.

They are tried before anything random: at a hundred random examples a weak spot is found on
most days, not on all.
"""

from __future__ import annotations

from typing import Any

__all__ = ["KEY_PAIRS", "NASTY_KEYS", "NASTY_NAMES", "NASTY_PATTERNS", "NASTY_VALUES"]

NASTY_KEYS = (
    "a", "A", "b", "ab", "a b", " a", "a ", "\ta", "a\n", "\na", "a\r\n", "\r", " ", "\n",
    "\x00", "a\x00b",
    "a\x00", "/", "//", "a/b", "a//b", "a/", "/a", "..", ".", "../a", "a/..", ".hidden", "~",
    "~a", "\\",
    "a\\b", "C:\\x", "\\n", "a:b", "a::b", ":", ":a", "a:", "*", "a*", "**", "?", "a?", "[",
    "]", "[a]",
    "[!a]", "[^a]", "[a", "a]", "{a}", "{", "a{b}c", "%", "%2F", "a%20b", "%s", "$a", "${HOME}",
    "#", "a#b",
    "'", '"', "`", ";", "a;b", "|", "&", "=", "+", "-", "--", "_", ",", "@", "!", "^", "(", ")",
    "<a>",
    "0", "1", "01", "1.0", "1e3", "-1", "null", "None", "true", "nan", "NUL", "con", "aux.txt",
    "é", "e\u0301", "ß", "ss", "İ", "i", "ı", "ſ", "K", "\u212a", "Å", "\u212b", "ﬁ", "fi", "ñ",
    "n\u0303",
    "\ufeff", "\ufeffa", "\u200b", "a\u200bb", "\u00a0", "\u2028", "\u0085", "\x7f", "\x1b[0m",
    "\u202e", "ключ",
    "鍵", "キー", "🔑", "👩‍👩‍👧", "\U0010ffff", "\ud7ff", "\ue000", "\uffff", "__init__", "clear",
    "namespace:key", "user:17:name",
)  # fmt: skip
"""Keys that some store or other takes for something else than themselves."""

KEY_PAIRS = (
    ("a", "A"), ("é", "É"), ("ß", "ss"), ("ß", "ẞ"), ("i", "İ"), ("ı", "I"), ("ſ", "s"),
    ("é", "e\u0301"), ("Å", "\u212b"), ("K", "\u212a"), ("ﬁ", "fi"), ("①", "1"), ("ａ", "a"),
    ("a", " a"), ("a", "a "), ("a", "\ta"), ("a", "a\n"), ("a", "a\r"), ("a\n", "a\r\n"),
    ("a b", "a  b"), ("a b", "a\u00a0b"), ("a", "a\u200b"), ("a", "\ufeffa"), (" ", "  "),
    ("a", "a\x00"), ("a\x00b", "a\x00c"), ("a\x00b", "ab"), ("\x00", "\x00\x00"),
    ("a", "a/"), ("a", "/a"), ("a", "./a"), ("a/b", "a//b"), ("a/b", "a/./b"), ("a/b", "a\\b"),
    ("b", "a/../b"), ("a", "a/b"), ("a", "a."), ("a", ".a"), ("a", "a.json"), ("a", "a.tmp"),
    ("..", "."), ("/", "//"), ("~", "/root"), ("a:b", "a::b"), ("a", "a:"), ("a:b", "a/b"),
    ("a:b", "a_b"), ("a-b", "a_b"), ("a.b", "a_b"), ("a.b", "axb"), ("a_b", "axb"), ("a", "ab"),
    ("a%", "ab"), ("%", "a"), ("_", "a"), ("*", "a"), ("a*", "ab"), ("a*", "a"), ("?", "a"),
    ("[a]", "a"), ("[ab]", "b"), ("[!a]", "b"), ("a|b", "a"), (".*", "a"), ("^a$", "a"),
    ("%2F", "/"), ("a%20b", "a b"), ("a+b", "a b"), ("%41", "A"), ("&amp;", "&"), ("\\n", "\n"),
    ("\\x61", "a"), ("\\", "\\\\"), ("'", "''"), ('"a"', "a"), ("{a}", "a"), ("{a}b", "{a}c"),
    ("1", "01"), ("1", "1.0"), ("1", "+1"), ("1", " 1"), ("1e3", "1000"), ("None", "null"),
    ("True", "true"), ("con", "con.txt"), ("a;b", "a"), ("a#b", "a"), ("a?b", "a"), ("a=b", "a"),
    ("🔑", "\U0001f5dd"), ("👩‍👩‍👧", "👩👩👧"), ("\U00010000", "\uffff"), ("\ue000", "\U0010ffff"),
    ("aa", "a"), ("ab", "ba"), ("user:1", "user:17"), ("a" * 64, "a" * 65),
    # Letters outside Latin that differ in case, and what collations hold for the same letter.
    ("Д", "д"), ("ё", "е"), ("й", "и"), ("Σ", "σ"), ("σ", "ς"), ("ά", "α"), ("Ω", "\u2126"),
    ("Ա", "ա"), ("Ა", "ა"), ("Ꭰ", "ꭰ"), ("\U00010400", "\U00010428"), ("Ǆ", "ǅ"), ("Ⅷ", "ⅷ"),
    ("é", "e"), ("あ", "ア"), ("ハ", "パ"), ("ｱ", "ア"), ("١", "1"), ("а", "a"), ("🍣", "🍺"),
    # Characters that weigh nothing in collations, or are taken out of names.
    ("❤", "❤\ufe0f"), ("鍵", "鍵\U000e0100"), ("ab", "a\u00adb"), ("ab", "a\u200db"),
    ("ab", "a\u200cb"), ("ab", "a\u2060b"), ("ab", "a\u034fb"), ("ab", "\u200eab"),
    ("ab", "ab\u202c"), ("ab", "ab\U000e0061"), ("👍", "👍🏽"), ("ab", "a\x01b"),
    # The same CRC-32, Adler-32, CRC-16 of Redis' slots, `hashCode` of Java, djb2, FNV-1, FNV-1a
    # and MD5; and two that PHP holds for equal once they are hashed.
    ("plumless", "buckeroo"), ("codding", "gnu"), ("aaca", "abab"), ("user:989", "user:3640"),
    ("Aa", "BB"), ("hetairas", "mentioner"), ("creamwove", "quists"), ("costarring", "liquid"),
    ("TEXTCOLLBYfGiJUETHQ4hAcKSMd5zYpgqf1YRDhkmxHkhPWptrkoyz28wnI9V0aLay",
     "TEXTCOLLBYfGiJUETHQ4hEcKSMd5zYpgqf1YRDhkmxHkhPWptrkoyz28wnI9V0aLay"),
    ("240610708", "QNKCDZO"),
)  # fmt: skip
"""Pairs of keys that some store or other takes for the same, or one for a part of the other."""

NASTY_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 0.0, -0.0, 1.0, 0.1, 1e-300, 5e-324, 1.7976931348623157e308,
    float("nan"), float("inf"), float("-inf"), 2**31, 2**53, 2**53 + 1, 2**63 - 1, 2**63, -(2**63),
    -(2**63) - 1, 2**64 - 1, 2**64, 10**50, -(10**50), 2**10_000, "", " ", "\x00", "a\x00b",
    "null", "None",
    "0", "1", "true", "nan", "é", "e\u0301", "🔑", "\ud83d", "a\udc80b", "\U0010ffff", "\r\n",
    "\u2028",
    b"", b"\x00", b"abc", b"\xff\xfe", bytes(range(256)), "abc", [], {}, [[]], [{}], {"": None},
    [None], [True, 1, 1.0, False, 0, 0.0, -0.0], [0, [1, [True, [1.0]]]], {"a": True, "b": 1,
    "c": 1.0},
    {"b": 1, "a": 2}, {"a": 2, "b": 1}, {"z": {"y": {"x": [b"", "", None]}}}, (), (1,), (1, (2,
    [3])),
    {"k": (1, 2)}, [b"bytes", "text"], {"1": 1, "01": 2}, {"a.b": 1, "$a": 2, "": 3},
    {"__class__": "x", "$bytes": "AA=="}, ["x" * 70_000], {"k": b"\x00" * 300}, [float("nan"),
    -0.0],
    {"\ud800": 1, "ok": "\ud800"}, list(range(300)), {str(n): n for n in range(70)},
)  # fmt: skip
"""Values that some codec or other gives back as something else."""

NASTY_PATTERNS = (
    "*", "", "?", "??", "a*", "*a", "*a*", "a?", "?a", "[a]", "[ab]*", "[!a]*", "[^a]*",
    "[a-c]*", "[!a-c]*",
    "[c-a]*", "[]]", "[]a]*", "[!]]*", "[!]", "[]", "[", "[a", "a[", "*[", "[[]*", "[*]", "[?]",
    "a[*]", "\\*",
    "\\", "a\\*", "*\\*", "[\\]*", "[a-]*", "[-a]*", "[!-a]*", "*.*", "a.b", ".*", "a+", "(a)",
    "^a", "a$", "a|b",
    "{a,b}", "**", "*:*", "*/*", "*\n*", "*\x00*", "é", "[é]", "?\u0301", "[!é]", "*🔑*", "?",
    "[🔑]", "A*",
    "a\n", "* ", " *", "%", "_", "user:*:name", "[a][b]", "[[]a]", "*[]]", "[a-zA-Z]*",
    "[0-9]*", "[--0]*",
    "[a-c-e]*", "[&&a]*", "[||a]*", "[~~a]*", "[a--b]*", "[[:alpha:]]*",
    "[!", "[!a", "*[!", "[]-a]*", "[a-]", "[^]", "[^]*", "[!^]*", "[\\]]*", "[a\\-z]*", "\\[a]",
    "[[:digit:]]*", "{a}", "{*}", "(*", "$*", "*$*", "[!-~]*", "[/]*", "a[/]b", "a?b", "a*b", "***",
    "?*", "*?", "*?*?*", "\\?", "[*?]*", "[!*?[]*", "K", "[k]", "k*", "[I]", "\u0131", "S*", "SS",
    "[\x00-\x1f]*", "[!\x00-\x7f]*", "[a-\U0010ffff]*", "[\ud7ff-\ue000]*", "*\u2028*", "a\x00*",
    "%*", "_*", "__*", "*__", ".*.", "..*", "./*", "#*", "~*", "-*", "[!-]*", "a b", "*\r*", "n?",
    "NULL", "*a\n", "a*\n", "*\\\\*", "[a]]", "a/*", "a:*", "*/b", "[a-c", "**a", "a**",
    "K*", "\u212a", "[\u0300-\u036f]*", "*\u0301", "\ufeff*", "[ab]", "[!ab]", "[!!]*", "[a!]*",
    # What shells and regular expressions add to globs.
    "[a-z]*", "[a-z]", "[A-Z]*", "[à-ÿ]*", "[abc&&bcd]*", "[a-z&&[!b]]*", "[ab||n]*", "[ab--b]*",
    "[\\d]*", "[\\w]*", "[\\s]*", "\\d", "\\w*", "[[=e=]]*", "[[.a.]]*", "**/a", "**/*", "**/b",
    "a/**", "a/**/b", "+(a)", "@(a|b)", "?(a)", "!(a)", "*(a)*", "(?i)a", "{0..9}", "a,b", "!a",
    "\\*a", "[a\\]*", "[\\]]", "\\[a\\]", "\\Aa", "a\\Z",
)  # fmt: skip
"""Patterns that stores' own globs read otherwise than fnmatch does."""

NASTY_NAMES = (
    "a", "ab", "b", "A", "a:b", "a*", "a?", "[x]", "x", "[ab]", "[!x]", "*", "?", "a/b", "/", "a/",
    "/a", "//", ":", "a:", "::", "a::b", ".", "..", "../a", "a.b", "a-b", "a_b", "_", "-", "%",
    "%41", "%2F", "%3A", "a%3Ab", "%%", "~", "~a", "\\", "a\\b", " ", "a ", " a", "\n", "a\n",
    "\x00", "a\x00", "a\x00b", "0", "1", "None", "null", "clear", "__init__", "{a}", "$a", "'", '"',
    ";", "é", "e\u0301", "ß", "ss", "SS", "\u0131", "i", "I", "\u212a", "K", "k", "\ufeffa", "ключ",
    "🔑", "\U0010ffff", "%C3%A9", "\ue000", "con", "a" * 30, "a" * 29 + "b", "é" * 12,
)  # fmt: skip
"""Names of namespaces that some store or other mixes up."""
