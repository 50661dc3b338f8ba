"""JSON of others is read, or refused by one kind of error."""

import pytest

from schemas.json_text import read_json


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "1e999",
        "-1e999",
        "NaN",
        "Infinity",
        "-Infinity",
        "9223372036854775808",
        "9" * 5_000,
        "[" * 5_000,
    ],
)
def test_what_is_no_json_or_no_number_is_refused(text: str) -> None:
    for form in (text, text.encode()):
        with pytest.raises(ValueError, match=r"."):
            read_json(form)


def test_what_is_one_is_read() -> None:
    assert read_json(b'{"a":[-9223372036854775808,1.5,true,null,"\xc3\xb6"]}') == {
        "a": [-(2**63), 1.5, True, None, "\u00f6"]
    }
    with pytest.raises(UnicodeDecodeError):
        read_json(b'"\xff"')
