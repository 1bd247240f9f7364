"""docs/conformance.md: a row a case, our own server beside vLLM's."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby

from tests.conformance.run import Result
from tests.conformance.strict import ADDITIONS

CODE = "the error is not as the SDK declares it: code: Input should be a valid string"
"""The reason of a refusal that is right but for that, or is not looked at further."""
MARKS = {"pass": "✓", "fail": "✗", "not served": "–"}

HEAD = """# Conformance

<!-- Written by scripts/conformance; changes by hand are lost. -->

Each row is one behaviour that the OpenAI API, vLLM or this project documents, asked of a running server in raw HTTP and
read strictly: every field that openai-python's types require must be there, every value must be of the declared type
and among the declared words, and a field that the SDK does not declare must be one of the additions below. Streams are
read byte by byte.

✓ as documented · ✗ otherwise, and the reason is below the table · – not served: the server lacks the route or a model
for it. Behind each behaviour stands who documents it: *OpenAI*, its API reference and its SDK's types; *vLLM*, its
server's own fields and routes; *reports*, what public bug reports and real programs have shown; *Open
Responses*, that specification ([responses.md](responses.md) says how its own suite is run); *sagehold*, this
project; or an RFC.

{versions}

Both servers answer by the same chat model, {model}, on the same machine. Run it against another server:

```sh
python -m tests.conformance --base-url http://127.0.0.1:8000/v1 --api-key KEY --model chat=NAME,embedding=NAME
```

`--list` shows the cases, a word such as `chat_stream` runs those whose id begins with it, and `scripts/conformance`
writes this file.
"""


def table(
    versions: Sequence[str],
    model: str,
    sides: Mapping[str, Sequence[Result]],
    added: Mapping[str, Mapping[str, set[str]]],
    known: Mapping[str, str],
    attacks: str = "",
) -> str:
    """The document. sides: by the server's name, results of the same cases in the same order; ours first.

    known: why a case of ours fails, by its id, in place of what the judge says. attacks: on bad requests.
    """
    parts = [HEAD.format(versions="\n".join(f"- {line}" for line in versions), model=model), _counts(sides)]
    rows = list(zip(*sides.values(), strict=True))
    for section, inside in groupby(rows, key=lambda row: row[0].case.section):
        parts.append(_section(section, list(inside), list(sides), known))
    parts.append(_additions(added))
    if attacks:
        parts.append(f"## Bad requests\n\n{attacks}")
    return "\n".join(parts)


def _counts(sides: Mapping[str, Sequence[Result]]) -> str:
    lines = ["## Counts", "", f"| section | cases | {' | '.join(sides)} |", f"|---|---|{'---|' * len(sides)}"]
    sections = list(dict.fromkeys(result.case.section for result in next(iter(sides.values()))))
    for section in [*sections, ""]:
        cells = []
        for results in sides.values():
            found = Counter(result.outcome for result in results if section in ("", result.case.section))
            cells.append(f"{found['pass']} ✓ {found['fail']} ✗ {found['not served']} –")
        total = sum(found.values())
        lines.append(f"| {section or '**all**'} | {total} | {' | '.join(cells)} |")
    for name, results in sides.items():
        if alike := [one for one in results if one.reason == CODE]:
            lines.append(
                f"\nOf {name}'s ✗, {len(alike)} are refusals whose `code` is a number: the SDK declares a string."
            )
    return "\n".join([*lines, ""])


def _section(section: str, rows: Sequence[tuple[Result, ...]], names: Sequence[str], known: Mapping[str, str]) -> str:
    lines = [f"## {section}", "", f"| case | documented behaviour | {' | '.join(names)} |"]
    lines.append(f"|---|---|{'---|' * len(names)}")
    reasons = []
    for row in rows:
        case = row[0].case
        marks = " | ".join(MARKS[result.outcome] for result in row)
        lines.append(f"| `{case.id}` | {_cell(case.title)} ({_cell(case.source)}) | {marks} |")
        for name, result in zip(names, row, strict=True):
            ours = name == names[0]
            if result.outcome == "fail" or (ours and result.outcome == "not served"):
                reason = known.get(case.id, result.reason) if ours else result.reason
                reasons.append(f"- `{case.id}`, {name}: {_cell(reason)}")
    return "\n".join([*lines, "", *reasons, *([""] if reasons else [])])


def _additions(added: Mapping[str, Mapping[str, set[str]]]) -> str:
    lines = ["## Fields beyond the SDK's types", ""]
    for name, kinds in added.items():
        for kind, fields in sorted(kinds.items()):
            listed = ", ".join(f"`{one}` ({ADDITIONS.get(one, 'unknown')})" for one in sorted(fields))
            lines.append(f"- {name}, `{kind}`: {listed}")
    return "\n".join([*lines, ""])


def _cell(text: str) -> str:
    """Text in a Markdown table: no bars, no tags."""
    return text.replace("|", "\\|").replace("<", "&lt;")
