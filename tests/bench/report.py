"""One line per figure, with its bound."""


def report(what: str, found: float, bound: float, *, at_least: bool = False) -> None:
    met = found >= bound if at_least else found <= bound
    print(
        f"{what:58} {found:8.2f}   {'≥' if at_least else '≤'} {bound:g}  {'ok' if met else 'MISSED'}",
        flush=True,
    )
