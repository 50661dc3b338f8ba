"""Models as the page of models shows them, so that what is shown is what is tested."""

import re
from pathlib import Path
from typing import Final

PAGE: Final = Path(__file__).parents[2] / "docs/models.md"


def page_model(import_: str) -> str:
    """The one listing of the page that imports a library."""
    (found,) = [text for text in re.findall(r"```py\n(.*?)```", PAGE.read_text(), re.S) if import_ in text]
    return str(found)
