"""`sagehold accounts … --email`."""

from tests.cli.test_changes import Call, call, printed

__all__ = ["call"]


def test_an_account_has_an_address_and_is_found_by_it(call: Call) -> None:
    made = printed(call("accounts", "create", "team", "--email", "Team@Example.org", "--json"))
    assert (made["email"], made["number"]) == ("team@example.org", 1)
    assert printed(call("accounts", "show", "team@example.org", "--json"))["id"] == made["id"]
    assert "team@example.org" in call("accounts", "list").stdout
    assert printed(call("accounts", "change", "team", "--email", "t@example.org", "--json"))["email"] == "t@example.org"
    assert printed(call("accounts", "change", "team", "--weight", "2", "--json"))["email"] == "t@example.org"
    assert printed(call("accounts", "change", "t@example.org", "--no-email", "--json"))["email"] is None
    changed = printed(call("audit", "--json"))[0]
    assert changed["details"] == {"before": {"email": "t@example.org"}, "after": {"email": None}}


def test_a_wrong_address_is_refused_in_a_line(call: Call) -> None:
    refused = call("accounts", "create", "team", "--email", "team")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr.startswith("An e-mail address has one @")
    printed(call("accounts", "create", "team", "--email", "a@b.c", "--json"))
    assert call("accounts", "create", "other", "--email", "A@B.c").stderr == "There is an account a@b.c already.\n"
    both = call("accounts", "change", "team", "--email", "b@b.c", "--no-email")
    assert both.exit_code == 2
    assert "--no-email" in both.stderr
