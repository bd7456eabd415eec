"""What people write: kept and sent as it is, but for what nobody could read."""

from unicodedata import category

LONGEST = 5000  # characters of any text
LONGEST_NAME = 200
UNREADABLE = {"Cc", "Cs"}  # control characters and lone surrogates, which PostgreSQL and JSON refuse


def cleaned(text: str, *, longest: int = LONGEST) -> str:
    """The text without space around it, its line ends as one character each.

    Raises ValueError, a sentence, where nothing is left, it is too long, or holds control characters.
    """
    text = text.replace("\r\n", "\n").strip()
    if not text:
        raise ValueError("a text is needed")
    if len(text) > longest:
        raise ValueError(f"{longest} characters are the most, and it has {len(text)}")
    if not is_readable(text):
        raise ValueError("it holds control characters or the like, which can't be kept or sent")
    return text


def is_readable(text: str) -> bool:
    """Whether it can be stored and sent; line ends and tabs are fine."""
    return not any(category(character) in UNREADABLE and character not in "\n\t" for character in text)


def name_of(by: str) -> str:
    """Whoever decides, on one line. Raises ValueError as ``cleaned`` does."""
    name = cleaned(by, longest=LONGEST_NAME)
    if "\n" in name or "\t" in name:
        raise ValueError("a name stands on one line")
    return name
