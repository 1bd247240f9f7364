"""Keys as text, and the secret they are fingerprinted under."""

import hashlib
import hmac
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from server.accounts.keys import credentials
from server.accounts.keys.secret import FILE_NAME, SecretError, load_secret


def test_keys_hold_256_random_bits_after_their_prefix() -> None:
    keys = {credentials.generate_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(re.fullmatch(r"sk-sage-[A-Za-z0-9_-]{43,}", key) for key in keys)
    assert len({credentials.lookup_prefix(key) for key in keys}) == 100


def test_a_fingerprint_is_the_hmac_of_the_whole_key() -> None:
    expected = hmac.new(b"secret", b"sk-sage-abc", hashlib.sha256).digest()
    assert credentials.fingerprint("sk-sage-abc", b"secret") == expected
    assert credentials.matches(expected, credentials.fingerprint("sk-sage-abc", b"secret"))
    assert not credentials.matches(expected, credentials.fingerprint("sk-sage-abd", b"secret"))
    assert not credentials.matches(expected, credentials.fingerprint("sk-sage-abc", b"other"))


@pytest.mark.parametrize("text", ["", "sk-sage-", "short", "sk-sage-\x00" + "a" * 43, "sk-sage-" + "é" * 43, "a" * 513])
def test_texts_that_can_not_be_keys(text: str) -> None:
    assert not credentials.plausible(text)


def test_any_prefix_may_be_a_keys() -> None:
    assert credentials.plausible("sk-other-" + "a" * 40)


def test_the_secret_is_its_owners_alone_and_stays(tmp_path: Path) -> None:
    secret = load_secret(tmp_path / "data")
    assert len(secret) == 32
    assert stat.S_IMODE((tmp_path / "data" / FILE_NAME).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    assert load_secret(tmp_path / "data") == secret
    assert [entry.name for entry in (tmp_path / "data").iterdir()] == [FILE_NAME]


def test_a_secret_that_others_could_read_is_closed(tmp_path: Path) -> None:
    secret = load_secret(tmp_path)
    (tmp_path / FILE_NAME).chmod(0o644)
    assert load_secret(tmp_path) == secret
    assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600


def test_all_who_start_together_get_the_same_secret(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        secrets = list(pool.map(load_secret, [tmp_path] * 64))
    assert len(set(secrets)) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == [FILE_NAME]


@pytest.mark.parametrize("content", ["", "00" * 31, "zz" * 32, "é"])
def test_a_damaged_secret_is_not_replaced(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE_NAME).write_text(content)
    with pytest.raises(SecretError, match="damaged"):
        load_secret(tmp_path)
    assert (tmp_path / FILE_NAME).read_text() == content
