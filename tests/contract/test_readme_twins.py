"""The two READMEs are one document in two languages, and what they name is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.generate import NOTHING, settings_table

ROOT = Path(__file__).resolve().parents[2]
TWINS = {"README.md": "README.zh-CN.md", "README.zh-CN.md": "README.md"}
MARK = "<!-- settings:zh -->"
#: Code comes first, so that a comment in it is never taken for a heading.
PART = re.compile(
    r"^```(?P<language>\w*)\n(?P<code>.*?)^```$|^(?P<heading>#+) |\]\((?P<link>[^)\s]+)\)",
    re.MULTILINE | re.DOTALL,
)
COMMENT = re.compile(r"(^|[ \t]+)#.*$", re.MULTILINE)
LITERAL = re.compile(r"`[^`]+`|\d[\d,]*")

every_readme = pytest.mark.parametrize("name", TWINS)


def parts(name: str) -> list[re.Match[str]]:
    """Returns the headings, code blocks and links of a README in their order."""
    return list(PART.finditer((ROOT / name).read_text(encoding="utf-8")))


def headings(name: str) -> list[str]:
    """Returns the level of each heading, with the files that its section links to."""
    found: list[str] = []
    for part in parts(name):
        if part["heading"]:
            found.append(part["heading"])
        elif part["link"]:
            found[-1] += " twin" if part["link"] == TWINS[name] else f" {part['link']}"
    return found


def commands(name: str) -> list[tuple[str, str]]:
    """Returns the language and the text of each code block, without comments."""
    return [(part["language"], COMMENT.sub("", part["code"])) for part in parts(name) if part["code"]]


def settings(table: str) -> list[tuple[str, str, list[str]]]:
    """Returns the variable, the default, and every number and literal word of each row."""
    rows = [line.strip("| ").split(" | ", 2) for line in table.splitlines() if line.startswith("| `")]
    return [(variable, default, sorted(LITERAL.findall(rest))) for variable, default, rest in rows]


def test_both_have_the_same_sections_in_the_same_order() -> None:
    """A section is known by its level and its links, whatever the language of its heading."""
    assert headings("README.zh-CN.md") == headings("README.md")


def test_both_show_the_same_commands() -> None:
    """Only the comments in a code block are translated."""
    assert commands("README.zh-CN.md") == commands("README.md")


def test_the_chinese_table_has_every_setting_with_its_default_and_limits() -> None:
    """It is written by hand; a setting that is added or changed must not be forgotten there."""
    _, table, _ = (ROOT / "README.zh-CN.md").read_text(encoding="utf-8").split(MARK)
    translated = [
        (name, NOTHING if default == "无" else default, rest) for name, default, rest in settings(table)
    ]
    assert translated == settings(settings_table())


@every_readme
def test_every_link_leads_to_a_file_of_the_project(name: str) -> None:
    """A document that was moved or never written is no longer linked."""
    links = [part["link"].partition("#")[0] for part in parts(name) if part["link"]]
    assert links
    assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []
