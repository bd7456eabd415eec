"""What people write: kept and sent as it is, but for what nobody could read."""

from unicodedata import category

from service.domain.text import is_storable

LONGEST = 5000  # characters of any text
LONGEST_NAME = 200
LONGEST_EXCERPT = 100
UNSEEN = {"Cc", "Cf", "Cs", "Mn", "Zl", "Zp", "Zs"}  # what shows nothing where it stands alone
FILLERS = "\u115f\u1160\u2800\u3164\uffa0"  # letters and a symbol that are blank


def cleaned(text: str, *, longest: int = LONGEST) -> str:
    """The text without space around it, its line ends as one character each.

    Raises ValueError, a sentence, where nothing to see is left, it is too long, or holds control characters.
    """
    text = text.replace("\r\n", "\n").strip()
    if not text:
        raise ValueError("a text is needed")
    if len(text) > longest:
        raise ValueError(f"{longest} characters are the most, and it has {len(text)}")
    if not is_readable(text):
        raise ValueError("it holds control characters or the like, which can't be kept or sent")
    if all(category(character) in UNSEEN or character in FILLERS for character in text):
        raise ValueError("a text is needed, and nobody can see this one")
    return text


def is_readable(text: str) -> bool:
    """Whether it can be stored and sent; line ends and tabs are fine."""
    controls = (character for character in text if category(character) == "Cc")
    return is_storable(text) and all(character in "\n\t" for character in controls)


def name_of(by: str) -> str:
    """Whoever decides, on one line. Raises ValueError as ``cleaned`` does."""
    name = cleaned(by, longest=LONGEST_NAME)
    if any(character in "\n\t\u2028\u2029" for character in name):
        raise ValueError("a name stands on one line")
    return name


def excerpt(text: str, *, longest: int = LONGEST_EXCERPT) -> str:
    """As much of somebody's text as fits into an answer; what can't be encoded is escaped."""
    begin = text if len(text) <= longest else f"{text[:longest]}…"
    return begin.encode(errors="backslashreplace").decode()
