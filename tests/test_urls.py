"""A URL is split without loss, decoded exactly once, and never shows its secrets."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fastadk_memory.errors import ConfigurationError
from fastadk_memory.urls import (
    backend_name,
    default_options,
    mask,
    split_core_options,
    split_query,
)


class WithUrl:
    def __init__(self, url: str, prefix: str = "") -> None: ...


class WithPath:
    def __init__(self, *, path: str, mode: str = "") -> None: ...


class WithNeither:
    def __init__(self, max_entries: int | None = None) -> None: ...


def takes_anything(**options: object) -> None: ...


# ------------------------------------------------------------------------ the name


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("redis://localhost:6379/0", "redis"),
        ("REDIS://localhost", "redis"),
        ("redis+sentinel://h1,h2,h3/service/0", "redis"),
        ("redis+unix:///run/redis.sock", "redis"),
        ("inmemory://", "inmemory"),
        ("my_backend.v2-x://", "my_backend.v2-x"),
    ],
)
def test_the_scheme_up_to_a_plus_is_the_name(url, name):
    assert backend_name(url) == name


@pytest.mark.parametrize(
    "text",
    ["", "redis", "redis:", "redis:/x", "://x", " redis://x", "+x://", "ré://x", None, 3, b"a://"],
)
def test_what_is_no_url_is_refused(text):
    for function in (backend_name, split_query, split_core_options):
        with pytest.raises(ConfigurationError):
            function(text)
    with pytest.raises(ConfigurationError):
        default_options(WithUrl, text)


# --------------------------------------------------------------------- what is kept


@pytest.mark.parametrize(
    "base",
    [
        "redis+sentinel://user:p%40ss@h1:1,h2:2,[::1]:3/service/0",
        "redis://[::1]:6379/0",
        "redis+unix:///run/redis%2F1.sock",
        "redis://:a:b@c@host",
        "redis://",
    ],
)
def test_all_but_the_query_passes_untouched(base):
    assert split_query(f"{base}?prefix=p%2541") == (base, {"prefix": "p%41"})
    assert split_core_options(f"{base}?a=%41&namespace=n%C3%A9%2525&b") == (
        f"{base}?a=%41&b",
        {"namespace": "né%25"},
    )
    assert default_options(WithUrl, f"{base}?prefix=x") == {"url": base, "prefix": "x"}


def test_the_core_takes_out_what_is_its_own_and_only_that():
    assert split_core_options("x://h?namespace=a&default_ttl=60") == (
        "x://h",
        {"namespace": "a", "default_ttl": "60"},
    )
    assert split_core_options("x://h?name%73pace=&Namespace=b") == (
        "x://h?Namespace=b",
        {"namespace": ""},
    )
    assert split_core_options("x://h?") == ("x://h", {})


def test_a_plus_is_a_plus_and_empty_parts_mean_nothing():
    assert split_query("x://?a=1+1&&b=&") == ("x://", {"a": "1+1", "b": ""})
    assert split_query("x://h/?a=b=c?d/e")[1] == {"a": "b=c?d/e"}


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("redis://:pa#ss@host", "%23"),
        ("redis://h/0#fragment", "%23"),
        ("redis://h?a=b c", "%20"),
        ("redis://h\n", "control"),
        ("redis://h?a=100%", "%25"),
        ("redis://h?a=%zz", "%25"),
        ("redis://h?a=%ff", "UTF-8"),
        ("redis://h?a=1&a=2", "twice"),
        ("redis://h?a=1&%61=2", "twice"),
        ("redis://h?=1", "name=value"),
        ("redis://h?flag", "name=value"),
    ],
)
def test_what_would_be_lost_or_misread_is_refused_with_a_hint(url, hint):
    with pytest.raises(ConfigurationError, match=hint):
        split_query(url)


@pytest.mark.parametrize("url", ["x://h#a", "x://h?namespace", "x://h?namespace=a&namespace=b"])
def test_the_core_refuses_the_same_for_its_own_options(url):
    with pytest.raises(ConfigurationError):
        split_core_options(url)


def test_what_is_encoded_wrongly_does_not_come_along_as_the_cause():
    with pytest.raises(ConfigurationError) as caught:
        split_query("redis://h?password=hunter2%ff")
    assert caught.value.__suppress_context__


# ------------------------------------------------------------------ default options


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("file:///var/lib/m.db", {"path": "/var/lib/m.db"}),
        ("file://m.db", {"path": "m.db"}),
        ("file://./a%20b%2520.db?mode=x", {"path": "./a b%20.db", "mode": "x"}),
        ("file://?path=m.db", {"path": "m.db"}),
        ("file://", {}),
    ],
)
def test_a_backend_with_a_path_gets_what_follows_the_slashes_decoded_once(url, options):
    assert default_options(WithPath, url) == options


def test_a_backend_with_neither_url_nor_path_takes_its_query_alone():
    assert default_options(WithNeither, "inmemory://?max_entries=5") == {"max_entries": "5"}
    assert default_options(WithNeither, "inmemory:///") == {}
    with pytest.raises(ConfigurationError, match="no option url or path"):
        default_options(WithNeither, "inmemory://host")


def test_a_backend_that_takes_anything_gets_the_url_if_it_says_something():
    assert default_options(takes_anything, "x://?a=1") == {"a": "1"}
    assert default_options(takes_anything, "x://h?a=1") == {"url": "x://h", "a": "1"}


@pytest.mark.parametrize(("factory", "url"), [(WithUrl, "x://h?url=y"), (WithPath, "x://p?path=q")])
def test_saying_the_same_twice_is_refused(factory, url):
    with pytest.raises(ConfigurationError, match="twice"):
        default_options(factory, url)


def test_unknown_query_keys_reach_the_check_of_options():
    assert default_options(WithUrl, "x://h?prefx=1") == {"url": "x://h", "prefx": "1"}


# ------------------------------------------------------------------------- masking


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://user:pw@host:6379/0", "redis://user:***@host:6379/0"),
        ("redis://:pw@host", "redis://:***@host"),
        ("redis://token@host", "redis://***@host"),
        ("redis://:p@w:x@[::1]:6379", "redis://:***@[::1]:6379"),
        ("redis://:p/w@host/0", "redis://:***@host/0"),
        ("redis://:p?w@host/0?a=b", "redis://:***@host/0?a=b"),
        ("redis://:p#w@host", "redis://:***@host"),
        ("redis://:pw@h1,h2:1/s/0?password=x&a=b", "redis://:***@h1,h2:1/s/0?password=***&a=b"),
        (
            "redis://h?p%61ssword=x&apiKey=y;token=z",
            "redis://h?p%61ssword=***&apiKey=***;token=***",
        ),
        ("redis://h?proxy=http%3A%2F%2Fu:p@q", "redis://h?proxy=***"),
        ("redis://h:6379/0?namespace=me@x.org", "redis://h:6379/0?namespace=me@x.org"),
        ("redis://h1:1,[::1]:2/0", "redis://h1:1,[::1]:2/0"),
        ("file:///home/me@work/m.db", "file:///home/me@work/m.db"),
        ("x://h/p#rest", "x://h/p#***"),
        ("redis://h?password=", "redis://h?password="),
        ("plain text", "plain text"),
        ("user:pw@host", "user:***@host"),
    ],
)
def test_a_url_is_shown_without_its_secrets(url, shown):
    assert mask(url) == shown


# Of characters that stand nowhere else in the URLs below.
passwords = st.text(alphabet="QXZ9!$@:/?#&=%+;,[]~é ", min_size=1).map(lambda text: f"QZX{text}XZQ")


@given(passwords)
def test_no_password_that_is_encoded_as_it_should_be_is_ever_shown(password):
    encoded = quote(password, safe="")
    for url in (
        f"redis://user:{encoded}@host:6379/0?a=b",
        f"redis://:{encoded}@host",
        f"redis+sentinel://u:{encoded}@h1:1,h2:2/s",
        f"redis://host/0?password={encoded}&a=b",
        f"redis://host/0?a=b&auth_token={encoded}",
    ):
        shown = mask(url)
        assert "QZX" not in shown
        assert "XZQ" not in shown
        assert "***" in shown


@given(passwords)
@example("QZX/@XZQ")
@example("QZX@/XZQ")
@example("QZX#@?XZQ")
@example("QZX@?XZQ")
@example("QZX@#XZQ")
@example("QZX?@XZQ")
def test_no_raw_password_is_shown_either_unless_it_reads_as_hosts_and_a_query(password):
    shown = mask(f"redis://user:{password}@host/0")
    assert "QZX" not in shown
    # Only what reads as hosts, a ? and a parameter of a query is taken for that.
    if not re.search(r"@.*\?[\w.-]+=", password):
        assert "XZQ" not in shown


@given(st.text(alphabet=st.characters(exclude_characters="@#?"), min_size=1))
def test_a_raw_password_without_at_sign_query_or_hash_is_never_shown(password):
    assert mask(f"redis://user:{password}@host/0") == "redis://user:***@host/0"


@given(passwords)
def test_no_message_repeats_a_password(password):
    for url in (
        f"redis://u:{password}@h?a=%zz",
        f"redis://h?password={password}&password={password}",
    ):
        for function in (split_query, split_core_options):
            try:
                function(url)
            except ConfigurationError as error:
                assert "QZX" not in str(error)
                assert error.__cause__ is None
                assert error.__suppress_context__ or error.__context__ is None


# ----------------------------------------------------------------------- bad input

anything = st.one_of(
    st.none(),
    st.integers(),
    st.binary(),
    st.text(),
    st.text().map("x://".__add__),
    st.text(alphabet="ab:/?#[]@&=%+ ,;25é\ud800").map("x://".__add__),
)


@given(anything)
def test_every_function_answers_or_refuses_clearly(url):
    for function in (
        backend_name,
        split_query,
        split_core_options,
        mask,
        lambda text: default_options(WithUrl, text),
        lambda text: default_options(WithPath, text),
        lambda text: default_options(WithNeither, text),
    ):
        try:
            function(url)
        except ConfigurationError as error:
            assert str(error)


names = st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1)
texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]))


@given(st.dictionaries(names, texts))
def test_whatever_is_encoded_comes_back_exactly(options):
    query = "&".join(
        f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in options.items()
    )
    assert split_query(f"x://h?{query}") == ("x://h", options)


@given(texts)
def test_splitting_the_core_options_twice_changes_nothing(text):
    url = f"x://h?a={quote(text)}&namespace={quote(text, safe='')}&b=%25"
    rest, core = split_core_options(url)
    assert core == {"namespace": text}
    assert split_core_options(rest) == (rest, {})
