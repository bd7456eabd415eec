"""Texts that people write: stored and sent unchanged, except those that can't be read."""

from unicodedata import category

from service.domain.text import is_storable

MAX_LENGTH = 5000  # characters
MAX_NAME_LENGTH = 200
MAX_EXCERPT_LENGTH = 100
# Directional overrides, embeddings and isolates: beside other text they change how that reads.
REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
INVISIBLE = {"Cc", "Cf", "Cs", "Mn", "Zl", "Zp", "Zs"}  # categories without a visible glyph of their own
FILLERS = "\u115f\u1160\u2800\u3164\uffa0"  # letters and a symbol that are blank


def cleaned(text: str, *, longest: int = MAX_LENGTH) -> str:
    """Return the text without surrounding space, its line ends as one character each.

    Raise ValueError with a message if it is blank, too long, or contains control characters.
    """
    text = text.replace("\r\n", "\n").strip()
    if not text:
        raise ValueError("a text is needed")
    if len(text) > longest:
        raise ValueError(f"{longest} characters are allowed, and it has {len(text)}")
    if not is_readable(text):
        raise ValueError("it contains control characters or the like, which can't be stored or sent")
    # It would have the minimal length, and the participant would see an empty message.
    if all(category(character) in INVISIBLE or character in FILLERS for character in text):
        raise ValueError("a text is needed, and this one is invisible")
    return text


def is_readable(text: str) -> bool:
    """Return True if a text can be stored and sent. Line ends and tabs are allowed."""
    controls = (character for character in text if category(character) == "Cc")
    return is_storable(text) and all(character in "\n\t" for character in controls)


def name_of(by: str) -> str:
    """Return a person's name on one line. Raise ValueError as ``cleaned`` does."""
    name = cleaned(by, longest=MAX_NAME_LENGTH)
    if any(character in "\n\t\u2028\u2029" for character in name):
        raise ValueError("a name has one line")
    if any(character in REORDERING for character in name):
        raise ValueError("a name has no characters that reorder text")
    return name


def excerpt(text: str, *, longest: int = MAX_EXCERPT_LENGTH) -> str:
    """Return the beginning of a text from outside for a message. Characters that can't be encoded are escaped."""
    begin = text if len(text) <= longest else f"{text[:longest]}…"
    return begin.encode(errors="backslashreplace").decode()
